//! What does not answer: it is said, it is exit 2, and everything else is told all the same.

use super::{commit, klag, numbers, rows};
use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::{Cluster as _, PATIENCE, Record};
use crate::testkit::command::cmd;
use crate::testkit::output::Output;
use crate::testkit::session;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 6;

/// A topic without replicas, two partitions on each broker.
fn topic(kafka: &Kafka) -> String {
    let name = session::unique("single");
    let topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1));
    let created = kafka.admin().create_topics([&topic], &AdminOptions::new());
    futures_executor::block_on(created).unwrap();
    let records = (0..PARTITIONS * 10).map(|n| Record {
        partition: Some(n % PARTITIONS),
        ..Record::of("x")
    });
    kafka.produce(&name, &records.collect::<Vec<_>>());
    name
}

/// Which broker leads each partition.
fn leaders(kafka: &Kafka, topic: &str) -> BTreeMap<i32, i32> {
    let client: BaseConsumer = kafka.config().create().unwrap();
    let metadata = client.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let partitions = metadata.topics()[0].partitions().iter();
    partitions.map(|p| (p.id(), p.leader())).collect()
}

fn wait_until_leaderless(kafka: &Kafka, topic: &str, partition: i32) {
    let deadline = Instant::now() + PATIENCE;
    while leaders(kafka, topic)[&partition] >= 0 {
        assert!(Instant::now() < deadline, "the leader is never missed");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Partition to row, of one group.
fn by_partition<'a>(rows: &'a [Value], group: &str) -> BTreeMap<i32, &'a Value> {
    let own = rows.iter().filter(|row| row["group"] == group);
    own.filter_map(|row| Some((row["partition"].as_i64()? as i32, row)))
        .collect()
}

/// Groups with a commit of 4 of 10 records in every partition; with so many there is one at each coordinator.
fn groups(kafka: &Kafka, topic: &str) -> Vec<String> {
    let all: Vec<(i32, i64)> = (0..PARTITIONS).map(|id| (id, 4)).collect();
    let names: Vec<String> = (0..12).map(|n| format!("{topic}-{n}")).collect();
    for name in &names {
        commit(kafka, name, topic, &all);
    }
    names
}

/// What is told while broker `gone` is not there: all it does not lead, the rest as unknown, and its groups as missed.
fn assert_the_rest_is_told(
    output: &Output,
    leaders: &BTreeMap<i32, i32>,
    gone: i32,
    names: &[String],
) {
    let rows = rows(output.text());
    let told = names
        .iter()
        .filter(|name| !by_partition(&rows, name).is_empty());
    let told: Vec<&String> = told.collect();
    assert!(!told.is_empty(), "no group at all");
    for group in told {
        let partitions = by_partition(&rows, group);
        assert_eq!(partitions.len(), PARTITIONS as usize, "{group}");
        for (id, row) in partitions {
            if leaders[&id] == gone {
                assert_eq!(numbers(row), [None, None, None], "{row}");
                assert_ne!(row["note"], "");
            } else {
                assert_eq!(numbers(row), [Some(6), Some(0), Some(0)], "{row}");
                assert!(row["time_lag"].is_i64(), "{row}");
            }
        }
    }
}

#[test]
fn brokers_that_are_down_or_hang_hide_nothing_of_the_others() {
    let spec = Spec::new().brokers(3);
    let Some(kafka) = spec.start() else { return };
    let topic = topic(&kafka);
    let names = groups(&kafka, &topic);
    let all_groups = format!("^{topic}-");
    let leaders = leaders(&kafka, &topic);
    let report = || {
        let bootstrap = kafka.bootstrap();
        cmd("klag")
            .args([
                "-b",
                &bootstrap,
                "-m",
                "6",
                "-J",
                "--time",
                "-g",
                &all_groups,
            ])
            .limit(PATIENCE * 2)
    };
    let whole = report().run().succeeds();
    assert_eq!(rows(whole.text()).len(), names.len() * PARTITIONS as usize);

    // Partitions without a leader, and a coordinator.
    kafka.kill(2);
    let lost = leaders.iter().find(|(_, leader)| **leader == 2).unwrap();
    wait_until_leaderless(&kafka, &topic, *lost.0);
    let started = Instant::now();
    let output = report().run().fails_with(2);
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    assert_the_rest_is_told(&output, &leaders, 2, &names);
    let missed: Vec<&String> = names
        .iter()
        .filter(|name| by_partition(&rows(output.text()), name).is_empty())
        .collect();
    output
        .stderr_has("__consumer_offsets [")
        .stderr_has("no leader");
    // A group that was named is in the report, whoever knows of it.
    let missed = missed
        .first()
        .expect("one group of twelve had its coordinator there");
    let output = klag(&kafka, missed).arg("-J").run().fails_with(2);
    let row = &rows(output.text())[0];
    assert_eq!(row["group"], **missed);
    let note = row["note"].as_str().unwrap();
    assert!(
        note.starts_with("no coordinator: __consumer_offsets ["),
        "{}",
        output.story()
    );
    kafka.start_again(2);
    let deadline = Instant::now() + PATIENCE;
    while report().run().status.code() == Some(2) {
        assert!(Instant::now() < deadline, "it never comes back");
    }

    // A broker that takes connections and does not answer.
    kafka.pause(3);
    let started = Instant::now();
    let output = report().run().fails_with(2);
    let took = started.elapsed();
    kafka.resume(3);
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_the_rest_is_told(&output, &leaders, 3, &names);

    // What is summed of them says how much of it is known, and is not known to be within a limit.
    kafka.pause(3);
    let sums = report().args(["--by", "group"]).run().fails_with(2);
    let check = report().args(["--by", "group", "--max-lag", "1000"]).run();
    let metrics = cmd("klag")
        .args(["-b", &kafka.bootstrap(), "-m", "6", "-o", "prometheus"])
        .run()
        .fails_with(2);
    kafka.resume(3);
    // A sum without a part of it would look like a counter that was reset.
    let text = metrics.text();
    for part in ["groups", "offsets"] {
        let failed = format!("klag_scrape_success{{part=\"{part}\"}} 0\n");
        assert!(text.contains(&failed), "{part}: {text}");
    }
    for name in ["latest", "earliest"] {
        let sum = format!("kafka_partition_{name}_offset{{topic=\"{topic}\"}}");
        assert!(!text.contains(&sum), "{text}");
    }
    let gone = leaders.values().filter(|leader| **leader == 3).count();
    let sums = rows(sums.text());
    let told = sums.iter().filter(|row| row["partitions"] == PARTITIONS);
    let told: Vec<&Value> = told.collect();
    assert!(!told.is_empty(), "{sums:?}");
    for sum in told {
        assert_eq!(sum["partitions_unknown"], gone, "{sum}");
        assert_eq!(sum["lag"], 6 * (PARTITIONS as usize - gone), "{sum}");
    }
    check.fails_with(2).stdout_has("partitions unknown");
}
