//! From stdin and files to records: where they go and when.

use super::{SOON, at, produce};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record, any};
use crate::testkit::output::lines;
use crate::testkit::session;
use std::time::Duration;

#[test]
fn a_line_typed_into_an_open_pipe_is_sent_at_once() {
    let cluster = any();
    let topic = cluster.topic("typed", 1, &[]);
    let mut program = produce(&*cluster, &topic).stdin_open().start();
    program.write("one\n");
    cluster.wait_for_records(&topic, 1, SOON);
    program.write("two\npart");
    assert_eq!(cluster.wait_for_records(&topic, 2, SOON), ["one", "two"]);
    program.write("ial\n");
    assert_eq!(
        cluster.wait_for_records(&topic, 3, SOON),
        ["one", "two", "partial"]
    );
    program.close_stdin();
    program.wait().succeeds();
}

#[test]
fn a_keyed_line_of_tsv_is_sent_at_once_too() {
    let cluster = any();
    let topic = cluster.topic("typed-tsv", 1, &[]);
    let mut program = produce(&*cluster, &topic).arg("--tsv").stdin_open().start();
    program.write("k\tv\n");
    cluster.wait_for_records(&topic, 1, SOON);
    program.close_stdin();
    program.wait().succeeds();
}

#[test]
fn each_file_is_one_record_even_an_empty_one() {
    let cluster = any();
    let topic = cluster.topic("files", 1, &[]);
    let folder = session::folder("files");
    std::fs::write(folder.join("a"), "line one\nline two\n").unwrap();
    std::fs::write(folder.join("b"), "").unwrap();
    std::fs::write(folder.join("c"), b"\xff\0").unwrap();
    produce(&*cluster, &topic)
        .args(["-k", "key", "a", "b", "c"])
        .inside(&folder)
        .run()
        .succeeds();
    let values: Vec<_> = cluster
        .records(&topic)
        .into_iter()
        .map(|r| (r.key.unwrap(), r.value.unwrap()))
        .collect();
    let key = b"key".to_vec();
    let expected = [
        b"line one\nline two\n".to_vec(),
        Vec::new(),
        b"\xff\0".to_vec(),
    ];
    assert_eq!(values, expected.map(|value| (key.clone(), value)));
}

#[test]
fn a_file_that_is_not_there_is_named_and_the_others_arrive() {
    let cluster = any();
    let topic = cluster.topic("missing-file", 1, &[]);
    let folder = session::folder("missing-file");
    std::fs::write(folder.join("a"), "one").unwrap();
    std::fs::write(folder.join("c"), "three").unwrap();
    let output = produce(&*cluster, &topic)
        .args(["a", "missing", "c"])
        .inside(&folder)
        .run();
    output.fails_with(2).stderr_has("missing");
    assert_eq!(cluster.values(&topic), ["one", "three"]);
}

/// The cause was left out.
#[test]
fn a_file_that_can_t_be_read_is_named_with_its_cause_and_what_of_it_was_sent() {
    let cluster = any();
    let topic = cluster.topic("unreadable", 1, &[]);
    let folder = session::folder("unreadable");
    let produce = |args: &[&str]| {
        let produce = produce(&*cluster, &topic).args(args);
        produce.inside(&folder).run().fails_with(2)
    };
    for args in [&["-l", "."][..], &["."]] {
        produce(args).stderr_has(".: ").stderr_has("Is a directory");
    }
    produce(&["-l", "."]).stderr_has("nothing of it was sent");
}

#[test]
fn a_line_file_is_read_like_stdin() {
    let cluster = any();
    let topic = cluster.topic("line-file", 1, &[]);
    let folder = session::folder("line-file");
    std::fs::write(folder.join("a"), "k:one\n\nk:two").unwrap();
    produce(&*cluster, &topic)
        .args(["-K", ":", "-l", "a"])
        .inside(&folder)
        .run()
        .succeeds();
    assert_eq!(cluster.values(&topic), ["one", "two"]);
    produce(&*cluster, &topic)
        .args(["-l", "/dev/stdin"])
        .stdin("three\n")
        .run()
        .succeeds();
    assert_eq!(cluster.values(&topic), ["one", "two", "three"]);
    produce(&*cluster, &topic)
        .args(["-l", "missing"])
        .inside(&folder)
        .run()
        .fails_with(2)
        .stderr_has("missing");
}

#[test]
fn the_input_is_passed_on_with_its_delimiters() {
    let cluster = any();
    let topic = cluster.topic("tee", 1, &[]);
    produce(&*cluster, &topic)
        .arg("-T")
        .stdin("a\nb\n")
        .run()
        .succeeds()
        .stdout_is("a\nb\n");
    produce(&*cluster, &topic)
        .args(["-T", "-D", "::", "-K", ":"])
        .stdin("k:a::k:b::")
        .run()
        .succeeds()
        .stdout_is("k:a::k:b::");
    produce(&*cluster, &topic)
        .args(["-T", "--tsv"])
        .stdin("k\ta\n")
        .run()
        .succeeds()
        .stdout_is("k\ta\n");
    assert_eq!(cluster.values(&topic), ["a", "b", "a", "b", "a"]);
}

#[test]
fn a_count_ends_production() {
    let cluster = any();
    let topic = cluster.topic("count", 1, &[]);
    let mut program = produce(&*cluster, &topic)
        .args(["-c", "2"])
        .stdin_open()
        .start();
    program.write("one\ntwo\nthree\n");
    // Its input is still open: the count alone ends it.
    program.wait().succeeds();
    assert_eq!(cluster.values(&topic), ["one", "two"]);
}

#[test]
fn a_partition_is_obeyed_and_one_that_is_not_there_is_an_error() {
    let cluster = any();
    let topic = cluster.topic("partition", 3, &[]);
    produce(&*cluster, &topic)
        .args(["-p", "2"])
        .stdin("a\nb\n")
        .run()
        .succeeds();
    assert_eq!(cluster.watermarks(&topic, 2), (0, 2));
    produce(&*cluster, &topic)
        .args(["-p", "-1"])
        .stdin("c\n")
        .run()
        .succeeds();
    assert_eq!(cluster.records(&topic).len(), 3);
    let output = produce(&*cluster, &topic)
        .args(["-p", "7"])
        .stdin("d\n")
        .run()
        .fails_with(2);
    output
        .stderr_has("1 record not delivered")
        .stderr_has("partition");
    assert_eq!(cluster.records(&topic).len(), 3);
}

#[test]
fn keys_are_placed_as_java_places_them() {
    let cluster = any();
    let (ours, theirs) = (
        cluster.topic("ours", 7, &[]),
        cluster.topic("theirs", 7, &[]),
    );
    let keys: Vec<String> = (0..200).map(|n| format!("key-{n}")).collect();
    let records: Vec<Record> = keys
        .iter()
        .map(|key| Record {
            partition: None,
            ..Record::keyed(key.as_str(), "v")
        })
        .collect();
    cluster
        .producer(&[("partitioner", "murmur2_random")])
        .send(&theirs, &records);
    let input = lines(keys.iter().map(|key| format!("{key}:v")));
    produce(&*cluster, &ours)
        .args(["-K", ":"])
        .stdin(&input)
        .run()
        .succeeds();
    let placed = |topic: &str| {
        let mut placed: Vec<_> = cluster
            .records(topic)
            .into_iter()
            .map(|r| (r.key, r.partition))
            .collect();
        placed.sort();
        placed
    };
    assert_eq!(placed(&ours), placed(&theirs));
    let named = cluster.topic("named", 7, &[]);
    let other = cluster.topic("other", 7, &[]);
    cluster
        .producer(&[("partitioner", "fnv1a")])
        .send(&other, &records);
    produce(&*cluster, &named)
        .args(["-K", ":", "-X", "partitioner=fnv1a"])
        .stdin(&input)
        .run()
        .succeeds();
    assert_eq!(placed(&named), placed(&other));
}

#[test]
fn every_codec_is_readable_by_others() {
    let cluster = any();
    let input = lines((0..1000).map(|n| format!("a line that compresses well {n}")));
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = cluster.topic(codec, 1, &[]);
        produce(&*cluster, &topic)
            .args(["-z", codec])
            .stdin(&input)
            .run()
            .succeeds();
        assert_eq!(lines(cluster.values(&topic)), input, "-z {codec}");
        super::consume(&*cluster, &topic)
            .run()
            .succeeds()
            .stdout_is(&input);
    }
}

#[test]
fn all_of_stdin_is_one_transaction() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("transaction", 1, &[]);
    let id = format!("transactional.id={topic}");
    let mut program = produce(kafka, &topic)
        .args(["-X", &id])
        .stdin_open()
        .start();
    program.write("one\ntwo\n");
    let uncommitted = [("isolation.level", "read_uncommitted")];
    let deadline = std::time::Instant::now() + SOON;
    while kafka.records_with(&topic, &uncommitted).len() < 2 {
        assert!(
            std::time::Instant::now() < deadline,
            "the records are not sent before the end"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(kafka.values(&topic), [""; 0]);
    program.close_stdin();
    program.wait().succeeds();
    assert_eq!(kafka.values(&topic), ["one", "two"]);
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("transaction-fails", 1, &[]);
    let id = format!("transactional.id={topic}");
    let output = produce(kafka, &topic)
        .args(["--tsv", "-X", &id])
        .stdin("k\tone\nk\ttwo\nmalformed\n")
        .run();
    output.fails_with(2).stderr_has("2 records not delivered");
    assert_eq!(kafka.values(&topic), [""; 0]);
    // Nothing is left open: what comes after is visible at once.
    produce(kafka, &topic).stdin("after\n").run().succeeds();
    assert_eq!(kafka.values(&topic), ["after"]);
}

#[test]
fn a_topic_that_is_not_there_is_made_where_the_broker_makes_topics() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = session::unique("made");
    produce(kafka, &topic).stdin("one\n").run().succeeds();
    assert_eq!(kafka.values(&topic), ["one"]);
}

#[test]
fn a_file_that_is_one_record_is_passed_on_too() {
    let cluster = any();
    let topic = cluster.topic("whole-tee", 1, &[]);
    let folder = session::folder("whole-tee");
    std::fs::write(folder.join("f"), "two\nlines").unwrap();
    at(&*cluster, &["-P", "-T", "-t", &topic, "f"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is("two\nlines");
    assert_eq!(cluster.values(&topic), ["two\nlines"]);
}
