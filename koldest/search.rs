//! Doubtful ends of logs, settled by reading: forwards from the log start, and backwards from the end.

use std::ops::ControlFlow;

use tools::kafka::KafkaError;
use tools::kafka::admin::{Isolation, PartitionBatches, Position, first_unread};
use tools::kafka::batch::BatchDecoder;
use tools::kafka::error::code;
use tools::units::CLOCK_TOLERANCE_MS;

use crate::leader::{LeaderClient, NonEmptyLog, unreadable};
use crate::partition_state::{LogBounds, Message};

/// What is asked of a partition at first: most batches fit.
const FIRST_BYTES: i32 = 64 * 1024;
/// The largest batch that is waited for.
pub(crate) const LIMIT_BYTES: i32 = 128 * 1024 * 1024;
/// By how much more is asked for where it did not fit.
const MORE: i32 = 16;
/// Partitions of one request, so that their bytes fit into one answer.
const IN_ONE_REQUEST: usize = 512;
/// Requests under way at once, so that their answers fit into memory.
const AT_ONCE: usize = 4;
/// Offsets before the end that are read first: a marker and a message.
const LAST_OFFSETS: i64 = 2;
/// By how much further back it is read where there was no message.
const FURTHER: i64 = 32;
/// How far back it is looked for a message that is not dated ahead.
const FURTHEST: i64 = 100_000;

/// A partition whose first message is looked for.
pub(crate) struct ForwardSearch {
    pub(crate) index: usize,
    pub(crate) offset: i64,
    /// Where there is nothing more that is settled.
    pub(crate) until: i64,
}

/// A partition whose last messages are looked for, from one stretch back to the one before it.
pub(crate) struct BackwardSearch {
    index: usize,
    /// Where this stretch began, and where the one after it did, which is where this one ends.
    from: i64,
    until: i64,
    at: i64,
    limit_bytes: i32,
    /// Messages that are dated later do not count.
    not_after_ms: Option<i64>,
    /// The newest message of what was read of it.
    newest: Option<Message>,
}

/// What became of a partition after one more piece.
enum Step {
    /// It is settled: this is its message, if there is one.
    Found(Option<Message>),
    /// There is more to read.
    Continue(BackwardSearch),
}

impl BackwardSearch {
    /// The last messages of a log.
    pub(crate) fn new(index: usize, bounds: &LogBounds) -> BackwardSearch {
        let from = (bounds.end - LAST_OFFSETS).max(bounds.log_start);
        BackwardSearch::stretch(index, from, bounds.end)
    }

    /// The last messages of a log that are not dated later than this.
    pub(crate) fn not_after(index: usize, bounds: &LogBounds, not_after_ms: i64) -> BackwardSearch {
        BackwardSearch {
            not_after_ms: Some(not_after_ms),
            ..BackwardSearch::new(index, bounds)
        }
    }

    fn stretch(index: usize, from: i64, until: i64) -> BackwardSearch {
        BackwardSearch {
            index,
            from,
            until,
            at: from,
            limit_bytes: FIRST_BYTES,
            not_after_ms: None,
            newest: None,
        }
    }

    /// Takes what a piece has, and says what comes next.
    fn step(
        mut self,
        batches: &PartitionBatches,
        bounds: &LogBounds,
        decoder: &mut BatchDecoder,
    ) -> Result<Step, KafkaError> {
        let (from, until) = (self.from, self.until);
        let latest_ms = self.not_after_ms;
        let newest = &mut self.newest;
        let summary = batches
            .messages(from, decoder, |record| {
                if record.offset >= until {
                    return ControlFlow::Break(());
                }
                if latest_ms.is_some_and(|latest| record.timestamp_ms > latest) {
                    return ControlFlow::Continue(());
                }
                let message = Message::new(record.offset, record.timestamp_ms);
                if newest.is_none_or(|known| known.time_ms <= message.time_ms) {
                    *newest = Some(message);
                }
                ControlFlow::Continue(())
            })
            .map_err(|error| unreadable(&error))?;
        match summary.next_offset {
            Some(next) => self.at = next.max(self.at + 1),
            None if self.at >= batches.last_stable => self.at = until,
            None if self.limit_bytes >= LIMIT_BYTES => {
                let reason = format!("the batch at offset {} does not come", self.at);
                return Err(KafkaError::new(code::BAD_MESSAGE, reason));
            }
            None => self.limit_bytes = self.limit_bytes.saturating_mul(MORE).min(LIMIT_BYTES),
        }
        if self.at < until.min(batches.last_stable) {
            return Ok(Step::Continue(self));
        }
        if self.newest.is_some() || from <= bounds.log_start {
            return Ok(Step::Found(self.newest));
        }
        if self.not_after_ms.is_some() && bounds.end - from >= FURTHEST {
            return Ok(Step::Found(None));
        }
        let width = (bounds.end - from).saturating_mul(FURTHER);
        let further = (bounds.end - width).max(bounds.log_start);
        Ok(Step::Continue(BackwardSearch {
            not_after_ms: self.not_after_ms,
            ..BackwardSearch::stretch(self.index, further, from)
        }))
    }
}

/// Reads on from the given offsets until a message comes: the first one.
pub(crate) fn find_first(
    leader: &mut LeaderClient<'_, '_>,
    logs: &mut [NonEmptyLog<'_>],
    candidates: &[ForwardSearch],
) {
    let candidates: Vec<&ForwardSearch> = candidates
        .iter()
        .filter(|search| logs[search.index].error.is_none())
        .collect();
    let positions: Vec<Position> = candidates
        .iter()
        .map(|search| Position {
            topic: logs[search.index].topic.into(),
            partition: logs[search.index].partition,
            offset: search.offset,
            until: search.until,
            isolation: Isolation::ReadCommitted,
            not_after_ms: None,
        })
        .collect();
    let answers = first_unread(leader.wire, &positions, leader.cluster, leader.budget);
    for (search, answer) in candidates.into_iter().zip(answers) {
        let log = &mut logs[search.index];
        match answer {
            Ok(found) => {
                log.bounds.oldest = found.map(|record| Message {
                    offset: record.offset,
                    time_ms: record.timestamp_ms,
                });
            }
            Err(error) => log.fail(error),
        }
    }
}

/// Looks for the messages that are not dated ahead, in the logs whose newest one is.
pub(crate) fn find_past(
    leader: &mut LeaderClient<'_, '_>,
    logs: &mut [NonEmptyLog<'_>],
    now_ms: i64,
    decoder: &mut BatchDecoder,
) {
    let latest_ms = now_ms.saturating_add(CLOCK_TOLERANCE_MS);
    let mut firsts = Vec::new();
    let mut positions = Vec::new();
    let mut lasts = Vec::new();
    for (index, log) in logs.iter().enumerate() {
        let bounds = &log.bounds;
        if log.error.is_some() || !bounds.reaches_ahead(now_ms) {
            continue;
        }
        lasts.push(BackwardSearch::not_after(index, bounds, latest_ms));
        if let Some(oldest) = bounds.oldest.filter(|oldest| oldest.is_ahead(now_ms)) {
            firsts.push(index);
            positions.push(Position {
                topic: log.topic.into(),
                partition: log.partition,
                offset: oldest.offset + 1,
                until: bounds.end,
                isolation: Isolation::ReadCommitted,
                not_after_ms: Some(latest_ms),
            });
        }
    }
    let answers = first_unread(leader.wire, &positions, leader.cluster, leader.budget);
    for (index, answer) in firsts.into_iter().zip(answers) {
        let found = answer.ok().flatten();
        logs[index].bounds.past.oldest = found.map(|record| Message {
            offset: record.offset,
            time_ms: record.timestamp_ms,
        });
    }
    find_newest(leader, logs, lasts, decoder);
}

/// Reads backwards from the end, in growing steps, until there is a message: of what was read the one with the latest time.
pub(crate) fn find_newest(
    leader: &mut LeaderClient<'_, '_>,
    logs: &mut [NonEmptyLog<'_>],
    mut candidates: Vec<BackwardSearch>,
    decoder: &mut BatchDecoder,
) {
    candidates.retain(|search| logs[search.index].error.is_none());
    while !candidates.is_empty() && !(leader.budget.interrupted())() {
        let rest = candidates.split_off(candidates.len().min(IN_ONE_REQUEST * AT_ONCE));
        let mut left = Vec::new();
        for (search, batches) in read(leader, logs, candidates) {
            let (index, is_past) = (search.index, search.not_after_ms.is_some());
            let log = &mut logs[index];
            match batches.and_then(|batches| search.step(&batches, &log.bounds, decoder)) {
                Ok(Step::Found(message)) if is_past => log.bounds.past.newest = message,
                Ok(Step::Found(message)) => log.bounds.newest = message,
                Ok(Step::Continue(search)) => left.push(search),
                // The age of what is not dated ahead is then unknown, and everything else is known.
                Err(_) if is_past => {}
                Err(error) => log.fail(error),
            }
        }
        left.extend(rest);
        candidates = left;
    }
}

/// The next piece of each partition.
fn read(
    leader: &mut LeaderClient<'_, '_>,
    logs: &[NonEmptyLog<'_>],
    candidates: Vec<BackwardSearch>,
) -> Vec<(BackwardSearch, Result<PartitionBatches, KafkaError>)> {
    let place = |search: &BackwardSearch| logs[search.index].place(search.at, search.limit_bytes);
    let lists: Vec<Vec<_>> = candidates
        .chunks(IN_ONE_REQUEST)
        .map(|chunk| chunk.iter().map(place).collect())
        .collect();
    let answers = leader.peek(&lists);
    candidates
        .into_iter()
        .zip(answers.into_iter().flatten())
        .collect()
}
