//! Full disks, readers that leave, signals: nothing is lost without being told.

use super::{SOON, at, consume, produce};
use crate::testkit::cluster::{Record, any};
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::session;
use rustix::process::Signal;
use std::time::Duration;

#[test]
fn a_full_disk_is_a_failure_in_every_mode() {
    let cluster = any();
    let few = cluster.topic_of("few", &["one", "two"]);
    let many = cluster.topic("many", 1, &[]);
    cluster.produce(&many, &vec![Record::of("x".repeat(100)); 20_000]);
    let query = format!("{few}:0:-1");
    let modes: [Cmd; 11] = [
        consume(&*cluster, &few),
        consume(&*cluster, &many),
        consume(&*cluster, &few).arg("-J"),
        consume(&*cluster, &few).arg("--tsv"),
        consume(&*cluster, &few).arg("-u"),
        at(&*cluster, &["-L"]),
        at(&*cluster, &["-L", "-J"]),
        at(&*cluster, &["-Q", "-t", &query]),
        cmd("kcat-lite").args(["-M", "1"]),
        cmd("kcat-lite").arg("--help"),
        cmd("kcat-lite").args(["-X", "list"]),
    ];
    for mode in modes {
        mode.stdout_to("/dev/full")
            .run()
            .fails_with(2)
            .stderr_has("No space left");
    }
    let waiting = at(&*cluster, &["-C", "-t", &few]);
    waiting
        .stdout_to("/dev/full")
        .run()
        .fails_with(2)
        .stderr_has("No space left");
    let tee = produce(&*cluster, &few)
        .arg("-T")
        .stdin("three\n")
        .stdout_to("/dev/full")
        .run();
    tee.fails_with(2).stderr_has("No space left");
}

#[test]
fn a_reader_that_has_enough_is_a_normal_end() {
    let cluster = any();
    let topic = cluster.topic("enough", 1, &[]);
    cluster.produce(
        &topic,
        &(0..50_000)
            .map(|n| Record::of(format!("line {n}")))
            .collect::<Vec<_>>(),
    );
    for script in [
        "kcat-lite -C -e -b $BROKERS -t $TOPIC | head -1; echo ${PIPESTATUS[*]}",
        "kcat-lite -C -b $BROKERS -t $TOPIC | head -1; echo ${PIPESTATUS[*]}",
        "kcat-lite -C -b $BROKERS -t $TOPIC -f '%s\\n' | head -1; echo ${PIPESTATUS[*]}",
    ] {
        let output = shell(script)
            .env("BROKERS", cluster.bootstrap())
            .env("TOPIC", &topic)
            .run();
        output.succeeds().stdout_is("line 0\n0 0\n");
    }
    let list = "kcat-lite -L -b $BROKERS | head -1 >/dev/null; echo ${PIPESTATUS[*]}; kcat-lite -X list | head -1 >/dev/null; echo ${PIPESTATUS[0]}";
    shell(list)
        .env("BROKERS", cluster.bootstrap())
        .run()
        .succeeds()
        .stdout_is("0 0\n0\n");
}

#[test]
fn a_reader_that_leaves_an_idle_topic_ends_the_program() {
    let cluster = any();
    let topic = cluster.topic_of("idle", &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    for mode in [
        "-C",
        "-C -J",
        "-C -o end",
        "-G idle-group -X auto.offset.reset=earliest",
    ] {
        let topic = if mode.starts_with("-G") {
            topic.clone()
        } else {
            format!("-t {topic}")
        };
        let reader = if mode.ends_with("end") {
            "sleep 2"
        } else {
            "head -1 >/dev/null"
        };
        let script =
            format!("kcat-lite {mode} -b $BROKERS {topic} | {reader}; echo ${{PIPESTATUS[*]}}");
        shell(&script)
            .env("BROKERS", cluster.bootstrap())
            .run()
            .succeeds()
            .stdout_is("0 0\n");
    }
}

#[test]
fn a_reader_of_passed_on_input_may_leave_and_all_is_delivered() {
    let cluster = any();
    let topic = cluster.topic("tee-leaves", 1, &[]);
    let script =
        "seq 20000 | kcat-lite -P -T -b $BROKERS -t $TOPIC | head -1; echo ${PIPESTATUS[*]}";
    let output = shell(script)
        .env("BROKERS", cluster.bootstrap())
        .env("TOPIC", &topic)
        .run()
        .succeeds();
    // tee(1) stops at a reader's end too; what it has taken from its input is what the topic has.
    let delivered = cluster.values(&topic);
    let in_order = delivered
        .iter()
        .enumerate()
        .all(|(n, value)| *value == (n + 1).to_string());
    output.expect(
        |it| it.stdout.starts_with(b"1\n") && in_order && !delivered.is_empty(),
        "a clean prefix of the input",
    );
}

#[test]
fn a_signal_to_a_producer_delivers_the_complete_lines_it_has_read() {
    let cluster = any();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let topic = cluster.topic("term", 1, &[]);
        // Long lingering: the lines are still in the queue when the signal comes.
        let mut program = produce(&*cluster, &topic)
            .args(["-X", "linger.ms=60000"])
            .stdin_open()
            .start();
        program.write("one\ntwo\nthree\nno newline y");
        std::thread::sleep(Duration::from_secs(2));
        assert!(program.runs());
        program.signal(signal);
        program.wait().dies_by(signal);
        assert_eq!(cluster.values(&topic), ["one", "two", "three"]);
    }
}

#[test]
fn a_shell_sees_the_signal_as_it_does_of_any_program() {
    let cluster = any();
    let topic = cluster.topic("143", 1, &[]);
    let script = "(echo one; sleep 3) | { kcat-lite -P -b $BROKERS -t $TOPIC & PID=$!; sleep 1.5; kill -TERM $PID; wait $PID; echo $?; }";
    shell(script)
        .env("BROKERS", cluster.bootstrap())
        .env("TOPIC", &topic)
        .run()
        .stdout_is("143\n");
}

#[test]
fn a_signal_to_a_consumer_is_a_clean_end() {
    let cluster = any();
    let topic = cluster.topic_of("consumer", &["one"]);
    for signal in [Signal::TERM, Signal::INT] {
        let mut program = at(&*cluster, &["-C", "-t", &topic]).start();
        program.stdout_until("one\n", SOON);
        program.signal(signal);
        program.wait().succeeds().stdout_is("one\n");
    }
}

#[test]
fn a_signal_while_the_cluster_is_unreachable_ends_the_program() {
    for mode in [&["-P", "-t", "t"][..], &["-C", "-t", "t"], &["-L"]] {
        let mut program = cmd("kcat-lite")
            .args(mode)
            .args(["-b", "127.0.0.1:1", "-m", "60"])
            .stdin_open()
            .start();
        std::thread::sleep(Duration::from_millis(500));
        program.signal(Signal::TERM);
        program.wait().expect(
            |it| it.elapsed < Duration::from_secs(20),
            "an end soon after the signal",
        );
    }
}

#[test]
fn a_failed_file_does_not_hide_behind_the_others() {
    let cluster = any();
    let topic = cluster.topic("hide", 1, &[]);
    let folder = session::folder("hide");
    std::fs::write(folder.join("a"), "one").unwrap();
    let output = produce(&*cluster, &topic)
        .args(["missing", "a", "also-missing"])
        .inside(&folder)
        .run()
        .fails_with(2);
    output.stderr_has("missing").stderr_has("also-missing");
    assert_eq!(cluster.values(&topic), ["one"]);
}
