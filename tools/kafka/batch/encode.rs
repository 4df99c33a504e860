//! Encodes records into a batch as they come, and completes its header when it is sent.

use std::io::{self, Write as _};

use bytes::Bytes;

use super::Codec;
use super::header::{CHECKED_FROM, HEADER_BYTES, PREFIX_BYTES, bit};
use crate::record::Header;

/// The longest varint of 64 bits, and of a length.
const LONGEST_VARINT: usize = 10;
const LONGEST_LENGTH: usize = 5;
/// The most bytes of a record besides key, value and headers.
const RECORD_OVERHEAD: usize = 4 * LONGEST_LENGTH + 2 * LONGEST_VARINT + 1;
/// The most bytes of a record before its key: three lengths, the offset, the time and the attributes.
const LONGEST_HEAD: usize = 3 * LONGEST_LENGTH + 2 * LONGEST_VARINT + 1;
const HEAD_MEMORY: usize = 64;

/// Who sends a batch, for idempotence and transactions (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStamp {
    /// -1 without idempotence, as the other two.
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub is_transactional: bool,
}

impl ProducerStamp {
    pub const NONE: ProducerStamp = ProducerStamp {
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        is_transactional: false,
    };
}

/// A record batch (message format v2): its header is complete after [`SealedBatch::stamp`].
#[derive(Debug)]
pub struct RecordBatch {
    bytes: Vec<u8>,
    count: i32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

impl RecordBatch {
    /// An empty batch in this memory.
    pub fn new(mut memory: Vec<u8>) -> RecordBatch {
        memory.clear();
        memory.resize(HEADER_BYTES, 0);
        RecordBatch {
            bytes: memory,
            count: 0,
            base_timestamp_ms: 0,
            max_timestamp_ms: 0,
        }
    }

    pub fn count(&self) -> u32 {
        self.count as u32
    }

    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        if self.count == 0 {
            self.base_timestamp_ms = timestamp_ms;
            self.max_timestamp_ms = timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        let timestamp_delta = zigzag(timestamp_ms.wrapping_sub(self.base_timestamp_ms));
        let offset_delta = zigzag(i64::from(self.count));
        let (key_length, value_length) = (length_of(key), length_of(value));
        let mut head = [0; HEAD_MEMORY];
        // The attributes, one byte, are unused yet.
        let mut end = put(&mut head, LONGEST_LENGTH + 1, timestamp_delta);
        end = put(&mut head, end, offset_delta);
        end = put(&mut head, end, key_length);
        let mut value_length_bytes = 0;
        if key.is_none() {
            end = put(&mut head, end, value_length);
        } else {
            value_length_bytes = varint_size(value_length);
        }
        let header_bytes = match headers {
            [] => 1,
            headers => headers_size(headers),
        };
        let body_bytes = end - LONGEST_LENGTH
            + key.map_or(0, <[u8]>::len)
            + value_length_bytes
            + value.map_or(0, <[u8]>::len)
            + header_bytes;
        let body_length = zigzag(body_bytes as i64);
        let start = LONGEST_LENGTH - varint_size(body_length);
        put(&mut head, start, body_length);
        self.bytes.reserve(LONGEST_HEAD + body_bytes);
        // A length that is known here is copied without a call.
        let length = self.bytes.len() + end - start;
        self.bytes.extend_from_slice(&head[start..][..LONGEST_HEAD]);
        self.bytes.truncate(length);
        if let Some(key) = key {
            self.bytes.extend_from_slice(key);
            put_varint(value_length, &mut self.bytes);
        }
        self.bytes.extend_from_slice(value.unwrap_or_default());
        put_varint(zigzag(headers.len() as i64), &mut self.bytes);
        for header in headers {
            put_varint(length_of(Some(header.name)), &mut self.bytes);
            self.bytes.extend_from_slice(header.name);
            put_varint(length_of(header.value), &mut self.bytes);
            self.bytes
                .extend_from_slice(header.value.unwrap_or_default());
        }
        self.count += 1;
    }

    /// Compresses the records, unless that makes them larger, and writes the header's fields that do not change any more.
    pub fn seal(self, codec: Codec, level: i32) -> io::Result<SealedBatch> {
        let mut bytes = self.bytes;
        let mut attributes = 0i16;
        if codec != Codec::None {
            let mut compressed = Vec::with_capacity(bytes.len() / 2);
            compressed.resize(HEADER_BYTES, 0);
            compress(codec, level, &bytes[HEADER_BYTES..], &mut compressed)?;
            if compressed.len() < bytes.len() {
                bytes = compressed;
                attributes = codec as i16;
            }
        }
        let length = (bytes.len() - PREFIX_BYTES) as i32;
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(8, &length.to_be_bytes());
        put(12, &(-1i32).to_be_bytes());
        put(16, &[2]);
        put(21, &attributes.to_be_bytes());
        put(23, &(self.count - 1).to_be_bytes());
        put(27, &self.base_timestamp_ms.to_be_bytes());
        put(35, &self.max_timestamp_ms.to_be_bytes());
        put(57, &self.count.to_be_bytes());
        Ok(SealedBatch {
            bytes: Bytes::from(bytes),
        })
    }
}

/// A batch that takes no more records.
#[derive(Debug, Default)]
pub struct SealedBatch {
    bytes: Bytes,
}

impl SealedBatch {
    /// Writes the fields that depend on the sender, and the checksum. Copies the bytes if they are shared.
    pub fn stamp(&mut self, stamp: ProducerStamp) {
        let mut bytes = self.take_bytes();
        let mut attributes = i16::from_be_bytes([bytes[21], bytes[22]]) & !bit::TRANSACTIONAL;
        if stamp.is_transactional {
            attributes |= bit::TRANSACTIONAL;
        }
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(21, &attributes.to_be_bytes());
        put(43, &stamp.producer_id.to_be_bytes());
        put(51, &stamp.producer_epoch.to_be_bytes());
        put(53, &stamp.base_sequence.to_be_bytes());
        let checksum = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        bytes[17..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
        self.bytes = Bytes::from(bytes);
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes, to use their memory again.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        Vec::from(std::mem::take(&mut self.bytes))
    }
}

/// The encoded size of a record's headers with their count.
fn headers_size(headers: &[Header<'_>]) -> usize {
    let one = |header: &Header<'_>| {
        varint_size(length_of(Some(header.name)))
            + header.name.len()
            + varint_size(length_of(header.value))
            + header.value.map_or(0, <[u8]>::len)
    };
    varint_size(zigzag(headers.len() as i64)) + headers.iter().map(one).sum::<usize>()
}

/// At most this many bytes are added by a record.
#[inline]
pub fn record_size_limit(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> usize {
    let headers = match headers {
        [] => 0,
        headers => headers_size(headers),
    };
    RECORD_OVERHEAD + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers
}

/// Writes a varint from `at` on, and returns where it ends. A constant mask makes the bounds known.
#[inline]
fn put(head: &mut [u8; HEAD_MEMORY], mut at: usize, mut number: u64) -> usize {
    while number >= 0x80 {
        head[at % HEAD_MEMORY] = number as u8 | 0x80;
        at += 1;
        number >>= 7;
    }
    head[at % HEAD_MEMORY] = number as u8;
    at + 1
}

#[inline]
fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[inline]
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The length of nullable bytes, as a zigzag number.
#[inline]
fn length_of(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(1, |bytes| (bytes.len() as u64) << 1)
}

#[inline]
fn varint_size(number: u64) -> usize {
    // A varint has seven bits in each byte.
    if number < 1 << 14 {
        return 1 + usize::from(number >= 1 << 7);
    }
    (70 - (number | 1).leading_zeros() as usize) / 7
}

/// Appends the compressed `records`. lz4 has no levels here.
fn compress(codec: Codec, level: i32, records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match codec {
        Codec::None => out.extend_from_slice(records),
        Codec::Gzip => {
            let level = u32::try_from(level).map_or(flate2::Compression::default(), |level| {
                flate2::Compression::new(level.min(9))
            });
            let mut encoder = flate2::write::GzEncoder::new(out, level);
            encoder.write_all(records)?;
            encoder.finish()?;
        }
        Codec::Snappy => {
            let block = snap::raw::Encoder::new().compress_vec(records);
            out.extend_from_slice(&block.map_err(io::Error::other)?);
        }
        Codec::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new()
                .block_mode(lz4_flex::frame::BlockMode::Independent)
                .block_size(lz4_flex::frame::BlockSize::Max64KB);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, out);
            encoder.write_all(records)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        Codec::Zstd => {
            let level = if level < 0 {
                zstd::DEFAULT_COMPRESSION_LEVEL
            } else {
                level
            };
            zstd::stream::copy_encode(records, out, level)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::super::tests::{CODECS, DecodedRecord, any_bytes, decoded};
    use super::super::{BatchDecoder, Batches};
    use super::*;

    /// A record whose offset is still to be set.
    fn record() -> impl Strategy<Value = DecodedRecord> {
        let header = (proptest::collection::vec(any::<u8>(), 0..9), any_bytes());
        let headers = proptest::collection::vec(header, 0..3);
        let time = prop_oneof![Just(0), -3..3i64, 0..2_000_000_000_000i64];
        (Just(0), time, any_bytes(), any_bytes(), headers)
    }

    fn encode(records: &[DecodedRecord]) -> RecordBatch {
        let mut batch = RecordBatch::new(vec![7; 5]);
        for (_, time, key, value, headers) in records {
            let headers: Vec<Header<'_>> = headers
                .iter()
                .map(|(name, value)| Header::new(name, value.as_deref()))
                .collect();
            let before = batch.size();
            batch.append(*time, key.as_deref(), value.as_deref(), &headers);
            let limit = record_size_limit(key.as_deref(), value.as_deref(), &headers);
            assert!(batch.size() - before <= limit);
        }
        batch
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_the_same(
            mut records in proptest::collection::vec(record(), 1..40),
            codec in prop::sample::select(&CODECS),
            is_transactional: bool,
        ) {
            for (offset, record) in records.iter_mut().enumerate() {
                record.0 = offset as i64;
            }
            let stamp = ProducerStamp { producer_id: 5, producer_epoch: 3, base_sequence: 77, is_transactional };
            let mut sealed = encode(&records).seal(codec, -1).expect("it can be compressed");
            sealed.stamp(ProducerStamp::NONE);
            sealed.stamp(stamp);
            let mut batches = Batches::new(sealed.bytes());
            let batch = batches.next().expect("one").expect("well-formed");
            prop_assert!(batches.next().is_none() && batches.rest().is_empty());
            prop_assert!(batch.check().is_ok());
            prop_assert_eq!((batch.producer_id, batch.is_transactional()), (5, is_transactional));
            let mut read = Vec::new();
            let flow = BatchDecoder::new(1 << 20).records(&batch, |record| {
                read.push(decoded(&record));
                ControlFlow::Continue(())
            });
            prop_assert!(flow.is_ok());
            prop_assert_eq!(read, records);
        }
    }

    #[test]
    fn a_varint_is_as_long_as_its_size_says() {
        for shift in 0..64 {
            for number in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put_varint(number, &mut bytes);
                assert_eq!(varint_size(number), bytes.len(), "{number}");
            }
        }
    }
}
