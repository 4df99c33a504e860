//! The head of a batch: 61 bytes that say what follows, and where the next batch begins.

use super::codec::Codec;
use super::{BatchError, RawRecord};

/// Base offset and length: what comes before the bytes that the length counts.
const PREFIX_BYTES: usize = 12;
/// All of the head; the records follow.
const HEAD_BYTES: usize = 61;
/// Where the bytes begin that the checksum is of.
const CHECKED_FROM: usize = 21;
/// Where the format's number is, in every format.
const MAGIC_AT: usize = 16;

/// The bits of a batch's attributes (KIP-98, KIP-534).
mod bit {
    pub(super) const CODEC: i16 = 0b111;
    pub(super) const LOG_APPEND_TIME: i16 = 1 << 3;
    pub(super) const TRANSACTIONAL: i16 = 1 << 4;
    pub(super) const CONTROL: i16 = 1 << 5;
}

/// One batch: its head in plain numbers, its records where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The offset that the records' own are counted from.
    pub base_offset: i64,
    /// The offset of the last record that was ever in it; compaction may have taken it.
    pub last_offset: i64,
    /// The epoch of the leader that took the batch; -1 where that is not known.
    pub leader_epoch: i32,
    /// The producer, where it was an idempotent or transactional one; else -1.
    pub producer_id: i64,
    pub(super) last_offset_delta: u32,
    pub(super) attributes: i16,
    pub(super) base_timestamp_ms: i64,
    pub(super) max_timestamp_ms: i64,
    pub(super) count: i32,
    pub(super) records: &'a [u8],
    checked: &'a [u8],
    checksum: u32,
}

/// What a control record says of its producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// What came before is not to be read.
    Abort,
    /// What came before is.
    Commit,
    /// Something that concerns no consumer.
    Other,
}

impl<'a> Batch<'a> {
    /// Where reading goes on after this batch.
    #[inline]
    pub fn next_offset(&self) -> i64 {
        self.last_offset.saturating_add(1)
    }

    /// Whether as many records are in it as its offsets can number: compaction took none.
    pub fn is_dense(&self) -> bool {
        i64::from(self.count) == i64::from(self.last_offset_delta) + 1
    }

    /// Whether it holds markers of transactions instead of records.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.attributes & bit::CONTROL != 0
    }

    /// Whether it belongs to a transaction.
    #[inline]
    pub fn is_transactional(&self) -> bool {
        self.attributes & bit::TRANSACTIONAL != 0
    }

    /// Whether the broker, not the producer, set the records' time.
    #[inline]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & bit::LOG_APPEND_TIME != 0
    }

    /// The time of a record that is so much later than the batch's first.
    #[inline]
    pub(super) fn timestamp_ms(&self, delta_ms: i64) -> i64 {
        if self.is_log_append_time() {
            return self.max_timestamp_ms;
        }
        self.base_timestamp_ms.wrapping_add(delta_ms)
    }

    /// How its records are compressed.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        Codec::of(self.attributes & bit::CODEC)
    }

    /// Compares the checksum (CRC32C) with the bytes.
    pub fn check(&self) -> Result<(), BatchError> {
        let computed = crc32c::crc32c(self.checked);
        if computed == self.checksum {
            return Ok(());
        }
        Err(BatchError::Checksum {
            stored: self.checksum,
            computed,
        })
    }

    /// The marker of a control batch: its first record's key is a version and a type (`ControlRecordType.java`).
    pub fn marker(&self) -> Result<Marker, BatchError> {
        if self.records.is_empty() {
            // Compaction has emptied it.
            return Ok(Marker::Other);
        }
        let Some((record, _)) = RawRecord::parse(self, self.records) else {
            return Err(BatchError::Record {
                index: 0,
                problem: "it is no marker of a transaction",
            });
        };
        Ok(match record.key {
            Some([_, _, 0, 0, ..]) => Marker::Abort,
            Some([_, _, 0, 1, ..]) => Marker::Commit,
            _ => Marker::Other,
        })
    }

    /// Reads the head at the front of `bytes`, which hold the whole batch and nothing else.
    fn parse(bytes: &'a [u8]) -> Option<Batch<'a>> {
        let head = bytes.first_chunk::<HEAD_BYTES>()?;
        let base_offset = i64::from_be_bytes(part(head, 0));
        let last_offset_delta = i32::from_be_bytes(part(head, 23));
        Some(Batch {
            base_offset,
            last_offset: base_offset.saturating_add(i64::from(last_offset_delta)),
            last_offset_delta: last_offset_delta as u32,
            leader_epoch: i32::from_be_bytes(part(head, 12)),
            producer_id: i64::from_be_bytes(part(head, 43)),
            attributes: i16::from_be_bytes(part(head, 21)),
            base_timestamp_ms: i64::from_be_bytes(part(head, 27)),
            max_timestamp_ms: i64::from_be_bytes(part(head, 35)),
            count: i32::from_be_bytes(part(head, 57)),
            records: &bytes[HEAD_BYTES..],
            checked: &bytes[CHECKED_FROM..],
            checksum: u32::from_be_bytes(part(head, 17)),
        })
    }
}

/// `N` bytes of the head; the compiler knows that they are there.
#[inline]
fn part<const N: usize>(head: &[u8; HEAD_BYTES], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}

/// The batches at the front of the bytes that a broker sent of one partition.
///
/// A broker cuts at the limit of the fetch, not between batches: what is left
/// of the last one is no error, and is told by [`Batches::cut_bytes`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// The batches of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Batches<'a> {
        Batches { rest: bytes }
    }

    /// The bytes not yet gone through.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes the batch that is cut at the end has as a whole, where its length is there; 0 where nothing is cut.
    pub fn cut_bytes(&self) -> usize {
        match self.rest.first_chunk::<PREFIX_BYTES>() {
            Some(prefix) => PREFIX_BYTES + usize::try_from(length(prefix)).unwrap_or(0),
            None => self.rest.len(),
        }
    }

    fn take(&mut self) -> Result<Option<Batch<'a>>, BatchError> {
        let Some(prefix) = self.rest.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = length(prefix);
        // The format is told before the length is judged: an old message is shorter than a batch's head.
        match self.rest.get(MAGIC_AT).map(|&magic| magic as i8) {
            Some(2) => {}
            Some(old @ 0..2) => return Err(BatchError::OldFormat(old)),
            Some(other) => return Err(BatchError::NewFormat(other)),
            None if length < 0 => return Err(BatchError::Length(length)),
            None => return Ok(None),
        }
        let whole = usize::try_from(length).map_or(0, |bytes| bytes.saturating_add(PREFIX_BYTES));
        if whole < HEAD_BYTES {
            return Err(BatchError::Length(length));
        }
        let Some((bytes, rest)) = self.rest.split_at_checked(whole) else {
            return Ok(None);
        };
        let Some(batch) = Batch::parse(bytes) else {
            return Err(BatchError::Length(length));
        };
        // An offset so close to the largest number was never written, and adding to it is left to be simple.
        let offsets = 0..i64::MAX - i64::from(u32::MAX);
        let has_order = batch.last_offset >= batch.base_offset;
        if !has_order || !offsets.contains(&batch.base_offset) || batch.count < 0 {
            return Err(BatchError::Record {
                index: 0,
                problem: "the batch's offsets or its count are negative or too large",
            });
        }
        self.rest = rest;
        Ok(Some(batch))
    }
}

fn length(prefix: &[u8; PREFIX_BYTES]) -> i32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&prefix[8..]);
    i32::from_be_bytes(bytes)
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    /// After an error there is nothing more: where the next batch begins is not known.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.take();
        if next.is_err() {
            self.rest = &[];
        }
        next.transpose()
    }
}
