//! From a batch to its records: straight from its bytes, or through a window of decompressed ones.

use std::ops::ControlFlow;

use super::codec::{Codec, Kept, Stream, Trouble};
use super::record::Fault;
use super::{Batch, BatchError, RawRecord, Values};

/// What one step of decompression aims to fill: large enough to be worth the call, small enough for the cache.
const WINDOW_BYTES: usize = 256 * 1024;

/// Takes the records of a batch.
pub trait Take {
    /// May take values from the front: those of records of which it wants nothing else.
    fn values(&mut self, _values: &mut Values<'_, '_>) {}

    /// The next record, of which [`Take::values`] has not taken the value.
    fn record(&mut self, record: RawRecord<'_>) -> ControlFlow<()>;
}

/// Takes them one by one.
struct Each<F>(F);

impl<F> Take for Each<F>
where
    F: FnMut(RawRecord<'_>) -> ControlFlow<()>,
{
    #[inline]
    fn record(&mut self, record: RawRecord<'_>) -> ControlFlow<()> {
        (self.0)(record)
    }
}

/// Hands out the records of batches, one batch after the other, and keeps its memory between them.
pub struct Unpacker {
    kept: Kept,
    window: Window,
}

impl Unpacker {
    /// Refuses batches that decompress to more than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Unpacker {
        Unpacker {
            kept: Kept::default(),
            window: Window {
                bytes: Vec::new(),
                start: 0,
                end: 0,
                limit_bytes,
            },
        }
    }

    /// Calls `take` with every record of `batch` in its order, until it says `Break`.
    pub fn records(
        &mut self,
        batch: &Batch<'_>,
        take: impl FnMut(RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, BatchError> {
        self.hand_out(batch, &mut Each(take))
    }

    /// Gives `taker` every record of `batch` in its order, until it says `Break`.
    pub fn hand_out(
        &mut self,
        batch: &Batch<'_>,
        taker: &mut impl Take,
    ) -> Result<ControlFlow<()>, BatchError> {
        match batch.codec()? {
            Codec::None => plain(batch, taker),
            // An empty batch, which compaction leaves behind, need not be a valid stream.
            _ if batch.count == 0 && batch.records.is_empty() => Ok(ControlFlow::Continue(())),
            codec => self.compressed(batch, codec, taker),
        }
    }

    fn compressed(
        &mut self,
        batch: &Batch<'_>,
        codec: Codec,
        taker: &mut impl Take,
    ) -> Result<ControlFlow<()>, BatchError> {
        let limit_bytes = self.window.limit_bytes;
        let malformed = |reason| BatchError::Decompress { codec, reason };
        let window = &mut self.window;
        window.clear();
        let mut stream = Stream::open(codec, batch.records, &mut self.kept).map_err(malformed)?;
        let (mut index, mut total_bytes) = (0, 0);
        let mut missing_bytes = 1;
        loop {
            if !window.make_room(missing_bytes) {
                return Err(BatchError::TooLarge { limit_bytes });
            }
            let filled = stream.fill(window).map_err(|trouble| match trouble {
                Trouble::Malformed(reason) => malformed(reason),
                Trouble::TooLarge => BatchError::TooLarge { limit_bytes },
            })?;
            total_bytes += filled;
            if total_bytes > limit_bytes {
                return Err(BatchError::TooLarge { limit_bytes });
            }
            missing_bytes = match window.hand_out(batch, &mut index, taker)? {
                HandedOut::Stopped => return Ok(ControlFlow::Break(())),
                HandedOut::Missing(bytes) => bytes,
            };
            let has_surplus = index == batch.count && !window.is_empty();
            if filled == 0 || has_surplus {
                return judge_end(batch, index, window.is_empty());
            }
        }
    }
}

/// Records that are not compressed lie in the batch itself.
fn plain(batch: &Batch<'_>, taker: &mut impl Take) -> Result<ControlFlow<()>, BatchError> {
    let mut index = 0;
    let (rest, end) = hand_out(batch, batch.records, &mut index, taker)?;
    match end {
        HandedOut::Stopped => Ok(ControlFlow::Break(())),
        HandedOut::Missing(_) => judge_end(batch, index, rest.is_empty()),
    }
}

/// Hands out the records of `bytes` that are whole; gives the bytes that are left.
fn hand_out<'b>(
    batch: &Batch<'_>,
    bytes: &'b [u8],
    index: &mut i32,
    taker: &mut impl Take,
) -> Result<(&'b [u8], HandedOut), BatchError> {
    let mut rest = bytes;
    let count = batch.count;
    let mut at = *index;
    let end = loop {
        let mut values = Values::new(batch, rest, count - at);
        taker.values(&mut values);
        let left;
        (left, rest) = values.left();
        at = count - left;
        if at >= count || rest.is_empty() {
            break HandedOut::Missing(1);
        }
        // Field by field, so that the usual record never goes through memory.
        let (offset, timestamp_ms, key, value, headers, behind);
        if let Some((found, more)) = RawRecord::parse_short(batch, rest) {
            (offset, timestamp_ms) = (found.offset, found.timestamp_ms);
            (key, value, headers, behind) = (found.key, found.value, found.headers, more);
        } else if let Some((found, more)) = RawRecord::parse(batch, rest) {
            (offset, timestamp_ms) = (found.offset, found.timestamp_ms);
            (key, value, headers, behind) = (found.key, found.value, found.headers, more);
        } else {
            match RawRecord::fault(rest) {
                Fault::Missing(bytes) => break HandedOut::Missing(bytes),
                Fault::Malformed(problem) => {
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
        if taker.record(record).is_break() {
            break HandedOut::Stopped;
        }
    };
    *index = at;
    Ok((rest, end))
}

/// At the end all records are there, and nothing else.
fn judge_end(batch: &Batch<'_>, index: i32, is_empty: bool) -> Result<ControlFlow<()>, BatchError> {
    let problem = match (index == batch.count, is_empty) {
        (true, true) => return Ok(ControlFlow::Continue(())),
        (true, false) => "bytes follow the last record",
        (false, true) => "the batch has fewer records than it says",
        (false, false) => "it goes on behind the batch's end",
    };
    Err(BatchError::Record { index, problem })
}

/// Decompressed bytes: those between `start` and `end` are there and not yet handed out.
pub(super) struct Window {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    limit_bytes: usize,
}

enum HandedOut {
    /// The taker wants no more.
    Stopped,
    /// The next record needs so many more bytes.
    Missing(usize),
}

impl Window {
    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        // A giant record's memory is not kept for those that follow.
        if self.bytes.len() > 16 * WINDOW_BYTES {
            self.bytes = Vec::new();
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Makes room for more, at best for `bytes`; false where that is beyond the limit.
    ///
    /// What a record says it needs is not there yet: memory grows as the bytes come.
    fn make_room(&mut self, bytes: usize) -> bool {
        let needed = (self.end - self.start).saturating_add(bytes);
        self.grow(bytes, needed.min(2 * (self.end - self.start) + 1))
    }

    /// Makes room for `bytes` more; false where that is beyond the limit.
    pub(super) fn make_room_for_all(&mut self, bytes: usize) -> bool {
        self.grow(bytes, (self.end - self.start).saturating_add(bytes))
    }

    fn grow(&mut self, bytes: usize, wanted: usize) -> bool {
        if self.bytes.len() - self.end >= bytes.max(WINDOW_BYTES / 4) {
            return true;
        }
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end.saturating_add(bytes) > self.limit_bytes {
            return false;
        }
        let wanted = wanted.max(WINDOW_BYTES);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        true
    }

    /// Where the next bytes go.
    pub(super) fn free(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// So many bytes of [`Window::free`] are there now.
    pub(super) fn filled(&mut self, bytes: usize) {
        self.end += bytes;
    }

    /// Hands out the records that are whole.
    fn hand_out(
        &mut self,
        batch: &Batch<'_>,
        index: &mut i32,
        taker: &mut impl Take,
    ) -> Result<HandedOut, BatchError> {
        let bytes = &self.bytes[self.start..self.end];
        let (rest, end) = hand_out(batch, bytes, index, taker)?;
        self.start = self.end - rest.len();
        Ok(end)
    }
}
