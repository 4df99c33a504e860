//! Partitions that come and go while others are read.

use super::super::super::fetcher::StartPosition;
use super::*;

/// A member's fetcher that reads these partitions of `t` from offset 0, up to `end`.
fn member(partitions: &[i32], end: Option<i64>) -> FetcherTest {
    let now = Instant::now();
    let earliest = FetchSettings {
        reset: ResetPolicy::Earliest,
        start: ResetPolicy::Earliest,
        ..settings()
    };
    let mut fetcher = Fetcher::new(earliest, false, now);
    for &id in partitions {
        fetcher.assign("t", id, StartPosition::At(0), end);
    }
    let mut test = FetcherTest { fetcher, now };
    test.update_metadata(&[(1, 0), (1, 0), (2, 0)]);
    test
}

#[test]
fn without_partitions_nothing_is_requested() {
    let mut test = member(&[], None);
    test.later(10_000);
    assert!(!test.fetcher.wants_metadata(test.now));
    assert!(test.plans().is_empty());
    assert!(test.fetcher.is_done());
}

#[test]
fn a_partition_that_is_assigned_is_read_as_soon_as_its_leader_is_known() {
    let mut test = member(&[0], None);
    let first = test.one_plan();
    assert!(!test.fetcher.wants_metadata(test.now));
    test.fetcher.assign("t", 2, StartPosition::At(7), None);
    assert!(test.fetcher.wants_metadata(test.now));
    assert_eq!(test.fetcher.topic_names(), ["t"]);
    test.update_metadata(&[(1, 0), (1, 0), (2, 0)]);
    let plan = test.one_plan();
    assert_eq!((plan.broker, offsets(&plan)), (2, vec![(2, 7)]));
    // The other one is not disturbed.
    assert_eq!(test.respond(&first, &[data(0, 0, 5)]).len(), 1);
    assert_eq!(offsets(&test.one_plan()), [(0, 5)]);
}

#[test]
fn what_arrives_for_a_released_partition_is_dropped() {
    let mut test = member(&[0, 1], None);
    let plan = test.one_plan();
    test.fetcher.release("t", 0);
    let completed = test.respond(&plan, &[data(0, 0, 5), data(1, 0, 3)]);
    let partitions: Vec<usize> = completed.iter().map(|fetch| fetch.partition).collect();
    assert_eq!(partitions, [1]);
    assert_eq!(offsets(&test.one_plan()), [(1, 3)]);
    let assigned: Vec<(String, i32)> = test.fetcher.assigned().collect();
    assert_eq!(assigned, [("t".to_owned(), 1)]);
}

#[test]
fn a_partition_that_comes_back_is_read_from_its_new_position() {
    let mut test = member(&[0, 1], None);
    let old = test.one_plan();
    test.fetcher.release("t", 0);
    test.fetcher.assign("t", 0, StartPosition::At(40), None);
    test.update_metadata(&[(1, 0), (1, 0), (2, 0)]);
    // The late response is of the former assignment.
    let completed = test.respond(&old, &[data(0, 0, 5), data(1, 0, 3)]);
    assert_eq!(completed.len(), 1);
    let mut requested = offsets(&test.one_plan());
    requested.sort_unstable();
    assert_eq!(requested, [(0, 40), (1, 3)]);
    assert_eq!(test.fetcher.partitions.len(), 2, "its memory is reused");
}

#[test]
fn a_paused_partition_is_not_read_and_continues_at_the_offset_that_was_given() {
    let mut test = member(&[0, 1], Some(9));
    let plan = test.one_plan();
    test.fetcher.pause("t", 0, 2);
    assert!(!test.fetcher.is_paused());
    // What arrives late for it is dropped.
    let completed = test.respond(&plan, &[data(0, 0, 5), data(1, 0, 3)]);
    assert_eq!(completed.len(), 1);
    let plan = test.one_plan();
    assert_eq!(offsets(&plan), [(1, 3)]);
    test.fetcher.pause("t", 1, 3);
    assert!(test.fetcher.is_paused() && !test.fetcher.is_done());
    test.fetcher.unpause("t", 0);
    assert!(!test.fetcher.is_paused());
    test.respond(&plan, &[]);
    assert_eq!(offsets(&test.one_plan()), [(0, 2)]);
    // Paused behind its last record it is at its end all the same.
    let index = test.fetcher.pause("t", 0, 9);
    assert_eq!(test.fetcher.next_at_bound(), index.map(|index| (index, 9)));
}

#[test]
fn an_error_of_a_released_partition_is_not_reported() {
    let mut test = member(&[0, 1], None);
    let plan = test.one_plan();
    let forbidden = failed(0, code::TOPIC_AUTHORIZATION_FAILED);
    test.respond(&plan, &[forbidden, data(1, 0, 3)]);
    test.fetcher.release("t", 0);
    assert_eq!(test.reported(), "");
}

#[test]
fn a_partition_at_its_bound_is_reported_once_and_then_done() {
    let mut test = member(&[], None);
    test.fetcher.assign("t", 0, StartPosition::At(9), Some(9));
    // The group has come further than the bound.
    test.fetcher.assign("t", 1, StartPosition::At(12), Some(9));
    // Nothing was ever there.
    test.fetcher.assign("t", 2, StartPosition::Reset, Some(0));
    test.update_metadata(&[(1, 0), (1, 0), (1, 0)]);
    assert!(test.plans().is_empty());
    assert_eq!(test.fetcher.next_at_bound(), Some((0, 9)));
    let log = LogOffsets {
        log_start: 0,
        end: 20,
        high_watermark: 20,
    };
    test.look_up(1, &[Ok(log)]);
    assert!(!test.fetcher.is_done());
    assert_eq!(test.fetcher.next_at_bound(), Some((1, 12)));
    assert_eq!(test.fetcher.next_at_bound(), None);
    for index in [0, 1] {
        test.fetcher.finish(index);
    }
    assert!(test.fetcher.is_done());
}

#[test]
fn a_topic_that_was_recreated_while_nothing_of_it_was_read_is_read() {
    let with_id = |id: u128| {
        let mut metadata = metadata(&[(1, 0)]);
        metadata.topics[0].id = uuid::Uuid::from_u128(id);
        metadata
    };
    let mut test = member(&[0], None);
    test.fetcher.update_metadata(&with_id(1), test.now);
    test.fetcher.release("t", 0);
    assert!(test.fetcher.topic_names().is_empty());
    test.fetcher.assign("t", 0, StartPosition::Beginning, None);
    test.fetcher.update_metadata(&with_id(2), test.now);
    assert_eq!(test.reported(), "");
    // Recreated while it is read.
    test.fetcher.update_metadata(&with_id(3), test.now);
    assert!(test.reported().contains("made again"));
}
