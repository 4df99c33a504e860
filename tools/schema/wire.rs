//! How a record names the schema of its key and value.
//!
//! Format 0 puts a zero byte and the four bytes of an id before the data. The newer one leaves the data alone, and puts a
//! one byte and the schema's GUID into a header. With Protobuf the path to the message follows.

use crate::record::Header;

/// What a schema is asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// The number that this registry has given it.
    Number(u32),
    /// The number that every registry gives it.
    Guid([u8; 16]),
}

impl std::fmt::Display for SchemaId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SchemaId::Number(id) => write!(f, "{id}"),
            SchemaId::Guid(guid) => uuid::Uuid::from_bytes(*guid).hyphenated().fmt(f),
        }
    }
}

/// Which of a record's two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Key,
    Value,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Part::Key => "key",
            Part::Value => "value",
        }
    }

    /// The header that has the schema's GUID.
    pub fn header(self) -> &'static [u8] {
        match self {
            Part::Key => b"__key_schema_id",
            Part::Value => b"__value_schema_id",
        }
    }
}

/// Why bytes name no schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{0} bytes, where a schema's id takes 5")]
    Short(usize),
    #[error("it begins with byte {0}, and a value with a schema's id begins with 0")]
    Magic(u8),
    #[error("the header is no schema's id")]
    Header,
    #[error("the path to the Protobuf message is damaged")]
    Indexes,
}

/// The id, what follows it if it is in a header, and the data.
pub type Split<'a> = (SchemaId, Option<&'a [u8]>, &'a [u8]);

/// What a record's key or value says of its schema, in a header or before the data.
pub fn split_record<'a>(
    part: Part,
    bytes: &'a [u8],
    headers: &[Header<'a>],
) -> Result<Split<'a>, WireError> {
    if let Some(header) = header(part, headers) {
        let (id, path) = of_header(header)?;
        return Ok((id, Some(path), bytes));
    }
    let (id, data) = split(bytes)?;
    Ok((id, None, data))
}

/// Takes the id from the front.
fn split(bytes: &[u8]) -> Result<(SchemaId, &[u8]), WireError> {
    match bytes {
        [0, a, b, c, d, rest @ ..] => {
            let id = u32::from_be_bytes([*a, *b, *c, *d]);
            Ok((SchemaId::Number(id), rest))
        }
        [0, ..] | [] => Err(WireError::Short(bytes.len())),
        [magic, ..] => Err(WireError::Magic(*magic)),
    }
}

/// The header that names the schema; of several the last one counts, as in Java.
pub fn header<'a>(part: Part, headers: &[Header<'a>]) -> Option<&'a [u8]> {
    let mut named = headers.iter().rev();
    named.find(|header| header.name == part.header())?.value
}

/// The id in a header, and what follows it there.
pub fn of_header(bytes: &[u8]) -> Result<(SchemaId, &[u8]), WireError> {
    match bytes {
        [1, rest @ ..] => {
            let (guid, rest) = rest.split_first_chunk().ok_or(WireError::Header)?;
            Ok((SchemaId::Guid(*guid), rest))
        }
        _ => split(bytes).map_err(|_| WireError::Header),
    }
}

/// Appends what stands before the data.
pub fn write_prefix(id: u32, out: &mut Vec<u8>) {
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
}

/// No schema nests its messages deeper.
const MOST_INDEXES: usize = 100;

/// The path to a message in its file: its number among those of the level, from the outside.
pub fn split_indexes(bytes: &[u8]) -> Result<(Vec<usize>, &[u8]), WireError> {
    let (count, mut rest) = number(bytes)?;
    if count > MOST_INDEXES {
        return Err(WireError::Indexes);
    }
    // The first message of the file is written as nothing.
    if count == 0 {
        return Ok((vec![0], rest));
    }
    let mut indexes = Vec::with_capacity(count);
    for _ in 0..count {
        let (index, left) = number(rest)?;
        indexes.push(index);
        rest = left;
    }
    Ok((indexes, rest))
}

/// Appends the path to a message.
pub fn write_indexes(indexes: &[usize], out: &mut Vec<u8>) {
    if indexes == [0] {
        out.push(0);
        return;
    }
    write_number(indexes.len(), out);
    for &index in indexes {
        write_number(index, out);
    }
}

/// A zigzag number that is not negative.
fn number(bytes: &[u8]) -> Result<(usize, &[u8]), WireError> {
    let mut bits = 0u64;
    for (at, &byte) in bytes.iter().take(5).enumerate() {
        bits |= u64::from(byte & 127) << (7 * at);
        if byte < 128 {
            let is_negative = bits & 1 == 1;
            let number = usize::try_from(bits >> 1).ok().filter(|_| !is_negative);
            return Ok((number.ok_or(WireError::Indexes)?, &bytes[at + 1..]));
        }
    }
    Err(WireError::Indexes)
}

fn write_number(number: usize, out: &mut Vec<u8>) {
    let mut bits = number << 1;
    while bits > 127 {
        out.push(bits as u8 | 128);
        bits >>= 7;
    }
    out.push(bits as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let mut bytes = Vec::new();
        write_prefix(258, &mut bytes);
        bytes.push(7);
        assert_eq!(split(&bytes), Ok((SchemaId::Number(258), &[7][..])));
        assert_eq!(split(&[0, 1]), Err(WireError::Short(2)));
        assert_eq!(split(b"{}"), Err(WireError::Magic(b'{')));
        let header: Vec<u8> = (1..=18).collect();
        let (id, rest) = of_header(&header).expect("a GUID");
        assert_eq!(id.to_string(), "02030405-0607-0809-0a0b-0c0d0e0f1011");
        assert_eq!(rest, [18]);
        assert_eq!(of_header(&[1, 2]), Err(WireError::Header));
        assert_eq!(
            of_header(&[0, 0, 0, 0, 9]),
            Ok((SchemaId::Number(9), &[][..]))
        );
    }

    #[test]
    fn the_first_message_takes_one_byte() {
        assert_eq!(split_indexes(&[0, 9]), Ok((vec![0], &[9][..])));
        assert_eq!(split_indexes(&[4, 2, 0]), Ok((vec![1, 0], &[][..])));
        for damaged in [
            &[][..],
            &[2],
            &[1],
            &[255, 255, 255, 255, 255, 1],
            &[254, 255, 3],
        ] {
            assert_eq!(split_indexes(damaged), Err(WireError::Indexes));
        }
    }

    proptest! {
        #[test]
        fn every_path_comes_back(indexes in prop::collection::vec(0usize..100_000, 1..5)) {
            let mut bytes = Vec::new();
            write_indexes(&indexes, &mut bytes);
            prop_assert_eq!(split_indexes(&bytes), Ok((indexes, &[][..])));
        }
    }
}
