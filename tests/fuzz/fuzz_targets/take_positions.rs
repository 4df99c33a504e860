//! Nothing that comes through an `--ack` pipe or its socket makes an end panic or acknowledge what it has not received.
//!
//! The first byte of the input says how lines carry their position. Run it
//! from the root of the repository: `.ci/fuzz take_positions`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the library's own"
)]

// The pure modules by their path, so that fuzzing needs no librdkafka.
#[path = "../../../tools/ack/error.rs"]
mod error;
#[path = "../../../tools/ack/message.rs"]
mod message;
#[path = "../../../tools/ack/position.rs"]
mod position;
#[path = "../../../tools/ack/reader.rs"]
mod reader;
#[path = "../../../tools/ack/tracker.rs"]
mod tracker;

use std::collections::HashMap;

use error::AckError;
use libfuzzer_sys::fuzz_target;
use message::{GroupMetadata, Session, SinkMessage, SourceMessage};
use position::{Parts, Position, Shape, Split, StreamKey};
use reader::LineReader;
use tracker::AckTracker;

fuzz_target!(|data: &[u8]| {
    let Some((choice, input)) = data.split_first() else {
        return;
    };
    let shape = [Shape::Tsv, Shape::Json][usize::from(choice % 2)];
    for line in input.split_inclusive(|&byte| byte == b'\n') {
        hear(line);
        if let Ok(split) = Split::of(line, shape) {
            check_split(line, &split, shape);
        }
    }
    read(input, shape);
});

/// What a sink does with lines of a session: they come out in their order, and no more is acknowledged than was received.
fn read(input: &[u8], shape: Shape) {
    let mut reader = LineReader::new(shape);
    reader.begin(Session {
        name: "s".to_owned(),
        metadata: GroupMetadata::default(),
        topic_partitions: vec![("t".to_owned(), 0), ("t".to_owned(), 1)],
        ..Session::default()
    });
    let mut tracker = AckTracker::default();
    let mut last: HashMap<usize, i64> = HashMap::new();
    let (mut used, mut number) = (0, 0);
    while let Ok(Some(line)) = reader.next(input, &mut used, |_| true) {
        let parts = Parts::of(line.position).expect("it was read");
        assert!(parts.number == number + 1 || line.is_copy && parts.number == number);
        number = parts.number;
        let tag = tracker.receive(line.stream, line.offset);
        last.insert(line.stream, line.offset);
        // Every fourth line stays on its way.
        if number % 4 != 0 {
            tracker.ack(tag);
        }
        acknowledge(tracker.durable(false), &last);
    }
    assert!(used <= input.len());
    tracker.ack_all();
    acknowledge(tracker.durable(true), &last);
    assert_eq!(tracker.open(), 0, "all is durable");
}

/// A message that is understood is said again in the same words.
fn hear(line: &[u8]) {
    if let Some(word) = SourceMessage::parse(line) {
        let said = word.value().to_string();
        assert_eq!(SourceMessage::parse(said.as_bytes()), Some(word));
    }
    if let Some(word) = SinkMessage::parse(line) {
        let said = word.value().to_string();
        assert_eq!(SinkMessage::parse(said.as_bytes()), Some(word));
    }
}

/// Nothing of a record is lost or changed when its position is taken off.
fn check_split(line: &[u8], split: &Split, shape: Shape) {
    let position = &line[split.position.clone()];
    match (shape, split.record(line)) {
        (Shape::Tsv, None) => assert_eq!([position, b"\n"].concat(), line),
        (Shape::Tsv, Some(record)) => {
            assert_eq!([position, b"\t", record.as_ref()].concat(), line);
        }
        (Shape::Json, None) => {}
        (Shape::Json, Some(record)) => {
            type Object = serde_json::Map<String, serde_json::Value>;
            let (Ok(mut before), Ok(after)) = (
                serde_json::from_slice::<Object>(line),
                serde_json::from_slice::<Object>(&record),
            ) else {
                return;
            };
            before.shift_remove("position");
            // A member that is there twice is the reader's affair.
            if line.windows(10).filter(|at| at == b"\"position\"").count() == 1 {
                assert_eq!(before, after);
            }
        }
    }
}

fn acknowledge(durable: Vec<(usize, i64)>, last: &HashMap<usize, i64>) {
    for (stream, offset) in durable {
        let received = last.get(&stream);
        assert!(received.is_some_and(|&last| offset <= last), "it was received");
    }
}
