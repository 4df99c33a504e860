//! A Fetch response (FetchResponse.json, versions 4 to 13), parsed in place.

use std::ops::Range;

use super::primitives::PrimitiveReader;

/// The first version with topic ids, which distinguish a recreated topic.
pub(super) const WITH_IDS: i16 = 13;
/// The first version with compact fields and tags.
const FLEXIBLE: i16 = 12;
/// The tagged field with the end of the last common epoch (KIP-595).
const DIVERGING_EPOCH: u32 = 0;

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
        let mut parser = Parser {
            reader: PrimitiveReader(body),
            size: body.len(),
            version,
            is_flexible: version >= FLEXIBLE,
        };
        parser.response().ok_or_else(|| MalformedResponse {
            version,
            at: parser.position(),
            size: body.len(),
        })
    }
}

struct Parser<'a> {
    reader: PrimitiveReader<'a>,
    size: usize,
    version: i16,
    is_flexible: bool,
}

impl<'a> Parser<'a> {
    fn response(&mut self) -> Option<FetchResponse<'a>> {
        let throttle_ms = self.reader.i32()?;
        let mut error = 0;
        if self.version >= 7 {
            error = self.reader.i16()?;
            self.reader.i32()?; // The session id.
        }
        let mut partitions = Vec::new();
        for _ in 0..self.length()? {
            let topic = self.topic()?;
            for _ in 0..self.length()? {
                partitions.push(self.partition(topic)?);
            }
            self.skip_tags()?;
        }
        self.skip_tags()?;
        Some(FetchResponse {
            throttle_ms,
            error,
            partitions,
        })
    }

    fn topic(&mut self) -> Option<TopicRef<'a>> {
        if self.version >= WITH_IDS {
            return self.reader.array().map(TopicRef::Id);
        }
        let size = self.reader.string_length(self.is_flexible)?;
        let name = std::str::from_utf8(self.reader.bytes(size)?).ok()?;
        Some(TopicRef::Name(name))
    }

    fn partition(&mut self, topic: TopicRef<'a>) -> Option<PartitionResponse<'a>> {
        let partition = self.reader.i32()?;
        let error = self.reader.i16()?;
        let high_watermark = self.reader.i64()?;
        let last_stable_offset = self.reader.i64()?;
        if self.version >= 5 {
            self.reader.i64()?; // The log start.
        }
        let mut aborted = Vec::new();
        for _ in 0..self.length()? {
            aborted.push((self.reader.i64()?, self.reader.i64()?));
            self.skip_tags()?;
        }
        let mut preferred_replica = None;
        if self.version >= 11 {
            preferred_replica = Some(self.reader.i32()?).filter(|&broker| broker >= 0);
        }
        let size = self.length()?;
        let start = self.position();
        self.reader.bytes(size)?;
        let diverging = self.diverging_epoch()?;
        Some(PartitionResponse {
            topic,
            partition,
            error,
            high_watermark,
            last_stable_offset,
            aborted,
            preferred_replica,
            diverging: Some(diverging).filter(|&(epoch, offset)| epoch >= 0 || offset >= 0),
            records: start..start + size,
        })
    }

    /// The only tagged field of a partition that is used.
    fn diverging_epoch(&mut self) -> Option<(i32, i64)> {
        let mut diverging = (-1, -1);
        if !self.is_flexible {
            return Some(diverging);
        }
        for _ in 0..self.reader.varint()? {
            let tag = self.reader.varint()?;
            let size = self.reader.varint()? as usize;
            let mut field = PrimitiveReader(self.reader.bytes(size)?);
            if tag == DIVERGING_EPOCH {
                diverging = (field.i32()?, field.i64()?);
            }
        }
        Some(diverging)
    }

    fn length(&mut self) -> Option<usize> {
        self.reader.length(self.is_flexible)
    }

    fn skip_tags(&mut self) -> Option<()> {
        if self.is_flexible {
            self.reader.skip_tags()?;
        }
        Some(())
    }

    fn position(&self) -> usize {
        self.size - self.reader.0.len()
    }
}
