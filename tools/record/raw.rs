//! Raw records, kcat's habit: an optional key and its delimiter, the value, a delimiter.
//!
//! Nothing is escaped, so a reader splits a value that contains the delimiter;
//! the encoder counts such records. NULL is written as nothing, or as `NULL`
//! under `-Z`, and cannot be distinguished from that text.

use super::decode::{Decoded, DecodedRecord};
use super::delimited::DelimitedValues;
use super::error::FormatError;
use super::split::{ByteSearch, Splitter};
use super::{Record, template};
use crate::text::{TerminalEscape, escape_for_terminal};

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

#[derive(Clone, Debug)]
pub(super) struct RawEncoder {
    format: Raw,
    /// `None` for an empty delimiter, which ends nothing.
    delimiter_search: Option<ByteSearch>,
    key_delimiter_search: Option<ByteSearch>,
}

impl RawEncoder {
    pub(super) fn new(format: Raw) -> RawEncoder {
        let search = |text: &Vec<u8>| (!text.is_empty()).then(|| ByteSearch::new(text));
        RawEncoder {
            delimiter_search: search(&format.delimiter),
            key_delimiter_search: format.key_delimiter.as_ref().and_then(search),
            format,
        }
    }

    fn null(&self) -> &'static [u8] {
        if self.format.null_empty {
            template::NULL_TEXT
        } else {
            b""
        }
    }

    /// The fast encoder for values without keys, each ended by one byte: the usual case.
    pub(super) fn delimited_values(&self) -> Option<DelimitedValues> {
        let null = self.null();
        match self.format.delimiter[..] {
            [delimiter] if self.format.key_delimiter.is_none() => {
                Some(DelimitedValues { delimiter, null })
            }
            _ => None,
        }
    }

    /// Appends the record. Returns whether a reader would split it at another place.
    pub(super) fn encode(&self, record: &Record<'_>, terminal: bool, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let key = record.key.unwrap_or(self.null());
        let value = record.value.unwrap_or(self.null());
        if let Some(key_delimiter) = &self.format.key_delimiter {
            out.extend_from_slice(key);
            out.extend_from_slice(key_delimiter);
        }
        out.extend_from_slice(value);
        let body_len = out.len() - start;
        out.extend_from_slice(&self.format.delimiter);
        let ambiguous = self.is_ambiguous(&out[start..], body_len, key.len());
        if terminal {
            out.truncate(start);
            if let Some(key_delimiter) = &self.format.key_delimiter {
                escape_for_terminal(key, TerminalEscape::Hex, out);
                out.extend_from_slice(key_delimiter);
            }
            escape_for_terminal(value, TerminalEscape::Hex, out);
            out.extend_from_slice(&self.format.delimiter);
        }
        ambiguous
    }

    /// A reader searches all of `text` for the first delimiter, so a value that
    /// ends with a part of the delimiter is ambiguous too.
    fn is_ambiguous(&self, text: &[u8], body_len: usize, key_len: usize) -> bool {
        let is_elsewhere = |search: &Option<ByteSearch>, text: &[u8], expected: usize| {
            let search = search.as_ref();
            search.is_some_and(|search| search.find(text) != Some(expected))
        };
        is_elsewhere(&self.delimiter_search, text, body_len)
            || is_elsewhere(&self.key_delimiter_search, &text[..body_len], key_len)
    }
}

#[derive(Clone, Debug)]
pub(super) struct RawDecoder {
    splitter: Splitter,
    key_delimiter: Option<ByteSearch>,
    null_empty: bool,
    skipped: u64,
}

impl RawDecoder {
    pub(super) fn new(format: &Raw) -> Result<RawDecoder, FormatError> {
        if format.delimiter.is_empty() {
            return Err(FormatError::EmptyDelimiter);
        }
        if format.key_delimiter.as_ref().is_some_and(Vec::is_empty) {
            return Err(FormatError::EmptyKeyDelimiter);
        }
        Ok(RawDecoder {
            splitter: Splitter::new(&format.delimiter),
            key_delimiter: format.key_delimiter.as_deref().map(ByteSearch::new),
            null_empty: format.null_empty,
            skipped: 0,
        })
    }

    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    #[inline]
    pub(super) fn decode<'a>(&mut self, input: &'a [u8], at_end: bool) -> Decoded<'a> {
        let Some(bounds) = self.splitter.next_record(input, at_end) else {
            return Decoded::Incomplete;
        };
        if bounds.end == 0 {
            self.skipped += 1;
            return Decoded::Skipped { used: bounds.used };
        }
        let (key, value) = self.split_key(&input[..bounds.end]);
        Decoded::Record {
            record: DecodedRecord::from(Record {
                key,
                value,
                ..Record::default()
            }),
            used: bounds.used,
        }
    }

    /// Without the key delimiter the key is NULL and everything is the value, as in kcat.
    fn split_key<'a>(&self, text: &'a [u8]) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        let found = self
            .key_delimiter
            .as_ref()
            .and_then(|delimiter| Some((delimiter.find(text)?, delimiter.len())));
        let Some((at, len)) = found else {
            return (None, Some(text));
        };
        let keep = |part: &'a [u8]| (!(self.null_empty && part.is_empty())).then_some(part);
        (keep(&text[..at]), keep(&text[at + len..]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::decode_one;
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
            .expect("raw output has no errors");
        (out, encoder.ambiguous())
    }

    fn decoded(format: Raw, text: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let owned = |bytes: Bytes<'_>| bytes.map(<[u8]>::to_owned);
        let pair = |record: Record<'_>| (owned(record.key), owned(record.value));
        decode_one(Format::Raw(format), text, pair).expect("raw input has no errors")
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
    fn a_value_that_a_reader_would_split_is_counted() {
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
