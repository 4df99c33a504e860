//! A Fetch response (versions 4 to 13), read where it lies (FetchResponse.json).

use std::ops::Range;

/// The first version that names topics by their ids, so that a recreated topic is another topic.
pub(super) const WITH_IDS: i16 = 13;
/// The first version with compact fields and tags.
const FLEXIBLE: i16 = 12;
/// The tagged field that tells where the reader's log and the leader's part (KIP-595).
const DIVERGING_EPOCH: u64 = 0;

/// What a broker sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    /// How long the broker wants to be left alone.
    pub(super) throttle_ms: i32,
    /// An error of the request as a whole; 0 for none.
    pub(super) error: i16,
    pub(super) rows: Vec<Row<'a>>,
}

/// How a response names a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicRef<'a> {
    Name(&'a str),
    Id([u8; 16]),
}

/// What it sent of one partition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) topic: TopicRef<'a>,
    pub(super) partition: i32,
    /// 0 for none.
    pub(super) error: i16,
    /// -1 where it is not known.
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    /// Producer and first offset of each transaction that was aborted and concerns these records.
    pub(super) aborted: Vec<(i64, i64)>,
    /// The broker that the leader recommends instead of itself (KIP-392).
    pub(super) preferred_replica: Option<i32>,
    /// The largest epoch before the reader's that the leader knows, and the offset at which it ended.
    pub(super) diverging: Option<(i32, i64)>,
    /// Where in the response the record batches are.
    pub(super) records: Range<usize>,
}

/// Bytes that are no Fetch response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker's answer to Fetch v{version} is cut or malformed at byte {at} of {size}")]
pub(super) struct BadAnswer {
    version: i16,
    at: usize,
    size: usize,
}

impl Answer<'_> {
    /// Reads the body of a response of this version.
    pub(super) fn parse(body: &[u8], version: i16) -> Result<Answer<'_>, BadAnswer> {
        let mut cursor = Cursor {
            body,
            at: 0,
            is_flexible: version >= FLEXIBLE,
            version,
        };
        cursor.answer().map_err(|Cut| BadAnswer {
            version,
            at: cursor.at,
            size: body.len(),
        })
    }
}

/// The body ends, or says what can't be, where something else should be.
struct Cut;

type Found<T> = Result<T, Cut>;

struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
    is_flexible: bool,
    version: i16,
}

impl<'a> Cursor<'a> {
    fn answer(&mut self) -> Found<Answer<'a>> {
        let throttle_ms = self.i32()?;
        let mut error = 0;
        if self.version >= 7 {
            error = self.i16()?;
            self.i32()?; // The session, of which we have none.
        }
        let mut rows = Vec::new();
        for _ in 0..self.count()? {
            let topic = if self.version >= WITH_IDS {
                TopicRef::Id(self.take()?)
            } else {
                TopicRef::Name(self.string()?)
            };
            for _ in 0..self.count()? {
                rows.push(self.row(topic)?);
            }
            self.skip_tags()?;
        }
        self.skip_tags()?;
        Ok(Answer {
            throttle_ms,
            error,
            rows,
        })
    }

    fn row(&mut self, topic: TopicRef<'a>) -> Found<Row<'a>> {
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
        Ok(Row {
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

    /// The tagged fields of a partition; the reader uses one of them.
    fn partition_tags(&mut self) -> Found<Option<(i32, i64)>> {
        let mut diverging = None;
        if !self.is_flexible {
            return Ok(None);
        }
        for _ in 0..self.unsigned()? {
            let tag = self.unsigned()?;
            let size = self.unsigned()?;
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

    fn take<const N: usize>(&mut self) -> Found<[u8; N]> {
        let rest = self.body.get(self.at..).ok_or(Cut)?;
        let bytes = rest.first_chunk::<N>().ok_or(Cut)?;
        self.at += N;
        Ok(*bytes)
    }

    fn i16(&mut self) -> Found<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Found<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Found<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn unsigned(&mut self) -> Found<u64> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Cut)
    }

    /// A length or count in front of something; NULL is as good as none.
    fn prefix(&mut self, plain: impl FnOnce(&mut Self) -> Found<i64>) -> Found<u64> {
        if self.is_flexible {
            return Ok(self.unsigned()?.saturating_sub(1));
        }
        plain(self).map(|number| u64::try_from(number).unwrap_or(0))
    }

    /// The number of elements of an array; each takes bytes, so that a lie ends where the body does.
    fn count(&mut self) -> Found<u64> {
        self.prefix(|cursor| cursor.i32().map(i64::from))
    }

    fn string(&mut self) -> Found<&'a str> {
        let length = self.prefix(|cursor| cursor.i16().map(i64::from))?;
        let range = self.range(length)?;
        std::str::from_utf8(&self.body[range]).map_err(|_| Cut)
    }

    fn bytes(&mut self) -> Found<Range<usize>> {
        let length = self.count()?;
        self.range(length)
    }

    fn range(&mut self, length: u64) -> Found<Range<usize>> {
        let left = (self.body.len() - self.at) as u64;
        if length > left {
            return Err(Cut);
        }
        let range = self.at..self.at + length as usize;
        self.at = range.end;
        Ok(range)
    }

    fn skip_tags(&mut self) -> Found<()> {
        if !self.is_flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned()? {
            self.unsigned()?;
            let size = self.unsigned()?;
            self.range(size)?;
        }
        Ok(())
    }
}
