//! `-s value=json`: JSON that is embedded, without a registry.

use super::payloads;
use crate::testkit::cluster::{Record, any};
use crate::testkit::command::cmd;

#[test]
fn json_is_embedded_and_read_back_and_null_is_no_tombstone() {
    let cluster = any();
    let topic = cluster.topic_of(
        "json",
        &["{\"a\": [1.50,\n 9007199254740993]}", "null", "\"x\""],
    );
    cluster.produce(
        &topic,
        &[Record {
            value: None,
            ..Record::of("")
        }],
    );
    let read = cmd("kcat-lite")
        .args([
            "-C",
            "-t",
            &topic,
            "-e",
            "-q",
            "-J",
            "-s",
            "value=json",
            "-b",
        ])
        .arg(cluster.bootstrap())
        .run()
        .succeeds();
    assert_eq!(
        payloads(read.text()),
        [
            "\"key\":null,\"payload\":{\"a\":[1.50,9007199254740993]}}",
            "\"key\":null,\"payload_base64\":\"bnVsbA==\"}",
            "\"key\":null,\"payload\":\"x\"}",
            "\"key\":null,\"payload\":null}",
        ]
    );
    let copy = cluster.topic("json", 1, &[]);
    cmd("kcat-lite")
        .args(["-P", "-t", &copy, "-J", "-s", "value=json", "-b"])
        .arg(cluster.bootstrap())
        .stdin(read.text())
        .run()
        .succeeds();
    let expected = ["{\"a\":[1.50,9007199254740993]}", "null", "\"x\"", "NULL"];
    assert_eq!(cluster.values(&copy), expected);
}

#[test]
fn what_is_not_json_ends_the_program_with_its_position() {
    let cluster = any();
    let topic = cluster.topic_of("json", &["1", "{\"a\":"]);
    let args = ["-C", "-t", &topic, "-e", "-q", "-s", "json"];
    cmd("kcat-lite")
        .args(args)
        .args(["-b", &cluster.bootstrap()])
        .run()
        .fails_with(2)
        .stdout_is("1\n")
        .stderr_has(format!(
            "{topic} [0] offset 1: the value does not decode: not JSON"
        ));
    cmd("kcat-lite")
        .args([
            "-P",
            "-t",
            &topic,
            "-s",
            "value=json",
            "-b",
            &cluster.bootstrap(),
        ])
        .stdin("2\n{\n3\n")
        .run()
        .fails_with(2)
        .stderr_has("standard input, line 2: value: not JSON")
        .stderr_has("1 record accepted, 1 delivered");
}
