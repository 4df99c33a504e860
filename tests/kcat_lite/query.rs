//! `-Q`: the offset of a time.

use super::at;
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record, any};
use crate::testkit::session;
use serde_json::{Value, json};

fn timed(kafka: &Kafka) -> String {
    let topic = kafka.topic("timed", 2, &[]);
    let record = |ms: i64| Record {
        timestamp_ms: Some(ms),
        ..Record::of(ms.to_string())
    };
    kafka.produce(&topic, &[record(1_000), record(2_000), record(3_000)]);
    topic
}

#[test]
fn a_time_is_answered_with_the_first_offset_at_or_after_it() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = timed(kafka);
    let cases = [
        ("0:-2", "[0] offset 0"),
        ("0:-1", "[0] offset 3"),
        ("0:1000", "[0] offset 0"),
        ("0:1001", "[0] offset 1"),
        ("0:3001", "[0] offset -1"),
        ("1:-1", "[1] offset 0"),
        ("1:1000", "[1] offset -1"),
        ("0:1970-01-01T00:00:02Z", "[0] offset 1"),
        ("0:@2.5", "[0] offset 2"),
        ("0:yesterday 15:00", "[0] offset -1"),
    ];
    for (query, expected) in cases {
        let asked = format!("{topic}:{query}");
        at(kafka, &["-Q", "-t", &asked])
            .run()
            .succeeds()
            .stdout_is(format!("{topic} {expected}\n"));
    }
    let both = at(
        kafka,
        &[
            "-Q",
            "-t",
            &format!("{topic}:0:2000"),
            "-t",
            &format!("{topic}:1:-2"),
        ],
    )
    .run()
    .succeeds();
    both.stdout_is(format!("{topic} [0] offset 1\n{topic} [1] offset 0\n"));
}

#[test]
fn json_has_kcats_shape() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = timed(kafka);
    let output = at(
        kafka,
        &[
            "-Q",
            "-J",
            "-t",
            &format!("{topic}:0:2000"),
            "-t",
            &format!("{topic}:1:-1"),
        ],
    )
    .run()
    .succeeds();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        answer,
        json!({topic.as_str(): {"topic": topic, "0": {"partition": 0, "offset": 1}, "1": {"partition": 1, "offset": 0}}})
    );
}

#[test]
fn the_ends_of_a_log_are_answered_by_any_cluster() {
    let cluster = any();
    let topic = cluster.topic_of("ends", &["a", "b"]);
    at(&*cluster, &["-Q", "-t", &format!("{topic}:0:-1")])
        .run()
        .succeeds()
        .stdout_is(format!("{topic} [0] offset 2\n"));
    at(&*cluster, &["-Q", "-t", &format!("{topic}:0:-2")])
        .run()
        .succeeds()
        .stdout_is(format!("{topic} [0] offset 0\n"));
}

#[test]
fn what_is_not_there_is_a_failure_and_the_rest_is_answered() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = timed(kafka);
    let missing = session::unique("missing");
    at(kafka, &["-Q", "-t", &format!("{missing}:0:-1")])
        .run()
        .fails_with(2)
        .stderr_has(&missing);
    let output = at(
        kafka,
        &[
            "-Q",
            "-t",
            &format!("{topic}:9:-1"),
            "-t",
            &format!("{topic}:0:-1"),
        ],
    )
    .run()
    .fails_with(2);
    output
        .stderr_has("9")
        .stdout_has(format!("{topic} [0] offset 3\n"));
}

#[test]
fn a_query_is_topic_partition_and_time() {
    for wrong in ["t", "t:0", "t:x:-1", "t:0:x", "t:0:1x", ":0:-1"] {
        let args = ["-Q", "-b", "127.0.0.1:1", "-t", wrong];
        crate::testkit::command::cmd("kcat-lite")
            .args(args)
            .run()
            .fails_with(2)
            .stderr_has(wrong);
    }
}
