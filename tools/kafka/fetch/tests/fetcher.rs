//! What the fetcher requests, and how responses change its state.

mod assignment;
mod damaged;
mod metadata;
mod reset;

use std::time::{Duration, Instant};

use super::super::fetcher::{CompletedFetch, FetchPlan, Fetcher, LogOffsets};
use super::super::response::FetchResponse;
use super::super::settings::{FetchSettings, ResetPolicy};
use super::{PartitionBuilder, response_body};
use crate::kafka::admin::Isolation;
use crate::kafka::admin::metadata::{Broker, Metadata, Partition, Topic};
use crate::kafka::batch::AbortedTransactions;
use crate::kafka::batch::build::BatchBuilder;
use crate::kafka::error::{KafkaError, code};

fn settings() -> FetchSettings {
    FetchSettings {
        max_wait: Duration::from_millis(500),
        min_bytes: 1,
        max_bytes: None,
        partition_max_bytes: 1000,
        isolation: Isolation::ReadCommitted,
        checks_crcs: true,
        rack: String::new(),
        reset: ResetPolicy::Error,
        start: ResetPolicy::Latest,
        backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        refresh_interval: None,
        replica_lease: Duration::from_secs(300),
        request_timeout: Duration::from_secs(60),
        receive_max_bytes: 1_000_000,
    }
}

/// Leader and epoch of each partition of topic `t`.
fn metadata(leaders: &[(i32, i32)]) -> Metadata {
    let partition = |(id, &(leader, epoch)): (usize, &(i32, i32))| Partition {
        id: id as i32,
        leader: (leader >= 0).then_some(leader),
        leader_epoch: Some(epoch),
        ..Partition::default()
    };
    let broker = |id| Broker {
        id,
        host: "h".to_owned(),
        port: 1,
        rack: None,
    };
    Metadata {
        brokers: (1..=3).map(broker).collect(),
        topics: vec![Topic {
            name: "t".to_owned(),
            partitions: leaders.iter().enumerate().map(partition).collect(),
            ..Topic::default()
        }],
        ..Metadata::default()
    }
}

struct FetcherTest {
    fetcher: Fetcher,
    now: Instant,
}

impl FetcherTest {
    /// Topic `t` from offset 0 of each partition.
    fn of(settings: FetchSettings, leaders: &[(i32, i32)]) -> FetcherTest {
        let now = Instant::now();
        let mut fetcher = Fetcher::new(settings, true, now);
        let topic = fetcher.add_topic("t");
        for id in 0..leaders.len() {
            fetcher.add(topic, id as i32, Some(0), None);
        }
        fetcher.update_metadata(&metadata(leaders), now);
        FetcherTest { fetcher, now }
    }

    fn plans(&mut self) -> Vec<FetchPlan> {
        self.fetcher.plan_fetches(self.now)
    }

    fn one_plan(&mut self) -> FetchPlan {
        let mut plans = self.plans();
        assert_eq!(plans.len(), 1, "{plans:?}");
        plans.remove(0)
    }

    fn later(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn respond(&mut self, plan: &FetchPlan, parts: &[PartitionBuilder]) -> Vec<CompletedFetch> {
        let body = response_body(12, "t", parts);
        let mut response = FetchResponse::parse(&body, 12).expect("well-formed");
        response.throttle_ms = 0;
        self.fetcher
            .handle_response(plan.broker, plan.request, &body, &mut response, self.now)
    }

    fn update_metadata(&mut self, leaders: &[(i32, i32)]) {
        self.fetcher.metadata_requested(self.now);
        self.fetcher.update_metadata(&metadata(leaders), self.now);
    }

    /// `broker` is asked for the log offsets of the partitions to reset, and answers with `logs`.
    fn look_up(&mut self, broker: i32, logs: &[Result<LogOffsets, KafkaError>]) {
        let plans = self.fetcher.plan_resets(self.now);
        assert_eq!(plans.len(), 1, "{plans:?}");
        let plan = &plans[0];
        assert_eq!((plan.broker, plan.partitions.len()), (broker, logs.len()));
        self.fetcher
            .handle_log_offsets(plan, logs.to_vec(), self.now);
    }

    fn reported(&mut self) -> String {
        let error = self.fetcher.next_error();
        error.map_or(String::new(), |error| error.to_string())
    }
}

#[test]
fn every_version_of_the_request_is_encoded_with_all_its_fields() {
    use super::super::request;
    use kafka_protocol::protocol::{Decodable, Encodable};
    let with_rack = FetchSettings {
        rack: "here".to_owned(),
        ..settings()
    };
    let mut test = FetcherTest::of(with_rack.clone(), &[(1, 4)]);
    let plan = test.one_plan();
    test.respond(&plan, &[data(0, 0, 10)]);
    let plan = test.one_plan();
    assert_eq!(
        (
            plan.partitions[0].leader_epoch,
            plan.partitions[0].last_epoch
        ),
        (4, 4)
    );
    for version in 4..=13 {
        let request = request::build(&plan, &test.fetcher.topics, &with_rack)(version);
        let mut bytes = bytes::BytesMut::new();
        request
            .encode(&mut bytes, version)
            .unwrap_or_else(|e| panic!("v{version}: {e}"));
        let read = kafka_protocol::messages::FetchRequest::decode(&mut bytes, version);
        let read = read.expect("what was written");
        let partition = &read.topics[0].partitions[0];
        assert_eq!(partition.fetch_offset, 10);
        assert_eq!(
            partition.last_fetched_epoch,
            if version >= 12 { 4 } else { -1 }
        );
        assert_eq!(
            partition.current_leader_epoch,
            if version >= 9 { 4 } else { -1 }
        );
        assert_eq!(
            read.rack_id.as_str(),
            if version >= 11 { "here" } else { "" }
        );
    }
}

fn data(id: i32, base_offset: i64, count: usize) -> PartitionBuilder {
    let values = vec!["v"; count];
    let mut builder = BatchBuilder::of(base_offset, &values);
    builder.leader_epoch = 4;
    PartitionBuilder {
        id,
        high_watermark: 1000,
        last_stable_offset: 1000,
        records: builder.bytes(),
        ..PartitionBuilder::default()
    }
}

fn failed(id: i32, error: i32) -> PartitionBuilder {
    PartitionBuilder {
        id,
        error: error as i16,
        ..PartitionBuilder::default()
    }
}

fn offsets(plan: &FetchPlan) -> Vec<(i32, i64)> {
    plan.partitions
        .iter()
        .map(|partition| (partition.id, partition.offset))
        .collect()
}

#[test]
fn each_leader_has_one_request_in_flight_for_all_its_partitions() {
    let mut test = FetcherTest::of(settings(), &[(1, 0), (2, 0), (1, 0)]);
    let plans = test.plans();
    assert_eq!(plans.len(), 2);
    assert_eq!(offsets(&plans[0]), [(0, 0), (2, 0)]);
    assert_eq!((plans[1].broker, offsets(&plans[1])), (2, vec![(1, 0)]));
    assert!(test.plans().is_empty(), "one request at a time");
}

#[test]
fn the_next_request_continues_after_the_last_response_before_its_records_are_delivered() {
    let mut test = FetcherTest::of(settings(), &[(1, 4), (1, 4)]);
    let plan = test.one_plan();
    let completed = test.respond(
        &plan,
        &[
            data(0, 0, 10),
            PartitionBuilder {
                id: 1,
                high_watermark: 5,
                last_stable_offset: 5,
                ..PartitionBuilder::default()
            },
        ],
    );
    assert_eq!(
        (
            completed.len(),
            completed[0].from,
            completed[0].batches.next
        ),
        (1, 0, 10)
    );
    let next = test.one_plan();
    // A partition that had data moves to the end.
    assert_eq!(offsets(&next), [(1, 0), (0, 10)]);
    assert_eq!(
        (
            next.partitions[1].leader_epoch,
            next.partitions[1].last_epoch
        ),
        (4, 4)
    );
    assert_eq!(next.partitions[0].last_epoch, -1);
}

#[test]
fn aborted_transactions_are_ignored_when_uncommitted_records_are_read() {
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        let settings = FetchSettings {
            isolation,
            ..settings()
        };
        let mut test = FetcherTest::of(settings, &[(1, 0)]);
        let plan = test.one_plan();
        let mut records = data(0, 0, 1);
        records.aborted = vec![(7, 0)];
        let completed = test.respond(&plan, &[records]);
        let expected = match isolation {
            Isolation::ReadCommitted => AbortedTransactions::new(vec![(7, 0)]),
            Isolation::ReadUncommitted => AbortedTransactions::default(),
        };
        assert_eq!(completed[0].aborted, expected);
    }
}

#[test]
fn the_end_is_reported_once_and_again_after_more_records() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let end = |records: PartitionBuilder, stable: i64| PartitionBuilder {
        high_watermark: 99,
        last_stable_offset: stable,
        ..records
    };
    let mut is_eof = |part: PartitionBuilder| {
        let plan = test.one_plan();
        let completed = test.respond(&plan, &[part]);
        completed
            .first()
            .map(|fetch| (fetch.batches.next, fetch.is_eof))
    };
    let nothing = PartitionBuilder::default();
    assert_eq!(is_eof(end(data(0, 0, 3), 5)), Some((3, false)));
    assert_eq!(is_eof(end(data(0, 3, 2), 5)), Some((5, true)));
    assert_eq!(is_eof(end(nothing.clone(), 5)), None);
    assert_eq!(is_eof(end(data(0, 5, 1), 6)), Some((6, true)));
}

#[test]
fn a_broken_connection_is_retried_with_a_growing_backoff() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    for pause in [100, 200, 400, 800, 1000, 1000] {
        let plan = test.one_plan();
        let broken = KafkaError::new(code::TRANSPORT, "broken");
        test.fetcher
            .handle_failure(plan.broker, plan.request, &broken, test.now);
        test.later(pause - 1);
        assert!(test.plans().is_empty(), "{pause}");
        test.later(1);
    }
    assert_eq!(test.reported(), "");
    assert_eq!(offsets(&test.one_plan()), [(0, 0)]);
}

#[test]
fn a_throttled_client_pauses() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let plan = test.one_plan();
    let body = response_body(12, "t", &[data(0, 0, 1)]);
    let mut response = FetchResponse::parse(&body, 12).expect("well-formed");
    response.throttle_ms = 300;
    test.fetcher
        .handle_response(plan.broker, plan.request, &body, &mut response, test.now);
    test.later(299);
    assert!(test.plans().is_empty());
    assert!(test.fetcher.next_wake(test.now).is_some());
    test.later(1);
    assert_eq!(offsets(&test.one_plan()), [(0, 1)]);
}

#[test]
fn nothing_is_requested_beyond_a_bound() {
    let now = Instant::now();
    let mut fetcher = Fetcher::new(settings(), false, now);
    let topic = fetcher.add_topic("t");
    fetcher.add(topic, 0, Some(0), Some(10));
    fetcher.update_metadata(&metadata(&[(1, 0)]), now);
    let mut test = FetcherTest { fetcher, now };
    let plan = test.one_plan();
    test.respond(&plan, &[data(0, 0, 10)]);
    assert!(test.plans().is_empty());
    assert!(!test.fetcher.is_done(), "it is not delivered yet");
    test.fetcher.finish(0);
    assert!(test.fetcher.is_done());
}

#[test]
fn a_partition_without_permission_is_reported_and_the_others_continue() {
    let mut test = FetcherTest::of(settings(), &[(1, 0), (1, 0)]);
    let plan = test.one_plan();
    test.respond(
        &plan,
        &[failed(0, code::TOPIC_AUTHORIZATION_FAILED), data(1, 0, 1)],
    );
    assert!(test.reported().starts_with("t [0]: "));
    assert_eq!(offsets(&test.one_plan()), [(1, 1)]);
}

#[test]
fn the_leaders_share_the_memory() {
    let leaders: Vec<(i32, i32)> = (1..=3).map(|id| (id, 0)).collect();
    let mut test = FetcherTest::of(settings(), &leaders);
    let total: i32 = test.plans().iter().map(|plan| plan.max_bytes).sum();
    assert!(total <= 8 * 1024 * 1024, "{total}");
    let limited = FetchSettings {
        max_bytes: Some(5_000_000),
        ..settings()
    };
    let mut test = FetcherTest::of(limited, &leaders);
    assert!(test.plans().iter().all(|plan| plan.max_bytes == 5_000_000));
}
