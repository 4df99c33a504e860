//! `--exec`: batches, what commands are told of them, and what is committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{SOON, at};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record, any};
use crate::testkit::command::{Cmd, shell};
use crate::testkit::{postgres, session};

/// `kcat-lite -G` with a command for its batches.
pub(super) fn exec(kafka: &Kafka, group: &str, topic: &str, command: &str) -> Cmd {
    let properties = [
        "-X",
        "auto.offset.reset=earliest",
        "-X",
        "session.timeout.ms=6000",
    ];
    at(kafka, &["-G", group, topic, "--exec", command])
        .args(properties)
        .limit(Duration::from_secs(60))
}

/// A topic of so many partitions, each with the numbers below `count`.
pub(super) fn numbered(kafka: &Kafka, partitions: i32, count: usize) -> String {
    let topic = kafka.topic("batches", partitions, &[]);
    let records = (0..count).flat_map(|n| {
        (0..partitions).map(move |partition| Record {
            partition: Some(partition),
            ..Record::of(n.to_string())
        })
    });
    kafka.produce(&topic, &records.collect::<Vec<_>>());
    topic
}

/// The blocks of SQL of the recipe in the manual page: the tables, and what loads a batch.
pub(super) fn recipe() -> (String, String) {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("man/kcat-lite.1");
    let page = std::fs::read_to_string(page).unwrap();
    let block = |first: &str| {
        let lines = page.lines().map(|line| line.replace("\\e", "\\"));
        let block = lines
            .skip_while(|line| !line.starts_with(first))
            .take_while(|line| line != ".Ed");
        block.collect::<Vec<_>>().join("\n") + "\n"
    };
    (block("create table positions"), block("begin;"))
}

#[test]
fn a_command_gets_whole_batches_and_is_told_what_they_hold() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 25);
    let group = session::unique("told");
    let command = r#"echo "$KAFKA_TOPIC $KAFKA_FIRST $KAFKA_LAST $KAFKA_COUNT" $(cat)"#;
    let expected: String = [(0, 9), (10, 19), (20, 24)]
        .map(|(first, last)| {
            let values: Vec<String> = (first..=last).map(|n: i32| n.to_string()).collect();
            let count = last - first + 1;
            let values = values.join(" ");
            format!("{topic} {topic}:0:{first} {topic}:0:{last} {count} {values}\n")
        })
        .concat();
    exec(kafka, &group, &topic, command)
        .args(["-e", "-q", "--batch", "10"])
        .run()
        .succeeds()
        .stdout_is(expected);
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 25)]));
    exec(kafka, &group, &topic, "echo more")
        .arg("-e")
        .run()
        .succeeds()
        .stdout_is("");
}

#[test]
fn a_batch_ends_by_its_bytes_and_by_its_time() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 1000);
    exec(kafka, &session::unique("bytes"), &topic, "wc -l")
        .args(["-e", "-q", "--batch-bytes", "100"])
        .run()
        .succeeds()
        // Ten numbers of one digit, then of two: 20 bytes and 81.
        .stdout_has("37\n34\n");
    let waiting = numbered(kafka, 1, 3);
    let mut running = exec(kafka, &session::unique("time"), &waiting, "cat; echo .")
        .args(["--batch-wait", "200ms"])
        .start();
    running.stdout_until("0\n1\n2\n.\n", SOON);
    kafka.produce(&waiting, &[Record::of("3")]);
    running.stdout_until("3\n.\n", SOON);
    running.signal(Signal::TERM);
    running.wait().succeeds();
}

#[test]
fn a_batch_that_is_not_taken_is_not_committed_nor_is_one_after_it() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 30);
    let group = session::unique("refused");
    exec(kafka, &group, &topic, "grep -qx 15 && exit 7; cat")
        .args(["-e", "--batch", "10"])
        .run()
        .fails_with(2)
        .stderr_has(format!(
            "exit status: 7; not committed: 10 records ({topic}:0:10 to {topic}:0:19)"
        ));
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 10)]));
}

#[test]
fn a_command_that_fails_is_tried_again_with_the_whole_batch() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 3);
    let group = session::unique("again");
    exec(
        kafka,
        &group,
        &topic,
        "if mkdir tried 2>/dev/null; then head -1; exit 1; fi; cat",
    )
    .inside(&session::folder("again"))
    .args(["-e", "--retry", "1"])
    .run()
    .succeeds()
    .stdout_is("0\n0\n1\n2\n")
    .stderr_has("trying again in 1 s");
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 3)]));
}

#[test]
fn a_value_that_a_command_would_take_for_two_stops_before_it() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("ambiguous", &["one", "two\nlines", "three"]);
    let group = session::unique("ambiguous");
    exec(kafka, &group, &topic, "cat")
        .arg("-e")
        .run()
        .fails_with(2)
        .stdout_is("one\n")
        .stderr_has("offset 1: it holds the delimiter; --tsv is lossless");
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 1)]));
    exec(kafka, &group, &topic, "cat")
        .args(["-e", "--tsv=value"])
        .run()
        .succeeds()
        .stdout_is("two\\nlines\nthree\n");
}

#[test]
fn partitions_run_beside_each_other_and_each_in_its_order() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 4, 20);
    let started = Instant::now();
    let output = exec(
        kafka,
        &session::unique("parallel"),
        &topic,
        r#"sleep 1; echo "$KAFKA_FIRST" $(cat)"#,
    )
    .args(["-e", "-q", "--parallel", "4", "--batch", "10"])
    .run()
    .succeeds();
    assert!(started.elapsed() < Duration::from_secs(7), "one by one");
    for partition in 0..4 {
        let of_it = |line: &&str| line.starts_with(&format!("{topic}:{partition}:"));
        let found: Vec<&str> = output.lines().into_iter().filter(of_it).collect();
        let expected = [
            format!("{topic}:{partition}:0 0 1 2 3 4 5 6 7 8 9"),
            format!("{topic}:{partition}:10 10 11 12 13 14 15 16 17 18 19"),
        ];
        assert_eq!(found, expected);
    }
}

/// Regression: with many batches in each partition, two or three of eight commands ran at a time.
#[test]
fn as_many_commands_run_as_are_asked_for_although_each_partition_has_many_batches() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 4, 20);
    let folder = session::folder("parallel");
    let command = format!(
        "cd '{}' && mkdir run-$$ && ls | wc -l; sleep 0.3; rmdir run-$$",
        folder.display()
    );
    let output = exec(kafka, &session::unique("many"), &topic, &command)
        .args(["-e", "-q", "--parallel", "4", "--batch", "4"])
        .run()
        .succeeds();
    let running: Vec<u32> = output
        .lines()
        .iter()
        .map(|n| n.trim().parse().unwrap())
        .collect();
    assert_eq!(
        (running.len(), running.iter().max()),
        (20, Some(&4)),
        "{running:?}"
    );
}

/// Regression: a hundred batches of one partition waited, and no other partition was read.
#[test]
fn no_partition_waits_for_the_many_small_batches_of_another() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 4, 20_000);
    let command = "sleep 0.05; echo p${KAFKA_FIRST##*$KAFKA_TOPIC:}";
    let mut running = exec(kafka, &session::unique("fair"), &topic, command)
        .args(["-q", "--parallel", "4", "--batch", "20"])
        .start();
    for partition in 0..4 {
        running.stdout_until(format!("p{partition}:100\n"), SOON);
    }
    running.signal(Signal::TERM);
    running.wait().succeeds();
}

/// Regression: one that failed after a signal had the others killed.
#[test]
fn a_command_that_fails_after_a_signal_lets_the_others_come_to_their_end() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 4, 10);
    let group = session::unique("fails");
    let command = "echo begun; case ${KAFKA_FIRST##*$KAFKA_TOPIC:} in [12]:*) sleep 1; exit 5;; esac; sleep 3; cat";
    let mut running = exec(kafka, &group, &topic, command)
        .args(["--parallel", "4", "--batch", "10"])
        .start();
    running.stdout_until("begun\nbegun\nbegun\nbegun\n", SOON);
    running.signal(Signal::TERM);
    let output = running.wait().fails_with(2);
    let output = [1, 2].into_iter().fold(output, |output, partition| {
        output.stderr_has(format!("not committed: 10 records ({topic}:{partition}:0"))
    });
    output.expect(|it| it.lines().len() == 4 + 20, "both others ended");
    assert_eq!(
        kafka.committed(&group, &topic),
        BTreeMap::from([(0, 10), (3, 10)])
    );
}

/// Regression: it ran on beside the command of the member that had got its partition.
/// Regression: a batch that waited began although another member had processed it.
/// Regression: the open batch of each partition had a file, and a topic of many partitions more than may be open.
#[test]
fn a_topic_may_have_more_partitions_than_files_may_be_open() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 300, 1);
    let group = session::unique("wide");
    let script = format!(
        "ulimit -n 256; kcat-lite -b '{}' -G '{group}' -e -q -X auto.offset.reset=earliest --exec cat --parallel 2 \
         '{topic}' | wc -l",
        kafka.bootstrap()
    );
    shell(&script)
        .limit(Duration::from_secs(60))
        .run()
        .succeeds()
        .stdout_is("300\n");
}

#[test]
fn a_signal_lets_the_batch_come_to_its_end() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = numbered(kafka, 1, 20);
    let group = session::unique("signal");
    let mut running = exec(kafka, &group, &topic, "echo begun; sleep 2; wc -l")
        .args(["--batch", "10"])
        .start();
    running.stdout_until("begun\n", SOON);
    running.signal(Signal::TERM);
    running.wait().succeeds().stdout_has("10\n");
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 10)]));
}

#[test]
fn the_end_is_that_of_the_group_also_behind_markers_of_transactions() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("marked", 1, &[]);
    let producer = kafka.producer(&[("transactional.id", &topic)]);
    producer.begin();
    producer.send(&topic, &[Record::of("a"), Record::of("b")]);
    producer.commit();
    // The markers, and with them the end that a reader sees, come a moment after the commit.
    kafka.wait_for_records(&topic, 2, SOON);
    let group = session::unique("marked");
    exec(kafka, &group, &topic, "cat")
        .arg("-e")
        .run()
        .succeeds()
        .stdout_is("a\nb\n");
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 3)]));
}

#[test]
fn the_recipe_loads_a_batch_once_however_often_it_comes() {
    let (Some(kafka), Some(postgres)) = (shared_kafka(), postgres::start()) else {
        return;
    };
    let (tables, load) = recipe();
    postgres.sql(&tables).succeeds();
    let folder = session::folder("recipe");
    std::fs::write(folder.join("load.sql"), load).unwrap();
    let topic = numbered(kafka, 2, 100);
    // A new group reads from the beginning: all comes again, cut into other batches.
    for batch in ["30", "70", "1000"] {
        let group = session::unique("recipe");
        let command = "psql -qX -v ON_ERROR_STOP=1 -f load.sql";
        let run = exec(kafka, &group, &topic, command)
            .args(["-e", "-q", "--tsv=partition,offset,key,value"])
            .args(["--batch", batch])
            .inside(&folder);
        postgres.known_to(run).run().succeeds().stderr_is("");
        let rows = postgres.sql("select count(*), count(distinct value) from orders");
        rows.succeeds().stdout_is("200\t100\n");
    }
}

/// It repeated three: the one that ran, the one that was ready and the one that was being read.
#[test]
fn a_command_gets_offsets_where_they_are_asked_for() {
    let cluster = any();
    let topic = cluster.topic_of("exec-offsets", &["a", "b"]);
    let group = session::unique("exec-offsets");
    at(
        &*cluster,
        &["-G", &group, "-e", "-O", "--exec", "cat", &topic],
    )
    .args(["-q", "-X", "auto.offset.reset=earliest"])
    .run()
    .succeeds()
    .stdout_is("0\ta\n1\tb\n");
}

#[test]
fn the_message_of_exec_names_the_line_that_gets_past_a_record() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("poison", &["a", "poison", "b"]);
    let group = session::unique("poison");
    let run = || {
        at(kafka, &["-G", &group, "-e", "-q", &topic])
            .args(["-X", "auto.offset.reset=earliest"])
            .args(["--batch", "1", "--exec", "grep -v poison"])
            .run()
    };
    let stopped = run().fails_with(2).stdout_is("a\n");
    let message = String::from_utf8_lossy(&stopped.stderr);
    let (_, line) = message.trim().split_once("to skip it: ").unwrap();
    shell(line)
        .env("KAFKA_BROKERS", kafka.bootstrap())
        .run()
        .succeeds()
        .stdout_is(format!("{topic}\t0\t1\t2\n"));
    run().succeeds().stdout_is("b\n");
}
