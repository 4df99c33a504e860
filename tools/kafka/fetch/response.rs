//! A Fetch response (FetchResponse.json, versions 4 to 13), parsed in place.

use std::ops::Range;

/// The first version with topic ids, which distinguish a recreated topic.
pub(super) const WITH_IDS: i16 = 13;
/// The first version with compact fields and tags.
const FLEXIBLE: i16 = 12;
/// The tagged field with the end of the last common epoch (KIP-595).
const DIVERGING_EPOCH: u64 = 0;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct FetchResponse<'a> {
    pub(super) throttle_ms: i32,
    /// An error of the whole request; 0 if there is none.
    pub(super) error: i16,
    pub(super) partitions: Vec<PartitionResponse<'a>>,
}

/// How a response names a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicRef<'a> {
    Name(&'a str),
    Id([u8; 16]),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct PartitionResponse<'a> {
    pub(super) topic: TopicRef<'a>,
    pub(super) partition: i32,
    /// 0 if there is none.
    pub(super) error: i16,
    /// -1 if unknown.
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    /// Producer id and first offset of each aborted transaction in these records.
    pub(super) aborted: Vec<(i64, i64)>,
    /// The replica to read from instead of the leader (KIP-392).
    pub(super) preferred_replica: Option<i32>,
    /// The log was truncated: the last epoch in common with the leader, and its end offset.
    pub(super) diverging: Option<(i32, i64)>,
    /// The bytes of the record batches in the response.
    pub(super) records: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker's answer to Fetch v{version} is cut or malformed at byte {at} of {size}")]
pub(super) struct MalformedResponse {
    version: i16,
    at: usize,
    size: usize,
}

impl FetchResponse<'_> {
    pub(super) fn parse(body: &[u8], version: i16) -> Result<FetchResponse<'_>, MalformedResponse> {
        let mut cursor = Cursor {
            body,
            at: 0,
            is_flexible: version >= FLEXIBLE,
            version,
        };
        cursor.response().map_err(|Malformed| MalformedResponse {
            version,
            at: cursor.at,
            size: body.len(),
        })
    }
}

/// The cursor is where the body ends too early or is malformed.
struct Malformed;

type Parsed<T> = Result<T, Malformed>;

struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
    is_flexible: bool,
    version: i16,
}

impl<'a> Cursor<'a> {
    fn response(&mut self) -> Parsed<FetchResponse<'a>> {
        let throttle_ms = self.i32()?;
        let mut error = 0;
        if self.version >= 7 {
            error = self.i16()?;
            self.i32()?; // The session id.
        }
        let mut partitions = Vec::new();
        for _ in 0..self.count()? {
            let topic = if self.version >= WITH_IDS {
                TopicRef::Id(self.take()?)
            } else {
                TopicRef::Name(self.string()?)
            };
            for _ in 0..self.count()? {
                partitions.push(self.partition(topic)?);
            }
            self.skip_tags()?;
        }
        self.skip_tags()?;
        Ok(FetchResponse {
            throttle_ms,
            error,
            partitions,
        })
    }

    fn partition(&mut self, topic: TopicRef<'a>) -> Parsed<PartitionResponse<'a>> {
        let partition = self.i32()?;
        let error = self.i16()?;
        let high_watermark = self.i64()?;
        let last_stable_offset = self.i64()?;
        if self.version >= 5 {
            self.i64()?; // The log start.
        }
        let mut aborted = Vec::new();
        for _ in 0..self.count()? {
            aborted.push((self.i64()?, self.i64()?));
            self.skip_tags()?;
        }
        let mut preferred_replica = None;
        if self.version >= 11 {
            preferred_replica = Some(self.i32()?).filter(|&broker| broker >= 0);
        }
        let records = self.bytes()?;
        Ok(PartitionResponse {
            topic,
            partition,
            error,
            high_watermark,
            last_stable_offset,
            aborted,
            preferred_replica,
            diverging: self.partition_tags()?,
            records,
        })
    }

    /// The tagged fields of a partition, of which one is used.
    fn partition_tags(&mut self) -> Parsed<Option<(i32, i64)>> {
        let mut diverging = None;
        if !self.is_flexible {
            return Ok(None);
        }
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()?;
            let field = self.range(size)?;
            if tag == DIVERGING_EPOCH {
                let end = std::mem::replace(&mut self.at, field.start);
                let (epoch, offset) = (self.i32()?, self.i64()?);
                self.at = end;
                diverging = (epoch >= 0 || offset >= 0).then_some((epoch, offset));
            }
        }
        Ok(diverging)
    }

    fn take<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let rest = self.body.get(self.at..).ok_or(Malformed)?;
        let bytes = rest.first_chunk::<N>().ok_or(Malformed)?;
        self.at += N;
        Ok(*bytes)
    }

    fn i16(&mut self) -> Parsed<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Parsed<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Parsed<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn unsigned_varint(&mut self) -> Parsed<u64> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    /// A length or count; NULL is 0.
    fn prefix(&mut self, plain: impl FnOnce(&mut Self) -> Parsed<i64>) -> Parsed<u64> {
        if self.is_flexible {
            return Ok(self.unsigned_varint()?.saturating_sub(1));
        }
        plain(self).map(|number| u64::try_from(number).unwrap_or(0))
    }

    /// The length of an array. An element takes at least one byte, so that a wrong length ends with the body.
    fn count(&mut self) -> Parsed<u64> {
        self.prefix(|cursor| cursor.i32().map(i64::from))
    }

    fn string(&mut self) -> Parsed<&'a str> {
        let length = self.prefix(|cursor| cursor.i16().map(i64::from))?;
        let range = self.range(length)?;
        std::str::from_utf8(&self.body[range]).map_err(|_| Malformed)
    }

    fn bytes(&mut self) -> Parsed<Range<usize>> {
        let length = self.count()?;
        self.range(length)
    }

    fn range(&mut self, length: u64) -> Parsed<Range<usize>> {
        let left = (self.body.len() - self.at) as u64;
        if length > left {
            return Err(Malformed);
        }
        let range = self.at..self.at + length as usize;
        self.at = range.end;
        Ok(range)
    }

    fn skip_tags(&mut self) -> Parsed<()> {
        if !self.is_flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let size = self.unsigned_varint()?;
            self.range(size)?;
        }
        Ok(())
    }
}
