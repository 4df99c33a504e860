//! The first record that each group has not read in each partition, and since when it waits.

use tools::kafka::admin::{Isolation, Position, first_unread};

use super::ClusterQuery;
use super::group_partitions::{CommittedOffset, GroupPartition};
use super::logs::Logs;
use crate::lag::{self, Log, ReaderIsolation, Unread};

impl ClusterQuery<'_> {
    /// For each partition what is unread, in their order.
    pub(super) fn ask_times(
        &mut self,
        group_partitions: &[GroupPartition],
        logs: &Logs,
    ) -> Vec<Unread> {
        let mut unread = vec![Unread::NotAsked; group_partitions.len()];
        if !self.scope.wants_time {
            return unread;
        }
        let mut owners = Vec::new();
        let mut positions = Vec::new();
        for (index, group_partition) in group_partitions.iter().enumerate() {
            let log = logs.of(&group_partition.topic, group_partition.partition);
            let spans = |log| spans(group_partition, log, self.scope.reader);
            let Some((readable, blocked)) = log.ok().and_then(spans) else {
                continue;
            };
            unread[index] = Unread::Nothing { blocked_ms: None };
            for (position, is_blocked) in [(readable, false), (blocked, true)] {
                if position.offset < position.until {
                    owners.push((index, is_blocked));
                    positions.push(position);
                }
            }
        }
        let (wire, budget) = (&mut self.wire, &mut self.budget);
        let answers = first_unread(wire, &positions, &self.metadata, budget);
        for ((index, is_blocked), answer) in owners.into_iter().zip(answers) {
            let slot = &mut unread[index];
            match answer {
                Ok(Some(record)) if is_blocked => hold_back(slot, record.timestamp_ms),
                Ok(Some(record)) => {
                    *slot = Unread::At {
                        offset: record.offset,
                        timestamp_ms: record.timestamp_ms,
                    };
                }
                Ok(None) => {}
                Err(error) => *slot = Unread::Failed(error.refusal("read")),
            }
        }
        unread
    }
}

/// Only where nothing may be read does it count since when the rest is held back.
fn hold_back(slot: &mut Unread, time_ms: Option<i64>) {
    if let Unread::Nothing { blocked_ms } = slot {
        *blocked_ms = time_ms;
    }
}

/// What the group may read and has not, and what is held back from it; nothing where its position is not known.
fn spans(
    group_partition: &GroupPartition,
    log: Log,
    reader: ReaderIsolation,
) -> Option<(Position, Position)> {
    // Where there is no record, none is unread, whatever was committed.
    let if_empty = (log.start >= log.end).then_some(log.end);
    let (committed, reader) = match group_partition.committed {
        CommittedOffset::At(committed) => (committed.or(if_empty)?, reader),
        // A share group reads all records unless its own configuration says otherwise (share.isolation.level).
        CommittedOffset::Share { first, .. } => (first.or(if_empty)?, ReaderIsolation::Uncommitted),
        CommittedOffset::Failed(_) => return None,
    };
    let end = lag::reader_end(log, committed, reader);
    if committed > log.end {
        return None;
    }
    let from = committed.max(log.start);
    let isolation = match reader {
        ReaderIsolation::Uncommitted => Isolation::ReadUncommitted,
        ReaderIsolation::Presumed if end > log.stable => Isolation::ReadUncommitted,
        ReaderIsolation::Committed | ReaderIsolation::Presumed => Isolation::ReadCommitted,
    };
    let position = |offset, until, isolation| Position {
        topic: group_partition.topic.clone(),
        partition: group_partition.partition,
        offset,
        until,
        isolation,
        not_after_ms: None,
    };
    Some((
        position(from, end, isolation),
        position(from.max(end), log.end, Isolation::ReadUncommitted),
    ))
}
