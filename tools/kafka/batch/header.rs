//! The batches of a Fetch response, found by their headers of 61 bytes.

use super::codec::Codec;
use super::{BatchError, RawRecord};

/// Base offset and length; the length counts the bytes after them.
pub(super) const PREFIX_BYTES: usize = 12;
pub(super) const HEADER_BYTES: usize = 61;
/// The checksum covers the bytes from here on.
pub(super) const CHECKED_FROM: usize = 21;
/// The position of the message format's version, in every format.
const MAGIC_AT: usize = 16;

/// The attributes of a batch (KIP-98, KIP-534).
pub(super) mod bit {
    pub(in super::super) const CODEC: i16 = 0b111;
    pub(in super::super) const LOG_APPEND_TIME: i16 = 1 << 3;
    pub(in super::super) const TRANSACTIONAL: i16 = 1 << 4;
    pub(in super::super) const CONTROL: i16 = 1 << 5;
}

/// One batch: the fields of its header, and the bytes of its records.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The records' offset deltas count from here.
    pub base_offset: i64,
    /// The offset of the last record that was written; compaction may have removed it.
    pub last_offset: i64,
    /// The epoch of the leader that appended the batch; -1 if unknown.
    pub leader_epoch: i32,
    /// -1 unless the producer was idempotent or transactional.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Abort,
    Commit,
    /// A control record that does not concern consumers.
    Other,
}

impl<'a> Batch<'a> {
    /// The fetch offset after this batch.
    #[inline]
    pub fn next_offset(&self) -> i64 {
        self.last_offset.saturating_add(1)
    }

    /// Whether there is a record for every offset: compaction removed none.
    pub fn is_dense(&self) -> bool {
        i64::from(self.count) == i64::from(self.last_offset_delta) + 1
    }

    /// Whether it holds control records, for example transaction markers.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.attributes & bit::CONTROL != 0
    }

    #[inline]
    pub fn is_transactional(&self) -> bool {
        self.attributes & bit::TRANSACTIONAL != 0
    }

    /// Whether the broker set the records' timestamps.
    #[inline]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & bit::LOG_APPEND_TIME != 0
    }

    /// The timestamp of a record with this delta.
    #[inline]
    pub(super) fn timestamp_ms(&self, delta_ms: i64) -> i64 {
        if self.is_log_append_time() {
            return self.max_timestamp_ms;
        }
        self.base_timestamp_ms.wrapping_add(delta_ms)
    }

    pub fn codec(&self) -> Result<Codec, BatchError> {
        Codec::of(self.attributes & bit::CODEC)
    }

    /// Verifies the checksum (CRC32C).
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
            // Compaction has removed the record.
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

    /// Parses `bytes`, which are exactly one batch.
    fn parse(bytes: &'a [u8]) -> Option<Batch<'a>> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let base_offset = i64::from_be_bytes(field(header, 0));
        let last_offset_delta = i32::from_be_bytes(field(header, 23));
        Some(Batch {
            base_offset,
            last_offset: base_offset.saturating_add(i64::from(last_offset_delta)),
            last_offset_delta: last_offset_delta as u32,
            leader_epoch: i32::from_be_bytes(field(header, 12)),
            producer_id: i64::from_be_bytes(field(header, 43)),
            attributes: i16::from_be_bytes(field(header, 21)),
            base_timestamp_ms: i64::from_be_bytes(field(header, 27)),
            max_timestamp_ms: i64::from_be_bytes(field(header, 35)),
            count: i32::from_be_bytes(field(header, 57)),
            records: &bytes[HEADER_BYTES..],
            checked: &bytes[CHECKED_FROM..],
            checksum: u32::from_be_bytes(field(header, 17)),
        })
    }
}

#[inline]
fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

/// The batches of one partition in a Fetch response.
///
/// A broker cuts the response at the limit of the request, not between batches:
/// an incomplete last batch is not an error, see [`Batches::cut_bytes`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    pub fn new(bytes: &'a [u8]) -> Batches<'a> {
        Batches { rest: bytes }
    }

    /// The bytes not parsed yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The whole size of the incomplete batch at the end, as far as its length was received; 0 if no batch is cut.
    pub fn cut_bytes(&self) -> usize {
        match self.rest.first_chunk::<PREFIX_BYTES>() {
            Some(prefix) => PREFIX_BYTES + usize::try_from(length(prefix)).unwrap_or(0),
            None => self.rest.len(),
        }
    }

    fn next_batch(&mut self) -> Result<Option<Batch<'a>>, BatchError> {
        let Some(prefix) = self.rest.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = length(prefix);
        // Check the format before the length: an old message is shorter than a batch's header.
        match self.rest.get(MAGIC_AT).map(|&magic| magic as i8) {
            Some(2) => {}
            Some(old @ 0..2) => return Err(BatchError::OldFormat(old)),
            Some(other) => return Err(BatchError::NewFormat(other)),
            None if length < 0 => return Err(BatchError::Length(length)),
            None => return Ok(None),
        }
        let whole = usize::try_from(length).map_or(0, |bytes| bytes.saturating_add(PREFIX_BYTES));
        if whole < HEADER_BYTES {
            return Err(BatchError::Length(length));
        }
        let Some((bytes, rest)) = self.rest.split_at_checked(whole) else {
            return Ok(None);
        };
        let Some(batch) = Batch::parse(bytes) else {
            return Err(BatchError::Length(length));
        };
        // No offset is this large, and so adding a delta can not overflow.
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

    /// An error ends the iterator: the start of the next batch is unknown.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch();
        if next.is_err() {
            self.rest = &[];
        }
        next.transpose()
    }
}
