//! `-L`: brokers, topics and partitions as text, JSON and TSV.

use super::at;
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, any};
use crate::testkit::mock::Mock;
use crate::testkit::session;
use serde_json::{Value, json};

#[test]
fn the_text_is_kcats() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("text", 2, &[]);
    let bootstrap = kafka.bootstrap();
    let output = at(kafka, &["-L", "-t", &topic]).run().succeeds();
    output.stdout_is(format!(
        "Metadata for {topic} (from broker 1: {bootstrap}/1):\n \
         1 brokers:\n  broker 1 at {bootstrap} (controller)\n \
         1 topics:\n  topic \"{topic}\" with 2 partitions:\n    \
         partition 0, leader 1, replicas: 1, isrs: 1\n    partition 1, leader 1, replicas: 1, isrs: 1\n"
    ));
    let all = at(kafka, &["-L"]).run().succeeds();
    all.stdout_has("Metadata for all topics (from broker ")
        .stdout_has(format!("  topic \"{topic}\" with 2 partitions:\n"));
}

#[test]
fn json_has_kcats_names() {
    let cluster = any();
    let topic = cluster.topic("json", 2, &[]);
    let output = at(&*cluster, &["-L", "-J", "-t", &topic]).run().succeeds();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let partition = |id: i32| json!({"partition": id, "leader": 1, "replicas": [{"id": 1}], "isrs": [{"id": 1}]});
    assert_eq!(
        list["topics"],
        json!([{"topic": topic, "partitions": [partition(0), partition(1)]}])
    );
    assert_eq!(
        list["brokers"],
        json!([{"id": 1, "name": cluster.bootstrap()}])
    );
    assert_eq!(list["query"], json!({"topic": topic}));
    assert_eq!(
        list["controllerid"].as_i64().is_some(),
        list["originating_broker"]["id"].as_i64().is_some()
    );
    assert!(output.stdout.ends_with(b"\n"));
}

#[test]
fn tsv_is_one_line_for_each_partition() {
    let cluster = any();
    let topic = cluster.topic("tsv", 3, &[]);
    let output = at(&*cluster, &["-L", "--tsv", "-t", &topic])
        .run()
        .succeeds();
    let lines = output.lines();
    assert_eq!(lines.len(), 3, "{}", output.story());
    for (partition, line) in lines.iter().enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(
            fields[..3],
            [topic.as_str(), &partition.to_string(), "1"],
            "{line}"
        );
    }
}

#[test]
fn a_topic_that_is_not_there_is_a_failure() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = session::unique("missing");
    at(kafka, &["-L", "-t", &topic])
        .run()
        .fails_with(2)
        .stderr_has(&topic);
    // Asking must not have made it.
    at(kafka, &["-L", "-t", &topic])
        .run()
        .fails_with(2)
        .stderr_has(&topic);
    at(kafka, &["-L", "-J", "-t", &topic])
        .run()
        .fails_with(2)
        .stderr_has(&topic);
}

#[test]
fn several_brokers_are_listed() {
    let mock = Mock::start(3);
    let topic = mock.topic("several", 6, &[]);
    let output = at(&mock, &["-L", "-t", &topic])
        .run()
        .succeeds()
        .stdout_has(" 3 brokers:\n")
        .stdout_has("with 6 partitions:\n");
    for address in mock.bootstrap().split(',') {
        assert!(
            output.text().contains(&format!(" at {address}")),
            "{}",
            output.story()
        );
    }
}
