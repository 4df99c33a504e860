//! The key of a line: where it is, and its bytes.

use std::ops::Range;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use serde_json::Value;
use tools::record::json::Json;
use tools::record::tsv::{Column, Columns, Tsv};
use tools::record::{DecodeError, Decoded, Decoder, Format};

/// The key's columns, as many as the algorithm takes; `None` is NULL.
pub(crate) type Key<'a> = &'a [Option<&'a [u8]>];

/// Where in a line the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyLocation {
    /// Columns of a TSV line, counted from 0, in the order of the key.
    Columns(Vec<usize>),
    /// The key of a record in JSON.
    RecordKey,
    /// JSON pointers (RFC 6901), in the order of the key.
    Pointers(Vec<String>),
}

impl KeyLocation {
    /// `given` are the arguments of `-k`.
    pub(crate) fn new(given: &[String], json: bool) -> Result<KeyLocation> {
        if json {
            ensure!(
                given.len() <= MAX_COLUMNS,
                "-k: a key has at most {MAX_COLUMNS} columns"
            );
            for pointer in given {
                ensure!(
                    pointer.is_empty() || pointer.starts_with('/'),
                    "-k {pointer}: with -J the key is a JSON pointer such as /user/id"
                );
            }
            return Ok(match given {
                [] => KeyLocation::RecordKey,
                pointers => KeyLocation::Pointers(pointers.to_vec()),
            });
        }
        let mut columns = Vec::new();
        for text in given.iter().flat_map(|list| list.split(',')) {
            ensure!(!text.starts_with('/'), "-k {text}: a JSON pointer needs -J");
            match tools::units::parse_whole::<usize>(text) {
                Ok(column @ 1..) => columns.push(column - 1),
                _ => bail!("-k {text}: columns are numbers from 1, several joined by commas"),
            }
        }
        if columns.is_empty() {
            columns.push(0);
        }
        ensure!(
            columns.len() <= MAX_COLUMNS,
            "-k: a key has at most {MAX_COLUMNS} columns"
        );
        Ok(KeyLocation::Columns(columns))
    }

    pub(crate) fn column_count(&self) -> usize {
        match self {
            KeyLocation::Columns(columns) => columns.len(),
            KeyLocation::RecordKey => 1,
            KeyLocation::Pointers(pointers) => pointers.len(),
        }
    }
}

/// A line whose key cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("there is no column {0}")]
    NoColumn(usize),
    /// An empty line is no JSON object.
    #[error("the line is empty")]
    Empty,
    /// The column or the record is malformed.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    #[error("not JSON")]
    NotJson(#[from] serde_json::Error),
    /// The pointer leads nowhere.
    #[error("there is nothing at {0}")]
    NoMember(String),
    /// The value has no one text form that could be hashed.
    #[error("at {0} is {1}, which is no key")]
    NoKey(String, &'static str),
}

/// `PARTITION_MAX_KEYS` of `PostgreSQL`; the other algorithms take one column.
const MAX_COLUMNS: usize = 32;

pub(crate) struct KeyReader {
    location: KeyLocation,
    /// Of a TSV field or of a JSON record.
    decoder: Decoder,
    /// Columns that had escapes, one after the other.
    scratch: Vec<u8>,
}

/// Where a column's bytes are.
#[derive(Clone, Debug)]
enum KeyColumn {
    Null,
    Line(Range<usize>),
    Decoded(Range<usize>),
}

impl KeyReader {
    /// # Errors
    /// None that a valid `location` could cause.
    pub(crate) fn new(location: KeyLocation) -> Result<KeyReader> {
        let format = match location {
            // A field is decoded as if it were a line of its own.
            KeyLocation::Columns(_) => Format::Tsv(Tsv {
                columns: Columns::from_str(Column::Key.name())?,
                ..Tsv::default()
            }),
            KeyLocation::RecordKey | KeyLocation::Pointers(_) => Format::Json(Json::default()),
        };
        Ok(KeyReader {
            location,
            decoder: Decoder::new(format)?,
            scratch: Vec::new(),
        })
    }

    pub(crate) fn reads_tsv(&self) -> bool {
        matches!(self.location, KeyLocation::Columns(_))
    }

    /// Calls `then` with the key of a line, which is given without its line feed.
    #[inline]
    pub(crate) fn with_key<T>(
        &mut self,
        line: &[u8],
        then: impl FnOnce(Key<'_>) -> T,
    ) -> Result<T, LineError> {
        self.scratch.clear();
        let columns = match &self.location {
            // The first column alone, by far the most usual.
            KeyLocation::Columns(columns) if columns[..] == [0] => {
                let (range, is_plain) = field_at(line, 0);
                if is_plain {
                    return Ok(then(&[Some(&line[range])]));
                }
                let column = decode_field(line, range, &mut self.decoder, &mut self.scratch)?;
                return Ok(then(&[column.bytes(line, &self.scratch)]));
            }
            KeyLocation::RecordKey => {
                return match self.decoder.decode(line, true)? {
                    Decoded::Record { record, .. } => Ok(then(&[record.record().key])),
                    Decoded::Skipped { .. } | Decoded::Incomplete => Err(LineError::Empty),
                };
            }
            KeyLocation::Columns(columns) => {
                find_columns(line, columns, &mut self.decoder, &mut self.scratch)?
            }
            KeyLocation::Pointers(pointers) => find_members(line, pointers, &mut self.scratch)?,
        };
        let mut key = [None; MAX_COLUMNS];
        for (bytes, column) in key.iter_mut().zip(&columns) {
            *bytes = column.bytes(line, &self.scratch);
        }
        Ok(then(&key[..self.location.column_count()]))
    }
}

impl KeyColumn {
    fn bytes<'a>(&self, line: &'a [u8], scratch: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            KeyColumn::Null => None,
            KeyColumn::Line(range) => Some(&line[range.clone()]),
            KeyColumn::Decoded(range) => Some(&scratch[range.clone()]),
        }
    }
}

/// The field that starts at `start`, and whether it is the key as it is: without escapes, and without a CR that may be a line end.
#[inline]
fn field_at(line: &[u8], start: usize) -> (Range<usize>, bool) {
    let rest = &line[start..];
    match memchr::memchr2(b'\t', b'\\', rest) {
        Some(end) if rest[end] == b'\t' => (start..start + end, true),
        Some(escape) => {
            let tab = memchr::memchr(b'\t', &rest[escape..]);
            (
                start..tab.map_or(line.len(), |tab| start + escape + tab),
                false,
            )
        }
        None => (start..line.len(), rest.last() != Some(&b'\r')),
    }
}

/// Decodes a field that is not the key as it is.
#[cold]
fn decode_field(
    line: &[u8],
    range: Range<usize>,
    decoder: &mut Decoder,
    scratch: &mut Vec<u8>,
) -> Result<KeyColumn, LineError> {
    match decoder.decode(&line[range], true)? {
        Decoded::Record { record, .. } => Ok(match record.record().key {
            None => KeyColumn::Null,
            Some(key) => append(key, scratch),
        }),
        Decoded::Skipped { .. } | Decoded::Incomplete => Err(LineError::Empty),
    }
}

fn append(bytes: &[u8], scratch: &mut Vec<u8>) -> KeyColumn {
    let start = scratch.len();
    scratch.extend_from_slice(bytes);
    KeyColumn::Decoded(start..scratch.len())
}

fn find_columns(
    line: &[u8],
    columns: &[usize],
    decoder: &mut Decoder,
    scratch: &mut Vec<u8>,
) -> Result<[KeyColumn; MAX_COLUMNS], LineError> {
    let mut found = [const { KeyColumn::Null }; MAX_COLUMNS];
    let last = columns.iter().copied().max().unwrap_or(0);
    let mut start = 0;
    for column in 0..=last {
        if start > line.len() {
            return Err(LineError::NoColumn(column + 1));
        }
        let wanted = columns.contains(&column);
        let (range, is_plain) = field_at(line, start);
        start = range.end + 1;
        if !wanted {
            continue;
        }
        let field = if is_plain {
            KeyColumn::Line(range)
        } else {
            decode_field(line, range, decoder, scratch)?
        };
        for (slot, _) in found
            .iter_mut()
            .zip(columns)
            .filter(|(_, at)| **at == column)
        {
            *slot = field.clone();
        }
    }
    Ok(found)
}

fn find_members(
    line: &[u8],
    pointers: &[String],
    scratch: &mut Vec<u8>,
) -> Result<[KeyColumn; MAX_COLUMNS], LineError> {
    let object: Value = serde_json::from_slice(line)?;
    let mut found = [const { KeyColumn::Null }; MAX_COLUMNS];
    for (field, pointer) in found.iter_mut().zip(pointers) {
        let no_key = |what| LineError::NoKey(pointer.clone(), what);
        let member = object.pointer(pointer);
        *field = match member.ok_or_else(|| LineError::NoMember(pointer.clone()))? {
            Value::Null => KeyColumn::Null,
            Value::String(text) => append(text.as_bytes(), scratch),
            Value::Bool(yes) => append(yes.to_string().as_bytes(), scratch),
            Value::Number(number) if number.is_f64() => {
                return Err(no_key("a number with a fraction or too many digits"));
            }
            Value::Number(number) => append(number.to_string().as_bytes(), scratch),
            Value::Array(_) => return Err(no_key("an array")),
            Value::Object(_) => return Err(no_key("an object")),
        };
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(options: &[&str], json: bool, line: &str) -> Result<String, String> {
        let text = |column: Option<&[u8]>| match column {
            None => "NULL".to_owned(),
            Some(bytes) => format!("[{}]", bytes.escape_ascii()),
        };
        let join = |key: Key<'_>| key.iter().copied().map(text).collect::<Vec<_>>().join(" ");
        let options: Vec<String> = options.iter().map(|&text| text.to_owned()).collect();
        let location = KeyLocation::new(&options, json).unwrap();
        let mut reader = KeyReader::new(location).unwrap();
        reader
            .with_key(line.as_bytes(), join)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_key_is_the_decoded_first_column() {
        for (line, key) in [
            ("a\tb", "[a]"),
            ("a", "[a]"),
            ("", "[]"),
            ("\tb", "[]"),
            ("\\N\tb", "NULL"),
            ("\\N", "NULL"),
            ("\\\\N\tb", r"[\\N]"),
            ("a\\tb\tc", r"[a\tb]"),
            ("a\tb\\tc", "[a]"),
            ("a\tb\r", "[a]"),
        ] {
            assert_eq!(found(&[], false, line).as_deref(), Ok(key), "{line:?}");
        }
    }

    #[test]
    fn columns_come_in_the_order_of_the_option() {
        let line = "a\t\\N\tc\\\\\t";
        assert_eq!(found(&["2"], false, line).unwrap(), "NULL");
        assert_eq!(found(&["3,1"], false, line).unwrap(), r"[c\\] [a]");
        assert_eq!(found(&["1", "4", "1"], false, line).unwrap(), "[a] [] [a]");
        assert_eq!(
            found(&["5"], false, line).unwrap_err(),
            "there is no column 5"
        );
    }

    #[test]
    fn a_malformed_key_is_an_error_and_other_fields_are_not_decoded() {
        assert!(found(&[], false, "a\\qb\tc").unwrap_err().contains("\\q"));
        assert!(found(&[], false, "a\r").unwrap_err().contains("CR"));
        assert_eq!(found(&["2"], false, "a\\qb\tc").unwrap(), "[c]");
    }

    #[test]
    fn a_pointer_leads_to_text_numbers_and_null() {
        let line = r#"{"user":{"id":-7,"name":"\u00fc"},"a/b":[true,null,1.5,{}]}"#;
        for (pointer, key) in [
            ("/user/id", "[-7]"),
            ("/user/name", r"[\xc3\xbc]"),
            ("/a~1b/0", "[true]"),
            ("/a~1b/1", "NULL"),
        ] {
            assert_eq!(found(&[pointer], true, line).unwrap(), key);
        }
        assert_eq!(
            found(&["/user/id", "/a~1b/0"], true, line).unwrap(),
            "[-7] [true]"
        );
        for (pointer, error) in [
            ("/user", "an object"),
            ("/a~1b", "an array"),
            ("/a~1b/2", "fraction"),
            ("/none", "nothing at /none"),
        ] {
            let found = found(&[pointer], true, line).unwrap_err();
            assert!(found.contains(error), "{found}");
        }
        assert!(found(&["/a"], true, "{").is_err());
    }
}
