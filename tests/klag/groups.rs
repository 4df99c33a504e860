//! Every type of group, with members and without, against what Kafka's own tools say of it.

use super::{Member, SOON, commit, klag, numbers, row, rows};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::mock::Mock;
use crate::testkit::{java, session};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;
use std::time::Instant;

/// So many records in each of so many partitions.
fn topic(kafka: &Kafka, partitions: i32, records: i32) -> String {
    let topic = kafka.topic("group", partitions, &[]);
    let all = (0..partitions * records).map(|n| Record {
        partition: Some(n % partitions),
        ..Record::of("x")
    });
    kafka.produce(&topic, &all.collect::<Vec<_>>());
    topic
}

#[test]
fn a_group_of_either_protocol_is_right_and_names_its_members() {
    let Some(kafka) = shared_kafka() else { return };
    for (protocol, state) in [("classic", "Stable"), ("consumer", "Stable")] {
        let topic = topic(kafka, 2, 10);
        let member = Member::join(kafka, &topic, &topic, protocol);
        member.commit(&topic, &[(0, 4), (1, 10)]);
        let output = klag(kafka, &topic).arg("-J").run().succeeds();
        let rows = rows(output.text());
        assert_eq!(rows.len(), 2, "{rows:?}");
        for (row, lag) in rows.iter().zip([6, 0]) {
            assert_eq!(numbers(row), [Some(lag), Some(0), Some(0)]);
            assert_eq!(row["state"], state, "{protocol}");
            assert_eq!(
                (&row["client"], &row["host"]),
                (&"reader".into(), &"127.0.0.1".into())
            );
            assert_ne!(row["member"], "");
        }
        // Without its member the group is empty, and as far behind.
        drop(member);
        let deadline = Instant::now() + SOON;
        loop {
            let output = klag(kafka, &topic).arg("-J").run().succeeds();
            let row = &super::rows(output.text())[0];
            assert_eq!(row["lag"], 6);
            if row["state"] == "Empty" {
                assert_eq!(row["member"], serde_json::Value::Null);
                break;
            }
            assert!(Instant::now() < deadline, "{row}");
        }
    }
}

#[test]
fn a_group_that_only_commits_is_right() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = topic(kafka, 1, 10);
    commit(kafka, &topic, &topic, &[(0, 3)]);
    let row = row(kafka, &topic);
    assert_eq!(numbers(&row), [Some(7), Some(0), Some(0)]);
    assert_eq!(row["state"], "Empty");
}

#[test]
fn kafka_s_own_tool_says_the_same_of_a_plain_group() {
    let Some(kafka) = shared_kafka() else { return };
    let Some(tool) = java::tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand")
    else {
        return;
    };
    let topic = topic(kafka, 3, 10);
    let member = Member::join(kafka, &topic, &topic, "classic");
    member.commit(&topic, &[(0, 4), (1, 10), (2, 0)]);
    let theirs = tool
        .args(["--bootstrap-server", &kafka.bootstrap(), "--describe"])
        .args(["--group", &topic])
        .limit(3 * SOON)
        .run()
        .succeeds();
    let theirs = theirs.lines();
    let header: Vec<&str> = theirs
        .iter()
        .find(|line| line.starts_with("GROUP"))
        .unwrap()
        .split_whitespace()
        .collect();
    let column = |name: &str| header.iter().position(|title| *title == name).unwrap();
    let columns = [
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "CLIENT-ID",
    ];
    let mut theirs: Vec<Vec<&str>> = theirs
        .iter()
        .filter(|line| line.starts_with(&topic))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            columns.map(|name| words[column(name)]).to_vec()
        })
        .collect();
    theirs.sort_unstable();
    let ours = klag(kafka, &topic).args(["-o", "tsv"]).run().succeeds();
    let ours: Vec<Vec<&str>> = ours
        .lines()
        .into_iter()
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            // group topic partition state member client host committed start end lag ...
            [2, 7, 9, 10, 4, 5].map(|at| cells[at]).to_vec()
        })
        .collect();
    assert_eq!(ours, theirs);
    drop(member);
}

#[test]
fn a_share_group_s_lag_is_what_the_broker_counts() {
    let Some(kafka) = shared_kafka() else { return };
    let [Some(consumer), Some(tool)] = [
        "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
        "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    ]
    .map(java::tool) else {
        return;
    };
    let topic = topic(kafka, 1, 20);
    let bootstrap = kafka.bootstrap();
    let server = ["--bootstrap-server", &bootstrap];
    let earliest = ["share.auto.offset.reset=earliest"];
    java::set_group(&bootstrap, &topic, &earliest).expect("it comes with the broker");
    consumer
        .args(server)
        .args(["--topic", &topic, "--group", &topic, "--max-messages", "5"])
        .limit(3 * SOON)
        .run()
        .succeeds();
    let ours = row(kafka, &topic);
    let theirs = tool
        .args(server)
        .args(["--describe", "--offsets", "--group", &topic])
        .limit(3 * SOON)
        .run()
        .succeeds();
    // GROUP TOPIC PARTITION START-OFFSET LAG
    let line = theirs
        .lines()
        .into_iter()
        .find(|line| line.starts_with(&topic));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    let number = |name: &str| ours[name].to_string();
    assert_eq!([number("committed"), number("lag")], [words[3], words[4]]);
    let lag = ours["lag"].as_i64().unwrap();
    assert!(lag > 0 && lag < 20, "{ours}");
    assert!(ours["time_lag"].as_i64().is_some_and(|age_ms| age_ms > 0));
    let metrics = klag(kafka, &topic)
        .args(["-o", "prometheus"])
        .run()
        .succeeds();
    metrics.stdout_has(format!("group=\"{topic}\",type=\"share\""));
}

#[test]
fn a_streams_group_names_who_has_which_task() {
    let Some(kafka) = shared_kafka() else { return };
    let Some(copy) = java::streams("Copy") else {
        return;
    };
    let from = topic(kafka, 2, 10);
    let to = kafka.topic("to", 1, &[]);
    let group = session::unique("streams");
    let state = session::folder("streams");
    let mut app = copy
        .args([&kafka.bootstrap(), &group, &to])
        .arg(state)
        .arg(&from)
        .limit(6 * SOON)
        .start();
    kafka.wait_for_records(&to, 20, 3 * SOON);
    let deadline = Instant::now() + SOON;
    let settled = loop {
        let output = klag(kafka, &group).arg("-J").run().succeeds();
        let rows = rows(output.text());
        let is_read = |row: &serde_json::Value| row["lag"] == 0 && row["state"] == "Stable";
        if rows.len() == 2 && rows.iter().all(is_read) {
            break rows;
        }
        assert!(Instant::now() < deadline, "{rows:?}");
    };
    for row in settled {
        let client = row["client"].as_str().unwrap();
        assert!(client.starts_with("copy-"), "{row}");
        assert_eq!(row["host"], "127.0.0.1");
    }
    // What comes while nobody reads is behind.
    app.signal(Signal::KILL);
    app.wait();
    kafka.produce(&from, &[Record::of("late")]);
    let output = klag(kafka, &group).arg("-J").run().succeeds();
    let rows = rows(output.text());
    let lags = rows.iter().map(|row| row["lag"].as_i64());
    assert_eq!(lags.sum::<Option<i64>>(), Some(1), "{rows:?}");
}

#[test]
fn a_state_selects_groups_in_any_case_of_its_letters() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = topic(kafka, 1, 10);
    commit(kafka, &topic, &topic, &[(0, 3)]);
    let listed = klag(kafka, &topic).args(["-J", "--state", "EMPTY"]).run();
    assert_eq!(rows(listed.succeeds().text()).len(), 1);
    let others = klag(kafka, &topic)
        .args(["-J", "--state", "stable,dead"])
        .run();
    others
        .fails_with(2)
        .stdout_is("")
        .stderr_has("no group is in the state dead");
}

#[test]
fn a_group_that_is_not_there_is_no_silence() {
    let Some(kafka) = shared_kafka() else { return };
    let group = session::unique("nobody");
    let output = klag(kafka, &group).args(["-J"]).run().fails_with(2);
    let output = output.stderr_has(format!("group {group}: there is no such group"));
    let row = &rows(output.text())[0];
    assert_eq!(
        (&row["group"], &row["lag"]),
        (&group.clone().into(), &().into())
    );
    klag(kafka, &group)
        .args(["--max-lag", "10"])
        .run()
        .fails_with(2)
        .stdout_has("there is no such group")
        .stderr_has("no such group");
    let topic = session::unique("nothing");
    klag(kafka, "^")
        .args(["-t", &topic])
        .run()
        .fails_with(2)
        .stderr_has(format!("there is no topic {topic}"));
}

#[test]
fn a_deleted_topic_leaves_no_row_that_lies() {
    let Some(kafka) = shared_kafka() else { return };
    let topics = [topic(kafka, 1, 5), topic(kafka, 1, 5)];
    let group = session::unique("orphan");
    for topic in &topics {
        commit(kafka, &group, topic, &[(0, 2)]);
    }
    kafka.delete_topic(&topics[0]);
    let deadline = Instant::now() + SOON;
    loop {
        let output = klag(kafka, &group).arg("-J").run().succeeds();
        let rows = rows(output.text());
        let known: Vec<&serde_json::Value> = rows.iter().filter(|row| row["lag"] == 3).collect();
        if known.len() == 1 {
            assert_eq!(known[0]["topic"], topics[1]);
            break;
        }
        assert!(Instant::now() < deadline, "{rows:?}");
    }
}

#[test]
fn a_named_group_of_the_mock_cluster_is_answered_and_its_limits_are_said() {
    let mock = Mock::start(1);
    let topic = mock.topic("mock", 2, &[]);
    let records = (0..10).map(|_| Record::of("x"));
    mock.produce(&topic, &records.collect::<Vec<_>>());
    commit(&mock, "readers", &topic, &[(0, 4)]);
    let output = klag(&mock, "readers")
        .args(["-J", "--time"])
        .run()
        .succeeds();
    let rows = rows(output.text());
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(numbers(&rows[0]), [Some(6), Some(0), Some(0)]);
    assert!(
        rows[0]["time_lag"]
            .as_i64()
            .is_some_and(|age_ms| age_ms >= 0)
    );
    // Nothing was committed for the other partition, and nothing is there to read.
    assert_eq!(numbers(&rows[1]), [Some(0), Some(0), Some(0)]);
    assert_eq!(rows[1]["note"], "");
    crate::testkit::command::cmd("klag")
        .args(["-b", &mock.bootstrap()])
        .run()
        .fails_with(2)
        .stderr_has("can't be listed");
}

#[test]
fn a_connection_that_breaks_once_says_nothing_of_its_broker() {
    let mock = Mock::start(1);
    let topic = mock.topic("broken", 1, &[]);
    mock.produce(&topic, &[Record::of("x"), Record::of("y")]);
    commit(&mock, "readers", &topic, &[(0, 1)]);
    let broken = RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT;
    for api in [
        RDKafkaApiKey::OffsetFetch,
        RDKafkaApiKey::ListOffsets,
        RDKafkaApiKey::Fetch,
    ] {
        mock.cluster.request_errors(api, &[broken]);
        let row = row(&mock, "readers");
        assert_eq!(numbers(&row), [Some(1), Some(0), Some(0)], "{row}");
        assert!(row["time_lag"].is_i64(), "{row}");
    }
}

#[test]
fn a_leader_that_moves_while_the_first_unread_record_is_looked_for_is_asked_again() {
    let mock = Mock::start(1);
    let topic = mock.topic("moved", 1, &[]);
    mock.produce(&topic, &[Record::of("x"), Record::of("y")]);
    commit(&mock, "readers", &topic, &[(0, 1)]);
    let moved = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    mock.cluster
        .request_errors(RDKafkaApiKey::Fetch, &[moved, moved]);
    let row = row(&mock, "readers");
    assert_eq!(numbers(&row), [Some(1), Some(0), Some(0)]);
    assert!(row["time_lag"].as_i64().is_some_and(|age_ms| age_ms >= 0));
    // One that never comes to rest is an unanswered question.
    mock.cluster
        .request_errors(RDKafkaApiKey::Fetch, &[moved; 9]);
    let output = klag(&mock, "readers").args(["-J", "--time"]).run();
    let row = &rows(output.fails_with(2).text())[0];
    assert_eq!(row["lag"], 1);
    assert!(row["note"].as_str().unwrap().contains("leader"), "{row}");
}
