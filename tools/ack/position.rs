//! The position that every line carries, and where in the line it stands.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use memchr::{memchr, memrchr};
use serde_json::value::RawValue;

use super::AckError;

/// How a line carries its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As the first column, before a tab.
    Tsv,
    /// As the first member of the object, `position`.
    Json,
}

/// One partition as it was read under one session: what an acknowledgement is cumulative for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    pub session: String,
    pub topic: String,
    pub partition: i32,
}

/// What is acknowledged: a stream up to this offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub key: StreamKey,
    pub offset: i64,
}

impl StreamKey {
    /// Reads `session:topic:partition`.
    pub fn parse(text: &[u8]) -> Option<StreamKey> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split(':');
        let (session, topic, partition) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || session.is_empty() || topic.is_empty() {
            return None;
        }
        Some(StreamKey {
            session: session.to_owned(),
            topic: topic.to_owned(),
            partition: i32::try_from(digits(partition.as_bytes())?).ok()?,
        })
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.session, self.topic, self.partition)
    }
}

impl Position {
    /// Reads `session:topic:partition:offset`.
    pub fn parse(text: &[u8]) -> Option<Position> {
        let colon = memrchr(b':', text)?;
        Some(Position {
            key: StreamKey::parse(&text[..colon])?,
            offset: digits(&text[colon + 1..])?,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, self.offset)
    }
}

/// A number in the one way in which it is written here: no sign, no zero before it.
#[inline]
fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 19 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    text.iter().try_fold(0_i64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(i64::from(digit))
    })
}

/// What stands before the position in an object.
const JSON_START: &[u8] = b"{\"position\":\"";

/// Writes the positions of one stream's lines, `session:number:topic:partition:offset`.
#[derive(Clone, Debug)]
pub struct LineStart {
    shape: Shape,
    /// What stands before the number, and between it and the offset.
    before: Vec<u8>,
    between: Vec<u8>,
}

impl LineStart {
    /// For lines of `key`.
    pub fn new(shape: Shape, key: &StreamKey) -> LineStart {
        let start = if shape == Shape::Json {
            JSON_START
        } else {
            b""
        };
        LineStart {
            shape,
            before: [start, key.session.as_bytes(), b":"].concat(),
            between: format!(":{}:{}:", key.topic, key.partition).into_bytes(),
        }
    }

    /// Appends what stands before the record; call [`LineStart::join`] with what this returns when the record is there.
    pub fn write(&self, number: u64, offset: i64, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(&self.before);
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        out.extend_from_slice(&self.between);
        out.extend_from_slice(itoa::Buffer::new().format(offset).as_bytes());
        match self.shape {
            Shape::Tsv => out.push(b'\t'),
            Shape::Json => out.push(b'"'),
        }
        out.len()
    }

    /// Joins position and record.
    pub fn join(&self, start: usize, out: &mut [u8]) {
        if self.shape == Shape::Json {
            // The record's own brace becomes the comma between the first member and the others.
            out[start] = b',';
        }
    }
}

/// The parts of a position as a line carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) session: &'a [u8],
    /// The line's number.
    pub(super) number: u64,
    /// `topic:partition`
    pub(super) topic_partition: &'a [u8],
    pub(super) offset: i64,
}

impl<'a> Parts<'a> {
    /// Takes `session:number:topic:partition:offset` apart.
    #[inline]
    pub(super) fn of(position: &'a [u8]) -> Option<Parts<'a>> {
        let colon = memchr(b':', position)?;
        let (session, rest) = (&position[..colon], &position[colon + 1..]);
        let colon = memchr(b':', rest)?;
        let (number, rest) = (&rest[..colon], &rest[colon + 1..]);
        let colon = memrchr(b':', rest)?;
        Some(Parts {
            session,
            number: digits(number)?.try_into().ok()?,
            topic_partition: &rest[..colon],
            offset: digits(&rest[colon + 1..])?,
        })
    }
}

/// Where the parts of a line are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// The position's text.
    pub(super) position: Range<usize>,
    /// How the record is put together: what is before the first place and what is behind the second one. `None` where
    /// the line was its position alone: the record was left out on purpose.
    pub(super) record: Option<(usize, usize)>,
}

impl Split {
    /// Finds the position of a line, which ends with its newline.
    ///
    /// # Errors
    /// There is no position where it should be.
    #[inline]
    pub(super) fn of(line: &[u8], shape: Shape) -> Result<Split, AckError> {
        let split = match shape {
            Shape::Tsv => split_tsv(line),
            Shape::Json => split_json(line),
        };
        split.ok_or_else(|| no_position(line))
    }

    /// The line without its position, newline and all.
    #[inline]
    pub(super) fn record<'a>(&self, line: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let (head, tail) = self.record?;
        Some(if head == 0 {
            Cow::Borrowed(&line[tail..])
        } else {
            Cow::Owned([&line[..head], &line[tail..]].concat())
        })
    }
}

#[cold]
pub(super) fn no_position(line: &[u8]) -> AckError {
    let shown = String::from_utf8_lossy(&line[..line.len().min(60)]);
    AckError::NoPosition(format!("`{}`", shown.trim_end()))
}

#[inline]
fn split_tsv(line: &[u8]) -> Option<Split> {
    let whole = line.strip_suffix(b"\n")?;
    let tab = memchr(b'\t', whole);
    Some(Split {
        position: 0..tab.unwrap_or(whole.len()),
        record: tab.map(|tab| (0, tab + 1)),
    })
}

fn split_json(line: &[u8]) -> Option<Split> {
    let start = JSON_START.len();
    let after = line.strip_prefix(JSON_START);
    let Some(quote) = after.and_then(|after| memchr(b'"', after)) else {
        return split_json_slowly(line);
    };
    let end = start + quote;
    let record = match line.get(end + 1)? {
        // The brace, and what is behind the comma.
        b',' => Some((1, end + 2)),
        b'}' if line[end + 2..].trim_ascii().is_empty() => None,
        _ => return split_json_slowly(line),
    };
    Some(Split {
        position: start..end,
        record,
    })
}

/// As [`split_json`], where the position is not the first member, or spaces were added.
///
/// The other members stay as they are written: a number that is parsed and
/// printed again is not always the same number.
fn split_json_slowly(line: &[u8]) -> Option<Split> {
    let members: HashMap<String, &RawValue> = serde_json::from_slice(line).ok()?;
    let value = members.get("position")?.get();
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    let start = value.as_ptr().addr() - line.as_ptr().addr();
    let (name, after) = (&line[..start], &line[start + value.len()..]);
    let name = name.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let before = name.strip_suffix(b"\"position\"")?;
    let after = after.trim_ascii_start();
    let behind = |text: &[u8]| line.len() - text.trim_ascii_start().len();
    let comma = before.trim_ascii_end().strip_suffix(b",");
    let record = match (after.strip_prefix(b","), comma) {
        (Some(after), _) => Some((before.len(), behind(after))),
        (None, Some(before)) => Some((before.len(), behind(after))),
        (None, None) => None,
    };
    Some(Split {
        position: start + 1..start + 1 + text.len(),
        record,
    })
}
