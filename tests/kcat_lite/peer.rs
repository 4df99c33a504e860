//! The same command line typed with kcat and with kcat-lite: the same stdout, the same records, where kcat is right.

use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::session;
use crate::testkit::witness;
use serde_json::Value;

/// What kcat shows correctly: text, no header that its format cannot tell apart, no NULL beside an empty value.
pub(super) fn plain(kafka: &Kafka) -> String {
    let topic = kafka.topic("peer", 1, &[]);
    let headers = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())))
            .collect::<Vec<_>>()
    };
    kafka.produce(
        &topic,
        &[
            Record {
                timestamp_ms: Some(1_000),
                ..Record::keyed("k1", "one")
            },
            Record {
                timestamp_ms: Some(2_000),
                ..Record::of("two, without a key")
            },
            Record {
                timestamp_ms: Some(3_000),
                headers: headers(&[("h", "1"), ("h", "2"), ("i", "x")]),
                ..Record::keyed("k3", "three")
            },
            Record {
                timestamp_ms: Some(4_000),
                value: None,
                ..Record::keyed("k4", "")
            },
            Record {
                timestamp_ms: Some(5_000),
                ..Record::keyed("g\u{fc}n", "f\u{fc}nf \"quoted\" \\ \u{1f600} \t tab")
            },
        ],
    );
    topic
}

/// Both programs with the same arguments.
fn both(kafka: &Kafka, args: &[&str]) -> Option<[Cmd; 2]> {
    let bootstrap = kafka.bootstrap();
    let with = |program: Cmd| program.args(["-b", &bootstrap]).args(args);
    Some([with(witness::kcat()?), with(cmd("kcat-lite"))])
}

#[test]
fn consumption_prints_the_same() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = plain(kafka);
    let cases: [&[&str]; 31] = [
        &[],
        &["-K", ":"],
        &["-K", "\\t"],
        &["-K:", "-Z"],
        &["-D", ";"],
        &["-D", ":MSG:", "-K", ":KEY:"],
        &["-D", "\\x01"],
        &["-D", ""],
        &["-u"],
        &["-c", "2"],
        &["-o", "beginning"],
        &["-o", "end"],
        &["-o", "3"],
        &["-o", "-2"],
        &["-o-2"],
        &["-o", "s@2000"],
        &["-o", "s@2001", "-o", "e@5000"],
        &["-p", "0"],
        &["-f", "%t|%p|%o|%k|%K|%s|%S|%T|%h|%%\\n"],
        &[
            "-f",
            "Topic %t[%p], offset: %o, key: %k, payload: %S bytes: %s\\n",
        ],
        &["-f", "Headers: %h: Message value: %s\\n"],
        &["-f", "%s\\x41\\t\\101\\n"],
        &["-f", "%R"],
        &["-f", "%R%s"],
        &["-f", "no token\\n"],
        &["-f", "%s\\q\\n"],
        &["-J"],
        &["-J", "-D", ";"],
        &["-s", "value=s"],
        &["-s", "key=s", "-K:"],
        &["-X", "isolation.level=read_uncommitted"],
    ];
    for case in cases {
        let args = [&["-C", "-e", "-q", "-t", &topic], case].concat();
        let Some([theirs, ours]) = both(kafka, &args) else {
            return;
        };
        let theirs = theirs.run().succeeds();
        let ours = ours.run().succeeds();
        if case.contains(&"-J") {
            // Headers are pairs here, so that order, duplicates and NULL survive.
            let flat = ours.text().replace(
                "[[\"h\",\"1\"],[\"h\",\"2\"],[\"i\",\"x\"]]",
                "[\"h\",\"1\",\"h\",\"2\",\"i\",\"x\"]",
            );
            let read = |text: &str| {
                text.split_inclusive(['\n', ';'])
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let json = |text: &str| {
                read(text)
                    .iter()
                    .map(|line| parsed(line))
                    .collect::<Vec<_>>()
            };
            assert_eq!(json(&flat), json(theirs.text()), "{case:?}");
        } else {
            ours.stdout_is(&theirs.stdout);
        }
    }
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line.trim_end_matches(['\n', ';']))
        .unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn numbers_are_unpacked_to_the_same() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("pack", 1, &[]);
    let value = b"\x81\x82\x83\x84\x85\x86\x87\x88rest".to_vec();
    kafka.produce(&topic, &[Record::keyed(value.clone(), value)]);
    // Without `<`, which kcat ignores.
    for pack in [
        "qs",
        "Qs",
        "iis",
        "IIs",
        ">Is",
        "bBcs",
        ">h Hs",
        "b b B B c c c c s",
    ] {
        let value = format!("value={pack}");
        let Some([theirs, ours]) = both(kafka, &["-C", "-e", "-q", "-t", &topic, "-s", &value])
        else {
            return;
        };
        let theirs = theirs.run().succeeds();
        ours.run().succeeds().stdout_is(&theirs.stdout);
    }
}

#[test]
fn metadata_and_offsets_print_the_same() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("peer-list", 3, &[]);
    kafka.produce(
        &topic,
        &[Record {
            timestamp_ms: Some(1_000),
            ..Record::of("v")
        }],
    );
    let queries =
        ["0:-1", "0:-2", "1:-1", "0:500", "0:1500"].map(|query| format!("{topic}:{query}"));
    let mut cases: Vec<Vec<&str>> = vec![vec!["-L", "-t", &topic]];
    cases.extend(queries.iter().map(|query| vec!["-Q", "-t", query]));
    for case in &cases {
        let Some([theirs, ours]) = both(kafka, case) else {
            return;
        };
        let theirs = theirs.run().succeeds();
        ours.run().succeeds().stdout_is(&theirs.stdout);
    }
    for case in [
        vec!["-L", "-J", "-t", &topic],
        vec!["-Q", "-J", "-t", &queries[0], "-t", &queries[2]],
    ] {
        let Some([theirs, ours]) = both(kafka, &case) else {
            return;
        };
        let read = |command: Cmd| {
            serde_json::from_slice::<Value>(&command.run().succeeds().stdout).unwrap()
        };
        assert_eq!(read(ours), read(theirs), "{case:?}");
    }
}

#[test]
fn production_makes_the_same_records() {
    let Some(kafka) = shared_kafka() else { return };
    let folder = session::folder("peer");
    std::fs::write(folder.join("one"), "first file\nof two lines").unwrap();
    std::fs::write(folder.join("two"), b"\0\xff").unwrap();
    std::fs::write(folder.join("lines"), "a:1\nb:2\n").unwrap();
    let cases: [(&[&str], &str); 16] = [
        (&[], "one\n\ntwo\nthree"),
        (&["-K:"], "k:v\nno key\n:v\nk:\na:b:c\n"),
        (&["-K", ":", "-Z"], "k:\n:v\n"),
        (&["-K", ":KEY:", "-D", ":MSG:"], "k:KEY:v:MSG:l:KEY:w\n"),
        (&["-D", ";"], "a;b\n;c"),
        (&["-k", "fixed"], "a\nb\n"),
        (
            &["-H", "a=1", "-H", "null", "-H", "empty=", "-H", "a=2"],
            "v\n",
        ),
        (&["-z", "gzip"], "a\nb\n"),
        (&["-z", "snappy"], "a\nb\n"),
        (&["-z", "lz4"], "a\nb\n"),
        (&["-z", "zstd"], "a\nb\n"),
        (&["-c", "1"], "a\nb\n"),
        (&["one", "two"], ""),
        (&["-k", "key", "one"], ""),
        (&["-l", "-K:", "lines"], ""),
        (
            &["-X", "acks=1", "-X", "topic.message.timeout.ms=10000"],
            "a\n",
        ),
    ];
    for (case, input) in cases {
        let topics = [kafka.topic("theirs", 1, &[]), kafka.topic("ours", 1, &[])];
        let Some(commands) = both(kafka, &[&["-P", "-p", "0"], case].concat()) else {
            return;
        };
        for (command, topic) in commands.into_iter().zip(&topics) {
            let mut command = command.stdin(input).inside(&folder);
            // Options first: what follows a file is a file to kcat where getopt does not permute.
            command.args.splice(0..0, ["-t".into(), topic.into()]);
            command.run().succeeds();
        }
        let records = |topic: &String| {
            let untimed = kafka.records(topic).into_iter().map(|record| Record {
                timestamp_ms: None,
                ..record
            });
            untimed.collect::<Vec<_>>()
        };
        assert_eq!(records(&topics[1]), records(&topics[0]), "{case:?}");
    }
}

#[test]
fn a_transaction_is_committed_by_both() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("peer-transaction", 1, &[]);
    let id = format!("transactional.id={topic}");
    let Some(commands) = both(kafka, &["-P", "-t", &topic, "-X", &id]) else {
        return;
    };
    for command in commands {
        command.stdin("one\ntwo\n").run().succeeds();
    }
    assert_eq!(kafka.values(&topic), ["one", "two", "one", "two"]);
}

#[test]
fn a_group_prints_the_same() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = plain(kafka);
    for case in [
        &["-e", "-q"][..],
        &["-c", "2", "-q"],
        &["-e", "-q", "-o", "beginning", "-K:"],
    ] {
        let groups = [session::unique("theirs"), session::unique("ours")];
        let args = [case, &["-X", "auto.offset.reset=earliest", &topic]].concat();
        let Some([theirs, ours]) = both(kafka, &[]) else {
            return;
        };
        let theirs = theirs.args(["-G", &groups[0]]).args(&args).run().succeeds();
        ours.args(["-G", &groups[1]])
            .args(&args)
            .run()
            .succeeds()
            .stdout_is(&theirs.stdout);
        assert_eq!(
            kafka.committed(&groups[1], &topic),
            kafka.committed(&groups[0], &topic),
            "{case:?}"
        );
    }
}
