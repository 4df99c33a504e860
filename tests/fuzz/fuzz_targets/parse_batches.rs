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
#[path = "../../../tools"]
mod library {
    pub mod record;
    pub mod text;
    pub mod units;
}
#[path = "../../../tools/kafka"]
mod kafka {
    pub mod batch;
}

use std::ops::ControlFlow;

use kafka::batch::{BatchDecoder, Batches, RawRecord, RawRecordVisitor, Values};
use library::{record, text, units};
use libfuzzer_sys::fuzz_target;

/// Small, so that a batch that decompresses to more is quickly found.
const LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// Takes as many values as it can without their records.
#[derive(Default)]
struct ValueCollector {
    values: Vec<Option<Vec<u8>>>,
}

impl RawRecordVisitor for ValueCollector {
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
    let mut decoder = BatchDecoder::new(LIMIT_BYTES);
    let mut batches = Batches::new(data);
    for batch in batches.by_ref().flatten() {
        let _ = batch.check();
        let _ = batch.marker();
        let mut bytes = 0;
        let mut values = Vec::new();
        let by_record = decoder.records(&batch, |record| {
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
        let mut by_value = ValueCollector::default();
        let visited = decoder.visit(&batch, &mut by_value);
        assert_eq!(format!("{visited:?}"), format!("{by_record:?}"));
        assert!(by_value.values == values, "both ways return the same values");
        let mut seen = 0;
        let _ = decoder.records(&batch, |_| {
            seen += 1;
            ControlFlow::Break(())
        });
        assert!(seen <= 1, "no record follows a stop");
    }
    assert!(batches.rest().len() <= data.len());
});
