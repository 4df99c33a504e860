//! Parses the records of a batch, in place or from a buffer of decompressed bytes.

use std::ops::ControlFlow;

use super::codec::{Codec, DecompressError, DecompressStream, Decompressors};
use super::record::ParseFailure;
use super::{Batch, BatchError, RawRecord, Values};

/// The buffer for decompressed bytes: large enough to make a call worthwhile, small enough for the cache.
const BUFFER_BYTES: usize = 256 * 1024;

pub trait RawRecordVisitor {
    /// Called before each record; a visitor that needs only the values may consume them here.
    fn values(&mut self, _values: &mut Values<'_, '_>) {}

    /// The next record whose value [`RawRecordVisitor::values`] has not consumed; `Break` stops.
    fn record(&mut self, record: RawRecord<'_>) -> ControlFlow<()>;
}

/// A closure as a visitor.
struct RecordFn<F>(F);

impl<F> RawRecordVisitor for RecordFn<F>
where
    F: FnMut(RawRecord<'_>) -> ControlFlow<()>,
{
    #[inline]
    fn record(&mut self, record: RawRecord<'_>) -> ControlFlow<()> {
        (self.0)(record)
    }
}

/// Parses one batch after another and reuses its memory.
pub struct BatchDecoder {
    decompressors: Decompressors,
    buffer: DecompressBuffer,
}

impl BatchDecoder {
    /// Refuses batches that decompress to more than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> BatchDecoder {
        BatchDecoder {
            decompressors: Decompressors::default(),
            buffer: DecompressBuffer {
                bytes: Vec::new(),
                start: 0,
                end: 0,
                limit_bytes,
            },
        }
    }

    /// Calls `record` with the records of `batch` until it returns `Break`.
    pub fn records(
        &mut self,
        batch: &Batch<'_>,
        record: impl FnMut(RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, BatchError> {
        self.visit(batch, &mut RecordFn(record))
    }

    /// Calls `visitor` with the records of `batch` until it returns `Break`.
    pub fn visit(
        &mut self,
        batch: &Batch<'_>,
        visitor: &mut impl RawRecordVisitor,
    ) -> Result<ControlFlow<()>, BatchError> {
        match batch.codec()? {
            Codec::None => visit_uncompressed(batch, visitor),
            // An empty batch, as compaction leaves it, need not be a valid stream.
            _ if batch.count == 0 && batch.records.is_empty() => Ok(ControlFlow::Continue(())),
            codec => self.visit_compressed(batch, codec, visitor),
        }
    }

    fn visit_compressed(
        &mut self,
        batch: &Batch<'_>,
        codec: Codec,
        visitor: &mut impl RawRecordVisitor,
    ) -> Result<ControlFlow<()>, BatchError> {
        let limit_bytes = self.buffer.limit_bytes;
        let malformed = |reason| BatchError::Decompress { codec, reason };
        let buffer = &mut self.buffer;
        buffer.clear();
        let mut stream = DecompressStream::open(codec, batch.records, &mut self.decompressors)
            .map_err(malformed)?;
        let (mut index, mut total_bytes) = (0, 0);
        let mut missing_bytes = 1;
        loop {
            if !buffer.reserve(missing_bytes) {
                return Err(BatchError::TooLarge { limit_bytes });
            }
            let filled = stream.fill(buffer).map_err(|error| match error {
                DecompressError::Malformed(reason) => malformed(reason),
                DecompressError::TooLarge => BatchError::TooLarge { limit_bytes },
            })?;
            total_bytes += filled;
            if total_bytes > limit_bytes {
                return Err(BatchError::TooLarge { limit_bytes });
            }
            missing_bytes = match buffer.visit(batch, &mut index, visitor)? {
                VisitEnd::Stopped => return Ok(ControlFlow::Break(())),
                VisitEnd::Missing(bytes) => bytes,
            };
            let has_surplus = index == batch.count && !buffer.is_empty();
            if filled == 0 || has_surplus {
                return check_end(batch, index, buffer.is_empty());
            }
        }
    }
}

fn visit_uncompressed(
    batch: &Batch<'_>,
    visitor: &mut impl RawRecordVisitor,
) -> Result<ControlFlow<()>, BatchError> {
    let mut index = 0;
    let (rest, end) = visit(batch, batch.records, &mut index, visitor)?;
    match end {
        VisitEnd::Stopped => Ok(ControlFlow::Break(())),
        VisitEnd::Missing(_) => check_end(batch, index, rest.is_empty()),
    }
}

/// Visits the complete records of `bytes`; returns the bytes after them.
fn visit<'b>(
    batch: &Batch<'_>,
    bytes: &'b [u8],
    index: &mut i32,
    visitor: &mut impl RawRecordVisitor,
) -> Result<(&'b [u8], VisitEnd), BatchError> {
    let mut rest = bytes;
    let count = batch.count;
    let mut at = *index;
    let end = loop {
        let mut values = Values::new(batch, rest, count - at);
        visitor.values(&mut values);
        let remaining;
        (remaining, rest) = values.remaining();
        at = count - remaining;
        if at >= count || rest.is_empty() {
            break VisitEnd::Missing(1);
        }
        // Field by field, so that a short record stays in registers.
        let (offset, timestamp_ms, key, value, headers, behind);
        if let Some((found, more)) = RawRecord::parse_short(batch, rest) {
            (offset, timestamp_ms) = (found.offset, found.timestamp_ms);
            (key, value, headers, behind) = (found.key, found.value, found.headers, more);
        } else if let Some((found, more)) = RawRecord::parse(batch, rest) {
            (offset, timestamp_ms) = (found.offset, found.timestamp_ms);
            (key, value, headers, behind) = (found.key, found.value, found.headers, more);
        } else {
            match RawRecord::parse_failure(rest) {
                ParseFailure::Missing(bytes) => break VisitEnd::Missing(bytes),
                ParseFailure::Malformed(problem) => {
                    return Err(BatchError::Record { index: at, problem });
                }
            }
        }
        let record = RawRecord {
            offset,
            timestamp_ms,
            key,
            value,
            headers,
        };
        rest = behind;
        at += 1;
        if visitor.record(record).is_break() {
            break VisitEnd::Stopped;
        }
    };
    *index = at;
    Ok((rest, end))
}

/// The batch must hold as many records as its header says, and nothing else.
fn check_end(batch: &Batch<'_>, index: i32, is_empty: bool) -> Result<ControlFlow<()>, BatchError> {
    let problem = match (index == batch.count, is_empty) {
        (true, true) => return Ok(ControlFlow::Continue(())),
        (true, false) => "bytes follow the last record",
        (false, true) => "the batch has fewer records than it says",
        (false, false) => "it goes on behind the batch's end",
    };
    Err(BatchError::Record { index, problem })
}

/// Decompressed bytes; those in `start..end` are not visited yet.
pub(super) struct DecompressBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    limit_bytes: usize,
}

enum VisitEnd {
    Stopped,
    /// The next record needs this many more bytes.
    Missing(usize),
}

impl DecompressBuffer {
    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        // Free the memory of a very large record.
        if self.bytes.len() > 16 * BUFFER_BYTES {
            self.bytes = Vec::new();
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Grows towards `bytes` of free space; false beyond the limit.
    ///
    /// A record's length is not trusted: memory at most doubles at a time.
    fn reserve(&mut self, bytes: usize) -> bool {
        let needed = (self.end - self.start).saturating_add(bytes);
        self.grow(bytes, needed.min(2 * (self.end - self.start) + 1))
    }

    /// Makes `bytes` of free space; false beyond the limit.
    pub(super) fn reserve_all(&mut self, bytes: usize) -> bool {
        self.grow(bytes, (self.end - self.start).saturating_add(bytes))
    }

    fn grow(&mut self, bytes: usize, wanted: usize) -> bool {
        if self.bytes.len() - self.end >= bytes.max(BUFFER_BYTES / 4) {
            return true;
        }
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end.saturating_add(bytes) > self.limit_bytes {
            return false;
        }
        let wanted = wanted.max(BUFFER_BYTES);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        true
    }

    pub(super) fn free(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// The first `bytes` of [`DecompressBuffer::free`] were written.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.end += bytes;
    }

    /// Visits the complete records.
    fn visit(
        &mut self,
        batch: &Batch<'_>,
        index: &mut i32,
        visitor: &mut impl RawRecordVisitor,
    ) -> Result<VisitEnd, BatchError> {
        let bytes = &self.bytes[self.start..self.end];
        let (rest, end) = visit(batch, bytes, index, visitor)?;
        self.start = self.end - rest.len();
        Ok(end)
    }
}
