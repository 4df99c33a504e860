//! The two ways to read while the cluster changes under them: leaders, partitions, topics and logs that come and go.

use super::engines::{read, shapes};
use super::{SOON, at, consume};
use crate::testkit::broker::{Kafka, Spec, shared_kafka};
use crate::testkit::cluster::{BrokerError, Cluster, Record};
use crate::testkit::mock::Mock;
use rdkafka::types::RDKafkaApiKey;
use std::collections::BTreeMap;
use std::time::Duration;

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
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("grows", &["old"]);
    let mut reader = at(kafka, &["-C", "-q", "-t", &topic])
        .args(["-X", "topic.metadata.refresh.interval.ms=300"])
        .start();
    reader.stdout_until("old\n", SOON);
    kafka.grow(&topic, 3);
    let record = Record {
        partition: Some(2),
        ..Record::of("new")
    };
    kafka.produce(&topic, &[record]);
    reader.stdout_until("new\n", SOON);
}

#[test]
fn a_topic_that_is_deleted_ends_the_run_with_its_name() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("deleted", &["seen"]);
    let mut reader = at(kafka, &["-C", "-q", "-t", &topic])
        .limit(Duration::from_secs(60))
        .start();
    reader.stdout_until("seen\n", SOON);
    kafka.delete_topic(&topic);
    let output = reader.wait().fails_with(2);
    output.stderr_has(&topic).stderr_has("deleted");
}

#[test]
fn records_that_are_deleted_before_they_are_read_are_told() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("late", &["0", "1"]);
    let reader = |args: &[&str]| {
        let mut reader = at(kafka, &["-C", "-q", "-t", &topic, "-o", "1"])
            .args(args)
            .limit(Duration::from_secs(60))
            .start();
        // It has begun, and asks for offset 2.
        reader.stdout_until("1\n", SOON);
        reader
    };
    let (mut stops, mut goes_on) = (
        reader(&[]),
        reader(&["-X", "auto.offset.reset=earliest", "-c", "3"]),
    );
    // Held still, both miss what comes and goes in the meantime: what is under way at the broker is answered with
    // record 2, or was answered with nothing.
    stops.signal(rustix::process::Signal::STOP);
    goes_on.signal(rustix::process::Signal::STOP);
    kafka.produce(&topic, &[Record::of("2")]);
    std::thread::sleep(Duration::from_secs(2));
    kafka.produce(&topic, &[Record::of("3"), Record::of("4"), Record::of("5")]);
    kafka.delete_before(&topic, 5);
    stops.signal(rustix::process::Signal::CONT);
    goes_on.signal(rustix::process::Signal::CONT);
    let output = stops.wait().fails_with(2);
    let lost = match output.text() {
        "1\n2\n" => "offset 3",
        "1\n" => "offset 2",
        other => panic!("{other:?}"),
    };
    output.stderr_has(lost).stderr_has("which is 5 to 6");
    // Who wants what is left of it goes on behind the gap.
    kafka.produce(&topic, &[Record::of("6")]);
    let output = goes_on.wait().succeeds();
    assert!(
        ["1\n2\n5\n", "1\n5\n6\n"].contains(&output.text()),
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
    mock.down(3);
    mock.cluster.partition_leader(&topic, 0, Some(1)).unwrap();
    mock.produce(&topic, &[Record::of("the last")]);
    reader.stdout_until("the last\n", SOON);
    reader.signal(rustix::process::Signal::TERM);
    let output = reader.wait().succeeds();
    assert_eq!(output.lines().len(), 7);
}
