//! Damaged batches, and responses that are cut or too large.

use super::*;

#[test]
fn a_batch_larger_than_the_limit_is_requested_whole() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let plan = test.one_plan();
    let mut cut = data(0, 0, 500);
    let whole = cut.records.len() as i32;
    cut.records.truncate(1000);
    test.respond(&plan, &[cut]);
    let plan = test.one_plan();
    assert_eq!(
        (offsets(&plan), plan.partitions[0].max_bytes),
        (vec![(0, 0)], whole)
    );
}

/// Batches with offsets 0, 1 and 2, and 3; the second is changed from this byte on.
fn damaged(at: usize, bytes: &[u8]) -> PartitionBuilder {
    let builders = [(0, &["a"][..]), (1, &["b", "c"]), (3, &["d"])];
    let batches = builders.map(|(base, values)| BatchBuilder::of(base, values).bytes());
    let mut records = batches.concat();
    let second = batches[0].len() + at;
    records[second..second + bytes.len()].copy_from_slice(bytes);
    PartitionBuilder {
        high_watermark: 1000,
        last_stable_offset: 1000,
        records,
        ..PartitionBuilder::default()
    }
}

#[test]
fn no_field_of_a_damaged_batch_is_trusted_and_the_next_batch_is_read() {
    let changes: [(usize, &[u8]); 6] = [
        // The base offset, far ahead in the log, and behind its end.
        (0, &500i64.to_be_bytes()),
        (0, &1_930_000i64.to_be_bytes()),
        (0, &[0x7f]),
        // The last offset delta.
        (23, &65537i32.to_be_bytes()),
        (23, &[0x7f]),
        // A byte of a record.
        (70, &[0xff]),
    ];
    for (at, bytes) in changes {
        let mut test = FetcherTest::of(settings(), &[(1, 0)]);
        let plan = test.one_plan();
        let mut completed = test.respond(&plan, &[damaged(at, bytes)]);
        let first = completed[0].batches.bytes.clone();
        let damaged = completed[0].take_damaged().expect("a damaged batch");
        assert_eq!((damaged.offset, damaged.can_skip), (1, true), "byte {at}");
        assert_eq!((completed[0].from, completed[0].batches.next), (3, 4));
        assert!(first.end <= completed[0].batches.bytes.start);
        assert!(completed[0].take_damaged().is_none());
        assert_eq!(offsets(&test.one_plan()), [(0, 4)]);
    }
}

#[test]
fn a_damaged_batch_at_the_end_of_a_response_is_fetched_again_with_the_next_batch() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let plan = test.one_plan();
    let mut part = data(0, 0, 2);
    part.records[26] = 7;
    assert!(test.respond(&plan, std::slice::from_ref(&part)).is_empty());
    let again = test.one_plan();
    assert_eq!(offsets(&again), [(0, 0)]);
    assert!(again.partitions[0].max_bytes > plan.partitions[0].max_bytes);
    // Nothing follows: the next offset is unknown.
    let mut completed = test.respond(&again, &[part]);
    let damaged = completed[0].take_damaged().expect("a damaged batch");
    assert_eq!((damaged.offset, damaged.can_skip), (0, false));
    // The header of a batch with a damaged record is consistent.
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let plan = test.one_plan();
    let mut part = data(0, 0, 2);
    *part.records.last_mut().expect("records") ^= 1;
    let mut completed = test.respond(&plan, &[part]);
    let damaged = completed[0].take_damaged().expect("a damaged batch");
    assert_eq!((damaged.offset, damaged.can_skip), (0, true));
    assert_eq!(offsets(&test.one_plan()), [(0, 2)]);
}

#[test]
fn without_checksums_a_damaged_record_is_not_noticed() {
    let unchecked = FetchSettings {
        checks_crcs: false,
        ..settings()
    };
    let mut test = FetcherTest::of(unchecked, &[(1, 0)]);
    let plan = test.one_plan();
    let mut completed = test.respond(&plan, &[damaged(70, &[0xff])]);
    assert!(completed[0].take_damaged().is_none());
}

#[test]
fn a_cut_response_is_reported_once_and_requested_again_later() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let cut = KafkaError::new(code::BAD_MESSAGE, "cut");
    for round in 0..3 {
        let plan = test.one_plan();
        test.fetcher.handle_failure(1, plan.request, &cut, test.now);
        assert_eq!(test.reported(), if round == 0 { "cut" } else { "" });
        assert!(test.plans().is_empty(), "not at once");
        test.later(1000);
    }
    let plan = test.one_plan();
    test.respond(&plan, &[data(0, 0, 1)]);
    let plan = test.one_plan();
    test.fetcher.handle_failure(1, plan.request, &cut, test.now);
    assert_eq!(test.reported(), "cut");
}

#[test]
fn a_too_large_response_is_reported_with_its_partition_and_offset() {
    let mut test = FetcherTest::of(settings(), &[(1, 0), (1, 0)]);
    let large = KafkaError::new(code::TOO_LARGE_ANSWER, "large");
    let plan = test.one_plan();
    assert_eq!(plan.partitions.len(), 2);
    test.fetcher
        .handle_failure(1, plan.request, &large, test.now);
    assert_eq!(test.reported(), "");
    test.later(1000);
    let plan = test.one_plan();
    assert_eq!(
        (plan.partitions.len(), plan.max_bytes),
        (1, plan.partitions[0].max_bytes)
    );
    test.fetcher
        .handle_failure(1, plan.request, &large, test.now);
    let reported = test.reported();
    assert!(
        reported.starts_with("t [0]: the record batch at offset 0"),
        "{reported}"
    );
    assert!(reported.contains("receive.message.max.bytes"), "{reported}");
    test.later(1000);
    assert_eq!(offsets(&test.one_plan()), [(1, 0)]);
}
