//! What happens when a record is not delivered: why, how many, and everything else arrives.

use super::{consume, produce};
use crate::testkit::broker::{own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record, any};
use crate::testkit::command::{cmd, shell};
use crate::testkit::mock::Mock;
use crate::testkit::output::lines;
use crate::testkit::session;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::time::Duration;

#[test]
fn a_record_that_the_topic_refuses_fails_alone() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("refused", 1, &[("max.message.bytes", "1000")]);
    let large = "x".repeat(5000);
    let lines: Vec<&str> = vec!["1", "2", "3", "4", &large, "6", "7", "8", "9"];
    let output = produce(kafka, &topic)
        .stdin(lines.join("\n"))
        .run()
        .fails_with(2);
    output
        .stderr_has("1 record not delivered")
        .stderr_has("(9 accepted, 8 delivered)")
        .stderr_has("too large");
    assert_eq!(
        kafka.values(&topic),
        ["1", "2", "3", "4", "6", "7", "8", "9"]
    );
}

#[test]
fn records_that_are_too_large_together_are_split() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("split", 1, &[("max.message.bytes", "2000")]);
    let lines: Vec<String> = (0..500).map(|n| format!("{n:0>100}")).collect();
    produce(kafka, &topic)
        .stdin(lines.join("\n"))
        .run()
        .succeeds();
    assert_eq!(kafka.values(&topic), lines);
}

#[test]
fn records_that_are_split_keep_their_times_keys_and_headers() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("split-whole", 1, &[("max.message.bytes", "2000")]);
    let records: Vec<Record> = (0..100)
        .map(|n| Record {
            partition: Some(0),
            offset: n,
            timestamp_ms: Some(1_600_000_000_000 + n),
            headers: vec![("h".to_owned(), Some(n.to_string().into_bytes()))],
            ..Record::keyed(format!("k{n}"), format!("{n:0>100}"))
        })
        .collect();
    let input = records.iter().enumerate().map(|(n, record)| {
        let (ms, value) = (record.timestamp_ms.unwrap(), record.text());
        format!("{ms}\tk{n}\t{value}\th={n}\n")
    });
    produce(kafka, &topic)
        .arg("--tsv=timestamp,key,value,headers")
        .stdin(input.collect::<String>())
        .run()
        .succeeds();
    assert_eq!(kafka.records(&topic), records);
}

#[test]
fn a_record_over_the_limit_of_the_broker_fails_alone() {
    let Some(kafka) = shared_kafka() else { return };
    for property in ["message.max.bytes=1000000", "message.max.bytes=5000000"] {
        let topic = kafka.topic("over", 1, &[]);
        let mut input = b"before\n".to_vec();
        input.resize(input.len() + 2_000_000, b'x');
        input.extend_from_slice(b"\nafter\n");
        let output = produce(kafka, &topic)
            .args(["-X", property])
            .stdin(input)
            .run()
            .fails_with(2);
        output
            .stderr_has("1 record not delivered")
            .stderr_has("too large");
        assert_eq!(kafka.values(&topic), ["before", "after"], "{property}");
    }
}

#[test]
fn a_record_that_the_broker_names_fails_alone_with_its_reason() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("named", 1, &[("cleanup.policy", "compact")]);
    let output = produce(kafka, &topic)
        .arg("--tsv")
        .stdin("k\ta\n\\N\tb\nk\tc\n")
        .run()
        .fails_with(2);
    output
        .stderr_has("line 2")
        .stderr_has("1 record not delivered")
        .stderr_has("key");
    assert_eq!(kafka.values(&topic), ["a", "c"]);
}

#[test]
fn a_record_up_to_the_limit_is_taken() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("up-to", 1, &[]);
    let line = "y".repeat(999_900);
    produce(kafka, &topic)
        .stdin(format!("{line}\nafter\n"))
        .run()
        .succeeds();
    assert_eq!(kafka.values(&topic), [line.as_str(), "after"]);
}

#[test]
fn a_file_over_the_limit_fails_alone() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("large-file", 1, &[]);
    let folder = session::folder("large-file");
    std::fs::write(folder.join("a"), "one").unwrap();
    std::fs::write(folder.join("b"), vec![b'x'; 2_000_000]).unwrap();
    std::fs::write(folder.join("c"), "three").unwrap();
    let output = produce(kafka, &topic)
        .args(["a", "b", "c"])
        .inside(&folder)
        .run()
        .fails_with(2);
    output.stderr_has("1 record not delivered");
    assert_eq!(kafka.values(&topic), ["one", "three"]);
}

#[test]
fn an_unreachable_cluster_says_why_and_how_many_records_were_not_delivered() {
    let produce =
        |brokers: &str| cmd("kcat-lite").args(["-P", "-t", "t", "-m", "2", "-b", brokers]);
    let ten = "line\n".repeat(10);
    let output = produce("127.0.0.1:1").stdin(&ten).run().fails_with(2);
    output
        .stderr_has("refused")
        .stderr_has("127.0.0.1:1")
        .stderr_has("10 records not delivered");
    let output = produce("127.0.0.1:1,127.0.0.1:2")
        .stdin(&ten)
        .run()
        .fails_with(2);
    output
        .stderr_has("refused")
        .stderr_has("10 records not delivered");
    let output = produce("no-such-host.invalid:9092")
        .stdin(&ten)
        .run()
        .fails_with(2);
    output
        .stderr_has("resolve")
        .stderr_has("no-such-host.invalid")
        .stderr_has("10 records not delivered");
    produce("127.0.0.1:1")
        .stdin("one line")
        .run()
        .fails_with(2)
        .stderr_has("1 record not delivered");
}

/// It once waited for five minutes, for the records before the line.
#[test]
fn a_malformed_line_ends_in_time_where_no_cluster_was_ever_reached() {
    let started = std::time::Instant::now();
    cmd("kcat-lite")
        .args(["-P", "-J", "-t", "t", "-m", "2", "-b", "127.0.0.1:1"])
        .stdin("{\"payload\":\"good\"}\nno JSON\n")
        .run()
        .fails_with(2)
        .stderr_has("line 2")
        .stderr_has("1 record not delivered");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_steady_feed_into_an_unreachable_cluster_is_given_up_too() {
    let args = ["-P", "-t", "t", "-m", "2", "-b", "127.0.0.1:1"];
    let mut program = cmd("kcat-lite").args(args).stdin_open().start();
    let given_up = std::time::Instant::now() + Duration::from_secs(20);
    while program.offer("line\n") && std::time::Instant::now() < given_up {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        std::time::Instant::now() < given_up,
        "fed for 20 s, and -m is 2"
    );
    let output = program.wait().fails_with(2);
    output.stderr_has("refused").stderr_has("not delivered");
}

#[test]
fn a_peer_that_says_nothing_is_given_up_after_the_time_asked_for() {
    // The kernel completes the connection; nobody ever accepts it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for mode in [
        &["-P", "-t", "t"][..],
        &["-C", "-t", "t"],
        &["-L"],
        &["-Q", "-t", "t:0:-1"],
        &["-G", "g", "t"],
    ] {
        let output = cmd("kcat-lite")
            .args(mode)
            .args(["-b", &address, "-m", "1"])
            .stdin("line\n")
            .run();
        output.fails_with(2).stderr_has(&address).expect(
            |it| it.elapsed < Duration::from_secs(15),
            "an end soon after -m",
        );
    }
}

#[test]
fn every_mode_says_why_the_cluster_is_unreachable() {
    for mode in [
        &["-C", "-t", "t"][..],
        &["-L"],
        &["-Q", "-t", "t:0:-1"],
        &["-G", "g", "t"],
    ] {
        let output = cmd("kcat-lite")
            .args(mode)
            .args(["-b", "127.0.0.1:1", "-m", "1"])
            .run();
        output
            .fails_with(2)
            .stdout_is("")
            .stderr_has("refused")
            .stderr_has("127.0.0.1:1");
    }
}

#[test]
fn records_given_up_after_their_time_are_counted() {
    let mock = Mock::start(1);
    let topic = mock.topic("given-up", 1, &[]);
    let mut program = produce(&mock, &topic)
        .args(["-X", "message.timeout.ms=1500"])
        .stdin_open()
        .start();
    program.write("one\n");
    mock.wait_for_records(&topic, 1, super::SOON);
    mock.down(1);
    program.write("two\nthree\n").close_stdin();
    program
        .wait()
        .fails_with(2)
        .stderr_has("2 records not delivered")
        .stderr_has("(3 accepted, 1 delivered)");
    mock.up(1);
    assert_eq!(mock.values(&topic), ["one"]);
}

#[test]
fn an_error_that_passes_is_tried_again() {
    let mock = Mock::start(1);
    let topic = mock.topic("again", 1, &[]);
    let passing = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    mock.cluster
        .request_errors(RDKafkaApiKey::Produce, &passing);
    produce(&mock, &topic).stdin("one\ntwo\n").run().succeeds();
    assert_eq!(mock.values(&topic), ["one", "two"]);
}

/// librdkafka once took them for stored, and so did we: the records were gone, and the exit code was 0.
#[test]
fn a_first_batch_that_is_refused_while_the_next_is_taken_is_not_lost() {
    let mock = Mock::start(1);
    // Long enough for the next batches to be under way when the first is refused.
    mock.cluster
        .broker_round_trip_time(1, Duration::from_millis(200))
        .unwrap();
    for refusal in [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ] {
        let topic = mock.topic("first", 1, &[]);
        mock.cluster
            .request_errors(RDKafkaApiKey::Produce, &[refusal]);
        produce(&mock, &topic)
            .args(["-X", "batch.num.messages=2"])
            .stdin("1\n2\n3\n4\n")
            .run()
            .succeeds();
        assert_eq!(mock.values(&topic), ["1", "2", "3", "4"], "{refusal:?}");
    }
}

#[test]
fn an_error_that_stays_names_itself() {
    let mock = Mock::start(1);
    let topic = mock.topic("stays", 1, &[]);
    mock.cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    let output = produce(&mock, &topic).stdin("one\n").run().fails_with(2);
    output
        .stderr_has("uthoriz")
        .stderr_has("1 record not delivered");
}

/// Feeds a producer and reads with a consumer while the only broker dies and comes back five seconds later.
#[test]
fn a_broker_away_for_five_seconds_loses_nothing_and_doubles_nothing() {
    let Some(kafka) = own_kafka() else { return };
    let topic = kafka.topic("away", 1, &[]);
    let mut producer = produce(&kafka, &topic)
        .stdin_open()
        .limit(Duration::from_secs(150))
        .start();
    let mut consumer = consume(&kafka, &topic).limit(Duration::from_secs(150));
    consumer.args.retain(|arg| arg != "-e");
    let consumer = consumer.args(["-c", "6000"]).start();
    let mut feed = |range: std::ops::Range<u32>| {
        for line in range {
            producer.write(format!("{line}\n"));
            std::thread::sleep(Duration::from_micros(500));
        }
    };
    feed(0..2000);
    kafka.kill(1);
    feed(2000..4000);
    std::thread::sleep(Duration::from_secs(4));
    kafka.start_again(1);
    feed(4000..6000);
    producer.close_stdin();
    producer.wait().succeeds();
    let (arrived, expected) = (lines(kafka.values(&topic)), lines(0..6000));
    let count = arrived.lines().count();
    assert!(arrived == expected, "6000 lines sent, {count} arrived");
    consumer.wait().succeeds().stdout_is(&expected);
}

#[test]
fn a_clean_run_says_nothing_on_stdout_and_fails_nothing() {
    let cluster = any();
    let topic = cluster.topic("clean", 1, &[]);
    produce(&*cluster, &topic)
        .arg("-q")
        .stdin("one\n")
        .run()
        .succeeds()
        .stdout_is("")
        .stderr_is("");
}

#[test]
fn a_transaction_that_its_coordinator_ends_is_not_said_to_be_another_producers() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("slow-transaction", 1, &[]);
    let id = format!("transactional.id={topic}");
    shell("(echo a; sleep 6; echo b) | kcat-lite -P -b $B -t $T -X $ID -X transaction.timeout.ms=3000")
        .env("B", kafka.bootstrap())
        .env("T", &topic)
        .env("ID", &id)
        .run()
        .fails_with(2)
        .stderr_has("open for longer than transaction.timeout.ms=3000");
}
