//! All formats, topics and disks, watching, and the mock.

use super::{at, koldest, now_ms, rows};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{Terminal, shell};
use crate::testkit::mock::Mock;
use rustix::process::Signal;
use std::time::Duration;

const COLUMNS: &str = "topic,partition,oldest_offset,oldest_time,age,newest_time,stale,records,bytes,rate_records,\
rate_bytes,retention_ms,retention_bytes,binds,keeps_min,keeps_max,full_in,note";

#[test]
fn every_format_has_every_column() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("formats", 1, &[]);
    kafka.produce(&topic, &[at(now_ms() - 60_000, "x"), at(now_ms(), "y")]);
    let csv = koldest(kafka, &["-o", "csv", &topic]).run().succeeds();
    assert_eq!(csv.lines()[0], COLUMNS);
    let tsv = koldest(kafka, &["--header", &topic]).run().succeeds();
    assert_eq!(tsv.lines()[0], COLUMNS.replace(',', "\t"));
    assert_eq!(
        tsv.lines()[1].split('\t').count(),
        COLUMNS.split(',').count()
    );
    let json = koldest(kafka, &["-J", &topic]).run().succeeds();
    let keys: Vec<String> = rows(&json)[0]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys.join(","), COLUMNS);
    koldest(kafka, &["-o", "prometheus", &topic])
        .run()
        .succeeds()
        .stdout_has(format!(
            "koldest_records{{topic=\"{topic}\",partition=\"0\"}} 2\n"
        ))
        .stdout_has("koldest_keeps_min_seconds{")
        .stdout_has("koldest_age_seconds{");
    koldest(kafka, &["-o", "table", &topic])
        .run()
        .succeeds()
        .stdout_has("OLDEST_TIME");
    let file = crate::testkit::session::folder("koldest-write").join("report.csv");
    let name = file.display().to_string();
    koldest(kafka, &["-o", "csv", "--write", &name, &topic])
        .run()
        .succeeds()
        .stdout_is("");
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().next(), Some(COLUMNS));
}

#[test]
fn topics_are_chosen_by_name_and_pattern_and_internal_ones_only_on_request() {
    let Some(kafka) = shared_kafka() else { return };
    let one = kafka.topic_of("chosen-one", &["x"]);
    let two = kafka.topic_of("chosen-two", &["x"]);
    let named = |args: &[&str]| -> Vec<String> {
        let rows = rows(&koldest(kafka, args).run().succeeds());
        rows.iter()
            .map(|row| row["topic"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(named(&["-J", "^chosen-"]), [one.clone(), two.clone()]);
    assert_eq!(named(&["-J", "^chosen-", "--exclude", &one]), [two]);
    assert_eq!(named(&["-J", "-t", &one])[0], one);
    // A transaction makes a topic of the cluster's own.
    let producer = kafka.producer(&[("transactional.id", &one)]);
    producer.begin();
    producer.send(&one, &[Record::of("y")]);
    producer.commit();
    let books = "__transaction_state".to_owned();
    assert!(!named(&["-J", "--by", "topic"]).contains(&books));
    assert!(named(&["-J", "--by", "topic", "--internal"]).contains(&books));
    assert!(named(&["-J", "--by", "topic", &books]).contains(&books));
}

#[test]
fn a_disk_is_as_full_as_the_machine_says() {
    let Some(kafka) = shared_kafka() else { return };
    kafka.topic_of("disks", &["x"]);
    let output = koldest(kafka, &["-J", "--by", "broker"]).run().succeeds();
    let rows = rows(&output);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row["broker"], 1);
    let df = shell("df -B1 --output=size \"$DIR\" | tail -1")
        .env("DIR", row["log_dir"].as_str().unwrap())
        .run()
        .succeeds();
    let size: i64 = df.text().trim().parse().unwrap();
    assert_eq!(row["total_bytes"], size);
    let used = row["used_bytes"].as_i64().unwrap();
    assert_eq!(used + row["usable_bytes"].as_i64().unwrap(), size);
    assert!(row["replicas"].as_i64().unwrap() > 0);
}

#[test]
fn the_mock_is_read_where_it_cannot_be_asked() {
    let mock = Mock::start(2);
    let topic = mock.topic("mocked", 3, &[]);
    let start_ms = now_ms() - 10_000;
    let records: Vec<Record> = (0..50)
        .map(|n| Record {
            partition: Some(n % 2),
            ..at(start_ms + i64::from(n), "x")
        })
        .collect();
    mock.produce(&topic, &records);
    let rows = rows(&koldest(&mock, &["-J", &topic]).run().succeeds());
    let times = |n: usize| {
        (
            rows[n]["oldest_time"].as_i64(),
            rows[n]["newest_time"].as_i64(),
        )
    };
    assert_eq!(times(0), (Some(start_ms), Some(start_ms + 48)));
    assert_eq!(times(1), (Some(start_ms + 1), Some(start_ms + 49)));
    assert_eq!(times(2), (None, None));
    let note = rows[0]["note"].as_str().unwrap();
    for missing in ["rate not known", "bytes not known", "settings not known"] {
        assert!(note.contains(missing), "{note}");
    }
    koldest(&mock, &["--by", "broker"])
        .run()
        .fails_with(2)
        .stderr_has("log dirs");
}

#[test]
fn watching_shows_what_comes_in() {
    let mock = Mock::start(1);
    let topic = mock.topic_of("watched", &["x"]);
    let mut pipe = koldest(&mock, &["-J", "--watch", "300ms", &topic]).start();
    pipe.stdout_until("\"records\":1", Duration::from_secs(10));
    mock.produce(&topic, &[Record::of("y")]);
    pipe.stdout_until("\"records\":2", Duration::from_secs(10));
    pipe.signal(Signal::INT);
    let output = pipe.wait().succeeds();
    assert!(
        rows(&output)
            .iter()
            .all(|row| row["time"].as_i64().is_some())
    );
    let terminal = Terminal {
        stdout: true,
        ..Terminal::default()
    };
    let mut screen = koldest(&mock, &["--watch", "300ms", &topic])
        .on_terminal(terminal)
        .start();
    screen.screen_until("every 300ms", Duration::from_secs(10));
    mock.produce(&topic, &[Record::of("z")]);
    screen.screen_until("+1", Duration::from_secs(10));
    screen.signal(Signal::INT);
    screen.wait().succeeds();
}
