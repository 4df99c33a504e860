//! topic -> pipe -> topic: the same records, judged by a client of somebody else.

use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster, Record, any};
use crate::testkit::command::shell;
use crate::testkit::random::{self, Random};
use crate::testkit::{java, session, witness};
use std::time::Duration;

/// NULL, empty, characters that a format might trip over, or any bytes.
fn random_bytes(random: &mut Random, longest: usize) -> Option<Vec<u8>> {
    const TRAPS: &[u8] = b"\\\t\n\r\0N:;&=%\"',xtrn0\x7f\xc3\x28\xff ";
    let kind = random.below(10);
    let length = random.below(longest);
    match kind {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(b"\\N".to_vec()),
        3..6 => Some(
            (0..length)
                .map(|_| TRAPS[random.below(TRAPS.len())])
                .collect(),
        ),
        _ => Some((0..length).map(|_| random.below(256) as u8).collect()),
    }
}

fn random_record(random: &mut Random) -> Record {
    let names = ["a", "b", "a", "", "na=me&", "g\u{fc}n\t"];
    let headers = if random.below(3) == 0 {
        random.below(4)
    } else {
        0
    };
    Record {
        partition: Some(random.below(3) as i32),
        offset: 0,
        timestamp_ms: Some(1_500_000_000_000 + random.below(200_000_000_000) as i64),
        key: random_bytes(random, 20),
        value: random_bytes(random, 80),
        headers: (0..headers)
            .map(|_| (names[random.below(6)].to_owned(), random_bytes(random, 10)))
            .collect(),
    }
}

fn random_topic(cluster: &dyn Cluster, count: usize, test: &str) -> String {
    let topic = cluster.topic("random", 3, &[]);
    let mut random = Random::new(test);
    let records: Vec<Record> = (0..count).map(|_| random_record(&mut random)).collect();
    cluster
        .producer(&[("linger.ms", "20")])
        .send(&topic, &records);
    topic
}

/// Copies topic `FROM` to topic `TO` through a pipe.
fn copy(cluster: &dyn Cluster, from: &str, to: &str, format: &str) {
    let script =
        "kcat-lite -C -e -q -b $BROKERS -t $FROM $FORMAT | kcat-lite -P -b $BROKERS -t $TO $FORMAT";
    let command = shell(script)
        .env("BROKERS", cluster.bootstrap())
        .env("FORMAT", format);
    command
        .env("FROM", from)
        .env("TO", to)
        .limit(Duration::from_secs(120))
        .run()
        .succeeds();
}

fn judged(kafka: &Kafka, format: &str) {
    let Some(python) = witness::python() else {
        return;
    };
    let from = random_topic(kafka, 100_000, format);
    let to = kafka.topic("copy", 3, &[]);
    copy(kafka, &from, &to, format);
    let judge = python.args([
        "-c",
        include_str!("judge.py"),
        &kafka.bootstrap(),
        &from,
        &to,
    ]);
    judge
        .limit(Duration::from_secs(120))
        .run()
        .succeeds()
        .stdout_is("same 100000\n");
}

#[test]
fn a_hundred_thousand_random_records_survive_tsv() {
    let Some(kafka) = shared_kafka() else { return };
    judged(kafka, "--tsv=all");
}

#[test]
fn a_hundred_thousand_random_records_survive_json() {
    let Some(kafka) = shared_kafka() else { return };
    judged(kafka, "-J");
}

#[test]
fn random_records_survive_any_cluster() {
    let cluster = any();
    for format in ["--tsv=all", "-J"] {
        let from = random_topic(&*cluster, 2000, format);
        let to = cluster.topic("copy", 3, &[]);
        copy(&*cluster, &from, &to, format);
        assert!(
            cluster.records(&from) == cluster.records(&to),
            "{format}, seed {}",
            random::seed()
        );
    }
}

#[test]
fn length_frames_keep_any_value() {
    let cluster = any();
    let topic = cluster.topic("frames", 1, &[]);
    let mut random = Random::new("frames");
    let records: Vec<Record> = (0..2000)
        .map(|_| Record {
            value: random_bytes(&mut random, 200),
            ..Record::of("")
        })
        .collect();
    cluster.produce(&topic, &records);
    let to = cluster.topic("copy", 1, &[]);
    copy(&*cluster, &topic, &to, "-f %R%s");
    let values = |topic: &str| {
        cluster
            .records(topic)
            .into_iter()
            .map(|record| record.value)
            .collect::<Vec<_>>()
    };
    assert!(values(&topic) == values(&to));
}

#[test]
fn keys_and_values_survive_the_tools_between() {
    let cluster = any();
    let topic = cluster.topic("between", 1, &[]);
    let mut random = Random::new("template");
    let records: Vec<Record> = (0..2000)
        .map(|_| Record {
            key: random_bytes(&mut random, 20),
            value: random_bytes(&mut random, 80),
            ..Record::of("")
        })
        .collect();
    cluster.produce(&topic, &records);
    let to = cluster.topic("copy", 1, &[]);
    let script = "kcat-lite -C -e -q -b $BROKERS -t $FROM --tsv | LC_ALL=C sort -s -t '\t' -k 1,1 | awk -F '\t' '{print $1 FS $2}' | \
        kcat-lite -P -b $BROKERS -t $TO --tsv -p 0";
    shell(script)
        .env("BROKERS", cluster.bootstrap())
        .env("FROM", &topic)
        .env("TO", &to)
        .run()
        .succeeds();
    let pairs = |topic: &str| {
        let mut pairs: Vec<_> = cluster
            .records(topic)
            .into_iter()
            .map(|record| (record.key, record.value))
            .collect();
        pairs.sort();
        pairs
    };
    assert!(pairs(&topic) == pairs(&to));
}

/// kcat and confluent-kafka are librdkafka again: this reader shares no code with what has written.
#[test]
fn java_reads_keys_headers_nulls_and_committed_transactions() {
    let Some(kafka) = shared_kafka() else { return };
    let Some(java) = java::tool("org.apache.kafka.tools.consumer.ConsoleConsumer") else {
        return;
    };
    let topic = kafka.topic("java", 1, &[]);
    let produce = |lines: &str, args: &[&str]| {
        let tsv = ["--tsv=key,value,headers"];
        let produce = super::produce(kafka, &topic).args(tsv).args(args);
        produce.stdin(lines).run().succeeds();
    };
    produce("k\tv\ta=1&b=&c\n\\N\tone\\ttwo\t\\N\n", &[]);
    produce("k\t\\N\t\\N\n", &["-z", "zstd"]);
    let aborted = kafka.producer(&[("transactional.id", &session::unique("aborted"))]);
    aborted.begin();
    aborted.send(&topic, &[Record::of("aborted")]);
    aborted.abort();
    let id = format!("transactional.id={}", session::unique("committed"));
    produce("\tin a transaction\t\\N\n", &["-X", &id]);
    java.args(["--bootstrap-server", &kafka.bootstrap(), "--topic", &topic])
        .args(["--from-beginning", "--max-messages", "4"])
        .args(["--isolation-level", "read_committed"])
        .args(["--formatter-property", "print.key=true"])
        .args(["--formatter-property", "print.headers=true"])
        .args(["--formatter-property", "null.literal=NULL"])
        .limit(Duration::from_secs(90))
        .run()
        .succeeds()
        .stdout_is(
            "a:1,b:,c:NULL\tk\tv\n\
             NO_HEADERS\tNULL\tone\ttwo\n\
             NO_HEADERS\tk\tNULL\n\
             NO_HEADERS\t\tin a transaction\n",
        );
}
