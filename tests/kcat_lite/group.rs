//! Balanced consumers: what is shown once, and what is committed of it.

use super::{SOON, at};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, Terminal, shell};
use crate::testkit::output::ended_lines;
use crate::testkit::session;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a pipe holds beyond what its reader has read (pipe(7)).
const PIPE_BYTES: i64 = 65536;

/// `kcat-lite -G` from the beginning of the topic, eager to commit.
fn group(kafka: &Kafka, group: &str, topic: &str) -> Cmd {
    let properties = [
        "-X",
        "auto.offset.reset=earliest",
        "-X",
        "auto.commit.interval.ms=100",
        "-X",
        "session.timeout.ms=6000",
    ];
    at(kafka, &["-G", group, topic]).args(properties)
}

/// A topic of one partition with so many lines of 20 bytes, newline and all.
fn numbered(kafka: &Kafka, count: usize) -> String {
    let topic = kafka.topic("numbered", 1, &[]);
    let records: Vec<Record> = (0..count)
        .map(|n| Record::of(format!("{n:0>19}")))
        .collect();
    kafka.produce(&topic, &records);
    topic
}

fn committed(kafka: &Kafka, group: &str, topic: &str) -> i64 {
    kafka.committed(group, topic).get(&0).copied().unwrap_or(0)
}

#[test]
fn a_terminal_shows_what_a_member_waits_for_until_its_first_record() {
    let Some(kafka) = shared_kafka() else { return };
    for way in [&["-u"][..], &["--exec", "cat"]] {
        let topic = kafka.topic("waits", 1, &[]);
        let name = session::unique("waits");
        let terminal = Terminal {
            stderr: true,
            ..Terminal::default()
        };
        let mut screen = group(kafka, &name, &topic)
            .args(way)
            .on_terminal(terminal)
            .start();
        screen.screen_until("waiting for records, ", SOON);
        kafka.produce(&topic, &[Record::of("first")]);
        screen.stdout_until("first\n", SOON);
        screen.signal(Signal::TERM);
        screen.wait().succeeds();
    }
}

#[test]
fn a_group_reads_to_the_end_and_goes_on_there() {
    let Some(kafka) = shared_kafka() else { return };
    for protocol in ["classic", "consumer"] {
        let topic = kafka.topic("on", 3, &[]);
        let record = |n: i32| Record {
            partition: Some(n % 3),
            ..Record::of(n.to_string())
        };
        kafka.produce(&topic, &(0..9).map(record).collect::<Vec<_>>());
        let name = session::unique("on");
        // The session time-out of the new protocol is the broker's, and librdkafka refuses one of ours.
        let command = || {
            let command = at(
                kafka,
                &[
                    "-G",
                    &name,
                    &topic,
                    "-e",
                    "-q",
                    "-X",
                    "auto.offset.reset=earliest",
                ],
            );
            command.args(["-X", &format!("group.protocol={protocol}")])
        };
        let output = command().run().succeeds();
        let mut lines = output.lines();
        lines.sort_unstable();
        assert_eq!(
            lines,
            ["0", "1", "2", "3", "4", "5", "6", "7", "8"],
            "{protocol}"
        );
        assert_eq!(
            kafka.committed(&name, &topic),
            BTreeMap::from([(0, 3), (1, 3), (2, 3)]),
            "{protocol}"
        );
        command().run().succeeds().stdout_is("");
        kafka.produce(&topic, &[record(9)]);
        command().run().succeeds().stdout_is("9\n");
    }
}

#[test]
fn a_count_commits_exactly_what_was_shown() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 100);
    let name = session::unique("count");
    let output = group(kafka, &name, &topic)
        .args(["-c", "10"])
        .run()
        .succeeds();
    assert_eq!(output.lines().len(), 10);
    assert_eq!(committed(kafka, &name, &topic), 10);
}

#[test]
fn an_empty_topic_ends_and_a_missing_one_is_named() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("empty", 2, &[]);
    group(kafka, &session::unique("empty"), &topic)
        .arg("-e")
        .run()
        .succeeds()
        .stdout_is("");
    let missing = session::unique("missing");
    group(kafka, &session::unique("missing"), &missing)
        .args(["-e", "-m", "5"])
        .run()
        .fails_with(2)
        .stderr_has(&missing);
}

#[test]
fn topics_are_named_or_matched() {
    let Some(kafka) = shared_kafka() else { return };
    let prefix = session::unique("matched");
    let topics = [format!("{prefix}.a"), format!("{prefix}.b")];
    for topic in &topics {
        kafka.create_topic(topic, 1, &[]);
        kafka.produce(topic, &[Record::of(topic.as_str())]);
    }
    let expected = format!("{}\n{}\n", topics[0], topics[1]);
    let sorted = |output: crate::testkit::output::Output| {
        let mut lines = output.lines();
        lines.sort_unstable();
        lines.join("\n") + "\n"
    };
    let named = group(kafka, &session::unique("named"), &topics[0])
        .args([&topics[1], "-e"])
        .run()
        .succeeds();
    assert_eq!(sorted(named), expected);
    let pattern = format!("^{prefix}\\..*");
    let matched = group(kafka, &session::unique("matched"), &pattern)
        .args(["-e"])
        .run()
        .succeeds();
    assert_eq!(sorted(matched), expected);
}

#[test]
fn members_share_the_partitions_and_hand_over_without_loss_or_double() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("shared", 4, &[]);
    let name = session::unique("shared");
    let mut first = group(kafka, &name, &topic)
        .limit(Duration::from_secs(90))
        .start();
    let producer = kafka.producer(&[]);
    let mut sent = 0;
    let mut produce_round = || {
        let records: Vec<Record> = (0..4)
            .map(|partition| Record {
                partition: Some(partition),
                ..Record::of(format!("line {}", sent + partition))
            })
            .collect();
        producer.send(&topic, &records);
        sent += 4;
        std::thread::sleep(Duration::from_millis(20));
        sent
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while first.stdout_so_far().is_empty() {
        assert!(Instant::now() < deadline, "the first member shows nothing");
        produce_round();
    }
    let mut second = group(kafka, &name, &topic)
        .limit(Duration::from_secs(90))
        .start();
    while second.stdout_so_far().is_empty() {
        assert!(Instant::now() < deadline, "the second member shows nothing");
        produce_round();
    }
    for _ in 0..20 {
        produce_round();
    }
    second.signal(Signal::TERM);
    let second = second.wait().succeeds();
    let sent = produce_round();
    while ended_lines(&first.stdout_so_far()) + ended_lines(&second.stdout) < sent as usize {
        assert!(
            Instant::now() < deadline,
            "{} records of {sent} after the second member left",
            ended_lines(&first.stdout_so_far())
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    first.signal(Signal::INT);
    let first = first.wait().succeeds();
    let mut lines: Vec<&str> = first.lines().into_iter().chain(second.lines()).collect();
    lines.sort_unstable();
    let mut expected: Vec<String> = (0..sent).map(|n| format!("line {n}")).collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    let ends: i64 = kafka.committed(&name, &topic).values().sum();
    assert_eq!(ends, i64::from(sent));
}

#[test]
fn what_a_dead_reader_never_got_is_not_committed() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 100_000);
    let name = session::unique("dead-reader");
    // The shell reads byte by byte, so what it has not read is still in the pipe when it dies.
    let script = "kcat-lite -G $NAME -b $BROKERS -q -X auto.offset.reset=earliest -X auto.commit.interval.ms=100 $TOPIC |
        { for n in $(seq 800); do read -r line || exit 9; done; sleep 1; }; echo ${PIPESTATUS[*]}";
    let output = shell(script)
        .env("NAME", &name)
        .env("BROKERS", kafka.bootstrap())
        .env("TOPIC", &topic)
        .run();
    output.succeeds().stdout_is("0 0\n");
    let committed = committed(kafka, &name, &topic);
    assert!(
        (800..=800 + PIPE_BYTES / 20 + 1).contains(&committed),
        "committed {committed}, read 800"
    );
}

#[test]
fn a_reader_that_stands_still_does_not_hold_a_signal_back() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 100_000);
    let name = session::unique("still");
    let script = "exec kcat-lite -G $NAME -b $BROKERS -q -X auto.offset.reset=earliest $TOPIC > >(exec sleep 1000)";
    let mut program = shell(script)
        .env("NAME", &name)
        .env("BROKERS", kafka.bootstrap())
        .env("TOPIC", &topic)
        .start();
    std::thread::sleep(Duration::from_secs(4));
    assert!(program.runs());
    program.signal(Signal::TERM);
    program.wait();
    let committed = committed(kafka, &name, &topic);
    assert!(
        (1..=PIPE_BYTES / 20 + 1).contains(&committed),
        "committed {committed}, nobody read more than the pipe holds"
    );
}

#[test]
fn a_killed_member_has_committed_no_more_than_is_in_its_file() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("killed", 1, &[]);
    let name = session::unique("killed");
    let file = session::folder("killed").join("out");
    let mut program = group(kafka, &name, &topic).stdout_to(&file).start();
    let producer = kafka.producer(&[]);
    let mut sent = 0;
    let deadline = Instant::now() + SOON;
    let mut rounds_after_commit = 0;
    // A few rounds after the first commit: killed in the middle of its work.
    while rounds_after_commit < 20 {
        let records: Vec<Record> = (sent..sent + 500)
            .map(|n| Record::of(n.to_string()))
            .collect();
        producer.send(&topic, &records);
        sent += 500;
        if rounds_after_commit > 0 || committed(kafka, &name, &topic) > 0 {
            rounds_after_commit += 1;
        }
        assert!(Instant::now() < deadline + SOON, "nothing is committed");
    }
    program.signal(Signal::KILL);
    program.wait().dies_by(Signal::KILL);
    let written = ended_lines(&std::fs::read(&file).unwrap()) as i64;
    let committed = committed(kafka, &name, &topic);
    assert!(
        committed > 0 && committed <= written,
        "committed {committed}, {written} lines in the file"
    );
}

#[test]
fn a_full_disk_commits_nothing() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 100);
    let name = session::unique("full");
    group(kafka, &name, &topic)
        .arg("-e")
        .stdout_to("/dev/full")
        .run()
        .fails_with(2)
        .stderr_has("No space left");
    assert_eq!(kafka.committed(&name, &topic), BTreeMap::new());
}

#[test]
fn an_interrupt_ends_cleanly_with_all_that_was_shown_committed() {
    let Some(kafka) = shared_kafka() else { return };
    // A terminal that is hung up is no way to say that it is enough.
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let topic = numbered(kafka, 1000);
        let name = session::unique("interrupt");
        let mut program = group(kafka, &name, &topic).start();
        program.stdout_until(format!("{:0>19}\n", 999), SOON);
        program.signal(signal);
        let output = program.wait();
        let output = if signal == Signal::HUP {
            output.dies_by(signal)
        } else {
            output.succeeds()
        };
        assert_eq!(output.lines().len(), 1000);
        assert_eq!(committed(kafka, &name, &topic), 1000);
    }
}

#[test]
fn a_start_is_not_asked_for_by_time_in_a_group() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1);
    group(kafka, "unused", &topic)
        .args(["-o", "s@1000"])
        .run()
        .fails_with(2)
        .stderr_has("-o");
}
