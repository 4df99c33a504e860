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

use batch::{Batches, RawRecord, Take, Unpacker, Values};
use libfuzzer_sys::fuzz_target;

/// Small, so that a batch that decompresses to more is quickly found.
const LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// Takes as many values in passing as it can, and the others with their records.
#[derive(Default)]
struct InPassing {
    values: Vec<Option<Vec<u8>>>,
}

impl Take for InPassing {
    fn values(&mut self, values: &mut Values<'_, '_>) {
        for value in values.by_ref() {
            self.values.push(value.map(<[u8]>::to_vec));
        }
    }

    fn record(&mut self, record: RawRecord<'_>) -> ControlFlow<()> {
        self.values.push(record.value.map(<[u8]>::to_vec));
        ControlFlow::Continue(())
    }
}

fuzz_target!(|data: &[u8]| {
    let mut unpacker = Unpacker::new(LIMIT_BYTES);
    let mut batches = Batches::new(data);
    for batch in batches.by_ref().flatten() {
        let _ = batch.check();
        let _ = batch.marker();
        let mut bytes = 0;
        let mut values = Vec::new();
        let one_by_one = unpacker.records(&batch, |record| {
            assert!((batch.base_offset..batch.next_offset()).contains(&record.offset));
            bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            values.push(record.value.map(<[u8]>::to_vec));
            let _ = record.headers.read(&mut Vec::new());
            ControlFlow::Continue(())
        });
        assert!(
            bytes <= LIMIT_BYTES.max(data.len()),
            "no more bytes than may be"
        );
        let mut in_passing = InPassing::default();
        let passed = unpacker.hand_out(&batch, &mut in_passing);
        assert_eq!(format!("{passed:?}"), format!("{one_by_one:?}"));
        assert!(in_passing.values == values, "in passing it is the same");
        let mut handed_out = 0;
        let _ = unpacker.records(&batch, |_| {
            handed_out += 1;
            ControlFlow::Break(())
        });
        assert!(handed_out <= 1, "nothing comes after a stop");
    }
    assert!(batches.rest().len() <= data.len());
});
