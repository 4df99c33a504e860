//! Forecasts against brokers that really delete, and what Java's own tools say of bytes and settings.

use super::{at, koldest, now_ms, row, rows};
use crate::testkit::broker::{Kafka, Spec, shared_kafka};
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::java;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What one topic went through while it was written to at a steady rate.
struct Seen {
    /// The ages of the oldest message just before and just after the log was cut.
    longest_ms: i64,
    shortest_ms: i64,
    /// How often it was cut.
    cuts: usize,
    /// The longest time between two looks: what was seen may be off by as much.
    pause_ms: i64,
    /// The last row that was told.
    row: Value,
}

/// Writes to `topic` every 20 ms for `length` and looks at its log all the time.
fn write_and_look(kafka: &Kafka, topic: &str, length: Duration) -> Seen {
    let producer = kafka.producer(&[("linger.ms", "0")]);
    let started = Instant::now();
    let mut seen = Seen {
        longest_ms: 0,
        shortest_ms: i64::MAX,
        cuts: 0,
        pause_ms: 0,
        row: Value::Null,
    };
    let mut written: Vec<i64> = Vec::new();
    let mut log_start = 0;
    let mut looked = now_ms();
    let is_enough = |cuts: usize| cuts >= CUTS || started.elapsed() > length * 4;
    while started.elapsed() < length || !is_enough(seen.cuts) {
        let now = now_ms();
        seen.pause_ms = seen.pause_ms.max(now - looked);
        looked = now;
        let record: Record = at(now, vec![b'x'; 1000]);
        producer.send(topic, &[record]);
        written.push(now);
        let (start, _) = kafka.watermarks(topic, 0);
        if start > log_start {
            // Of what was deleted, the first lived longest and the last shortest.
            let age = |offset: i64| now_ms() - written[offset as usize];
            seen.longest_ms = seen.longest_ms.max(age(log_start));
            seen.shortest_ms = seen.shortest_ms.min(age(start - 1));
            seen.cuts += 1;
            log_start = start;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    seen.row = row(kafka, topic);
    seen
}

/// So often is a log to be cut.
const CUTS: usize = 3;

/// What a loaded machine may add to a pause of the broker's.
const SLACK_MS: i64 = 700;

#[test]
fn a_broker_that_deletes_keeps_what_was_forecast() {
    let check_ms = 300;
    let spec = Spec::new()
        .setting("log.retention.check.interval.ms", &check_ms.to_string())
        .setting("log.initial.task.delay.ms", "100")
        .setting("log.segment.delete.delay.ms", "100");
    let Some(kafka) = spec.start() else { return };
    let segment = ("segment.bytes", "1048576");
    let by_time = kafka.topic(
        "keeps-time",
        1,
        &[("retention.ms", "3000"), ("segment.ms", "1500"), segment],
    );
    let by_size = kafka.topic(
        "keeps-size",
        1,
        &[
            ("retention.bytes", "60000"),
            ("segment.ms", "1500"),
            segment,
        ],
    );
    std::thread::scope(|scope| {
        for (topic, binds) in [(&by_time, "time"), (&by_size, "size")] {
            let kafka = &kafka;
            scope.spawn(move || {
                let seen = write_and_look(kafka, topic, Duration::from_secs(14));
                let row = &seen.row;
                assert_eq!(row["binds"], binds, "{row}");
                assert!(seen.cuts >= CUTS, "{} cuts: {row}", seen.cuts);
                let (min_ms, max_ms) = (&row["keeps_min"], &row["keeps_max"]);
                let (min_ms, max_ms) = (min_ms.as_i64().unwrap(), max_ms.as_i64().unwrap());
                // The rate is that of the last seconds; by size it moves with the machine's load.
                let load_ms = SLACK_MS + 2 * seen.pause_ms;
                let slack_ms = load_ms + if binds == "size" { min_ms / 4 } else { 0 };
                assert!(
                    seen.shortest_ms >= min_ms - slack_ms,
                    "{} {row}",
                    seen.shortest_ms
                );
                assert!(
                    seen.longest_ms <= max_ms + slack_ms,
                    "{} {row}",
                    seen.longest_ms
                );
                // It is a forecast, not a promise of anything between nothing and for ever.
                assert!(
                    max_ms <= seen.longest_ms + check_ms + 1500 + slack_ms,
                    "{row}"
                );
                let age = row["age"].as_i64().unwrap();
                assert!(age <= max_ms + slack_ms, "{row}");
            });
        }
    });
}

#[test]
fn the_active_segment_goes_too_when_its_time_has_come() {
    let spec = Spec::new()
        .setting("log.retention.check.interval.ms", "200")
        .setting("log.initial.task.delay.ms", "100");
    let Some(kafka) = spec.start() else { return };
    let topic = kafka.topic("active", 1, &[("retention.ms", "2000")]);
    kafka.produce(&topic, &[at(now_ms(), "x")]);
    let told = row(&kafka, &topic);
    assert_eq!(told["binds"], "time");
    assert_eq!(told["keeps_min"], 2000);
    let full_in = told["full_in"].as_i64().unwrap();
    assert!((0..=2000).contains(&full_in), "{told}");
    let deadline = Instant::now() + Duration::from_secs(15);
    while row(&kafka, &topic)["records"] != 0 {
        assert!(Instant::now() < deadline, "nothing was deleted");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(row(&kafka, &topic)["note"], "empty: all was deleted");
}

#[test]
fn bytes_and_settings_are_those_that_javas_own_tools_tell() {
    let Some(kafka) = shared_kafka() else { return };
    let settings = [
        ("retention.ms", "86400000"),
        ("retention.bytes", "123456789"),
    ];
    let topic = kafka.topic("javas", 1, &settings);
    kafka.produce(&topic, &vec![at(now_ms(), vec![b'x'; 5000]); 50]);
    let told = row(kafka, &topic);
    assert_eq!(told["retention_ms"], 86_400_000);
    assert_eq!(told["retention_bytes"], 123_456_789);
    let Some(tool) = java::tool("org.apache.kafka.tools.LogDirsCommand") else {
        return;
    };
    let dirs = tool
        .args(["--bootstrap-server", &kafka.bootstrap(), "--describe"])
        .args(["--topic-list", &topic])
        .limit(Duration::from_secs(60))
        .run()
        .succeeds();
    let line = dirs
        .lines()
        .into_iter()
        .find(|l| l.starts_with('{'))
        .unwrap();
    let answer: Value = serde_json::from_str(line).unwrap();
    let replica = &answer["brokers"][0]["logDirs"][0]["partitions"][0];
    assert_eq!(replica["partition"], format!("{topic}-0"));
    assert_eq!(told["bytes"], replica["size"]);
}

#[test]
fn what_is_needed_and_what_would_be_follow_from_the_rate() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("needs", 2, &[("segment.bytes", "1048576")]);
    let hour_ago = now_ms() - 3_600_000;
    // A message every 3.6 s: a thousand in an hour, half of them in each partition.
    let records: Vec<Record> = (0..1001)
        .map(|n| Record {
            partition: Some(n % 2),
            ..at(hour_ago + i64::from(n) * 3600, vec![b'x'; 1000])
        })
        .collect();
    kafka.produce(&topic, &records);
    let plain = &rows(
        &koldest(kafka, &["-J", "--by", "topic", &topic])
            .run()
            .succeeds(),
    )[0];
    let rate = plain["rate_bytes"].as_f64().unwrap();
    let bytes = plain["bytes"].as_f64().unwrap();
    assert!((rate - bytes / 3600.0).abs() < rate / 50.0, "{plain}");
    let doubled = koldest(
        kafka,
        &["-J", "--by", "topic", "--what-if", "rate=x2", &topic],
    )
    .run();
    let doubled = &rows(&doubled.succeeds())[0];
    let doubled_rate = doubled["rate_bytes"].as_f64().unwrap();
    assert!((doubled_rate - 2.0 * rate).abs() < rate / 50.0, "{doubled}");
    let limited = ["-J", "--by", "topic", "--what-if", "retention.bytes=1MB"];
    let limited = koldest(kafka, &limited)
        .args([topic.as_str()])
        .run()
        .succeeds();
    let limited = &rows(&limited)[0];
    assert_eq!(limited["binds"], "size");
    // A megabyte for each of two partitions.
    let expected_ms = 2e6 / rate * 1000.0;
    let keeps_ms = limited["keeps_min"].as_f64().unwrap();
    assert!(
        (keeps_ms - expected_ms).abs() < expected_ms / 50.0,
        "{limited}"
    );
    let need = koldest(kafka, &["-J", "--need", "7d", &topic])
        .run()
        .succeeds();
    let need = &rows(&need)[0];
    assert_eq!(need["need_retention_ms"], 7 * 86_400_000);
    let per_partition = need["need_retention_bytes"].as_f64().unwrap();
    let expected = rate / 2.0 * 7.0 * 86_400.0;
    assert!((per_partition - expected).abs() < expected / 50.0, "{need}");
    assert!(
        need["disk_bytes"].as_f64().unwrap() > 2.0 * expected,
        "{need}"
    );
    assert_eq!(need["replicas"], 2);
}

#[test]
fn the_rate_is_that_of_the_window() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("window", 1, &[]);
    let now_ms = now_ms();
    // A message a minute for an hour, and a hundred in the last ten seconds.
    let slow = (0..60).map(|n| now_ms - (60 - n) * 60_000);
    let fast = (0..100).map(|n| now_ms - 10_000 + n * 100);
    let records: Vec<Record> = slow.chain(fast).map(|ms| at(ms, vec![b'x'; 10])).collect();
    kafka.produce(&topic, &records);
    let rate = |window: &str| {
        let run = koldest(kafka, &["-J", "--window", window, &topic]).run();
        rows(&run.succeeds())[0]["rate_records"].as_f64().unwrap()
    };
    let (hour, minute) = (rate("1h"), rate("1m"));
    assert!(minute > 10.0 * hour, "{minute} {hour}");
}
