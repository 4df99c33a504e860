//! From bytes to lines whose positions are known and in order. Pure.
//!
//! A line is handed over when a whole line behind it shows that it is whole
//! itself: a program that dies leaves a torn line last, and the next program of
//! the pipe may end it as if it were whole, as `awk` does.

use std::borrow::Cow;
use std::collections::HashMap;

use super::AckError;
use super::message::Session;
use super::position::{Parts, Shape, Split, StreamKey, no_position};

/// A line that was received whole.
#[derive(Debug, PartialEq, Eq)]
pub struct ReceivedLine<'a> {
    /// Which stream it is of: a number from 0, in the order in which streams have come.
    pub stream: usize,
    /// The offset of the record that it comes from.
    pub offset: i64,
    /// Its position as it stands there.
    pub position: &'a [u8],
    /// Whether it repeats the position of the line before: the transform prints several lines for a record.
    pub is_copy: bool,
    /// The line without its position, newline and all; `None` where the line was its position alone: the record was left
    /// out on purpose.
    pub record: Option<Cow<'a, [u8]>>,
}

/// Lines that are not in the order in which the source wrote them, or not all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {received} of the source came where line {expected} was expected: what stands between must keep the order of the \
     lines and lose none (to drop a record print its position alone)"
)]
pub struct OutOfOrder {
    received: u64,
    expected: u64,
}

/// Takes positions off lines and checks that they are the source's, one after the other.
#[derive(Debug)]
pub(super) struct LineReader {
    shape: Shape,
    /// Sessions by name; that of each stream of theirs by `topic:partition`.
    sessions: HashMap<Vec<u8>, ReadSession>,
    streams: Vec<Stream>,
    /// The stream of the line located last: the next one is likely of the same.
    current: Option<usize>,
    /// The line handed over last.
    last: Option<LineId>,
    /// What is known of the first line that was not handed over.
    ahead: Option<ParsedLine>,
    /// How many bytes of the line behind it hold no newline.
    searched: usize,
    /// Whether a position was repeated: the transform multiplies.
    repeats: bool,
}

#[derive(Debug)]
struct ReadSession {
    session: Session,
    is_released: bool,
    streams: HashMap<Vec<u8>, usize>,
}

#[derive(Debug)]
struct Stream {
    key: StreamKey,
    /// `topic:partition` as positions have it.
    place: Vec<u8>,
    is_released: bool,
}

/// Which line, of which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LineId {
    number: u64,
    stream: usize,
    offset: i64,
}

/// A line of which all but the record was looked at.
#[derive(Debug)]
struct ParsedLine {
    place: LineId,
    split: Split,
    /// Its length, newline and all.
    bytes: usize,
}

impl LineReader {
    pub(super) fn new(shape: Shape) -> LineReader {
        LineReader {
            shape,
            sessions: HashMap::new(),
            streams: Vec::new(),
            current: None,
            last: None,
            ahead: None,
            searched: 0,
            repeats: false,
        }
    }

    /// Lines of this session may come from now on.
    pub(super) fn begin(&mut self, session: Session) {
        let read_session = ReadSession {
            streams: HashMap::new(),
            session,
            is_released: false,
        };
        let name = read_session.session.name.clone().into_bytes();
        self.sessions.insert(name, read_session);
    }

    pub(super) fn session(&self, stream: usize) -> Option<&Session> {
        let name = &self.streams.get(stream)?.key.session;
        Some(&self.sessions.get(name.as_bytes())?.session)
    }

    pub(super) fn key(&self, stream: usize) -> &StreamKey {
        &self.streams[stream].key
    }

    /// Lines of this stream are passed over from now on; its number, if a line of it has come.
    pub(super) fn release(&mut self, key: &StreamKey) -> Option<usize> {
        let place = format!("{}:{}", key.topic, key.partition);
        let stream = self.find(key.session.as_bytes(), place.as_bytes())?;
        self.streams[stream].is_released = true;
        Some(stream)
    }

    /// Lines of all sessions so far are passed over from now on; the names of those of which that is new.
    pub(super) fn release_all(&mut self) -> Vec<String> {
        for stream in &mut self.streams {
            stream.is_released = true;
        }
        let sessions = self.sessions.values_mut();
        let new = sessions.filter(|known| !known.is_released);
        let name = |known: &mut ReadSession| {
            known.is_released = true;
            known.session.name.clone()
        };
        new.map(name).collect()
    }

    /// The next line of `buffer`, which begins at `used`. Moves `used` on, behind this line and those that are passed over.
    ///
    /// `may_use_last` says of a number whether its line may be handed over while none follows it.
    ///
    /// # Errors
    /// No position, that of another run, or one that is not the next.
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        buffer: &'a [u8],
        used: &mut usize,
        may_use_last: impl Fn(u64) -> bool,
    ) -> Result<Option<ReceivedLine<'a>>, AckError> {
        loop {
            let rest = &buffer[*used..];
            let first = match self.ahead.take() {
                Some(first) => first,
                None => match self.parse_line(rest, self.last)? {
                    Some(first) => first,
                    None => return Ok(None),
                },
            };
            let next = self.parse_line(&rest[first.bytes..], Some(first.place))?;
            if next.is_none() && !may_use_last(first.place.number) {
                self.ahead = Some(first);
                return Ok(None);
            }
            self.ahead = next;
            let before = self.last.replace(first.place);
            *used += first.bytes;
            if self.streams[first.place.stream].is_released {
                continue;
            }
            let line = &rest[..first.bytes];
            return Ok(Some(ReceivedLine {
                stream: first.place.stream,
                offset: first.place.offset,
                position: &line[first.split.position.clone()],
                is_copy: before == self.last,
                record: first.split.record(line),
            }));
        }
    }

    /// Looks at the first line of `rest`, which comes behind `before`; `None` if it has no end yet.
    #[inline]
    fn parse_line(
        &mut self,
        rest: &[u8],
        before: Option<LineId>,
    ) -> Result<Option<ParsedLine>, AckError> {
        let Some(found) = memchr::memchr(b'\n', rest.get(self.searched..).unwrap_or_default())
        else {
            self.searched = rest.len();
            return Ok(None);
        };
        let newline = std::mem::take(&mut self.searched) + found;
        let line = &rest[..=newline];
        let split = Split::of(line, self.shape)?;
        let position = &line[split.position.clone()];
        let parts = Parts::of(position).ok_or_else(|| no_position(line))?;
        let place = LineId {
            number: parts.number,
            stream: self.stream(&parts)?,
            offset: parts.offset,
        };
        let expected = before.map_or(1, |before| before.number + 1);
        if place.number != expected {
            if before != Some(place) {
                let received = place.number;
                return Err(OutOfOrder { received, expected }.into());
            }
            self.repeats = true;
        }
        Ok(Some(ParsedLine {
            place,
            split,
            bytes: newline + 1,
        }))
    }

    #[inline]
    fn stream(&mut self, parts: &Parts<'_>) -> Result<usize, AckError> {
        if let Some(current) = self.current {
            let stream = &self.streams[current];
            if stream.place == parts.topic_partition
                && stream.key.session.as_bytes() == parts.session
            {
                return Ok(current);
            }
        }
        let found = self.find(parts.session, parts.topic_partition);
        self.current = found;
        found.ok_or_else(|| {
            let session = String::from_utf8_lossy(parts.session);
            let place = String::from_utf8_lossy(parts.topic_partition);
            AckError::UnknownSession(format!("{session}:{place}"))
        })
    }

    /// The number of a stream that the source has begun.
    #[cold]
    fn find(&mut self, session: &[u8], place: &[u8]) -> Option<usize> {
        let read_session = self.sessions.get_mut(session)?;
        if let Some(stream) = read_session.streams.get(place) {
            return Some(*stream);
        }
        let key = StreamKey::parse(&[session, b":", place].concat())?;
        let is_member =
            |(topic, partition): &(String, i32)| *topic == key.topic && *partition == key.partition;
        if !read_session.session.topic_partitions.iter().any(is_member) {
            return None;
        }
        let number = self.streams.len();
        read_session.streams.insert(place.to_vec(), number);
        self.streams.push(Stream {
            key,
            place: place.to_vec(),
            is_released: read_session.is_released,
        });
        Some(number)
    }

    /// The number of the line that waits for one behind it.
    pub(super) fn held(&self) -> Option<u64> {
        self.ahead.as_ref().map(|line| line.place.number)
    }

    /// Whether the line behind the one handed over last is of another position; `None` if there is none yet.
    pub(super) fn is_left(&self) -> Option<bool> {
        let ahead = self.ahead.as_ref()?;
        Some(Some(ahead.place) != self.last)
    }

    /// Whether a position was repeated.
    pub(super) fn repeats(&self) -> bool {
        self.repeats
    }

    /// The number of the line handed over, or passed over, last; 0 if there was none.
    pub(super) fn last_number(&self) -> u64 {
        self.last.map_or(0, |line| line.number)
    }
}
