//! Cases in which lag is often told wrong, each against what was put there.

use super::{Member, SOON, commit, klag, now_ms, numbers, row, rows};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::session;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const HOUR_MS: i64 = 3_600_000;

/// `count` values, the one at offset n written n seconds after `first_ms`.
fn seconds_apart(count: i64, first_ms: i64) -> Vec<Record> {
    (0..count)
        .map(|n| Record {
            timestamp_ms: Some(first_ms + n * 1000),
            ..Record::of(n.to_string())
        })
        .collect()
}

/// The row's `time_lag` is that of a record of this time, give or take how long the test took.
#[track_caller]
fn assert_age(row: &serde_json::Value, written_ms: i64) {
    let expected_ms = now_ms() - written_ms;
    let age_ms = row["time_lag"].as_i64().unwrap();
    assert!(
        age_ms <= expected_ms && age_ms > expected_ms - SOON.as_millis() as i64,
        "{age_ms} instead of {expected_ms}"
    );
}

#[test]
fn what_was_deleted_before_it_was_read_is_lost_and_the_rest_is_behind() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("below", 1, &[]);
    let first_ms = now_ms() - HOUR_MS;
    kafka.produce(&topic, &seconds_apart(1000, first_ms));
    commit(kafka, &topic, &topic, &[(0, 10)]);
    kafka.delete_before(&topic, 500);
    let row = row(kafka, &topic);
    assert_eq!(numbers(&row), [Some(500), Some(490), Some(0)]);
    assert_eq!(row["note"], "490 deleted before they were read");
    assert_eq!(
        [&row["committed"], &row["start"], &row["end"]],
        [10, 500, 1000]
    );
    // Not that of the batch, nor of the record before.
    assert_age(&row, first_ms + 500_000);
}

#[test]
fn a_log_that_was_deleted_whole_leaves_no_lag() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("expired", 1, &[]);
    kafka.produce(&topic, &seconds_apart(100, now_ms()));
    commit(kafka, &topic, &topic, &[(0, 40)]);
    kafka.delete_before(&topic, 100);
    let row = row(kafka, &topic);
    assert_eq!(numbers(&row), [Some(0), Some(60), Some(0)]);
    assert_eq!(row["time_lag"], 0);
}

#[test]
fn what_compaction_took_is_not_behind() {
    let Some(kafka) = shared_kafka() else { return };
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "100"),
    ];
    let topic = kafka.topic("compacted", 1, &settings);
    let same = |n: i32| Record::keyed("same", n.to_string());
    kafka.produce(&topic, &(0..3000).map(same).collect::<Vec<_>>());
    commit(kafka, &topic, &topic, &[(0, 100)]);
    let deadline = Instant::now() + 2 * SOON;
    // A segment is cleaned only once a later one is there.
    let surviving = loop {
        kafka.produce(&topic, &[same(0)]);
        std::thread::sleep(std::time::Duration::from_millis(300));
        let records = kafka.records(&topic);
        if records.len() < 100 {
            break records;
        }
        assert!(Instant::now() < deadline, "the log is never compacted");
    };
    let row = row(kafka, &topic);
    let end = row["end"].as_i64().unwrap();
    // It may have been cleaned again meanwhile: the first one that survives comes no earlier.
    let most = end - surviving[0].offset;
    let lag = row["lag"].as_i64().unwrap();
    assert!(lag >= 1 && lag <= most && most < 200, "{lag} of {most}");
    assert_eq!(row["start"], 0);
}

#[test]
fn a_commit_beyond_the_end_is_an_error_and_no_number() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("anew", 1, &[]);
    kafka.produce(&topic, &seconds_apart(10, now_ms()));
    commit(kafka, &topic, &topic, &[(0, 1000)]);
    let row = row(kafka, &topic);
    assert_eq!(numbers(&row), [None, None, None]);
    assert_eq!(row["time_lag"], serde_json::Value::Null);
    assert_eq!(row["note"], "committed 1000 is beyond the end 10");
}

#[test]
fn partitions_that_were_never_committed_are_unknown_with_their_upper_bound() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("never", 10, &[]);
    let records = (0..1000).map(|n| Record {
        partition: Some(n % 10),
        ..Record::of("x")
    });
    kafka.produce(&topic, &records.collect::<Vec<_>>());
    commit(kafka, &topic, &topic, &[(0, 100), (4, 90), (9, 0)]);
    let output = klag(kafka, &topic).args(["-J"]).run().succeeds();
    let rows = rows(output.text());
    let lags: Vec<Option<i64>> = rows.iter().map(|row| row["lag"].as_i64()).collect();
    let mut expected = vec![None; 10];
    (expected[0], expected[4], expected[9]) = (Some(0), Some(10), Some(100));
    assert_eq!(lags, expected);
    assert_eq!(rows[1]["note"], "never committed, at most 100 behind");
    let sum = klag(kafka, &topic).args(["-J", "--by", "group"]).run();
    let sum = super::rows(sum.succeeds().text());
    assert_eq!(numbers(&sum[0]), [Some(110), Some(0), Some(0)]);
    assert_eq!(sum[0]["note"], "7 partitions unknown");
    // In metrics they are one number, and no series of their own.
    let metrics = klag(kafka, &topic)
        .args(["-o", "prometheus"])
        .run()
        .succeeds();
    let never = format!(
        "kafka_consumergroup_group_uncommitted_partitions{{group=\"{topic}\",topic=\"{topic}\"}} 7\n"
    );
    let text = metrics.text();
    assert!(text.contains(&never), "{text}");
    let lag = format!("kafka_consumergroup_group_lag{{group=\"{topic}\"");
    assert_eq!(text.matches(&lag).count(), 3);
}

#[test]
fn a_member_that_never_committed_is_seen() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("stuck", 4, &[]);
    let records = (0..40).map(|n| Record {
        partition: Some(n % 4),
        ..Record::of("x")
    });
    kafka.produce(&topic, &records.collect::<Vec<_>>());
    let member = Member::join(kafka, &topic, &topic, "classic");
    let all = || {
        let output = klag(kafka, &topic).args(["-J", "--time"]).run().succeeds();
        rows(output.text())
    };
    let found = all();
    assert_eq!(found.len(), 4);
    for row in &found {
        assert_eq!(numbers(row), [None, None, None]);
        assert_eq!(row["note"], "never committed, at most 10 behind");
        assert_eq!(
            (&row["state"], &row["client"]),
            (&"Stable".into(), &"reader".into())
        );
        assert!(row["member"].as_str().unwrap().starts_with("reader-"));
        assert_eq!(row["host"], "127.0.0.1");
    }
    member.commit(&topic, &[(2, 7)]);
    let lags: Vec<Option<i64>> = all().iter().map(|row| row["lag"].as_i64()).collect();
    assert_eq!(lags, [None, None, Some(3), None]);
}

#[test]
fn markers_and_aborted_records_are_not_behind() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("transactions", 1, &[]);
    let producer = kafka.producer(&[("transactional.id", &topic)]);
    // 12 transactions of 5 records and a marker, the last two aborted.
    for n in 0..12 {
        producer.begin();
        producer.send(&topic, &seconds_apart(5, now_ms() - HOUR_MS));
        if n < 10 {
            producer.commit();
        } else {
            producer.abort();
        }
    }
    let group = session::unique("reader");
    let of = |committed: i64, properties: &[&str]| {
        commit(kafka, &group, &topic, &[(0, committed)]);
        let command = klag(kafka, &group).args(["-J", "--time"]);
        let output = command.args(properties).run().succeeds();
        let row = &rows(output.text())[0];
        assert_eq!(row["end"], 72);
        (row["lag"].as_i64(), row["time_lag"].as_i64() == Some(0))
    };
    // Behind the last marker, before it, behind the last record that was committed.
    for committed in [72, 71, 59] {
        assert_eq!(of(committed, &[]), (Some(0), true), "{committed}");
    }
    assert_eq!(of(58, &[]), (Some(72 - 58), false));
    // The marker at 53 is no record either.
    assert_eq!(of(53, &[]), (Some(72 - 54), false));
    let all = ["-X", "isolation.level=read_uncommitted"];
    assert_eq!(of(71, &all), (Some(0), true));
    assert_eq!(of(59, &all), (Some(72 - 60), false));
}

#[test]
fn an_open_transaction_blocks_and_is_no_lag() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("open", 1, &[]);
    kafka.produce(&topic, &seconds_apart(10, now_ms() - 2 * HOUR_MS));
    let producer = kafka.producer(&[("transactional.id", &topic)]);
    producer.begin();
    let first_ms = now_ms() - HOUR_MS;
    producer.send(&topic, &seconds_apart(1, first_ms));
    kafka.produce(&topic, &seconds_apart(100, now_ms()));
    commit(kafka, &topic, &topic, &[(0, 10)]);
    let held = row(kafka, &topic);
    assert_eq!(numbers(&held), [Some(0), Some(0), Some(101)]);
    assert_age(&held, first_ms);
    let note = held["note"].as_str().unwrap();
    assert!(
        note.starts_with("101 blocked by an open transaction for 1h"),
        "{note}"
    );
    // A limit is about all that is there, whoever holds it back.
    let limited = |limit: &str| klag(kafka, &topic).args(["--max-lag", limit]).run();
    limited("101").succeeds().stdout_is("");
    limited("100").fails_with(1).stdout_has("lag 101 over 100");
    // Who committed beyond the last stable offset does not wait for it.
    commit(kafka, &topic, &topic, &[(0, 50)]);
    assert_eq!(numbers(&row(kafka, &topic)), [Some(61), Some(0), Some(0)]);
    commit(kafka, &topic, &topic, &[(0, 10)]);
    producer.commit();
    let free = row(kafka, &topic);
    assert_eq!(numbers(&free), [Some(102), Some(0), Some(0)]);
}

#[test]
fn an_idle_topic_s_last_record_is_as_old_as_it_is() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("idle", 1, &[]);
    let first_ms = now_ms() - HOUR_MS - 9000;
    kafka.produce(&topic, &seconds_apart(10, first_ms));
    commit(kafka, &topic, &topic, &[(0, 9)]);
    let row = row(kafka, &topic);
    assert_eq!(numbers(&row), [Some(1), Some(0), Some(0)]);
    assert_age(&row, first_ms + 9000);
}

#[test]
fn a_record_s_own_time_counts_in_every_codec_and_not_its_batch_s() {
    let Some(kafka) = shared_kafka() else { return };
    let first_ms = now_ms() - HOUR_MS;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = kafka.topic("codec", 1, &[]);
        let properties = [("compression.codec", codec), ("linger.ms", "200")];
        kafka
            .producer(&properties)
            .send(&topic, &seconds_apart(60, first_ms));
        commit(kafka, &topic, &topic, &[(0, 1)]);
        assert_age(&row(kafka, &topic), first_ms + 1000);
        commit(kafka, &topic, &topic, &[(0, 59)]);
        assert_age(&row(kafka, &topic), first_ms + 59_000);
    }
    let topic = kafka.topic("append", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let before_ms = now_ms();
    kafka.produce(&topic, &seconds_apart(2, first_ms));
    commit(kafka, &topic, &topic, &[(0, 1)]);
    assert_age(&row(kafka, &topic), before_ms);
}

#[test]
fn batches_larger_than_a_request_s_share_are_read_too() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("large", 3, &[]);
    let first_ms = now_ms() - HOUR_MS;
    // Far more than is asked for of one partition at first.
    for partition in 0..3 {
        let records = (0..3).map(|n| Record {
            partition: Some(partition),
            timestamp_ms: Some(first_ms + n * 1000),
            ..Record::of(vec![b'x'; 300_000])
        });
        kafka.produce(&topic, &records.collect::<Vec<_>>());
    }
    commit(kafka, &topic, &topic, &[(0, 1), (1, 2), (2, 0)]);
    let output = klag(kafka, &topic).args(["-J", "--time"]).run().succeeds();
    for (row, (lag, delay_ms)) in rows(output.text())
        .iter()
        .zip([(2, 1000), (1, 2000), (3, 0)])
    {
        assert_eq!(numbers(row), [Some(lag), Some(0), Some(0)]);
        assert_age(row, first_ms + delay_ms);
    }
}

#[test]
fn a_moving_log_is_never_ahead_of_itself() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("moving", 1, &[]);
    let is_over = Over(AtomicBool::new(false));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let producer = kafka.producer(&[]);
            let mut written = 0;
            while !is_over.0.load(Ordering::Relaxed) {
                let records: Vec<Record> = (0..50).map(|n| Record::of(n.to_string())).collect();
                producer.send(&topic, &records);
                written += 50;
                // Read to the end at once: only its reader's position moves with the log.
                commit(kafka, &topic, &topic, &[(0, written)]);
            }
        });
        // However this ends, so does the thread.
        let _end = End(&is_over);
        let deadline = Instant::now() + SOON;
        while kafka.committed(&topic, &topic).is_empty() {
            assert!(Instant::now() < deadline, "nothing is committed");
        }
        for _ in 0..10 {
            let output = klag(kafka, &topic).args(["-J"]).run().succeeds();
            let row = &rows(output.text())[0];
            assert!(row["lag"].as_i64().is_some_and(|lag| lag >= 0), "{row}");
        }
    });
}

/// Whether the writer may end.
struct Over(AtomicBool);

/// Tells the writer to end when it goes.
struct End<'a>(&'a Over);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
