//! topic -> pipe -> topic: the same records, judged by a client of somebody else.

use crate::testkit::broker::{self, Kafka};
use crate::testkit::cluster::{Cluster, Record, any};
use crate::testkit::command::shell;
use crate::testkit::witness;
use std::time::Duration;

/// xorshift64*: the same records in every run, and a seed is all a failure needs.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }

    /// NULL, empty, characters that a format might trip over, or any bytes.
    fn bytes(&mut self, longest: u64) -> Option<Vec<u8>> {
        const TRAPS: &[u8] = b"\\\t\n\r\0N:;&=%\"',xtrn0\x7f\xc3\x28\xff ";
        match self.below(10) {
            0 => None,
            1 => Some(Vec::new()),
            2 => Some(b"\\N".to_vec()),
            3..6 => {
                let length = self.below(longest);
                Some(
                    (0..length)
                        .map(|_| TRAPS[self.below(TRAPS.len() as u64) as usize])
                        .collect(),
                )
            }
            _ => {
                let length = self.below(longest);
                Some((0..length).map(|_| self.below(256) as u8).collect())
            }
        }
    }

    fn record(&mut self) -> Record {
        let names = ["a", "b", "a", "", "na=me&", "g\u{fc}n\t"];
        let headers = if self.below(3) == 0 { self.below(4) } else { 0 };
        Record {
            partition: Some(self.below(3) as i32),
            offset: 0,
            timestamp_ms: Some(1_500_000_000_000 + self.below(200_000_000_000) as i64),
            key: self.bytes(20),
            value: self.bytes(80),
            headers: (0..headers)
                .map(|_| (names[self.below(6) as usize].to_owned(), self.bytes(10)))
                .collect(),
        }
    }
}

fn random_topic(cluster: &dyn Cluster, count: usize, seed: u64) -> String {
    let topic = cluster.topic("random", 3, &[]);
    let mut random = Random(seed);
    let records: Vec<Record> = (0..count).map(|_| random.record()).collect();
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

fn judged(kafka: &Kafka, format: &str, seed: u64) {
    let Some(python) = witness::python() else {
        return;
    };
    let from = random_topic(kafka, 100_000, seed);
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
    let Some(kafka) = broker::shared() else {
        return;
    };
    judged(kafka, "--tsv=all", 1);
}

#[test]
fn a_hundred_thousand_random_records_survive_json() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    judged(kafka, "-J", 2);
}

#[test]
fn random_records_survive_any_cluster() {
    let cluster = any();
    for (seed, format) in [(3, "--tsv=all"), (4, "-J")] {
        let from = random_topic(&*cluster, 2000, seed);
        let to = cluster.topic("copy", 3, &[]);
        copy(&*cluster, &from, &to, format);
        assert!(
            cluster.records(&from) == cluster.records(&to),
            "{format}, seed {seed}"
        );
    }
}

#[test]
fn length_frames_keep_any_value() {
    let cluster = any();
    let topic = cluster.topic("frames", 1, &[]);
    let mut random = Random(5);
    let records: Vec<Record> = (0..2000)
        .map(|_| Record {
            value: random.bytes(200),
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
    let mut random = Random(6);
    let records: Vec<Record> = (0..2000)
        .map(|_| Record {
            key: random.bytes(20),
            value: random.bytes(80),
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
