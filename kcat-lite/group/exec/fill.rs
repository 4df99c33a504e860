//! From records that were read to batches: which batch a record goes into, and when a batch is complete.

use std::ops::ControlFlow;

use anyhow::Context;
use tools::kafka::consume::Item;
use tools::kafka::group::Member;
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use super::{Run, Station};
use crate::group::batch::Batch;
use crate::output::{BadRecord, Refused};

impl Run<'_> {
    /// Takes records that have arrived.
    pub(super) fn read(&mut self, member: &mut Member, wait_ms: i32) -> anyhow::Result<()> {
        let mut failed = None;
        let polled = member.poll(wait_ms, |item| match self.take(&item) {
            Ok(()) if self.left == 0 || self.is_congested() => ControlFlow::Break(()),
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
        if let Some(error) = failed {
            // What came before a bad record is good.
            self.close(|_| true);
            self.settle(member, None)?;
            return Err(error);
        }
        self.heed(member, polled?)
    }

    fn take(&mut self, item: &Item<'_>) -> anyhow::Result<()> {
        self.teller.is_in_contact();
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
        let place = (topic.to_owned(), partition);
        let index = self.station(&place);
        let assignment = self.assigned.get(&place).copied().unwrap_or(0);
        let (exec, station) = (self.exec, &mut self.stations[index].1);
        let batch = match &mut station.open {
            Some(batch) => batch,
            none => none.insert(
                Batch::new().context("cannot keep a batch (in memory, or in a file in TMPDIR)")?,
            ),
        };
        let start = batch.buffer().len();
        let ambiguous = self.encoding.ambiguous();
        let encoded = self.encoding.encode(record, batch.buffer());
        let encoded = match encoded {
            Ok(()) if self.encoding.ambiguous() > ambiguous => Err(Refused::Ambiguous),
            other => other,
        };
        if let Err(reason) = encoded {
            batch.buffer().truncate(start);
            if batch.is_empty() {
                station.open = None;
            }
            return Err(BadRecord::new(record, reason).into());
        }
        batch
            .add(&place, offset, assignment)
            .context("cannot keep a batch (in memory, or in a file in TMPDIR)")?;
        self.read.insert(place, offset + 1);
        self.left -= 1;
        if batch.is_full(exec) && station.ready.is_none() {
            station.ready = station.open.take();
        }
        Ok(())
    }

    fn station(&mut self, place: &TopicPartition) -> usize {
        let is_shared = self.exec.parallel == 1;
        let is_it = |key: &Option<TopicPartition>| is_shared || key.as_ref() == Some(place);
        let found = self.stations.iter().position(|(key, _)| is_it(key));
        found.unwrap_or_else(|| {
            let key = (!is_shared).then(|| place.clone());
            self.stations.push((key, Station::default()));
            self.stations.len() - 1
        })
    }

    /// Whether a record might come that has no room.
    pub(super) fn is_congested(&self) -> bool {
        let is_full = |batch: &Batch| batch.is_full(self.exec);
        self.stations
            .iter()
            .any(|(_, station)| station.open.as_ref().is_some_and(is_full))
    }

    /// Makes batches complete that are open and meet `which`.
    pub(super) fn close(&mut self, which: impl Fn(&Batch) -> bool) {
        for (_, station) in &mut self.stations {
            if station.ready.is_none() && station.open.as_ref().is_some_and(&which) {
                station.ready = station.open.take();
            }
        }
    }
}
