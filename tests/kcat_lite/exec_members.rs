//! `--exec` while members of the group come, go and stand still.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;

use super::exec::{exec, numbered};
use super::kills::wait_for_pid;
use super::{SOON, at};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::session;

#[test]
fn a_command_whose_partition_is_given_away_is_killed() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 2, 10);
    let folder = session::folder("given-away");
    let group = session::unique("given-away");
    // Only the first command of a partition takes long.
    let command =
        "mkdir p${KAFKA_FIRST##*$KAFKA_TOPIC:} && { echo $$ >began; sleep 25; touch ended; }; cat";
    let member = || {
        exec(kafka, &group, &topic, command)
            .args(["--parallel", "2", "-X", "max.poll.interval.ms=6000"])
            .inside(&folder)
    };
    let mut first = member().start();
    wait_for_pid(&folder.join("began"));
    let mut second = member().start();
    first.stderr_until("its command was killed", SOON);
    // Each has one of the partitions.
    for member in [&mut first, &mut second] {
        member.stdout_until("9\n", Duration::from_secs(30));
    }
    for mut member in [first, second] {
        member.signal(Signal::TERM);
        member.wait().succeeds();
    }
    assert!(!folder.join("ended").exists());
    assert_eq!(
        kafka.committed(&group, &topic),
        BTreeMap::from([(0, 10), (1, 10)])
    );
}

#[test]
fn a_member_that_was_suspended_begins_no_batch_that_another_has_processed() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 0);
    let folder = session::folder("stale");
    let group = session::unique("stale");
    let member = |name: &str| {
        let member = exec(
            kafka,
            &group,
            &topic,
            &format!("cat >/dev/null; echo {name} >>log"),
        );
        member
            .args(["-v", "-X", "session.timeout.ms=2000"])
            .inside(&folder)
    };
    let mut first = member("first").args(["--batch-wait", "3s"]).start();
    first.stderr_until("assigned", SOON);
    kafka.produce(&topic, &[Record::of("x")]);
    std::thread::sleep(Duration::from_secs(1));
    first.signal(Signal::STOP);
    let mut second = member("second").args(["--batch", "1"]).start();
    second.stderr_until("done: ", Duration::from_secs(30));
    first.signal(Signal::CONT);
    std::thread::sleep(Duration::from_secs(3));
    for mut member in [first, second] {
        member.signal(Signal::TERM);
        member.wait().succeeds();
    }
    assert_eq!(
        std::fs::read_to_string(folder.join("log")).unwrap(),
        "second\n"
    );
}

#[test]
fn a_command_that_takes_longer_than_the_poll_interval_keeps_its_partitions() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 3);
    let group = session::unique("slow");
    exec(kafka, &group, &topic, "sleep 9; cat")
        .args(["-e", "-X", "max.poll.interval.ms=6000"])
        .run()
        .succeeds()
        .stdout_is("0\n1\n2\n")
        .stderr_lacks("poll");
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 3)]));
}

#[test]
fn a_second_member_takes_over_nothing_that_is_being_dealt_with() {
    let Some(kafka) = shared_kafka() else { return };
    for protocol in ["classic", "consumer"] {
        let topic = numbered(kafka, 4, 50);
        let group = session::unique("shared");
        let member = || {
            let member = at(
                kafka,
                &[
                    "-G",
                    &group,
                    &topic,
                    "-e",
                    "-q",
                    "--batch",
                    "10",
                    "--tsv=partition,offset",
                ],
            );
            let member = member.args(["--exec", "sleep 0.2; cat"]);
            let member = member.args(["-X", &format!("group.protocol={protocol}")]);
            member
                .args(["-X", "auto.offset.reset=earliest"])
                .limit(Duration::from_secs(90))
        };
        let first = member().start();
        std::thread::sleep(Duration::from_millis(1500));
        let second = member().start();
        let outputs = [first.wait().succeeds(), second.wait().succeeds()];
        let mut lines: Vec<&str> = outputs.iter().flat_map(|output| output.lines()).collect();
        assert_eq!(lines.len(), 200, "{protocol}");
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 200, "{protocol}: doubled");
        assert_eq!(
            kafka.committed(&group, &topic),
            (0..4).map(|p| (p, 50)).collect(),
            "{protocol}"
        );
    }
}

#[test]
fn a_member_that_was_suspended_for_longer_than_its_session_repeats_the_batch_that_ran_and_no_other()
{
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 40);
    let folder = session::folder("suspended");
    let command = "cat; if ! [ -e began ]; then echo $$ >began; until [ -e go ]; do sleep 0.02; done; echo $$ >ended; fi";
    let mut running = exec(kafka, &session::unique("suspended"), &topic, command)
        .args([
            "-X",
            "session.timeout.ms=2000",
            "-X",
            "heartbeat.interval.ms=500",
        ])
        .args(["-e", "-q", "--batch", "10"])
        .inside(&folder)
        .start();
    wait_for_pid(&folder.join("began"));
    running.signal(Signal::STOP);
    std::fs::write(folder.join("go"), "").unwrap();
    wait_for_pid(&folder.join("ended"));
    std::thread::sleep(Duration::from_secs(4));
    running.signal(Signal::CONT);
    let output = running.wait().succeeds();
    let expected: Vec<String> = (0..10).chain(0..40).map(|n: usize| n.to_string()).collect();
    assert_eq!(output.lines(), expected);
}
