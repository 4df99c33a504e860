//! `--share --exec` while something else fails: the dead-letter topic, a broker, one record of a batch.

use kafka_protocol::messages::ApiKey;
use rustix::process::Signal;

use super::share::{LIMIT, group, numbered, share};
use crate::testkit::broker::{Kafka, own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{cmd, shell};
use crate::testkit::interceptor::{Interceptor, Then};
use crate::testkit::rolling;

const SHORT_LOCK: &[&str] = &["share.record.lock.duration.ms=5000"];

/// What is still delivered: lines of offset and delivery count.
#[track_caller]
fn rest_is(kafka: &Kafka, group: &str, topic: &str, expected: &str) {
    share(kafka, group, topic)
        .args(["-q", "--idle", "1s", "--tsv=offset,delivery_count"])
        .run()
        .succeeds()
        .stdout_is(expected);
}

// Regression: nothing was renewed nor acknowledged any more, and the record of the other command ran twice.
#[test]
fn a_command_that_runs_keeps_its_lock_when_the_dead_letter_topic_refuses_a_record() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("jobs", &["slow", &"x".repeat(5000)]);
    let dead = kafka.topic("dead", 1, &[("max.message.bytes", "1000")]);
    let group = group(kafka, SHORT_LOCK);
    let command = "read -r job; test \"$job\" = slow || exit 65; sleep 9; echo done";
    share(kafka, &group, &topic)
        .args(["-q", "--parallel", "2", "--exec", command])
        .args(["--reject-to", &dead])
        .run()
        .fails_with(2)
        .stdout_is("done\n")
        .stderr_has(format!("--reject-to {dead}: {topic} [0] offset 1: "));
    rest_is(kafka, &group, &topic, "1\t2\n");
}

// Regression: its lock ended on the way, and it came again.
#[test]
fn a_record_keeps_its_lock_while_the_dead_letter_topic_is_slow_to_take_it() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 1);
    let dead = kafka.topic("dead", 1, &[]);
    let group = group(kafka, SHORT_LOCK);
    let proxy = Interceptor::before(&kafka.bootstrap());
    let proxy = proxy.on(ApiKey::Produce, |call, _| match call.number {
        0 => Then::Silence,
        _ => Then::Pass,
    });
    cmd("kcat-lite")
        .args(["--share", &group, &topic, "-b", &proxy.bootstrap()])
        .args(["--exec", "exit 65", "--reject-to", &dead, "-c", "1"])
        .args(["-X", "socket.timeout.ms=9000"])
        .limit(LIMIT)
        .run()
        .succeeds()
        .stderr_lacks("delivered again");
    assert!(proxy.count(ApiKey::Produce) > 1);
    rest_is(kafka, &group, &topic, "");
}

// Regression: a record at its first try was rejected with one at its last.
#[test]
fn of_the_records_of_a_command_only_those_at_their_last_try_are_rejected() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 2);
    let group = group(kafka, &[]);
    share(kafka, &group, &topic)
        .args(["-q", "-c", "1", "--exec", "exit 1"])
        .run()
        .succeeds();
    share(kafka, &group, &topic)
        .args(["-c", "2", "--batch", "2", "--max-tries", "2"])
        .args(["--exec", "exit 1"])
        .run()
        .succeeds()
        .stderr_has("[0] offset 0: the last try; rejected")
        .stderr_has("[0] offset 1: try 1; it comes again");
    rest_is(kafka, &group, &topic, "1\t2\n");
}

// Regression: it used all of a processor until the response came.
#[test]
fn a_queue_whose_coordinator_is_silent_waits_without_work() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 1);
    let group = group(kafka, &[]);
    let proxy = Interceptor::before(&kafka.bootstrap());
    let proxy = proxy.on(ApiKey::ShareGroupHeartbeat, |_, _| Then::Silence);
    // The shell's limit is in seconds of processor time.
    let script = format!(
        "ulimit -t 2; exec kcat-lite --share '{group}' '{topic}' -b '{}' --exec cat --give-up 11s",
        proxy.bootstrap()
    );
    shell(&script)
        .limit(LIMIT)
        .run()
        .fails_with(2)
        .stderr_has("(--give-up)");
}

// Regression: once all brokers had been empty, only the one with the lowest number was asked.
#[test]
fn a_queue_with_fewer_commands_than_brokers_gets_the_records_of_each() {
    let Some(kafka) = rolling::shared() else {
        return;
    };
    let _all_there = rolling::all_there();
    let topic = numbered(kafka, 3, 3);
    let group = group(kafka, &[]);
    let mut running = share(kafka, &group, &topic)
        .args(["-q", "--exec", "cat"])
        .start();
    for number in 0..3 {
        running.stdout_until(format!("{number}\n"), LIMIT);
    }
    for partition in [2, 1, 0] {
        let value = format!("again {partition}");
        let record = Record {
            partition: Some(partition),
            ..Record::of(&*value)
        };
        kafka.produce(&topic, &[record]);
        running.stdout_until(value, LIMIT);
    }
    running.signal(Signal::TERM);
    running.wait().succeeds();
}

// Regression: it ended with 0, as if the queue were empty.
#[test]
fn a_queue_whose_leader_is_away_is_not_called_idle() {
    let Some(kafka) = own_kafka() else { return };
    let topic = numbered(&kafka, 1, 1);
    let group = group(&kafka, &[]);
    let mut running = share(&kafka, &group, &topic)
        .args(["-q", "--idle", "8s"])
        .start();
    running.stdout_until("0\n", LIMIT);
    kafka.kill(1);
    let output = running.wait().fails_with(2);
    output.stderr_has(format!("the leader of {topic} [0] is not reached"));
}

// Regression: it ended with 2, because the second broker was asked only when the first one had answered.
#[test]
fn an_empty_queue_on_several_brokers_is_idle_even_if_they_are_still_being_connected() {
    let Some(kafka) = rolling::shared() else {
        return;
    };
    let _all_there = rolling::all_there();
    let topic = kafka.topic("jobs", 3, &[]);
    for _ in 0..4 {
        share(kafka, &group(kafka, &[]), &topic)
            .args(["-q", "--idle", "500ms"])
            .run()
            .succeeds();
    }
}
