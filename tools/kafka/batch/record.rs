//! One record: varints, and slices between them.

use super::Batch;
use crate::record::Header;

/// A record as the batch has it.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; negative where there is none.
    pub timestamp_ms: i64,
    /// The key; `None` is NULL.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is NULL, a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, not yet looked at.
    pub headers: Headers<'a>,
}

/// Why there is no record at the front of some bytes.
pub(super) enum Fault {
    /// It goes on behind them, and takes so many bytes more, as far as that is known.
    Missing(usize),
    /// It is malformed in this way.
    Malformed(&'static str),
}

/// The most bytes that the length of a record takes.
const LENGTH_BYTES: usize = 5;

impl<'a> RawRecord<'a> {
    /// The record at the front of `bytes`, and what follows it, where its numbers take two bytes each at most, as
    /// nearly all do: eight bytes are looked at together. Else [`RawRecord::parse`] knows more.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a record is many words, which stay in registers only where it is used"
    )]
    pub(super) fn parse_short(
        batch: &Batch<'_>,
        bytes: &'a [u8],
    ) -> Option<(RawRecord<'a>, &'a [u8])> {
        let mut word = Word::at(bytes)?;
        let length = word.number()?;
        let start = word.used;
        word.skip_byte();
        let timestamp_delta = word.number()?;
        let offset_delta = word.number()?;
        // A negative length or offset is odd.
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

    /// The record at the front of `bytes`, and what follows it; where there is none, [`RawRecord::fault`] says why.
    #[cold]
    #[inline(never)]
    pub(super) fn parse(batch: &Batch<'_>, bytes: &'a [u8]) -> Option<(RawRecord<'a>, &'a [u8])> {
        let (length, bytes) = length(bytes)?;
        let (body, rest) = bytes.split_at_checked(length)?;
        // Attributes, of which there are none yet.
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

    /// Why [`RawRecord::parse`] has found none.
    #[cold]
    pub(super) fn fault(bytes: &[u8]) -> Fault {
        let Some((length, behind)) = varint(bytes) else {
            if bytes.len() >= LENGTH_BYTES {
                return Fault::Malformed("its length is no number");
            }
            return Fault::Missing(1);
        };
        let Ok(length @ 0..=0x7fff_ffff) = usize::try_from(length) else {
            return Fault::Malformed("its length is negative or too large");
        };
        match length.checked_sub(behind.len()) {
            Some(missing @ 1..) => Fault::Missing(missing),
            _ => {
                Fault::Malformed("its lengths do not add up, or its offset is outside of the batch")
            }
        }
    }
}

/// The headers of a record: parsed when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Whether there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Puts all headers into `list`, which is emptied first; false where their lengths do not add up.
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

/// Eight bytes, of which numbers are taken off the front.
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

    /// A number of one or two bytes, its sign still in its lowest bit. No more than eight bytes may be taken.
    #[inline]
    fn number(&mut self) -> Option<u64> {
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

/// As [`nullable`], where the length takes two bytes at most.
#[inline]
fn short_nullable(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let Some(mut word) = Word::at(bytes) else {
        return few_nullable(bytes);
    };
    let length = word.number()?;
    let rest = bytes.get(word.used..)?;
    if length & 1 != 0 {
        return Some((None, rest));
    }
    let (taken, rest) = rest.split_at_checked((length >> 1) as usize)?;
    Some((Some(taken), rest))
}

/// As [`nullable`], near the end of a record: the length of NULL or of a few bytes takes one.
#[inline]
fn few_nullable(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
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

/// A zigzag number (`ByteUtils.readVarlong`) and what follows it. Most take one byte or two.
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

/// Groups of seven bits, the lowest first.
#[cold]
#[inline(never)]
fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        let group = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        // The tenth group of a number of 64 bits has one bit.
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

/// A number of 31 bits that is not negative.
#[inline]
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = varint(bytes)?;
    (0..=i64::from(i32::MAX))
        .contains(&length)
        .then_some((length as usize, rest))
}

/// Bytes with their length before them; -1 is NULL, and anything else below 0 is taken for it, as librdkafka does.
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
    use super::super::build::Recipe;
    use super::*;

    type Parts<'a> = (
        i64,
        i64,
        Option<&'a [u8]>,
        Option<&'a [u8]>,
        usize,
        &'a [u8],
        &'a [u8],
    );

    fn parts<'a>((record, rest): (RawRecord<'a>, &'a [u8])) -> Parts<'a> {
        let RawRecord {
            offset,
            timestamp_ms,
            key,
            value,
            headers,
        } = record;
        (
            offset,
            timestamp_ms,
            key,
            value,
            headers.count,
            headers.bytes,
            rest,
        )
    }

    proptest! {
        /// Numbers may be written longer than they need be, and lengths may say anything.
        #[test]
        fn the_short_way_reads_what_the_long_way_reads(
            head in proptest::collection::vec(prop_oneof![0..20u8, 126..132u8, any::<u8>()], 1..12),
            tail in proptest::collection::vec(prop_oneof![0..4u8, any::<u8>()], 0..40),
        ) {
            let mut recipe = Recipe::of(5, &["a"]);
            recipe.last_offset_delta = Some(300);
            let batch = recipe.bytes();
            let batch = Batches::new(&batch).next().expect("one").expect("whole");
            let bytes = [head, tail].concat();
            if let Some(short) = RawRecord::parse_short(&batch, &bytes) {
                let long = RawRecord::parse(&batch, &bytes).map(parts);
                prop_assert_eq!(Some(parts(short)), long);
            }
        }
    }
}
