//! Logs that are not plain: transactions, compaction, deleted records, batches of every kind.

use super::{at, consume};
use crate::testkit::broker::{Spec, own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::output::lines;
use std::time::{Duration, Instant};

#[test]
fn a_transaction_marker_at_the_end_is_the_end() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("marker", 1, &[]);
    let producer = kafka.producer(&[("transactional.id", &topic)]);
    producer.begin();
    producer.send(&topic, &[Record::of("committed")]);
    producer.commit();
    producer.begin();
    producer.send(&topic, &[Record::of("aborted")]);
    producer.abort();
    consume(kafka, &topic)
        .run()
        .succeeds()
        .stdout_is("committed\n");
    consume(kafka, &topic)
        .args(["-o", "-1"])
        .run()
        .succeeds()
        .stdout_is("");
    let all = consume(kafka, &topic)
        .args(["-X", "isolation.level=read_uncommitted"])
        .run()
        .succeeds();
    all.stdout_is("committed\naborted\n");
}

#[test]
fn an_open_transaction_ends_the_run_at_the_last_stable_offset() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("open", &["before"]);
    let producer = kafka.producer(&[("transactional.id", &topic)]);
    producer.begin();
    producer.send(&topic, &[Record::of("open")]);
    kafka.produce(&topic, &[Record::of("after")]);
    consume(kafka, &topic)
        .run()
        .succeeds()
        .stdout_is("before\n");
    let all = consume(kafka, &topic)
        .args(["-X", "isolation.level=read_uncommitted"])
        .run()
        .succeeds();
    all.stdout_is("before\nopen\nafter\n");
    producer.commit();
    consume(kafka, &topic)
        .run()
        .succeeds()
        .stdout_is("before\nopen\nafter\n");
}

#[test]
fn aborted_records_between_others_are_left_out() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("interleaved", 1, &[]);
    let first = kafka.producer(&[("transactional.id", &format!("{topic}-1"))]);
    let second = kafka.producer(&[("transactional.id", &format!("{topic}-2"))]);
    for round in 0..20 {
        first.begin();
        second.begin();
        first.send(&topic, &[Record::of(format!("first {round}"))]);
        second.send(&topic, &[Record::of(format!("second {round}"))]);
        kafka.produce(&topic, &[Record::of(format!("plain {round}"))]);
        first.send(&topic, &[Record::of(format!("first again {round}"))]);
        if round % 3 == 0 {
            first.commit();
        } else {
            first.abort();
        }
        if round % 2 == 0 {
            second.abort();
        } else {
            second.commit();
        }
    }
    let expected = lines(kafka.values(&topic));
    assert_eq!(expected.lines().count(), 20 + 7 * 2 + 10);
    consume(kafka, &topic).run().succeeds().stdout_is(&expected);
    // Starting in the middle of a batch, of a transaction, at a marker: the same answer as librdkafka's.
    for offset in [1, 2, 3, 4, 5, 6, 50, 119] {
        let records = kafka.records(&topic);
        let rest = records.iter().filter(|record| record.offset >= offset);
        let rest = lines(rest.map(Record::text));
        consume(kafka, &topic)
            .args(["-o", &offset.to_string()])
            .run()
            .succeeds()
            .stdout_is(rest);
    }
}

#[test]
fn deleted_records_are_not_shown_though_their_batch_is_still_there() {
    let Some(kafka) = shared_kafka() else { return };
    for codec in ["none", "lz4", "zstd", "gzip", "snappy"] {
        let topic = kafka.topic("deleted", 1, &[]);
        let records: Vec<Record> = (0..100).map(|n| Record::of(format!("{n}"))).collect();
        kafka
            .producer(&[("compression.codec", codec), ("linger.ms", "200")])
            .send(&topic, &records);
        kafka.delete_before(&topic, 42);
        let expected = lines(42..100);
        consume(kafka, &topic).run().succeeds().stdout_is(&expected);
        let middle = lines(77..100);
        consume(kafka, &topic)
            .args(["-o", "77"])
            .run()
            .succeeds()
            .stdout_is(middle);
    }
}

#[test]
fn a_topic_whose_records_are_all_deleted_is_empty() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("all-deleted", &["one", "two"]);
    kafka.delete_before(&topic, 2);
    consume(kafka, &topic).run().succeeds().stdout_is("");
}

#[test]
fn a_compacted_log_has_holes_and_an_end() {
    let Some(kafka) = shared_kafka() else { return };
    let settings = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("segment.ms", "100"),
        ("max.compaction.lag.ms", "100"),
        ("delete.retention.ms", "0"),
    ];
    let topic = kafka.topic("compacted", 1, &settings);
    for round in 0..4 {
        let records: Vec<Record> = (0..10)
            .map(|key| Record::keyed(format!("{key}"), format!("{key} of round {round}")))
            .collect();
        kafka.produce(&topic, &records);
        std::thread::sleep(Duration::from_millis(150));
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while kafka.records(&topic).len() == 40 {
        assert!(Instant::now() < deadline, "the log is never compacted");
        std::thread::sleep(Duration::from_millis(100));
    }
    let records = kafka.records(&topic);
    let expected = lines(records.iter().map(|r| format!("{} {}", r.offset, r.text())));
    consume(kafka, &topic)
        .args(["-f", "%o %s\\n"])
        .run()
        .succeeds()
        .stdout_is(expected);
}

#[test]
fn the_brokers_own_time_is_shown_where_the_topic_says_so() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic(
        "append-time",
        1,
        &[("message.timestamp.type", "LogAppendTime")],
    );
    let record = Record {
        timestamp_ms: Some(1_000),
        ..Record::of("v")
    };
    kafka
        .producer(&[("compression.codec", "lz4")])
        .send(&topic, &[record]);
    let shown = kafka.records(&topic)[0].timestamp_ms.unwrap();
    assert!(shown > 1_000);
    consume(kafka, &topic)
        .args(["-f", "%T\\n"])
        .run()
        .succeeds()
        .stdout_is(format!("{shown}\n"));
    let json = consume(kafka, &topic).arg("-J").run().succeeds();
    json.stdout_has("\"tstype\":\"logappend\"")
        .stdout_has(format!("\"ts\":{shown}"));
}

#[test]
fn a_partition_whose_leader_moves_is_read_on() {
    let Some(kafka) = Spec::new().brokers(3).start() else {
        return;
    };
    let topic = kafka.topic("leaders", 6, &[]);
    let record = |partition: i32, n: i32| Record {
        partition: Some(partition),
        ..Record::of(format!("{partition} {n}"))
    };
    let batch = |n: i32| {
        (0..6)
            .map(|partition| record(partition, n))
            .collect::<Vec<_>>()
    };
    kafka.produce(&topic, &batch(0));
    let mut program = super::at(&kafka, &["-C", "-q", "-t", &topic, "-c", "18"])
        .limit(Duration::from_secs(120))
        .start();
    for partition in 0..6 {
        program.stdout_until(format!("{partition} 0\n"), super::SOON);
    }
    kafka.kill(2);
    kafka.produce(&topic, &batch(1));
    for partition in 0..6 {
        program.stdout_until(format!("{partition} 1\n"), Duration::from_secs(60));
    }
    kafka.start_again(2);
    kafka.produce(&topic, &batch(2));
    let output = program.wait().succeeds();
    for partition in 0..6 {
        let own: Vec<&str> = output
            .lines()
            .into_iter()
            .filter(|line| line.starts_with(&format!("{partition} ")))
            .collect();
        let expected: Vec<String> = (0..3).map(|n| format!("{partition} {n}")).collect();
        assert_eq!(own, expected);
    }
}

#[test]
fn a_damaged_record_is_handed_on_by_no_reader_and_not_committed() {
    // Of its own: other tests read every topic of the shared one.
    let Some(kafka) = own_kafka() else { return };
    let topic = kafka.topic("damaged", 1, &[]);
    kafka.produce(&topic, &[Record::of("first")]);
    kafka.produce(&topic, &[Record::of("precious")]);
    let path = kafka.segment(1, &topic, 0);
    let mut bytes = std::fs::read(&path).unwrap();
    let at_byte = memchr::memmem::find(&bytes, b"precious").unwrap();
    bytes[at_byte] = b'q';
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at_byte as u64)).unwrap();
    std::io::Write::write_all(&mut file, &bytes[at_byte..=at_byte]).unwrap();
    let group = crate::testkit::session::unique("damaged");
    let readers: [&[&str]; 4] = [
        &["-C", "-t", &topic],
        &["-C", "-t", &topic, "--engine", "librdkafka"],
        &["-G", &group, &topic],
        &["-G", &group, &topic, "--exec", "cat"],
    ];
    for reader in readers {
        let output = at(&kafka, reader)
            .args(["-e", "-q", "-X", "auto.offset.reset=earliest"])
            .run()
            .fails_with(2);
        assert!(
            ["", "first\n"].contains(&output.text()),
            "{}",
            output.text()
        );
        if reader[0] == "-G" {
            let committed = kafka.committed(&group, &topic);
            let offset = committed.get(&0).copied();
            assert!(offset.is_none_or(|offset| offset <= 1), "{committed:?}");
        }
    }
}
