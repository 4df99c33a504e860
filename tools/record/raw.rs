//! Raw records, kcat's habit: an optional key and its delimiter, the value, a delimiter.
//!
//! Nothing is escaped, so a value that holds the delimiter is cut by whoever
//! reads it; the writer counts such records. NULL is written as nothing, or
//! as `NULL` under `-Z`, and so is not told from the empty value.

use super::decode::{Decoded, DecodedRecord};
use super::error::FormatError;
use super::scan::{Needle, Splitter};
use super::terminal::{self, Escape};
use super::values::Plain;
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

    /// Where nothing but values and a byte after each is written: the usual case, which has a short way.
    pub(super) fn plain(&self) -> Option<Plain> {
        let null = if self.format.null_empty {
            template::NULL_TEXT
        } else {
            b""
        };
        match self.format.delimiter[..] {
            [end] if self.format.key_delimiter.is_none() => Some(Plain { end, null }),
            _ => None,
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

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Encoder, Format};
    use super::*;

    type Bytes<'a> = Option<&'a [u8]>;

    fn raw(delimiter: &str, key_delimiter: Option<&str>, null_empty: bool) -> Raw {
        Raw {
            delimiter: delimiter.into(),
            key_delimiter: key_delimiter.map(Into::into),
            null_empty,
        }
    }

    fn written(format: Raw, key: Bytes<'_>, value: Bytes<'_>) -> (Vec<u8>, u64) {
        let mut encoder = Encoder::new(Format::Raw(format));
        let mut out = Vec::new();
        let record = Record {
            key,
            value,
            ..Record::default()
        };
        encoder
            .encode(&record, &mut out)
            .expect("raw output refuses nothing");
        (out, encoder.ambiguous())
    }

    /// Key and value of the first record of `text`.
    fn decoded(format: Raw, text: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let mut decoder = Decoder::new(Format::Raw(format)).expect("the format can be read");
        match decoder.decode(text, true) {
            Ok(Decoded::Record { record, .. }) => {
                let record = record.record();
                let owned = |bytes: Bytes<'_>| bytes.map(<[u8]>::to_owned);
                (owned(record.key), owned(record.value))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_key_ends_at_its_first_delimiter() {
        let some = |text: &str| Some(text.as_bytes().to_owned());
        let format = || raw("\n", Some(":"), false);
        assert_eq!(decoded(format(), b"k:v:w\n"), (some("k"), some("v:w")));
        assert_eq!(decoded(format(), b"no key\n"), (None, some("no key")));
        assert_eq!(decoded(format(), b"k:\n"), (some("k"), some("")));
        assert_eq!(decoded(format(), b":v"), (some(""), some("v")));
        let z = || raw("\n", Some(":"), true);
        assert_eq!(decoded(z(), b"k:\n"), (some("k"), None));
        assert_eq!(decoded(z(), b":v\n"), (None, some("v")));
    }

    #[test]
    fn empty_lines_are_skipped_and_counted() {
        let format = Format::Raw(raw("\r\n", None, false));
        let mut decoder = Decoder::new(format).expect("the format can be read");
        assert!(matches!(
            decoder.decode(b"\r\n\r\na", true),
            Ok(Decoded::Skipped { used: 2 })
        ));
        assert!(matches!(
            decoder.decode(b"\r\na", true),
            Ok(Decoded::Skipped { used: 2 })
        ));
        assert_eq!(decoder.skipped(), 2);
    }

    #[test]
    fn null_is_nothing_or_the_word() {
        let format = |z: bool| raw("\n", Some("\t"), z);
        assert_eq!(written(format(false), None, None).0, b"\t\n");
        assert_eq!(written(format(true), None, None).0, b"NULL\tNULL\n");
        assert_eq!(written(format(true), Some(b""), Some(b"")).0, b"\t\n");
    }

    #[test]
    fn a_value_that_would_be_cut_elsewhere_is_counted() {
        let count =
            |format: Raw, key: &[u8], value: &[u8]| written(format, Some(key), Some(value)).1;
        assert_eq!(count(raw("\n", None, false), b"a\nb", b"v"), 0);
        assert_eq!(count(raw("\n", None, false), b"", b"v\nw"), 1);
        assert_eq!(count(raw("\n", Some("\t"), false), b"a\nb", b"v"), 1);
        assert_eq!(count(raw("\n", Some("\t"), false), b"a\tb", b"v"), 1);
        assert_eq!(count(raw("\n", Some("\t"), false), b"a", b"v\tw"), 0);
        // The value and its delimiter make `a:MSG:MSG:`, which ends after `a`.
        assert_eq!(count(raw(":MSG:", None, false), b"", b"a:MSG"), 1);
        assert_eq!(count(raw(":MSG:", None, false), b"", b"a:"), 0);
        assert_eq!(
            count(raw("", None, false), b"", b"one value and no more"),
            0
        );
    }

    #[test]
    fn an_empty_delimiter_reads_nothing() {
        let refused = |format: Raw| Decoder::new(Format::Raw(format)).map(|_| ());
        assert_eq!(
            refused(raw("", None, false)),
            Err(FormatError::EmptyDelimiter)
        );
        assert_eq!(
            refused(raw("\n", Some(""), false)),
            Err(FormatError::EmptyKeyDelimiter)
        );
    }
}
