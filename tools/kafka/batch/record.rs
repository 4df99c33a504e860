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
    #[inline]
    pub(super) fn parse(batch: &Batch<'_>, bytes: &'a [u8]) -> Option<(RawRecord<'a>, &'a [u8])> {
        let mut cursor = Cursor { bytes };
        let length = usize::try_from(cursor.varint()?).ok()?;
        let (body, rest) = cursor.bytes.split_at_checked(length)?;
        Some((RawRecord::parse_body(batch, body)?, rest))
    }

    /// Why [`RawRecord::parse`] has found none.
    #[cold]
    pub(super) fn fault(bytes: &[u8]) -> Fault {
        let mut cursor = Cursor { bytes };
        let Some(length) = cursor.varint() else {
            if bytes.len() >= LENGTH_BYTES {
                return Fault::Malformed("its length is no number");
            }
            return Fault::Missing(1);
        };
        let Ok(length) = usize::try_from(length) else {
            return Fault::Malformed("its length is negative");
        };
        match length.checked_sub(cursor.bytes.len()) {
            Some(missing @ 1..) => Fault::Missing(missing),
            _ => {
                Fault::Malformed("its lengths do not add up, or its offset is outside of the batch")
            }
        }
    }

    /// What follows the length: attributes, deltas, key, value, headers.
    #[inline]
    fn parse_body(batch: &Batch<'_>, body: &'a [u8]) -> Option<RawRecord<'a>> {
        let mut cursor = Cursor {
            bytes: body.get(1..)?,
        };
        let timestamp_delta_ms = cursor.varlong()?;
        let offset_delta = cursor.varint()? as u32;
        if offset_delta > batch.last_offset_delta {
            return None;
        }
        let key = cursor.nullable()?;
        let value = cursor.nullable()?;
        let count = u32::try_from(cursor.varint()?).ok()?;
        let timestamp_ms = if batch.is_log_append_time() {
            batch.max_timestamp_ms
        } else {
            batch.base_timestamp_ms.wrapping_add(timestamp_delta_ms)
        };
        Some(RawRecord {
            offset: batch.base_offset.wrapping_add(i64::from(offset_delta)),
            timestamp_ms,
            key,
            value,
            headers: Headers {
                count,
                bytes: cursor.bytes,
            },
        })
    }
}

/// The headers of a record: parsed when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    count: u32,
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
        let mut cursor = Cursor { bytes: self.bytes };
        for _ in 0..self.count {
            let Some(header) = cursor.header() else {
                return false;
            };
            list.push(header);
        }
        cursor.bytes.is_empty()
    }
}

/// Takes numbers and slices off the front.
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// A zigzag number of 32 bits (`ByteUtils.readVarint`).
    #[inline]
    fn varint(&mut self) -> Option<i32> {
        let raw = match self.short_varint()? {
            Some(raw) => raw,
            None => u32::try_from(self.long_varint(5)?).ok()?,
        };
        Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag number of 64 bits.
    #[inline]
    fn varlong(&mut self) -> Option<i64> {
        let raw = match self.short_varint()? {
            Some(raw) => u64::from(raw),
            None => self.long_varint(10)?,
        };
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Most numbers take one byte or two; a longer one is left alone.
    #[inline]
    #[expect(
        clippy::option_option,
        reason = "no more bytes, and too many, are two things"
    )]
    fn short_varint(&mut self) -> Option<Option<u32>> {
        let (&first, rest) = self.bytes.split_first()?;
        if first < 0x80 {
            self.bytes = rest;
            return Some(Some(u32::from(first)));
        }
        let (&second, rest) = rest.split_first()?;
        if second < 0x80 {
            self.bytes = rest;
            return Some(Some(u32::from(first & 0x7f) | u32::from(second) << 7));
        }
        Some(None)
    }

    /// Groups of seven bits, the lowest first.
    fn long_varint(&mut self, most_bytes: usize) -> Option<u64> {
        let mut number = 0;
        for (index, &byte) in self.bytes.iter().take(most_bytes).enumerate() {
            let group = u64::from(byte & 0x7f);
            let shift = 7 * index as u32;
            // The tenth group of a number of 64 bits has one bit.
            if shift == 63 && group > 1 {
                return None;
            }
            number |= group << shift;
            if byte < 0x80 {
                self.bytes = &self.bytes[index + 1..];
                return Some(number);
            }
        }
        None
    }

    /// Bytes with their length before them; -1 is NULL, and anything else below 0 is taken for it, as librdkafka does.
    #[inline]
    #[expect(
        clippy::option_option,
        reason = "NULL, and no more bytes, are two things"
    )]
    fn nullable(&mut self) -> Option<Option<&'a [u8]>> {
        let Ok(length) = usize::try_from(self.varint()?) else {
            return Some(None);
        };
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(Some(taken))
    }

    fn header(&mut self) -> Option<Header<'a>> {
        Some(Header {
            name: self.nullable()??,
            value: self.nullable()?,
        })
    }
}
