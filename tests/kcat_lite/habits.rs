//! What people type: kcat's command lines, other tools' options, and mistakes made by instinct.

use super::{at, consume};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record, any};
use crate::testkit::command::{cmd, shell};
use crate::testkit::output::Output;
use crate::testkit::{session, witness};
use std::time::Duration;

/// How a line of the list is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Json,
    Differs,
    Ours,
    Refused,
}

/// The command lines of the list, each with its number.
fn lines() -> Vec<(usize, Verdict, &'static str)> {
    let mut lines = Vec::new();
    for (index, line) in include_str!("kcat.txt").lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (verdict, command) = line.split_once(": ").unwrap();
        let verdict = match verdict {
            "same" => Verdict::Same,
            "json" => Verdict::Json,
            "differs" => Verdict::Differs,
            "ours" => Verdict::Ours,
            "refused" => Verdict::Refused,
            other => panic!("kcat.txt:{}: {other}", index + 1),
        };
        lines.push((index + 1, verdict, command));
    }
    lines
}

/// A topic with partitions of 0, 5 and 10 records.
pub(super) fn wide(kafka: &Kafka) -> String {
    let wide = kafka.topic("wide", 3, &[]);
    let record = |partition: i32, n: i64| Record {
        partition: Some(partition),
        timestamp_ms: Some(1_000 * n),
        ..Record::of(format!("{partition}-{n}"))
    };
    let mut records: Vec<Record> = (0..5).map(|n| record(1, n)).collect();
    records.extend((0..10).map(|n| record(2, n)));
    kafka.produce(&wide, &records);
    wide
}

/// Runs a line with `kcat`, which is this package's program where `is_ours`.
fn typed(kafka: &Kafka, topics: &[String; 2], line: &str, is_ours: bool) -> Output {
    let replaced = if is_ours {
        "kcat() { kcat-lite \"$@\"; }\n"
    } else {
        ""
    };
    let needs_topic = line.contains("$NEW");
    let new = if needs_topic {
        kafka.topic("typed", 1, &[])
    } else {
        session::unique("typed")
    };
    shell(&format!("{replaced}{line}"))
        .inside(&session::folder("typed"))
        .env("B", kafka.bootstrap())
        .env("T", &topics[0])
        .env("W", &topics[1])
        .env("NEW", &new)
        .env("GROUP", session::unique("typed"))
        .limit(Duration::from_secs(60))
        .run()
}

/// JSON values, headers as kcat has them: flat.
fn values(text: &str) -> Vec<serde_json::Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter();
    values
        .map(|value| {
            let mut value: serde_json::Value = value.unwrap();
            if let Some(headers) = value.get_mut("headers").and_then(|h| h.as_array_mut()) {
                let pairs = std::mem::take(headers).into_iter();
                headers.extend(pairs.flat_map(|pair| match pair {
                    serde_json::Value::Array(pair) => pair,
                    flat => vec![flat],
                }));
            }
            value
        })
        .collect()
}

#[test]
fn the_command_lines_of_kcat_do_the_same_or_say_what_to_type() {
    let Some(kafka) = shared_kafka() else { return };
    let has_kcat = witness::kcat().is_some();
    // T with all that text shows, and W.
    let topics = [super::peer::plain(kafka), wide(kafka)];
    for (number, verdict, line) in lines() {
        let place = format!("kcat.txt:{number}: {line}");
        let ours = typed(kafka, &topics, line, true);
        if verdict == Verdict::Refused {
            let ours = ours.fails_with(2);
            assert!(!ours.stderr.is_empty(), "{place}");
            continue;
        }
        let ours = ours.succeeds();
        if !has_kcat || verdict == Verdict::Ours {
            continue;
        }
        let theirs = typed(kafka, &topics, line, false).succeeds();
        match verdict {
            Verdict::Json => assert_eq!(values(ours.text()), values(theirs.text()), "{place}"),
            Verdict::Differs => assert_ne!(ours.stdout, theirs.stdout, "{place}"),
            _ if line.contains(" -T") => assert_eq!(ours.text().trim(), theirs.text(), "{place}"),
            _ => drop(ours.stdout_is(&theirs.stdout)),
        }
    }
}

#[test]
fn what_kcat_overrides_in_silence_is_named_and_quiet_says_nothing() {
    let cluster = any();
    let topic = cluster.topic("override", 2, &[]);
    let record = |partition: i32| Record {
        partition: Some(partition),
        ..Record::keyed("k", format!("v{partition}"))
    };
    cluster.produce(&topic, &[record(0), record(1)]);
    let cases: [(&[&str], &str, &[&str]); 5] = [
        (
            &["-p", "0", "-f", "%s\\n", "-K:", "-D;"],
            "v0\n",
            &["-f", "-K", "-D"],
        ),
        (&["-p", "0", "-f", "%s\\n", "-J"], "v0\n", &["-f", "-J"]),
        (&["-p", "0", "-p", "1", "-p", "0"], "v0\n", &["-p", "last"]),
        (&["-p", "0", "-c", "7", "-c", "1"], "v0\n", &["-c", "last"]),
        (&["-p", "1", "-K;", "-K:"], "k:v1\n", &["-K", "last"]),
    ];
    for (args, expected, named) in cases {
        let typed = at(&*cluster, &["-C", "-e", "-t", &topic]).args(args);
        let mut loud = typed.clone().run().succeeds().stdout_is(expected);
        for word in named {
            loud = loud.stderr_has(word);
        }
        let quiet = typed.arg("-q").run().succeeds();
        quiet.stdout_is(expected).stderr_is("");
    }
    for args in [["-J", "-Z"], ["-J", "-K:"]] {
        let output = at(&*cluster, &["-C", "-e", "-t", &topic])
            .args(args)
            .run()
            .succeeds()
            .stdout_has("\"payload\":\"v0\"");
        output.stderr_has("-J").stderr_has(&args[1][..2]);
    }
}

#[test]
fn a_group_may_be_asked_for_beside_c() {
    let cluster = any();
    let topic = cluster.topic_of("c-and-g", &["a", "b"]);
    let group = session::unique("c-and-g");
    let earliest = ["-X", "auto.offset.reset=earliest"];
    at(&*cluster, &["-C", "-G", &group, "-e", "-q", &topic])
        .args(earliest)
        .run()
        .succeeds()
        .stdout_is("a\nb\n");
    at(&*cluster, &["-P", "-G", &group, &topic])
        .run()
        .fails_with(2);
}

/// Mistakes, and what the answer has.
const MISTAKES: &[(&[&str], &str)] = &[
    (
        &["-C", "-t", "t", "--bootstrap-server", "h:1"],
        "-b HOST:PORT",
    ),
    (
        &[
            "-C",
            "--topic",
            "t",
            "--bootstrap-server",
            "h:1",
            "--from-beginning",
        ],
        "-b HOST:PORT",
    ),
    (&["-C", "-t", "t", "--from-beginning"], "-o beginning"),
    (&["-C", "-t", "t", "--since", "1h"], "-o s@TIME"),
    (&["-C", "-t", "t", "--until=now"], "-o e@TIME"),
    (&["-C", "-t", "t", "--max-messages", "3"], "-c N"),
    (&["-C", "-t", "t", "--consumer.config", "f"], "-F FILE"),
    (
        &["-C", "-t", "t", "--consumer-property", "a=b"],
        "-X NAME=VALUE",
    ),
    (&["-C", "-t", "t", "--property", "print.key=true"], "-K"),
    (
        &[
            "-P",
            "-t",
            "t",
            "--property",
            "parse.key=true",
            "--property",
            "key.separator=:",
        ],
        "-K",
    ),
    (&["-C", "-t", "t", "--timeout-ms", "1000"], "--idle"),
    (&["-C", "-t", "t", "--tail", "5"], "--last"),
    (&["-C", "-t", "t", "--follow"], "-e"),
    (
        &["-C", "-t", "t", "--isolation-level", "read_committed"],
        "isolation.level",
    ),
    (&["-P", "-t", "t", "--acks", "1"], "acks="),
    (&["-C", "-t", "ta,tb"], "-t A -t B"),
    (&["-C", "ta,tb"], "-t A -t B"),
    (&["-P", "-t", "ta,tb"], "-t A -t B"),
    (&["-C", "-t", "t:0"], "-p"),
    (&["-C", "-t", "t", "--tsv", "key,value"], "--tsv=key,value"),
    (&["-P", "-t", "t", "--tsv", "key,value"], "--tsv=key,value"),
    (&["-C", "-t", "t", "-p", "orders"], "-t"),
    (&["-C", "-t", "t", "-p", "all"], "without -p"),
    (&["-C", "-t", "t", "-o", "begining"], "is beginning meant?"),
    (&["-C", "-t", "t", "-n", "3"], "-c N"),
    (&["-C", "-t", "t", "-g", "g"], "-G GROUP"),
    (&["-C", "-t", "t", "-c", "0"], "no limit is no option"),
    (&["-C", "-t", "t", "-m", "-1"], "above 0"),
    (&["-C", "-t", "t", "--output", "json"], "-J"),
    (&["-C", "-t", "t", "-X", "=5"], "NAME=VALUE"),
    (&["-G", "", "t"], "-G"),
    (
        &["-C", "-t", "t", "-o", "stored", "-X", "group.id="],
        "group.id",
    ),
    (&["-L", "-o", "json"], "-J"),
    (&["groups"], "klag"),
    (&["-L", "-b", "h:1;h:2"], "commas"),
    (&["-L", "-b", "h 9092"], "commas"),
    (
        &["-C", "-t", "t", "-X", "max.poll.records=1"],
        "leave it out",
    ),
    (
        &["-P", "-t", "t", "-X", "transactional.id="],
        "transactional.id",
    ),
    (&["--commit", ""], "--commit"),
    (&["--reset-offsets", "-G", "g"], "--commit GROUP"),
    (&["--commit", "g", "--tsv=topic,offset"], "partition"),
    (&["--commit", "g", "-t", "t"], "-t"),
    (&["--commit", "g", "--delete", "--force"], "--force"),
    (&["-Q", "-t", "t:end", "--tsv=key"], "timestamp"),
    (&["help"], "--help"),
    (&["-C", "-t", "t", "-o", "json"], "-J"),
    (&["-C", "-t", "t", "-o", "now-2h"], "-o s@now-2h"),
    (
        &["-C", "-t", "t", "-o", "2026-11-29T10:00:00Z"],
        "-o s@2026-11-29T10:00:00Z",
    ),
    (&["-C", "-t", "t", "-o", "oldest"], "-o beginning"),
    (&["consume", "orders"], "-C -t TOPIC"),
    (&["-P", "-t", "^re"], "-L and -Q"),
    (&["-Q", "-t", "t:5"], "t:*:5"),
];

#[test]
fn options_of_other_tools_and_mistakes_are_answered_with_what_to_type() {
    for (args, hint) in MISTAKES {
        let output = cmd("kcat-lite").args(["-b", "127.0.0.1:1"]).args(*args);
        let output = output.run().fails_with(2).stdout_is("");
        assert!(
            output.text().is_empty() && String::from_utf8_lossy(&output.stderr).contains(*hint),
            "{args:?}: {hint}\n{}",
            output.story()
        );
    }
}

#[test]
fn headers_may_be_an_object_and_a_line_an_array_of_records() {
    let cluster = any();
    let topic = cluster.topic("objects", 1, &[]);
    let lines = concat!(
        r#"{"payload":"v","headers":{"a":"1","b":null}}"#,
        "\n",
        r#"[{"key":"a","value":"1"}, {"key":"b","payload":"[2]\"}"}]"#,
        "\n[]\n",
        r#"{"payload":"last"}"#,
        "\n",
    );
    at(&*cluster, &["-P", "-J", "-t", &topic, "-p", "0"])
        .stdin(lines)
        .run()
        .succeeds();
    consume(&*cluster, &topic)
        .arg("--tsv=key,value,headers")
        .run()
        .succeeds()
        .stdout_is("\\N\tv\ta=1&b\na\t1\t\\N\nb\t[2]\"}\t\\N\n\\N\tlast\t\\N\n");
    let wrong = [
        (r#"[{"payload":"x"} {"payload":"y"}]"#, "array"),
        ("[1]", "array"),
        (r#"[{"payload":"x"}] y"#, "follows"),
        (r#"[{"payload":"x"}"#, "array"),
    ];
    for (line, named) in wrong {
        at(&*cluster, &["-P", "-J", "-t", &topic])
            .stdin(line)
            .run()
            .fails_with(2)
            .stderr_has(named);
    }
}
