//! Requests over librdkafka's connections: many at once, each broker for itself, and what goes wrong is said.

use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::mock::Mock;
use kafka_protocol::messages::{
    ApiVersionsRequest, DescribeClusterRequest, DescribeShareGroupOffsetsRequest, MetadataRequest,
};
use std::time::{Duration, Instant};
use tools::kafka::admin::{Isolation, OffsetQuery, OffsetSpec, Topics, metadata_over, offsets};
use tools::kafka::error::code;
use tools::kafka::options::Source;
use tools::kafka::wire::{Target, Wire};
use tools::kafka::{Client, Options, Role};

fn client(bootstrap: &str) -> Client {
    let mut options = Options::default();
    let source = Source::Option("-b");
    options
        .set("bootstrap.servers", bootstrap, &source)
        .unwrap();
    Client::new(&options, Role::Consumer).unwrap()
}

fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn any_metadata(_version: i16) -> MetadataRequest {
    MetadataRequest::default().with_topics(None)
}

#[test]
fn a_broker_that_hangs_delays_nobody_elses_answer() {
    let mock = Mock::start(3);
    let client = client(&mock.bootstrap());
    let mut wire = Wire::new(&client);
    metadata_over(&mut wire, Topics::All, &|| false).unwrap();
    let everybody = || [1, 2, 3].map(|id| (Target::Broker(id), 4..=i16::MAX, any_metadata));
    // So that all connections stand, and only answers are slow.
    let answers = wire.fan_out::<MetadataRequest, _>(everybody(), soon(10), &|| false);
    assert!(answers.iter().all(Result::is_ok));
    let slow = Duration::from_secs(20);
    mock.cluster.broker_round_trip_time(2, slow).unwrap();
    let answers = wire.fan_out::<MetadataRequest, _>(everybody(), soon(2), &|| false);
    assert!(answers[0].is_ok() && answers[2].is_ok());
    let error = answers[1].as_ref().unwrap_err();
    assert_eq!(error.code, code::TIMED_OUT);
    assert!(
        error
            .to_string()
            .contains("broker 2 did not answer Metadata"),
        "{error}"
    );
}

#[test]
fn a_broker_that_is_down_has_its_error_and_the_cause_of_it() {
    let mock = Mock::start(2);
    let client = client(&mock.bootstrap());
    let mut wire = Wire::new(&client);
    metadata_over(&mut wire, Topics::All, &|| false).unwrap();
    mock.down(2);
    let both = [1, 2].map(|id| (Target::Broker(id), 4..=i16::MAX, any_metadata));
    let answers = wire.fan_out::<MetadataRequest, _>(both, soon(2), &|| false);
    assert!(answers[0].is_ok());
    let error = answers[1].as_ref().unwrap_err();
    assert_eq!(error.code, code::TRANSPORT);
    assert!(error.to_string().contains("broker 2"), "{error}");
}

#[test]
fn a_thousand_requests_are_under_way_at_once_and_each_is_answered() {
    let mock = Mock::start(1);
    let client = client(&mock.bootstrap());
    let mut wire = Wire::new(&client);
    metadata_over(&mut wire, Topics::All, &|| false).unwrap();
    let ids: Vec<_> = (0..1000)
        .map(|_| {
            wire.send(Target::Broker(1), soon(20), |_| {
                ApiVersionsRequest::default()
            })
        })
        .collect();
    assert_eq!(wire.in_flight_count(), 1000);
    let mut answered = Vec::new();
    while let Some(answer) = wire.next(soon(20)) {
        assert!(answer.result.is_ok());
        answered.push(answer.id);
    }
    assert!(answered == ids, "one connection keeps the order");
}

#[test]
fn what_a_broker_does_not_know_is_said_and_not_sent() {
    let mock = Mock::start(1);
    let client = client(&mock.bootstrap());
    let mut wire = Wire::new(&client);
    metadata_over(&mut wire, Topics::All, &|| false).unwrap();
    wire.send(Target::Any, soon(5), |_| DescribeClusterRequest::default());
    let error = wire.next(soon(5)).unwrap().result.err().unwrap();
    assert_eq!(error.code, code::UNSUPPORTED_FEATURE);
    assert!(
        error.to_string().contains("does not know DescribeCluster"),
        "{error}"
    );
}

#[test]
fn a_request_that_librdkafka_has_never_heard_of_is_answered() {
    let Some(kafka) = shared_kafka() else { return };
    let client = client(&kafka.bootstrap());
    let mut wire = Wire::new(&client);
    metadata_over(&mut wire, Topics::All, &|| false).unwrap();
    // API 90; librdkafka's own count ends at 73.
    wire.send(Target::Broker(1), soon(10), |_| {
        DescribeShareGroupOffsetsRequest::default()
    });
    let reply = wire.next(soon(10)).unwrap().result.unwrap();
    let response = reply.decode::<DescribeShareGroupOffsetsRequest>().unwrap();
    assert_eq!(response.groups, []);
}

#[test]
fn a_reply_outlives_the_wire_that_brought_it() {
    let mock = Mock::start(1);
    let client = client(&mock.bootstrap());
    let mut wire = Wire::new(&client);
    metadata_over(&mut wire, Topics::All, &|| false).unwrap();
    wire.send(Target::Broker(1), soon(5), any_metadata);
    let reply = wire.next(soon(5)).unwrap().result.unwrap();
    // This one is given up.
    wire.send(Target::Broker(1), soon(5), any_metadata);
    drop(wire);
    assert!(!reply.body().is_empty());
    let response = reply.decode::<MetadataRequest>().unwrap();
    assert_eq!(response.brokers.len(), 1);
}

#[test]
fn every_end_of_a_log_with_an_open_transaction_is_told_apart() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("ends", &["one", "two"]);
    let id = crate::testkit::session::unique("ends");
    let producer = kafka.producer(&[("transactional.id", &id)]);
    producer.begin();
    producer.send(&topic, &[Record::of("three")]);
    let client = client(&kafka.bootstrap());
    let ask = |spec| OffsetQuery {
        topic: topic.clone(),
        partition: 0,
        spec,
    };
    let specs = [
        OffsetSpec::Earliest,
        OffsetSpec::LastStable,
        OffsetSpec::HighWatermark,
        OffsetSpec::Latest,
        OffsetSpec::Time(0),
    ];
    let questions = specs.map(ask);
    let found = offsets(&client, &questions, Isolation::ReadUncommitted, &|| false).unwrap();
    let offsets: Vec<_> = found
        .into_iter()
        .map(|row| row.unwrap().offset.unwrap())
        .collect();
    assert_eq!(offsets, [0, 2, 3, 3, 0]);
    producer.abort();
}
