use super::lines;
use crate::testkit::broker::{own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::mock::Mock;
use crate::testkit::session;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, Instant};
use tools::ack::{Listener, Position, Session, StreamKey};

const LIMIT: Duration = Duration::from_secs(30);

fn ktee(cluster: &dyn Cluster, topic: &str, folder: &Path) -> Cmd {
    cmd("ktee")
        .args(["--tsv=all", "--spill", "spill", "-b"])
        .args([&cluster.bootstrap(), &format!("kafka:{topic}")])
        .inside(folder)
        .limit(Duration::from_secs(90))
}

/// The lines of the spill.
fn spilled(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("spill")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Sends what was spilled once more, as the manual says.
fn replay(cluster: &dyn Cluster, folder: &Path) {
    shell("ktee --cat spill | kcat-lite -P -b $BROKERS --tsv=all")
        .env("BROKERS", cluster.bootstrap())
        .inside(folder)
        .run()
        .succeeds();
}

/// Asserts that the topic has each of `lines("t", 0, count)` once, in whatever order.
fn assert_each_once(cluster: &dyn Cluster, topic: &str, count: i64) {
    let mut records = cluster.records(topic);
    records.sort_by_key(|record| record.timestamp_ms);
    let expected: Vec<Record> = (0..count)
        .map(|n| Record {
            partition: Some(0),
            offset: 0,
            timestamp_ms: Some(1_700_000_000_000 + n * 1000),
            headers: vec![
                ("h".to_owned(), Some(b"1".to_vec())),
                ("n".to_owned(), None),
            ],
            ..Record::keyed(format!("k{n}"), format!("value {n}"))
        })
        .collect();
    for record in &mut records {
        record.offset = 0;
    }
    assert_eq!(records, expected);
}

#[test]
fn what_is_not_delivered_in_time_is_spilled_and_sent_once_more_nothing_is_missing_and_nothing_twice()
 {
    let mock = Mock::start(1);
    let topic = mock.topic("spill", 1, &[]);
    let folder = session::folder("spill");
    let mut running = ktee(&mock, &topic, &folder)
        .args(["--delivery-timeout", "2s"])
        .stdin_open()
        .start();
    running.write(lines("t", 0, 100));
    mock.wait_for_records(&topic, 100, LIMIT);
    mock.down(1);
    running.write(lines("t", 100, 50));
    running.stderr_until("go to spill", LIMIT);
    mock.up(1);
    running.write(lines("t", 150, 100));
    running.close_stdin();
    let output = running.wait().fails_with(1);
    output
        .stdout_is(lines("t", 0, 250))
        .stderr_has("50 records not delivered, kept in spill (250 accepted, 200 delivered)");
    assert_eq!(spilled(&folder).len(), 50);
    assert_eq!(mock.records(&topic).len(), 200);
    replay(&mock, &folder);
    assert_each_once(&mock, &topic, 250);
}

#[test]
fn a_broker_that_is_killed_and_comes_back_leaves_each_record_in_the_topic_or_in_the_spill() {
    let Some(kafka) = own_kafka() else { return };
    let topic = kafka.topic("spill-kill", 1, &[("retention.ms", "-1")]);
    let folder = session::folder("spill-kill");
    let mut running = ktee(&kafka, &topic, &folder)
        .args(["--delivery-timeout", "3s"])
        .stdin_open()
        .start();
    running.write(lines("t", 0, 1000));
    kafka.wait_for_records(&topic, 1000, LIMIT);
    kafka.kill(1);
    running.write(lines("t", 1000, 500));
    running.stderr_until("go to spill", LIMIT);
    kafka.start_again(1);
    running.write(lines("t", 1500, 500));
    running.close_stdin();
    running.wait().fails_with(1).stdout_is(lines("t", 0, 2000));
    let (delivered, kept) = (kafka.records(&topic).len(), spilled(&folder).len());
    assert!(kept >= 500, "{kept}");
    assert_eq!(delivered + kept, 2000);
    replay(&kafka, &folder);
    assert_each_once(&kafka, &topic, 2000);
}

#[test]
fn what_the_brokers_refuse_is_spilled_at_once_and_the_others_arrive() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("spill-refused", 1, &[("max.message.bytes", "1000")]);
    let folder = session::folder("spill-refused");
    let large = "x".repeat(5000);
    let odd = format!("t\t0\t10\t1600000000000\tk\t{large}\ta%00b=1&c\n");
    let elsewhere = "t\t7\t11\t1600000000001\t\\N\tv\\tw\t\\N\n";
    let input = lines("t", 0, 10) + &odd + elsewhere + &lines("t", 12, 5);
    ktee(kafka, &topic, &folder)
        .stdin(input.as_str())
        .run()
        .fails_with(1)
        .stdout_is(&input)
        .stderr_has("2 records not delivered, kept in spill (17 accepted, 15 delivered)");
    assert_eq!(kafka.records(&topic).len(), 15);
    let text = std::fs::read_to_string(folder.join("spill")).unwrap();
    let mut kept: Vec<&str> = text.split_inclusive('\n').collect();
    kept.sort_unstable();
    let expected = [&odd, elsewhere].map(|line| {
        let rest = line.splitn(4, '\t').collect::<Vec<_>>();
        format!("{topic}\t{}\t\\N\t{}", rest[1], rest[3])
    });
    assert_eq!(kept, expected);
}

#[test]
fn errors_that_pass_cost_nothing_and_errors_that_stay_are_spilled() {
    let mock = Mock::start(1);
    let topic = mock.topic("spill-errors", 1, &[]);
    let folder = session::folder("spill-errors");
    let fail = |error, count| {
        mock.cluster
            .request_errors(RDKafkaApiKey::Produce, &vec![error; count]);
    };
    fail(
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        2,
    );
    ktee(&mock, &topic, &folder)
        .stdin(lines("t", 0, 10))
        .run()
        .succeeds();
    assert_eq!(spilled(&folder), Vec::<String>::new());
    fail(
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        1,
    );
    ktee(&mock, &topic, &folder)
        .stdin(lines("t", 10, 1))
        .run()
        .fails_with(1)
        .stderr_has("uthoriz");
    replay(&mock, &folder);
    assert_each_once(&mock, &topic, 11);
}

#[test]
fn a_cluster_that_is_not_there_is_told_and_all_is_spilled() {
    let folder = session::folder("spill-away");
    let output = cmd("ktee")
        .args([
            "--tsv=all",
            "--spill",
            "spill",
            "-b",
            "127.0.0.1:1",
            "-m",
            "1",
        ])
        .args(["--delivery-timeout", "1s", "kafka:t"])
        .inside(&folder)
        .stdin(lines("other", 0, 10))
        .run()
        .fails_with(1);
    output
        .stdout_is(lines("other", 0, 10))
        .stderr_has("kafka:t: no contact")
        .stderr_has("10 records not delivered, kept in spill");
    let expected = lines("t", 0, 10);
    let expected = expected.lines().map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        format!("t\t0\t\\N\t{}", columns[3..].join("\t"))
    });
    assert_eq!(spilled(&folder), expected.collect::<Vec<_>>());
}

#[test]
fn a_signal_while_the_broker_is_away_spills_what_is_left_soon() {
    let mock = Mock::start(1);
    let topic = mock.topic("spill-signal", 1, &[]);
    let folder = session::folder("spill-signal");
    let mut running = ktee(&mock, &topic, &folder).stdin_open().start();
    running.write(lines("t", 0, 100));
    mock.wait_for_records(&topic, 100, LIMIT);
    mock.down(1);
    running.write(lines("t", 100, 200));
    running.stdout_until("value 299\t", LIMIT);
    let begun = Instant::now();
    running.signal(Signal::TERM);
    running
        .wait()
        .dies_by(Signal::TERM)
        .stderr_has("200 records not delivered, kept in spill");
    assert!(begun.elapsed() < Duration::from_secs(20));
    mock.up(1);
    replay(&mock, &folder);
    assert_each_once(&mock, &topic, 300);
}

#[test]
fn a_spill_that_may_not_grow_is_told_the_lost_are_counted_and_its_lines_are_whole() {
    let folder = session::folder("spill-full");
    std::fs::write(folder.join("in"), lines("t", 0, 100)).unwrap();
    // SIGXFSZ is ignored, so that write(2) says it, as a full disk does.
    let output = shell(
        "trap '' XFSZ; ulimit -f 2; ktee --tsv=all --spill spill -b 127.0.0.1:1 -m 1 --delivery-timeout 1s kafka:t <in",
    )
    .inside(&folder)
    .run()
    .fails_with(2);
    let output = output
        .stdout_is(lines("t", 0, 100))
        .stderr_has("cannot write spill: File too large");
    let kept = spilled(&folder);
    assert!(!kept.is_empty() && kept.len() < 100);
    assert!(kept.iter().all(|line| line.split('\t').count() == 7));
    let lost = 100 - kept.len();
    output.stderr_has(format!(
        "{lost} records neither delivered nor spilled (100 accepted, 0 delivered, {} spilled)",
        kept.len()
    ));
}

#[test]
fn a_spill_that_cannot_be_opened_ends_it_before_anything_is_read() {
    let folder = session::folder("spill-closed");
    cmd("ktee")
        .args(["--spill", "no/folder/spill", "-b", "127.0.0.1:1", "kafka:t"])
        .inside(&folder)
        .stdin("one\n")
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("no/folder/spill");
}

#[test]
fn a_spilled_record_is_acknowledged_once_it_is_in_the_file() {
    let mock = Mock::start(1);
    let topic = mock.topic("spill-ack", 1, &[]);
    let folder = session::folder("spill-ack");
    let listener = Listener::bind(&folder.join("ack"), LIMIT, &|| false).unwrap();
    let mut running = ktee(&mock, &topic, &folder)
        .args(["--ack", "ack", "--delivery-timeout", "2s"])
        .stdin_open()
        .start();
    let mut source = listener.accept("run", LIMIT, &|| false).unwrap();
    let session = Session {
        name: "s".to_owned(),
        topic_partitions: vec![("t".to_owned(), 0)],
        ..Session::default()
    };
    source.begin(&session).unwrap();
    let position = |offset| Position {
        key: StreamKey {
            session: "s".to_owned(),
            topic: "t".to_owned(),
            partition: 0,
        },
        offset,
    };
    let input = lines("t", 0, 300);
    let positioned: Vec<String> = input
        .lines()
        .enumerate()
        .map(|(n, line)| format!("s:{}:t:0:{n}\t{line}\n", n + 1))
        .collect();
    // The source wakes up for what it hears, and hears that the sink is at work while it waits.
    let mut is_holding = false;
    let mut wait_for = |source: &mut tools::ack::Source, offset| {
        let until = Instant::now() + LIMIT;
        loop {
            assert!(Instant::now() < until, "{offset} is not acknowledged");
            let update = source.poll().unwrap();
            is_holding |= update.is_working;
            if let Some(number) = update.queried_line {
                source.confirm(number).unwrap();
            }
            if update.positions.contains(&position(offset)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    running.write(positioned[..100].concat());
    wait_for(&mut source, 99);
    mock.down(1);
    running.write(positioned[100..200].concat());
    wait_for(&mut source, 199);
    assert_eq!(spilled(&folder).len(), 100);
    mock.up(1);
    running.write(positioned[200..].concat());
    source.end(300, Vec::new()).unwrap();
    wait_for(&mut source, 299);
    assert!(is_holding, "nothing was heard while the broker was away");
    source.done().unwrap();
    running.close_stdin();
    running.wait().fails_with(1).stdout_is(&input);
    replay(&mock, &folder);
    assert_each_once(&mock, &topic, 300);
}
