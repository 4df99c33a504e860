//! What `--exec` commits: the batches whose commands have succeeded, and the ends of partitions behind the last record.

use std::collections::BTreeMap;

use anyhow::Result;
use tools::cli::message;
use tools::kafka::group::{GroupError, Positions};
use tools::kafka::types::TopicPartition;

use super::batch::Batch;
use super::consumer::Consumer;

pub(super) struct BatchCommitter {
    /// Whether to say which batches are done.
    is_verbose: bool,
    /// Their commands have succeeded.
    uncommitted: Vec<Batch>,
    /// How many of these the commit on its way is of, and its positions.
    committing: Option<(usize, Positions)>,
    /// A commit has failed: the next one is waited for, and repeated.
    has_failed: bool,
    /// The assigned partitions, each with the number of its assignment.
    assigned: BTreeMap<TopicPartition, u64>,
    assignments: u64,
    /// Whether partitions were taken away, whose batches must not start.
    has_shrunk: bool,
    /// Ends of partitions, after transaction markers that follow the last record.
    ends: Positions,
    /// The next offsets to read, and the committed ones.
    read: Positions,
    committed: Positions,
}

impl BatchCommitter {
    pub(super) fn new(is_verbose: bool) -> BatchCommitter {
        BatchCommitter {
            is_verbose,
            uncommitted: Vec::new(),
            committing: None,
            has_failed: false,
            assigned: BTreeMap::new(),
            assignments: 0,
            has_shrunk: false,
            ends: Positions::new(),
            read: Positions::new(),
            committed: Positions::new(),
        }
    }

    /// Takes a batch whose command has succeeded.
    pub(super) fn add(&mut self, batch: Batch) {
        self.uncommitted.push(batch);
    }

    /// How many batches are not committed yet.
    pub(super) fn batches(&self) -> usize {
        self.uncommitted.len()
    }

    /// Whether a commit waits for its answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.committing.is_some()
    }

    /// The number of a partition's assignment; 0 if it has none.
    pub(super) fn assignment(&self, topic_partition: &TopicPartition) -> u64 {
        self.assigned.get(topic_partition).copied().unwrap_or(0)
    }

    /// Whether partitions were taken away since the last call.
    pub(super) fn take_has_shrunk(&mut self) -> bool {
        std::mem::take(&mut self.has_shrunk)
    }

    /// The next offset of a partition to read.
    pub(super) fn next_offset(&self, topic_partition: &TopicPartition) -> Option<i64> {
        self.read.get(topic_partition).copied()
    }

    /// Where the partitions of a batch stand that has not begun.
    pub(super) fn starts(&self, batch: &Batch) -> Positions {
        batch.starts(&self.assigned)
    }

    /// Makes sure that partitions are this member's, by committing where they stand.
    ///
    /// # Errors
    /// As [`BatchCommitter::commit`].
    pub(super) fn confirm(
        &mut self,
        consumer: &mut Consumer<'_>,
        starts: &Positions,
    ) -> Result<()> {
        match consumer.commit(starts) {
            // The group's event says so later.
            Err(GroupError::Lost { .. }) => self.forget_assignment(),
            confirmed => confirmed?,
        }
        Ok(())
    }

    /// No batch of this assignment may start any more.
    fn forget_assignment(&mut self) {
        self.has_shrunk = true;
        self.assigned.clear();
    }

    /// Whether any partition of the batch is still assigned as it was when the batch was read.
    pub(super) fn is_assigned(&self, batch: &Batch) -> bool {
        batch.is_assigned(&self.assigned)
    }

    pub(super) fn assign(&mut self, partitions: &[TopicPartition]) {
        self.assignments += 1;
        for topic_partition in partitions {
            self.assigned
                .insert(topic_partition.clone(), self.assignments);
            self.read.remove(topic_partition);
            self.committed.remove(topic_partition);
        }
    }

    pub(super) fn revoke(&mut self, partitions: &[TopicPartition]) {
        self.has_shrunk = true;
        for topic_partition in partitions {
            self.assigned.remove(topic_partition);
            self.ends.remove(topic_partition);
            self.read.remove(topic_partition);
        }
    }

    /// Notes that the record at `offset` was read.
    pub(super) fn note_read(&mut self, topic_partition: &TopicPartition, offset: i64) {
        match self.read.get_mut(topic_partition) {
            Some(read) => *read = offset + 1,
            None => drop(self.read.insert(topic_partition.clone(), offset + 1)),
        }
    }

    /// Notes that a partition has no more records before `offset`.
    pub(super) fn note_end(&mut self, topic: &str, partition: i32, offset: i64) {
        self.ends.insert((topic.to_owned(), partition), offset);
    }

    /// Commits the batches whose commands have succeeded. While records are read the answer is not waited for.
    ///
    /// # Errors
    /// The group refuses the commit; the records come again.
    pub(super) fn commit(&mut self, consumer: &mut Consumer<'_>, is_reading: bool) -> Result<()> {
        let may_go_on = is_reading && !self.has_failed;
        if self.uncommitted.is_empty() || may_go_on && self.committing.is_some() {
            return Ok(());
        }
        let batches = self.uncommitted.iter();
        let positions = batches.flat_map(|batch| batch.positions(&self.assigned));
        let positions: Positions = positions.collect();
        if may_go_on && matches!(consumer.member.commit_soon(&positions), Ok(true)) {
            self.committing = Some((self.uncommitted.len(), positions));
            return Ok(());
        }
        // This commit also settles what the one on its way would say.
        (self.committing, self.has_failed) = (None, false);
        let batches = std::mem::take(&mut self.uncommitted);
        match consumer.commit(&positions) {
            Err(GroupError::Lost { .. }) => {
                // The group's event says so later; until then no other batch of this assignment may start.
                self.forget_assignment();
                for batch in batches.iter().map(Batch::describe) {
                    message(format_args!(
                        "the group has given the partitions of a batch away before its commit was confirmed: \
                         its records may be delivered again: {batch}"
                    ));
                }
            }
            committed => {
                committed?;
                self.note_committed(&batches, positions);
            }
        }
        Ok(())
    }

    /// Notes the answer to the commit on its way.
    pub(super) fn commit_ended(&mut self, is_committed: bool) {
        let Some((count, positions)) = self.committing.take() else {
            return;
        };
        self.has_failed = !is_committed;
        if is_committed {
            let batches: Vec<Batch> = self.uncommitted.drain(..count).collect();
            self.note_committed(&batches, positions);
        }
    }

    fn note_committed(&mut self, batches: &[Batch], positions: Positions) {
        self.committed.extend(positions);
        if self.is_verbose {
            for batch in batches.iter().map(Batch::describe) {
                message(format_args!("done: {batch}"));
            }
        }
    }

    /// Commits the ends of partitions whose records are all committed.
    ///
    /// # Errors
    /// As [`BatchCommitter::commit`].
    pub(super) fn commit_ends(&mut self, consumer: &mut Consumer<'_>) -> Result<()> {
        if !self.uncommitted.is_empty() {
            return Ok(());
        }
        let is_done = |topic_partition: &TopicPartition| {
            self.read.get(topic_partition) == self.committed.get(topic_partition)
        };
        let (now, later): (Positions, Positions) = std::mem::take(&mut self.ends)
            .into_iter()
            .partition(|(topic_partition, _)| is_done(topic_partition));
        self.ends = later;
        match consumer.commit(&now) {
            Err(GroupError::Lost { .. }) => Ok(()),
            committed => Ok(committed?),
        }
    }
}
