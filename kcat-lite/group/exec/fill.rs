//! Adds records to batches, and decides when a batch is complete.

use std::ops::ControlFlow;

use anyhow::Context;
use tools::kafka::consume::Item;
use tools::kafka::group::Member;
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use super::{BatchQueue, BatchRunner};
use crate::group::batch::Batch;
use crate::output::{BadRecord, EncodeRefusal};

impl BatchRunner<'_> {
    /// Reads records that have arrived.
    pub(super) fn read(&mut self, member: &mut Member, wait_ms: i32) -> anyhow::Result<()> {
        let mut failed = None;
        let mut visitor = |item: Item<'_>| match self.take(&item) {
            Ok(()) if self.left == 0 || self.is_congested() => ControlFlow::Break(()),
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        };
        let polled = member.poll(wait_ms, &mut visitor);
        if let Some(error) = failed {
            // What came before a bad record is good.
            self.close(|_| true);
            self.run_to_end(member, None)?;
            return Err(error);
        }
        self.handle_event(member, polled?)
    }

    fn take(&mut self, item: &Item<'_>) -> anyhow::Result<()> {
        self.status.is_in_contact();
        match *item {
            Item::Record(record) => self.add(record)?,
            Item::End {
                topic,
                partition,
                offset,
            } => {
                self.passed.insert((topic.to_owned(), partition), offset);
            }
        }
        Ok(())
    }

    fn add(&mut self, record: &Record<'_>) -> anyhow::Result<()> {
        let (Some(topic), Some(partition), Some(offset)) =
            (record.topic, record.partition, record.offset)
        else {
            anyhow::bail!("a record without a place");
        };
        if self.topic_partition.1 != partition || self.topic_partition.0 != topic {
            self.topic_partition = (topic.to_owned(), partition);
            self.queue = self.find_queue();
        }
        let topic_partition = &self.topic_partition;
        let assignment = self.assigned.get(topic_partition).copied().unwrap_or(0);
        let (exec, queue) = (self.exec, &mut self.queues[self.queue].1);
        let batch = match &mut queue.open {
            Some(batch) => batch,
            none => none.insert(
                Batch::new().context("cannot keep a batch (in memory, or in a file in TMPDIR)")?,
            ),
        };
        let start = batch.buffer().len();
        let ambiguous = self.encoding.ambiguous();
        let encoded = self.encoding.encode(record, batch.buffer());
        let encoded = match encoded {
            Ok(()) if self.encoding.ambiguous() > ambiguous => Err(EncodeRefusal::Ambiguous),
            other => other,
        };
        if let Err(reason) = encoded {
            batch.buffer().truncate(start);
            if batch.is_empty() {
                queue.open = None;
            }
            return Err(BadRecord::new(record, reason).into());
        }
        batch
            .add(topic_partition, offset, assignment)
            .context("cannot keep a batch (in memory, or in a file in TMPDIR)")?;
        match self.read.get_mut(topic_partition) {
            Some(read) => *read = offset + 1,
            None => drop(self.read.insert(topic_partition.clone(), offset + 1)),
        }
        self.left -= 1;
        if batch.is_full(exec) && queue.ready.is_none() {
            queue.ready = queue.open.take();
        }
        Ok(())
    }

    /// The queue of the current partition.
    fn find_queue(&mut self) -> usize {
        let topic_partition = &self.topic_partition;
        let is_shared = self.exec.parallel == 1;
        let is_it =
            |key: &Option<TopicPartition>| is_shared || key.as_ref() == Some(topic_partition);
        let found = self.queues.iter().position(|(key, _)| is_it(key));
        found.unwrap_or_else(|| {
            let key = (!is_shared).then(|| topic_partition.clone());
            self.queues.push((key, BatchQueue::default()));
            self.queues.len() - 1
        })
    }

    /// Whether an open batch is full, so that reading must pause.
    pub(super) fn is_congested(&self) -> bool {
        let is_full = |batch: &Batch| batch.is_full(self.exec);
        self.queues
            .iter()
            .any(|(_, queue)| queue.open.as_ref().is_some_and(is_full))
    }

    /// Completes the open batches that `which` selects.
    pub(super) fn close(&mut self, which: impl Fn(&Batch) -> bool) {
        for (_, queue) in &mut self.queues {
            if queue.ready.is_none() && queue.open.as_ref().is_some_and(&which) {
                queue.ready = queue.open.take();
            }
        }
    }
}
