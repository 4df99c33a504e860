//! Positions that the log does not have: truncated, deleted, or never there.

use super::super::settings::Reset;
use super::partition::{Partition, Position};
use super::{Machine, is_passing};
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::{KafkaError, code};

/// What there is of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka::fetch) struct Log {
    /// The log start.
    pub(in crate::kafka::fetch) first: i64,
    /// The end of what may be read: the last stable offset, or the high watermark.
    pub(in crate::kafka::fetch) stable: i64,
    /// The high watermark.
    pub(in crate::kafka::fetch) high: i64,
}

impl Machine {
    /// The leader's log parts from what was read at `offset`: an unclean election has cut it back (KIP-320).
    pub(super) fn cut_back(&mut self, index: usize, epoch: i32, offset: i64) {
        let partition = &mut self.partitions[index];
        let Position::At {
            offset: read_to, ..
        } = partition.position
        else {
            return;
        };
        let to = read_to.min(offset).max(0);
        if to < read_to {
            let reason = format!(
                "the log was truncated from offset {read_to} to {to}: records that were read are not there any more (auto.offset.reset=latest or earliest reads on)"
            );
            if self.settings.reset == Reset::Error {
                self.give_up(index, KafkaError::new(code::LOG_TRUNCATION, reason));
                return;
            }
            let (topic, id) = self.place(index);
            log::warn!("{topic} [{id}]: {reason}");
        }
        let partition = &mut self.partitions[index];
        partition.position = Position::At { offset: to, epoch };
        partition.told_end = None;
        partition.was_cut = true;
    }

    /// Partitions whose position is to be looked up.
    pub(in crate::kafka::fetch) fn lost(&self) -> Vec<usize> {
        let is_lost = |p: &Partition| !p.is_over && matches!(p.position, Position::Unknown(..));
        let lost = self.partitions.iter().enumerate();
        lost.filter_map(|(index, p)| is_lost(p).then_some(index))
            .collect()
    }

    /// The log of a partition that was lost was looked up.
    pub(in crate::kafka::fetch) fn settle(&mut self, index: usize, log: Log) {
        let partition = &mut self.partitions[index];
        let Position::Unknown(reset, asked) = partition.position else {
            return;
        };
        let to = match (reset, asked) {
            // In the meantime it is there after all.
            (_, Some(asked)) if (log.first..=log.high).contains(&asked) => asked,
            (Reset::Earliest, _) => log.first,
            (Reset::Latest, _) => log.stable,
            (Reset::Error, _) => return self.refuse(index, asked, log),
        };
        partition.position = Position::At {
            offset: to,
            epoch: -1,
        };
        partition.told_end = None;
        // A log that ends before the bound was truncated.
        partition.end = partition.end.map(|end| end.min(log.stable.max(to)));
        let is_contradiction = partition.failures == 3 && asked == Some(to);
        partition.is_over = partition.end.is_some_and(|end| to >= end);
        if is_contradiction {
            let (topic, id) = self.place(index);
            log::warn!(
                "{topic} [{id}]: the broker says that offset {to} is out of range, which is {} to {}; it is asked again",
                log.first,
                log.high
            );
        }
        if let Some(asked) = asked.filter(|&asked| asked != to) {
            let (topic, id) = self.place(index);
            log::warn!(
                "{topic} [{id}]: offset {asked} is out of range, which is {} to {}; reading on at {to}",
                log.first,
                log.high
            );
        }
    }

    fn refuse(&mut self, index: usize, asked: Option<i64>, log: Log) {
        let Some(offset) = asked else {
            let reason = "the group has committed no offset here, and auto.offset.reset is error";
            self.give_up(index, KafkaError::new(code::NO_OFFSET, reason));
            return;
        };
        self.partitions[index].is_over = true;
        let (topic, partition) = self.place(index);
        self.errors.push(ConsumeError::OutOfRange {
            topic: topic.to_owned(),
            partition,
            offset,
            first: log.first,
            next: log.high,
        });
    }

    /// The log of a partition that was lost can't be looked up.
    pub(in crate::kafka::fetch) fn not_settled(&mut self, index: usize, error: &KafkaError) {
        if !is_passing(error.code) {
            self.give_up(index, error.clone());
        }
    }
}
