//! Schemas of all shapes: what is written from JSON is read as JSON, in both styles, and comes back byte for byte.

use super::at;
use crate::testkit::cluster::any;
use crate::testkit::registry::Registry;
use serde_json::json;

/// What is written, and what is read.
type Value = (&'static str, &'static str);

/// A schema, and the values in tagged and in plain style.
type Row = (&'static str, &'static str, &'static [[Value; 2]]);

/// A value that is the same in both styles, and the same when it is read.
const fn same(text: &'static str) -> [Value; 2] {
    [(text, text); 2]
}

const AVRO: &str = "AVRO";
const PROTOBUF: &str = "PROTOBUF";

/// The unions' branches by name; without names where they differ.
const UNIONS: &[[Value; 2]] = &[
    [
        (r#"{"A":{"x":1}}"#, r#"{"A":{"x":1}}"#),
        (r#"{"x":1}"#, r#"{"x":1}"#),
    ],
    [
        (r#"{"n.B":{"x":"s"}}"#, r#"{"n.B":{"x":"s"}}"#),
        (r#"{"x":"s"}"#, r#"{"x":"s"}"#),
    ],
    [
        (r#"{"x":1}"#, r#"{"A":{"x":1}}"#),
        (r#"{"A":{"x":1}}"#, r#"{"x":1}"#),
    ],
];

const ROWS: &[Row] = &[
    (
        AVRO,
        r#"["null",{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]},
        {"type":"record","name":"n.B","fields":[{"name":"x","type":"string"}]}]"#,
        UNIONS,
    ),
    (
        AVRO,
        r#"{"type":"map","values":["null","long","string",{"type":"array","items":"double"}]}"#,
        &[[
            (
                r#"{"a":{"long":9007199254740993},"b":null,"c":{"array":[0.5]}}"#,
                r#"{"a":{"long":9007199254740993},"b":null,"c":{"array":[0.5]}}"#,
            ),
            (
                r#"{"a":9007199254740993,"b":null,"c":[0.5]}"#,
                r#"{"a":9007199254740993,"b":null,"c":[0.5]}"#,
            ),
        ]],
    ),
    (
        AVRO,
        r#"{"type":"enum","name":"n.E","symbols":["A","B"],"default":"A"}"#,
        &[same("\"B\"")],
    ),
    // Defaults of all types.
    (
        AVRO,
        r#"{"type":"record","name":"D","fields":[
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"},"default":"B"},
        {"name":"m","type":{"type":"map","values":"int"},"default":{}},
        {"name":"a","type":{"type":"array","items":"int"},"default":[1]},
        {"name":"u","type":["null","int"],"default":null},
        {"name":"f","type":{"type":"fixed","name":"F","size":2},"default":"\u0000\u00ff"},
        {"name":"r","type":{"type":"record","name":"I","fields":[{"name":"x","type":"int","default":3}]},"default":{}}]}"#,
        &[[
            (
                "{}",
                r#"{"e":"B","m":{},"a":[1],"u":null,"f":"\u0000ÿ","r":{"x":3}}"#,
            ),
            (
                "{}",
                r#"{"e":"B","m":{},"a":[1],"u":null,"f":"AP8=","r":{"x":3}}"#,
            ),
        ]],
    ),
    // A tree, its branches in a list and in a map of unions; decimals.
    (
        AVRO,
        r#"{"type":"record","name":"T","fields":[
        {"name":"v","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":2}},
        {"name":"kids","type":{"type":"array","items":"T"},"default":[]},
        {"name":"of","type":{"type":"map","values":["null","T"]},"default":{}}]}"#,
        &[[
            (
                r#"{"v":-0.01,"kids":[{"v":"\u0004Ò"}],"of":{"k":null,"l":{"T":{"v":"\u0001"}}}}"#,
                r#"{"v":"ÿ","kids":[{"v":"\u0004Ò","kids":[],"of":{}}],"of":{"k":null,"l":{"T":{"v":"\u0001","kids":[],"of":{}}}}}"#,
            ),
            (
                r#"{"v":"-0.01","kids":[{"v":"12.34"}],"of":{"k":null,"l":{"v":"0.01"}}}"#,
                r#"{"v":"-0.01","kids":[{"v":"12.34","kids":[],"of":{}}],"of":{"k":null,"l":{"v":"0.01","kids":[],"of":{}}}}"#,
            ),
        ]],
    ),
    // Names in namespaces of their own, attributes that mean nothing here, logical types.
    (
        AVRO,
        r#"{"type":"record","name":"X","namespace":"a.b","doc":"d","aliases":["Y"],"fields":[
        {"name":"t","order":"ignore","type":{"type":"int","logicalType":"time-millis"}},
        {"name":"l","type":{"type":"long","logicalType":"local-timestamp-micros"}},
        {"name":"w","type":{"type":"long","logicalType":"who-knows"}},
        {"name":"d","type":{"type":"fixed","name":"Sum","size":1}},
        {"name":"n","type":{"type":"error","name":"c.Err","fields":[{"name":"self","type":["null","Err","a.b.Sum"]}]}}]}"#,
        &[[
            (
                r#"{"t":11045006,"l":1704164645000006,"w":5,"d":"x","n":{"self":{"c.Err":{"self":{"a.b.Sum":"y"}}}}}"#,
                r#"{"t":11045006,"l":1704164645000006,"w":5,"d":"x","n":{"self":{"c.Err":{"self":{"a.b.Sum":"y"}}}}}"#,
            ),
            (
                r#"{"t":"03:04:05.006","l":"2024-01-02T03:04:05.000006","w":5,"d":"eA==","n":{"self":{"self":"eQ=="}}}"#,
                r#"{"t":"03:04:05.006","l":"2024-01-02T03:04:05.000006","w":5,"d":"eA==","n":{"self":{"self":"eQ=="}}}"#,
            ),
        ]],
    ),
    (
        PROTOBUF,
        r#"syntax = "proto3";
        import "google/protobuf/any.proto"; import "google/protobuf/timestamp.proto";
        import "google/protobuf/duration.proto"; import "google/protobuf/struct.proto";
        import "google/protobuf/wrappers.proto"; import "google/protobuf/field_mask.proto";
        import "common/money.proto";
        message M {
            oneof o { string a = 1; int64 b = 2; Sub s = 3; }
            map<string, Sub> m = 4; map<int64, bool> ib = 5;
            google.protobuf.Any any = 6; google.protobuf.Timestamp t = 7; google.protobuf.Duration d = 8;
            google.protobuf.Struct st = 9; google.protobuf.Int64Value w = 10; google.protobuf.FieldMask fm = 11;
            bytes raw = 12; optional int32 opt = 13; uint64 u = 14; float f = 15; common.Money price = 16;
            message Sub { int32 x = 1; repeated Sub kids = 2; }
        }"#,
        &[
            same(concat!(
                r#"{"s":{"x":1,"kids":[{"x":2}]},"m":{"k":{"x":3}},"ib":{"-5":true},"#,
                r#""any":{"@type":"type.googleapis.com/M.Sub","x":7},"t":"2024-01-02T03:04:05.006Z","d":"1.500s","#,
                r#""st":{"a":[1.5,null,"x"]},"w":"9007199254740993","fm":"aB.c","raw":"AP8=","opt":0,"#,
                r#""u":"18446744073709551615","f":"NaN","price":{"units":"5","currency":"EUR"}}"#
            )),
            same(r#"{"a":""}"#),
            same("{}"),
            [(
                r#"{"b":-1,"price":{"nano_s":3},"d":null}"#,
                r#"{"b":"-1","price":{"nanoS":3}}"#,
            ); 2],
        ],
    ),
    (
        PROTOBUF,
        r#"syntax = "proto2"; message P {
            required string n = 1; optional int32 c = 2 [default = 7]; repeated int32 p = 3 [packed = true];
            optional E e = 4 [default = Y]; enum E { X = 1; Y = 2; } extensions 100 to 200;
            repeated group G = 5 { optional int32 g = 1; } oneof o { bool q = 6; } optional double inf = 8 [default = inf];
        }"#,
        &[
            same(r#"{"n":""}"#),
            same(r#"{"n":"x","c":7,"p":[1,-2],"e":"X","g":[{"g":1}],"q":false,"inf":"-Infinity"}"#),
        ],
    ),
    (
        "JSON",
        r##"{"definitions":{"t":{"type":["string","null"]}},"oneOf":[{"type":"integer"},
        {"type":"object","properties":{"a":{"$ref":"#/definitions/t"}},"required":["a"]}]}"##,
        &[same(r#"{"a":null}"#), same("12345678901234567890")],
    ),
];

const MONEY: &str = r#"syntax = "proto3"; package common;
    message Money { int64 units = 1; int32 nano_s = 2; string currency = 3; }"#;

#[test]
fn values_of_schemas_of_all_shapes_are_written_and_read_and_come_back_byte_for_byte() {
    let cluster = any();
    let registry = Registry::start();
    let money = json!({"schema": MONEY, "schemaType": PROTOBUF});
    registry.answer("/subjects/money/versions/1", 200, &money);
    for (id, (kind, schema, _)) in ROWS.iter().enumerate() {
        let reference = json!({"name": "common/money.proto", "subject": "money", "version": 1});
        let references = schema.contains("money").then_some(reference);
        let references: Vec<_> = references.into_iter().collect();
        let answer = json!({"schema": schema, "schemaType": kind, "references": references});
        registry.answer(&format!("/schemas/ids/{id}"), 200, &answer);
    }
    for (number, style) in ["tagged", "plain"].into_iter().enumerate() {
        let (mut written, mut expected) = (String::new(), String::new());
        let rows = ROWS.iter().enumerate();
        for (id, values) in rows.flat_map(|(id, row)| row.2.iter().map(move |values| (id, values)))
        {
            let (write, read) = values[number];
            let line =
                |text| format!("\"key\":null,\"payload\":{text},\"value_schema_id\":{id}}}\n");
            written.push('{');
            written += &line(write);
            expected += &line(read);
        }
        let produce = |lines: &str| {
            let topic = cluster.topic("table", 1, &[]);
            let args = ["-P", "-t", &topic, "-p", "0", "-J", "-s", "value=registry"];
            let produce = at(&*cluster, &registry.url, &args);
            let more = ["--schema-id", "record", "--json-style", style];
            produce.args(more).stdin(lines).run().succeeds();
            topic
        };
        let topic = produce(&written);
        let args = ["-C", "-t", &topic, "-e", "-q", "-J", "-s", "registry"];
        let read = at(&*cluster, &registry.url, &args);
        let read = read.args(["--json-style", style]).run().succeeds();
        assert_eq!(
            super::payloads(read.text()).join("\n") + "\n",
            expected,
            "{style}"
        );
        let copy = produce(read.text());
        let values = |topic: &str| {
            let records = cluster.records(topic).into_iter();
            records.map(|record| record.value).collect::<Vec<_>>()
        };
        assert_eq!(values(&copy), values(&topic), "{style}");
    }
}
