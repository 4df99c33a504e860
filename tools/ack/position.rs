//! The position that every line carries, and where in the line it stands.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::{memchr, memrchr};

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
pub struct Lane {
    /// The session's name.
    pub session: String,
    /// The source topic.
    pub topic: String,
    /// The source partition.
    pub partition: i32,
}

/// Where a record came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Session, topic and partition.
    pub lane: Lane,
    /// The record's offset.
    pub offset: i64,
}

impl Lane {
    /// Reads `session:topic:partition`.
    pub fn parse(text: &[u8]) -> Option<Lane> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split(':');
        let (session, topic, partition) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || session.is_empty() || topic.is_empty() {
            return None;
        }
        Some(Lane {
            session: session.to_owned(),
            topic: topic.to_owned(),
            partition: i32::try_from(digits(partition.as_bytes())?).ok()?,
        })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.session, self.topic, self.partition)
    }
}

impl Position {
    /// Reads `session:topic:partition:offset`.
    pub fn parse(text: &[u8]) -> Option<Position> {
        let (lane, offset) = cut_offset(text)?;
        Some(Position {
            lane: Lane::parse(lane)?,
            offset,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lane, self.offset)
    }
}

/// The lane and the offset of a position.
#[inline]
pub(super) fn cut_offset(position: &[u8]) -> Option<(&[u8], i64)> {
    let colon = memrchr(b':', position)?;
    Some((&position[..colon], digits(&position[colon + 1..])?))
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
pub(super) const JSON_START: &[u8] = b"{\"position\":\"";

/// Appends what stands before the record; `lane` is a [`Lane`] as text. Call [`end_line`] when the record is there.
pub fn begin_line(shape: Shape, lane: &str, offset: i64, out: &mut Vec<u8>) -> usize {
    if shape == Shape::Json {
        out.extend_from_slice(JSON_START);
    }
    out.extend_from_slice(lane.as_bytes());
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(offset).as_bytes());
    match shape {
        Shape::Tsv => out.push(b'\t'),
        Shape::Json => out.push(b'"'),
    }
    out.len()
}

/// Joins position and record; `start` is what [`begin_line`] returned.
pub fn end_line(shape: Shape, start: usize, out: &mut [u8]) {
    if shape == Shape::Json {
        // The record's own brace becomes the comma between the first member and the others.
        out[start] = b',';
    }
}

/// A line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// `session:topic:partition:offset`, as it stands there.
    pub position: &'a [u8],
    /// The line without it, newline and all; `None` where the line was its position alone: the record was left out on purpose.
    pub record: Option<Cow<'a, [u8]>>,
}

impl<'a> Split<'a> {
    /// Takes a line apart, which ends with its newline.
    ///
    /// # Errors
    /// There is no position where it should be.
    #[inline]
    pub fn of(line: &'a [u8], shape: Shape) -> Result<Split<'a>, AckError> {
        let split = match shape {
            Shape::Tsv => split_tsv(line),
            Shape::Json => split_json(line),
        };
        split.ok_or_else(|| {
            let shown = String::from_utf8_lossy(&line[..line.len().min(60)]);
            AckError::NoPosition(format!("`{}`", shown.trim_end()))
        })
    }
}

#[inline]
fn split_tsv(line: &[u8]) -> Option<Split<'_>> {
    let whole = line.strip_suffix(b"\n")?;
    let (position, record) = match memchr(b'\t', whole) {
        Some(tab) => (&whole[..tab], Some(Cow::Borrowed(&line[tab + 1..]))),
        None => (whole, None),
    };
    cut_offset(position)?;
    Some(Split { position, record })
}

fn split_json(line: &[u8]) -> Option<Split<'_>> {
    let after = line.strip_prefix(JSON_START);
    let Some((after, quote)) = after.and_then(|after| Some((after, memchr(b'"', after)?))) else {
        return split_json_slowly(line);
    };
    let (position, rest) = (&after[..quote], &after[quote + 1..]);
    cut_offset(position)?;
    let record = match rest.first()? {
        b',' => {
            let mut record = Vec::with_capacity(rest.len());
            record.push(b'{');
            record.extend_from_slice(&rest[1..]);
            Some(Cow::Owned(record))
        }
        b'}' => None,
        _ => return split_json_slowly(line),
    };
    Some(Split { position, record })
}

/// As [`split_json`], where the position is not the first member, or spaces were added.
///
/// The other members stay as they are written: a number that is parsed and
/// printed again is not always the same number.
fn split_json_slowly(line: &[u8]) -> Option<Split<'_>> {
    // Whether it is JSON at all; the search relies on it.
    serde_json::from_slice::<serde::de::IgnoredAny>(line).ok()?;
    let (member, text) = find_position(line)?;
    let position = &line[text];
    cut_offset(position)?;
    let after = line[member.end..].trim_ascii_start();
    let record = match (after.strip_prefix(b","), member.comma) {
        (Some(after), _) => Some([&line[..member.start], after.trim_ascii_start()].concat()),
        (None, Some(comma)) => Some([&line[..comma], after].concat()),
        (None, None) => None,
    };
    let record = record.map(Cow::Owned);
    Some(Split { position, record })
}

/// A member of an object: name and value, and the comma before it.
struct Member {
    start: usize,
    end: usize,
    comma: Option<usize>,
}

/// Where the object's own member `position` is, and its text.
fn find_position(object: &[u8]) -> Option<(Member, Range<usize>)> {
    let (mut depth, mut comma, mut is_name) = (0, None, false);
    let mut at = 0;
    while at < object.len() {
        match object[at] {
            b'"' => {
                let end = at + string_len(&object[at..])?;
                if depth == 1 && is_name && &object[at..end] == b"\"position\"" {
                    let value = object[end..].trim_ascii_start().strip_prefix(b":")?;
                    let start = object.len() - value.trim_ascii_start().len();
                    let member = Member {
                        start: at,
                        end: start + string_len(&object[start..])?,
                        comma,
                    };
                    let text = start + 1..member.end - 1;
                    return Some((member, text));
                }
                at = end;
                continue;
            }
            b'{' => {
                depth += 1;
                is_name = depth == 1;
            }
            b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 1 => (comma, is_name) = (Some(at), true),
            b':' if depth == 1 => is_name = false,
            _ => {}
        }
        at += 1;
    }
    None
}

/// How long the JSON string is that `text` begins with, quotes and all.
fn string_len(text: &[u8]) -> Option<usize> {
    let mut at = text.starts_with(b"\"").then_some(1)?;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
