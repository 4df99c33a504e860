//! Single cases.

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::protocol::{Decodable as _, StrBytes};

use super::*;
use crate::kafka::batch::Batches;
use crate::kafka::produce::request;

fn opaques(plan: &ProducePlan) -> Vec<Vec<u64>> {
    let batches = plan.batches.iter();
    batches
        .map(|planned| planned.batch.opaques.iter().collect())
        .collect()
}

#[test]
fn a_batch_is_sent_when_it_is_full_or_has_lingered() {
    let mut trial = Trial::new(settings(), 1);
    for _ in 0..12 {
        trial.append(Some(0), "v");
    }
    let plans = trial.accumulator.plan(trial.now, &mut |_| true);
    assert_eq!(opaques(&plans[0]), [(0..10).collect::<Vec<_>>()]);
    trial.answer(plans.into_iter().next().expect("one"), ok(1));
    assert!(trial.accumulator.plan(trial.now, &mut |_| true).is_empty());
    let linger_end = trial.now + Duration::from_millis(5);
    assert_eq!(trial.accumulator.next_wake(trial.now), Some(linger_end));
    trial.advance(5);
    let plans = trial.accumulator.plan(trial.now, &mut |_| true);
    assert_eq!(opaques(&plans[0]), [[10, 11]]);
}

fn ok(partitions: i32) -> ProduceResult {
    let row = |partition| PartitionResult {
        topic: "t".to_owned(),
        partition,
        ..PartitionResult::default()
    };
    ProduceResult {
        partitions: (0..partitions).map(row).collect(),
        throttle_ms: 0,
    }
}

#[test]
fn the_first_batch_of_a_partition_is_alone_and_five_follow() {
    let mut trial = Trial::new(settings(), 1);
    for _ in 0..100 {
        trial.append(Some(0), "v");
    }
    let mut plans = trial.plan();
    assert_eq!(
        plans.len(),
        1,
        "a broker does not see a gap before its first batch"
    );
    trial.answer(plans.remove(0), ok(1));
    assert_eq!(trial.plan().len(), 5);
}

#[test]
fn a_request_holds_the_batches_of_all_partitions_of_a_leader() {
    let mut trial = Trial::new(settings(), 4);
    for partition in 0..4 {
        trial.append(Some(partition), "v");
    }
    let plans = trial.plan();
    let leaders: Vec<(i32, usize)> = plans
        .iter()
        .map(|plan| (plan.broker, plan.batches.len()))
        .collect();
    assert_eq!(leaders, [(0, 2), (1, 2)]);
}

#[test]
fn a_request_is_encoded_as_its_schema_says() {
    let mut trial = Trial::new(settings(), 3);
    for partition in [0, 2] {
        trial.append(Some(partition), "v");
    }
    let mut plan = trial.plan().remove(0);
    let transactional = ProduceSettings {
        transactional_id: Some("id".to_owned()),
        ..settings()
    };
    for (settings, version, id) in [(settings(), 3, None), (transactional, 8, Some("id"))] {
        let names = [StrBytes::from_static_str("t")];
        let parts = request::encode(&mut plan, &settings, &names).expect("nothing is compressed");
        let mut body = Bytes::from(parts.concat());
        let request = ProduceRequest::decode(&mut body, version).expect("valid");
        assert!(body.is_empty());
        let transactional_id = request.transactional_id.as_ref().map(|id| id.as_str());
        assert_eq!(transactional_id, id);
        assert_eq!((request.acks, request.timeout_ms), (-1, 30_000));
        assert_eq!(request.topic_data.len(), 1);
        assert_eq!(request.topic_data[0].name.as_str(), "t");
        let partitions = request.topic_data[0].partition_data.iter();
        let indexes: Vec<i32> = partitions
            .clone()
            .map(|partition| partition.index)
            .collect();
        assert_eq!(indexes, [0, 2]);
        for partition in partitions {
            let records = partition.records.as_ref().expect("a batch");
            let batch = Batches::new(records).next().expect("one").expect("whole");
            assert_eq!(batch.is_transactional(), id.is_some());
            assert!(batch.check().is_ok());
        }
    }
}

#[test]
fn records_that_the_broker_names_fail_alone_and_the_others_are_sent_in_order() {
    let mut trial = Trial::new(settings(), 1);
    for n in 0..5 {
        trial.append(Some(0), &n.to_string());
    }
    let plan = trial.plan().remove(0);
    let refused = [(1, Some("no key".to_owned())), (3, None)];
    let result = response(&plan, code::INVALID_RECORD, &refused);
    trial.answer(plan, result);
    let plan = trial.plan().remove(0);
    assert_eq!(opaques(&plan), [[0, 2, 4]]);
    trial.answer(plan, ok(1));
    assert_eq!(trial.totals(), (5, 3, 2));
    let failures = &trial.accumulator.report.failures;
    assert_eq!((failures[0].opaque, failures[1].opaque), (1, 3));
    assert!(failures[0].error.to_string().ends_with(": no key"));
}

/// Regression: the records after one that the broker names were sent.
#[test]
fn without_gaps_the_first_refused_record_ends_the_producer_and_a_late_one_does_not() {
    let gapless = || ProduceSettings {
        is_gapless: true,
        ..settings()
    };
    let mut trial = Trial::new(gapless(), 1);
    for n in 0..5 {
        trial.append(Some(0), &n.to_string());
    }
    let plan = trial.plan().remove(0);
    let result = response(&plan, code::INVALID_RECORD, &[(1, None)]);
    trial.answer(plan, result);
    assert!(trial.plan().is_empty());
    assert_eq!(trial.totals(), (5, 0, 5));
    let fatal = trial.accumulator.fatal().expect("fatal");
    assert_eq!(fatal.code, code::GAPLESS_GUARANTEE);
    let mut trial = Trial::new(gapless(), 1);
    trial.append(Some(0), "late");
    trial.advance(300_000);
    assert_eq!(trial.totals(), (1, 0, 1));
    assert!(trial.accumulator.fatal().is_none());
}

#[test]
fn records_fail_when_their_time_is_over_with_the_last_cause() {
    let mut trial = Trial::new(settings(), 1);
    trial.append(Some(0), "sent");
    let plan = trial.plan().remove(0);
    trial.append(Some(0), "not sent");
    let error = KafkaError::new(code::TRANSPORT, "the connection broke");
    trial.accumulator.handle_failure(plan, &error, trial.now);
    trial.accumulator.report.undelivered = Some(Vec::new());
    trial.advance(300_000);
    assert_eq!(trial.totals(), (2, 0, 2));
    let failed = trial.accumulator.report.undelivered.take();
    let failed = failed.expect("kept");
    assert_eq!(
        failed[0].error.to_string(),
        "not delivered within message.timeout.ms=300000: the connection broke"
    );
    assert!(failed[0].may_be_stored && !failed[1].may_be_stored);
    assert_eq!(failed[1].value.as_deref(), Some(&b"not sent"[..]));
}

#[test]
fn after_a_batch_of_unknown_fate_was_given_up_the_next_epoch_begins() {
    let mut trial = Trial::new(settings(), 1);
    trial.append(Some(0), "lost");
    let plan = trial.plan().remove(0);
    let error = KafkaError::of(code::TRANSPORT);
    trial.accumulator.handle_failure(plan, &error, trial.now);
    trial.advance(300_000);
    trial.append(Some(0), "next");
    let plan = trial.plan().remove(0);
    let next = ProducerId { id: 7, epoch: 1 };
    assert_eq!(plan.batches[0].batch.stamp, Some((next, 0)));
}

#[test]
fn a_retry_has_the_same_sequence_number_and_a_refused_batch_leaves_no_gap() {
    let mut trial = Trial::new(settings(), 1);
    trial.append(Some(0), "a");
    trial.append(Some(0), "b");
    let plan = trial.plan().remove(0);
    let stamp = plan.batches[0].batch.stamp;
    trial
        .accumulator
        .handle_failure(plan, &KafkaError::of(code::TRANSPORT), trial.now);
    trial.advance(100);
    let plan = trial.plan().remove(0);
    assert_eq!(plan.batches[0].batch.stamp, stamp);
    trial.answer(plan, ok(1));
    trial.append(Some(0), "unwanted");
    let plan = trial.plan().remove(0);
    let refused = response(&plan, code::TOPIC_AUTHORIZATION_FAILED, &[]);
    trial.answer(plan, refused);
    trial.append(Some(0), "c");
    let plan = trial.plan().remove(0);
    let producer = ProducerId { id: 7, epoch: 0 };
    assert_eq!(plan.batches[0].batch.stamp, Some((producer, 2)));
}

#[test]
fn records_of_an_unknown_topic_wait_for_it_and_then_fail() {
    let mut trial = Trial::unknown(settings());
    trial.append(None, "waits");
    let missing = unknown_topic("t", code::UNKNOWN_TOPIC_OR_PARTITION);
    trial.accumulator.metadata_received(&missing, trial.now);
    assert!(trial.plan().is_empty());
    trial.advance(29_000);
    trial.accumulator.metadata_received(&missing, trial.now);
    assert_eq!(trial.totals(), (1, 0, 0));
    trial.advance(2_000);
    trial.accumulator.metadata_received(&missing, trial.now);
    assert_eq!(trial.totals(), (1, 0, 1));
    assert_eq!(trial.accumulator.memory, 0);
    trial.append(None, "again");
    let denied = unknown_topic("t", code::TOPIC_AUTHORIZATION_FAILED);
    trial.accumulator.metadata_received(&denied, trial.now);
    assert_eq!(trial.totals(), (2, 0, 2));
}

#[test]
fn records_of_a_topic_being_made_are_sent_once_it_is() {
    let mut trial = Trial::unknown(settings());
    trial.append(None, "a");
    trial.append(Some(1), "b");
    trial.append(Some(9), "nowhere");
    trial
        .accumulator
        .metadata_received(&metadata("t", 2, 0), trial.now);
    let sent: usize = trial.plan().iter().map(|plan| plan.batches.len()).sum();
    assert!(sent == 1 || sent == 2, "{sent}");
    assert_eq!(trial.totals(), (3, 0, 1));
    let failure = &trial.accumulator.report.failures[0];
    assert_eq!(
        failure.error.to_string(),
        "there is no partition 9, the topic has 2"
    );
}

#[test]
fn memory_is_bounded_and_a_full_queue_sends_what_it_has() {
    let settings = ProduceSettings {
        queue_bytes: 500,
        linger: Duration::from_secs(3600),
        ..settings()
    };
    let mut trial = Trial::new(settings, 1);
    let mut accepted = 0;
    while trial.append(Some(0), "0123456789") != Appended::Full {
        accepted += 1;
    }
    assert!((5..20).contains(&accepted), "{accepted}");
    loop {
        let plans = trial.accumulator.plan(trial.now, &mut |_| true);
        let Some(plan) = plans.into_iter().next() else {
            break;
        };
        trial.answer(plan, ok(1));
    }
    assert_eq!(trial.accumulator.memory, 0);
    trial.append(Some(0), &"x".repeat(600));
    let failure = &trial.accumulator.report.failures[0];
    assert!(
        failure
            .error
            .to_string()
            .contains("queue.buffering.max.kbytes")
    );
}

#[test]
fn records_without_a_key_stay_in_a_partition_until_its_batch_is_complete() {
    let mut trial = Trial::new(settings(), 4);
    for _ in 0..30 {
        trial.append(None, "v");
    }
    trial.accumulator.close_open_batches();
    let partitions = trial.accumulator.topics[trial.topic].partitions.iter();
    let batches = partitions.flat_map(|partition| &partition.queue);
    let sizes: Vec<u32> = batches.map(|batch| batch.count).collect();
    assert_eq!(sizes, [10, 10, 10]);
}

#[test]
fn a_fatal_error_fails_what_waits_and_what_comes() {
    let mut trial = Trial::new(settings(), 1);
    trial.append(Some(0), "waits");
    let error = KafkaError::of(code::CLUSTER_AUTHORIZATION_FAILED);
    trial.accumulator.handle_producer_id(Err(error), trial.now);
    trial.append(Some(0), "comes");
    assert_eq!(trial.totals(), (2, 0, 2));
    assert!(
        trial.accumulator.report.failures.is_empty(),
        "one reason for all"
    );
    let fatal = trial.accumulator.fatal().expect("fatal").to_string();
    assert!(fatal.contains("may write to no topic"));
}

#[test]
fn a_leader_that_is_not_connected_is_waited_for_and_looked_up() {
    let mut trial = Trial::new(settings(), 1);
    trial.append(Some(0), "v");
    trial.accumulator.close_open_batches();
    assert!(trial.accumulator.plan(trial.now, &mut |_| false).is_empty());
    assert!(trial.accumulator.awaits_connection);
    trial.advance(1000);
    assert!(trial.accumulator.wants_metadata(trial.now));
    trial
        .accumulator
        .metadata_received(&metadata("t", 1, 1), trial.now);
    assert_eq!(trial.plan()[0].broker, 1);
}

#[test]
fn a_throttled_broker_is_left_alone() {
    let mut trial = Trial::new(settings(), 1);
    trial.append(Some(0), "v");
    let plan = trial.plan().remove(0);
    let throttled = ProduceResult {
        throttle_ms: 500,
        ..ok(1)
    };
    trial.answer(plan, throttled);
    trial.append(Some(0), "w");
    assert!(trial.plan().is_empty());
    trial.advance(500);
    assert_eq!(trial.plan().len(), 1);
}
