//! The queues of `--exec`, one for each partition with `--parallel` and else one for all, and the memory that they share.

use tools::kafka::types::TopicPartition;

use super::batch::Batch;
use super::batch_committer::BatchCommitter;
use super::batch_queue::{BatchQueue, Running};
use super::consumer::Consumer;
use crate::config::Exec;

/// The memory for complete batches that wait for their commands with `--parallel`, about; partitions have equal shares.
const WAITING_BYTES: u64 = 64 * 1024 * 1024;

pub(super) struct BatchQueues<'a> {
    exec: &'a Exec,
    queues: Vec<(Option<TopicPartition>, BatchQueue)>,
    /// The partition of the last record, likely that of the next one, and its queue.
    last: TopicPartition,
    index: usize,
}

impl<'a> BatchQueues<'a> {
    pub(super) fn new(exec: &'a Exec) -> BatchQueues<'a> {
        BatchQueues {
            exec,
            queues: Vec::new(),
            last: (String::new(), -1),
            index: 0,
        }
    }

    /// The queue for a record of this partition, and the partition.
    pub(super) fn of_record(
        &mut self,
        topic: &str,
        partition: i32,
    ) -> (&TopicPartition, &mut BatchQueue) {
        if self.last.1 != partition || self.last.0 != topic {
            self.last = (topic.to_owned(), partition);
            self.index = self.find_or_add();
        }
        (&self.last, &mut self.queues[self.index].1)
    }

    fn find_or_add(&mut self) -> usize {
        let is_shared = self.exec.parallel == 1;
        let is_it = |key: &Option<TopicPartition>| is_shared || key.as_ref() == Some(&self.last);
        let found = self.queues.iter().position(|(key, _)| is_it(key));
        found.unwrap_or_else(|| {
            let key = (!is_shared).then(|| self.last.clone());
            self.queues.push((key, BatchQueue::default()));
            self.queues.len() - 1
        })
    }

    /// Completes the batch of the last record, which is full; false if there is no room for it.
    pub(super) fn complete_last(&mut self) -> bool {
        let has_room = self.has_room(&self.queues[self.index].1);
        if has_room {
            self.queues[self.index].1.complete();
        }
        has_room
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &BatchQueue> {
        self.queues.iter().map(|(_, queue)| queue)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut BatchQueue> {
        self.queues.iter_mut().map(|(_, queue)| queue)
    }

    /// The queues that may hold records of these partitions: those of one of them, or the one of all.
    pub(super) fn of_partitions(
        &mut self,
        partitions: &[TopicPartition],
    ) -> impl Iterator<Item = &mut BatchQueue> {
        let queues = self.queues.iter_mut();
        let concerned = queues.filter(|(key, _)| is_of(key.as_ref(), Some(partitions)));
        concerned.map(|(_, queue)| queue)
    }

    /// The running commands, and those that wait for a retry.
    pub(super) fn running(&self) -> impl Iterator<Item = &Running> {
        self.iter().filter_map(|queue| queue.running.as_ref())
    }

    /// Whether nothing of these partitions, or of all, waits or runs.
    pub(super) fn is_idle(&self, partitions: Option<&[TopicPartition]>) -> bool {
        let mut queues = self.queues.iter();
        queues.all(|(key, queue)| queue.is_idle() || !is_of(key.as_ref(), partitions))
    }

    /// The queue whose next batch has waited for longest, of those that run none.
    pub(super) fn oldest(&mut self) -> Option<&mut BatchQueue> {
        let waiting = self
            .iter_mut()
            .filter_map(|queue| Some((queue.next()?.begun(), queue)));
        let oldest = waiting.min_by_key(|(begun, _)| *begun);
        oldest.map(|(_, queue)| queue)
    }

    /// Completes the open batches that `which` selects, as long as there is room.
    pub(super) fn close(&mut self, which: impl Fn(&Batch) -> bool) {
        for index in 0..self.queues.len() {
            let queue = &self.queues[index].1;
            if queue.open.as_ref().is_some_and(&which) && self.has_room(queue) {
                self.queues[index].1.complete();
            }
        }
    }

    /// Drops the batches that no command runs on and that `which` selects; returns their number of records.
    pub(super) fn drop_waiting(&mut self, which: impl Fn(&Batch) -> bool) -> u64 {
        self.iter_mut()
            .map(|queue| queue.drop_waiting(&which))
            .sum()
    }

    /// The same of all batches of these partitions, where they have queues of their own.
    pub(super) fn drop_waiting_of(&mut self, partitions: &[TopicPartition]) -> u64 {
        if self.exec.parallel == 1 {
            return 0;
        }
        let queues = self.of_partitions(partitions);
        queues.map(|queue| queue.drop_waiting(|_| true)).sum()
    }

    /// Whether one more complete batch of a queue may wait for its command. One is enough where they run one after the
    /// other. Else the records of a partition come in large blocks, which must not keep other partitions from being read.
    fn has_room(&self, queue: &BatchQueue) -> bool {
        let waiting = queue.ready_bytes();
        if self.exec.parallel == 1 {
            return waiting == 0;
        }
        let all: u64 = self.iter().map(BatchQueue::ready_bytes).sum();
        (waiting == 0 || waiting < self.share_bytes()) && all < WAITING_BYTES
    }

    fn share_bytes(&self) -> u64 {
        WAITING_BYTES / self.queues.len().max(1) as u64
    }

    /// Pauses partitions for whose full batches there is no room, and reads those again that have half of their share.
    pub(super) fn pause_and_resume(
        &mut self,
        consumer: &mut Consumer<'_>,
        committer: &BatchCommitter,
    ) {
        for index in 0..self.queues.len() {
            let queue = &self.queues[index].1;
            let is_full = queue.is_full(self.exec);
            let pauses = is_full && !self.has_room(queue);
            let resumes = !is_full && queue.ready_bytes() <= self.share_bytes() / 2;
            let (Some(topic_partition), queue) = &mut self.queues[index] else {
                continue;
            };
            if queue.is_paused && resumes {
                consumer.member.resume(topic_partition);
                queue.is_paused = false;
            } else if !queue.is_paused
                && pauses
                && let Some(offset) = committer.next_offset(topic_partition)
            {
                queue.is_paused = consumer.member.pause(topic_partition, offset);
            }
        }
    }

    /// Whether a batch is full, there is no room for it, and its partition can't be paused alone.
    pub(super) fn is_congested(&self) -> bool {
        let is_full = |queue: &&BatchQueue| queue.is_full(self.exec) && !queue.is_paused;
        self.iter()
            .filter(is_full)
            .any(|queue| !self.has_room(queue))
    }
}

/// Whether a queue may hold records of these partitions: that of one of them, or of all.
fn is_of(key: Option<&TopicPartition>, partitions: Option<&[TopicPartition]>) -> bool {
    match (key, partitions) {
        (Some(key), Some(partitions)) => partitions.contains(key),
        _ => true,
    }
}
