//! The command of `--exec` as a process: what it is given, and how long it lives.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{SOON, at};
use crate::testkit::broker::{Kafka, own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::{number, session};

/// `kcat-lite -G` with a command for its batches, from the beginning.
fn exec(kafka: &Kafka, group: &str, topic: &str, command: &str) -> Cmd {
    at(kafka, &["-G", group, topic, "--exec", command])
        .args(["-X", "auto.offset.reset=earliest"])
        .args(["-X", "session.timeout.ms=6000"])
        .limit(Duration::from_secs(60))
}

#[test]
fn an_empty_command_is_a_usage_error() {
    for blank in ["", " ", "\t \n"] {
        for program in [
            &["kcat-lite", "-G", "g", "t", "-b", "127.0.0.1:1"][..],
            &["kpart", "-n", "2"],
        ] {
            cmd(program[0])
                .args(&program[1..])
                .args(["--exec", blank])
                .run()
                .fails_with(2)
                .stdout_is("")
                .stderr_has("--exec");
        }
    }
}

#[test]
fn a_command_and_its_children_die_with_the_program() {
    let Some(kafka) = shared_kafka() else { return };
    for (signals, command) in [
        (&[Signal::KILL][..], "echo begun; sleep 600"),
        (
            &[Signal::KILL],
            "echo begun; cat | (sleep 600; cat) | cat; echo late",
        ),
        // The first one lets the batch come to its end, the second one does not wait for it.
        (
            &[Signal::TERM, Signal::TERM],
            "echo begun; sleep 600 | cat; echo late",
        ),
    ] {
        let topic = kafka.topic_of("dies", &["one"]);
        let group = session::unique("dies");
        let mut running = exec(kafka, &group, &topic, command).start();
        running.stdout_until("begun\n", SOON);
        for signal in signals {
            running.signal(*signal);
            std::thread::sleep(Duration::from_millis(300));
        }
        // Standard output ends when the last of those that hold it is gone.
        running.wait().stdout_is("begun\n");
        assert!(kafka.committed(&group, &topic).is_empty(), "{command}");
    }
}

#[test]
fn a_command_gets_three_descriptors_and_no_more() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("descriptors", &["one"]);
    exec(
        kafka,
        &session::unique("descriptors"),
        &topic,
        "ls /proc/$$/fd; true",
    )
    .args(["-e", "-q"])
    .run()
    .succeeds()
    .stdout_is("0\n1\n2\n");
}

#[test]
fn positions_that_are_too_long_for_the_environment_are_in_a_file() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = format!("{}-{}", session::unique("wide"), "x".repeat(180));
    let count: i32 = 200;
    kafka.create_topic(&topic, count, &[]);
    let record = |partition: i32| Record {
        partition: Some(partition),
        ..Record::of("v")
    };
    kafka.produce(&topic, &(0..count).map(record).collect::<Vec<_>>());
    let command = r#"
        echo "${KAFKA_TOPIC-none} ${KAFKA_FIRST-none} ${KAFKA_LAST-none} $KAFKA_COUNT"
        cat "$KAFKA_POSITIONS_FILE"; echo "$KAFKA_POSITIONS_FILE" >where"#;
    let folder = session::folder("wide");
    let run = |batch: &str| {
        exec(kafka, &session::unique("wide"), &topic, command)
            .args(["-e", "-q", "--batch", batch, "--batch-wait", "20s"])
            .env("KAFKA_FIRST", "another program's")
            .inside(&folder)
            .run()
            .succeeds()
    };
    let output = run("200");
    let mut lines = output.lines();
    assert_eq!(lines.remove(0), "none none none 200");
    let expected: Vec<String> = (0..count).map(|p| format!("{topic}\t{p}\t0\t0")).collect();
    assert_eq!(lines, expected);
    let path = std::fs::read_to_string(folder.join("where")).unwrap();
    assert!(
        !Path::new(path.trim_end()).exists(),
        "{path} is left behind"
    );
}

#[test]
fn a_member_with_nothing_to_read_leaves_at_once_however_often() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("leaves", &["one"]);
    let rounds = number("KAFKAUTILS_LEAVES").unwrap_or(5);
    for way in [&[][..], &["--exec", "cat"]] {
        for protocol in ["classic", "consumer"] {
            for instance in [&[][..], &["-X", "group.instance.id=leaves"]] {
                let group = session::unique("leaves");
                let run = || {
                    at(kafka, &["-G", &group, &topic, "-e", "-q"])
                        .args(["-X", "auto.offset.reset=earliest"])
                        .args(["-X", &format!("group.protocol={protocol}")])
                        .args(instance)
                        .args(way)
                        .limit(Duration::from_secs(60))
                        .run()
                        .succeeds()
                };
                run().stdout_is("one\n");
                for _ in 0..rounds {
                    run().stdout_is("");
                }
            }
        }
    }
}

#[test]
fn a_signal_ends_every_wait_of_a_member() {
    let Some(kafka) = own_kafka() else { return };
    let topic = kafka.topic_of("waits", &["one"]);
    for way in [&[][..], &["--exec", "cat"]] {
        // While the member joins, or is assigned, or waits for what does not answer.
        for delay_ms in [50, 200, 400, 1500] {
            let mut running = at(&kafka, &["-G", &session::unique("waits"), &topic, "-q"])
                .args(way)
                .limit(Duration::from_secs(60))
                .start();
            std::thread::sleep(Duration::from_millis(delay_ms));
            kafka.pause(1);
            std::thread::sleep(Duration::from_millis(100));
            running.signal(Signal::TERM);
            let asked = Instant::now();
            running.wait();
            assert!(
                asked.elapsed() < Duration::from_secs(30),
                "{way:?} {delay_ms}"
            );
            kafka.resume(1);
        }
    }
}
