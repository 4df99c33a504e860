//! Where in a line the key is, and its bytes: `line -> key columns`.

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
pub(crate) enum KeyPlace {
    /// Columns of a TSV line, counted from 0, in the order of the key.
    Columns(Vec<usize>),
    /// The key of a record in JSON.
    RecordKey,
    /// JSON pointers (RFC 6901), in the order of the key.
    Pointers(Vec<String>),
}

impl KeyPlace {
    /// From what was given to `-k`, which may be nothing.
    ///
    /// # Errors
    /// Not a list of columns, or with JSON not a pointer.
    pub(crate) fn new(given: &[String], json: bool) -> Result<KeyPlace> {
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
                [] => KeyPlace::RecordKey,
                pointers => KeyPlace::Pointers(pointers.to_vec()),
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
        Ok(KeyPlace::Columns(columns))
    }

    /// How many columns the key has.
    pub(crate) fn columns(&self) -> usize {
        match self {
            KeyPlace::Columns(columns) => columns.len(),
            KeyPlace::RecordKey => 1,
            KeyPlace::Pointers(pointers) => pointers.len(),
        }
    }
}

/// A line without a key where it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// The line is shorter.
    #[error("there is no column {0}")]
    NoColumn(usize),
    /// An empty line is no JSON object.
    #[error("the line is empty")]
    Empty,
    /// The column or the record is malformed.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// Not JSON.
    #[error("not JSON")]
    NotJson(#[from] serde_json::Error),
    /// The pointer leads nowhere.
    #[error("there is nothing at {0}")]
    NoMember(String),
    /// The value has no one text form that could be hashed.
    #[error("at {0} is {1}, which is no key")]
    NoKey(String, &'static str),
}

/// `PostgreSQL` takes no more (`PARTITION_MAX_KEYS`), and no other original takes several.
const MAX_COLUMNS: usize = 32;

/// Finds keys; holds the bytes of those that had to be decoded.
pub(crate) struct Keys {
    finder: Finder,
    /// Decoded columns, one after the other.
    decoded: Vec<u8>,
}

enum Finder {
    /// The first column alone, by far the most usual.
    First(Decoder),
    Columns(Vec<usize>, Decoder),
    RecordKey(Decoder),
    Pointers(Vec<String>),
}

/// Where a column's bytes are.
#[derive(Clone, Debug)]
enum Field {
    Null,
    Line(Range<usize>),
    Decoded(Range<usize>),
}

impl Keys {
    /// # Errors
    /// None that a valid `place` could cause.
    pub(crate) fn new(place: &KeyPlace) -> Result<Keys> {
        let finder = match place {
            KeyPlace::Columns(columns) if columns[..] == [0] => Finder::First(field_decoder()?),
            KeyPlace::Columns(columns) => Finder::Columns(columns.clone(), field_decoder()?),
            KeyPlace::RecordKey => Finder::RecordKey(Decoder::new(Format::Json(Json::default()))?),
            KeyPlace::Pointers(pointers) => Finder::Pointers(pointers.clone()),
        };
        let decoded = Vec::new();
        Ok(Keys { finder, decoded })
    }

    /// Whether lines are columns of TSV, and no objects.
    pub(crate) fn are_of_tsv(&self) -> bool {
        matches!(self.finder, Finder::First(_) | Finder::Columns(..))
    }

    /// Finds the key of a line, which has no line feed at its end, and calls `then` with it.
    ///
    /// # Errors
    /// There is no key where it should be, or it is malformed.
    #[inline]
    pub(crate) fn find<T>(
        &mut self,
        line: &[u8],
        then: impl FnOnce(Key<'_>) -> T,
    ) -> Result<T, LineError> {
        self.decoded.clear();
        match &mut self.finder {
            Finder::First(reader) => {
                let (place, plain) = field_at(line, 0);
                if plain {
                    return Ok(then(&[Some(&line[place])]));
                }
                let field = decode_field(line, place, reader, &mut self.decoded)?;
                Ok(then(&[field.bytes(line, &self.decoded)]))
            }
            Finder::RecordKey(decoder) => match decoder.decode(line, true)? {
                Decoded::Record { record, .. } => Ok(then(&[record.record().key])),
                Decoded::Skipped { .. } | Decoded::Incomplete => Err(LineError::Empty),
            },
            Finder::Columns(columns, decoder) => {
                let fields = find_columns(line, columns, decoder, &mut self.decoded)?;
                Ok(with_fields(
                    &fields[..columns.len()],
                    line,
                    &self.decoded,
                    then,
                ))
            }
            Finder::Pointers(pointers) => {
                let fields = find_members(line, pointers, &mut self.decoded)?;
                Ok(with_fields(
                    &fields[..pointers.len()],
                    line,
                    &self.decoded,
                    then,
                ))
            }
        }
    }
}

impl Field {
    fn bytes<'a>(&self, line: &'a [u8], decoded: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Field::Null => None,
            Field::Line(place) => Some(&line[place.clone()]),
            Field::Decoded(place) => Some(&decoded[place.clone()]),
        }
    }
}

fn with_fields<T>(
    fields: &[Field],
    line: &[u8],
    decoded: &[u8],
    then: impl FnOnce(Key<'_>) -> T,
) -> T {
    let mut key = [None; MAX_COLUMNS];
    for (column, field) in key.iter_mut().zip(fields) {
        *column = field.bytes(line, decoded);
    }
    then(&key[..fields.len()])
}

/// Reads one field as if it were a line of its own.
fn field_decoder() -> Result<Decoder> {
    let format = Tsv {
        columns: Columns::from_str(Column::Key.name())?,
        ..Tsv::default()
    };
    Ok(Decoder::new(Format::Tsv(format))?)
}

/// The field that starts at `start`, and whether its bytes are the key's own: no escape in it, no CR that may be a line end.
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

/// Undoes the escapes of a field that [`field_at`] found not to be plain.
#[cold]
fn decode_field(
    line: &[u8],
    place: Range<usize>,
    reader: &mut Decoder,
    decoded: &mut Vec<u8>,
) -> Result<Field, LineError> {
    match reader.decode(&line[place], true)? {
        Decoded::Record { record, .. } => Ok(match record.record().key {
            None => Field::Null,
            Some(key) => append(key, decoded),
        }),
        Decoded::Skipped { .. } | Decoded::Incomplete => Err(LineError::Empty),
    }
}

fn append(bytes: &[u8], decoded: &mut Vec<u8>) -> Field {
    let start = decoded.len();
    decoded.extend_from_slice(bytes);
    Field::Decoded(start..decoded.len())
}

fn find_columns(
    line: &[u8],
    columns: &[usize],
    reader: &mut Decoder,
    decoded: &mut Vec<u8>,
) -> Result<[Field; MAX_COLUMNS], LineError> {
    let mut fields = [const { Field::Null }; MAX_COLUMNS];
    let last = columns.iter().copied().max().unwrap_or(0);
    let mut start = 0;
    for column in 0..=last {
        if start > line.len() {
            return Err(LineError::NoColumn(column + 1));
        }
        let wanted = columns.contains(&column);
        let (place, plain) = field_at(line, start);
        start = place.end + 1;
        if !wanted {
            continue;
        }
        let field = if plain {
            Field::Line(place)
        } else {
            decode_field(line, place, reader, decoded)?
        };
        for (slot, _) in fields
            .iter_mut()
            .zip(columns)
            .filter(|(_, at)| **at == column)
        {
            *slot = field.clone();
        }
    }
    Ok(fields)
}

fn find_members(
    line: &[u8],
    pointers: &[String],
    decoded: &mut Vec<u8>,
) -> Result<[Field; MAX_COLUMNS], LineError> {
    let object: Value = serde_json::from_slice(line)?;
    let mut fields = [const { Field::Null }; MAX_COLUMNS];
    for (field, pointer) in fields.iter_mut().zip(pointers) {
        let no_key = |what| LineError::NoKey(pointer.clone(), what);
        let member = object.pointer(pointer);
        *field = match member.ok_or_else(|| LineError::NoMember(pointer.clone()))? {
            Value::Null => Field::Null,
            Value::String(text) => append(text.as_bytes(), decoded),
            Value::Bool(yes) => append(yes.to_string().as_bytes(), decoded),
            Value::Number(number) if number.is_f64() => {
                return Err(no_key("a number with a fraction or too many digits"));
            }
            Value::Number(number) => append(number.to_string().as_bytes(), decoded),
            Value::Array(_) => return Err(no_key("an array")),
            Value::Object(_) => return Err(no_key("an object")),
        };
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(options: &[&str], json: bool) -> Keys {
        let given: Vec<String> = options.iter().map(|&text| text.to_owned()).collect();
        Keys::new(&KeyPlace::new(&given, json).unwrap()).unwrap()
    }

    fn found(options: &[&str], json: bool, line: &str) -> Result<String, String> {
        let text = |column: Option<&[u8]>| match column {
            None => "NULL".to_owned(),
            Some(bytes) => format!("[{}]", bytes.escape_ascii()),
        };
        let join = |key: Key<'_>| key.iter().copied().map(text).collect::<Vec<_>>().join(" ");
        keys(options, json)
            .find(line.as_bytes(), join)
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
    fn a_bad_field_is_an_error_and_one_that_is_not_the_key_is_not_looked_at() {
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
