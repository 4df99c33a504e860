//! What a sink has received, in order, and how much of it is durable. Pure.

use std::collections::VecDeque;

/// The bits of a [`DeliveryTag`] that are the sequence number; the others are the stream.
const SEQUENCE_BITS: u32 = 40;

/// Names one received line until it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryTag(pub u64);

impl DeliveryTag {
    /// The stream that the line is of, as `ReceivedLine::stream`.
    pub fn stream(self) -> usize {
        (self.0 >> SEQUENCE_BITS) as usize
    }

    fn sequence(self) -> u64 {
        self.0 & ((1 << SEQUENCE_BITS) - 1)
    }
}

/// Everything received that was not yet reported as durable.
#[derive(Debug, Default)]
pub struct AckTracker {
    streams: Vec<Received>,
    /// The stream of the line received last, and so perhaps not the last one of its position.
    current: usize,
    open: usize,
}

#[derive(Debug, Default)]
struct Received {
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

impl AckTracker {
    /// Notes a line of this stream.
    #[inline]
    pub fn receive(&mut self, stream: usize, offset: i64) -> DeliveryTag {
        if stream >= self.streams.len() {
            self.streams.resize_with(stream + 1, Received::default);
        }
        self.current = stream;
        let received = &mut self.streams[stream];
        received.last_offset = offset;
        received.lines.push_back(Line {
            offset,
            is_durable: false,
        });
        self.open += 1;
        let sequence = received.first + received.lines.len() as u64 - 1;
        DeliveryTag((stream as u64) << SEQUENCE_BITS | sequence)
    }

    /// Notes that a line is durable, or that it holds nothing to be made so.
    #[inline]
    pub fn ack(&mut self, tag: DeliveryTag) {
        let received = &mut self.streams[tag.stream()];
        let index = tag.sequence().wrapping_sub(received.first);
        // One that is not there was released meanwhile.
        if let Some(line) = received.lines.get_mut(index as usize) {
            line.is_durable = true;
        }
    }

    /// Notes that everything received is durable: a transaction is committed, say.
    pub fn ack_all(&mut self) {
        let lines = self.streams.iter_mut().flat_map(|stream| &mut stream.lines);
        lines.for_each(|line| line.is_durable = true);
    }

    /// Forgets the lines of a stream that the source has given back: they come again to whoever has its partition now.
    pub fn release(&mut self, stream: usize) {
        if let Some(received) = self.streams.get_mut(stream) {
            self.open -= received.lines.len();
            received.first += received.lines.len() as u64;
            received.lines = VecDeque::new();
        }
    }

    /// What to acknowledge: of each stream the last offset before which, and at which, all is durable.
    ///
    /// `is_last_complete` says that no more lines of the position received last come.
    pub fn durable(&mut self, is_last_complete: bool) -> Vec<(usize, i64)> {
        let mut offsets = Vec::new();
        for (index, received) in self.streams.iter_mut().enumerate() {
            // The position that may go on, if this is its stream.
            let open = (index == self.current && !is_last_complete).then_some(received.last_offset);
            let mut durable = None;
            while let Some(line) = received.lines.front()
                && line.is_durable
                && open != Some(line.offset)
            {
                let offset = line.offset;
                received.lines.pop_front();
                received.first += 1;
                self.open -= 1;
                // Of several lines with one position the last one counts.
                if received
                    .lines
                    .front()
                    .is_none_or(|next| next.offset != offset)
                {
                    durable = Some(offset);
                }
            }
            offsets.extend(durable.map(|offset| (index, offset)));
        }
        offsets
    }

    /// The last offset received of each stream with lines that are not durable yet.
    pub fn received(&self) -> impl Iterator<Item = (usize, i64)> {
        let streams = self.streams.iter().enumerate();
        let open = streams.filter(|(_, received)| !received.lines.is_empty());
        open.map(|(stream, received)| (stream, received.last_offset))
    }

    /// How many lines were received and not yet reported as durable.
    pub fn open(&self) -> usize {
        self.open
    }
}
