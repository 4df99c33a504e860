//! `--ack`: what the last program of a pipe has dealt with is committed, and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::{SOON, at};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::{session, witness};

/// A pipe in a folder of its own, from one topic to another.
pub(super) struct Pipe<'a> {
    pub(super) kafka: &'a Kafka,
    pub(super) input: String,
    pub(super) output: String,
    pub(super) group: String,
    pub(super) folder: PathBuf,
}

impl<'a> Pipe<'a> {
    /// From a topic of so many partitions, each with so many records, `partition n` their values.
    pub(super) fn new(kafka: &'a Kafka, partitions: i32, count: usize) -> Pipe<'a> {
        let input = kafka.topic("in", partitions, &[]);
        let records = (0..count).flat_map(|n| {
            (0..partitions).map(move |partition| Record {
                partition: Some(partition),
                ..Record::keyed(format!("{n}"), format!("{partition} {n}"))
            })
        });
        kafka.produce(&input, &records.collect::<Vec<_>>());
        Pipe {
            kafka,
            input,
            output: kafka.topic("out", 2, &[]),
            group: session::unique("pipe"),
            folder: session::folder("pipe"),
        }
    }

    /// A shell in which `source` and `sink` are the ends of the pipe. Their shells may not stay: they would keep the pipe open.
    pub(super) fn shell(&self, script: &str) -> Cmd {
        let ends = r#"
            source() { exec kcat-lite -G "$GROUP" "$IN" -X auto.offset.reset=earliest --ack ack "$@"; }
            sink() { exec kcat-lite -P -t "$OUT" --ack ack "$@"; }
        "#;
        shell(&format!("{ends}{script}"))
            .env("KAFKA_BROKERS", self.kafka.bootstrap())
            .env("GROUP", &self.group)
            .env("IN", &self.input)
            .env("OUT", &self.output)
            .inside(&self.folder)
            .limit(Duration::from_secs(90))
    }

    /// What has come out, in order of the values.
    pub(super) fn values(&self) -> Vec<String> {
        let mut values = self.kafka.values(&self.output);
        values.sort_unstable();
        values
    }

    pub(super) fn committed(&self) -> BTreeMap<i32, i64> {
        self.kafka.committed(&self.group, &self.input)
    }
}

/// All values that [`Pipe::new`] has made, in their order.
pub(super) fn all(partitions: i32, count: usize) -> Vec<String> {
    let of_one = |partition| (0..count).map(move |n| format!("{partition} {n}"));
    let mut values: Vec<String> = (0..partitions).flat_map(of_one).collect();
    values.sort_unstable();
    values
}

#[test]
fn what_is_delivered_is_committed_and_nothing_is_left_behind() {
    let Some(kafka) = shared_kafka() else { return };
    for (options, doing) in [("", "plain"), ("--txn", "in transactions")] {
        let pipe = Pipe::new(kafka, 3, 500);
        pipe.shell("source -e -q --tsv | sed 's/^/&/' | sink -q --tsv $TXN")
            .env(
                "TXN",
                format!(
                    "{options} {}",
                    if options.is_empty() { "" } else { &pipe.group }
                )
                .trim(),
            )
            .run()
            .succeeds()
            .stderr_is("");
        assert_eq!(pipe.values(), all(3, 500), "{doing}");
        let keys = kafka.records(&pipe.output);
        assert!(keys.iter().all(|record| record.key.is_some()), "{doing}");
        let end = BTreeMap::from([(0, 500), (1, 500), (2, 500)]);
        assert_eq!(pipe.committed(), end, "{doing}");
        assert!(!pipe.folder.join("ack").exists(), "{doing}");
    }
}

#[test]
fn objects_keep_their_position_through_jq() {
    let Some(kafka) = shared_kafka() else { return };
    if witness::installed("jq").is_none() {
        return;
    }
    let pipe = Pipe::new(kafka, 1, 50);
    // One member is changed, one record in two is left out by its position alone, members change places.
    pipe.shell(
        r#"source -e -q -J |
           jq -c 'if .key | tonumber % 2 == 1 then {position} else {payload: (.payload + "!"), key, position} end' |
           sink -q -J"#,
    )
    .run()
    .succeeds()
    .stderr_is("");
    let mut expected: Vec<String> = (0..25).map(|n| format!("0 {}!", n * 2)).collect();
    expected.sort_unstable();
    assert_eq!(pipe.values(), expected);
    assert_eq!(pipe.committed(), BTreeMap::from([(0, 50)]));
}

#[test]
fn lines_may_be_dropped_by_their_position_and_multiplied() {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 1, 100);
    let awk = r"awk -F '\t' '$2 % 3 == 0 { print $1; next } { print; print }'";
    pipe.shell(&format!("source -e -q --tsv | {awk} | sink -q --tsv"))
        .run()
        .succeeds()
        .stderr_is("");
    assert_eq!(pipe.values().len(), 66 * 2);
    assert_eq!(pipe.committed(), BTreeMap::from([(0, 100)]));
}

#[test]
fn long_and_odd_records_pass_unharmed() {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 1, 0);
    let values: Vec<Option<Vec<u8>>> = vec![
        Some(b"x".repeat(300_000)),
        None,
        Some(Vec::new()),
        Some((0..=255).collect()),
        Some(b"\t\n\\N".to_vec()),
        Some(b"y".repeat(4090)),
    ];
    let records: Vec<Record> = values
        .iter()
        .map(|value| Record {
            partition: Some(0),
            value: value.clone(),
            ..Record::default()
        })
        .collect();
    kafka.produce(&pipe.input, &records);
    for format in ["--tsv", "-J"] {
        let pipe = Pipe {
            output: kafka.topic("out", 1, &[]),
            group: session::unique("odd"),
            folder: session::folder("odd"),
            input: pipe.input.clone(),
            kafka,
        };
        pipe.shell("source -e -q $FORMAT | cat | sink -q $FORMAT")
            .env("FORMAT", format)
            .run()
            .succeeds();
        let found: Vec<Option<Vec<u8>>> = kafka
            .records(&pipe.output)
            .into_iter()
            .map(|record| record.value)
            .collect();
        assert!(found == values, "{format}");
    }
}

#[test]
fn an_end_that_is_alone_says_so_in_time() {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 1, 10);
    pipe.shell("source -m 1 --tsv | cat >/dev/null")
        .run()
        .fails_with(2)
        .stderr_has("nobody connected within 1 s");
    pipe.shell("sink -m 1 --tsv </dev/null")
        .run()
        .fails_with(2)
        .stderr_has("no source there within 1 s");
    assert_eq!(pipe.committed(), BTreeMap::new());
    assert!(!pipe.folder.join("ack").exists());
}

#[test]
fn a_program_between_that_has_enough_ends_the_pipe() {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 1, 5000);
    let output = pipe
        .shell("source -e --tsv | head -n 100 | sink --tsv; echo ${PIPESTATUS[@]}")
        .run()
        .succeeds()
        .stdout_is("2 0 2\n");
    output.stderr_has("a program between died, or leaves lines out");
    let committed = pipe.committed().get(&0).copied().unwrap_or(0);
    let delivered = pipe.values().len() as i64;
    assert!(
        committed <= delivered && delivered <= 100,
        "{committed} {delivered}"
    );
    // Started again, it goes on.
    pipe.shell("source -e -q --tsv | cat | sink -q --tsv")
        .run()
        .succeeds();
    let mut values = pipe.values();
    values.dedup();
    assert_eq!(values, all(1, 5000));
}

#[test]
fn a_sink_that_stands_still_bounds_what_is_sent() {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 1, 20_000);
    let mut running = pipe
        .shell(
            r#"source -e -q --max-inflight 150 --tsv | tee -p seen |
               (echo $BASHPID >sink.pid; exec kcat-lite -P -q --tsv --ack ack -t "$OUT") & wait $!"#,
        )
        .start();
    // Stopped as soon as it has connected, and let go after a while.
    let pid = super::kills::wait_for_pid(&pipe.folder.join("sink.pid"));
    let seen = pipe.folder.join("seen");
    let count =
        || std::fs::read(&seen).map_or(0, |bytes| crate::testkit::output::ended_lines(&bytes));
    let until = std::time::Instant::now() + SOON;
    while count() == 0 && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    rustix::process::kill_process(pid, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let (first, committed) = (count(), pipe.committed().get(&0).copied().unwrap_or(0));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(count(), first, "more was sent");
    assert!(first as i64 <= committed + 150, "{first} {committed}");
    rustix::process::kill_process(pid, Signal::CONT).unwrap();
    assert!(running.runs());
    running.wait().succeeds();
    assert_eq!(pipe.values(), all(1, 20_000));
}

#[test]
fn a_program_that_swallows_lines_is_named_after_a_while() {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 1, 1000);
    pipe.shell("source -e --max-inflight 100 --tsv | grep --line-buffered -v ' ' | sink --tsv; exit ${PIPESTATUS[0]}")
        .run()
        .fails_with(2)
        .stderr_has("nothing was acknowledged for 30 s with 100 lines under way");
    assert_eq!(pipe.committed(), BTreeMap::new());
}

#[test]
fn a_changed_order_and_a_lost_position_are_noticed() {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 1, 100);
    for (transform, words) in [
        ("tac", "must keep the order of the lines"),
        ("cut -f 2-", "without its position"),
        ("sed 's/^[^:]*/old.1/'", "is not of this pipe's run"),
        ("sed 's/:in/:IN/'", "is not of this pipe's run"),
    ] {
        pipe.shell(&format!("source -e --tsv | {transform} | sink --tsv"))
            .run()
            .fails_with(2)
            .stderr_has(words);
    }
    assert_eq!(pipe.committed(), BTreeMap::new());
}

#[test]
fn a_record_that_the_topic_refuses_ends_the_pipe_before_it() {
    let Some(kafka) = shared_kafka() else { return };
    for txn in ["", "--txn"] {
        let pipe = Pipe::new(kafka, 1, 50);
        let pipe = Pipe {
            output: kafka.topic("small", 1, &[("max.message.bytes", "1000")]),
            ..pipe
        };
        kafka.produce(
            &pipe.input,
            &[Record::of("x".repeat(5000)), Record::of("after")],
        );
        let id = if txn.is_empty() { "" } else { &pipe.group };
        pipe.shell("source -e --tsv | cat | sink --tsv $TXN")
            .env("TXN", format!("{txn} {id}").trim())
            .run()
            .fails_with(2)
            .stderr_has("not delivered (");
        let committed = pipe.committed().get(&0).copied().unwrap_or(0);
        assert!(committed <= 50, "{committed}");
        if txn.is_empty() {
            assert_eq!(committed, 50);
        }
    }
}

#[test]
fn two_pipes_of_a_group_share_the_work_and_end_together() {
    let Some(kafka) = shared_kafka() else { return };
    for protocol in ["classic", "consumer"] {
        for txn in ["", "--txn"] {
            let pipe = Pipe::new(kafka, 4, 3000);
            let one = |number: u32| {
                let id = if txn.is_empty() {
                    String::new()
                } else {
                    format!("{txn} {}.{number}", pipe.group)
                };
                let folder = session::folder("shared");
                // Slow enough for the second to come in the midst of it.
                let slow = r#"while IFS= read -r line; do printf '%s\n' "$line"; ((++n % 50)) || sleep 0.02; done"#;
                pipe.shell(&format!(
                    "source -e -q -X group.protocol={protocol} --max-inflight 200 --tsv | ({slow}) | sink -q --tsv $TXN"
                ))
                .env("TXN", id)
                .inside(&folder)
            };
            let first = one(1).start();
            std::thread::sleep(Duration::from_secs(2));
            let second = one(2).start();
            first.wait().succeeds();
            second.wait().succeeds();
            assert!(pipe.values() == all(4, 3000), "{protocol} {txn}");
            let end = (0..4).map(|partition| (partition, 3000)).collect();
            assert_eq!(pipe.committed(), end, "{protocol} {txn}");
        }
    }
}

#[test]
fn a_signal_to_the_source_ends_the_pipe_in_order() {
    let Some(kafka) = shared_kafka() else { return };
    for txn in ["", "--txn"] {
        let pipe = Pipe::new(kafka, 2, 100);
        let id = if txn.is_empty() { "" } else { &pipe.group };
        let running = pipe
            .shell(
                r#"(echo $BASHPID >source.pid; exec kcat-lite -G "$GROUP" "$IN" -q -X auto.offset.reset=earliest \
                   --ack ack --tsv) | sed 's/x/y/' | sink -q --tsv $TXN"#,
            )
            .env("TXN", format!("{txn} {id}").trim())
            .start();
        let pid = super::kills::wait_for_pid(&pipe.folder.join("source.pid"));
        // What sed keeps in its buffer comes out at the end of its input.
        kafka.wait_for_records(&pipe.output, 1, SOON);
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        running.wait().succeeds();
        assert_eq!(pipe.values(), all(2, 100), "{txn}");
        assert_eq!(pipe.committed(), BTreeMap::from([(0, 100), (1, 100)]));
    }
}

#[test]
fn the_position_is_of_no_use_without_its_pipe() {
    for (args, words) in [
        (
            &["-G", "g", "t", "--ack", "s"][..],
            "--ack needs --tsv or -J",
        ),
        (&["-G", "g", "t", "--ack", "s", "-J", "-D", ";"], "-D"),
        (
            &["-G", "g", "t", "--ack", "s", "--tsv", "--exec", "cat"],
            "--exec",
        ),
        (&["-G", "g", "t", "--max-inflight", "5", "--tsv"], "--ack"),
        (
            &["-G", "g", "t", "--tsv", "--ack", "s", "--txn", "x"],
            "--txn does not go with -G",
        ),
        (
            &["-C", "-t", "t", "--ack", "s", "--tsv"],
            "--ack does not go with -C",
        ),
        (&["-P", "-t", "t", "--txn", "x", "--tsv"], "--ack"),
        (
            &["-P", "-t", "t", "--ack", "s", "--tsv", "-c", "5"],
            "-c does not go with --ack",
        ),
        (
            &[
                "-P",
                "-t",
                "t",
                "--ack",
                "s",
                "--tsv",
                "--max-inflight",
                "5",
            ],
            "--max-inflight does not go with -P",
        ),
        (
            &["-P", "-t", "t", "--ack", "s", "--tsv", "--batch", "5"],
            "--txn <ID>",
        ),
        (
            &[
                "-P",
                "-t",
                "t",
                "--ack",
                "s",
                "--tsv",
                "-X",
                "transactional.id=x",
            ],
            "say --txn ID",
        ),
        (
            &[
                "-P",
                "-t",
                "t",
                "--ack",
                "s",
                "--tsv",
                "--txn",
                "x",
                "--batch-wait",
                "50s",
            ],
            "transaction.timeout.ms",
        ),
        (
            &["-G", "g", "t", "--exec", "cat", "--parallel", "0"],
            "--parallel",
        ),
        (&["-G", "g", "t", "--batch", "5"], "--exec"),
    ] {
        cmd("kcat-lite")
            .args(args)
            .args(["-b", "127.0.0.1:1"])
            .run()
            .fails_with(2)
            .stderr_has(words);
    }
}

#[test]
fn a_pipe_reads_from_the_mock_cluster_too() {
    let mock = crate::testkit::mock::Mock::start(1);
    mock.produce("in", &[Record::of("one"), Record::of("two")]);
    let script = r"kcat-lite -G g in -e -q -X auto.offset.reset=earliest --tsv --ack ack | cat | kcat-lite -P -t out -p 0 --tsv --ack ack";
    shell(script)
        .env("KAFKA_BROKERS", mock.bootstrap())
        .inside(&session::folder("mock"))
        .run()
        .succeeds();
    at(&mock, &["-C", "-t", "out", "-e", "-q"])
        .run()
        .stdout_is("one\ntwo\n");
}
