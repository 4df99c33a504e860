//! Which records of a response are delivered.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::super::delivery::{Delivery, DeliveryEnd, DeliveryRules};
use super::super::fetcher::{BatchRange, CompletedFetch, DamagedBatch};
use super::super::{RecordVisitor, ValuesSource};
use crate::kafka::batch::build::BatchBuilder;
use crate::kafka::batch::{AbortedTransactions, BatchError, Codec};
use crate::record::Record;

const RULES: DeliveryRules<'_> = DeliveryRules {
    topic: "t",
    partition: 0,
    broker: 1,
    end: i64::MAX,
    stop_time_ms: i64::MAX,
    wants_headers: true,
};

fn fetch(body: &[u8], from: i64) -> CompletedFetch {
    CompletedFetch {
        partition: 0,
        from,
        batches: BatchRange::intact(0..body.len(), 0),
        remaining: VecDeque::new(),
        aborted: AbortedTransactions::default(),
        is_eof: false,
    }
}

/// Collects at most `most` values, from records or by [`RecordVisitor::values`].
struct Keeper {
    values: Vec<String>,
    /// `None` where the source of values does not know it.
    offsets: Vec<Option<i64>>,
    most: usize,
    takes_values: bool,
}

impl Keeper {
    fn keep(&mut self, value: Option<&[u8]>) {
        let value = value.unwrap_or(b"NULL").to_vec();
        self.values.push(String::from_utf8(value).expect("text"));
    }
}

impl RecordVisitor for Keeper {
    fn values<'v>(
        &mut self,
        source: ValuesSource<'_>,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
    ) -> usize {
        let before = self.values.len();
        while self.takes_values && self.values.len() + 1 < self.most {
            let Some(value) = values.next() else {
                break;
            };
            let index = (self.values.len() - before) as i64;
            self.offsets
                .push(source.first_offset.map(|first| first + index));
            self.keep(value);
        }
        self.values.len() - before
    }

    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        self.offsets.push(record.offset);
        self.keep(record.value);
        if self.values.len() == self.most {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn end(&mut self, _topic: &str, _partition: i32, _offset: i64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// The delivered values, at most `most`, and how it ended; both ways of collecting agree.
fn deliver(
    body: &[u8],
    fetch: &mut CompletedFetch,
    rules: &DeliveryRules<'_>,
    most: usize,
) -> (Vec<String>, Result<DeliveryEnd, DamagedBatch>) {
    let [(by_record, offsets), (by_value, known)] = [false, true].map(|takes_values| {
        let mut fetch = CompletedFetch {
            batches: BatchRange::intact(fetch.batches.bytes.clone(), fetch.batches.next),
            remaining: VecDeque::new(),
            aborted: fetch.aborted.clone(),
            ..*fetch
        };
        let mut delivery = Delivery::new(1 << 20);
        let mut keeper = Keeper {
            values: Vec::new(),
            offsets: Vec::new(),
            most,
            takes_values,
        };
        let end = delivery.deliver(body, &mut fetch, rules, &mut keeper);
        assert_eq!(delivery.records, keeper.values.len());
        ((keeper.values, end, fetch), keeper.offsets)
    });
    assert_eq!(known.len(), offsets.len());
    let known = known.iter().zip(&offsets);
    assert!(
        known
            .filter(|(known, _)| known.is_some())
            .all(|(known, offset)| known == offset)
    );
    assert_eq!(format!("{by_value:?}"), format!("{by_record:?}"));
    let (values, end, rest) = by_value;
    *fetch = rest;
    (values, end)
}

fn batches(builders: &[BatchBuilder]) -> Vec<u8> {
    builders.iter().flat_map(BatchBuilder::bytes).collect()
}

#[test]
fn records_before_the_position_are_skipped() {
    let body = batches(&[
        BatchBuilder::of(10, &["a", "b", "c"]),
        BatchBuilder::of(13, &["d"]),
    ]);
    let (values, delivered) = deliver(&body, &mut fetch(&body, 12), &RULES, 99);
    assert_eq!(values, ["c", "d"]);
    assert!(matches!(delivered, Ok(DeliveryEnd::Complete)));
}

/// Offsets with gaps, a value with a long length, and an offset that goes back.
#[test]
fn unusual_records_are_delivered_in_order_between_usual_ones() {
    let long = "x".repeat(9000);
    let mut builder = BatchBuilder::of(5, &["a", "b", &long, "c", "again", "d"]);
    for (record, delta) in builder.records.iter_mut().zip([0, 7, 8, 200, 200, 201]) {
        record.offset_delta = delta;
    }
    builder.records[1].headers = vec![(b"name".to_vec(), None)];
    builder.records[3].value = None;
    let body = builder.bytes();
    let mut rest = fetch(&body, 5);
    let (values, delivered) = deliver(&body, &mut rest, &RULES, 99);
    assert_eq!(values, ["a", "b", &long, "NULL", "d"]);
    assert!(matches!(delivered, Ok(DeliveryEnd::Complete)));
    assert_eq!(rest.from, 5 + 202);
}

#[test]
fn a_bound_within_or_between_batches_ends_the_partition() {
    let body = batches(&[
        BatchBuilder::of(0, &["a", "b"]),
        BatchBuilder::of(2, &["c", "d"]),
    ]);
    for (end, expected) in [(1, "a"), (2, "a b"), (3, "a b c")] {
        let rules = DeliveryRules { end, ..RULES };
        let (values, delivered) = deliver(&body, &mut fetch(&body, 0), &rules, 99);
        assert_eq!(values.join(" "), expected);
        assert!(matches!(delivered, Ok(DeliveryEnd::ReachedBound(offset)) if offset == end));
    }
    // Only markers or compacted offsets may follow the last record.
    let mut last = fetch(&body, 0);
    last.batches.next = 6;
    let rules = DeliveryRules { end: 6, ..RULES };
    let (values, delivered) = deliver(&body, &mut last, &rules, 99);
    assert_eq!(values.len(), 4);
    assert!(matches!(delivered, Ok(DeliveryEnd::ReachedBound(6))));
}

#[test]
fn a_stop_time_ends_the_partition_before_the_first_later_record() {
    let mut builder = BatchBuilder::of(0, &["a", "b", "c"]);
    for (record, delta) in builder.records.iter_mut().zip([0, 50, 10]) {
        record.timestamp_delta_ms = delta;
    }
    let body = builder.bytes();
    let rules = DeliveryRules {
        stop_time_ms: 1040,
        ..RULES
    };
    let (values, delivered) = deliver(&body, &mut fetch(&body, 0), &rules, 99);
    assert_eq!(values, ["a"]);
    assert!(matches!(delivered, Ok(DeliveryEnd::ReachedBound(1))));
}

#[test]
fn records_are_neither_lost_nor_duplicated_when_the_visitor_stops() {
    for codec in [Codec::None, Codec::Zstd] {
        let body = batches(&[
            BatchBuilder::of(0, &["a", "b", "c"]).compressed(codec),
            BatchBuilder::of(3, &["d", "e"]).compressed(codec),
        ]);
        let mut rest = fetch(&body, 0);
        let mut all = Vec::new();
        for _ in 0..5 {
            let (values, delivered) = deliver(&body, &mut rest, &RULES, 1);
            assert!(matches!(delivered, Ok(DeliveryEnd::Stopped)));
            all.extend(values);
        }
        assert_eq!(all, ["a", "b", "c", "d", "e"]);
        let (values, delivered) = deliver(&body, &mut rest, &RULES, 1);
        assert!(values.is_empty() && matches!(delivered, Ok(DeliveryEnd::Complete)));
    }
}

/// Producer 1 aborts, begins again and commits; producer 2 commits in between; markers at 3, 6 and 7.
fn transactions() -> Vec<u8> {
    batches(&[
        BatchBuilder::of(0, &["aborted"]).transactional(1),
        BatchBuilder::of(1, &["kept"]).transactional(2),
        BatchBuilder::of(2, &["aborted too"]).transactional(1),
        BatchBuilder::marker(3, 1, false),
        BatchBuilder::of(4, &["of nobody"]),
        BatchBuilder::of(5, &["kept, too"]).transactional(1),
        BatchBuilder::marker(6, 1, true),
        BatchBuilder::marker(7, 2, true),
    ])
}

#[test]
fn aborted_records_and_markers_are_not_delivered() {
    let body = transactions();
    let mut committed = fetch(&body, 0);
    committed.aborted = AbortedTransactions::new(vec![(1, 0)]);
    let (values, _) = deliver(&body, &mut committed, &RULES, 99);
    assert_eq!(values, ["kept", "of nobody", "kept, too"]);
    let (values, _) = deliver(&body, &mut fetch(&body, 0), &RULES, 99);
    assert_eq!(
        values.join("|"),
        "aborted|kept|aborted too|of nobody|kept, too"
    );
}

#[test]
fn delivery_may_stop_within_an_aborted_transaction() {
    let body = transactions();
    let mut rest = fetch(&body, 0);
    rest.aborted = AbortedTransactions::new(vec![(1, 0)]);
    let mut all = Vec::new();
    for _ in 0..3 {
        all.extend(deliver(&body, &mut rest, &RULES, 1).0);
    }
    assert_eq!(all, ["kept", "of nobody", "kept, too"]);
}

#[test]
fn an_old_format_ends_the_partition() {
    let mut body = batches(&[BatchBuilder::of(0, &["a"]), BatchBuilder::of(1, &["b"])]);
    let second = body.len() / 2;
    body[second + 16] = 1;
    let (values, delivered) = deliver(&body, &mut fetch(&body, 0), &RULES, 99);
    assert_eq!(values, ["a"]);
    let bad = delivered.expect_err("message format v1");
    assert!(matches!(bad.error, BatchError::OldFormat(1)));
    assert_eq!((bad.offset, bad.can_skip), (1, false));
}
