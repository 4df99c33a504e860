//! From records to stdout: what is shown of a record, how much, and when.

use super::{SOON, at, consume};
use crate::testkit::cluster::{Cluster, Record, any};
use crate::testkit::command::Terminal;
use serde_json::{Value, json};

/// A topic of one partition with records of every shape.
fn shapes(cluster: &dyn Cluster) -> String {
    let topic = cluster.topic("shapes", 1, &[]);
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    let records = [
        Record {
            timestamp_ms: Some(1_000),
            ..Record::keyed("k", "v")
        },
        Record {
            timestamp_ms: Some(2_000),
            headers: vec![header("a", Some(b"1")), header("n", None)],
            ..Record::of("")
        },
        Record {
            timestamp_ms: Some(3_000),
            value: None,
            ..Record::keyed("", "")
        },
        Record {
            timestamp_ms: Some(4_000),
            headers: vec![header("b", Some(b"\0\xff"))],
            ..Record::keyed(*b"\xff", *b"\xc3\x28\n\t\\")
        },
    ];
    cluster.produce(&topic, &records);
    topic
}

#[test]
fn values_are_written_as_they_are() {
    let cluster = any();
    let topic = shapes(&*cluster);
    consume(&*cluster, &topic)
        .run()
        .succeeds()
        .stdout_is(b"v\n\n\n\xc3\x28\n\t\\\n");
    consume(&*cluster, &topic)
        .args(["-K", "|"])
        .run()
        .succeeds()
        .stdout_is(b"k|v\n|\n|\n\xff|\xc3\x28\n\t\\\n");
    consume(&*cluster, &topic)
        .args(["-D", ";\\n"])
        .run()
        .succeeds()
        .stdout_is(b"v;\n;\n;\n\xc3\x28\n\t\\;\n");
    consume(&*cluster, &topic)
        .args(["-Z", "-K:"])
        .run()
        .succeeds()
        .stdout_is(b"k:v\nNULL:\n:NULL\n\xff:\xc3\x28\n\t\\\n");
}

#[test]
fn raw_output_that_is_ambiguous_is_told() {
    let cluster = any();
    let topic = shapes(&*cluster);
    let output = at(&*cluster, &["-C", "-e", "-t", &topic]).run().succeeds();
    output.stderr_has("1 record").stderr_has("--tsv");
    let plain = cluster.topic_of("plain", &["one", "two"]);
    at(&*cluster, &["-C", "-e", "-t", &plain])
        .run()
        .succeeds()
        .stderr_lacks("--tsv");
}

#[test]
fn tsv_keeps_every_byte_on_one_line() {
    let cluster = any();
    let topic = shapes(&*cluster);
    consume(&*cluster, &topic)
        .arg("--tsv")
        .run()
        .succeeds()
        .stdout_is(b"k\tv\n\\N\t\n\t\\N\n\xff\t\xc3\x28\\n\\t\\\\\n");
    let columns = consume(&*cluster, &topic)
        .args(["--tsv=offset,timestamp,headers", "-c", "2"])
        .run()
        .succeeds();
    columns.stdout_is("0\t1000\t\\N\n1\t2000\ta=1&n\n");
    let all = consume(&*cluster, &topic)
        .args(["--tsv=all", "-c", "1"])
        .run()
        .succeeds();
    all.stdout_is(format!("{topic}\t0\t0\t1000\tk\tv\t\\N\n"));
}

#[test]
fn bytes_are_hexadecimal_or_have_to_be_utf_8_where_that_is_asked_for() {
    let cluster = any();
    let topic = shapes(&*cluster);
    consume(&*cluster, &topic)
        .args(["--tsv", "--bytes", "hex"])
        .run()
        .succeeds()
        .stdout_is("\\\\x6b\t\\\\x76\n\\N\t\\\\x\n\\\\x\t\\N\n\\\\xff\t\\\\xc3280a095c\n");
    consume(&*cluster, &topic)
        .args(["--tsv", "--utf8", "strict"])
        .run()
        .fails_with(2)
        .stdout_is("k\tv\n\\N\t\n\t\\N\n")
        .stderr_has("UTF-8");
}

#[test]
fn json_is_valid_for_any_bytes() {
    let cluster = any();
    let topic = shapes(&*cluster);
    let every_byte: Vec<u8> = (0..=255).collect();
    cluster.produce(&topic, &[Record::keyed(every_byte.clone(), every_byte)]);
    let output = consume(&*cluster, &topic).arg("-J").run().succeeds();
    let lines: Vec<Value> = output
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    let first = &lines[0];
    assert_eq!(
        (&first["topic"], &first["partition"], &first["offset"]),
        (&json!(topic), &json!(0), &json!(0))
    );
    assert_eq!(
        (&first["tstype"], &first["ts"]),
        (&json!("create"), &json!(1000))
    );
    assert_eq!(
        (&first["key"], &first["payload"]),
        (&json!("k"), &json!("v"))
    );
    let names: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "topic",
            "partition",
            "offset",
            "tstype",
            "ts",
            "broker",
            "key",
            "payload"
        ]
    );
    assert_eq!(lines[1]["headers"], json!([["a", "1"], ["n", null]]));
    assert_eq!(
        (&lines[1]["key"], &lines[1]["payload"]),
        (&Value::Null, &json!(""))
    );
    assert_eq!(
        (&lines[2]["key"], &lines[2]["payload"]),
        (&json!(""), &Value::Null)
    );
    assert_eq!(lines[3]["headers"], json!([["b", null, "AP8="]]));
    assert_eq!(
        (&lines[3]["key_base64"], &lines[3]["payload_base64"]),
        (&json!("/w=="), &json!("wygKCVw="))
    );
    assert!(lines[4]["key_base64"].is_string() && lines[4]["payload_base64"].is_string());
}

#[test]
fn a_template_shows_each_part() {
    let cluster = any();
    let topic = shapes(&*cluster);
    let format = "%t %p %o %k %K %s %S %T %%;\\n";
    let output = consume(&*cluster, &topic)
        .args(["-c", "3", "-f", format])
        .run()
        .succeeds();
    output.stdout_is(format!(
        "{topic} 0 0 k 1 v 1 1000 %;\n{topic} 0 1  -1  0 2000 %;\n{topic} 0 2  0  -1 3000 %;\n"
    ));
    let frames = consume(&*cluster, &topic)
        .args(["-f", "%R%s"])
        .run()
        .succeeds();
    frames.stdout_is(
        b"\x00\x00\x00\x01v\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x05\xc3\x28\n\t\\",
    );
    let time = consume(&*cluster, &topic)
        .args(["-c", "1", "-f", "%{time}\\n"])
        .run()
        .succeeds();
    time.stdout_is("1970-01-01T00:00:01.000Z\n");
}

#[test]
fn integers_are_unpacked() {
    let cluster = any();
    let topic = cluster.topic("packed", 1, &[]);
    cluster.produce(
        &topic,
        &[Record::keyed(
            b"\0\0\0\x2a".to_vec(),
            b"\x01\x02text".to_vec(),
        )],
    );
    consume(&*cluster, &topic)
        .args(["-s", "key=i$", "-s", "value=hs", "-K:"])
        .run()
        .succeeds()
        .stdout_is("42:258text\n");
    let little = ["-s", "key=<i$", "-s", "value=<hs", "-K:"];
    consume(&*cluster, &topic)
        .args(little)
        .run()
        .succeeds()
        .stdout_is("704643072:513text\n");
    // The record is too short for what it should hold: nothing of it is printed.
    let output = consume(&*cluster, &topic)
        .args(["-s", "value=q", "-K:"])
        .run();
    output.fails_with(2).stdout_is("").stderr_has("0");
}

#[test]
fn a_record_that_cannot_be_unpacked_is_passed_over_where_that_is_asked_for_and_is_still_a_failure()
{
    let cluster = any();
    let topic = cluster.topic("passed-over", 1, &[]);
    cluster.produce(&topic, &[Record::of("x"), Record::of(b"\x01\x02".to_vec())]);
    consume(&*cluster, &topic)
        .args(["-s", "value=h", "-E"])
        .run()
        .fails_with(2)
        .stdout_is("258\n")
        .stderr_has("1 record not written");
}

#[test]
fn a_record_shows_at_once_in_a_pipe() {
    let cluster = any();
    let topic = cluster.topic("at-once", 1, &[]);
    for format in [&[][..], &["-J"], &["--tsv"], &["-u"]] {
        let mut program = at(&*cluster, &["-C", "-o", "end", "-t", &topic])
            .args(format)
            .start();
        // Where "end" is depends on when it was asked: the first record may be too early, a later one is not.
        let deadline = std::time::Instant::now() + SOON;
        while program.stdout_so_far().is_empty() {
            assert!(
                std::time::Instant::now() < deadline,
                "nothing on stdout with {format:?}"
            );
            cluster.produce(&topic, &[Record::of("again")]);
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        cluster.produce(&topic, &[Record::of("the very last")]);
        program.stdout_until("the very last", SOON);
        assert!(program.runs());
    }
}

#[test]
fn a_count_ends_consumption_and_the_rest_is_not_shown() {
    let cluster = any();
    let topic = cluster.topic_of("count", &["one", "two", "three"]);
    at(&*cluster, &["-C", "-c", "2", "-t", &topic])
        .run()
        .succeeds()
        .stdout_is("one\ntwo\n");
    let mut waiting = at(&*cluster, &["-C", "-c", "4", "-t", &topic]).start();
    waiting.stdout_until("three\n", SOON);
    assert!(waiting.runs());
    cluster.produce(&topic, &[Record::of("four")]);
    waiting
        .wait()
        .succeeds()
        .stdout_is("one\ntwo\nthree\nfour\n");
}

#[test]
fn an_empty_topic_ends_at_once() {
    let cluster = any();
    let topic = cluster.topic("empty", 3, &[]);
    consume(&*cluster, &topic).run().succeeds().stdout_is("");
}

#[test]
fn all_partitions_are_read_or_the_one_that_was_asked_for() {
    let cluster = any();
    let topic = cluster.topic("partitions", 3, &[]);
    let record = |partition: i32| Record {
        partition: Some(partition),
        ..Record::of(format!("in {partition}"))
    };
    cluster.produce(&topic, &[record(0), record(1), record(2)]);
    let output = consume(&*cluster, &topic).run().succeeds();
    let mut lines = output.lines();
    lines.sort_unstable();
    assert_eq!(lines, ["in 0", "in 1", "in 2"]);
    consume(&*cluster, &topic)
        .args(["-p", "1"])
        .run()
        .succeeds()
        .stdout_is("in 1\n");
    consume(&*cluster, &topic)
        .args(["-p", "9"])
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("9");
}

#[test]
fn several_topics_are_read_together() {
    let cluster = any();
    let (one, two) = (
        cluster.topic_of("one", &["a", "b"]),
        cluster.topic_of("two", &["c"]),
    );
    let output = consume(&*cluster, &one)
        .args(["-t", &two, "-f", "%t %s\\n"])
        .run()
        .succeeds();
    let mut lines = output.lines();
    lines.sort_unstable();
    let mut expected = [format!("{one} a"), format!("{one} b"), format!("{two} c")];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn a_topic_that_is_not_there_is_named() {
    let cluster = any();
    let topic = crate::testkit::session::unique("missing");
    // A metadata request for a consumer must not make the topic, whatever the broker's setting.
    let output = at(
        &*cluster,
        &[
            "-C",
            "-e",
            "-t",
            &topic,
            "-X",
            "allow.auto.create.topics=false",
        ],
    )
    .run();
    output.fails_with(2).stdout_is("").stderr_has(&topic);
}

#[test]
fn a_message_cannot_drive_the_terminal() {
    let cluster = any();
    let topic = cluster.topic_of("escape", &["\x1b[31mred\x07"]);
    let terminal = Terminal {
        stdout: true,
        ..Terminal::default()
    };
    let shown = consume(&*cluster, &topic)
        .on_terminal(terminal)
        .run()
        .succeeds();
    shown.expect(
        |it| !it.screen.contains(&0x1b) && !it.screen.contains(&7),
        "no control character on the screen",
    );
    let forced = consume(&*cluster, &topic)
        .arg("--raw")
        .on_terminal(terminal)
        .run()
        .succeeds();
    forced.expect(
        |it| it.screen.contains(&0x1b),
        "the exact bytes on the screen",
    );
    consume(&*cluster, &topic)
        .run()
        .succeeds()
        .stdout_is("\x1b[31mred\x07\n");
}

#[test]
fn large_records_come_whole() {
    let cluster = any();
    let topic = cluster.topic("large", 1, &[]);
    let large: Vec<String> = (0..4).map(|n| n.to_string().repeat(900_000)).collect();
    cluster.produce(
        &topic,
        &large
            .iter()
            .map(|value| Record::of(value.as_str()))
            .collect::<Vec<_>>(),
    );
    consume(&*cluster, &topic)
        .run()
        .succeeds()
        .stdout_is(large.join("\n") + "\n");
    // A fetch limit below the size of a record must not make it unreadable.
    let small = consume(&*cluster, &topic)
        .args(["-X", "fetch.message.max.bytes=1000"])
        .run()
        .succeeds();
    small.stdout_is(large.join("\n") + "\n");
}
