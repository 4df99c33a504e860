//! What people type: kcat's command lines, other tools' options, and mistakes made by instinct.

use super::{at, consume};
use crate::testkit::broker::{self, Kafka};
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

/// Topics of the list: T with all that text shows, W with partitions of 0, 5 and 10 records.
fn topics(kafka: &Kafka) -> [String; 2] {
    let narrow = super::peer::plain(kafka);
    let wide = kafka.topic("wide", 3, &[]);
    let record = |partition: i32, n: i64| Record {
        partition: Some(partition),
        timestamp_ms: Some(1_000 * n),
        ..Record::of(format!("{partition}-{n}"))
    };
    let mut records: Vec<Record> = (0..5).map(|n| record(1, n)).collect();
    records.extend((0..10).map(|n| record(2, n)));
    kafka.produce(&wide, &records);
    [narrow, wide]
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
    let Some(kafka) = broker::shared() else {
        return;
    };
    let has_kcat = witness::kcat().is_some();
    let topics = topics(kafka);
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

#[test]
fn an_offset_that_one_partition_lacks_does_not_keep_the_others_from_being_read() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let [_, topic] = topics(kafka);
    let nine = |output: Output| {
        assert_eq!(output.lines().len(), 9, "{}", output.story());
        output
            .stderr_has("[0]: offset 3 is out of range, which is 0 to 0")
            .stderr_has("auto.offset.reset")
    };
    for engine in ["wire", "librdkafka"] {
        let read = |args: &[&str]| {
            let read = at(kafka, &["-C", "-t", &topic, "-o", "3", "--engine", engine]);
            read.args(args).run()
        };
        for args in [&["-e", "-q"][..], &["-q"], &["-e", "-q", "-E"]] {
            nine(read(args).fails_with(2));
        }
        let reset = |policy: &str| {
            let property = format!("auto.offset.reset={policy}");
            let output = read(&["-e", "-X", &property]).succeeds();
            assert_eq!(output.lines().len(), 9, "{}", output.story());
            output.stderr_has("out of range")
        };
        reset("latest");
        reset("earliest");
    }
    // -E goes on reading what comes.
    let mut tail = at(kafka, &["-C", "-q", "-E", "-t", &topic, "-o", "3"]).start();
    tail.stderr_until("out of range", super::SOON);
    let late = Record {
        partition: Some(1),
        ..Record::of("late")
    };
    kafka.produce(&topic, &[late]);
    tail.stdout_until("late\n", super::SOON);
    tail.signal(rustix::process::Signal::TERM);
    tail.wait().fails_with(2);
}

#[test]
fn what_a_group_has_committed_may_be_out_of_range_too() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic("stored-range", 2, &[]);
    let record = |partition: i32, n: u32| Record {
        partition: Some(partition),
        ..Record::of(format!("{partition}-{n}"))
    };
    kafka.produce(&topic, &[record(0, 0), record(0, 1), record(1, 0)]);
    let group = session::unique("stored-range");
    kafka.commit_offset(&group, &topic, 0, 5000);
    kafka.commit_offset(&group, &topic, 1, 0);
    let id = format!("group.id={group}");
    for engine in ["wire", "librdkafka"] {
        let stored = |args: &[&str]| {
            at(
                kafka,
                &["-C", "-e", "-t", &topic, "-o", "stored", "-X", &id],
            )
            .args(["--engine", engine])
            .args(args)
            .run()
        };
        stored(&[])
            .fails_with(2)
            .stdout_is("1-0\n")
            .stderr_has("offset 5000 is out of range, which is 0 to 2");
        stored(&["-X", "auto.offset.reset=error"])
            .fails_with(2)
            .stdout_is("1-0\n");
        stored(&["-X", "auto.offset.reset=latest"])
            .succeeds()
            .stdout_is("1-0\n");
        let earliest = stored(&["-X", "auto.offset.reset=earliest"]);
        let mut lines: Vec<String> = earliest.lines().iter().map(|&l| l.to_owned()).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["0-0", "0-1", "1-0"]);
        earliest
            .succeeds()
            .stderr_has("offset 5000 is out of range");
    }
}

#[test]
fn idleness_ends_a_consumer_and_a_member_of_a_group() {
    let cluster = any();
    let topic = cluster.topic_of("idle", &["a", "b"]);
    at(&*cluster, &["-C", "-t", &topic, "--idle", "1s"])
        .run()
        .succeeds()
        .stdout_is("a\nb\n")
        .stderr_has("no record for 1s");
    let group = session::unique("idle");
    at(&*cluster, &["-G", &group, "-q", "--idle", "1s", &topic])
        .args(["-X", "auto.offset.reset=earliest"])
        .run()
        .succeeds()
        .stdout_is("a\nb\n")
        .stderr_is("");
    assert_eq!(cluster.committed(&group, &topic)[&0], 2);
    let mut fed = at(&*cluster, &["-C", "-q", "-t", &topic, "--idle", "3s"]).start();
    fed.stdout_until("b\n", super::SOON);
    std::thread::sleep(Duration::from_secs(2));
    cluster.produce(&topic, &[Record::of("c")]);
    fed.stdout_until("c\n", super::SOON);
    fed.wait().succeeds().stdout_is("a\nb\nc\n");
}

#[test]
fn the_last_are_the_newest_of_all_partitions_by_their_times() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic("last", 3, &[]);
    let record = |partition: i32, ms: i64| Record {
        partition: Some(partition),
        timestamp_ms: Some(ms),
        ..Record::keyed(format!("k{}", ms % 2), ms.to_string())
    };
    let mut records: Vec<Record> = (0..50).map(|n| record(0, 1_000 + n)).collect();
    records.extend((0..3).map(|n| record(1, 5_000 + n)));
    records.extend((0..20).map(|n| record(2, 3_000 + 1_000 * n)));
    kafka.produce(&topic, &records);
    let last = |args: &[&str]| {
        let read = at(kafka, &["-C", "-q", "-t", &topic]);
        read.args(args).run().succeeds()
    };
    last(&["--last", "3"]).stdout_is("20000\n21000\n22000\n");
    last(&["--last", "3", "--engine", "librdkafka"]).stdout_is("20000\n21000\n22000\n");
    last(&["--last", "2", "-p", "0", "-e"]).stdout_is("1048\n1049\n");
    last(&["--last", "2", "--only-key", "k1"]).stdout_is("1049\n5001\n");
    last(&["--last", "200", "-f", "%T\\n"]).expect(|it| it.lines().len() == 73, "every record");
    last(&["--last", "1", "-J"])
        .stdout_has("\"ts\":22000")
        .stdout_has("\"key\":\"k0\"");
    for args in [["-o", "3"], ["-c", "1"], ["--idle", "1s"]] {
        let read = at(kafka, &["-C", "-t", &topic, "--last", "3"]).args(args);
        read.run()
            .fails_with(2)
            .stderr_has(args[0])
            .stderr_has("--last");
    }
}

#[test]
fn the_last_records_lie_behind_holes_and_markers_too() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic("last-markers", 1, &[]);
    for n in 0..6 {
        let id = format!("transactional.id={topic}");
        at(kafka, &["-P", "-t", &topic, "-X", &id])
            .stdin(format!("{n}\n"))
            .run()
            .succeeds();
    }
    at(kafka, &["-C", "-q", "-t", &topic, "--last", "4"])
        .run()
        .succeeds()
        .stdout_is("2\n3\n4\n5\n");
}

#[test]
fn only_one_key_is_shown_from_all_partitions_or_from_its_own() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let topic = kafka.topic("only-key", 5, &[]);
    let lines: Vec<String> = (0..50).map(|n| format!("k{}:{n}\n", n % 10)).collect();
    at(kafka, &["-P", "-t", &topic, "-K:"])
        .stdin(lines.concat())
        .run()
        .succeeds();
    // A record that somebody has put elsewhere.
    let elsewhere = |partition: i32| Record {
        partition: Some(partition),
        ..Record::keyed("k3", "elsewhere")
    };
    kafka.produce(&topic, &(0..5).map(elsewhere).collect::<Vec<_>>());
    let only = |args: &[&str]| {
        consume(kafka, &topic)
            .args(["--only-key", "k3"])
            .args(args)
            .run()
    };
    let all = only(&[]).succeeds();
    assert_eq!(all.lines().len(), 10, "{}", all.story());
    let own = only(&["--algo", "java"]).succeeds();
    own.stdout_is("3\n13\n23\n33\n43\nelsewhere\n");
    only(&["-c", "1", "--algo", "java"])
        .succeeds()
        .stdout_is("3\n");
    let group = session::unique("only-key");
    let member = at(
        kafka,
        &["-G", &group, "-e", "-q", "--only-key", "k3", &topic],
    );
    let member = member
        .args(["-X", "auto.offset.reset=earliest"])
        .run()
        .succeeds();
    assert_eq!(member.lines().len(), 10, "{}", member.story());
    assert_eq!(kafka.committed(&group, &topic).values().sum::<i64>(), 55);
    let refused = [
        (&["--algo", "redis"][..], "--algo"),
        (&["--algo", "java", "-p", "0"], "-p"),
        (&["--algo", "no-such"], "no-such"),
    ];
    for (args, named) in refused {
        only(args).fails_with(2).stderr_has(named);
    }
    consume(kafka, &topic)
        .args(["--algo", "java"])
        .run()
        .fails_with(2)
        .stderr_has("--only-key");
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

#[test]
fn with_e_every_mode_waits_for_the_cluster() {
    let modes: [&[&str]; 6] = [
        &["-P", "-t", "t"],
        &["-C", "-t", "t", "-e"],
        &["-G", "g", "t"],
        &["-L"],
        &["-Q", "-t", "t:0:end"],
        &["--commit", "g"],
    ];
    for mode in modes {
        let waiting = cmd("kcat-lite")
            .args(["-E", "-m", "1", "-b", "127.0.0.1:1"])
            .args(mode)
            .stdin_open();
        let mut waiting = waiting.start();
        if mode[0] == "-P" {
            waiting.write("a\n");
        } else if mode[0] == "--commit" {
            waiting.write("t\t0\t1\n").close_stdin();
        }
        waiting.stderr_until("no contact with 127.0.0.1:1 yet, trying on", super::SOON);
        assert!(waiting.runs(), "{mode:?}");
        waiting.signal(rustix::process::Signal::TERM);
        let ended = waiting.wait();
        ended.stderr_has("refused").stdout_is("");
    }
}

#[test]
fn a_file_that_is_one_record_is_passed_on_too() {
    let cluster = any();
    let topic = cluster.topic("whole-tee", 1, &[]);
    let folder = session::folder("whole-tee");
    std::fs::write(folder.join("f"), "two\nlines").unwrap();
    at(&*cluster, &["-P", "-T", "-t", &topic, "f"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is("two\nlines");
    assert_eq!(cluster.values(&topic), ["two\nlines"]);
}

#[test]
fn a_command_gets_offsets_where_they_are_asked_for() {
    let cluster = any();
    let topic = cluster.topic_of("exec-offsets", &["a", "b"]);
    let group = session::unique("exec-offsets");
    at(
        &*cluster,
        &["-G", &group, "-e", "-O", "--exec", "cat", &topic],
    )
    .args(["-q", "-X", "auto.offset.reset=earliest"])
    .run()
    .succeeds()
    .stdout_is("0\ta\n1\tb\n");
}
