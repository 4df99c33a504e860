//! No bytes of a record batch make the reader panic, hang, or take memory that they don't fill.
//!
//! The checksum is computed and not insisted on, so that the fuzzer gets past
//! it. Run it from the root of the repository:
//! `.ci/fuzz parse_batches`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the library's own"
)]

// The pure modules by their path, so that fuzzing needs no librdkafka.
#[path = "../../../tools/kafka/batch/mod.rs"]
mod batch;
#[path = "../../../tools/record/mod.rs"]
mod record;
#[path = "../../../tools/units/mod.rs"]
mod units;

use std::ops::ControlFlow;

use batch::{Batches, Unpacker};
use libfuzzer_sys::fuzz_target;

/// Small, so that a batch that decompresses to more is quickly found.
const LIMIT_BYTES: usize = 4 * 1024 * 1024;

fuzz_target!(|data: &[u8]| {
    let mut unpacker = Unpacker::new(LIMIT_BYTES);
    let mut batches = Batches::new(data);
    for batch in batches.by_ref().flatten() {
        let _ = batch.check();
        let _ = batch.marker();
        let mut bytes = 0;
        let _ = unpacker.records(&batch, |record| {
            assert!((batch.base_offset..batch.next_offset()).contains(&record.offset));
            bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            let _ = record.headers.read(&mut Vec::new());
            ControlFlow::Continue(())
        });
        assert!(
            bytes <= LIMIT_BYTES.max(data.len()),
            "no more bytes than may be"
        );
        let mut handed_out = 0;
        let _ = unpacker.records(&batch, |_| {
            handed_out += 1;
            ControlFlow::Break(())
        });
        assert!(handed_out <= 1, "nothing comes after a stop");
    }
    assert!(batches.rest().len() <= data.len());
});
