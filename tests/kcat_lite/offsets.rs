//! Where consumption starts and ends: every form of `-o`.

use super::{SOON, at, consume};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record, any};
use crate::testkit::output::Output;
use crate::testkit::session;

#[test]
fn an_offset_is_absolute_or_counted_from_the_end() {
    let cluster = any();
    let topic = cluster.topic_of("absolute", &["0", "1", "2", "3"]);
    let cases = [
        ("beginning", "0\n1\n2\n3\n"),
        ("end", ""),
        ("2", "2\n3\n"),
        ("-1", "3\n"),
        ("-3", "1\n2\n3\n"),
        ("-100", "0\n1\n2\n3\n"),
        ("4", ""),
    ];
    for (offset, expected) in cases {
        consume(&*cluster, &topic)
            .args(["-o", offset])
            .run()
            .succeeds()
            .stdout_is(expected);
        let joined = format!("-o{offset}");
        consume(&*cluster, &topic)
            .args([joined])
            .run()
            .succeeds()
            .stdout_is(expected);
    }
}

#[test]
fn a_tail_is_counted_in_each_partition() {
    let cluster = any();
    let topic = cluster.topic("tail", 2, &[]);
    let record = |partition: i32, n: u32| Record {
        partition: Some(partition),
        ..Record::of(format!("{partition}-{n}"))
    };
    cluster.produce(
        &topic,
        &[record(0, 0), record(0, 1), record(0, 2), record(1, 0)],
    );
    let output = consume(&*cluster, &topic)
        .args(["-o", "-2"])
        .run()
        .succeeds();
    let mut lines = output.lines();
    lines.sort_unstable();
    assert_eq!(lines, ["0-1", "0-2", "1-0"]);
}

#[test]
fn an_offset_that_the_log_does_not_have_says_so() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("out-of-range", &["0", "1", "2"]);
    kafka.delete_before(&topic, 2);
    for offset in ["0", "1000"] {
        let output = consume(kafka, &topic).args(["-o", offset]).run();
        output
            .fails_with(2)
            .stdout_is("")
            .stderr_has("out of range");
    }
    let latest = ["-o", "1000", "-X", "auto.offset.reset=latest"];
    consume(kafka, &topic)
        .args(latest)
        .run()
        .succeeds()
        .stdout_is("");
    let earliest = ["-o", "0", "-X", "auto.offset.reset=earliest"];
    consume(kafka, &topic)
        .args(earliest)
        .run()
        .succeeds()
        .stdout_is("2\n");
}

#[test]
fn a_time_starts_and_ends_consumption() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("times", 1, &[]);
    let at_time = |ms: i64| Record {
        timestamp_ms: Some(ms),
        ..Record::of(ms.to_string())
    };
    let records: Vec<Record> = [1_000, 2_000, 3_000, 4_000].map(at_time).to_vec();
    kafka.produce(&topic, &records);
    let cases: [(&[&str], &str); 11] = [
        (&["-o", "s@@2", "-o", "e@@3.5"], "2000\n3000\n"),
        (&["-o", "e@2 hours ago"], "1000\n2000\n3000\n4000\n"),
        (&["-o", "s@2000"], "2000\n3000\n4000\n"),
        (&["-o", "s@2001"], "3000\n4000\n"),
        (&["-o", "s@0"], "1000\n2000\n3000\n4000\n"),
        (&["-o", "s@5000"], ""),
        (&["-o", "e@3000"], "1000\n2000\n"),
        (&["-o", "s@2000", "-o", "e@4000"], "2000\n3000\n"),
        (&["-o", "s@1970-01-01T00:00:02Z"], "2000\n3000\n4000\n"),
        (
            &[
                "-o",
                "s@1970-01-01T00:00:02.500Z",
                "-o",
                "e@1970-01-01T00:00:04Z",
            ],
            "3000\n",
        ),
        (&["-o", "s@now-1h"], ""),
    ];
    for (offset, expected) in cases {
        consume(kafka, &topic)
            .args(offset)
            .run()
            .succeeds()
            .stdout_is(expected);
    }
}

#[test]
fn a_time_to_stop_at_waits_for_a_record_of_that_time() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("stop", 1, &[]);
    let at_time = |ms: i64| Record {
        timestamp_ms: Some(ms),
        ..Record::of(ms.to_string())
    };
    kafka.produce(&topic, &[at_time(1_000)]);
    let mut program = at(
        kafka,
        &["-C", "-q", "-o", "beginning", "-o", "e@2000", "-t", &topic],
    )
    .start();
    program.stdout_until("1000\n", super::SOON);
    assert!(program.runs());
    kafka.produce(&topic, &[at_time(1_500), at_time(2_500)]);
    program.wait().succeeds().stdout_is("1000\n1500\n");
}

#[test]
fn the_stored_offset_is_the_groups() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("stored", &["0", "1", "2", "3"]);
    let group = session::unique("stored");
    at(
        kafka,
        &[
            "-G",
            &group,
            &topic,
            "-c",
            "2",
            "-X",
            "auto.offset.reset=earliest",
        ],
    )
    .run()
    .succeeds()
    .stdout_is("0\n1\n");
    let id = format!("group.id={group}");
    consume(kafka, &topic)
        .args(["-o", "stored", "-X", &id])
        .run()
        .succeeds()
        .stdout_is("2\n3\n");
}

#[test]
fn an_offset_that_one_partition_lacks_does_not_keep_the_others_from_being_read() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = super::habits::wide(kafka);
    let nine = |output: Output| {
        assert_eq!(output.lines().len(), 9, "{}", output.story());
        output
            .stderr_has("[0]: offset 3 is out of range, which is 0 to 0")
            .stderr_has("auto.offset.reset")
    };
    for engine in ["wire", "librdkafka"] {
        let read = |args: &[&str]| {
            let read = at(kafka, &["-C", "-t", &topic, "-o", "3", "--engine", engine]);
            read.args(args).run()
        };
        for args in [&["-e", "-q"][..], &["-q"], &["-e", "-q", "-E"]] {
            nine(read(args).fails_with(2));
        }
        let reset = |policy: &str| {
            let property = format!("auto.offset.reset={policy}");
            let output = read(&["-e", "-X", &property]).succeeds();
            assert_eq!(output.lines().len(), 9, "{}", output.story());
            output.stderr_has("out of range")
        };
        reset("latest");
        reset("earliest");
    }
    // -E goes on reading what comes.
    let mut tail = at(kafka, &["-C", "-q", "-E", "-t", &topic, "-o", "3"]).start();
    tail.stderr_until("out of range", SOON);
    let late = Record {
        partition: Some(1),
        ..Record::of("late")
    };
    kafka.produce(&topic, &[late]);
    tail.stdout_until("late\n", SOON);
    tail.signal(rustix::process::Signal::TERM);
    tail.wait().fails_with(2);
}

#[test]
fn what_a_group_has_committed_may_be_out_of_range_too() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("stored-range", 2, &[]);
    let record = |partition: i32, n: u32| Record {
        partition: Some(partition),
        ..Record::of(format!("{partition}-{n}"))
    };
    kafka.produce(&topic, &[record(0, 0), record(0, 1), record(1, 0)]);
    let group = session::unique("stored-range");
    kafka.commit_offset(&group, &topic, 0, 5000);
    kafka.commit_offset(&group, &topic, 1, 0);
    let id = format!("group.id={group}");
    for engine in ["wire", "librdkafka"] {
        let stored = |args: &[&str]| {
            at(
                kafka,
                &["-C", "-e", "-t", &topic, "-o", "stored", "-X", &id],
            )
            .args(["--engine", engine])
            .args(args)
            .run()
        };
        stored(&[])
            .fails_with(2)
            .stdout_is("1-0\n")
            .stderr_has("offset 5000 is out of range, which is 0 to 2");
        stored(&["-X", "auto.offset.reset=error"])
            .fails_with(2)
            .stdout_is("1-0\n");
        stored(&["-X", "auto.offset.reset=latest"])
            .succeeds()
            .stdout_is("1-0\n");
        let earliest = stored(&["-X", "auto.offset.reset=earliest"]);
        let mut lines: Vec<String> = earliest.lines().iter().map(|&l| l.to_owned()).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["0-0", "0-1", "1-0"]);
        earliest
            .succeeds()
            .stderr_has("offset 5000 is out of range");
    }
}
