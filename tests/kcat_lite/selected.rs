//! Which records `-C` prints and when it stops: `--last`, `--only-key`, `--idle`.

use super::{SOON, at, consume};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record, any};
use crate::testkit::session;
use std::time::Duration;

#[test]
fn idleness_ends_a_consumer_and_a_member_of_a_group() {
    let cluster = any();
    let topic = cluster.topic_of("idle", &["a", "b"]);
    at(&*cluster, &["-C", "-t", &topic, "--idle", "1s"])
        .run()
        .succeeds()
        .stdout_is("a\nb\n")
        .stderr_has("no record for 1s");
    let group = session::unique("idle");
    at(&*cluster, &["-G", &group, "-q", "--idle", "1s", &topic])
        .args(["-X", "auto.offset.reset=earliest"])
        .run()
        .succeeds()
        .stdout_is("a\nb\n")
        .stderr_is("");
    assert_eq!(cluster.committed(&group, &topic)[&0], 2);
    let mut fed = at(&*cluster, &["-C", "-q", "-t", &topic, "--idle", "3s"]).start();
    fed.stdout_until("b\n", SOON);
    std::thread::sleep(Duration::from_secs(2));
    cluster.produce(&topic, &[Record::of("c")]);
    fed.stdout_until("c\n", SOON);
    fed.wait().succeeds().stdout_is("a\nb\nc\n");
}

#[test]
fn the_last_are_the_newest_of_all_partitions_by_their_times() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("last", 3, &[]);
    let record = |partition: i32, ms: i64| Record {
        partition: Some(partition),
        timestamp_ms: Some(ms),
        ..Record::keyed(format!("k{}", ms % 2), ms.to_string())
    };
    let mut records: Vec<Record> = (0..50).map(|n| record(0, 1_000 + n)).collect();
    records.extend((0..3).map(|n| record(1, 5_000 + n)));
    records.extend((0..20).map(|n| record(2, 3_000 + 1_000 * n)));
    kafka.produce(&topic, &records);
    let last = |args: &[&str]| {
        let read = at(kafka, &["-C", "-q", "-t", &topic]);
        read.args(args).run().succeeds()
    };
    last(&["--last", "3"]).stdout_is("20000\n21000\n22000\n");
    last(&["--last", "3", "--engine", "librdkafka"]).stdout_is("20000\n21000\n22000\n");
    last(&["--last", "2", "-p", "0", "-e"]).stdout_is("1048\n1049\n");
    last(&["--last", "2", "--only-key", "k1"]).stdout_is("1049\n5001\n");
    last(&["--last", "200", "-f", "%T\\n"]).expect(|it| it.lines().len() == 73, "every record");
    last(&["--last", "1", "-J"])
        .stdout_has("\"ts\":22000")
        .stdout_has("\"key\":\"k0\"");
    for args in [["-o", "3"], ["-c", "1"], ["--idle", "1s"]] {
        let read = at(kafka, &["-C", "-t", &topic, "--last", "3"]).args(args);
        read.run()
            .fails_with(2)
            .stderr_has(args[0])
            .stderr_has("--last");
    }
}

/// None of them was written.
#[test]
fn the_last_records_before_one_that_does_not_unpack_are_written() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("last-pack", 1, &[]);
    kafka.produce(&topic, &["\0\0\0\x01", "\0\0\0\x02", "x"].map(Record::of));
    at(
        kafka,
        &["-C", "-q", "-t", &topic, "--last", "3", "-s", "value=>i"],
    )
    .run()
    .fails_with(2)
    .stdout_is("1\n2\n")
    .stderr_has("offset 2");
}

#[test]
fn the_last_records_lie_behind_holes_and_markers_too() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("last-markers", 1, &[]);
    for n in 0..6 {
        let id = format!("transactional.id={topic}");
        at(kafka, &["-P", "-t", &topic, "-X", &id])
            .stdin(format!("{n}\n"))
            .run()
            .succeeds();
    }
    at(kafka, &["-C", "-q", "-t", &topic, "--last", "4"])
        .run()
        .succeeds()
        .stdout_is("2\n3\n4\n5\n");
}

#[test]
fn only_one_key_is_shown_from_all_partitions_or_from_its_own() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("only-key", 5, &[]);
    let lines: Vec<String> = (0..50).map(|n| format!("k{}:{n}\n", n % 10)).collect();
    at(kafka, &["-P", "-t", &topic, "-K:"])
        .stdin(lines.concat())
        .run()
        .succeeds();
    // A record that somebody has put elsewhere.
    let elsewhere = |partition: i32| Record {
        partition: Some(partition),
        ..Record::keyed("k3", "elsewhere")
    };
    kafka.produce(&topic, &(0..5).map(elsewhere).collect::<Vec<_>>());
    let only = |args: &[&str]| {
        consume(kafka, &topic)
            .args(["--only-key", "k3"])
            .args(args)
            .run()
    };
    let all = only(&[]).succeeds();
    assert_eq!(all.lines().len(), 10, "{}", all.story());
    let own = only(&["--algo", "java"]).succeeds();
    own.stdout_is("3\n13\n23\n33\n43\nelsewhere\n");
    only(&["-c", "1", "--algo", "java"])
        .succeeds()
        .stdout_is("3\n");
    let group = session::unique("only-key");
    let member = at(
        kafka,
        &["-G", &group, "-e", "-q", "--only-key", "k3", &topic],
    );
    let member = member
        .args(["-X", "auto.offset.reset=earliest"])
        .run()
        .succeeds();
    assert_eq!(member.lines().len(), 10, "{}", member.story());
    assert_eq!(kafka.committed(&group, &topic).values().sum::<i64>(), 55);
    let refused = [
        (&["--algo", "redis"][..], "--algo"),
        (&["--algo", "java", "-p", "0"], "-p"),
        (&["--algo", "no-such"], "no-such"),
    ];
    for (args, named) in refused {
        only(args).fails_with(2).stderr_has(named);
    }
    consume(kafka, &topic)
        .args(["--algo", "java"])
        .run()
        .fails_with(2)
        .stderr_has("--only-key");
}
