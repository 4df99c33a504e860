//! Batches as brokers send them, and bytes that are none.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::build::{self, Made, Recipe};
use super::*;
use crate::record::Header;

const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip,
    Codec::Snappy,
    Codec::Lz4,
    Codec::Zstd,
];
const LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// A record as it came out: offset, time, key, value, headers.
type Seen = (
    i64,
    i64,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<(Vec<u8>, Option<Vec<u8>>)>,
);

fn own(record: &RawRecord<'_>) -> Seen {
    let mut headers = Vec::new();
    assert!(record.headers.read(&mut headers), "the headers add up");
    let own = |header: &Header<'_>| (header.name.to_vec(), header.value.map(<[u8]>::to_vec));
    (
        record.offset,
        record.timestamp_ms,
        record.key.map(<[u8]>::to_vec),
        record.value.map(<[u8]>::to_vec),
        headers.iter().map(own).collect(),
    )
}

/// Every record of every whole batch, or what is wrong with them.
fn read(bytes: &[u8]) -> Result<Vec<Seen>, String> {
    read_within(bytes, LIMIT_BYTES)
}

fn read_within(bytes: &[u8], limit_bytes: usize) -> Result<Vec<Seen>, String> {
    let mut unpacker = Unpacker::new(limit_bytes);
    let mut seen = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        batch.check().map_err(|error| error.to_string())?;
        let done = unpacker.records(&batch, |record| {
            seen.push(own(&record));
            ControlFlow::Continue(())
        });
        let _ = done.map_err(|error| error.to_string())?;
    }
    Ok(seen)
}

fn expected(recipe: &Recipe) -> Vec<Seen> {
    let row = |made: &Made| {
        (
            recipe.base_offset + i64::from(made.offset_delta),
            recipe.base_timestamp_ms + made.timestamp_delta_ms,
            made.key.clone(),
            made.value.clone(),
            made.headers.clone(),
        )
    };
    recipe.records.iter().map(row).collect()
}

fn shapes() -> Recipe {
    let made = |offset_delta, key: Option<&[u8]>, value: Option<&[u8]>| Made {
        offset_delta,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        ..Made::default()
    };
    Recipe {
        base_offset: 100,
        records: vec![
            made(0, Some(b"k"), Some(b"v")),
            made(1, None, Some(b"")),
            made(2, Some(b""), None),
            Made {
                timestamp_delta_ms: -70_000,
                headers: vec![
                    (b"a".to_vec(), Some(b"1".to_vec())),
                    (b"a".to_vec(), None),
                    (vec![], Some(vec![])),
                ],
                ..made(5, Some(b"k"), Some(&[7; 300]))
            },
        ],
        ..Recipe::default()
    }
}

#[test]
fn every_codec_gives_the_same_records() {
    for codec in CODECS {
        let recipe = shapes().compressed(codec);
        assert_eq!(read(&recipe.bytes()), Ok(expected(&recipe)), "{codec}");
    }
    let recipe = shapes();
    for block_bytes in [1, 7, 32 * 1024] {
        let bytes = recipe.xerial_bytes(block_bytes);
        assert_eq!(read(&bytes), Ok(expected(&recipe)));
    }
}

#[test]
fn a_record_larger_than_the_window_is_read() {
    let mut recipe = shapes();
    // Random enough to stay large, and a row of records that cross the window's end.
    let noise = |count: u32| {
        (0..count)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect::<Vec<u8>>()
    };
    recipe.records[0].value = Some(noise(3_000_000));
    for index in 0..2000 {
        recipe.records.push(Made {
            offset_delta: 6 + index,
            value: Some(noise(1000)),
            ..Made::default()
        });
    }
    for codec in CODECS {
        let recipe = recipe.clone().compressed(codec);
        assert!(
            read(&recipe.bytes()) == Ok(expected(&recipe)),
            "{codec} differs"
        );
    }
    assert!(read(&recipe.xerial_bytes(32 * 1024)) == Ok(expected(&recipe)));
}

#[test]
fn a_batch_that_is_cut_is_not_there_and_no_error() {
    let mut bytes = Recipe::of(0, &["a", "b"]).bytes();
    let whole = bytes.len();
    bytes.extend(Recipe::of(2, &["c"]).bytes());
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
    // What is before the checksum's bytes the broker itself may change.
    for at in 21..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        let told = read(&damaged).expect_err("a bit was changed");
        assert!(told.contains("checksum") || at < 61, "{told}");
    }
}

#[test]
fn old_and_future_formats_are_named() {
    for (magic, what) in [(0, "v0"), (1, "v1"), (3, "v3")] {
        let mut bytes = shapes().bytes();
        bytes[16] = magic;
        let told = read(&bytes).expect_err("not format v2");
        assert!(told.contains(what), "{told}");
        // Not every program that reads batches has that option.
        assert!(!told.contains("--engine"), "{told}");
    }
    // An old message is shorter than the head of a batch.
    let mut short = vec![0; 30];
    short[11] = 18;
    assert!(read(&short).expect_err("an old message").contains("v0"));
}

#[test]
fn lies_about_lengths_are_errors() {
    let fails = |bytes: &[u8], what: &str| {
        let told = read(bytes).expect_err(what);
        assert!(told.contains(what), "{told}, not {what}");
    };
    for length in [-1i32, 0, 48] {
        let mut bytes = shapes().bytes();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        fails(&bytes, "can't be");
    }
    let recipe = Recipe::of(0, &["a"]);
    let with = |count, last_offset_delta| Recipe {
        last_offset_delta,
        count,
        ..recipe.clone()
    };
    fails(&with(Some(2), None).bytes(), "fewer records");
    fails(&with(Some(0), None).bytes(), "bytes follow");
    fails(&with(Some(-1), None).bytes(), "negative");
    fails(&with(None, Some(-1)).bytes(), "negative");
    let mut outside = Recipe::of(0, &["a", "b"]);
    outside.last_offset_delta = Some(0);
    fails(&outside.bytes(), "outside");
    for body in [
        &[0x7e][..],
        &[1],
        &[0xff; 12],
        &[2, 0],
        &[14, 0, 0, 0, 60, 60, 0, 0],
    ] {
        let recipe = with(Some(1), Some(0));
        fails(&recipe.around(body), "record 0 of the batch");
        for codec in [Codec::Lz4, Codec::Zstd] {
            fails(
                &recipe.clone().compressed(codec).around(body),
                "can't be decompressed",
            );
        }
    }
    for codec in [5, 6, 7] {
        let recipe = Recipe {
            attributes: codec,
            ..recipe.clone()
        };
        fails(&recipe.bytes(), &format!("codec {codec}"));
    }
}

#[test]
fn a_batch_that_decompresses_to_more_than_it_may_is_refused() {
    let zeros = "0".repeat(1_000_000);
    for codec in &CODECS[1..] {
        let recipe = Recipe::of(0, &[&zeros]).compressed(*codec);
        let told = read_within(&recipe.bytes(), 500_000).expect_err("too large");
        assert!(told.contains("500000 bytes"), "{codec}: {told}");
        assert_eq!(read(&recipe.bytes()).map(|seen| seen.len()), Ok(1));
    }
    // Ten bytes that say that they are four gigabytes.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0];
    let recipe = Recipe::of(0, &["a"]).compressed(Codec::Snappy);
    let told = read(&recipe.around(&lie)).expect_err("a lie");
    assert!(told.contains("can't become"), "{told}");
}

#[test]
fn the_brokers_time_is_that_of_all_records() {
    let recipe = Recipe {
        attributes: build::LOG_APPEND_TIME,
        ..Recipe::of(0, &["a", "b"])
    };
    let times: Vec<i64> = read(&recipe.bytes())
        .expect("well-formed")
        .iter()
        .map(|seen| seen.1)
        .collect();
    assert_eq!(times, [2000, 2000]);
}

#[test]
fn markers_are_told_from_records() {
    let marker = |is_commit| {
        let bytes = Recipe::marker(7, 42, is_commit).bytes();
        let batch = Batches::new(&bytes).next().expect("one").expect("whole");
        assert!(batch.is_control() && batch.is_transactional());
        assert_eq!((batch.producer_id, batch.next_offset()), (42, 8));
        batch.marker().expect("well-formed")
    };
    assert_eq!(marker(false), Marker::Abort);
    assert_eq!(marker(true), Marker::Commit);
    let mut emptied = Recipe::marker(7, 42, true);
    emptied.records.clear();
    let bytes = emptied.bytes();
    let batch = Batches::new(&bytes).next().expect("one").expect("whole");
    assert_eq!(batch.marker().expect("well-formed"), Marker::Other);
}

#[test]
fn a_batch_that_compaction_has_emptied_still_tells_its_last_offset() {
    let recipe = Recipe {
        last_offset_delta: Some(9),
        attributes: Codec::Zstd as i16,
        ..Recipe::default()
    };
    let bytes = recipe.around(&[]);
    assert_eq!(read(&bytes), Ok(vec![]));
    let batch = Batches::new(&bytes).next().expect("one").expect("whole");
    assert_eq!(batch.next_offset(), 10);
}

#[test]
fn handing_out_stops_where_it_is_told_to() {
    for codec in CODECS {
        let bytes = shapes().compressed(codec).bytes();
        let mut unpacker = Unpacker::new(LIMIT_BYTES);
        let batch = Batches::new(&bytes).next().expect("one").expect("whole");
        let mut count = 0;
        let flow = unpacker.records(&batch, |_| {
            count += 1;
            if count == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(flow, Ok(ControlFlow::Break(()))));
        assert_eq!(count, 2);
        // What was left over of it does not show up in the next one.
        let again = unpacker.records(&batch, |_| ControlFlow::Continue(()));
        assert!(matches!(again, Ok(ControlFlow::Continue(()))));
    }
}

fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))
}

fn any_record() -> impl Strategy<Value = Made> {
    let header = (proptest::collection::vec(any::<u8>(), 0..20), any_bytes());
    let headers = proptest::collection::vec(header, 0..4);
    (-1_000_000..1_000_000i64, any_bytes(), any_bytes(), headers).prop_map(
        |(timestamp_delta_ms, key, value, headers)| Made {
            offset_delta: 0,
            timestamp_delta_ms,
            key,
            value,
            headers,
        },
    )
}

fn any_recipe() -> impl Strategy<Value = Recipe> {
    let records = proptest::collection::vec((any_record(), 1..5i32), 1..30);
    (0..1i64 << 50, records, 0..5i16).prop_map(|(base_offset, records, attributes)| {
        let mut next = 0;
        let place = |(made, step): (Made, i32)| {
            let offset_delta = next;
            next += step;
            Made {
                offset_delta,
                ..made
            }
        };
        Recipe {
            base_offset,
            attributes,
            records: records.into_iter().map(place).collect(),
            ..Recipe::default()
        }
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read(recipes in proptest::collection::vec(any_recipe(), 1..4)) {
        let bytes: Vec<u8> = recipes.iter().flat_map(Recipe::bytes).collect();
        let all: Vec<Seen> = recipes.iter().flat_map(expected).collect();
        prop_assert_eq!(read(&bytes), Ok(all));
    }

    #[test]
    fn no_change_of_the_bytes_makes_it_panic(
        recipe in any_recipe(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = recipe.bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut unpacker = Unpacker::new(LIMIT_BYTES);
        for batch in Batches::new(&bytes).flatten() {
            let _ = batch.marker();
            let _ = unpacker.records(&batch, |record| {
                let _ = record.headers.read(&mut Vec::new());
                ControlFlow::Continue(())
            });
        }
    }
}
