//! Avro on a real registry, with Python's client as the other side.

use super::{at, payloads};
use crate::testkit::cluster::{Cluster, Record, any};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::session;
use crate::testkit::{registry, witness};

/// Unions of records, a map of unions, an enum, decimals, fixed, a recursive list, logical types.
pub(super) const SCHEMA: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"long"},
    {"name":"note","type":["null","string"],"default":null},
    {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"day","type":{"type":"int","logicalType":"date"}},
    {"name":"tags","type":{"type":"map","values":["int","string"]}},
    {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B"],"default":"A"}},
    {"name":"sum","type":{"type":"fixed","name":"Sum","size":2}},
    {"name":"pay","type":[{"type":"record","name":"Card","fields":[{"name":"no","type":"string"}]},
        {"type":"record","name":"Cash","fields":[{"name":"coins","type":{"type":"array","items":"int"}}]}]},
    {"name":"list","type":["null",{"type":"record","name":"Node","fields":[
        {"name":"v","type":"double"},{"name":"next","type":["null","Node"],"default":null}]}],"default":null}]}"#;

pub(super) const TAGGED: &str = r#"{"id":9007199254740993,"note":{"string":"é"},"price":"\u0004Ò","at":1704164645006,"day":19724,"tags":{"a":{"int":1},"b":{"string":"x"}},"kind":"B","sum":"\u0001ÿ","pay":{"shop.Cash":{"coins":[1,2]}},"list":{"shop.Node":{"v":0.5,"next":{"shop.Node":{"v":1.0,"next":null}}}}}"#;
const PLAIN: &str = r#"{"id":9007199254740993,"note":"é","price":"12.34","at":"2024-01-02T03:04:05.006Z","day":"2024-01-02","tags":{"a":1,"b":"x"},"kind":"B","sum":"Af8=","pay":{"coins":[1,2]},"list":{"v":0.5,"next":{"v":1.0,"next":null}}}"#;

const SERIALIZE: &str = r#"
import datetime, decimal, sys
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import SerializationContext, MessageField
brokers, url, topic, schema = sys.argv[1:]
value = {"id": 2**53 + 1, "note": "é", "price": decimal.Decimal("12.34"), "day": datetime.date(2024, 1, 2),
    "at": datetime.datetime(2024, 1, 2, 3, 4, 5, 6000, tzinfo=datetime.timezone.utc), "tags": {"a": 1, "b": "x"},
    "kind": "B", "sum": b"\x01\xff", "pay": ("shop.Cash", {"coins": [1, 2]}),
    "list": {"v": 0.5, "next": {"v": 1.0, "next": None}}}
serialize = AvroSerializer(SchemaRegistryClient({"url": url}), schema)
producer = Producer({"bootstrap.servers": brokers})
producer.produce(topic, serialize(value, SerializationContext(topic, MessageField.VALUE)), "k", 0)
producer.flush()
"#;

const DESERIALIZE: &str = r#"
import sys
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import SerializationContext, MessageField
url, topic = sys.argv[1:]
deserialize = AvroDeserializer(SchemaRegistryClient({"url": url}))
for line in sys.stdin:
    print(deserialize(bytes.fromhex(line.strip()[3:]), SerializationContext(topic, MessageField.VALUE)))
"#;

const SEEN_BY_PYTHON: &str = "{'id': 9007199254740993, 'note': 'é', 'price': Decimal('12.34'), 'at': datetime.datetime(2024, 1, 2, 3, 4, 5, 6000, tzinfo=datetime.timezone.utc), 'day': datetime.date(2024, 1, 2), 'tags': {'a': 1, 'b': 'x'}, 'kind': 'B', 'sum': b'\\x01\\xff', 'pay': {'coins': [1, 2]}, 'list': {'v': 0.5, 'next': {'v': 1.0, 'next': None}}}\n";

pub(super) fn consume(cluster: &dyn Cluster, url: &str, topic: &str, more: &[&str]) -> Cmd {
    let args = ["-C", "-t", topic, "-e", "-q", "-s", "value=avro"];
    at(cluster, url, &args).args(more)
}

pub(super) fn produce(cluster: &dyn Cluster, url: &str, topic: &str, more: &[&str]) -> Cmd {
    let args = ["-P", "-t", topic, "-p", "0", "-s", "value=avro"];
    at(cluster, url, &args).args(more)
}

/// The name of a file with this text.
pub(super) fn file(name: &str, text: &str) -> String {
    let path = session::folder("schema").join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

pub(super) const REGISTER: [&str; 2] = ["-X", "auto.register.schemas=true"];

#[test]
fn what_pythons_client_writes_is_read_in_both_styles_and_comes_back_byte_for_byte() {
    let (Some(url), Some(python)) = (registry::url(), witness::python()) else {
        return;
    };
    let cluster = any();
    let topic = cluster.topic("avro", 1, &[]);
    python
        .args(["-W", "ignore", "-c", SERIALIZE])
        .args([&cluster.bootstrap(), &url, &topic, SCHEMA])
        .run()
        .succeeds();
    consume(&*cluster, &url, &topic, &["--tsv"])
        .run()
        .succeeds()
        .stdout_is(format!("k\t{}\n", TAGGED.replace('\\', "\\\\")));
    consume(&*cluster, &url, &topic, &["--json-style", "plain"])
        .run()
        .succeeds()
        .stdout_is(format!("{PLAIN}\n"));
    let original = cluster.values(&topic);
    for style in ["tagged", "plain"] {
        let copy = cluster.topic("avro", 1, &[]);
        let read = consume(&*cluster, &url, &topic, &["-J", "--json-style", style])
            .run()
            .succeeds();
        let more = ["-J", "--json-style", style, "--schema-id", "record"];
        produce(&*cluster, &url, &copy, &more)
            .stdin(read.text())
            .run()
            .succeeds();
        assert_eq!(cluster.values(&copy), original, "{style}");
    }
}

#[test]
fn what_is_written_from_json_is_read_by_pythons_client() {
    let (Some(url), Some(python)) = (registry::url(), witness::python()) else {
        return;
    };
    let cluster = any();
    let topic = cluster.topic("avro", 1, &[]);
    let schema = file("order.avsc", SCHEMA);
    let first = ["--schema", &schema, REGISTER[0], REGISTER[1]];
    produce(&*cluster, &url, &topic, &first)
        .stdin(TAGGED)
        .run()
        .succeeds();
    // Later ones use the subject's latest.
    produce(&*cluster, &url, &topic, &["--json-style", "plain"])
        .stdin(PLAIN)
        .run()
        .succeeds();
    let hex = cmd("kcat-lite")
        .args([
            "-C",
            "-t",
            &topic,
            "-e",
            "-q",
            "--tsv=value",
            "--bytes=hex",
            "-b",
        ])
        .arg(cluster.bootstrap())
        .run()
        .succeeds();
    python
        .args(["-W", "ignore", "-c", DESERIALIZE, &url, &topic])
        .stdin(hex.text())
        .run()
        .succeeds()
        .stdout_is(SEEN_BY_PYTHON.repeat(2));
}

#[test]
fn a_line_that_does_not_fit_is_named_and_those_before_it_are_sent() {
    let Some(url) = registry::url() else { return };
    let cluster = any();
    let topic = cluster.topic("avro", 1, &[]);
    let schema = file("order.avsc", SCHEMA);
    let wrong = TAGGED.replace("[1,2]", "[1,\"x\"]");
    produce(
        &*cluster,
        &url,
        &topic,
        &["--schema", &schema, REGISTER[0], REGISTER[1]],
    )
    .stdin(format!("{TAGGED}\n{wrong}\n{TAGGED}\n"))
    .run()
    .fails_with(2)
    .stderr_has("standard input, line 2: value.pay.shop.Cash.coins[1]: expected int, found \"x\"")
    .stderr_has("1 record accepted, 1 delivered");
    assert_eq!(cluster.values(&topic).len(), 1);
}

#[test]
fn nothing_is_registered_unless_that_is_asked_for() {
    let Some(url) = registry::url() else { return };
    let cluster = any();
    let topic = cluster.topic("avro", 1, &[]);
    let schema = file("order.avsc", SCHEMA);
    produce(&*cluster, &url, &topic, &[])
        .stdin(TAGGED)
        .run()
        .fails_with(2)
        .stderr_has(format!(
            "the registry has none under the subject {topic}-value"
        ));
    produce(&*cluster, &url, &topic, &["--schema", &schema])
        .stdin(TAGGED)
        .run()
        .fails_with(2)
        .stderr_has(format!(
            "the registry does not have it under the subject {topic}-value"
        ));
    assert_eq!(cluster.values(&topic), [""; 0]);
    let more = ["--schema", &schema, REGISTER[0], REGISTER[1]];
    produce(&*cluster, &url, &topic, &more)
        .stdin(TAGGED)
        .run()
        .succeeds();
    produce(&*cluster, &url, &topic, &["--schema", &schema])
        .stdin(TAGGED)
        .run()
        .succeeds();
    assert_eq!(cluster.values(&topic).len(), 2);
}

#[test]
fn subjects_are_named_as_javas_strategies_say() {
    let Some(url) = registry::url() else { return };
    let cluster = any();
    let name = session::unique("Named").replace('-', "_");
    let text =
        format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"a","type":"int"}}]}}"#);
    let schema = file("named.avsc", &text);
    let topic = cluster.topic("avro", 1, &[]);
    let strategy = |name: &str| {
        format!("value.subject.name.strategy=io.confluent.kafka.serializers.subject.{name}")
    };
    for strategy in [
        strategy("RecordNameStrategy"),
        strategy("TopicRecordNameStrategy"),
    ] {
        let more = ["-X", &strategy, "--schema", &schema];
        produce(&*cluster, &url, &topic, &more)
            .stdin("{\"a\":1}")
            .run()
            .fails_with(2);
        produce(&*cluster, &url, &topic, &more)
            .args(REGISTER)
            .stdin("{\"a\":1}")
            .run()
            .succeeds();
        produce(&*cluster, &url, &topic, &more)
            .stdin("{\"a\":1}")
            .run()
            .succeeds();
        produce(&*cluster, &url, &topic, &more[..2])
            .stdin("{\"a\":1}")
            .run()
            .fails_with(2)
            .stderr_has("the subject is named after the record");
    }
}

#[test]
fn keys_have_schemas_of_their_own_and_null_stays_null() {
    let Some(url) = registry::url() else { return };
    let cluster = any();
    let topic = cluster.topic("avro", 1, &[]);
    let (key, value) = (
        file("k.avsc", "\"long\""),
        file("v.avsc", "[\"null\",\"string\"]"),
    );
    at(
        &*cluster,
        &url,
        &["-P", "-t", &topic, "-p", "0", "-s", "avro", "--tsv"],
    )
    .args([
        "--schema".to_owned(),
        format!("key={key}"),
        "--schema".to_owned(),
        value,
    ])
    .args(REGISTER)
    .stdin("9007199254740993\t\"x\"\n5\tnull\n6\t\\N\n\\N\t{\"string\":\"y\"}\n")
    .run()
    .succeeds();
    let args = ["-C", "-t", &topic, "-e", "-q", "-s", "avro"];
    let read = at(&*cluster, &url, &args).arg("--tsv").run().succeeds();
    read.stdout_is(
        "9007199254740993\t{\"string\":\"x\"}\n5\tnull\n6\t\\N\n\\N\t{\"string\":\"y\"}\n",
    );
    let read = at(&*cluster, &url, &args).arg("-J").run().succeeds();
    let lines = payloads(read.text());
    assert!(
        lines[1].starts_with("\"key\":5,\"payload_base64\":\"AA"),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with("\"key\":6,\"payload\":null,\"key_schema_id\":"),
        "{lines:?}"
    );
    let copy = cluster.topic("avro", 1, &[]);
    at(
        &*cluster,
        &url,
        &[
            "-P",
            "-t",
            &copy,
            "-J",
            "-s",
            "avro",
            "--schema-id",
            "record",
        ],
    )
    .args(["--schema-id", "key=record"])
    .stdin(read.text())
    .run()
    .succeeds();
    let parts = |topic: &str| {
        let records = cluster.records(topic).into_iter();
        records
            .map(|record| (record.key, record.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(parts(&copy), parts(&topic));
}

#[test]
fn what_does_not_decode_ends_the_program_or_is_passed_over_or_is_base64() {
    let Some(url) = registry::url() else { return };
    let cluster = any();
    let topic = cluster.topic("avro", 1, &[]);
    let schema = file("v.avsc", "\"long\"");
    produce(
        &*cluster,
        &url,
        &topic,
        &["--schema", &schema, REGISTER[0], REGISTER[1]],
    )
    .stdin("7")
    .run()
    .succeeds();
    let mut cut = cluster.records(&topic)[0].value.clone().unwrap();
    cut.truncate(5);
    let unknown = [0, 127, 255, 255, 255, 2];
    cluster.produce(
        &topic,
        &[Record::of("text"), Record::of(cut), Record::of(unknown)],
    );
    consume(&*cluster, &url, &topic, &[])
        .run()
        .fails_with(2)
        .stdout_is("7\n")
        .stderr_has(format!(
            "{topic} [0] offset 1: the value does not decode: it begins with byte 116"
        ));
    consume(&*cluster, &url, &topic, &["-E"])
        .run()
        .fails_with(2)
        .stdout_is("7\n")
        .stderr_has("the bytes end within a long")
        .stderr_has(
            "does not decode with schema 2147483647: the schema registry has no such schema",
        )
        .stderr_has("3 records not written");
    let kept = consume(&*cluster, &url, &topic, &["-J", "--undecodable", "base64"])
        .run()
        .succeeds();
    let copy = cluster.topic("avro", 1, &[]);
    produce(&*cluster, &url, &copy, &["-J", "--schema-id", "record"])
        .stdin(kept.text())
        .run()
        .succeeds();
    let values = |topic: &str| {
        cluster
            .records(topic)
            .into_iter()
            .map(|record| record.value)
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&copy), values(&topic));
}

#[test]
fn a_group_and_its_commands_get_json() {
    let Some(url) = registry::url() else { return };
    let cluster = any();
    let topic = cluster.topic("avro", 1, &[]);
    let schema = file("v.avsc", "\"long\"");
    produce(
        &*cluster,
        &url,
        &topic,
        &["--schema", &schema, REGISTER[0], REGISTER[1]],
    )
    .stdin("7\n8\n")
    .run()
    .succeeds();
    let group = session::unique("avro");
    at(
        &*cluster,
        &url,
        &[
            "-G",
            &group,
            "-e",
            "-q",
            "-X",
            "auto.offset.reset=earliest",
            "-s",
            "value=avro",
        ],
    )
    .args(["--exec", "cat", &topic])
    .run()
    .succeeds()
    .stdout_is("7\n8\n");
}
