//! Protobuf and JSON Schema on a real registry, with Python's client as the other side.

use super::at;
use crate::testkit::cluster::{Record, any};
use crate::testkit::command::cmd;
use crate::testkit::session;
use crate::testkit::{registry, witness};

/// The descriptor is made by hand, because there is no protoc: the message is `google.protobuf.Struct`'s neighbour.
const PROTOBUF: &str = r#"
import sys
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer, ProtobufDeserializer
from confluent_kafka.serialization import SerializationContext, MessageField
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2, json_format
way, brokers, url, topic = sys.argv[1:]
file = descriptor_pb2.FileDescriptorProto(name="order.proto", package="shop", syntax="proto3",
    dependency=["google/protobuf/timestamp.proto"])
order = file.message_type.add(name="Order")
field = descriptor_pb2.FieldDescriptorProto
order.field.add(name="id", number=1, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL)
order.field.add(name="at", number=2, type=field.TYPE_MESSAGE, type_name=".google.protobuf.Timestamp", label=field.LABEL_OPTIONAL)
order.field.add(name="tags", number=3, type=field.TYPE_STRING, label=field.LABEL_REPEATED)
order.oneof_decl.add(name="pay")
order.field.add(name="card", number=4, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL, oneof_index=0)
order.field.add(name="coins", number=5, type=field.TYPE_UINT32, label=field.LABEL_OPTIONAL, oneof_index=0)
pool = descriptor_pool.Default()
pool.Add(file)
Order = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))
context = SerializationContext(topic, MessageField.VALUE)
if way == "write":
    value = Order(id=2**53 + 1, at=timestamp_pb2.Timestamp(seconds=1704164645, nanos=6000000), tags=["é"], coins=3)
    serialize = ProtobufSerializer(Order, SchemaRegistryClient({"url": url}), {"use.deprecated.format": False})
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(topic, serialize(value, context), partition=0)
    producer.flush()
else:
    deserialize = ProtobufDeserializer(Order, {"use.deprecated.format": False})
    for line in sys.stdin:
        print(json_format.MessageToJson(deserialize(bytes.fromhex(line.strip()[3:]), context), indent=None, ensure_ascii=False))
"#;

const ORDER: &str =
    r#"{"id":"9007199254740993","at":"2024-01-02T03:04:05.006Z","tags":["é"],"coins":3}"#;

const JSON_SCHEMA: &str = r#"{"title":"Order","type":"object","required":["id"],
    "properties":{"id":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}}}"#;

const READ_JSON: &str = r#"
import sys
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from confluent_kafka.serialization import SerializationContext, MessageField
url, topic, schema = sys.argv[1:]
deserialize = JSONDeserializer(schema, schema_registry_client=SchemaRegistryClient({"url": url}))
for line in sys.stdin:
    print(deserialize(bytes.fromhex(line.strip()[3:]), SerializationContext(topic, MessageField.VALUE)))
"#;

fn file(name: &str, text: &str) -> String {
    let path = session::folder("schema").join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn protobuf_of_pythons_client_is_read_and_comes_back_byte_for_byte() {
    let (Some(url), Some(python)) = (registry::url(), witness::python()) else {
        return;
    };
    let cluster = any();
    let topic = cluster.topic("protobuf", 1, &[]);
    python
        .clone()
        .args(["-W", "ignore", "-c", PROTOBUF, "write"])
        .args([&cluster.bootstrap(), &url, &topic])
        .run()
        .succeeds();
    let before = cluster.values(&topic);
    for name in ["protobuf", "registry"] {
        let args = ["-C", "-t", &topic, "-e", "-q", "-c", "1", "-s", name];
        let read = at(&*cluster, &url, &args).run().succeeds();
        let read = read.stdout_is(format!("{ORDER}\n"));
        at(
            &*cluster,
            &url,
            &["-P", "-t", &topic, "-p", "0", "-s", name],
        )
        .stdin(read.text())
        .run()
        .succeeds();
    }
    assert_eq!(cluster.values(&topic), vec![before[0].clone(); 3]);
    let args = [
        "-C",
        "-t",
        &topic,
        "-e",
        "-q",
        "--tsv=value",
        "--bytes=hex",
        "-b",
    ];
    let hex = cmd("kcat-lite")
        .args(args)
        .arg(cluster.bootstrap())
        .run()
        .succeeds();
    let seen = python
        .args(["-W", "ignore", "-c", PROTOBUF, "read"])
        .args([&cluster.bootstrap(), &url, &topic])
        .stdin(hex.text())
        .run()
        .succeeds();
    let expected = ORDER.replace("\":", "\": ").replace(",\"", ", \"");
    seen.stdout_is(format!("{expected}\n").repeat(3));
    at(
        &*cluster,
        &url,
        &["-C", "-t", &topic, "-e", "-q", "-s", "avro"],
    )
    .run()
    .fails_with(2)
    .stderr_has("it is Protobuf (-s registry reads all)");
}

/// `Second`, and `First.Inner`, whose number Python counts with the message of the map before it.
const NESTED: &str = r#"
import sys
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer, ProtobufDeserializer
from confluent_kafka.serialization import SerializationContext, MessageField
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
way, url, topic = sys.argv[1:]
file = descriptor_pb2.FileDescriptorProto(name=topic + ".proto", package="shop", syntax="proto3")
field = descriptor_pb2.FieldDescriptorProto
first, second = file.message_type.add(name="First"), file.message_type.add(name="Second")
entry = first.nested_type.add(name="MEntry")
entry.options.map_entry = True
entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
entry.field.add(name="value", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
first.field.add(name="m", number=1, type=field.TYPE_MESSAGE, type_name=".shop.First.MEntry", label=field.LABEL_REPEATED)
inner = first.nested_type.add(name="Inner")
for message in second, inner:
    message.field.add(name="x", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
pool = descriptor_pool.Default()
pool.Add(file)
context = SerializationContext(topic, MessageField.VALUE)
for number, name in enumerate(["shop.Second", "shop.First.Inner"]):
    Message = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    if way == "write":
        serialize = ProtobufSerializer(Message, SchemaRegistryClient({"url": url}), {"use.deprecated.format": False})
        print(serialize(Message(x=number + 5), context).hex())
    else:
        deserialize = ProtobufDeserializer(Message, {"use.deprecated.format": False})
        print(name, deserialize(bytes.fromhex(sys.stdin.readline().strip()[3:]), context).x)
"#;

#[test]
fn protobuf_messages_other_than_the_first_are_read_and_written() {
    let (Some(url), Some(python)) = (registry::url(), witness::python()) else {
        return;
    };
    let cluster = any();
    let (topic, copy) = (
        cluster.topic("nested", 1, &[]),
        cluster.topic("nested", 1, &[]),
    );
    let python = |way: &str| {
        let python = python.clone();
        python.args(["-W", "ignore", "-c", NESTED, way, &url, &topic])
    };
    let hex = python("write").run().succeeds();
    for line in hex.text().lines() {
        let bytes = (0..line.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap());
        let bytes: Vec<u8> = bytes.collect();
        cluster.produce(&topic, &[Record::of(bytes)]);
    }
    let args = ["-C", "-t", &topic, "-e", "-q", "-s", "value=protobuf"];
    let read = at(&*cluster, &url, &args).run().succeeds();
    read.stdout_is("{\"x\":5}\n{\"x\":6}\n");
    let with_ids = at(&*cluster, &url, &args).arg("-J").run().succeeds();
    let write = |more: &[&str], input: &str| {
        let args = ["-P", "-t", &copy, "-p", "0", "-s", "value=protobuf"];
        at(&*cluster, &url, &args).args(more).stdin(input).run()
    };
    write(&["-J", "--schema-id", "record"], with_ids.text())
        .fails_with(2)
        .stderr_has("has several messages: say --message value=NAME");
    let id = cluster.records(&topic)[0].value.clone().unwrap();
    let id = u32::from_be_bytes([id[1], id[2], id[3], id[4]]).to_string();
    for (name, input) in [("shop.Second", "{\"x\":5}"), ("First.Inner", "{\"x\":6}")] {
        write(&["--schema-id", &id, "--message", name], input).succeeds();
    }
    write(&["--schema-id", &id, "--message", "Inner"], "{}")
        .fails_with(2)
        .stderr_has("no message Inner (it has First, Second)");
    let args = [
        "-C",
        "-t",
        &copy,
        "-e",
        "-q",
        "--tsv=value",
        "--bytes=hex",
        "-b",
    ];
    let hex = cmd("kcat-lite").args(args).arg(cluster.bootstrap()).run();
    // Python does not look at the path, but for its end.
    python("read")
        .stdin(hex.text())
        .run()
        .succeeds()
        .stdout_is("shop.Second 5\nshop.First.Inner 6\n");
    let paths: Vec<Vec<u8>> = cluster
        .records(&copy)
        .into_iter()
        .map(|record| record.value.unwrap()[5..].to_vec())
        .collect();
    assert_eq!(
        paths,
        [vec![2, 2, 8, 5], vec![4, 0, 0, 8, 6]],
        "as Java counts"
    );
}

#[test]
fn protobuf_is_registered_from_a_file_and_a_wrong_line_is_named() {
    let Some(url) = registry::url() else { return };
    let cluster = any();
    let topic = cluster.topic("protobuf", 1, &[]);
    let text = "syntax = \"proto3\"; message A { uint64 n = 1; map<string, int32> m = 2; }";
    let schema = file("a.proto", text);
    at(
        &*cluster,
        &url,
        &["-P", "-t", &topic, "-p", "0", "-s", "value=protobuf"],
    )
    .args(["--schema", &schema, "-X", "auto.register.schemas=true"])
    .stdin("{\"n\": 18446744073709551615, \"m\": {\"a\": -1}}\n{\"n\": \"x\"}\n")
    .run()
    .fails_with(2)
    .stderr_has("standard input, line 2: value: no A: ")
    .stderr_has("1 record accepted, 1 delivered");
    at(
        &*cluster,
        &url,
        &["-C", "-t", &topic, "-e", "-q", "-s", "value=registry"],
    )
    .run()
    .succeeds()
    .stdout_is("{\"n\":\"18446744073709551615\",\"m\":{\"a\":-1}}\n");
}

#[test]
fn json_schema_is_validated_and_read_by_pythons_client() {
    let (Some(url), Some(python)) = (registry::url(), witness::python()) else {
        return;
    };
    let cluster = any();
    let topic = cluster.topic("json", 1, &[]);
    let schema = file("order.json", JSON_SCHEMA);
    at(
        &*cluster,
        &url,
        &["-P", "-t", &topic, "-p", "0", "-s", "value=json-schema"],
    )
    .args(["--schema", &schema, "-X", "auto.register.schemas=true"])
    .stdin("{\"id\": 1, \"tags\": [\"x\"]}\n{\"id\": 2, \"tags\": [5]}\n")
    .run()
    .fails_with(2)
    .stderr_has("standard input, line 2: value.tags[0]: ");
    at(
        &*cluster,
        &url,
        &["-C", "-t", &topic, "-e", "-q", "-s", "json-schema"],
    )
    .run()
    .succeeds()
    .stdout_is("{\"id\":1,\"tags\":[\"x\"]}\n");
    let args = [
        "-C",
        "-t",
        &topic,
        "-e",
        "-q",
        "--tsv=value",
        "--bytes=hex",
        "-b",
    ];
    let hex = cmd("kcat-lite")
        .args(args)
        .arg(cluster.bootstrap())
        .run()
        .succeeds();
    python
        .args(["-W", "ignore", "-c", READ_JSON, &url, &topic, JSON_SCHEMA])
        .stdin(hex.text())
        .run()
        .succeeds()
        .stdout_is("{'id': 1, 'tags': ['x']}\n");
}

#[test]
fn references_are_fetched_and_a_circle_of_them_ends() {
    let cluster = any();
    let registry = registry::Registry::start();
    let reference =
        |name: &str| format!("{{\"name\":\"{name}\",\"subject\":\"{name}\",\"version\":1}}");
    let schema = |text: &str, references: &str| {
        format!(
            "{{\"schema\":{},\"references\":[{references}]}}",
            serde_json::json!(text)
        )
    };
    let record = r#"{"type":"record","name":"R","fields":[{"name":"f","type":"F"}]}"#;
    let fixed = r#"{"type":"record","name":"F","fields":[{"name":"n","type":"N"}]}"#;
    let number = r#"{"type":"enum","name":"N","symbols":["X"]}"#;
    registry.answer("/schemas/ids/1", 200, &schema(record, &reference("F")));
    registry.answer(
        "/subjects/F/versions/1",
        200,
        &schema(fixed, &reference("N")),
    );
    registry.answer("/subjects/N/versions/1", 200, &schema(number, ""));
    registry.answer("/schemas/ids/2", 200, &schema(record, &reference("C")));
    registry.answer(
        "/subjects/C/versions/1",
        200,
        &schema(fixed, &reference("C")),
    );
    let topic = cluster.topic("references", 1, &[]);
    cluster.produce(
        &topic,
        &[
            Record::of([0, 0, 0, 0, 1, 0]),
            Record::of([0, 0, 0, 0, 2, 0]),
        ],
    );
    at(
        &*cluster,
        &registry.url,
        &["-C", "-t", &topic, "-e", "-q", "-s", "avro"],
    )
    .run()
    .fails_with(2)
    .stdout_is("{\"f\":{\"n\":\"X\"}}\n")
    .stderr_has("schemas that refer to each other without end");
}
