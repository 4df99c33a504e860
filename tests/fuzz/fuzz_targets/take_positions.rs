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
#[path = "../../../tools/ack/receipts.rs"]
mod receipts;

use std::collections::HashMap;

use error::AckError;
use libfuzzer_sys::fuzz_target;
use message::{SinkWord, SourceWord};
use position::{Lane, Position, Shape, Split};
use receipts::Receipts;

fuzz_target!(|data: &[u8]| {
    let Some((choice, input)) = data.split_first() else {
        return;
    };
    let shape = [Shape::Tsv, Shape::Json][usize::from(choice % 2)];
    let mut receipts = Receipts::default();
    let mut last: HashMap<Lane, i64> = HashMap::new();
    for line in input.split_inclusive(|&byte| byte == b'\n') {
        hear(line);
        let Ok(split) = Split::of(line, shape) else {
            continue;
        };
        check_split(line, &split, shape);
        // What a sink lets through: lanes of its sessions.
        let Some(position) = Position::parse(split.position) else {
            continue;
        };
        assert_eq!(position.to_string().as_bytes(), split.position);
        if let Ok(receipt) = receipts.receive(split.position) {
            last.insert(position.lane, position.offset);
            // Every fourth line stays on its way.
            if line.len() % 4 != 0 {
                receipts.settle(receipt);
            }
        }
        acknowledge(receipts.durable(false), &last);
    }
    receipts.settle_all();
    acknowledge(receipts.durable(true), &last);
    assert_eq!(receipts.open(), 0, "all is durable");
});

/// A message that is understood is said again in the same words.
fn hear(line: &[u8]) {
    if let Some(word) = SourceWord::parse(line) {
        let said = word.value().to_string();
        assert_eq!(SourceWord::parse(said.as_bytes()), Some(word));
    }
    if let Some(word) = SinkWord::parse(line) {
        let said = word.value().to_string();
        assert_eq!(SinkWord::parse(said.as_bytes()), Some(word));
    }
}

/// Nothing of a record is lost or changed when its position is taken off.
fn check_split(line: &[u8], split: &Split<'_>, shape: Shape) {
    match (shape, &split.record) {
        (Shape::Tsv, None) => assert_eq!([split.position, b"\n"].concat(), line),
        (Shape::Tsv, Some(record)) => {
            assert_eq!([split.position, b"\t", record.as_ref()].concat(), line);
        }
        (Shape::Json, None) => {}
        (Shape::Json, Some(record)) => {
            type Object = serde_json::Map<String, serde_json::Value>;
            let (Ok(mut before), Ok(after)) = (
                serde_json::from_slice::<Object>(line),
                serde_json::from_slice::<Object>(record),
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

fn acknowledge(durable: Vec<Position>, last: &HashMap<Lane, i64>) {
    for Position { lane, offset } in durable {
        assert!(
            last.get(&lane).is_some_and(|&last| offset <= last),
            "it was received"
        );
    }
}
