//! Raw records, kcat's habit: an optional key and its delimiter, the value, a delimiter.
//!
//! Nothing is escaped, so a value that holds the delimiter is cut by whoever
//! reads it; the writer counts such records. NULL is written as nothing, or
//! as `NULL` under `-Z`, and so is not told from the empty value.

use super::decode::{Decoded, DecodedRecord};
use super::error::FormatError;
use super::scan::{Needle, Splitter};
use super::terminal::{self, Escape};
use super::{Record, template};

/// How raw records are delimited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// `-D`: what ends a record. Empty when writing means that nothing does.
    pub delimiter: Vec<u8>,
    /// `-K`: what separates key and value; `None` means that keys are neither written nor read.
    pub key_delimiter: Option<Vec<u8>>,
    /// `-Z`: NULL is written as `NULL`; an empty key or value that is read, with `-K`, is NULL.
    ///
    /// kcat writes `NULL` for an empty key or value too; here empty stays empty.
    pub null_empty: bool,
}

impl Default for Raw {
    fn default() -> Raw {
        Raw {
            delimiter: b"\n".to_vec(),
            key_delimiter: None,
            null_empty: false,
        }
    }
}

/// Writes raw records.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    format: Raw,
    /// Searched for in what was written; `None` for an empty delimiter, which ends nothing.
    end: Option<Needle>,
    key_end: Option<Needle>,
}

impl Writer {
    pub(super) fn new(format: Raw) -> Writer {
        let needle = |text: &Vec<u8>| (!text.is_empty()).then(|| Needle::new(text));
        Writer {
            end: needle(&format.delimiter),
            key_end: format.key_delimiter.as_ref().and_then(needle),
            format,
        }
    }

    /// Appends the record; true means that a reader would cut it elsewhere.
    pub(super) fn write(&self, record: &Record<'_>, terminal: bool, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let null: &[u8] = if self.format.null_empty {
            template::NULL_TEXT
        } else {
            b""
        };
        let key = record.key.unwrap_or(null);
        let value = record.value.unwrap_or(null);
        if let Some(key_delimiter) = &self.format.key_delimiter {
            out.extend_from_slice(key);
            out.extend_from_slice(key_delimiter);
        }
        out.extend_from_slice(value);
        let body = out.len() - start;
        out.extend_from_slice(&self.format.delimiter);
        let ambiguous = self.is_cut_elsewhere(&out[start..], body, key.len());
        if terminal {
            out.truncate(start);
            if let Some(key_delimiter) = &self.format.key_delimiter {
                terminal::show(key, Escape::Hex, out);
                out.extend_from_slice(key_delimiter);
            }
            terminal::show(value, Escape::Hex, out);
            out.extend_from_slice(&self.format.delimiter);
        }
        ambiguous
    }

    /// A reader looks for the first delimiter in all of `text`, so a value
    /// that ends with a part of the delimiter matters as one that holds it.
    fn is_cut_elsewhere(&self, text: &[u8], body: usize, key: usize) -> bool {
        let elsewhere = |needle: &Option<Needle>, text: &[u8], expected: usize| {
            needle
                .as_ref()
                .is_some_and(|needle| needle.find(text) != Some(expected))
        };
        elsewhere(&self.end, text, body) || elsewhere(&self.key_end, &text[..body], key)
    }
}

/// Reads raw records.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    splitter: Splitter,
    key_end: Option<Needle>,
    null_empty: bool,
    skipped: u64,
}

impl Reader {
    pub(super) fn new(format: &Raw) -> Result<Reader, FormatError> {
        if format.delimiter.is_empty() {
            return Err(FormatError::EmptyDelimiter);
        }
        if format.key_delimiter.as_ref().is_some_and(Vec::is_empty) {
            return Err(FormatError::EmptyKeyDelimiter);
        }
        Ok(Reader {
            splitter: Splitter::new(&format.delimiter),
            key_end: format.key_delimiter.as_deref().map(Needle::new),
            null_empty: format.null_empty,
            skipped: 0,
        })
    }

    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    #[inline]
    pub(super) fn read<'a>(&mut self, input: &'a [u8], at_end: bool) -> Decoded<'a> {
        let Some(cut) = self.splitter.cut(input, at_end) else {
            return Decoded::Incomplete;
        };
        if cut.end == 0 {
            self.skipped += 1;
            return Decoded::Skipped { used: cut.used };
        }
        let (key, value) = self.split(&input[..cut.end]);
        Decoded::Record {
            record: DecodedRecord::from(Record {
                key,
                value,
                ..Record::default()
            }),
            used: cut.used,
        }
    }

    /// Without the key delimiter the key is NULL and all is the value, as kcat has it.
    fn split<'a>(&self, text: &'a [u8]) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        let found = self
            .key_end
            .as_ref()
            .and_then(|needle| Some((needle.find(text)?, needle.len())));
        let Some((at, len)) = found else {
            return (None, Some(text));
        };
        let keep = |part: &'a [u8]| (!(self.null_empty && part.is_empty())).then_some(part);
        (keep(&text[..at]), keep(&text[at + len..]))
    }
}
