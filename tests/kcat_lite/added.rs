//! Where a group begins: what was there before it, what is added after it, what is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;

use super::{SOON, at};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, shell};
use crate::testkit::output::lines;
use crate::testkit::session;

const PROTOCOLS: [&str; 2] = ["classic", "consumer"];

/// Records of these numbers in one partition.
fn fill(kafka: &Kafka, topic: &str, partition: i32, numbers: std::ops::Range<i32>) {
    let record = |n: i32| Record {
        partition: Some(partition),
        ..Record::of(n.to_string())
    };
    kafka.produce(topic, &numbers.map(record).collect::<Vec<_>>());
}

/// A member that leaves at the end.
fn member(kafka: &Kafka, group: &str, topic: &str, protocol: &str) -> Cmd {
    at(kafka, &["-G", group, topic, "-e", "-q"])
        .args(["-X", &format!("group.protocol={protocol}")])
        .limit(Duration::from_secs(60))
}

fn sorted(lines: &[&str]) -> Vec<String> {
    let mut numbers: Vec<i32> = lines.iter().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.iter().map(ToString::to_string).collect()
}

/// What one run of a group gets to its end, by this way of committing.
fn read(kafka: &Kafka, group: &str, topic: &str, protocol: &str, way: &str) -> Vec<String> {
    match way {
        "stdout" => sorted(
            &member(kafka, group, topic, protocol)
                .run()
                .succeeds()
                .lines(),
        ),
        "--exec" => {
            let output = member(kafka, group, topic, protocol)
                .args(["--exec", "cat"])
                .run();
            sorted(&output.succeeds().lines())
        }
        _ => {
            let out = kafka.topic("out", 1, &[]);
            let sink = match way {
                "--txn" => format!("--txn {out}"),
                _ => String::new(),
            };
            let script = format!(
                "(exec kcat-lite -G {group} {topic} -e -q -X group.protocol={protocol} --ack ack --tsv=value) |
                 (exec kcat-lite -P -q -t {out} --ack ack {sink} --tsv=value)"
            );
            shell(&format!("set -o pipefail\n{script}"))
                .env("KAFKA_BROKERS", kafka.bootstrap())
                .inside(&session::folder("added"))
                .limit(Duration::from_secs(60))
                .run()
                .succeeds();
            let values = kafka.values(&out);
            sorted(&values.iter().map(String::as_str).collect::<Vec<_>>())
        }
    }
}

#[test]
fn partitions_that_are_added_are_read_from_their_beginning_in_every_way() {
    let Some(kafka) = shared_kafka() else { return };
    for protocol in PROTOCOLS {
        for way in ["stdout", "--exec", "--ack", "--txn"] {
            let case = format!("{protocol} {way}");
            let topic = kafka.topic("added", 1, &[]);
            let group = session::unique("added");
            fill(kafka, &topic, 0, 0..10);
            let read = || read(kafka, &group, &topic, protocol, way);
            assert_eq!(read(), [""; 0], "{case}: a new group begins at the end");
            kafka.grow(&topic, 3);
            fill(kafka, &topic, 1, 10..20);
            assert_eq!(read(), sorted_range(10..20), "{case}");
            fill(kafka, &topic, 2, 20..25);
            fill(kafka, &topic, 0, 25..30);
            assert_eq!(read(), sorted_range(20..30), "{case}: after a restart");
            let committed = kafka.committed(&group, &topic);
            assert_eq!(
                committed,
                BTreeMap::from([(0, 15), (1, 10), (2, 5)]),
                "{case}"
            );
        }
    }
}

fn sorted_range(numbers: std::ops::Range<i32>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

#[test]
fn a_running_member_reads_what_is_added_while_it_runs() {
    let Some(kafka) = shared_kafka() else { return };
    for protocol in PROTOCOLS {
        for start in [&[][..], &["-o", "end"]] {
            let topic = kafka.topic("grows", 1, &[]);
            fill(kafka, &topic, 0, 0..10);
            let mut running = at(kafka, &["-G", &session::unique("grows"), &topic, "-q"])
                .args(["-X", "topic.metadata.refresh.interval.ms=300"])
                .args(["-X", &format!("group.protocol={protocol}")])
                .args(start)
                .limit(Duration::from_secs(90))
                .start();
            // It has begun once it shows what comes.
            let mut sent = 10;
            while running.stdout_so_far().is_empty() {
                fill(kafka, &topic, 0, sent..sent + 1);
                sent += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            kafka.grow(&topic, 2);
            fill(kafka, &topic, 1, 1000..1005);
            running.stdout_until(lines(1000..1005), 3 * SOON);
            running.signal(Signal::TERM);
            let output = running.wait().succeeds();
            let first: i32 = output.lines()[0].parse().unwrap();
            assert!(first >= 10, "{protocol} {start:?}: {}", output.text());
        }
    }
}

#[test]
fn a_group_that_began_at_the_end_misses_nothing_while_nobody_runs() {
    let Some(kafka) = shared_kafka() else { return };
    for protocol in PROTOCOLS {
        let topic = kafka.topic("begins", 2, &[]);
        let group = session::unique("begins");
        fill(kafka, &topic, 0, 0..10);
        at(kafka, &["-G", &group, &topic, "-e"])
            .args(["-X", &format!("group.protocol={protocol}")])
            .run()
            .succeeds()
            .stdout_is("")
            .stderr_has(format!(
                "group {group} has no position in {topic}: it begins at the end"
            ));
        assert_eq!(
            kafka.committed(&group, &topic),
            BTreeMap::from([(0, 10), (1, 0)])
        );
        fill(kafka, &topic, 1, 10..12);
        member(kafka, &group, &topic, protocol)
            .run()
            .succeeds()
            .stdout_is("10\n11\n");
    }
}

#[test]
fn an_explicit_reset_wins_over_all_that() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("explicit", 1, &[]);
    let group = session::unique("explicit");
    fill(kafka, &topic, 0, 0..3);
    let run = |reset: &str| {
        member(kafka, &group, &topic, "classic")
            .args(["-X", &format!("auto.offset.reset={reset}")])
            .run()
            .succeeds()
    };
    run("earliest").stdout_is("0\n1\n2\n");
    kafka.grow(&topic, 2);
    fill(kafka, &topic, 1, 3..6);
    run("latest").stdout_is("");
    run("earliest").stdout_is("");
}

#[test]
fn a_position_whose_records_are_gone_goes_on_at_what_is_left_and_says_so() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("gone", 1, &[]);
    let group = session::unique("gone");
    fill(kafka, &topic, 0, 0..10);
    let run = || at(kafka, &["-G", &group, &topic, "-e"]);
    run()
        .args(["-c", "2", "-X", "auto.offset.reset=earliest"])
        .run()
        .succeeds()
        .stdout_is("0\n1\n");
    kafka.delete_before(&topic, 5);
    run()
        .run()
        .succeeds()
        .stdout_is("5\n6\n7\n8\n9\n")
        .stderr_has(format!(
            "{topic} [0]: records 2 to 4 were deleted before group {group} had read them"
        ));
}

#[test]
fn a_position_that_the_log_does_not_reach_is_an_error_unless_the_user_says_where_to_go_on() {
    let Some(kafka) = shared_kafka() else { return };
    let short = kafka.topic("short", 1, &[]);
    let group = session::unique("beyond");
    // As after a log was truncated.
    let client: rdkafka::consumer::BaseConsumer =
        kafka.config().set("group.id", &group).create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&short, 0, rdkafka::Offset::Offset(100))
        .unwrap();
    rdkafka::consumer::Consumer::commit(&client, &list, rdkafka::consumer::CommitMode::Sync)
        .unwrap();
    fill(kafka, &short, 0, 0..3);
    member(kafka, &group, &short, "classic")
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("has committed offset 100, and the log ends at 3");
    member(kafka, &group, &short, "classic")
        .args(["-X", "auto.offset.reset=earliest"])
        .run()
        .succeeds()
        .stdout_is("0\n1\n2\n");
}
