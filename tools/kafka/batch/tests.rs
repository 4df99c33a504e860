//! Well-formed and malformed batches.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::build::{self, BatchBuilder, TestRecord};
use super::*;
use crate::record::Header;

pub(super) const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip,
    Codec::Snappy,
    Codec::Lz4,
    Codec::Zstd,
];
const LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Offset, timestamp, key, value, headers.
pub(super) type DecodedRecord = (
    i64,
    i64,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<(Vec<u8>, Option<Vec<u8>>)>,
);

pub(super) fn decoded(record: &RawRecord<'_>) -> DecodedRecord {
    let mut headers = Vec::new();
    assert!(record.headers.read(&mut headers), "the headers add up");
    let decoded = |header: &Header<'_>| (header.name.to_vec(), header.value.map(<[u8]>::to_vec));
    (
        record.offset,
        record.timestamp_ms,
        record.key.map(<[u8]>::to_vec),
        record.value.map(<[u8]>::to_vec),
        headers.iter().map(decoded).collect(),
    )
}

/// Every record of every complete batch, or the first error.
fn read(bytes: &[u8]) -> Result<Vec<DecodedRecord>, String> {
    read_within(bytes, LIMIT_BYTES)
}

fn read_within(bytes: &[u8], limit_bytes: usize) -> Result<Vec<DecodedRecord>, String> {
    let mut decoder = BatchDecoder::new(limit_bytes);
    let mut seen = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        batch.check().map_err(|error| error.to_string())?;
        let done = decoder.records(&batch, |record| {
            seen.push(decoded(&record));
            ControlFlow::Continue(())
        });
        let _ = done.map_err(|error| error.to_string())?;
    }
    Ok(seen)
}

fn expected(builder: &BatchBuilder) -> Vec<DecodedRecord> {
    let row = |record: &TestRecord| {
        (
            builder.base_offset + i64::from(record.offset_delta),
            builder.base_timestamp_ms + record.timestamp_delta_ms,
            record.key.clone(),
            record.value.clone(),
            record.headers.clone(),
        )
    };
    builder.records.iter().map(row).collect()
}

fn shapes() -> BatchBuilder {
    let record = |offset_delta, key: Option<&[u8]>, value: Option<&[u8]>| TestRecord {
        offset_delta,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        ..TestRecord::default()
    };
    BatchBuilder {
        base_offset: 100,
        records: vec![
            record(0, Some(b"k"), Some(b"v")),
            record(1, None, Some(b"")),
            record(2, Some(b""), None),
            TestRecord {
                timestamp_delta_ms: -70_000,
                headers: vec![
                    (b"a".to_vec(), Some(b"1".to_vec())),
                    (b"a".to_vec(), None),
                    (vec![], Some(vec![])),
                ],
                ..record(5, Some(b"k"), Some(&[7; 300]))
            },
        ],
        ..BatchBuilder::default()
    }
}

#[test]
fn every_codec_gives_the_same_records() {
    for codec in CODECS {
        let builder = shapes().compressed(codec);
        assert_eq!(read(&builder.bytes()), Ok(expected(&builder)), "{codec}");
    }
    let builder = shapes();
    for block_bytes in [1, 7, 32 * 1024] {
        let bytes = builder.xerial_bytes(block_bytes);
        assert_eq!(read(&bytes), Ok(expected(&builder)));
    }
}

#[test]
fn a_record_larger_than_the_buffer_is_read() {
    let mut builder = shapes();
    // Hardly compressible, followed by records that cross the end of the buffer.
    let noise = |count: u32| {
        (0..count)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect::<Vec<u8>>()
    };
    builder.records[0].value = Some(noise(3_000_000));
    for index in 0..2000 {
        builder.records.push(TestRecord {
            offset_delta: 6 + index,
            value: Some(noise(1000)),
            ..TestRecord::default()
        });
    }
    for codec in CODECS {
        let builder = builder.clone().compressed(codec);
        assert!(
            read(&builder.bytes()) == Ok(expected(&builder)),
            "{codec} differs"
        );
    }
    assert!(read(&builder.xerial_bytes(32 * 1024)) == Ok(expected(&builder)));
}

#[test]
fn an_incomplete_batch_is_not_an_error() {
    let mut bytes = BatchBuilder::of(0, &["a", "b"]).bytes();
    let whole = bytes.len();
    bytes.extend(BatchBuilder::of(2, &["c"]).bytes());
    for cut in whole..bytes.len() {
        let found = read(&bytes[..cut]).expect("a cut batch is no error");
        assert_eq!(found.len(), 2);
    }
    let mut batches = Batches::new(&bytes[..whole + 20]);
    assert_eq!(batches.by_ref().count(), 1);
    assert_eq!(batches.cut_bytes(), bytes.len() - whole);
    let mut batches = Batches::new(&bytes[..whole]);
    assert_eq!(batches.by_ref().count(), 1);
    assert_eq!(batches.cut_bytes(), 0);
}

#[test]
fn a_damaged_batch_is_noticed() {
    let bytes = shapes().bytes();
    // The checksum does not cover the bytes that the broker changes.
    for at in 21..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        let error = read(&damaged).expect_err("a bit was changed");
        assert!(error.contains("checksum") || at < 61, "{error}");
    }
}

#[test]
fn old_and_future_formats_are_named() {
    for (magic, what) in [(0, "v0"), (1, "v1"), (3, "v3")] {
        let mut bytes = shapes().bytes();
        bytes[16] = magic;
        let error = read(&bytes).expect_err("not format v2");
        assert!(error.contains(what), "{error}");
        // Not every program that reads batches has this option.
        assert!(!error.contains("--engine"), "{error}");
    }
    // An old message is shorter than the head of a batch.
    let mut short = vec![0; 30];
    short[11] = 18;
    assert!(read(&short).expect_err("an old message").contains("v0"));
}

#[test]
fn wrong_lengths_are_errors() {
    let fails = |bytes: &[u8], what: &str| {
        let error = read(bytes).expect_err(what);
        assert!(error.contains(what), "{error}, not {what}");
    };
    for length in [-1i32, 0, 48] {
        let mut bytes = shapes().bytes();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        fails(&bytes, "can't be");
    }
    let builder = BatchBuilder::of(0, &["a"]);
    let with = |count, last_offset_delta| BatchBuilder {
        last_offset_delta,
        count,
        ..builder.clone()
    };
    fails(&with(Some(2), None).bytes(), "fewer records");
    fails(&with(Some(0), None).bytes(), "bytes follow");
    fails(&with(Some(-1), None).bytes(), "negative");
    fails(&with(None, Some(-1)).bytes(), "negative");
    let mut outside = BatchBuilder::of(0, &["a", "b"]);
    outside.last_offset_delta = Some(0);
    fails(&outside.bytes(), "outside");
    for body in [
        &[0x7e][..],
        &[1],
        &[0xff; 12],
        &[2, 0],
        &[14, 0, 0, 0, 60, 60, 0, 0],
    ] {
        let builder = with(Some(1), Some(0));
        fails(&builder.bytes_with_body(body), "record 0 of the batch");
        for codec in [Codec::Lz4, Codec::Zstd] {
            fails(
                &builder.clone().compressed(codec).bytes_with_body(body),
                "can't be decompressed",
            );
        }
    }
    for codec in [5, 6, 7] {
        let builder = BatchBuilder {
            attributes: codec,
            ..builder.clone()
        };
        fails(&builder.bytes(), &format!("codec {codec}"));
    }
}

#[test]
fn a_batch_that_decompresses_to_more_than_the_limit_is_refused() {
    let zeros = "0".repeat(1_000_000);
    for codec in &CODECS[1..] {
        let builder = BatchBuilder::of(0, &[&zeros]).compressed(*codec);
        let error = read_within(&builder.bytes(), 500_000).expect_err("too large");
        assert!(error.contains("500000 bytes"), "{codec}: {error}");
        assert_eq!(read(&builder.bytes()).map(|seen| seen.len()), Ok(1));
    }
    // Ten bytes with a length of four gigabytes.
    let too_long = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0];
    let builder = BatchBuilder::of(0, &["a"]).compressed(Codec::Snappy);
    let error = read(&builder.bytes_with_body(&too_long)).expect_err("too long");
    assert!(error.contains("can't become"), "{error}");
}

#[test]
fn log_append_time_is_the_timestamp_of_every_record() {
    let builder = BatchBuilder {
        attributes: build::LOG_APPEND_TIME,
        ..BatchBuilder::of(0, &["a", "b"])
    };
    let times: Vec<i64> = read(&builder.bytes())
        .expect("well-formed")
        .iter()
        .map(|seen| seen.1)
        .collect();
    assert_eq!(times, [2000, 2000]);
}

#[test]
fn transaction_markers_are_recognized() {
    let marker = |is_commit| {
        let bytes = BatchBuilder::marker(7, 42, is_commit).bytes();
        let batch = Batches::new(&bytes).next().expect("one").expect("whole");
        assert!(batch.is_control() && batch.is_transactional());
        assert_eq!((batch.producer_id, batch.next_offset()), (42, 8));
        batch.marker().expect("well-formed")
    };
    assert_eq!(marker(false), Marker::Abort);
    assert_eq!(marker(true), Marker::Commit);
    let mut emptied = BatchBuilder::marker(7, 42, true);
    emptied.records.clear();
    let bytes = emptied.bytes();
    let batch = Batches::new(&bytes).next().expect("one").expect("whole");
    assert_eq!(batch.marker().expect("well-formed"), Marker::Other);
}

#[test]
fn a_batch_emptied_by_compaction_keeps_its_last_offset() {
    let builder = BatchBuilder {
        last_offset_delta: Some(9),
        attributes: Codec::Zstd as i16,
        ..BatchBuilder::default()
    };
    let bytes = builder.bytes_with_body(&[]);
    assert_eq!(read(&bytes), Ok(vec![]));
    let batch = Batches::new(&bytes).next().expect("one").expect("whole");
    assert_eq!(batch.next_offset(), 10);
}

#[test]
fn a_visitor_that_breaks_stops_the_batch() {
    for codec in CODECS {
        let bytes = shapes().compressed(codec).bytes();
        let mut decoder = BatchDecoder::new(LIMIT_BYTES);
        let batch = Batches::new(&bytes).next().expect("one").expect("whole");
        let mut count = 0;
        let flow = decoder.records(&batch, |_| {
            count += 1;
            if count == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(flow, Ok(ControlFlow::Break(()))));
        assert_eq!(count, 2);
        // The rest of it does not appear in the next batch.
        let again = decoder.records(&batch, |_| ControlFlow::Continue(()));
        assert!(matches!(again, Ok(ControlFlow::Continue(()))));
    }
}

pub(super) fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))
}

fn any_record() -> impl Strategy<Value = TestRecord> {
    let header = (proptest::collection::vec(any::<u8>(), 0..20), any_bytes());
    let headers = proptest::collection::vec(header, 0..4);
    (-1_000_000..1_000_000i64, any_bytes(), any_bytes(), headers).prop_map(
        |(timestamp_delta_ms, key, value, headers)| TestRecord {
            offset_delta: 0,
            timestamp_delta_ms,
            key,
            value,
            headers,
        },
    )
}

fn any_builder() -> impl Strategy<Value = BatchBuilder> {
    let records = proptest::collection::vec((any_record(), 1..5i32), 1..30);
    (0..1i64 << 50, records, 0..5i16).prop_map(|(base_offset, records, attributes)| {
        let mut next = 0;
        let place = |(record, step): (TestRecord, i32)| {
            let offset_delta = next;
            next += step;
            TestRecord {
                offset_delta,
                ..record
            }
        };
        BatchBuilder {
            base_offset,
            attributes,
            records: records.into_iter().map(place).collect(),
            ..BatchBuilder::default()
        }
    })
}

proptest! {
    #[test]
    fn written_batches_are_read_back(builders in proptest::collection::vec(any_builder(), 1..4)) {
        let bytes: Vec<u8> = builders.iter().flat_map(BatchBuilder::bytes).collect();
        let all: Vec<DecodedRecord> = builders.iter().flat_map(expected).collect();
        prop_assert_eq!(read(&bytes), Ok(all));
    }

    #[test]
    fn changed_bytes_never_panic(
        builder in any_builder(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = builder.bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut decoder = BatchDecoder::new(LIMIT_BYTES);
        for batch in Batches::new(&bytes).flatten() {
            let _ = batch.marker();
            let _ = decoder.records(&batch, |record| {
                let _ = record.headers.read(&mut Vec::new());
                ControlFlow::Continue(())
            });
        }
    }
}
