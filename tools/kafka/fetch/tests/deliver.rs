//! Which records of an answer are handed out, and which are not.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::super::Taker;
use super::super::deliver::{Bad, Deliverer, Handed, Rules};
use super::super::machine::{Piece, Stretch};
use crate::kafka::batch::build::BatchBuilder;
use crate::kafka::batch::{BatchError, Codec};
use crate::record::Record;

const RULES: Rules<'_> = Rules {
    topic: "t",
    partition: 0,
    broker: 1,
    end: i64::MAX,
    stop_time_ms: i64::MAX,
    is_committed_only: true,
    wants_headers: true,
};

fn piece(body: &[u8], from: i64) -> Piece {
    Piece {
        partition: 0,
        from,
        stretch: Stretch::sound(0..body.len(), 0),
        later: VecDeque::new(),
        aborted: Vec::new(),
        is_end: false,
    }
}

/// Keeps values, `most` of them, one by one or as many as it can in passing.
struct Keeper {
    values: Vec<String>,
    most: usize,
    takes_values: bool,
}

impl Keeper {
    fn keep(&mut self, value: Option<&[u8]>) {
        let value = value.unwrap_or(b"NULL").to_vec();
        self.values.push(String::from_utf8(value).expect("text"));
    }
}

impl Taker for Keeper {
    fn values<'v>(
        &mut self,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
    ) -> usize {
        let before = self.values.len();
        while self.takes_values && self.values.len() + 1 < self.most {
            let Some(value) = values.next() else {
                break;
            };
            self.keep(value);
        }
        self.values.len() - before
    }

    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
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

/// The values handed out, at most `most` of them, and how it ended; in passing it is the same.
fn hand_out(
    body: &[u8],
    piece: &mut Piece,
    rules: &Rules<'_>,
    most: usize,
) -> (Vec<String>, Result<Handed, Bad>) {
    let [one_by_one, in_passing] = [false, true].map(|takes_values| {
        let mut piece = Piece {
            stretch: Stretch::sound(piece.stretch.records.clone(), piece.stretch.next),
            later: VecDeque::new(),
            aborted: piece.aborted.clone(),
            ..*piece
        };
        let mut deliverer = Deliverer::new(1 << 20);
        let mut keeper = Keeper {
            values: Vec::new(),
            most,
            takes_values,
        };
        let handed = deliverer.piece(body, &mut piece, rules, &mut keeper);
        assert_eq!(deliverer.records, keeper.values.len());
        (keeper.values, handed, piece)
    });
    assert_eq!(format!("{in_passing:?}"), format!("{one_by_one:?}"));
    let (values, handed, rest) = in_passing;
    *piece = rest;
    (values, handed)
}

fn batches(builders: &[BatchBuilder]) -> Vec<u8> {
    builders.iter().flat_map(BatchBuilder::bytes).collect()
}

#[test]
fn records_before_the_position_are_passed_over() {
    let body = batches(&[
        BatchBuilder::of(10, &["a", "b", "c"]),
        BatchBuilder::of(13, &["d"]),
    ]);
    let (values, handed) = hand_out(&body, &mut piece(&body, 12), &RULES, 99);
    assert_eq!(values, ["c", "d"]);
    assert!(matches!(handed, Ok(Handed::All)));
}

/// Compaction leaves gaps, a long value takes a long number, and an offset may not go back.
#[test]
fn unusual_records_between_usual_ones_are_handed_out_in_their_place() {
    let long = "x".repeat(9000);
    let mut builder = BatchBuilder::of(5, &["a", "b", &long, "c", "again", "d"]);
    for (record, delta) in builder.records.iter_mut().zip([0, 7, 8, 200, 200, 201]) {
        record.offset_delta = delta;
    }
    builder.records[1].headers = vec![(b"name".to_vec(), None)];
    builder.records[3].value = None;
    let body = builder.bytes();
    let mut rest = piece(&body, 5);
    let (values, handed) = hand_out(&body, &mut rest, &RULES, 99);
    assert_eq!(values, ["a", "b", &long, "NULL", "d"]);
    assert!(matches!(handed, Ok(Handed::All)));
    assert_eq!(rest.from, 5 + 202);
}

#[test]
fn a_bound_within_or_between_batches_ends_the_partition() {
    let body = batches(&[
        BatchBuilder::of(0, &["a", "b"]),
        BatchBuilder::of(2, &["c", "d"]),
    ]);
    for (end, expected) in [(1, "a"), (2, "a b"), (3, "a b c")] {
        let rules = Rules { end, ..RULES };
        let (values, handed) = hand_out(&body, &mut piece(&body, 0), &rules, 99);
        assert_eq!(values.join(" "), expected);
        assert!(matches!(handed, Ok(Handed::Bound(offset)) if offset == end));
    }
    // Behind the last record there may be nothing but markers, or holes.
    let mut last = piece(&body, 0);
    last.stretch.next = 6;
    let rules = Rules { end: 6, ..RULES };
    let (values, handed) = hand_out(&body, &mut last, &rules, 99);
    assert_eq!(values.len(), 4);
    assert!(matches!(handed, Ok(Handed::Bound(6))));
}

#[test]
fn a_time_ends_the_partition_before_its_first_record_so_late() {
    let mut builder = BatchBuilder::of(0, &["a", "b", "c"]);
    for (record, delta) in builder.records.iter_mut().zip([0, 50, 10]) {
        record.timestamp_delta_ms = delta;
    }
    let body = builder.bytes();
    let rules = Rules {
        stop_time_ms: 1040,
        ..RULES
    };
    let (values, handed) = hand_out(&body, &mut piece(&body, 0), &rules, 99);
    assert_eq!(values, ["a"]);
    assert!(matches!(handed, Ok(Handed::Bound(1))));
}

#[test]
fn what_the_taker_stops_at_is_not_lost_and_not_doubled() {
    for codec in [Codec::None, Codec::Zstd] {
        let body = batches(&[
            BatchBuilder::of(0, &["a", "b", "c"]).compressed(codec),
            BatchBuilder::of(3, &["d", "e"]).compressed(codec),
        ]);
        let mut rest = piece(&body, 0);
        let mut all = Vec::new();
        for _ in 0..5 {
            let (values, handed) = hand_out(&body, &mut rest, &RULES, 1);
            assert!(matches!(handed, Ok(Handed::Stopped)));
            all.extend(values);
        }
        assert_eq!(all, ["a", "b", "c", "d", "e"]);
        let (values, handed) = hand_out(&body, &mut rest, &RULES, 1);
        assert!(values.is_empty() && matches!(handed, Ok(Handed::All)));
    }
}

/// Producer 1 aborts, begins again and commits; producer 2 commits what lies between; markers at 3, 6 and 7.
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
fn records_of_aborted_transactions_are_left_out_and_markers_always() {
    let body = transactions();
    let mut committed = piece(&body, 0);
    committed.aborted = vec![(1, 0)];
    let (values, _) = hand_out(&body, &mut committed, &RULES, 99);
    assert_eq!(values, ["kept", "of nobody", "kept, too"]);
    let rules = Rules {
        is_committed_only: false,
        ..RULES
    };
    let (values, _) = hand_out(&body, &mut piece(&body, 0), &rules, 99);
    assert_eq!(
        values.join("|"),
        "aborted|kept|aborted too|of nobody|kept, too"
    );
}

#[test]
fn reading_may_stop_within_an_aborted_transaction() {
    let body = transactions();
    let mut rest = piece(&body, 0);
    rest.aborted = vec![(1, 0)];
    let mut all = Vec::new();
    for _ in 0..3 {
        all.extend(hand_out(&body, &mut rest, &RULES, 1).0);
    }
    assert_eq!(all, ["kept", "of nobody", "kept, too"]);
}

#[test]
fn an_old_format_ends_the_partition() {
    let mut body = batches(&[BatchBuilder::of(0, &["a"]), BatchBuilder::of(1, &["b"])]);
    let second = body.len() / 2;
    body[second + 16] = 1;
    let (values, handed) = hand_out(&body, &mut piece(&body, 0), &RULES, 99);
    assert_eq!(values, ["a"]);
    let bad = handed.expect_err("message format v1");
    assert!(matches!(bad.error, BatchError::OldFormat(1)));
    assert_eq!((bad.offset, bad.is_passable), (1, false));
}
