//! `--share`: records of a share group, one by one; what commands make of them; what Java's client sees.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use rustix::process::Signal;

use super::at;
use crate::testkit::broker::{Kafka, Spec, own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::interceptor::{Interceptor, Then};
use crate::testkit::output::lines;
use crate::testkit::{java, session};

/// A new group's first assignment takes the brokers some seconds.
pub(super) const LIMIT: Duration = Duration::from_secs(90);

/// A group that begins at the beginning, with these settings besides.
pub(super) fn group(kafka: &Kafka, settings: &[&str]) -> String {
    let group = session::unique("queue");
    let all = [&["share.auto.offset.reset=earliest"], settings].concat();
    java::set_group(&kafka.bootstrap(), &group, &all).expect("it comes with the broker");
    group
}

pub(super) fn share(kafka: &Kafka, group: &str, topic: &str) -> Cmd {
    at(kafka, &["--share", group, topic]).limit(LIMIT)
}

pub(super) fn numbered(kafka: &Kafka, partitions: i32, count: i32) -> String {
    let topic = kafka.topic("jobs", partitions, &[]);
    let records = (0..count).map(|n| Record {
        partition: Some(n % partitions),
        ..Record::of(n.to_string())
    });
    kafka.produce(&topic, &records.collect::<Vec<_>>());
    topic
}

fn numbers(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut numbers: Vec<String> = text.lines().map(str::to_owned).collect();
    numbers.sort_by_key(|number| number.parse::<i32>().unwrap());
    numbers
}

#[test]
fn what_standard_output_has_taken_is_accepted_and_the_rest_comes_again() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 10);
    let group = group(kafka, &[]);
    share(kafka, &group, &topic)
        .args(["-q", "-c", "4", "--tsv=offset,delivery_count,value"])
        .run()
        .succeeds()
        .stdout_is("0\t1\t0\n1\t1\t1\n2\t1\t2\n3\t1\t3\n");
    share(kafka, &group, &topic)
        .args(["-q", "--idle", "1s"])
        .run()
        .succeeds()
        .stdout_is(lines(4..10));
    // Nothing is left for Java's client either.
    java::tool("org.apache.kafka.tools.consumer.ConsoleShareConsumer")
        .expect("it comes with the broker")
        .args(["--bootstrap-server", &kafka.bootstrap()])
        .args(["--group", &group, "--topic", &topic, "--timeout-ms", "4000"])
        .limit(LIMIT)
        .run()
        .expect(
            |output| {
                output
                    .lines()
                    .iter()
                    .all(|line| line.parse::<u32>().is_err())
            },
            "no record",
        );
}

#[test]
fn each_record_is_accepted_rejected_or_tried_again_as_its_command_says() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 2, 6);
    let dead = kafka.topic("dead", 1, &[]);
    let group = group(kafka, &[]);
    let command = r#"read n; case $n in 2) exit 65 ;; 3) exit 1 ;; 4) test "$KAFKA_DELIVERY_COUNT" -gt 1 || kill -9 $$ ;; esac
        echo "$n $KAFKA_PARTITION $KAFKA_OFFSET $KAFKA_DELIVERY_COUNT""#;
    let output = share(kafka, &group, &topic)
        .args(["--idle", "3s", "--parallel", "3", "--exec", command])
        .args(["--max-tries", "2", "--reject-to", &dead])
        .run()
        .succeeds()
        .stderr_has("offset 1: the last try; rejected");
    let mut done = output.lines();
    done.sort_unstable();
    assert_eq!(done, ["0 0 0 1", "1 1 0 1", "4 0 2 2", "5 1 2 1"]);
    let rejected = at(kafka, &["-C", "-e", "-q", "-t", &dead, "-f", "%s %h\\n"])
        .run()
        .succeeds();
    let mut rejected = rejected.lines();
    rejected.sort_unstable();
    let headers = |partition, offset, count, code| {
        format!(
            "__dlq.errors.topic={topic},__dlq.errors.partition={partition},__dlq.errors.offset={offset},\
             __dlq.errors.group={group},__dlq.errors.delivery.count={count},\
             __dlq.errors.message=--exec: exit status: {code}"
        )
    };
    let expected = [
        format!("2 {}", headers(0, 1, 1, 65)),
        format!("3 {}", headers(1, 1, 2, 1)),
    ];
    assert_eq!(rejected, expected);
}

#[test]
fn a_command_that_is_not_found_stops_the_program_and_its_record_comes_again() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 1);
    let group = group(kafka, &[]);
    share(kafka, &group, &topic)
        .args(["--exec", "no-such-command"])
        .run()
        .fails_with(2)
        .stderr_has("the command can't be run");
    share(kafka, &group, &topic)
        .args(["-q", "-c", "1", "--exec", "cat"])
        .run()
        .succeeds()
        .stdout_is("0\n");
}

#[test]
fn several_records_in_one_command_have_one_verdict() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 10);
    let group = group(kafka, &[]);
    share(kafka, &group, &topic)
        .args(["-q", "-c", "10", "--batch", "5"])
        .args(["--exec", "echo $KAFKA_COUNT; cat"])
        .run()
        .succeeds()
        .stdout_is("5\n0\n1\n2\n3\n4\n5\n5\n6\n7\n8\n9\n");
}

#[test]
fn a_lock_is_renewed_while_its_command_runs() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 1);
    let group = group(kafka, &["share.record.lock.duration.ms=5000"]);
    let output = share(kafka, &group, &topic)
        .args(["--idle", "1s", "--exec", "sleep 8; cat"])
        .run()
        .succeeds();
    output.stdout_is("0\n").stderr_lacks("delivered again");
}

#[test]
fn after_a_kill_only_the_running_commands_run_again_and_none_is_lost() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 2, 60);
    let settings = [
        "share.record.lock.duration.ms=5000",
        "share.session.timeout.ms=6000",
    ];
    let group = group(kafka, &settings);
    let done = session::folder("share").join("done");
    let command = format!("cat >>'{}'; sleep 0.3", done.display());
    let mut killed = share(kafka, &group, &topic)
        .args(["-q", "--parallel", "4", "--exec", &command])
        .start();
    let until = std::time::Instant::now() + LIMIT;
    while numbers(&done).len() < 20 && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    killed.signal(Signal::KILL);
    killed.wait().dies_by(Signal::KILL);
    // The partitions are this member's alone when the other's session is over.
    share(kafka, &group, &topic)
        .args(["-q", "--parallel", "4", "--idle", "20s", "--exec", &command])
        .run()
        .succeeds();
    let all = numbers(&done);
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), 60, "{all:?}");
    assert!(all.len() <= 60 + 8, "{} ran again", all.len() - 60);
}

#[test]
fn on_sigterm_running_commands_end_and_the_rest_is_left_to_others() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 3);
    let group = group(kafka, &[]);
    let mut running = share(kafka, &group, &topic)
        .args(["-q", "--exec", "cat; sleep 1; echo done"])
        .start();
    running.stdout_until("0\n", LIMIT);
    running.signal(Signal::TERM);
    running.wait().succeeds().stdout_is("0\ndone\n");
    share(kafka, &group, &topic)
        .args(["-q", "--idle", "1s"])
        .run()
        .succeeds()
        .stdout_is("1\n2\n");
}

#[test]
fn a_new_group_that_begins_at_the_end_is_told_of() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 1);
    let group = session::unique("queue");
    let mut running = share(kafka, &group, &topic).start();
    running.stderr_until("is new: it begins at the end", LIMIT);
    running.signal(Signal::TERM);
    running.wait().succeeds().stdout_is("");
}

#[test]
fn a_queue_over_several_topics_ends_when_it_is_idle() {
    let Some(kafka) = shared_kafka() else { return };
    let (one, other) = (numbered(kafka, 1, 2), numbered(kafka, 1, 3));
    let group = group(kafka, &[]);
    let output = share(kafka, &group, &one)
        .args([&*other, "-q", "--idle", "2s", "-J", "--exec", "cat"])
        .run()
        .succeeds();
    let lines = output.lines();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line.contains("\"delivery_count\":1,"))
    );
}

#[test]
fn give_up_ends_a_queue_whose_cluster_is_away_for_too_long() {
    let Some(kafka) = own_kafka() else { return };
    let topic = numbered(&kafka, 1, 1);
    let mut running = share(&kafka, "jobs", &topic)
        .args(["--give-up", "3s", "--exec", "cat"])
        .start();
    running.stderr_until("is new", LIMIT);
    kafka.kill(1);
    running.wait().fails_with(2).stderr_has("(--give-up)");
}

#[test]
fn a_queue_whose_coordinator_was_silent_at_its_start_was_said_to_lack_permissions() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 3);
    let dead = kafka.topic("dead", 1, &[]);
    let group = group(kafka, &[]);
    let proxy = Interceptor::before(&kafka.bootstrap());
    let proxy = proxy.on(ApiKey::DescribeConfigs, |call, _| match call.number {
        0 => Then::Silence,
        _ => Then::Pass,
    });
    cmd("kcat-lite")
        .args(["--share", &group, &topic, "-b", &proxy.bootstrap()])
        .args(["--exec", "cat", "--reject-to", &dead, "-c", "3"])
        .limit(LIMIT)
        .run()
        .succeeds()
        .stderr_lacks("permissions");
    assert!(proxy.count(ApiKey::DescribeConfigs) > 1);
}

// Regression: it was said to be new, and then refused.
#[test]
fn a_group_of_another_type_is_refused_and_not_called_new() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 1);
    let group = session::unique("classic");
    at(kafka, &["-G", &group, "-e", "-q", &topic])
        .args(["-X", "auto.offset.reset=earliest"])
        .run()
        .succeeds()
        .stdout_is("0\n");
    share(kafka, &group, &topic)
        .run()
        .fails_with(2)
        .stderr_has("is not a share group")
        .stderr_lacks("is new");
}

// Regression: their locks ended while they waited for a command, and they ran twice.
#[test]
fn records_that_a_broker_before_kafka_4_2_locks_too_early_are_released_before_their_lock_ends() {
    let kafka = Spec::new()
        .version("4.1.1")
        .format(&["--feature", "share.version=1"])
        .setting("unstable.feature.versions.enable", "true")
        .setting("group.share.record.lock.duration.ms", "5000")
        .start();
    let Some(kafka) = kafka else { return };
    // One batch, which the broker locks whole.
    let topic = numbered(&kafka, 1, 40);
    let group = group(&kafka, &[]);
    let output = share(&kafka, &group, &topic)
        .args(["--idle", "3s", "--parallel", "4"])
        .args(["--exec", "cat; sleep 0.5"])
        .run()
        .succeeds()
        .stderr_has("released, which counts as a delivery");
    let mut done: Vec<u32> = output.lines().iter().map(|n| n.parse().unwrap()).collect();
    done.sort_unstable();
    assert_eq!(done, (0..40).collect::<Vec<_>>());
}

#[test]
fn a_record_that_the_dead_letter_topic_refuses_is_named_and_comes_again() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("jobs", &[&"x".repeat(5000)]);
    let dead = kafka.topic("dead", 1, &[("max.message.bytes", "1000")]);
    let group = group(kafka, &[]);
    share(kafka, &group, &topic)
        .args(["--exec", "exit 65", "--reject-to", &dead])
        .run()
        .fails_with(2)
        .stderr_has(format!("--reject-to {dead}: {topic} [0] offset 0: "));
    share(kafka, &group, &topic)
        .args(["-q", "-c", "1", "--tsv=delivery_count"])
        .run()
        .succeeds()
        .stdout_is("2\n");
}

#[test]
fn what_a_queue_can_t_do_is_refused_by_name() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 1);
    for (args, reason) in [
        (
            &["-e"][..],
            "-e does not go with --share; --idle TIME ends it",
        ),
        (&["--ack", "x", "--tsv"], "--ack does not go with --share"),
        (&["-o", "beginning"], "share.auto.offset.reset"),
        (&["--max-tries", "2"], "--max-tries needs --exec"),
        (
            &["--exec", "true", "--max-tries", "99"],
            "--max-tries 99: the group delivers a record 5 times",
        ),
        (
            &["--exec", "true", "--reject-to", "a b"],
            "--reject-to a b: a topic\'s name",
        ),
        (
            &["--exec", "true", "--reject-to", &topic],
            "the group reads this topic",
        ),
        (
            &["^dead", "--exec", "true", "--reject-to", "dead-jobs"],
            "--reject-to dead-jobs: the group reads this topic",
        ),
    ] {
        share(kafka, "jobs", &topic)
            .args(args)
            .run()
            .fails_with(2)
            .stderr_has(reason);
    }
}
