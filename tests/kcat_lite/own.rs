//! kcat's own tests, unmodified, with kcat-lite in kcat's place.
//!
//! `tests/kcat/` is a copy of `tests/` of <https://github.com/edenhill/kcat> at ab6ce81, under its licence. The producers
//! of its Avro test are containers: what it types and expects is here, with Python's client as the producer.

use super::SOON;
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, any};
use crate::testkit::command::{Terminal, cmd, programs};
use crate::testkit::session;
use crate::testkit::witness;
use std::path::{Path, PathBuf};

/// A folder as kcat's tests expect it: themselves in one folder, `kcat` in the one above.
fn folder() -> PathBuf {
    let folder = session::folder("kcat");
    std::os::unix::fs::symlink(programs().join("kcat-lite"), folder.join("kcat")).unwrap();
    let tests = folder.join("tests");
    std::fs::create_dir(&tests).unwrap();
    for entry in Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/kcat")
        .read_dir()
        .unwrap()
    {
        let path = entry.unwrap().path();
        std::fs::copy(&path, tests.join(path.file_name().unwrap())).unwrap();
    }
    tests
}

fn passes(test: &str, bootstrap: &str) {
    // Without -C the mode is chosen by stdin, and kcat's tests are run from a terminal.
    let terminal = Terminal {
        stdin: true,
        ..Terminal::default()
    };
    cmd("bash")
        .arg(test)
        .inside(&folder())
        .env("BROKERS", bootstrap)
        .on_terminal(terminal)
        .limit(4 * SOON)
        .run()
        .succeeds();
}

#[test]
fn kcats_unit_tests_pass() {
    // They name brokers with -b, and need none.
    passes("0000-unit.sh", "unused:1");
}

#[test]
fn kcats_test_of_the_end_of_a_topic_passes() {
    let Some(kafka) = shared_kafka() else { return };
    passes("0001-exit_eof.sh", &kafka.bootstrap());
}

#[test]
fn kcats_test_of_delimiters_passes() {
    let Some(_jq) = witness::installed("jq") else {
        return;
    };
    passes("0002-delim.sh", &any().bootstrap());
}

#[test]
fn kcats_test_of_a_piped_producer_passes() {
    passes("0004-piped_producer.sh", &any().bootstrap());
}

#[cfg(feature = "schema-registry")]
const AVRO: &str = r#"
import sys
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import SerializationContext, MessageField
brokers, url, topic = sys.argv[1:]
client = SchemaRegistryClient({"url": url})
record = """{"type": "record", "name": "basic", "fields": [
    {"name": "number", "type": "int"}, {"name": "name", "type": "string"}]}"""
value = AvroSerializer(client, record)({"number": 63, "name": "TestName"}, SerializationContext(topic, MessageField.VALUE))
key = AvroSerializer(client, '"string"')("An Avro Key", SerializationContext(topic, MessageField.KEY))
producer = Producer({"bootstrap.servers": brokers})
producer.produce(topic, value)
producer.produce(topic, value, key)
assert producer.flush(30) == 0
"#;

#[cfg(feature = "schema-registry")]
#[test]
fn kcats_test_of_avro_passes() {
    let (Some(url), Some(python)) = (crate::testkit::registry::url(), witness::python()) else {
        return;
    };
    let cluster = any();
    let topic = cluster.topic("kcat-avro", 1, &[]);
    let brokers = cluster.bootstrap();
    python
        .args(["-W", "ignore", "-c", AVRO, &brokers, &url, &topic])
        .run()
        .succeeds();
    let features = cmd("kcat-lite").arg("-V").run().succeeds();
    features.stdout_has("avro").stdout_has("protobuf");
    let read = |options: &str| {
        let line = format!("-b {brokers} -C -r {url} -t {topic} -o beginning {options}");
        let read = cmd("kcat-lite").args(line.split(' ')).run().succeeds();
        // The blanks of JSON are none of the test's business.
        let parts = read.text().split(';').map(|part| {
            let values = serde_json::Deserializer::from_str(part).into_iter();
            let values: Result<Vec<serde_json::Value>, _> = values.collect();
            values.unwrap()
        });
        parts.collect::<Vec<_>>()
    };
    let value = serde_json::json!({"number": 63, "name": "TestName"});
    let key = serde_json::json!("An Avro Key");
    let expected = [vec![value.clone()], vec![value.clone()], vec![]];
    assert_eq!(read("-e -D; -s value=avro"), expected);
    let expected = [vec![value.clone()], vec![key, value.clone()], vec![]];
    assert_eq!(read("-e -D; -s value=avro -s key=avro"), expected);
    assert_eq!(read("-c 1 -s value=avro"), [vec![value]]);
}
