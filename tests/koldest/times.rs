//! The first and the newest message, beside what confluent-kafka reads of the whole log.

use super::{HOUR_MS, at, koldest, now_ms, row, rows};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::witness;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Reads every topic from end to end as a consumer that sees committed messages only, and prints of each the first
/// message and the one with the latest time: offset and time of both, or null.
const READ_ALL: &str = r#"
import json, sys
from confluent_kafka import Consumer, TopicPartition, KafkaError, OFFSET_BEGINNING
truth = {}
for topic in sys.argv[2:]:
    c = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "witness", "enable.auto.commit": False,
                  "enable.partition.eof": True, "isolation.level": "read_committed", "check.crcs": True})
    c.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    first = newest = None
    while True:
        m = c.poll(20)
        assert m is not None, "no answer"
        if m.error():
            assert m.error().code() == KafkaError._PARTITION_EOF, m.error()
            break
        at = [m.offset(), m.timestamp()[1]]
        first = first or at
        if newest is None or at[1] >= newest[1]:
            newest = at
    c.close()
    truth[topic] = [first, newest]
print(json.dumps(truth))
"#;

/// What the witness reads of each topic.
fn truth(kafka: &Kafka, topics: &[String]) -> Option<BTreeMap<String, Value>> {
    let python = witness::python()?;
    let output = python
        .args(["-c", READ_ALL, &kafka.bootstrap()])
        .args(topics)
        .limit(Duration::from_secs(60))
        .run()
        .succeeds();
    Some(serde_json::from_str(output.text()).unwrap())
}

/// Compares every topic with the witness; a topic stands for one way in which a log may be odd.
#[track_caller]
fn agree(kafka: &Kafka, topics: &[String]) {
    let Some(truth) = truth(kafka, topics) else {
        return;
    };
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let output = koldest(kafka, &["-J"]).args(&names).run().succeeds();
    let rows = rows(&output);
    assert_eq!(rows.len(), topics.len());
    for row in rows {
        let topic = row["topic"].as_str().unwrap();
        let (first, newest) = (&truth[topic][0], &truth[topic][1]);
        assert_eq!(row["oldest_offset"], first[0], "{topic}: {row} {first}");
        assert_eq!(row["oldest_time"], first[1], "{topic}: {row} {first}");
        assert_eq!(row["newest_time"], newest[1], "{topic}: {row} {newest}");
    }
}

/// Ten messages, a minute apart, from an hour ago on.
fn ten(size: usize) -> Vec<Record> {
    let start_ms = now_ms() - HOUR_MS;
    let record = |n: i64| at(start_ms + n * 60_000 + n, vec![b'x'; size]);
    (0..10).map(record).collect()
}

/// All in one batch.
const LONG_BATCH: [(&str, &str); 2] = [("linger.ms", "500"), ("batch.size", "900000")];

#[test]
fn plain_logs_of_every_codec_have_their_own_times_not_those_of_their_batches() {
    let Some(kafka) = shared_kafka() else { return };
    let mut topics = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for size in [1, 20_000] {
            let topic = kafka.topic(&format!("times-{codec}-{size}"), 1, &[]);
            let codec = ("compression.codec", codec);
            kafka
                .producer(&[codec, LONG_BATCH[0], LONG_BATCH[1]])
                .send(&topic, &ten(size));
            topics.push(topic);
        }
    }
    agree(kafka, &topics);
}

#[test]
fn a_log_that_was_cut_in_a_batch_begins_where_it_was_cut() {
    let Some(kafka) = shared_kafka() else { return };
    let mut topics = Vec::new();
    for (codec, size) in [("none", 1), ("none", 20_000), ("lz4", 20_000), ("lz4", 1)] {
        let topic = kafka.topic(&format!("times-cut-{codec}-{size}"), 1, &[]);
        let codec = ("compression.codec", codec);
        kafka
            .producer(&[codec, LONG_BATCH[0], LONG_BATCH[1]])
            .send(&topic, &ten(size));
        kafka.delete_before(&topic, 4);
        topics.push(topic);
    }
    agree(kafka, &topics);
    assert_eq!(row(kafka, &topics[0])["oldest_offset"], 4);
    assert_eq!(row(kafka, &topics[0])["records"], 6);
}

#[test]
fn an_empty_log_and_an_emptied_one_have_no_times() {
    let Some(kafka) = shared_kafka() else { return };
    let empty = kafka.topic("times-empty", 1, &[]);
    let emptied = kafka.topic("times-emptied", 1, &[]);
    kafka.produce(&emptied, &ten(1));
    kafka.delete_before(&emptied, 10);
    agree(kafka, &[empty.clone(), emptied.clone()]);
    for (topic, note) in [
        (&empty, "never written to"),
        (&emptied, "empty: all was deleted"),
    ] {
        let row = row(kafka, topic);
        assert!(row["age"].is_null() && row["stale"].is_null(), "{row}");
        assert_eq!(row["records"], 0);
        assert_eq!(row["note"], note);
    }
}

#[test]
fn out_of_order_the_oldest_is_the_first_and_the_newest_has_the_latest_time() {
    let Some(kafka) = shared_kafka() else { return };
    let start_ms = now_ms() - HOUR_MS;
    let shuffled = [5, 3, 9, 1, 7].map(|n| at(start_ms + n * 1000, "x"));
    let one_batch = kafka.topic("times-shuffled", 1, &[]);
    kafka.producer(&LONG_BATCH).send(&one_batch, &shuffled);
    let many = kafka.topic("times-shuffled-batches", 1, &[]);
    for record in &shuffled {
        kafka.produce(&many, std::slice::from_ref(record));
    }
    agree(kafka, &[one_batch, many.clone()]);
    assert_eq!(row(kafka, &many)["newest_time"], start_ms + 9000);
}

#[test]
fn the_future_and_the_brokers_own_time_are_told_as_they_are() {
    let Some(kafka) = shared_kafka() else { return };
    let future = kafka.topic("times-future", 1, &[]);
    kafka.produce(
        &future,
        &[at(now_ms(), "x"), at(now_ms() + HOUR_MS / 2, "x")],
    );
    let appended = kafka.topic(
        "times-appended",
        1,
        &[("message.timestamp.type", "LogAppendTime")],
    );
    kafka.producer(&LONG_BATCH).send(&appended, &ten(1));
    agree(kafka, &[future.clone(), appended]);
    let row = row(kafka, &future);
    // How stale it is, the other message tells.
    let stale_ms = row["stale"].as_i64().unwrap();
    assert!((0..60_000).contains(&stale_ms), "{row}");
    assert!(
        row["note"].as_str().unwrap().contains("in the future"),
        "{row}"
    );
}

#[test]
fn a_future_timestamp_is_in_no_age_rate_or_limit() {
    let Some(kafka) = shared_kafka() else { return };
    let far = [("message.timestamp.after.max.ms", "9223372036854775807")];
    let day_ms = 24 * HOUR_MS;
    // A year ahead, and then one an hour for sixty days, the last ones within the hour.
    let first = kafka.topic("times-first-ahead", 1, &far);
    let steady: Vec<_> = (0..1440)
        .map(|n| at(now_ms() - 60 * day_ms + n * HOUR_MS, "x"))
        .collect();
    kafka.produce(&first, &[at(now_ms() + 365 * day_ms, "x")]);
    kafka.produce(&first, &steady);
    kafka.produce(&first, &[at(now_ms(), "x"), at(now_ms(), "x")]);
    let ahead = row(kafka, &first);
    assert!(ahead["age"].is_null(), "{ahead}");
    assert!(
        ahead["stale"].as_i64().is_some_and(|ms| ms < 60_000),
        "{ahead}"
    );
    let note = ahead["note"].as_str().unwrap();
    assert!(note.contains("age not known: the oldest is"), "{note}");
    let rate = ahead["rate_records"].as_f64().unwrap();
    assert!((rate - 3.0 / 3600.0).abs() < 1.1 / 3600.0, "{ahead}");
    let check = |topic: &str, args: &[&str]| koldest(kafka, &[topic]).args(args).run();
    let old = check(&first, &["--max-age", "30d"]).fails_with(1);
    old.stdout_has("keeps messages for more than 30d");
    check(&first, &["--max-age", "90d"])
        .succeeds()
        .stdout_is("");
    let metrics = koldest(kafka, &["-o", "prometheus", &first])
        .run()
        .succeeds();
    assert!(
        !metrics.text().contains("koldest_age{"),
        "{}",
        metrics.text()
    );

    // In the window eighteen, and five hundred with a future timestamp.
    let mixed = kafka.topic("times-mixed-ahead", 1, &far);
    kafka.produce(&mixed, &[at(now_ms() - 2 * day_ms, "x")]);
    kafka.produce(&mixed, &vec![at(now_ms() - HOUR_MS / 2, "x"); 18]);
    kafka.produce(&mixed, &vec![at(now_ms() + day_ms, "x"); 500]);
    let rate = row(kafka, &mixed)["rate_records"].as_f64().unwrap();
    assert!((rate - 18.0 / 3600.0).abs() < 1e-9, "{rate}");

    // Twenty that are four days old, and then one that is thirty days ahead.
    let last = kafka.topic("times-last-ahead", 1, &far);
    let old: Vec<_> = (0..20)
        .map(|n| at(now_ms() - 4 * day_ms + n, "x"))
        .collect();
    kafka.produce(&last, &old);
    kafka.produce(&last, &[at(now_ms() + 30 * day_ms, "x")]);
    check(&last, &["--max-stale", "1h"])
        .fails_with(1)
        .stdout_has("no message for more than 1h");
    check(&last, &["--max-stale", "5d"])
        .succeeds()
        .stdout_is("");

    // More of them than are read.
    let behind = kafka.topic("times-behind-ahead", 1, &far);
    kafka.produce(&behind, &[at(now_ms() - HOUR_MS, "x")]);
    kafka.produce(&behind, &vec![at(now_ms() + day_ms, "x"); 120_000]);
    assert!(row(kafka, &behind)["stale"].is_null());

    // Nothing else to judge by.
    let alone = kafka.topic("times-all-ahead", 1, &far);
    kafka.produce(
        &alone,
        &[at(now_ms() + day_ms, "x"), at(now_ms() + 2 * day_ms, "x")],
    );
    for limit in [["--max-age", "1h"], ["--max-stale", "1h"]] {
        check(&alone, &limit)
            .fails_with(1)
            .stdout_has("in the future")
            .stderr_is("");
        let by_topic = [&limit[..], &["--by", "topic"]].concat();
        check(&alone, &by_topic)
            .fails_with(1)
            .stdout_has("in the future");
        let passed = [&limit[..], &["--unknown", "pass"]].concat();
        check(&alone, &passed).succeeds().stdout_is("");
    }
}

#[test]
fn compaction_leaves_a_hole_before_the_first_message() {
    let Some(kafka) = shared_kafka() else { return };
    let settings = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("segment.bytes", "1048576"),
        ("segment.ms", "100"),
    ];
    let topic = kafka.topic("times-compacted", 1, &settings);
    let start_ms = now_ms() - HOUR_MS;
    let keyed = |n: i64| Record {
        key: Some(b"same".to_vec()),
        ..at(start_ms + n * 1000, vec![b'x'; 3000])
    };
    for n in 0..20 {
        kafka.produce(&topic, &[keyed(n)]);
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let row = row(kafka, &topic);
        if row["oldest_offset"].as_i64() > Some(0) {
            assert_eq!(row["binds"], "compact");
            break;
        }
        assert!(Instant::now() < deadline, "not compacted: {row}");
        std::thread::sleep(Duration::from_millis(200));
    }
    agree(kafka, &[topic]);
}

/// A producer of transactions, whose batches are as long as they get.
fn transactional(kafka: &Kafka, topic: &str) -> crate::testkit::cluster::Producer {
    kafka.producer(&[("transactional.id", topic), LONG_BATCH[0], LONG_BATCH[1]])
}

#[test]
fn markers_and_aborted_messages_are_no_messages() {
    let Some(kafka) = shared_kafka() else { return };
    let mut topics = Vec::new();
    for size in [1, 20_000] {
        let make = |hint: &str| kafka.topic(&format!("times-{hint}-{size}"), 1, &[]);
        // A marker is the last thing in the log.
        let committed = make("committed");
        let producer = transactional(kafka, &committed);
        producer.begin();
        producer.send(&committed, &ten(size));
        producer.commit();
        // The log begins with a marker.
        let marker_first = make("marker-first");
        let producer = transactional(kafka, &marker_first);
        for _ in 0..2 {
            producer.begin();
            producer.send(&marker_first, &ten(size));
            producer.commit();
        }
        kafka.delete_before(&marker_first, 10);
        // Aborted messages at both ends, one of them with the latest time of all.
        let aborted = make("aborted");
        let producer = transactional(kafka, &aborted);
        for n in 0..3 {
            producer.begin();
            producer.send(&aborted, &ten(size));
            producer.send(&aborted, &[at(now_ms() + n * 60_000, "x")]);
            if n == 1 {
                producer.commit();
            } else {
                producer.abort();
            }
        }
        // Nothing but what was aborted.
        let nothing = make("nothing");
        let producer = transactional(kafka, &nothing);
        producer.begin();
        producer.send(&nothing, &ten(size));
        producer.abort();
        topics.extend([committed, marker_first, aborted, nothing]);
    }
    agree(kafka, &topics);
    for topic in &topics {
        // Alone, a topic has no other to hint that transactions are about.
        agree(kafka, std::slice::from_ref(topic));
    }
    assert!(row(kafka, &topics[3])["oldest_time"].is_null());
}

#[test]
fn long_after_the_last_message_the_newest_is_still_found() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("times-far", 1, &[]);
    let producer = transactional(kafka, &topic);
    producer.begin();
    producer.send(&topic, &ten(100));
    producer.commit();
    producer.begin();
    let many: Vec<Record> = (0..20_000).map(|_| at(now_ms(), "aborted")).collect();
    producer.send(&topic, &many);
    producer.abort();
    agree(kafka, &[topic]);
}

#[test]
fn an_open_transaction_is_told() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("times-open", 1, &[]);
    let start_ms = now_ms() - HOUR_MS;
    kafka.produce(&topic, &[at(start_ms, "x"), at(start_ms + 5, "y")]);
    let producer = transactional(kafka, &topic);
    producer.begin();
    producer.send(&topic, &ten(20_000));
    let row = row(kafka, &topic);
    assert_eq!(
        row["note"]
            .as_str()
            .unwrap()
            .matches("open transaction")
            .count(),
        1
    );
    agree(kafka, std::slice::from_ref(&topic));
    producer.abort();
    agree(kafka, std::slice::from_ref(&topic));
    // Nothing but what was aborted lies between the last message and the open transaction.
    producer.begin();
    producer.send(&topic, &ten(20_000));
    agree(kafka, std::slice::from_ref(&topic));
    producer.commit();
    agree(kafka, &[topic]);
}
