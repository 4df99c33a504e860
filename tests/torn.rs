//! A last line without its newline, as a program leaves it in a pipe that is killed: no record to any program.

use crate::testkit::cluster::{Cluster, any};
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::session;

const TORN: &str = "no newline at its end: a torn line, and no record";

/// A line of `--tsv=all` and one that is torn in its headers.
const LINES: &str =
    "t\\t0\\t7\\t1700000000000\\tk\\tv\\ta=1&b=2\\nt\\t0\\t8\\t1700000000000\\tk\\tv\\ta=1";

fn at(script: &str, cluster: &dyn Cluster, topic: &str) -> Cmd {
    shell(script)
        .env("KAFKA_BROKERS", cluster.bootstrap())
        .env("TOPIC", topic)
}

#[test]
fn a_producer_takes_no_torn_line_from_a_pipe_and_one_from_a_file() {
    let cluster = any();
    for (script, code, values) in [
        (
            r"printf 'k\tone\nk\ttw' | kcat-lite -P --tsv -t $TOPIC",
            2,
            &["one"][..],
        ),
        // A FIFO, a socket, standard input by its name.
        (
            r"kcat-lite -P --tsv -t $TOPIC -l <(printf 'k\tone\nk\ttw')",
            2,
            &["one"],
        ),
        (
            r"perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); syswrite B, qq(k\tone\nk\ttw); shutdown B, 1;
              open STDIN, q(<&A); exec @ARGV' kcat-lite -P --tsv -t $TOPIC",
            2,
            &["one"],
        ),
        (
            r"printf 'k\tone\nk\ttw' | kcat-lite -P --tsv -t $TOPIC -l -",
            2,
            &["one"],
        ),
        (
            r"printf 'k\tone\nk\ttwo' >f; kcat-lite -P --tsv -t $TOPIC -l f",
            0,
            &["one", "two"],
        ),
        (
            r"printf 'k\tone\nk\ttwo' >f; kcat-lite -P --tsv -t $TOPIC <f",
            0,
            &["one", "two"],
        ),
        // An object is whole when it is closed; raw records are what they are to kcat.
        (
            r#"printf '{"payload":"one"}\n{"payload":"two"}' | kcat-lite -P -J -t $TOPIC"#,
            0,
            &["one", "two"],
        ),
        (
            r#"printf '{"payload":"one"}\n{"payload":"tw' | kcat-lite -P -J -t $TOPIC"#,
            2,
            &["one"],
        ),
        (
            r"printf 'one\ntwo' | kcat-lite -P -t $TOPIC",
            0,
            &["one", "two"],
        ),
    ] {
        let topic = cluster.topic("torn", 1, &[]);
        let output = at(script, &*cluster, &topic)
            .inside(&session::folder("torn"))
            .run();
        if code == 0 {
            output.succeeds();
        } else {
            let output = output.fails_with(code).stderr_has("line 2: ");
            output.stderr_has("1 record accepted, 1 delivered");
        }
        assert_eq!(cluster.values(&topic), values, "{script}");
    }
}

#[test]
fn a_producer_names_the_torn_line() {
    let cluster = any();
    let topic = cluster.topic("torn", 1, &[]);
    at(
        r"printf 'k\tone\nk\ttw' | kcat-lite -P --tsv -t $TOPIC",
        &*cluster,
        &topic,
    )
    .run()
    .fails_with(2)
    .stderr_has(format!("standard input, line 2: {TORN}"));
}

#[test]
fn a_backup_keeps_no_torn_line_and_passes_none_on() {
    let folder = session::folder("torn");
    let script = format!("printf '{LINES}' | ktee --tsv=all b/; echo $?; ktee --cat b | cut -f 3");
    shell(&script)
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is("t\t0\t7\t1700000000000\tk\tv\ta=1&b=2\n2\n7\n")
        .stderr_has(format!("standard input, line 2: {TORN}"));
    let script = format!(
        "printf '{LINES}' >f; ktee -q --tsv=all c/ <f >/dev/null; echo $?; ktee --cat c | cut -f 3"
    );
    shell(&script)
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is("0\n7\n8\n");
    // To a topic, too.
    let cluster = any();
    let topic = cluster.topic("torn", 1, &[]);
    let script = r"printf 'k\tone\nk\ttw' | ktee --tsv kafka:$TOPIC >/dev/null";
    at(script, &*cluster, &topic)
        .run()
        .fails_with(2)
        .stderr_has(TORN);
    assert_eq!(cluster.values(&topic), ["one"]);
}

#[test]
fn no_partition_is_said_of_a_torn_line() {
    for (script, code, words) in [
        (r"printf 'a\t1\na\t' | kpart -n 1", 2, TORN),
        (r"printf 'a\t1\na\t' | kpart -n 1 -k 2", 2, TORN),
        (r"printf 'a\t1\na\t' >f; kpart -n 1 f", 0, ""),
        (
            r#"printf '{"key":"a","payload":"v"}\n{"key":"a","payload":"v"}' | kpart -n 1 -J"#,
            0,
            "",
        ),
    ] {
        let output = shell(script).inside(&session::folder("torn")).run();
        let ended = crate::testkit::output::ended_lines(&output.stdout);
        if code == 0 {
            output.succeeds();
        } else {
            assert_eq!(ended, 1);
            output
                .fails_with(code)
                .stderr_has(words)
                .stderr_has("line 2");
        }
    }
    cmd("kpart").args(["-n", "1"]).stdin("a\n").run().succeeds();
}
