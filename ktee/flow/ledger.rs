//! `--ack`: which lines of the input are durable everywhere, and the socket on which their source hears it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tools::ack::{Arrival, Lane, Position, Receipt, Receipts, Shape, Sink, SinkKind};
use tools::cli::signals::Signals;
use tools::record::Format;

use super::End;

/// How long the source is looked for.
const CONNECT: Duration = Duration::from_secs(10);

/// A line with its position taken off.
pub(super) struct Received<'a> {
    /// Names the line until it is durable.
    pub(super) receipt: u64,
    /// The line; none where it was its position alone.
    pub(super) record: Option<Cow<'a, [u8]>>,
    /// Set where the partition comes under another session than before.
    pub(super) begins: Option<Lane>,
}

/// What was received and is not acknowledged yet.
pub(super) struct Ledger {
    link: Sink,
    shape: Shape,
    receipts: Receipts,
    /// How many places have to make a line durable.
    places: usize,
    /// Ranges of receipts by what they wait for: a place, and a ticket of its own.
    waiting: HashMap<(usize, u64), Vec<(u64, u64)>>,
    /// By how many places a line is still awaited, where there are several.
    awaited: HashMap<u64, usize>,
    /// The lane of the line before, as text, and the session of each partition.
    lane: Vec<u8>,
    sessions: HashMap<(String, i32), String>,
}

impl Ledger {
    /// Finds the source. `is_segment` says that nothing is doubled when lines come again.
    pub(super) fn open(
        path: &Path,
        format: &Format,
        is_segment: bool,
        places: usize,
        signals: &Signals,
    ) -> Result<Ledger> {
        let kind = if is_segment {
            SinkKind::Segment
        } else {
            SinkKind::Plain
        };
        let link = Sink::connect(path, kind, CONNECT, &|| signals.caught().is_some())?;
        Ok(Ledger {
            link,
            shape: match format {
                Format::Json(_) => Shape::Json,
                _ => Shape::Tsv,
            },
            receipts: Receipts::default(),
            places,
            waiting: HashMap::new(),
            awaited: HashMap::new(),
            lane: Vec::new(),
            sessions: HashMap::new(),
        })
    }

    /// How long the input has to be idle before the last line counts as whole.
    pub(super) fn hold_back(&self) -> Duration {
        self.receipts.hold()
    }

    /// Whether anything was received that is not acknowledged yet.
    pub(super) fn is_open(&self) -> bool {
        self.receipts.open() > 0
    }

    /// Tells the source now and then that what it waits for is waited for here as well. Called often.
    pub(super) fn hold(&mut self) {
        if self.is_open() {
            self.link.hold();
        }
    }

    /// Hears the source, and says how many bytes of `buffer` are lines that may be used.
    pub(super) fn settled(&mut self, buffer: &[u8], arrival: Arrival) -> Result<usize> {
        self.link.hear()?;
        Ok(self.link.settled(buffer, arrival, self.shape))
    }

    /// Partitions that the source has given back.
    pub(super) fn take_released(&mut self) -> Vec<Lane> {
        self.link.take_released()
    }

    /// Takes the position off a line.
    pub(super) fn receive<'a>(&mut self, line: &'a [u8]) -> Result<Received<'a>> {
        let taken = self.link.take(line, self.shape)?;
        let receipt = self.receipts.receive(taken.position)?;
        if taken.record.is_none() {
            self.receipts.settle(receipt);
        }
        let colon = memchr::memrchr(b':', taken.position).unwrap_or(0);
        let text = &taken.position[..colon];
        Ok(Received {
            receipt: receipt.0,
            record: taken.record,
            begins: (text != self.lane).then(|| self.enter(text)).flatten(),
        })
    }

    /// Notes the lane of a line; tells it where its partition was under another session before.
    #[cold]
    fn enter(&mut self, text: &[u8]) -> Option<Lane> {
        self.lane = text.to_vec();
        let lane = Lane::parse(text)?;
        let key = (lane.topic.clone(), lane.partition);
        let before = self.sessions.insert(key, lane.session.clone());
        before
            .is_some_and(|before| before != lane.session)
            .then_some(lane)
    }

    /// A line has to become durable in one place more, which will say so by [`Ledger::settle_line`].
    pub(super) fn expect(&mut self, receipt: u64) {
        if self.places > 1 {
            self.awaited.entry(receipt).or_insert(self.places);
        }
    }

    /// A line is durable at `place` once that settles `ticket`, or is already.
    pub(super) fn wait_for(&mut self, place: usize, ticket: u64, receipt: u64, is_durable: bool) {
        self.expect(receipt);
        if is_durable {
            self.settle_line(receipt);
            return;
        }
        let ranges = self.waiting.entry((place, ticket)).or_default();
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == receipt => *last = receipt,
            _ => ranges.push((receipt, receipt)),
        }
    }

    /// A place has made durable what waits for this ticket of its.
    pub(super) fn settle(&mut self, place: usize, ticket: u64) {
        for range in self.waiting.remove(&(place, ticket)).into_iter().flatten() {
            self.settle_range(range);
        }
    }

    /// A place has made this line durable.
    pub(super) fn settle_line(&mut self, receipt: u64) {
        self.settle_range((receipt, receipt));
    }

    fn settle_range(&mut self, (first, last): (u64, u64)) {
        for receipt in first..=last {
            if self.places > 1
                && let Some(left) = self.awaited.get_mut(&receipt)
            {
                *left -= 1;
                if *left > 0 {
                    continue;
                }
                self.awaited.remove(&receipt);
            }
            self.receipts.settle(Receipt(receipt));
        }
    }

    /// Whether the source waits for what is durable.
    pub(super) fn is_hurried(&self) -> bool {
        self.link.is_hurried()
    }

    /// The positions up to which all is durable; `rest` is the beginning of a line that is not complete yet.
    pub(super) fn durable(&mut self, arrival: Arrival, rest: &[u8]) -> Vec<Position> {
        let is_last_complete = arrival != Arrival::More && !self.receipts.may_go_on(rest);
        self.receipts.durable(is_last_complete)
    }

    /// Tells the source.
    pub(super) fn acknowledge(&mut self, durable: Vec<Position>) -> Result<()> {
        Ok(self.link.acknowledge(durable)?)
    }

    /// Acknowledges the rest, and after the end of the input waits until the source has committed it.
    ///
    /// After a failure nothing more is acknowledged, and the source hears of it by the end of the connection.
    pub(super) fn finish(mut self, end: End, has_failed: bool, signals: &Signals) -> Result<()> {
        if has_failed {
            return Ok(());
        }
        let durable = self.receipts.durable(true);
        self.link.acknowledge(durable)?;
        match end {
            End::Input { is_whole } => {
                Ok(self.link.finish(is_whole, &|| signals.caught().is_some())?)
            }
            End::Unwanted | End::Signal(_) => Ok(()),
        }
    }
}
