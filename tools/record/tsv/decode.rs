//! From a line of TSV to a record.

use std::ops::Range;

mod unescape;

use super::headers::{self, HeaderRange};
use super::{ByteStyle, Column, Tsv, Utf8};
use crate::units;

use super::super::decode::{Decoded, DecodedRecord};
use super::super::split::Splitter;
use super::super::{DecodeError, Header, Record};
use unescape::{unescape, unhex};

#[derive(Clone, Debug)]
pub(in super::super) struct TsvDecoder {
    format: Tsv,
    splitter: Splitter,
    /// Fields that had escapes; other fields are slices of the line.
    scratch: Vec<u8>,
    header_ranges: Vec<HeaderRange>,
    /// Whether a last line without its line feed is an error.
    pub(in super::super) may_be_torn: bool,
}

/// Where the bytes of a field are.
#[derive(Clone, Debug, Default)]
enum FieldBytes {
    #[default]
    Null,
    Line(Range<usize>),
    Scratch(Range<usize>),
}

/// The fields of a line, before anything borrows from it.
#[derive(Default)]
struct ParsedLine {
    topic: FieldBytes,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp_ms: Option<i64>,
    time_ms: Option<i64>,
    key: FieldBytes,
    value: FieldBytes,
}

impl ParsedLine {
    /// Reads a number without a sign, as nearly all are; false if this is not one.
    #[inline]
    fn read_number(&mut self, column: Column, text: &[u8]) -> bool {
        if !matches!(
            column,
            Column::Partition | Column::Offset | Column::Timestamp
        ) || text.is_empty()
        {
            return false;
        }
        let Some(number) = short_number(text) else {
            return false;
        };
        match column {
            Column::Partition => self.partition = i32::try_from(number).ok(),
            Column::Offset => self.offset = Some(number),
            _ => self.timestamp_ms = Some(number),
        }
        column != Column::Partition || self.partition.is_some()
    }
}

impl TsvDecoder {
    pub(in super::super) fn new(format: Tsv) -> TsvDecoder {
        TsvDecoder {
            format,
            splitter: Splitter::new(b"\n"),
            scratch: Vec::new(),
            header_ranges: Vec::new(),
            may_be_torn: false,
        }
    }

    pub(in super::super) fn decode<'a>(
        &'a mut self,
        input: &'a [u8],
        at_end: bool,
    ) -> Result<Decoded<'a>, DecodeError> {
        let Some(bounds) = self.splitter.next_record(input, at_end) else {
            return Ok(Decoded::Incomplete);
        };
        if bounds.used == bounds.end && self.may_be_torn {
            return Err(DecodeError::torn());
        }
        let text = &input[..bounds.end];
        let line = self.read_line(text)?;
        let this: &'a TsvDecoder = self;
        let scratch = &this.scratch;
        let fields = Record {
            topic: topic(line.topic.bytes(text, scratch))?,
            partition: line.partition,
            offset: line.offset,
            timestamp_ms: line.timestamp_ms.or(line.time_ms),
            key: line.key.bytes(text, scratch),
            value: line.value.bytes(text, scratch),
            ..Record::default()
        };
        let headers = this.header_ranges.iter().map(|range| {
            Header::new(
                &scratch[range.name.clone()],
                range.value.clone().map(|range| &scratch[range]),
            )
        });
        Ok(Decoded::Record {
            record: DecodedRecord::with_headers(fields, headers.collect()),
            used: bounds.used,
        })
    }

    fn read_line(&mut self, text: &[u8]) -> Result<ParsedLine, DecodeError> {
        self.scratch.clear();
        self.header_ranges.clear();
        if text.last() == Some(&b'\r') {
            let problem = "the line ends in CRLF, and it is not known whether the CR is data \
                           (remove it with tr -d '\\r', or write \\r where it is data)";
            return Err(DecodeError::new("", problem).at(text.len() - 1));
        }
        let mut line = ParsedLine::default();
        let mut start = 0;
        let columns = self.format.columns.0.len();
        for index in 0..columns {
            let column = self.format.columns.0[index];
            let (end, escaped) = field_end(text, start);
            if (end == text.len()) != (index + 1 == columns) {
                return Err(self.wrong_count(text));
            }
            if escaped || !line.read_number(column, &text[start..end]) {
                self.read_column(column, text, start..end, escaped, &mut line)?;
            }
            start = end + 1;
        }
        if let (Some(timestamp), Some(time)) = (line.timestamp_ms, line.time_ms)
            && timestamp != time
        {
            let problem = format!("says {time} ms, but column timestamp says {timestamp}");
            return Err(DecodeError::new("column time", problem));
        }
        Ok(line)
    }

    fn wrong_count(&self, text: &[u8]) -> DecodeError {
        let expected = self.format.columns.0.len();
        let found = memchr::memchr_iter(b'\t', text).count() + 1;
        DecodeError::new(
            "",
            format!(
                "{found} column{} where {expected} {} expected ({})",
                if found == 1 { "" } else { "s" },
                if expected == 1 { "was" } else { "were" },
                self.format.columns.names()
            ),
        )
    }

    fn read_column(
        &mut self,
        column: Column,
        text: &[u8],
        range: Range<usize>,
        escaped: bool,
        line: &mut ParsedLine,
    ) -> Result<(), DecodeError> {
        let start = range.start;
        let mut field = match &text[range.clone()] {
            b"\\N" => FieldBytes::Null,
            raw if escaped => FieldBytes::Scratch(unescape(column, raw, start, &mut self.scratch)?),
            _ => FieldBytes::Line(range),
        };
        if matches!(column, Column::Key | Column::Value) {
            self.convert_bytes(column, text, start, &mut field)?;
        }
        let bytes = field.bytes(text, &self.scratch);
        match column {
            Column::Topic => line.topic = field,
            Column::Key => line.key = field,
            Column::Value => line.value = field,
            Column::Headers => return self.read_headers(text, start, &field),
            Column::Partition => {
                let number = position(column, bytes, start)?;
                line.partition = number
                    .map(i32::try_from)
                    .transpose()
                    .map_err(|_| bad_number(column, bytes, start))?;
            }
            Column::Offset => line.offset = position(column, bytes, start)?,
            // Kafka writes -1 for "no timestamp".
            Column::Timestamp => {
                line.timestamp_ms = whole(column, bytes, start)?.filter(|ms| *ms != -1);
            }
            Column::Time => line.time_ms = time(bytes, start)?,
            Column::DeliveryCount => {
                whole(column, bytes, start)?;
            }
        }
        Ok(())
    }

    /// Decodes `--bytes=hex` and enforces `--utf8=strict`.
    fn convert_bytes(
        &mut self,
        column: Column,
        text: &[u8],
        start: usize,
        field: &mut FieldBytes,
    ) -> Result<(), DecodeError> {
        if self.format.bytes == ByteStyle::Hex && !matches!(field, FieldBytes::Null) {
            *field = FieldBytes::Scratch(unhex(column, field, start, &mut self.scratch)?);
        }
        if self.format.utf8 == Utf8::Strict
            && let Some(bytes) = field.bytes(text, &self.scratch)
            && std::str::from_utf8(bytes).is_err()
        {
            return Err(fail(column, "is not UTF-8").at(start));
        }
        Ok(())
    }

    fn read_headers(
        &mut self,
        text: &[u8],
        start: usize,
        field: &FieldBytes,
    ) -> Result<(), DecodeError> {
        let read = match field {
            FieldBytes::Null => Ok(()),
            FieldBytes::Line(range) => headers::decode(
                &text[range.clone()],
                &mut self.scratch,
                &mut self.header_ranges,
            ),
            // Rare: what we write has no backslash in this column.
            FieldBytes::Scratch(range) => {
                let unescaped = self.scratch[range.clone()].to_owned();
                headers::decode(&unescaped, &mut self.scratch, &mut self.header_ranges)
            }
        };
        read.map_err(|error| error.moved_by(start))
    }
}

impl FieldBytes {
    fn bytes<'a>(&self, text: &'a [u8], scratch: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            FieldBytes::Null => None,
            FieldBytes::Line(range) => Some(&text[range.clone()]),
            FieldBytes::Scratch(range) => Some(&scratch[range.clone()]),
        }
    }
}

fn fail(column: Column, problem: impl Into<String>) -> DecodeError {
    DecodeError::new(format!("column {}", column.name()), problem)
}

/// So many bytes of a field are searched one by one.
const SHORT_BYTES: usize = 16;

/// The end of the field that starts at `start`, and whether it contains a backslash.
#[inline]
fn field_end(text: &[u8], start: usize) -> (usize, bool) {
    let field = &text[start..];
    // Most fields are so short that a call of memchr costs more than a look at each byte.
    let short = &field[..field.len().min(SHORT_BYTES)];
    let found = short
        .iter()
        .position(|byte| matches!(byte, b'\t' | b'\\'))
        .or_else(|| {
            let found = memchr::memchr2(b'\t', b'\\', &field[short.len()..]);
            found.map(|found| short.len() + found)
        });
    match found {
        None => (text.len(), false),
        Some(found) if field[found] == b'\t' => (start + found, false),
        Some(found) => {
            let tab = memchr::memchr(b'\t', &field[found..]);
            (tab.map_or(text.len(), |tab| start + found + tab), true)
        }
    }
}

/// A whole number; `None` for NULL and for the empty field.
fn whole(column: Column, bytes: Option<&[u8]>, start: usize) -> Result<Option<i64>, DecodeError> {
    match bytes {
        None | Some([]) => Ok(None),
        Some(text) => short_number(text)
            .or_else(|| units::parse_whole(std::str::from_utf8(text).ok()?).ok())
            .map(Some)
            .ok_or_else(|| bad_number(column, bytes, start)),
    }
}

/// A number of so few digits that it can't be too large, as nearly all are.
#[inline]
fn short_number(text: &[u8]) -> Option<i64> {
    if text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + i64::from(digit))
    })
}

/// A partition or offset; -1 is "none".
fn position(
    column: Column,
    bytes: Option<&[u8]>,
    start: usize,
) -> Result<Option<i64>, DecodeError> {
    match whole(column, bytes, start)? {
        Some(-1) => Ok(None),
        Some(number) if number < 0 => Err(bad_number(column, bytes, start)),
        number => Ok(number),
    }
}

fn bad_number(column: Column, bytes: Option<&[u8]>, start: usize) -> DecodeError {
    let shown = bytes.unwrap_or_default().escape_ascii();
    let article = if column == Column::Offset { "an" } else { "a" };
    let problem = format!("{shown} is not {article} {}", column.name());
    fail(column, problem).at(start)
}

fn time(bytes: Option<&[u8]>, start: usize) -> Result<Option<i64>, DecodeError> {
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
        return Ok(None);
    };
    let ms = std::str::from_utf8(bytes)
        .map_err(|_| "is not UTF-8".to_owned())
        .and_then(units::parse_instant_ms)
        .map_err(|problem| fail(Column::Time, problem).at(start))?;
    Ok(Some(ms))
}

fn topic(bytes: Option<&[u8]>) -> Result<Option<&str>, DecodeError> {
    let topic = bytes.map(std::str::from_utf8).transpose();
    let topic = topic.map_err(|_| fail(Column::Topic, "is not UTF-8"))?;
    Ok(topic.filter(|topic| !topic.is_empty()))
}

#[cfg(test)]
mod tests;
