//! The README's recipes: each is run as it stands there, and what comes of it is judged by somebody else's program.
//!
//! A recipe's first block of settings is all that a test changes: it gives every name that is exported there another
//! value. What is run is the text of the README.

/// klag from cron and with a real Prometheus.
mod alert;
/// Avro through jq into PostgreSQL and back, written by confluent-kafka.
#[cfg(feature = "schema-registry")]
mod avro;
/// A topic into a bucket and out of it, judged by confluent-kafka.
#[cfg(feature = "object-store")]
mod backup;
/// A topic into another cluster, judged by confluent-kafka.
mod copy;
/// Records of a topic into the same topic, judged by confluent-kafka.
mod enrich;
/// A group to another place, judged by librdkafka.
mod positions;
/// Commands for the records of a queue, judged by the files that they make.
mod queue;
/// Records into the shards of a PostgreSQL, judged by it.
mod shards;

use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::Cluster as _;
use crate::testkit::command::{Cmd, shell};
use crate::testkit::witness;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

/// The README's recipes, in its order.
const TITLES: [&str; 8] = [
    "Back up a topic to S3 and restore it",
    "Insert into the shards of a database",
    "Take Avro through jq into PostgreSQL, and back",
    "Enrich records and produce them to the same topic",
    "Rewind a consumer group, or skip a record",
    "Share jobs among machines, and put aside what never works",
    "Alert when a group is late, by cron or Prometheus",
    "Copy a topic to another cluster without losing a header",
];

/// A recipe of the README: its blocks of code, in their order.
struct Recipe {
    blocks: Vec<Block>,
}

/// One block: what stands behind its fence, and the lines.
struct Block {
    language: String,
    text: String,
}

fn readme() -> &'static str {
    include_str!("../README.md")
}

/// The recipe with this title.
#[track_caller]
fn recipe(title: &str) -> Recipe {
    assert!(TITLES.contains(&title), "{title:?} is not in the list");
    let heading = format!("\n### {title}\n");
    let (_, text) = readme()
        .split_once(&heading)
        .unwrap_or_else(|| panic!("the README has no recipe {title:?}"));
    let end = text.find("\n## ").into_iter().chain(text.find("\n### "));
    let text = &text[..end.min().unwrap_or(text.len())];
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(_) if is_inside => is_inside = false,
            Some(language) => {
                is_inside = true;
                blocks.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            None if is_inside => {
                let block = blocks.last_mut().expect("a block was begun");
                block.text += line;
                block.text += "\n";
            }
            None => {}
        }
    }
    Recipe { blocks }
}

impl Recipe {
    /// The text of the `at`th block (from 0) in this language.
    #[track_caller]
    fn text(&self, language: &str, at: usize) -> &str {
        let mut blocks = self.blocks.iter().filter(|b| b.language == language);
        let block = blocks.nth(at).expect("as many blocks as the test expects");
        &block.text
    }

    /// A bash that runs the `at`th block of `sh`; the first one, the settings, with the values that `settings` gives.
    ///
    /// Every name that is exported there has to be among them, or the test would run with the README's own.
    #[track_caller]
    fn run(&self, at: usize, settings: &[(&str, &str)]) -> Cmd {
        let given: BTreeMap<&str, &str> = settings.iter().copied().collect();
        let mut script = String::new();
        for line in self.text("sh", 0).lines() {
            let Some(words) = line.strip_prefix("export ") else {
                script += line;
                script += "\n";
                continue;
            };
            for word in words.split_whitespace() {
                let name = word.split('=').next().unwrap_or(word);
                assert!(given.contains_key(name), "the recipe also exports {name}");
            }
        }
        script += self.text("sh", at);
        let command = settings
            .iter()
            .fold(shell(&format!("set -e\n{script}")), |cmd, (name, value)| {
                cmd.env(name, value)
            });
        command.limit(Duration::from_secs(120))
    }
}

/// The cluster at the other end of a copy.
#[track_caller]
fn other_cluster() -> Option<&'static Kafka> {
    static OTHER: OnceLock<Option<Kafka>> = OnceLock::new();
    OTHER.get_or_init(|| Spec::new().start()).as_ref()
}

/// Everything of a record but its offset, in the words of Python; what is not text is hexadecimal.
const DUMP: &str = r#"
import sys
from confluent_kafka import Consumer, TopicPartition, OFFSET_BEGINNING, KafkaError
brokers, topic = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "witness", "enable.auto.commit": False,
                     "enable.partition.eof": True, "isolation.level": "read_committed"})
partitions = list(consumer.list_topics(topic, 30).topics[topic].partitions)
consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
show = lambda b: "NULL" if b is None else b.hex()
found, ends = [], 0
while ends < len(partitions):
    message = consumer.poll(30)
    assert message is not None, "no answer"
    if message.error():
        assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
        ends += 1
        continue
    headers = ",".join(name + "=" + show(value) for name, value in message.headers() or [])
    found.append((message.partition(), message.offset(), message.timestamp()[1], show(message.key()), show(message.value()), headers))
for partition, offset, *rest in sorted(found):
    print(partition, *rest)
"#;

/// What confluent-kafka reads from a topic, a line for each record in the order of its log.
#[track_caller]
fn seen_by_python(kafka: &Kafka, topic: &str) -> Option<Vec<String>> {
    let seen = witness::python()?
        .args(["-c", DUMP, &kafka.bootstrap(), topic])
        .limit(Duration::from_secs(60))
        .run()
        .succeeds();
    Some(seen.lines().iter().map(|&line| line.to_owned()).collect())
}

/// Records of every kind into a topic of four partitions, by confluent-kafka.
const FILL: &str = r#"
import sys
from confluent_kafka import Producer
brokers, topic, first, count = sys.argv[1:]
producer = Producer({"bootstrap.servers": brokers, "linger.ms": 5})
headers = [None, [("trace", b"1"), ("trace", b"2"), ("none", None), ("empty", b"")],
           [("bytes", bytes(range(256))), ("ünï", "cödé".encode())], [("tab\tand&=%", b"a\nb\\N")]]
values = [b"plain", None, b"", b"two\nlines\tand \\N", bytes(range(256)), '{"a":1}'.encode(), b"\xff\x00", "ü".encode()]
keys = [None, b"", b"k", b"\x00\xff", b"tab\tnewline\n"]
for i in range(int(first), int(first) + int(count)):
    producer.produce(topic, partition=i % 4, timestamp=1700000000000 + i, key=keys[i % len(keys)],
                     value=values[i % len(values)], headers=headers[i % len(headers) if i % 9 else 0])
    producer.poll(0)
assert producer.flush(30) == 0
"#;

/// Lets confluent-kafka write records of every kind into a topic with four partitions.
#[track_caller]
fn fill(kafka: &Kafka, topic: &str, first: usize, count: usize) -> Option<()> {
    let numbers = [first.to_string(), count.to_string()];
    witness::python()?
        .args(["-c", FILL, &kafka.bootstrap(), topic])
        .args(numbers)
        .run()
        .succeeds();
    Some(())
}

#[test]
fn every_recipe_of_the_readme_is_a_test() {
    let (_, recipes) = readme().split_once("\n## Recipes\n").unwrap();
    let recipes = &recipes[..recipes.find("\n## ").unwrap()];
    let titles: Vec<&str> = recipes
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(titles, TITLES);
}
