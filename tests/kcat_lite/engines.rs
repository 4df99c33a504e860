//! The two ways to read: what `--engine wire` shows is what librdkafka's own consumer shows, whatever the log holds.

use super::{SOON, at, consume};
use crate::testkit::broker::{Kafka, Spec, shared_kafka};
use crate::testkit::cluster::{Cluster, Record, any};
use crate::testkit::session;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// Every record of a topic as `-J` shows it, by partition, in the order in which they came.
pub(super) fn read(
    cluster: &dyn Cluster,
    topic: &str,
    engine: &str,
    args: &[&str],
) -> BTreeMap<u64, Vec<String>> {
    let output = consume(cluster, topic)
        .args(["-J", "--engine", engine])
        .args(args)
        .limit(Duration::from_secs(60))
        .run()
        .succeeds();
    let mut partitions: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in output.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let partition = record["partition"].as_u64().unwrap();
        partitions
            .entry(partition)
            .or_default()
            .push(line.to_owned());
    }
    partitions
}

/// Both engines show the same; says how many records.
#[track_caller]
fn agree(cluster: &dyn Cluster, topic: &str, args: &[&str]) -> usize {
    let wire = read(cluster, topic, "wire", args);
    let oracle = read(cluster, topic, "librdkafka", args);
    assert!(wire == oracle, "{args:?}:\n{wire:?}\nis not\n{oracle:?}");
    wire.values().map(Vec::len).sum()
}

/// An hour ago, the same in all of the run: so old that it is the records' own, too young for retention.
fn long_ago_ms() -> i64 {
    static MS: OnceLock<i64> = OnceLock::new();
    *MS.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_millis() as i64 - 3_600_000
    })
}

/// Records of every shape over so many partitions.
pub(super) fn shapes(count: i32, partitions: i32) -> Vec<Record> {
    let bytes = |n: i32, what: i32| match (n + what) % 7 {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(vec![0, 0xff, b'\n']),
        _ => Some(format!("{what} {n}").repeat(n as usize % 50).into_bytes()),
    };
    let record = |n: i32| Record {
        partition: Some(n % partitions),
        timestamp_ms: Some(long_ago_ms() + i64::from((n * 7919) % 1000)),
        key: bytes(n, 0),
        value: bytes(n, 3),
        headers: (0..n % 3)
            .map(|at| (format!("h{at}"), bytes(n, at + 1)))
            .collect(),
        ..Record::default()
    };
    (0..count).map(record).collect()
}

#[test]
fn every_codec_is_read_alike() {
    let cluster = any();
    for codec in CODECS {
        let topic = cluster.topic(&format!("codec-{codec}"), 3, &[]);
        for linger in ["0", "50"] {
            let properties = [("compression.codec", codec), ("linger.ms", linger)];
            cluster.producer(&properties).send(&topic, &shapes(900, 3));
        }
        assert_eq!(agree(&*cluster, &topic, &[]), 1800, "{codec}");
        agree(&*cluster, &topic, &["-o", "-7"]);
        agree(&*cluster, &topic, &["-o", "150"]);
        agree(&*cluster, &topic, &["-p", "1", "-o", "133"]);
        agree(&*cluster, &topic, &["-X", "fetch.message.max.bytes=500"]);
    }
}

#[test]
fn every_form_of_offset_begins_and_ends_alike() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("forms", 2, &[]);
    kafka.produce(&topic, &shapes(400, 2));
    kafka.delete_before(&topic, 20);
    let at_time = |which: &str, ms: i64| format!("{which}@{}", long_ago_ms() + ms);
    let half = at_time("s", 500);
    for offset in ["beginning", "end", "50", "-1", "-60", &half, "s@now"] {
        agree(kafka, &topic, &["-o", offset]);
    }
    let (from, to) = (at_time("s", 100), at_time("e", 900));
    agree(kafka, &topic, &["-o", &from, "-o", &to]);
    let group = ["-o", "stored", "-X", "group.id=nobody"];
    for reset in ["earliest", "latest"] {
        let reset = format!("auto.offset.reset={reset}");
        agree(kafka, &topic, &[&group[..], &["-X", &reset]].concat());
    }
    assert_eq!(agree(kafka, &topic, &group), 0);
}

#[test]
fn what_a_group_has_committed_is_where_reading_begins() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("stored", &["0", "1", "2", "3"]);
    let group = crate::testkit::session::unique("stored");
    let earliest = ["-X", "auto.offset.reset=earliest"];
    at(kafka, &["-G", &group, "-c", "3", "-q", &topic])
        .args(earliest)
        .run()
        .succeeds();
    let property = format!("group.id={group}");
    assert_eq!(agree(kafka, &topic, &["-o", "stored", "-X", &property]), 1);
}

#[test]
fn transactions_are_read_alike() {
    let Some(kafka) = shared_kafka() else { return };
    for codec in ["none", "lz4"] {
        let topic = kafka.topic("transactions", 2, &[]);
        let producer = |n: u32| {
            let id = format!("{topic}-{n}");
            kafka.producer(&[("transactional.id", &id), ("compression.codec", codec)])
        };
        let producers = [producer(1), producer(2), producer(3)];
        for round in 0..12 {
            for producer in &producers {
                producer.begin();
            }
            for part in 0..3 {
                for producer in &producers {
                    producer.send(&topic, &shapes(1 + part * 5 + round % 4, 2));
                }
                kafka.produce(&topic, &shapes(2, 2));
            }
            for (index, producer) in producers.iter().enumerate() {
                if (round as usize + index).is_multiple_of(3) {
                    producer.commit();
                } else {
                    producer.abort();
                }
            }
        }
        producers[0].begin();
        producers[0].send(&topic, &shapes(9, 2));
        kafka.produce(&topic, &shapes(9, 2));
        let committed = agree(kafka, &topic, &[]);
        let all = agree(kafka, &topic, &["-X", "isolation.level=read_uncommitted"]);
        assert!(committed < all, "{committed} of {all}");
        for offset in ["1", "17", "40", "-30"] {
            agree(kafka, &topic, &["-o", offset]);
        }
        agree(kafka, &topic, &["-X", "fetch.message.max.bytes=300"]);
    }
}

#[test]
fn records_of_ten_megabytes_are_read_in_little_memory() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("giants", 1, &[("max.message.bytes", "11000000")]);
    let giant = |n: u8| Record::of(vec![n; 10_000_000]);
    let properties = [("message.max.bytes", "20000000")];
    let producer = kafka.producer(&properties);
    producer.send(&topic, &(b'a'..b'e').map(giant).collect::<Vec<_>>());
    producer.send(&topic, &[Record::of("small")]);
    for property in ["fetch.message.max.bytes=1048576", "check.crcs=false"] {
        let file = session::folder("giants").join("values");
        let mut reader = at(kafka, &["-C", "-q", "-t", &topic, "-o", "beginning"])
            .args(["-X", property])
            .stdout_to(&file)
            .limit(Duration::from_secs(90))
            .start();
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::fs::metadata(&file).map_or(0, |file| file.len()) < 40_000_010 {
            assert!(Instant::now() < deadline, "it never comes to the end");
            std::thread::sleep(Duration::from_millis(50));
        }
        let peak_kib = reader.peak_memory_kib();
        reader.signal(rustix::process::Signal::TERM);
        reader.wait();
        let output = std::fs::read(&file).unwrap();
        let lines = output.split(|&byte| byte == b'\n');
        let lengths: Vec<usize> = lines.map(<[u8]>::len).collect();
        let ten = 10_000_000;
        assert_eq!(lengths, [ten, ten, ten, ten, 5, 0]);
        // One record is read while the next is on its way, and has a copy in the output.
        assert!(peak_kib < 34 * 1024, "{peak_kib} KiB with {property}");
    }
}

#[test]
fn an_older_kafka_is_read_alike() {
    let Some(kafka) = Spec::new().version("3.9.1").start() else {
        return;
    };
    for codec in CODECS {
        let topic = kafka.topic("older", 2, &[]);
        kafka
            .producer(&[("compression.codec", codec)])
            .send(&topic, &shapes(300, 2));
        assert_eq!(agree(&kafka, &topic, &[]), 300, "{codec}");
    }
    let topic = kafka.topic("older-transactions", 1, &[]);
    let producer = kafka.producer(&[("transactional.id", &topic)]);
    for is_commit in [false, true, false] {
        producer.begin();
        producer.send(&topic, &shapes(20, 1));
        if is_commit {
            producer.commit();
        } else {
            producer.abort();
        }
    }
    assert_eq!(agree(&kafka, &topic, &[]), 20);
}

#[test]
fn a_near_replica_is_read_from() {
    let spec = Spec::new().brokers(2).racks(&["here", "there"]).setting(
        "replica.selector.class",
        "org.apache.kafka.common.replica.RackAwareReplicaSelector",
    );
    let Some(kafka) = spec.start() else { return };
    let topic = kafka.topic("racks", 4, &[]);
    kafka.produce(&topic, &shapes(400, 4));
    for (rack, broker) in [("here", 1), ("there", 2)] {
        let property = format!("client.rack={rack}");
        let deadline = std::time::Instant::now() + SOON;
        // A replica that has just caught up is recommended a little later.
        loop {
            let found = read(&kafka, &topic, "wire", &["-X", &property]);
            assert_eq!(found.values().map(Vec::len).sum::<usize>(), 400);
            let near = format!("\"broker\":{broker},");
            if found.values().flatten().all(|line| line.contains(&near)) {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{found:?}");
        }
    }
}

/// What a new group reads of a topic, by partition, and what it has committed.
fn read_as_group(
    kafka: &Kafka,
    topic: &str,
    engine: &str,
    args: &[&str],
) -> (BTreeMap<i64, Vec<String>>, BTreeMap<i32, i64>) {
    let group = session::unique("engines");
    let output = at(kafka, &["-G", &group, "-e", "-q", topic])
        .args(["-X", "auto.offset.reset=earliest", "--engine", engine])
        .args(args)
        .limit(Duration::from_secs(60))
        .run()
        .succeeds();
    let mut partitions: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let partition = line.split('\t').next().unwrap().parse().unwrap();
        partitions
            .entry(partition)
            .or_default()
            .push(line.to_owned());
    }
    (partitions, kafka.committed(&group, topic))
}

#[test]
fn a_group_reads_with_either_engine_what_the_other_reads() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("group-engines", 3, &[]);
    let producer = kafka.producer(&[("transactional.id", &topic), ("compression.codec", "lz4")]);
    for is_commit in [true, false, true] {
        producer.begin();
        producer.send(&topic, &shapes(300, 3));
        if is_commit {
            producer.commit();
        } else {
            producer.abort();
        }
        kafka.produce(&topic, &shapes(100, 2));
    }
    let columns = "--tsv=partition,offset,timestamp,key,value,headers";
    for args in [
        &[columns][..],
        &[columns, "--exec", "cat"],
        // What a command writes at once is not mixed with the output of another.
        &[columns, "--exec", "cat", "--parallel", "2", "--batch", "20"],
        &[columns, "-X", "isolation.level=read_uncommitted"],
        &[columns, "-X", "group.protocol=consumer"],
        &[columns, "-o", "-20"],
        &[columns, "-o", "250"],
    ] {
        let wire = read_as_group(kafka, &topic, "wire", args);
        let oracle = read_as_group(kafka, &topic, "librdkafka", args);
        assert!(wire == oracle, "{args:?}:\n{wire:?}\nis not\n{oracle:?}");
        assert!(wire.0.values().flatten().count() > 50, "{args:?}");
        assert_eq!(wire.1.len(), 3, "{args:?}");
    }
}

#[test]
fn engines_are_for_reading() {
    let refused = crate::testkit::command::cmd("kcat-lite")
        .args(["-P", "-b", "127.0.0.1:1", "--engine", "wire", "-t", "t"])
        .run();
    refused.fails_with(2).stderr_has("--engine");
    let unknown = crate::testkit::command::cmd("kcat-lite")
        .args(["-C", "-b", "127.0.0.1:1", "--engine", "steam", "-t", "t"])
        .run();
    unknown.fails_with(2).stderr_has("steam");
}
