//! `-Q --schema`: the schemas that the newest records of a topic use.

use super::at;
use crate::testkit::cluster::{Cluster, Record, any};
use crate::testkit::command::Cmd;
use crate::testkit::registry::{self, Registry};
use crate::testkit::session;
use serde_json::{Value, json};

fn list(cluster: &dyn Cluster, url: &str, topic: &str, more: &[&str]) -> Cmd {
    at(cluster, url, &["-Q", "--schema", "-t", topic]).args(more)
}

#[test]
fn the_schemas_of_the_newest_records_are_listed_with_their_subjects() {
    let Some(url) = registry::url() else {
        return;
    };
    let cluster = any();
    let topic = cluster.topic("listed", 2, &[]);
    let path = session::folder("schema").join("v.avsc");
    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    let args = ["-P", "-t", &topic, "-p", "1", "-s", "value=avro", "-K", ":"];
    at(&*cluster, &url, &args)
        .args(["--schema", &path, "-X", "auto.register.schemas=true"])
        .stdin("k:{\"a\":1}\nk:{\"a\":2}\n")
        .run()
        .succeeds();
    cluster.produce(&topic, &[Record::of("text")]);
    let read = list(&*cluster, &url, &topic, &["-J"]).run().succeeds();
    let rows: Vec<Value> = read
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let none = |part: &str, records: u64| {
        json!({"topic": topic, "part": part, "records": records, "id": null, "subject": null,
            "version": null, "type": null, "schema": null})
    };
    let id = rows[2]["id"].as_u64().unwrap();
    let subject = format!("{topic}-value");
    let avro = json!({"topic": topic, "part": "value", "records": 2, "id": id, "subject": subject,
        "version": 1, "type": "AVRO", "schema": text});
    assert_eq!(rows, [none("key", 2), none("value", 1), avro]);
    let tsv = list(&*cluster, &url, &topic, &["--tsv"]).run().succeeds();
    tsv.stdout_has(format!(
        "{topic}\tvalue\t2\t{id}\t{subject}\t1\tAVRO\t{text}\n"
    ));
    // The record that is no Avro is the newest.
    list(&*cluster, &url, &topic, &["--last", "1"])
        .run()
        .succeeds()
        .stdout_is(format!(
            "{topic} value: no schema: it begins with byte 116, \
             and a value with a schema's id begins with 0 (1 of 1 records)\n"
        ));
    let people = list(&*cluster, &url, &topic, &[]).run().succeeds();
    people.stdout_has(format!(
        "{topic} value: schema {id}, Avro, {subject} version 1 (2 of 3 records)\n    {text}\n"
    ));
}

#[test]
fn a_schema_that_the_registry_does_not_know_fails_a_list_after_the_others() {
    let cluster = any();
    let registry = Registry::start();
    let guid = "89791762-2336-4186-9674-299b90a802e2";
    let long = json!({"schema": "\"long\""});
    let row = |subject: &str, version: i64| json!({"subject": subject, "version": version});
    registry.answer("/schemas/ids/1", 200, &long);
    registry.answer(
        "/schemas/ids/1/versions",
        200,
        &json!([row("a", 1), row("b", 7)]),
    );
    registry.answer(&format!("/schemas/guids/{guid}"), 200, &long);
    registry.answer(
        &format!("/schemas/guids/{guid}/ids"),
        200,
        &json!([{"context": ".", "id": 1}]),
    );
    let topic = cluster.topic("listed", 1, &[]);
    let header = [
        1, 0x89, 0x79, 0x17, 0x62, 0x23, 0x36, 0x41, 0x86, 0x96, 0x74, 0x29, 0x9b, 0x90, 0xa8, 2,
        0xe2,
    ];
    let by_guid = Record {
        headers: vec![("__value_schema_id".to_owned(), Some(header.to_vec()))],
        ..Record::of([14])
    };
    let unknown = Record::of([0, 0, 0, 0, 9, 14]);
    cluster.produce(&topic, &[by_guid, unknown, Record::of([0, 0, 0, 0, 1, 14])]);
    let rows = |id: &str| {
        ["a\t1", "b\t7"].map(|of| format!("{topic}\tvalue\t1\t{id}\t{of}\tAVRO\t\"long\"\n"))
    };
    let missing = format!("{topic}\tvalue\t1\t9\t\\N\t\\N\t\\N\t\\N\n");
    list(&*cluster, &registry.url, &topic, &["--tsv"])
        .run()
        .fails_with(2)
        .stdout_is([rows("1").concat(), missing, rows(guid).concat()].concat())
        .stderr_has(format!(
            "{topic}: the value's schema 9 is not in the registry: Schema not found"
        ));
    registry.answer("/schemas/ids/1/versions", 200, &json!([{"subject": "a"}]));
    list(&*cluster, &registry.url, &topic, &[])
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("a version without subject and number");
    registry.answer("/schemas/ids/1", 500, "");
    list(&*cluster, &registry.url, &topic, &[])
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("HTTP status 500");
}

#[test]
fn a_topic_without_records_has_no_schemas_and_says_so() {
    let cluster = any();
    let registry = Registry::start();
    let topic = cluster.topic("listed", 1, &[]);
    list(&*cluster, &registry.url, &topic, &[])
        .run()
        .succeeds()
        .stdout_is("")
        .stderr_has(format!(
            "{topic}: no key and no value in the newest 0 records"
        ));
    for (more, said) in [
        (
            &["-Q", "-t", "t:end", "-r", "http://x"][..],
            "-Q -r needs --schema",
        ),
        (
            &["-Q", "-t", "t:end", "--last", "5"],
            "-Q --last needs --schema",
        ),
        (&["-Q", "-t", "t", "--schema"], "no registry: say -r URL"),
        (
            &["-Q", "-t", "t", "-r", "http://x", "--schema", "f"],
            "-Q --schema takes no FILE",
        ),
        (
            &["-P", "-t", "t", "-s", "avro", "-r", "http://x", "--schema"],
            "-P needs a FILE",
        ),
    ] {
        crate::testkit::command::cmd("kcat-lite")
            .args(more)
            .args(["-b", "127.0.0.1:1"])
            .run()
            .fails_with(2)
            .stdout_is("")
            .stderr_has(said);
    }
}
