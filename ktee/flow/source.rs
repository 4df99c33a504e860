//! `--ack`: which lines of the input are durable everywhere, and the socket on which their source hears it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tools::ack::{
    AckTracker, Arrival, DeliveryTag, Position, ReadStart, Shape, Sink, SinkKind, StreamKey,
};
use tools::cli::signals::Signals;
use tools::record::Format;

use super::End;

/// How long the source is looked for.
const CONNECT: Duration = Duration::from_secs(10);

/// A line with its position taken off.
pub(super) struct Received<'a> {
    /// Names the line until it is durable.
    pub(super) tag: u64,
    /// The line; none where it was its position alone.
    pub(super) record: Option<Cow<'a, [u8]>>,
    /// Set where it is the first line of its partition under its session.
    pub(super) new_stream: Option<NewStream>,
}

/// A partition whose lines come under a new session from now on.
pub(super) struct NewStream {
    pub(super) key: StreamKey,
    /// Where it is read from, as far as that is known.
    pub(super) start: Option<ReadStart>,
}

/// What was received and is not acknowledged yet.
pub(super) struct SourceLink {
    link: Sink,
    tracker: AckTracker,
    /// How many destinations have to make a line durable.
    destinations: usize,
    /// By how many destinations a line is still awaited, where there are several.
    awaited: HashMap<u64, usize>,
    /// The stream of the line before, and how many streams have come.
    stream: Option<usize>,
    streams: usize,
    /// Where streams begin of which no line has come yet.
    starts: HashMap<StreamKey, ReadStart>,
}

/// What the source has sent since the last poll, besides lines.
#[derive(Default)]
pub(super) struct SourceUpdate {
    pub(super) partition_counts: Vec<(String, i32)>,
    /// Streams that have ended, and up to where they were read; nothing between is to come.
    pub(super) passed: Vec<Position>,
    /// The partitions that it has given back; nothing of them is waited for any more.
    pub(super) released: Vec<StreamKey>,
}

impl SourceLink {
    /// Finds the source. `is_segment` says that nothing is doubled when lines come again.
    pub(super) fn open(
        path: &Path,
        format: &Format,
        is_segment: bool,
        destinations: usize,
        signals: &Signals,
    ) -> Result<SourceLink> {
        let kind = if is_segment {
            SinkKind::Segment
        } else {
            SinkKind::Plain
        };
        let shape = match format {
            Format::Json(_) => Shape::Json,
            _ => Shape::Tsv,
        };
        let link = Sink::connect(path, kind, shape, CONNECT, &|| signals.caught().is_some())?;
        Ok(SourceLink {
            link,
            tracker: AckTracker::default(),
            destinations,
            awaited: HashMap::new(),
            stream: None,
            streams: 0,
            starts: HashMap::new(),
        })
    }

    /// How long the input may be idle before there is something to do.
    pub(super) fn idle_ms(&self) -> u64 {
        self.link.idle_ms()
    }

    /// Whether anything was received that is not acknowledged yet.
    pub(super) fn is_open(&self) -> bool {
        self.tracker.open() > 0
    }

    /// Tells the source now and then that what it waits for is waited for here as well. Called often.
    pub(super) fn keep_alive(&mut self) {
        if self.is_open() {
            self.link.keep_alive();
        }
    }

    /// Hears the source after a read of the input that ended so.
    pub(super) fn poll(&mut self, arrival: Arrival) -> Result<SourceUpdate> {
        self.link.poll(arrival)?;
        let mut update = SourceUpdate::default();
        for session in self.link.take_begun() {
            update.partition_counts.extend(session.partition_counts);
            for start in session.starts {
                let key = StreamKey {
                    session: session.name.clone(),
                    topic: start.topic.clone(),
                    partition: start.partition,
                };
                self.starts.insert(key, start);
            }
        }
        update.passed = self.link.take_passed();
        let released = self.link.take_released();
        for stream in &released {
            self.tracker.release(*stream);
            let is_other = |tag: u64| DeliveryTag(tag).stream() != *stream;
            self.awaited.retain(|tag, _| is_other(*tag));
        }
        let keys = released.iter().map(|stream| self.link.key(*stream).clone());
        update.released = keys.collect();
        Ok(update)
    }

    /// The next whole line of `buffer` behind `used`, which is moved on, without its position.
    pub(super) fn next<'a>(
        &mut self,
        buffer: &'a [u8],
        used: &mut usize,
    ) -> Result<Option<Received<'a>>> {
        let Some(line) = self.link.next(buffer, used)? else {
            return Ok(None);
        };
        let tag = self.tracker.receive(line.stream, line.offset);
        if line.record.is_none() {
            self.tracker.ack(tag);
        }
        let is_other = self.stream != Some(line.stream);
        Ok(Some(Received {
            tag: tag.0,
            record: line.record,
            new_stream: is_other.then(|| self.enter(line.stream)).flatten(),
        }))
    }

    /// Notes the stream of a line; returns it the first time. Streams are numbered in the order in which they come.
    #[cold]
    fn enter(&mut self, stream: usize) -> Option<NewStream> {
        self.stream = Some(stream);
        if stream < self.streams {
            return None;
        }
        self.streams = stream + 1;
        let key = self.link.key(stream).clone();
        let start = self.take_start(&key);
        Some(NewStream { key, start })
    }

    /// Where this stream begins, if no line of it has come yet.
    pub(super) fn take_start(&mut self, key: &StreamKey) -> Option<ReadStart> {
        self.starts.remove(key)
    }

    /// A line has to become durable in one destination more, which will say so by [`SourceLink::ack`].
    pub(super) fn expect(&mut self, tag: u64) {
        if self.destinations > 1 {
            self.awaited.entry(tag).or_insert(self.destinations);
        }
    }

    /// A destination has made these lines durable.
    pub(super) fn ack(&mut self, first: u64, last: u64) {
        for tag in first..=last {
            if self.destinations > 1
                && let Some(left) = self.awaited.get_mut(&tag)
            {
                *left -= 1;
                if *left > 0 {
                    continue;
                }
                self.awaited.remove(&tag);
            }
            self.tracker.ack(DeliveryTag(tag));
        }
    }

    /// Whether the source waits for what is durable.
    pub(super) fn is_flush_requested(&self) -> bool {
        self.link.is_flush_requested()
    }

    /// What is durable everywhere, as [`SourceLink::acknowledge`] takes it; `rest` is what is left of the input.
    pub(super) fn durable(&mut self, rest: &[u8]) -> Vec<(usize, i64)> {
        self.tracker.durable(self.link.is_complete(rest))
    }

    pub(super) fn acknowledge(&mut self, durable: Vec<(usize, i64)>) {
        self.link.acknowledge(durable);
    }

    /// Acknowledges the rest, and after the end of the input waits until the source has committed it.
    ///
    /// After a failure nothing more is acknowledged, and the source hears of it by the end of the connection.
    pub(super) fn finish(mut self, end: End, has_failed: bool, signals: &Signals) -> Result<()> {
        if has_failed {
            return Ok(());
        }
        let durable = self.tracker.durable(true);
        self.link.acknowledge(durable);
        match end {
            End::Input { is_whole } => {
                Ok(self.link.finish(is_whole, &|| signals.caught().is_some())?)
            }
            End::Unwanted | End::Signal(_) => Ok(()),
        }
    }
}
