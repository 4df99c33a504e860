use crate::testkit::broker::{Spec, own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::proxy::Weather;
use crate::testkit::session;
use std::path::Path;
use std::time::Duration;

/// Records of every shape, in three partitions.
pub(super) fn records() -> Vec<Record> {
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

/// Reads so many records as a member of a group, which commits them.
#[track_caller]
pub(super) fn read_as_group(source: &impl Cluster, topic: &str, group: &str, count: &str) {
    cmd("kcat-lite")
        .args(["-G", group, "-c", count, "-q", "-b", &source.bootstrap()])
        .args(["-X", "auto.offset.reset=earliest", topic])
        .run()
        .succeeds();
}

pub(super) fn back_up(kafka: &impl Cluster, topic: &str, folder: &Path, options: &[&str]) {
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

pub(super) fn restore(kafka: &impl Cluster, folder: &Path) -> Cmd {
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
    let Some(source) = shared_kafka() else { return };
    let Some(target) = own_kafka() else { return };
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
    // A second time there is nothing to do, and the same is told.
    restore(&target, &folder)
        .run()
        .succeeds()
        .stdout_has(format!("{topic}\tsegment.ms\t100000\n"))
        .stdout_has(format!("{topic}\tmessage.timestamp.type\t\\N\n"))
        .stderr_has(format!("{topic} [0]: 0 records sent, 1000 there already"));
    assert_eq!(target.records(&topic).len(), 3000);
}

#[test]
fn a_topic_that_would_lose_the_records_is_refused_without_force() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("restore-refused", 3, &[("retention.ms", "-1")]);
    kafka.produce(&topic, &records());
    let folder = session::folder("restore-refused");
    back_up(&kafka, &topic, &folder, &[]);
    let Some(target) = own_kafka() else { return };
    target.create_topic(&topic, 3, &[("retention.ms", "604800000")]);
    restore(&target, &folder)
        .run()
        .fails_with(2)
        .stderr_has("retention.ms=604800000");
    assert_eq!(target.records(&topic).len(), 0);
    restore(&target, &folder).arg("--force").run().succeeds();
    let narrow = session::folder("restore-narrow");
    back_up(&kafka, &topic, &narrow, &[]);
    let Some(other) = own_kafka() else { return };
    other.create_topic(&topic, 2, &[("retention.ms", "-1")]);
    restore(&other, &narrow)
        .arg("--force")
        .run()
        .fails_with(2)
        .stderr_has("2 partitions");
}

/// What of a topic's records somebody sees who knows nothing of ktee, partition by partition.
fn seen(kafka: &impl Cluster, topic: &str) -> Vec<Record> {
    plain(&kafka.records(topic))
}

#[test]
fn a_restore_that_was_cut_short_is_continued_by_the_same_command() {
    let Some(source) = shared_kafka() else { return };
    let Some(target) = own_kafka() else { return };
    let topic = source.topic("restore-again", 3, &[("retention.ms", "-1")]);
    source.produce(&topic, &records());
    let group = session::unique("readers");
    read_as_group(source, &topic, &group, "1234");
    let folder = session::folder("restore-again");
    back_up(
        &source,
        &topic,
        &folder,
        &["--segment-records", "300", "--groups"],
    );
    // What a run that was killed has left: the beginnings of two partitions.
    target.create_topic(
        &topic,
        3,
        &[("retention.ms", "-1"), ("retention.bytes", "-1")],
    );
    let of = |partition: i32| {
        let all = seen(&source, &topic).into_iter();
        all.filter(move |record| record.partition == Some(partition))
    };
    let left: Vec<Record> = of(0).take(700).chain(of(1).take(1)).collect();
    target.produce(&topic, &left);
    let whole = seen(&source, &topic);
    for sent in [
        [
            "[0]: 300 records sent, 700 there already",
            "[2]: 1000 records sent",
        ],
        [
            "[0]: 0 records sent, 1000 there already",
            "[2]: 0 records sent, 1000 there already",
        ],
    ] {
        restore(&target, &folder)
            .arg("--groups")
            .run()
            .succeeds()
            .stderr_has(sent[0])
            .stderr_has(sent[1]);
        assert_eq!(seen(&target, &topic), whole);
        assert_eq!(
            target.committed(&group, &topic),
            source.committed(&group, &topic)
        );
    }
    // A record more than the backup has is somebody else's.
    target.produce(
        &topic,
        &[Record {
            partition: Some(2),
            ..Record::of("other")
        }],
    );
    restore(&target, &folder).run().fails_with(2).stderr_has(
        "partition 2 does not begin as the backup does: it has more records than the 1000",
    );
    let changed = session::unique("restore-changed");
    target.create_topic(
        &changed,
        3,
        &[("retention.ms", "-1"), ("retention.bytes", "-1")],
    );
    target.produce(
        &changed,
        &[Record {
            partition: Some(1),
            ..Record::of("other")
        }],
    );
    restore(&target, &folder)
        .args(["-t", &format!("{topic}={changed}")])
        .run()
        .fails_with(2)
        .stderr_has("its record at offset 0 is not the one that the backup has at offset 0");
    assert_eq!(seen(&target, &changed).len(), 1);
}

#[test]
fn killed_at_random_a_restore_comes_to_the_same_end() {
    let Some(target) = shared_kafka() else { return };
    let folder = session::folder("restore-kills");
    let topic = session::unique("restore-kills");
    cmd("ktee")
        .args(["-q", "--tsv=all", "--segment-records", "2000", "b/"])
        .inside(&folder)
        .stdin(super::lines(&topic, 0, 60_000))
        .run()
        .succeeds();
    for _ in 0..6 {
        let mut running = restore(target, &folder).arg("-q").start();
        // The topic is there, and it is being filled.
        let begun = std::time::Instant::now();
        while running.runs() && begun.elapsed() < Duration::from_millis(700) {
            std::thread::sleep(Duration::from_millis(20));
        }
        running.signal(rustix::process::Signal::KILL);
        running.wait();
    }
    restore(target, &folder).run().succeeds();
    let records = target.records(&topic);
    assert_eq!(records.len(), 60_000);
    for (n, record) in records.iter().enumerate() {
        assert_eq!(record.key.as_deref(), Some(format!("k{n}").as_bytes()));
        assert_eq!(
            record.timestamp_ms,
            Some(1_700_000_000_000 + n as i64 * 1000)
        );
    }
}

#[test]
fn a_backup_with_a_hole_is_refused_without_force() {
    let Some(kafka) = shared_kafka() else { return };
    let folder = session::folder("restore-hole");
    let topic = session::unique("restore-hole");
    cmd("ktee")
        .args(["-q", "--tsv=all", "--segment-records", "10", "b/"])
        .inside(&folder)
        .stdin(super::lines(&topic, 0, 30))
        .run()
        .succeeds();
    let missing = format!("b/topics/{topic}/partition=0/{topic}+0+00000000000000000010.tsv.zst");
    std::fs::remove_file(folder.join(missing)).unwrap();
    restore(kafka, &folder)
        .run()
        .fails_with(2)
        .stderr_has(format!("{topic} [0]: offsets 10 to 19 are missing"))
        .stderr_has("--force");
    cmd("kcat-lite")
        .args(["-L", "-b", &kafka.bootstrap(), "--tsv"])
        .run()
        .succeeds()
        .expect(|it| !it.text().contains(&topic), "no topic was made");
    restore(kafka, &folder)
        .arg("--force")
        .run()
        .succeeds()
        .stderr_has(format!("{topic} [0]: offsets 10 to 19 are missing"))
        .stderr_has(format!("{topic} [0]: 20 records sent"));
    assert_eq!(kafka.records(&topic).len(), 20);
}

#[test]
fn records_of_any_time_and_size_are_restored_under_another_name() {
    let Some(source) = shared_kafka() else { return };
    let settings = [
        ("retention.ms", "-1"),
        ("max.message.bytes", "3000000"),
        ("message.timestamp.after.max.ms", "9223372036854775807"),
        ("cleanup.policy", "delete"),
    ];
    let topic = source.topic("restore-times", 1, &settings);
    let (other, renamed) = (
        session::unique("restore-old"),
        session::unique("restore-new"),
    );
    source.create_topic(&other, 1, &[("retention.ms", "-1")]);
    let at = |timestamp_ms: i64| Record {
        partition: Some(0),
        timestamp_ms: Some(timestamp_ms),
        ..Record::of("x".repeat(50))
    };
    let ahead_ms = 4_102_444_800_000;
    source.produce(&topic, &[at(1), at(ahead_ms)]);
    source.produce(&other, &[at(1)]);
    // librdkafka's own producer, and so the testkit's, can't send the time 0.
    let zero = format!("{topic}\t0\t\t0\t\\N\tzero\t\\N\n");
    cmd("kcat-lite")
        .args([
            "-P",
            "-b",
            &source.bootstrap(),
            "--tsv=topic,partition,offset,timestamp,key,value,headers",
        ])
        .stdin(zero)
        .run()
        .succeeds();
    let large = Record {
        timestamp_ms: Some(5),
        partition: Some(0),
        ..Record::of(vec![b'x'; 2_500_000])
    };
    source
        .producer(&[("message.max.bytes", "5000000")])
        .send(&topic, &[large]);
    let times: Vec<Option<i64>> = source
        .records(&topic)
        .iter()
        .map(|record| record.timestamp_ms)
        .collect();
    assert_eq!(times, [Some(1), Some(ahead_ms), Some(0), Some(5)]);
    let folder = session::folder("restore-times");
    back_up(&source, &topic, &folder, &[]);
    back_up(&source, &other, &folder, &[]);
    let Some(target) = own_kafka() else { return };
    // All are looked at before the first is made: the second is in the way.
    target.create_topic(
        &renamed,
        1,
        &[("retention.ms", "-1"), ("retention.bytes", "2000000")],
    );
    let all = |command: Cmd| {
        command
            .args(["-t", &topic, "-t", &format!("{other}={renamed}")])
            .run()
    };
    all(restore(&target, &folder))
        .fails_with(2)
        .stderr_has(format!(
            "topic {renamed}: it is there with retention.bytes=2000000"
        ));
    cmd("kcat-lite")
        .args(["-L", "-b", &target.bootstrap(), "--tsv"])
        .run()
        .succeeds()
        .expect(|it| !it.text().contains(&topic), "no topic was made");
    all(restore(&target, &folder).arg("--force"))
        .succeeds()
        .stderr_has(format!("{topic} [0]: 4 records sent"))
        .stderr_has(format!("{renamed} [0]: 1 record sent"));
    assert_eq!(seen(&target, &topic), seen(&source, &topic));
    assert_eq!(target.records(&renamed).len(), 1);
    restore(&target, &folder)
        .args(["-t", &topic, "--from", "@5000000000"])
        .run()
        .fails_with(1)
        .stderr_has("no record is in this time range");
    restore(&target, &folder)
        .args(["-p", "3"])
        .run()
        .fails_with(2)
        .stderr_has("no partition 3");
}

#[test]
fn a_restore_that_is_cut_off_says_how_much_was_delivered_and_goes_on_when_the_cluster_is_back() {
    let Some(target) = Spec::new().behind_proxies().start() else {
        return;
    };
    let folder = session::folder("restore-cut");
    let topic = session::unique("restore-cut");
    cmd("ktee")
        .args(["-q", "--tsv=all", "b/"])
        .inside(&folder)
        .stdin(super::lines(&topic, 0, 100_000))
        .run()
        .succeeds();
    target.create_topic(
        &topic,
        1,
        &[("retention.ms", "-1"), ("retention.bytes", "-1")],
    );
    // So that it is not done before it is cut off.
    target
        .network(1)
        .set(Weather::Slow(Duration::from_millis(100)));
    let running = cmd("ktee")
        .args(["--restore", "b", "-b", &target.bootstrap_of("PROXIED")])
        .inside(&folder)
        .args(["--delivery-timeout", "2s", "-X", "batch.num.messages=1000"])
        .args(["-X", "max.in.flight.requests.per.connection=1"])
        .start();
    let begun = std::time::Instant::now();
    while target.watermarks(&topic, 0).1 == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing arrives");
    }
    target.network(1).set(Weather::Cut);
    running
        .wait()
        .fails_with(2)
        .stderr_has("not delivered")
        .stderr_lacks("records sent");
    target.network(1).set(Weather::Fair);
    restore(&target, &folder).run().succeeds();
    let records = target.records(&topic);
    assert_eq!(records.len(), 100_000);
    let is_in_order =
        |(n, record): (usize, &Record)| record.key == Some(format!("k{n}").into_bytes());
    assert!(records.iter().enumerate().all(is_in_order));
}
