//! Registries that are slow, gone, wrong, or want a login; GUIDs in headers, which Apicurio has not.

use super::{at, payloads};
use crate::testkit::cluster::{Record, any};
use crate::testkit::command::cmd;
use crate::testkit::registry::Registry;
use serde_json::json;
use std::time::{Duration, Instant};

const GUID: &str = "89791762-2336-4186-9674-299b90a802e2";
const GUID_HEADER: [u8; 17] = [
    1, 0x89, 0x79, 0x17, 0x62, 0x23, 0x36, 0x41, 0x86, 0x96, 0x74, 0x29, 0x9b, 0x90, 0xa8, 0x02,
    0xe2,
];

/// A value of `"long"` with the id 1.
pub(super) const SEVEN: [u8; 6] = [0, 0, 0, 0, 1, 14];

pub(super) fn long() -> serde_json::Value {
    json!({"schema": "\"long\""})
}

pub(super) const READ: [&str; 5] = ["-C", "-e", "-q", "-s", "value=avro"];

#[test]
fn a_guid_in_a_header_names_the_schema_both_ways() {
    let cluster = any();
    let registry = Registry::start();
    registry.answer(&format!("/schemas/guids/{GUID}"), 200, &long());
    let topic = cluster.topic("guid", 1, &[]);
    let header = ("__value_schema_id".to_owned(), Some(GUID_HEADER.to_vec()));
    let record = Record {
        headers: vec![header],
        ..Record::of([14])
    };
    cluster.produce(&topic, &[record.clone(), record]);
    let args = [&READ[..], &["-t", &topic]].concat();
    at(&*cluster, &registry.url, &args)
        .run()
        .succeeds()
        .stdout_is("7\n7\n");
    assert_eq!(registry.requests().len(), 1, "asked once");
    let read = at(&*cluster, &registry.url, &args)
        .arg("-J")
        .run()
        .succeeds();
    assert_eq!(payloads(read.text())[0], "\"key\":null,\"payload\":7}");
    let copy = cluster.topic("guid", 1, &[]);
    at(
        &*cluster,
        &registry.url,
        &["-P", "-t", &copy, "-J", "-s", "value=avro"],
    )
    .stdin(read.text())
    .run()
    .succeeds();
    let parts = |topic: &str| {
        let records = cluster.records(topic).into_iter();
        records
            .map(|record| (record.value, record.headers))
            .collect::<Vec<_>>()
    };
    assert_eq!(parts(&copy), parts(&topic));
    at(
        &*cluster,
        &registry.url,
        &[
            "-P",
            "-t",
            &copy,
            "-J",
            "-s",
            "value=avro",
            "--schema-id",
            "1",
        ],
    )
    .stdin(read.text())
    .run()
    .fails_with(2)
    .stderr_has("the record's header __value_schema_id names another one");
}

#[test]
fn a_schema_that_does_not_exist_is_asked_for_once() {
    let cluster = any();
    let registry = Registry::start();
    let topic = cluster.topic("registry", 1, &[]);
    cluster.produce(&topic, &vec![Record::of(SEVEN); 5]);
    let args = [&READ[..], &["-t", &topic, "-E"]].concat();
    at(&*cluster, &registry.url, &args)
        .run()
        .fails_with(2)
        .stderr_has("the schema registry has no such schema (Schema not found)")
        .stderr_has("5 records not written");
    assert_eq!(registry.requests(), ["GET /schemas/ids/1"]);
}

#[test]
fn another_registry_is_asked_where_one_is_gone_or_broken() {
    let cluster = any();
    let (broken, good) = (Registry::start(), Registry::start());
    let topic = cluster.topic("registry", 1, &[]);
    cluster.produce(&topic, &[Record::of(SEVEN)]);
    good.answer("/schemas/ids/1", 200, &long());
    let args = [&READ[..], &["-t", &topic]].concat();
    for status in [500, 503, 1] {
        broken.answer("/schemas/ids/1", status, "");
        let urls = format!("http://127.0.0.1:1,{},{}", broken.url, good.url);
        at(&*cluster, &urls, &args)
            .run()
            .succeeds()
            .stdout_is("7\n");
    }
    broken.answer("/schemas/ids/1", 503, "");
    // No record is passed over for the registry's sake.
    at(&*cluster, &broken.url, &args)
        .arg("-E")
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has(format!(
            "schema registry {}/: /schemas/ids/1: HTTP status 503",
            broken.url
        ));
    assert_eq!(broken.requests().len(), 3 + 3, "three tries");
}

#[test]
fn a_signal_ends_the_wait_for_a_registry_that_hangs() {
    let cluster = any();
    let registry = Registry::start();
    let topic = cluster.topic("registry", 1, &[]);
    cluster.produce(&topic, &[Record::of(SEVEN)]);
    registry.answer("/schemas/ids/1", 0, "");
    let args = [&READ[..], &["-t", &topic]].concat();
    let mut waiting = at(&*cluster, &registry.url, &args).start();
    let deadline = Instant::now() + Duration::from_secs(15);
    while registry.requests().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    waiting.signal(rustix::process::Signal::TERM);
    let since = Instant::now();
    waiting
        .wait()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("/schemas/ids/1: no answer before the signal");
    assert!(since.elapsed() < Duration::from_secs(5), "{since:?}");
}

#[test]
fn an_answer_that_makes_no_sense_is_an_error_that_says_so() {
    let cluster = any();
    let registry = Registry::start();
    let topic = cluster.topic("registry", 1, &[]);
    cluster.produce(&topic, &[Record::of(SEVEN)]);
    let args = [&READ[..], &["-t", &topic]].concat();
    for (status, body, said) in [
        (
            200,
            "<html>".to_owned(),
            "its answer is not JSON: is this a schema registry?",
        ),
        (404, "<html>".to_owned(), "HTTP status 404"),
        (200, "{}".to_owned(), "without a schema"),
        (
            200,
            json!({"schema": "{}"}).to_string(),
            "the schema is not understood: a type is missing",
        ),
        (
            200,
            json!({"schema": "x", "schemaType": "XML"}).to_string(),
            "a schema of the type XML",
        ),
        (
            403,
            json!({"message": "no"}).to_string(),
            "HTTP status 403 no (basic.auth.user.info",
        ),
        (302, String::new(), "HTTP status 302"),
        (302, "/schemas/ids/1".to_owned(), "too many redirects"),
        (2, long().to_string(), "end of file before message length"),
        (
            200,
            " ".repeat(17 << 20),
            "/schemas/ids/1: its answer is too long to be a schema",
        ),
    ] {
        registry.answer("/schemas/ids/1", status, &body);
        at(&*cluster, &registry.url, &args)
            .run()
            .fails_with(2)
            .stdout_is("")
            .stderr_has(said);
    }
}

#[test]
fn options_of_schemas_without_schemas_are_refused() {
    for (args, said) in [
        (&["-C", "-r", "http://x"][..], "-r needs -s avro"),
        (&["-C", "-s", "avro"], "no registry: say -r URL"),
        (&["-C", "-s", "avro", "-r", "x"], "schema.registry.url"),
        (
            &["-C", "-s", "json", "-r", "http://x"],
            "-s json needs no registry",
        ),
        (
            &["-C", "-s", "json", "--undecodable", "base64"],
            "--undecodable needs",
        ),
        (&["-P", "-s", "i"], "a PACK is for reading"),
        (
            &["-P", "-s", "json", "--schema-id", "5"],
            "the value has no schema",
        ),
        (
            &["-P", "-s", "avro", "-r", "http://x", "--schema-id", "x"],
            "a number is expected",
        ),
        (
            &["-P", "-s", "avro", "-r", "http://x", "--schema", "/none"],
            "/none: No such file",
        ),
    ] {
        cmd("kcat-lite")
            .args(args)
            .args(["-t", "t", "-b", "127.0.0.1:1"])
            .run()
            .fails_with(2)
            .stdout_is("")
            .stderr_has(said);
    }
}
