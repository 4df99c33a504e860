//! Doubtful ends of logs, settled by reading: forwards from the log start, and backwards from the end.

use std::ops::ControlFlow;

use tools::kafka::KafkaError;
use tools::kafka::batch::BatchDecoder;
use tools::kafka::cluster::{Isolation, Piece, Position, first_unread};
use tools::kafka::error::code;
use tools::units::CLOCK_TOLERANCE_MS;

use crate::ends::{Leader, Open, unreadable};
use crate::facts::{Extent, Message};

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
pub(crate) struct Forwards {
    /// Which of the open partitions.
    pub(crate) index: usize,
    /// Where to read on.
    pub(crate) offset: i64,
    /// Where there is nothing more that is settled.
    pub(crate) until: i64,
}

/// A partition whose last messages are looked for, from one stretch back to the one before it.
pub(crate) struct Backwards {
    /// Which of the open partitions.
    index: usize,
    /// Where this stretch began, and where the one after it did, which is where this one ends.
    from: i64,
    until: i64,
    /// Where to read on in it.
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
    Settled(Option<Message>),
    /// There is more to read.
    GoesOn(Backwards),
}

impl Backwards {
    /// The last messages of a log.
    pub(crate) fn new(index: usize, extent: &Extent) -> Backwards {
        let from = (extent.end - LAST_OFFSETS).max(extent.log_start);
        Backwards::stretch(index, from, extent.end)
    }

    /// The last messages of a log that are not dated later than this.
    pub(crate) fn not_after(index: usize, extent: &Extent, not_after_ms: i64) -> Backwards {
        Backwards {
            not_after_ms: Some(not_after_ms),
            ..Backwards::new(index, extent)
        }
    }

    fn stretch(index: usize, from: i64, until: i64) -> Backwards {
        Backwards {
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
        piece: &Piece,
        extent: &Extent,
        decoder: &mut BatchDecoder,
    ) -> Result<Step, KafkaError> {
        let (from, until) = (self.from, self.until);
        let latest_ms = self.not_after_ms;
        let newest = &mut self.newest;
        let met = piece
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
        match met.next_offset {
            Some(next) => self.at = next.max(self.at + 1),
            None if self.at >= piece.last_stable => self.at = until,
            None if self.limit_bytes >= LIMIT_BYTES => {
                let reason = format!("the batch at offset {} does not come", self.at);
                return Err(KafkaError::new(code::BAD_MESSAGE, reason));
            }
            None => self.limit_bytes = self.limit_bytes.saturating_mul(MORE).min(LIMIT_BYTES),
        }
        if self.at < until.min(piece.last_stable) {
            return Ok(Step::GoesOn(self));
        }
        if self.newest.is_some() || from <= extent.log_start {
            return Ok(Step::Settled(self.newest));
        }
        if self.not_after_ms.is_some() && extent.end - from >= FURTHEST {
            return Ok(Step::Settled(None));
        }
        let width = (extent.end - from).saturating_mul(FURTHER);
        let further = (extent.end - width).max(extent.log_start);
        Ok(Step::GoesOn(Backwards {
            not_after_ms: self.not_after_ms,
            ..Backwards::stretch(self.index, further, from)
        }))
    }
}

/// Reads on from the given offsets until a message comes: the first one.
pub(crate) fn settle_first(
    leader: &mut Leader<'_, '_>,
    open: &mut [Open<'_>],
    doubtful: &[Forwards],
) {
    let doubtful: Vec<&Forwards> = doubtful
        .iter()
        .filter(|one| open[one.index].error.is_none())
        .collect();
    let positions: Vec<Position> = doubtful
        .iter()
        .map(|one| Position {
            topic: open[one.index].topic.into(),
            partition: open[one.index].partition,
            offset: one.offset,
            until: one.until,
            isolation: Isolation::ReadCommitted,
            not_after_ms: None,
        })
        .collect();
    let answers = first_unread(leader.wire, &positions, leader.cluster, leader.patience);
    for (one, answer) in doubtful.into_iter().zip(answers) {
        let open = &mut open[one.index];
        match answer {
            Ok(found) => {
                open.extent.oldest = found.map(|record| Message {
                    offset: record.offset,
                    time_ms: record.timestamp_ms,
                });
            }
            Err(error) => open.fail(error),
        }
    }
}

/// Looks for the messages that are not dated ahead, in the logs whose newest one is.
pub(crate) fn settle_past(
    leader: &mut Leader<'_, '_>,
    open: &mut [Open<'_>],
    now_ms: i64,
    decoder: &mut BatchDecoder,
) {
    let latest_ms = now_ms.saturating_add(CLOCK_TOLERANCE_MS);
    let mut firsts = Vec::new();
    let mut positions = Vec::new();
    let mut lasts = Vec::new();
    for (index, one) in open.iter().enumerate() {
        let extent = &one.extent;
        if one.error.is_some() || !extent.reaches_ahead(now_ms) {
            continue;
        }
        lasts.push(Backwards::not_after(index, extent, latest_ms));
        if let Some(oldest) = extent.oldest.filter(|oldest| oldest.is_ahead(now_ms)) {
            firsts.push(index);
            positions.push(Position {
                topic: one.topic.into(),
                partition: one.partition,
                offset: oldest.offset + 1,
                until: extent.end,
                isolation: Isolation::ReadCommitted,
                not_after_ms: Some(latest_ms),
            });
        }
    }
    let answers = first_unread(leader.wire, &positions, leader.cluster, leader.patience);
    for (index, answer) in firsts.into_iter().zip(answers) {
        let found = answer.ok().flatten();
        open[index].extent.past.oldest = found.map(|record| Message {
            offset: record.offset,
            time_ms: record.timestamp_ms,
        });
    }
    settle_newest(leader, open, lasts, decoder);
}

/// Reads backwards from the end, in growing steps, until there is a message: of what was read the one with the latest time.
pub(crate) fn settle_newest(
    leader: &mut Leader<'_, '_>,
    open: &mut [Open<'_>],
    mut doubtful: Vec<Backwards>,
    decoder: &mut BatchDecoder,
) {
    doubtful.retain(|one| open[one.index].error.is_none());
    while !doubtful.is_empty() && !(leader.patience.interrupted())() {
        let rest = doubtful.split_off(doubtful.len().min(IN_ONE_REQUEST * AT_ONCE));
        let mut left = Vec::new();
        for (one, piece) in read(leader, open, doubtful) {
            let (index, is_past) = (one.index, one.not_after_ms.is_some());
            let open = &mut open[index];
            match piece.and_then(|piece| one.step(&piece, &open.extent, decoder)) {
                Ok(Step::Settled(message)) if is_past => open.extent.past.newest = message,
                Ok(Step::Settled(message)) => open.extent.newest = message,
                Ok(Step::GoesOn(one)) => left.push(one),
                // The age of what is not dated ahead is then unknown, and everything else is known.
                Err(_) if is_past => {}
                Err(error) => open.fail(error),
            }
        }
        left.extend(rest);
        doubtful = left;
    }
}

/// The next piece of each partition.
fn read(
    leader: &mut Leader<'_, '_>,
    open: &[Open<'_>],
    doubtful: Vec<Backwards>,
) -> Vec<(Backwards, Result<Piece, KafkaError>)> {
    let place = |one: &Backwards| open[one.index].place(one.at, one.limit_bytes);
    let lists: Vec<Vec<_>> = doubtful
        .chunks(IN_ONE_REQUEST)
        .map(|chunk| chunk.iter().map(place).collect())
        .collect();
    let answers = leader.pieces(&lists);
    doubtful
        .into_iter()
        .zip(answers.into_iter().flatten())
        .collect()
}
