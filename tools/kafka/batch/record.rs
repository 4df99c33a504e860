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
    /// The record at the front of `bytes`, and what follows it; where there is none, [`RawRecord::fault`] says why.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a record is many words, which stay in registers only where it is used"
    )]
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
        let timestamp_ms = if batch.is_log_append_time() {
            batch.max_timestamp_ms
        } else {
            batch.base_timestamp_ms.wrapping_add(timestamp_delta_ms)
        };
        let record = RawRecord {
            offset: batch.base_offset + offset_delta,
            timestamp_ms,
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
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts all headers into `list`, which is emptied first; false where their lengths do not add up.
    pub fn read(&self, list: &mut Vec<Header<'a>>) -> bool {
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
    Some(((raw >> 1) as i64 ^ -((raw & 1) as i64), rest))
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
