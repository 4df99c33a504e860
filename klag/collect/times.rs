//! The first record that each group has not read in each partition, and since when it waits.

use tools::kafka::KafkaError;
use tools::kafka::admin::{FirstRecord, Isolation, Position, first_unread, times_of};
use tools::kafka::error::code;

use super::ClusterQuery;
use super::group_partitions::{CommittedOffset, GroupPartition};
use super::logs::Logs;
use crate::lag::{self, Log, ReaderIsolation, Unread};

type Answer = Result<Option<FirstRecord>, KafkaError>;

impl ClusterQuery<'_> {
    /// For each partition what is unread, in their order.
    pub(super) fn ask_times(
        &mut self,
        group_partitions: &[GroupPartition],
        logs: &Logs,
        now_ms: i64,
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
        let mut answers = first_unread(wire, &positions, &self.metadata, budget);
        let times = self.look_up_unreadable(&positions, &mut answers, now_ms);
        for (((index, is_blocked), answer), time) in owners.into_iter().zip(answers).zip(times) {
            let slot = &mut unread[index];
            match (time, answer) {
                (Some(time_ms), _) if is_blocked => hold_back(slot, Some(time_ms)),
                (Some(time_ms), _) => *slot = Unread::Dated { time_ms },
                (None, Ok(Some(record))) if is_blocked => hold_back(slot, record.timestamp_ms),
                (None, Ok(Some(record))) => {
                    *slot = Unread::At {
                        offset: record.offset,
                        timestamp_ms: record.timestamp_ms,
                    };
                }
                (None, Ok(None)) => {}
                (None, Err(error)) => *slot = Unread::Failed(error.to_string()),
            }
        }
        unread
    }

    fn look_up_unreadable(
        &mut self,
        positions: &[Position],
        answers: &mut [Answer],
        now_ms: i64,
    ) -> Vec<Option<i64>> {
        let mut times: Vec<Option<i64>> = vec![None; positions.len()];
        let is_refused = |answer: &Answer| {
            let error = answer.as_ref().err();
            error.is_some_and(|error| error.code == code::TOPIC_AUTHORIZATION_FAILED)
        };
        let refused: Vec<usize> = (0..positions.len())
            .filter(|&index| is_refused(&answers[index]))
            .collect();
        if refused.is_empty() {
            return times;
        }
        let asked: Vec<Position> = refused.iter().map(|&i| positions[i].clone()).collect();
        let (wire, budget) = (&mut self.wire, &mut self.budget);
        let found = times_of(wire, &asked, &self.metadata, now_ms, budget);
        for (index, found) in refused.into_iter().zip(found) {
            match found {
                Ok(time_ms) => times[index] = Some(time_ms),
                Err(error) => answers[index] = Err(error),
            }
        }
        times
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
