use crate::testkit::broker;
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::session;
use std::collections::BTreeMap;
use std::path::Path;

/// Records of every shape, in three partitions.
fn records() -> Vec<Record> {
    let long_ago_ms = 1_500_000_000_000;
    (0..3000_i64)
        .map(|n| Record {
            partition: Some((n % 3) as i32),
            timestamp_ms: Some(long_ago_ms + n),
            key: (n % 5 > 0).then(|| format!("k{n}").into_bytes()),
            value: match n % 7 {
                0 => None,
                1 => Some(Vec::new()),
                2 => Some(vec![0, 255, b'\n', b'\t', b'\\', b'\r']),
                _ => Some(format!("value {n}").into_bytes()),
            },
            headers: match n % 4 {
                0 => Vec::new(),
                1 => vec![("h".to_owned(), None), ("h".to_owned(), Some(Vec::new()))],
                _ => vec![
                    ("b".to_owned(), Some(vec![0, 1, 254])),
                    ("a".to_owned(), Some(b"x=&%".to_vec())),
                ],
            },
            ..Record::default()
        })
        .collect()
}

fn back_up(kafka: &impl Cluster, topic: &str, folder: &Path, options: &[&str]) {
    cmd("bash")
        .args(["-o", "pipefail", "-c"])
        .arg("kcat-lite -C -b $BROKERS -t $TOPIC -o beginning -e -q --tsv=all | ktee --tsv=all -b $BROKERS --settings \"$@\" b/ >/dev/null")
        .arg("bash")
        .args(options)
        .env("BROKERS", kafka.bootstrap())
        .env("TOPIC", topic)
        .env("PATH", format!("{}:{}", crate::testkit::command::programs().display(), std::env::var("PATH").unwrap()))
        .inside(folder)
        .run()
        .succeeds();
}

fn restore(kafka: &impl Cluster, folder: &Path) -> Cmd {
    cmd("ktee")
        .args(["--restore", "b", "-b", &kafka.bootstrap()])
        .inside(folder)
}

/// What a restored record must not differ in.
fn plain(records: &[Record]) -> Vec<Record> {
    let offset = 0;
    records
        .iter()
        .map(|record| Record {
            offset,
            ..record.clone()
        })
        .collect()
}

#[test]
fn a_topic_comes_back_as_it_was_and_keeps_its_old_records() {
    let Some(source) = broker::shared() else {
        return;
    };
    let Some(target) = broker::Spec::new().start() else {
        return;
    };
    let topic = source.topic(
        "restore",
        5,
        &[
            ("retention.ms", "-1"),
            ("max.message.bytes", "2000000"),
            ("segment.ms", "100000"),
        ],
    );
    source.produce(&topic, &records());
    let folder = session::folder("restore");
    back_up(&source, &topic, &folder, &["--segment-records", "300"]);
    restore(&target, &folder)
        .run()
        .succeeds()
        .stdout_has(format!("{topic}\tsegment.ms\t100000\n"))
        .stdout_has(format!("{topic}\tmessage.timestamp.type\t\\N\n"));
    assert_eq!(
        plain(&target.records(&topic)),
        plain(&source.records(&topic))
    );
    // Five partitions, two of them empty.
    assert_eq!(target.watermarks(&topic, 4), (0, 0));
    // A second time it would be doubled.
    restore(&target, &folder)
        .run()
        .fails_with(2)
        .stderr_has("--force");
    assert_eq!(target.records(&topic).len(), 3000);
}

#[test]
fn a_topic_that_would_lose_the_records_is_refused_without_force() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic("restore-refused", 3, &[("retention.ms", "-1")]);
    kafka.produce(&topic, &records());
    let folder = session::folder("restore-refused");
    back_up(&kafka, &topic, &folder, &[]);
    let Some(target) = broker::Spec::new().start() else {
        return;
    };
    target.create_topic(&topic, 3, &[("retention.ms", "604800000")]);
    restore(&target, &folder)
        .run()
        .fails_with(2)
        .stderr_has("retention.ms=604800000");
    assert_eq!(target.records(&topic).len(), 0);
    restore(&target, &folder).arg("--force").run().succeeds();
    let narrow = session::folder("restore-narrow");
    back_up(&kafka, &topic, &narrow, &[]);
    let Some(other) = broker::Spec::new().start() else {
        return;
    };
    other.create_topic(&topic, 2, &[("retention.ms", "-1")]);
    restore(&other, &narrow)
        .arg("--force")
        .run()
        .fails_with(2)
        .stderr_has("2 partitions");
}

#[test]
fn groups_go_on_behind_the_records_that_they_had_read() {
    let Some(source) = broker::shared() else {
        return;
    };
    let Some(target) = broker::Spec::new().start() else {
        return;
    };
    let topic = source.topic("restore-groups", 3, &[("retention.ms", "-1")]);
    source.produce(&topic, &records());
    let group = session::unique("readers");
    cmd("kcat-lite")
        .args(["-G", &group, "-c", "1234", "-q", "-b", &source.bootstrap()])
        .args(["-X", "auto.offset.reset=earliest", &topic])
        .run()
        .succeeds();
    let committed = source.committed(&group, &topic);
    assert_eq!(committed.values().sum::<i64>(), 1234);
    let folder = session::folder("restore-groups");
    back_up(&source, &topic, &folder, &["--groups"]);
    // Without the first 100 records of each partition, so that old and new offsets differ.
    restore(&target, &folder)
        .args(["--groups", "--from", "1500000000300"])
        .run()
        .succeeds();
    let moved: BTreeMap<i32, i64> = committed
        .iter()
        .map(|(p, offset)| (*p, (offset - 100).max(0)))
        .collect();
    assert_eq!(target.committed(&group, &topic), moved);
}
