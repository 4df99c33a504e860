use super::restore::{back_up, read_as_group, records, restore};
use crate::testkit::broker::{own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{cmd, shell};
use crate::testkit::session;
use std::collections::BTreeMap;
use std::path::Path;

/// Row t16 of the trial: 6 partitions came back as 3, and an empty topic not at all.
#[test]
fn a_topic_comes_back_with_its_empty_partitions_and_an_empty_topic_too() {
    let Some(source) = shared_kafka() else { return };
    let Some(target) = own_kafka() else { return };
    let topic = source.topic("recorded", 6, &[("retention.ms", "-1")]);
    let empty = source.topic("recorded-empty", 2, &[]);
    let record = |partition: i32| Record {
        partition: Some(partition),
        ..Record::of("x")
    };
    source.produce(&topic, &[record(0), record(2)]);
    let folder = session::folder("recorded");
    let pipe = |options: &str| {
        shell(
            "kcat-lite -C -b $BROKERS -t $TOPIC -o beginning -e -q --tsv=all | \
             ktee --tsv=all $OPTIONS b/ >/dev/null",
        )
        .env("BROKERS", source.bootstrap())
        .env("TOPIC", &topic)
        .env("OPTIONS", options)
        .inside(&folder)
        .run()
    };
    let brokers = format!("-b {}", source.bootstrap());
    pipe(&format!("{brokers} -t {empty}")).succeeds();
    pipe(&format!("{brokers} -t {empty}x"))
        .fails_with(2)
        .stderr_has(format!("topic {empty}x: the cluster does not have it"));
    // A later run that knows no cluster, or cannot reach it, forgets nothing.
    pipe("").succeeds();
    pipe("-b localhost:1 -m 0.2")
        .succeeds()
        .stderr_has("how many partitions there are is not known");
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_has(format!("{topic}\t5\t0\t0\t"))
        .stdout_has(format!("{empty}\t1\t0\t0\t"));
    restore(&target, &folder).run().succeeds();
    target.wait_for_leaders(&topic, 6);
    target.wait_for_leaders(&empty, 2);
    assert_eq!(target.records(&topic).len(), 2);
    // A topic of fewer partitions takes what has no records in the others.
    let narrow = session::unique("recorded-narrow");
    let keeps = [("retention.ms", "-1"), ("retention.bytes", "-1")];
    target.create_topic(&narrow, 3, &keeps);
    restore(&target, &folder)
        .args(["-t", &format!("{topic}={narrow}")])
        .run()
        .succeeds();
    assert_eq!(target.records(&narrow).len(), 2);
}

#[test]
fn groups_go_on_behind_the_records_that_they_had_read() {
    let Some(source) = shared_kafka() else { return };
    let Some(target) = own_kafka() else { return };
    let topic = source.topic("restore-groups", 3, &[("retention.ms", "-1")]);
    source.produce(&topic, &records());
    let group = session::unique("readers");
    read_as_group(source, &topic, &group, "1234");
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

#[test]
fn groups_are_committed_on_partitions_without_records_and_as_of_a_time() {
    let Some(source) = shared_kafka() else { return };
    let topic = source.topic("restore-empty", 2, &[("retention.ms", "-1")]);
    let group = session::unique("readers");
    let read = |count: &str| read_as_group(source, &topic, &group, count);
    let record = |n: u32| Record {
        partition: Some(0),
        ..Record::of(n.to_string())
    };
    source.produce(&topic, &(0..10).map(record).collect::<Vec<_>>());
    read("4");
    source.commit_offset(&group, &topic, 1, 0);
    let folder = session::folder("restore-empty");
    back_up(&source, &topic, &folder, &["--groups"]);
    let before_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    read("3");
    back_up(&source, &topic, &folder, &["--groups"]);
    let Some(target) = own_kafka() else { return };
    restore(&target, &folder)
        .args(["--groups", "--as-of", "2020-01-01"])
        .run()
        .succeeds()
        .stderr_has(format!(
            "topic {topic}: the first groups were recorded at 2"
        ));
    assert_eq!(target.committed(&group, &topic), BTreeMap::new());
    restore(&target, &folder)
        .args(["--groups", "--as-of", &before_ms.to_string()])
        .run()
        .succeeds()
        .stderr_has(format!("{topic} [1]: 0 records sent"));
    assert_eq!(
        target.committed(&group, &topic),
        BTreeMap::from([(0, 4), (1, 0)])
    );
    restore(&target, &folder).arg("--groups").run().succeeds();
    assert_eq!(
        target.committed(&group, &topic),
        BTreeMap::from([(0, 7), (1, 0)])
    );
}

#[test]
fn a_backup_of_the_first_version_is_restored_with_its_settings_and_groups() {
    let Some(target) = shared_kafka() else { return };
    let folder = session::folder("restore-first");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ktee-0.1");
    std::os::unix::fs::symlink(fixture, folder.join("b")).unwrap();
    let (orders, audit) = (session::unique("orders"), session::unique("audit"));
    let renamed = || {
        restore(target, &folder).args([
            "--groups",
            "-t",
            &format!("orders={orders}"),
            "-t",
            &format!("audit={audit}"),
        ])
    };
    renamed()
        .run()
        .fails_with(2)
        .stderr_has("offsets 25 to 27 are missing");
    renamed()
        .arg("--force")
        .run()
        .succeeds()
        .stdout_has(format!("{orders}\tretention.ms\t604800000\n"));
    // JSON segments, and TSV segments of two codecs; offsets 12 to 14 and 25 to 27 have no records.
    let record = |partition: i32, offset: usize, n: i64| Record {
        partition: Some(partition),
        offset: offset as i64,
        timestamp_ms: Some(1_700_000_000_000 + n * 1000),
        headers: vec![
            ("h".to_owned(), Some(b"1".to_vec())),
            ("n".to_owned(), None),
        ],
        ..Record::keyed(format!("k{n}"), format!("value {n}"))
    };
    let of = |partition: i32, numbers: &mut dyn Iterator<Item = i64>| -> Vec<Record> {
        let numbered = numbers.enumerate();
        numbered
            .map(|(offset, n)| record(partition, offset, n))
            .collect()
    };
    assert_eq!(target.records(&audit), of(0, &mut (0..15)));
    let first = of(0, &mut (0..12).chain(15..25).chain(28..35));
    assert_eq!(
        target.records(&orders),
        [first, of(1, &mut (0..5))].concat()
    );
    // The group had read up to offset 20, before which there are 17 records.
    assert_eq!(
        target.committed("readers", &orders),
        BTreeMap::from([(0, 17)])
    );
}
