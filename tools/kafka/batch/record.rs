//! Parses one record: varints, and slices between them.

use super::Batch;
use crate::record::Header;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    pub offset: i64,
    /// Milliseconds since 1970; negative if there is none.
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// Why some bytes do not begin with a record.
pub(super) enum ParseFailure {
    /// It needs at least this many more bytes.
    Missing(usize),
    Malformed(&'static str),
}

/// The most bytes of the varint of a record's length.
const LENGTH_BYTES: usize = 5;

impl<'a> RawRecord<'a> {
    /// The record at the front of `bytes`, and the rest, if each of its varints has at most two bytes, as nearly all do.
    ///
    /// It decodes them from one word of eight bytes. Otherwise [`RawRecord::parse`] is to be tried.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a record is many words, which stay in registers only if inlined"
    )]
    pub(super) fn parse_short(
        batch: &Batch<'_>,
        bytes: &'a [u8],
    ) -> Option<(RawRecord<'a>, &'a [u8])> {
        let mut word = Word::at(bytes)?;
        let length = word.varint()?;
        let start = word.used;
        word.skip_byte();
        let timestamp_delta = word.varint()?;
        let offset_delta = word.varint()?;
        // A negative zigzag varint is odd.
        if (length | offset_delta) & 1 != 0 {
            return None;
        }
        let (body, rest) = bytes.split_at_checked(start + (length >> 1) as usize)?;
        let (key, body) = short_nullable(body.get(word.used..)?)?;
        let (value, body) = short_nullable(body)?;
        let (&count, headers) = body.split_first()?;
        let offset_delta = offset_delta >> 1;
        if count & 0x81 != 0 || offset_delta > u64::from(batch.last_offset_delta) {
            return None;
        }
        let timestamp_delta_ms = unzigzag(timestamp_delta);
        let record = RawRecord {
            offset: batch.base_offset + offset_delta as i64,
            timestamp_ms: batch.timestamp_ms(timestamp_delta_ms),
            key,
            value,
            headers: Headers {
                count: usize::from(count >> 1),
                bytes: headers,
            },
        };
        Some((record, rest))
    }

    /// The record at the front of `bytes`, and the rest; if `None`, [`RawRecord::parse_failure`] is the reason.
    #[cold]
    #[inline(never)]
    pub(super) fn parse(batch: &Batch<'_>, bytes: &'a [u8]) -> Option<(RawRecord<'a>, &'a [u8])> {
        let (length, bytes) = length(bytes)?;
        let (body, rest) = bytes.split_at_checked(length)?;
        // The attributes, unused yet.
        let (_, body) = body.split_first()?;
        let (timestamp_delta_ms, body) = varint(body)?;
        let (offset_delta, body) = varint(body)?;
        let (key, body) = nullable(body)?;
        let (value, body) = nullable(body)?;
        let (count, headers) = self::length(body)?;
        if u64::try_from(offset_delta).ok()? > u64::from(batch.last_offset_delta) {
            return None;
        }
        let record = RawRecord {
            offset: batch.base_offset + offset_delta,
            timestamp_ms: batch.timestamp_ms(timestamp_delta_ms),
            key,
            value,
            headers: Headers {
                count,
                bytes: headers,
            },
        };
        Some((record, rest))
    }

    /// Why [`RawRecord::parse`] returned `None`.
    #[cold]
    pub(super) fn parse_failure(bytes: &[u8]) -> ParseFailure {
        let Some((length, behind)) = varint(bytes) else {
            if bytes.len() >= LENGTH_BYTES {
                return ParseFailure::Malformed("its length is no number");
            }
            return ParseFailure::Missing(1);
        };
        let Ok(length @ 0..=0x7fff_ffff) = usize::try_from(length) else {
            return ParseFailure::Malformed("its length is negative or too large");
        };
        match length.checked_sub(behind.len()) {
            Some(missing @ 1..) => ParseFailure::Missing(missing),
            _ => ParseFailure::Malformed(
                "its lengths do not add up, or its offset is outside of the batch",
            ),
        }
    }
}

/// The headers of a record, parsed on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    #[inline]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Replaces the contents of `list`; false if the lengths do not add up.
    pub fn read(self, list: &mut Vec<Header<'a>>) -> bool {
        list.clear();
        let mut rest = self.bytes;
        for _ in 0..self.count {
            let Some((header, behind)) = header(rest) else {
                return false;
            };
            list.push(header);
            rest = behind;
        }
        rest.is_empty()
    }
}

fn header(bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let (name, bytes) = nullable(bytes)?;
    let (value, bytes) = nullable(bytes)?;
    Some((Header { name: name?, value }, bytes))
}

/// Eight bytes from which varints are decoded.
struct Word {
    bits: u64,
    used: usize,
}

impl Word {
    #[inline]
    fn at(bytes: &[u8]) -> Option<Word> {
        let bits = u64::from_le_bytes(*bytes.first_chunk()?);
        Some(Word { bits, used: 0 })
    }

    #[inline]
    fn skip_byte(&mut self) {
        self.bits >>= 8;
        self.used += 1;
    }

    /// A varint of one or two bytes, still zigzag-encoded. At most eight bytes can be decoded in all.
    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let bits = self.bits;
        if bits & 0x80 == 0 {
            self.skip_byte();
            return Some(bits & 0x7f);
        }
        if bits & 0x8000 != 0 {
            return None;
        }
        self.bits >>= 16;
        self.used += 2;
        Some(bits & 0x7f | bits >> 1 & 0x3f80)
    }
}

/// As [`nullable`], for a length of at most two bytes.
#[inline]
fn short_nullable(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let Some(mut word) = Word::at(bytes) else {
        return last_nullable(bytes);
    };
    let length = word.varint()?;
    let rest = bytes.get(word.used..)?;
    if length & 1 != 0 {
        return Some((None, rest));
    }
    let (taken, rest) = rest.split_at_checked((length >> 1) as usize)?;
    Some((Some(taken), rest))
}

/// As [`nullable`], in the last eight bytes of a record: the length has one byte.
#[inline]
fn last_nullable(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    if length & 1 != 0 {
        return (length < 0x80).then_some((None, rest));
    }
    if length >= 0x80 {
        return None;
    }
    let (taken, rest) = rest.split_at_checked(usize::from(length >> 1))?;
    Some((Some(taken), rest))
}

#[inline]
fn unzigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

/// A zigzag varint (`ByteUtils.readVarlong`) and the rest. Most have one byte or two.
#[inline]
fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (raw, rest) = match *bytes {
        [first, ref rest @ ..] if first < 0x80 => (u64::from(first), rest),
        [first, second, ref rest @ ..] if second < 0x80 => {
            (u64::from(first & 0x7f) | u64::from(second) << 7, rest)
        }
        _ => long_varint(bytes)?,
    };
    Some((unzigzag(raw), rest))
}

#[cold]
#[inline(never)]
fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        let group = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        // The tenth group has one bit.
        if shift == 63 && group > 1 {
            return None;
        }
        number |= group << shift;
        if byte < 0x80 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

/// A varint that is a valid length.
#[inline]
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = varint(bytes)?;
    (0..=i64::from(i32::MAX))
        .contains(&length)
        .then_some((length as usize, rest))
}

/// Bytes after their length; a negative length is NULL, as in librdkafka.
#[inline]
fn nullable(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = varint(bytes)?;
    if length < 0 {
        return Some((None, rest));
    }
    let (taken, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((Some(taken), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Batches;
    use super::super::build::BatchBuilder;
    use super::*;

    proptest! {
        /// Varints may be longer than needed, and lengths may have any value.
        #[test]
        fn parse_short_and_parse_return_the_same_record(
            head in proptest::collection::vec(prop_oneof![0..20u8, 126..132u8, any::<u8>()], 1..12),
            tail in proptest::collection::vec(prop_oneof![0..4u8, any::<u8>()], 0..40),
        ) {
            let mut builder = BatchBuilder::of(5, &["a"]);
            builder.last_offset_delta = Some(300);
            let batch = builder.bytes();
            let batch = Batches::new(&batch).next().expect("one").expect("whole");
            let bytes = [head, tail].concat();
            if let Some(short) = RawRecord::parse_short(&batch, &bytes) {
                prop_assert_eq!(Some(short), RawRecord::parse(&batch, &bytes));
            }
        }
    }
}
