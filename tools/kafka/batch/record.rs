//! One record: varints, and slices between them.

use super::{Batch, BatchError};
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

/// What a record that is not all there yet needs: so many bytes from its start, as far as that is known.
pub(super) struct Missing {
    pub(super) bytes: usize,
}

/// The most bytes that the length of a record takes.
const LENGTH_BYTES: usize = 5;

impl<'a> RawRecord<'a> {
    /// The record at the front of `bytes` and how many bytes it takes; `None` where there is nothing.
    pub(super) fn parse(
        batch: &Batch<'_>,
        bytes: &'a [u8],
        index: i32,
    ) -> Result<Option<(RawRecord<'a>, usize)>, BatchError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        match RawRecord::parse_part(batch, bytes, index)? {
            Ok(found) => Ok(Some(found)),
            Err(_) => Err(BatchError::Record {
                index,
                problem: "it goes on behind the batch's end",
            }),
        }
    }

    /// As [`RawRecord::parse`], where more bytes may follow.
    #[inline]
    pub(super) fn parse_part(
        batch: &Batch<'_>,
        bytes: &'a [u8],
        index: i32,
    ) -> Result<Result<(RawRecord<'a>, usize), Missing>, BatchError> {
        let bad = |problem| BatchError::Record { index, problem };
        let mut cursor = Cursor { bytes };
        let Some(length) = cursor.varint() else {
            if bytes.len() >= LENGTH_BYTES {
                return Err(bad("its length is no number"));
            }
            let bytes = bytes.len() + 1;
            return Ok(Err(Missing { bytes }));
        };
        let length = usize::try_from(length).map_err(|_| bad("its length is negative"))?;
        let start = bytes.len() - cursor.bytes.len();
        let Some(body) = cursor.bytes.get(..length) else {
            let bytes = start.saturating_add(length);
            return Ok(Err(Missing { bytes }));
        };
        let Some(record) = RawRecord::parse_body(batch, body) else {
            return Err(bad("its lengths do not add up"));
        };
        if record.offset < batch.base_offset || record.offset > batch.last_offset {
            return Err(bad("its offset is outside of the batch"));
        }
        Ok(Ok((record, start + length)))
    }

    /// What follows the length: attributes, deltas, key, value, headers.
    #[inline]
    fn parse_body(batch: &Batch<'_>, body: &'a [u8]) -> Option<RawRecord<'a>> {
        let mut cursor = Cursor {
            bytes: body.get(1..)?,
        };
        let timestamp_delta_ms = cursor.varlong()?;
        let offset_delta = cursor.varint()?;
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
        let (&first, rest) = self.bytes.split_first()?;
        let raw = if first < 0x80 {
            self.bytes = rest;
            u32::from(first)
        } else {
            u32::try_from(self.long_varint(5)?).ok()?
        };
        Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag number of 64 bits.
    #[inline]
    fn varlong(&mut self) -> Option<i64> {
        let (&first, rest) = self.bytes.split_first()?;
        let raw = if first < 0x80 {
            self.bytes = rest;
            u64::from(first)
        } else {
            self.long_varint(10)?
        };
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Groups of seven bits, the lowest first.
    #[inline]
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
