//! Builds batches for tests: well-formed ones and malformed ones.

use std::io::Write as _;

use super::Codec;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestRecord {
    pub(crate) offset_delta: i32,
    pub(crate) timestamp_delta_ms: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct BatchBuilder {
    pub(crate) base_offset: i64,
    /// Default: that of the last record.
    pub(crate) last_offset_delta: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) attributes: i16,
    pub(crate) base_timestamp_ms: i64,
    pub(crate) max_timestamp_ms: i64,
    pub(crate) producer_id: i64,
    /// Default: the number of records.
    pub(crate) count: Option<i32>,
    pub(crate) records: Vec<TestRecord>,
}

impl Default for BatchBuilder {
    fn default() -> BatchBuilder {
        BatchBuilder {
            base_offset: 0,
            last_offset_delta: None,
            leader_epoch: 0,
            attributes: 0,
            base_timestamp_ms: 1000,
            max_timestamp_ms: 2000,
            producer_id: -1,
            count: None,
            records: Vec::new(),
        }
    }
}

pub(crate) const TRANSACTIONAL: i16 = 0x10;
pub(crate) const CONTROL: i16 = 0x20;
pub(crate) const LOG_APPEND_TIME: i16 = 0x08;

impl BatchBuilder {
    /// A batch of values with consecutive offsets.
    pub(crate) fn of(base_offset: i64, values: &[&str]) -> BatchBuilder {
        let record = |(index, value): (usize, &&str)| TestRecord {
            offset_delta: index as i32,
            value: Some(value.as_bytes().to_vec()),
            ..TestRecord::default()
        };
        BatchBuilder {
            base_offset,
            records: values.iter().enumerate().map(record).collect(),
            ..BatchBuilder::default()
        }
    }

    pub(crate) fn marker(base_offset: i64, producer_id: i64, is_commit: bool) -> BatchBuilder {
        BatchBuilder {
            attributes: TRANSACTIONAL | CONTROL,
            producer_id,
            records: vec![TestRecord {
                key: Some(vec![0, 0, 0, u8::from(is_commit)]),
                value: Some(vec![0; 6]),
                ..TestRecord::default()
            }],
            base_offset,
            ..BatchBuilder::default()
        }
    }

    pub(crate) fn transactional(mut self, producer_id: i64) -> BatchBuilder {
        self.attributes |= TRANSACTIONAL;
        self.producer_id = producer_id;
        self
    }

    pub(crate) fn compressed(mut self, codec: Codec) -> BatchBuilder {
        self.attributes |= codec as i16;
        self
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for record in &self.records {
            let mut one = vec![0];
            put_varint(record.timestamp_delta_ms, &mut one);
            put_varint(i64::from(record.offset_delta), &mut one);
            put_bytes(record.key.as_deref(), &mut one);
            put_bytes(record.value.as_deref(), &mut one);
            put_varint(record.headers.len() as i64, &mut one);
            for (name, value) in &record.headers {
                put_bytes(Some(name), &mut one);
                put_bytes(value.as_deref(), &mut one);
            }
            put_bytes(Some(&one), &mut body);
        }
        body
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let body = compress(self.attributes & 7, &self.body());
        self.bytes_with_body(&body)
    }

    /// As [`BatchBuilder::bytes`], snappy with Java's framing.
    pub(crate) fn xerial_bytes(&self, block_bytes: usize) -> Vec<u8> {
        let builder = self.clone().compressed(Codec::Snappy);
        builder.bytes_with_body(&xerial(&self.body(), block_bytes))
    }

    /// The batch with any bytes as its records, and a correct checksum.
    pub(crate) fn bytes_with_body(&self, body: &[u8]) -> Vec<u8> {
        let last = self.records.last().map_or(0, |record| record.offset_delta);
        let mut checked = Vec::new();
        checked.extend_from_slice(&self.attributes.to_be_bytes());
        checked.extend_from_slice(&self.last_offset_delta.unwrap_or(last).to_be_bytes());
        checked.extend_from_slice(&self.base_timestamp_ms.to_be_bytes());
        checked.extend_from_slice(&self.max_timestamp_ms.to_be_bytes());
        checked.extend_from_slice(&self.producer_id.to_be_bytes());
        checked.extend_from_slice(&0i16.to_be_bytes());
        checked.extend_from_slice(&(-1i32).to_be_bytes());
        let count = self.count.unwrap_or(self.records.len() as i32);
        checked.extend_from_slice(&count.to_be_bytes());
        checked.extend_from_slice(body);
        let mut whole = Vec::new();
        whole.extend_from_slice(&self.base_offset.to_be_bytes());
        whole.extend_from_slice(&(checked.len() as i32 + 9).to_be_bytes());
        whole.extend_from_slice(&self.leader_epoch.to_be_bytes());
        whole.push(2);
        whole.extend_from_slice(&crc32c::crc32c(&checked).to_be_bytes());
        whole.extend_from_slice(&checked);
        whole
    }
}

pub(crate) fn put_varint(number: i64, out: &mut Vec<u8>) {
    let mut raw = ((number << 1) ^ (number >> 63)) as u64;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

fn put_bytes(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    put_varint(bytes.map_or(-1, |bytes| bytes.len() as i64), out);
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// An unknown codec leaves the bytes unchanged.
fn compress(codec: i16, body: &[u8]) -> Vec<u8> {
    match codec {
        1 => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(body).unwrap();
            out.finish().unwrap()
        }
        2 => snap::raw::Encoder::new().compress_vec(body).unwrap(),
        3 => {
            // Blocks that refer to those before them, as librdkafka writes.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_mode(lz4_flex::frame::BlockMode::Linked)
                .block_size(lz4_flex::frame::BlockSize::Max64KB);
            let mut out = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            out.write_all(body).unwrap();
            out.finish().unwrap()
        }
        4 => zstd::encode_all(body, 3).unwrap(),
        _ => body.to_vec(),
    }
}

/// Java's snappy framing: a header, and blocks with their lengths.
pub(crate) fn xerial(body: &[u8], block_bytes: usize) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in body.chunks(block_bytes) {
        let block = snap::raw::Encoder::new().compress_vec(block).unwrap();
        out.extend_from_slice(&(block.len() as i32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    out
}
