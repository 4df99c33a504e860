//! What a sink has received, in order, and how much of it is durable. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use super::position::{JSON_START, Lane, Position, cut_offset};

/// How long the last line is held back while nothing follows it.
const HOLD: Duration = Duration::from_millis(25);
/// The same once a record was seen to come as several lines: one of them may be on its way.
const HOLD_REPEATS: Duration = Duration::from_secs(1);

/// A sequence number has so many bits of a [`Receipt`], the lane the others.
const SEQUENCE_BITS: u32 = 40;

/// Names one received line until it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt(pub u64);

impl Receipt {
    fn lane(self) -> usize {
        (self.0 >> SEQUENCE_BITS) as usize
    }

    fn sequence(self) -> u64 {
        self.0 & ((1 << SEQUENCE_BITS) - 1)
    }
}

/// Positions that go back: what stands between changed the order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "position {lane}:{then} came after {before}: what stands between must keep the order of the lines"
)]
pub struct Disorder {
    lane: String,
    before: i64,
    then: i64,
}

/// Everything received that was not yet reported as durable.
#[derive(Debug, Default)]
pub struct Receipts {
    lanes: Vec<Received>,
    /// The lane of the line received last, and so perhaps not the last one of its position.
    current: usize,
    repeats: bool,
    open: usize,
}

#[derive(Debug)]
struct Received {
    /// `session:topic:partition`
    text: Vec<u8>,
    lane: Lane,
    last_offset: i64,
    /// The sequence number of the first line of `lines`.
    first: u64,
    lines: VecDeque<Line>,
}

#[derive(Debug)]
struct Line {
    offset: i64,
    is_durable: bool,
}

impl Receipts {
    /// Notes a line's position, which [`Sink::take`](super::Sink::take) has checked.
    #[inline]
    pub fn receive(&mut self, position: &[u8]) -> Result<Receipt, Disorder> {
        let (text, offset) = cut_offset(position).unwrap_or((position, 0));
        if self
            .lanes
            .get(self.current)
            .is_none_or(|lane| lane.text != text)
        {
            self.current = self.find(text);
        }
        let lane = &mut self.lanes[self.current];
        if offset <= lane.last_offset {
            if offset < lane.last_offset {
                return Err(Disorder {
                    lane: lane.lane.to_string(),
                    before: lane.last_offset,
                    then: offset,
                });
            }
            self.repeats = true;
        }
        lane.last_offset = offset;
        lane.lines.push_back(Line {
            offset,
            is_durable: false,
        });
        self.open += 1;
        let sequence = lane.first + lane.lines.len() as u64 - 1;
        Ok(Receipt((self.current as u64) << SEQUENCE_BITS | sequence))
    }

    #[cold]
    fn find(&mut self, text: &[u8]) -> usize {
        let found = self.lanes.iter().position(|lane| lane.text == text);
        found.unwrap_or_else(|| {
            self.lanes.push(Received {
                text: text.to_vec(),
                lane: Lane::parse(text).unwrap_or_else(|| Lane {
                    session: String::from_utf8_lossy(text).into_owned(),
                    topic: String::new(),
                    partition: 0,
                }),
                last_offset: -1,
                first: 0,
                lines: VecDeque::new(),
            });
            self.lanes.len() - 1
        })
    }

    /// Whether this position, of a line not received yet, is another one than that of the line before.
    pub fn begins_position(&self, position: &[u8]) -> bool {
        let (text, offset) = cut_offset(position).unwrap_or((position, 0));
        self.lanes
            .get(self.current)
            .is_none_or(|lane| lane.text != text || lane.last_offset != offset)
    }

    /// Notes that a line is durable, or that it holds nothing to be made so.
    #[inline]
    pub fn settle(&mut self, receipt: Receipt) {
        let lane = &mut self.lanes[receipt.lane()];
        let index = receipt.sequence().wrapping_sub(lane.first);
        if let Some(line) = lane.lines.get_mut(index as usize) {
            line.is_durable = true;
        }
    }

    /// Notes that everything received is durable: a transaction is committed, say.
    pub fn settle_all(&mut self) {
        let lines = self.lanes.iter_mut().flat_map(|lane| &mut lane.lines);
        lines.for_each(|line| line.is_durable = true);
    }

    /// The positions to acknowledge: of each lane the last one before which, and at which, all is durable.
    ///
    /// `is_last_complete` says that no more lines of the position received last will come, as far as one can know.
    pub fn durable(&mut self, is_last_complete: bool) -> Vec<Position> {
        let mut positions = Vec::new();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            // The position that may go on, if this is its lane.
            let open = (index == self.current && !is_last_complete).then_some(lane.last_offset);
            let mut durable = None;
            while let Some(line) = lane.lines.front()
                && line.is_durable
                && open != Some(line.offset)
            {
                let offset = line.offset;
                lane.lines.pop_front();
                lane.first += 1;
                self.open -= 1;
                // Of several lines with one position the last one counts.
                if lane.lines.front().is_none_or(|next| next.offset != offset) {
                    durable = Some(offset);
                }
            }
            positions.extend(durable.map(|offset| Position {
                lane: lane.lane.clone(),
                offset,
            }));
        }
        positions
    }

    /// The last position received of each lane with lines that are not durable yet.
    pub fn received(&self) -> Vec<Position> {
        let open = self.lanes.iter().filter(|lane| !lane.lines.is_empty());
        open.map(|lane| Position {
            lane: lane.lane.clone(),
            offset: lane.last_offset,
        })
        .collect()
    }

    /// Whether the position received last may go on in `rest`, a line that is not complete yet.
    ///
    /// Only where records were seen to come as several lines: a program that
    /// keeps its output in blocks leaves such a line behind most of the time,
    /// and what is before it must not wait for the next block.
    pub fn may_go_on(&self, rest: &[u8]) -> bool {
        let Some(lane) = self.lanes.get(self.current).filter(|_| self.repeats) else {
            return false;
        };
        let rest = rest.strip_prefix(JSON_START).unwrap_or(rest);
        let mut last = lane.text.clone();
        last.extend_from_slice(format!(":{}", lane.last_offset).as_bytes());
        let known = rest.len().min(last.len());
        !rest.is_empty() && rest[..known] == last[..known]
    }

    /// How many lines were received and not yet reported as durable.
    pub fn open(&self) -> usize {
        self.open
    }

    /// How long to wait for more before the last line counts as the last one of its position.
    pub fn hold(&self) -> Duration {
        if self.repeats { HOLD_REPEATS } else { HOLD }
    }
}
