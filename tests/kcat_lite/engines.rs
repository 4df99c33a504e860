//! The two ways to read: what `--engine wire` shows is what librdkafka's own consumer shows, whatever the log holds.

use super::{SOON, at, consume};
use crate::testkit::broker::{self, Kafka, Spec};
use crate::testkit::cluster::{BrokerError, Cluster, Record, any};
use crate::testkit::mock::Mock;
use rdkafka::types::RDKafkaApiKey;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// Every record of a topic as `-J` shows it, by partition, in the order in which they came.
fn read(
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
fn shapes(count: i32, partitions: i32) -> Vec<Record> {
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
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic("forms", 2, &[]);
    kafka.produce(&topic, &shapes(400, 2));
    super::log::delete_before(kafka, &topic, 0, 20);
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
}

#[test]
fn what_a_group_has_committed_is_where_reading_begins() {
    let Some(kafka) = broker::shared() else {
        return;
    };
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
    let Some(kafka) = broker::shared() else {
        return;
    };
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
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic("giants", 1, &[("max.message.bytes", "11000000")]);
    let giant = |n: u8| Record::of(vec![n; 10_000_000]);
    let properties = [("message.max.bytes", "20000000")];
    let producer = kafka.producer(&properties);
    producer.send(&topic, &(b'a'..b'e').map(giant).collect::<Vec<_>>());
    producer.send(&topic, &[Record::of("small")]);
    for property in ["fetch.message.max.bytes=1048576", "check.crcs=false"] {
        let output = consume(kafka, &topic)
            .args(["-X", property])
            .run()
            .succeeds();
        let lengths: Vec<usize> = output.lines().iter().map(|line| line.len()).collect();
        let ten = 10_000_000;
        assert_eq!(lengths, [ten, ten, ten, ten, 5]);
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

/// What is done to a cluster.
type Act = fn(&Kafka);

/// Leaders are killed, stopped, held still and started again while two programs read.
#[test]
fn nothing_is_lost_or_doubled_while_leaders_come_and_go() {
    let spec = Spec::new()
        .brokers(3)
        .setting("min.insync.replicas", "2")
        .setting("replica.lag.time.max.ms", "2000");
    let Some(kafka) = spec.start() else { return };
    let topic = kafka.topic("leaders", 6, &[]);
    let format = ["-q", "-f", "%p %o %s\\n", "-t", &topic];
    let reader = |engine: &str| {
        // librdkafka's consumer waits for a broker that hangs as long as this says.
        let patience: &[&str] = match engine {
            "wire" => &[],
            _ => &["-X", "socket.timeout.ms=4000"],
        };
        at(&kafka, &["-C", "--engine", engine])
            .args(patience)
            .args(format)
            .limit(Duration::from_secs(240))
            .start()
    };
    let (mut wire, mut oracle) = (reader("wire"), reader("librdkafka"));
    let producer = kafka.producer(&[
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("socket.timeout.ms", "4000"),
    ]);
    let mut written = 0;
    let mut write = |rounds: i32| {
        for _ in 0..rounds {
            let records = (0..60).map(|n| Record {
                partition: Some(n % 6),
                ..Record::of(format!("{}", written + n))
            });
            producer.send(&topic, &records.collect::<Vec<_>>());
            written += 60;
        }
    };
    let trouble: [(Act, Act); 4] = [
        (|kafka| kafka.kill(1), |kafka| kafka.start_again(1)),
        (|kafka| kafka.stop(2), |kafka| kafka.start_again(2)),
        (|kafka| kafka.pause(3), |kafka| kafka.resume(3)),
        (|kafka| kafka.kill(3), |kafka| kafka.start_again(3)),
    ];
    for (harm, heal) in trouble {
        write(5);
        harm(&kafka);
        write(5);
        heal(&kafka);
        write(5);
    }
    for partition in 0..6 {
        let last = kafka.watermarks(&topic, partition).1 - 1;
        let line = format!("{partition} {last} ");
        wire.stdout_until(&line, Duration::from_secs(60));
        oracle.stdout_until(&line, Duration::from_secs(60));
    }
    wire.signal(rustix::process::Signal::TERM);
    oracle.signal(rustix::process::Signal::TERM);
    let by_partition = |output: &crate::testkit::output::Output| {
        let mut partitions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in output.lines() {
            let partition = line.split(' ').next().unwrap().to_owned();
            partitions
                .entry(partition)
                .or_default()
                .push(line.to_owned());
        }
        partitions
    };
    let (wire, oracle) = (wire.wait().succeeds(), oracle.wait().succeeds());
    let (wire, oracle) = (by_partition(&wire), by_partition(&oracle));
    assert!(wire == oracle, "{wire:?}\nis not\n{oracle:?}");
    let total: usize = wire.values().map(Vec::len).sum();
    assert_eq!(total, 4 * 15 * 60);
}

#[test]
fn partitions_that_come_into_being_are_read_too() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic_of("grows", &["old"]);
    let mut reader = at(kafka, &["-C", "-q", "-t", &topic])
        .args(["-X", "topic.metadata.refresh.interval.ms=300"])
        .start();
    reader.stdout_until("old\n", SOON);
    let more = rdkafka::admin::NewPartitions::new(&topic, 3);
    let options = rdkafka::admin::AdminOptions::new();
    futures_executor::block_on(kafka.admin().create_partitions([&more], &options)).unwrap();
    kafka.wait_for_leaders(&topic, 3);
    let record = Record {
        partition: Some(2),
        ..Record::of("new")
    };
    kafka.produce(&topic, &[record]);
    reader.stdout_until("new\n", SOON);
}

#[test]
fn a_topic_that_is_deleted_ends_the_run_with_its_name() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic_of("deleted", &["seen"]);
    let mut reader = at(kafka, &["-C", "-q", "-t", &topic])
        .limit(Duration::from_secs(60))
        .start();
    reader.stdout_until("seen\n", SOON);
    let options = rdkafka::admin::AdminOptions::new();
    futures_executor::block_on(kafka.admin().delete_topics(&[&topic], &options)).unwrap();
    let output = reader.wait().fails_with(2);
    output.stderr_has(&topic).stderr_has("deleted");
}

#[test]
fn records_that_are_deleted_before_they_are_read_are_told() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic_of("late", &["0", "1"]);
    let reader = |args: &[&str]| {
        let mut reader = at(kafka, &["-C", "-q", "-t", &topic, "-o", "end"])
            .args(args)
            .limit(Duration::from_secs(60))
            .start();
        // Long enough for it to have begun; too short only makes the test pass without a look at the gap.
        reader.stdout_until("", SOON);
        std::thread::sleep(Duration::from_millis(500));
        reader
    };
    let (mut stops, mut goes_on) = (
        reader(&[]),
        reader(&["-X", "auto.offset.reset=earliest", "-c", "1"]),
    );
    // Held still, both miss what comes and goes in the meantime.
    stops.signal(rustix::process::Signal::STOP);
    goes_on.signal(rustix::process::Signal::STOP);
    kafka.produce(&topic, &[Record::of("2"), Record::of("3"), Record::of("4")]);
    super::log::delete_before(kafka, &topic, 0, 4);
    // What is under way at a broker may have been answered before they were held still.
    std::thread::sleep(Duration::from_millis(700));
    stops.signal(rustix::process::Signal::CONT);
    goes_on.signal(rustix::process::Signal::CONT);
    let output = goes_on.wait().succeeds();
    assert!(["2\n", "4\n"].contains(&output.text()), "{}", output.text());
    stops.signal(rustix::process::Signal::TERM);
    let output = stops.wait();
    assert!(
        output.text() == "2\n3\n4\n" || output.text().is_empty(),
        "{}",
        output.text()
    );
}

#[test]
fn errors_that_pass_are_survived() {
    let mock = Mock::start(3);
    let topic = mock.topic("faults", 3, &[]);
    mock.produce(&topic, &shapes(60, 3));
    let expected = read(&mock, &topic, "librdkafka", &[]);
    let errors = [
        BrokerError::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        BrokerError::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
        BrokerError::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
        BrokerError::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        BrokerError::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        BrokerError::RD_KAFKA_RESP_ERR_UNKNOWN,
        BrokerError::RD_KAFKA_RESP_ERR__TRANSPORT,
    ];
    for error in errors {
        mock.cluster
            .request_errors(RDKafkaApiKey::Fetch, &[error, error, error]);
        let found = read(&mock, &topic, "wire", &["-X", "retry.backoff.ms=10"]);
        mock.cluster.clear_request_errors(RDKafkaApiKey::Fetch);
        assert_eq!(found.len(), expected.len(), "{error:?}");
        assert!(found == expected, "{error:?}:\n{found:?}");
    }
}

#[test]
fn errors_that_do_not_pass_are_told() {
    let mock = Mock::start(1);
    let topic = mock.topic("refused", 1, &[]);
    mock.produce(&topic, &shapes(3, 1));
    let refused = BrokerError::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.cluster
        .request_errors(RDKafkaApiKey::Fetch, &[refused]);
    consume(&mock, &topic)
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has(&topic)
        .stderr_has("uthoriz");
}

#[test]
fn a_leader_that_moves_in_a_mock_cluster_is_followed() {
    let mock = Mock::start(3);
    let topic = mock.topic("moves", 1, &[]);
    let mut reader = at(&mock, &["-C", "-q", "-t", &topic]).start();
    for round in 0..6 {
        mock.cluster
            .partition_leader(&topic, 0, Some(round % 3 + 1))
            .unwrap();
        mock.produce(&topic, &[Record::of(format!("round {round}"))]);
        reader.stdout_until(format!("round {round}\n"), SOON);
    }
    mock.cluster.broker_down(3).unwrap();
    mock.cluster.partition_leader(&topic, 0, Some(1)).unwrap();
    mock.produce(&topic, &[Record::of("the last")]);
    reader.stdout_until("the last\n", SOON);
    reader.signal(rustix::process::Signal::TERM);
    let output = reader.wait().succeeds();
    assert_eq!(output.lines().len(), 7);
}

#[test]
fn only_c_has_engines_to_choose_from() {
    let refused = crate::testkit::command::cmd("kcat-lite")
        .args(["-G", "g", "-b", "127.0.0.1:1", "--engine", "wire", "t"])
        .run();
    refused.fails_with(2).stderr_has("--engine");
    let unknown = crate::testkit::command::cmd("kcat-lite")
        .args(["-C", "-b", "127.0.0.1:1", "--engine", "steam", "-t", "t"])
        .run();
    unknown.fails_with(2).stderr_has("steam");
}
