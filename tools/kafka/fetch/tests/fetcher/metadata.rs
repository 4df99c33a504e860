//! Leaders, replicas, recreated topics, new partitions.

use super::*;

#[test]
fn a_leader_that_moved_is_found_and_nothing_is_lost() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let plan = test.one_plan();
    test.respond(&plan, &[data(0, 0, 10)]);
    let plan = test.one_plan();
    test.respond(&plan, &[failed(0, code::NOT_LEADER)]);
    assert!(test.plans().is_empty(), "a short backoff");
    test.later(100);
    assert!(test.fetcher.wants_metadata(test.now));
    test.update_metadata(&[(2, 1)]);
    let plan = test.one_plan();
    assert_eq!((plan.broker, offsets(&plan)), (2, vec![(0, 10)]));
    assert_eq!(plan.partitions[0].leader_epoch, 1);
    // An outdated broker.
    test.update_metadata(&[(1, 0)]);
    test.respond(&plan, &[failed(0, code::FENCED_LEADER_EPOCH)]);
    test.later(2000);
    assert_eq!(test.one_plan().broker, 2);
}

#[test]
fn a_late_response_of_an_old_leader_is_ignored() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let old = test.one_plan();
    test.update_metadata(&[(2, 1)]);
    let new = test.one_plan();
    assert_eq!(new.broker, 2);
    let completed = test.respond(&new, &[data(0, 0, 3)]);
    assert_eq!(completed.len(), 1);
    let plan = test.one_plan();
    assert!(test.respond(&old, &[data(0, 0, 7)]).is_empty());
    let completed = test.respond(&plan, &[data(0, 3, 1)]);
    assert_eq!(completed[0].batches.next, 4);
}

#[test]
fn a_broker_that_hangs_causes_a_metadata_refresh() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    test.later(1000);
    test.one_plan();
    test.later(2000);
    assert!(!test.fetcher.wants_metadata(test.now));
    test.later(2000);
    assert!(test.fetcher.wants_metadata(test.now));
    test.update_metadata(&[(1, 0)]);
    assert!(!test.fetcher.wants_metadata(test.now), "not all the time");
}

#[test]
fn a_preferred_replica_is_used_until_it_fails_or_its_lease_ends() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let plan = test.one_plan();
    let recommends = PartitionBuilder {
        preferred_replica: Some(3),
        high_watermark: 9,
        ..PartitionBuilder::default()
    };
    test.respond(&plan, std::slice::from_ref(&recommends));
    let plan = test.one_plan();
    assert_eq!(plan.broker, 3);
    // Only the leader knows whether an offset is out of range.
    test.respond(&plan, &[failed(0, code::OFFSET_OUT_OF_RANGE)]);
    let plan = test.one_plan();
    assert_eq!((plan.broker, offsets(&plan)), (1, vec![(0, 0)]));
    test.respond(&plan, &[recommends]);
    let plan = test.one_plan();
    test.respond(&plan, &[data(0, 0, 1)]);
    test.later(300_000);
    assert_eq!(test.one_plan().broker, 1);
}

#[test]
fn a_topic_is_gone_if_it_stays_unknown_and_not_if_it_comes_back() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let mut gone = metadata(&[]);
    gone.topics[0].error = Some(KafkaError::of(code::UNKNOWN_TOPIC_OR_PARTITION));
    test.fetcher.update_metadata(&gone, test.now);
    test.later(4000);
    test.update_metadata(&[(1, 0)]);
    test.later(4000);
    test.fetcher.update_metadata(&gone, test.now);
    assert_eq!(test.reported(), "");
    assert!(test.fetcher.next_wake(test.now).is_some());
    test.later(5000);
    test.fetcher.update_metadata(&gone, test.now);
    assert!(test.reported().contains("topic t: the topic was deleted"));
    assert!(test.fetcher.is_done());
}

#[test]
fn a_recreated_topic_is_another_topic() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let mut with_id = metadata(&[(1, 0)]);
    with_id.topics[0].id = uuid::Uuid::from_u128(1);
    test.fetcher.update_metadata(&with_id, test.now);
    assert_eq!(test.reported(), "");
    with_id.topics[0].id = uuid::Uuid::from_u128(2);
    test.fetcher.update_metadata(&with_id, test.now);
    assert!(test.reported().contains("made again"));
}

#[test]
fn a_new_partition_is_read_from_its_log_start() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    test.one_plan();
    test.update_metadata(&[(1, 0), (2, 0)]);
    let log = LogOffsets {
        log_start: 0,
        end: 3,
        high_watermark: 3,
    };
    test.look_up(2, &[Ok(log)]);
    let plan = test.one_plan();
    assert_eq!((plan.broker, offsets(&plan)), (2, vec![(1, 0)]));
}

#[test]
fn after_a_replica_fails_the_leader_is_read_and_its_preferred_replica_ignored() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let plan = test.one_plan();
    let recommends = PartitionBuilder {
        preferred_replica: Some(3),
        high_watermark: 9,
        ..PartitionBuilder::default()
    };
    test.respond(&plan, std::slice::from_ref(&recommends));
    let plan = test.one_plan();
    assert_eq!((plan.broker, plan.is_replica), (3, true));
    let gone = KafkaError::new(code::TRANSPORT, "gone");
    test.fetcher
        .handle_failure(3, plan.request, &gone, test.now);
    let plan = test.one_plan();
    assert_eq!(
        (plan.broker, plan.wants_leader, plan.is_replica),
        (1, true, false)
    );
    // If the leader recommends it all the same, it is ignored.
    test.respond(&plan, &[recommends]);
    assert_eq!(test.one_plan().broker, 1);
}

#[test]
fn without_topic_ids_epochs_that_start_again_show_a_recreated_topic() {
    let mut test = FetcherTest::of(settings(), &[(1, 7)]);
    test.update_metadata(&[(1, 2)]);
    test.later(3000);
    test.update_metadata(&[(1, 2)]);
    assert_eq!(test.reported(), "");
    test.later(3000);
    test.update_metadata(&[(1, 2)]);
    assert!(test.reported().contains("made again"));
}
