//! `--ack` with lines that are lost, turned or torn on their way: the pipe ends with 2, and nothing of it is in the topic.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use super::SOON;
use super::ack::{Pipe, all};
use super::kills::wait_for_pid;
use crate::testkit::broker::{Spec, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};

/// A sink of each kind; the transactional one by the name of its group.
const SINKS: [&str; 2] = ["sink --tsv", "sink --tsv --txn $GROUP"];

#[test]
fn a_line_that_is_lost_repeated_or_turned_ends_the_pipe_at_once() {
    let Some(kafka) = shared_kafka() else { return };
    let gap =
        "came where line 50 was expected: what stands between must keep the order of the lines";
    for (transform, words) in [
        ("sed -u 50d", gap),
        ("grep -v ' 49$'", gap),
        ("sed -u -n '50{h;d};51{p;g};p'", gap),
        (
            "sed -u -n 'p;49H;51{g;s/^\\n//;p}'",
            "line 49 of the source came where line 52",
        ),
        (
            "sort",
            " was expected: what stands between must keep the order of the lines",
        ),
        (
            "tac",
            "line 100 of the source came where line 1 was expected",
        ),
    ] {
        for sink in SINKS {
            let pipe = Pipe::new(kafka, 1, 100);
            pipe.shell(&format!("source -e --tsv | {transform} | {sink}"))
                .run()
                .fails_with(2)
                .stderr_has(words);
            let delivered = pipe.values().len() as i64;
            let committed = pipe.committed().get(&0).copied().unwrap_or(0);
            assert!(
                committed <= delivered && delivered < 52,
                "{transform} {sink}: {committed} {delivered}"
            );
            // Mended and started again, it has all.
            pipe.shell(&format!("source -e -q --tsv | cat | {sink} -q"))
                .run()
                .succeeds();
            let mut values = pipe.values();
            values.dedup();
            assert_eq!(values, all(1, 100), "{transform} {sink}");
        }
    }
}

#[test]
fn a_filter_that_is_started_again_in_the_middle_loses_nothing_in_silence() {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 2, 3000);
    // It reads blocks: what it had read and not passed on is lost with it.
    let filter = r"slow() { echo $BASHPID >filter.new; mv filter.new filter
        exec perl -pe '$| = 1; select undef, undef, undef, 0.001'; }
        until (slow); do :; done";
    let running = pipe
        .shell(&format!("source -e --tsv | ({filter}) | sink --tsv"))
        .start();
    let pid = wait_for_pid(&pipe.folder.join("filter"));
    kafka.wait_for_records(&pipe.output, 100, SOON);
    kill_process(pid, Signal::KILL).unwrap();
    running
        .wait()
        .fails_with(2)
        .stderr_has("what stands between must keep ");
    pipe.shell("source -e -q --tsv | cat | sink -q --tsv")
        .run()
        .succeeds();
    let mut values = pipe.values();
    values.dedup();
    assert_eq!(values, all(2, 3000));
}

/// Reads as many lines as the topic has, prints the last one up to a byte, and ends in the way of `$END`.
const TEAR: &str = r#"perl -ne '$| = 1; if ($. == 20) { print substr($_, 0, $ENV{CUT} eq "value" ? length($_) - 5 : index($_, "\t")); exit }; print'"#;

#[test]
fn a_torn_line_that_the_next_program_ends_is_no_record_while_the_pipe_stays_open() {
    let Some(kafka) = shared_kafka() else { return };
    for cut in ["value", "position"] {
        for (between, sink) in [
            (format!("{TEAR} | (awk 1; sleep 2)"), SINKS[0]),
            (format!("{TEAR} | (awk 1; sleep 2)"), SINKS[1]),
            (format!("({TEAR}; sleep 1) | (awk 1; sleep 2)"), SINKS[0]),
            (format!("{TEAR} | awk 1"), SINKS[0]),
            // Nobody ends it.
            (TEAR.to_owned(), SINKS[0]),
            (format!("({TEAR}; sleep 1)"), SINKS[0]),
        ] {
            let pipe = Pipe::new(kafka, 1, 0);
            let records = (0..20).map(|n| Record::of(format!("record {n} whole.")));
            kafka.produce(&pipe.input, &records.collect::<Vec<_>>());
            let script = format!("source --tsv | {between} | {sink}; echo ${{PIPESTATUS[@]}}");
            let output = pipe.shell(&script).env("CUT", cut).run();
            output.expect(
                |it| it.text().starts_with("2 ") && it.text().ends_with(" 2\n"),
                "both ends fail",
            );
            let values = pipe.values();
            let is_whole = |value: &String| value.ends_with(" whole.");
            assert!(values.iter().all(is_whole), "{between}: {values:?}");
            let committed = pipe.committed().get(&0).copied().unwrap_or(0);
            assert!(committed < 20, "{between}, {cut}: {committed}");
        }
    }
}

#[test]
fn each_record_of_a_slow_topic_is_delivered_and_committed_without_the_next_one() {
    let Some(kafka) = shared_kafka() else { return };
    for format in ["--tsv", "-J"] {
        let pipe = Pipe::new(kafka, 1, 0);
        let mut running = pipe
            .shell(&format!(
                "(echo $BASHPID >source.pid; source -q {format}) | cat | sink -q {format} & wait $!"
            ))
            .start();
        let pid = wait_for_pid(&pipe.folder.join("source.pid"));
        for n in 0..3 {
            kafka.produce(&pipe.input, &[Record::of(format!("{n}"))]);
            kafka.wait_for_records(&pipe.output, n + 1, SOON);
            let until = std::time::Instant::now() + SOON;
            while pipe.committed().get(&0) != Some(&(n as i64 + 1)) {
                assert!(std::time::Instant::now() < until, "{n} is not committed");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        assert!(running.runs());
        kill_process(pid, Signal::TERM).unwrap();
        running.wait().succeeds();
    }
}

#[test]
fn lines_of_a_session_that_was_lost_come_again_and_make_no_hole_in_a_backup() {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 2, 6000);
    let folder = &pipe.folder;
    let running = pipe
        .shell(
            r#"member() { name=$1; shift; echo $BASHPID >$name.new; mv $name.new $name; exec "$@"; }
            (member source kcat-lite -G "$GROUP" -q -e --ack ack --tsv=all -X auto.offset.reset=earliest \
                -X session.timeout.ms=6000 -X max.poll.interval.ms=6000 "$IN") |
            (member transform perl -pe '$| = 1; select undef, undef, undef, 0.0005') |
            (member sink ktee -q --ack ack --tsv=all --segment-records 700 bk/ >/dev/null)"#,
        )
        .start();
    let members = ["source", "transform"].map(|name| wait_for_pid(&folder.join(name)));
    let first = folder.join(format!("bk/topics/{}", pipe.input));
    let until = std::time::Instant::now() + SOON;
    while !first.exists() {
        assert!(std::time::Instant::now() < until, "no segment");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Longer than the session, with lines under way in the pipe.
    for pid in members {
        kill_process(pid, Signal::STOP).unwrap();
    }
    std::thread::sleep(Duration::from_secs(9));
    for pid in members {
        kill_process(pid, Signal::CONT).unwrap();
    }
    running.wait().succeeds();
    assert_eq!(
        pipe.committed().into_values().collect::<Vec<_>>(),
        [6000, 6000]
    );
    crate::testkit::command::cmd("ktee")
        .args(["--cat", "bk"])
        .inside(folder)
        .run()
        .succeeds()
        .expect(|it| it.lines().len() == 12_000, "12000 records, each once");
    crate::testkit::command::cmd("ktee")
        .args(["--verify", "bk"])
        .inside(folder)
        .run()
        .succeeds();
}

#[test]
fn three_brokers_that_are_killed_in_turn_cost_nothing() {
    let kafka = Spec::new()
        .brokers(3)
        .setting("min.insync.replicas", "2")
        .setting("offsets.topic.replication.factor", "3")
        .start();
    let Some(kafka) = kafka else { return };
    let pipe = Pipe::new(&kafka, 3, 2000);
    let slow = "perl -pe '$| = 1; select undef, undef, undef, 0.002'";
    let options = "-X session.timeout.ms=6000 --max-inflight 500";
    let script = format!(
        "source -q -e {options} --tsv=all | {slow} | (exec ktee -q --ack ack --tsv=all --segment-records 300 bk/ >/dev/null)"
    );
    let mut running = pipe.shell(&script).limit(Duration::from_secs(200)).start();
    for id in 1..=3 {
        if running.runs() {
            kafka.kill(id);
            std::thread::sleep(Duration::from_secs(3));
            kafka.start_again(id);
        }
    }
    let output = running.wait();
    // A pipe that gave up says so, and goes on when it is started again.
    if !output.status.success() {
        output.fails_with(2);
        pipe.shell(&script.replace(slow, "cat")).run().succeeds();
    }
    assert_eq!(
        pipe.committed().into_values().collect::<Vec<_>>(),
        [2000, 2000, 2000]
    );
    for (mode, lines) in [("--cat", 6000), ("--verify", 3)] {
        crate::testkit::command::cmd("ktee")
            .args([mode, "bk"])
            .inside(&pipe.folder)
            .run()
            .succeeds()
            .expect(|it| it.lines().len() == lines, "all, each once");
    }
}
