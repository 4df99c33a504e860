//! What is refused before any connection, and who says where the cluster is.

use crate::testkit::cluster::{Record, any};
use crate::testkit::command::cmd;
use crate::testkit::output::has;
use crate::testkit::session;

/// Nobody listens there, and the answer comes at once.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn a_value_that_is_not_wholly_what_its_option_takes_is_a_usage_error() {
    let wrong = [
        ("-C", "-p", "--partition", "abc"),
        ("-C", "-p", "--partition", "1x"),
        ("-P", "-p", "--partition", "0x1"),
        ("-C", "-c", "--count", "1x"),
        ("-P", "-c", "--count", "many"),
        ("-C", "-o", "--offset", "earliestt"),
        ("-C", "-o", "--offset", "s@yesterdayish"),
        ("-C", "-o", "--offset", "1-"),
        ("-L", "-m", "--timeout", "5x"),
        ("-P", "-z", "--compression", "gzipp"),
        ("-C", "-f", "--format", "%y"),
    ];
    for (mode, short, long, value) in wrong {
        for option in [short, long] {
            let args = [mode, "-b", NOWHERE, "-t", "t", option, value];
            let output = cmd("kcat-lite")
                .args(args)
                .run()
                .fails_with(2)
                .stdout_is("")
                .stderr_has(value);
            let named =
                |stderr: &[u8]| has(stderr, short.as_bytes()) || has(stderr, long.as_bytes());
            output.expect(|it| named(&it.stderr), "the option on stderr");
        }
    }
}

#[test]
fn modes_do_not_mix_and_options_belong_to_a_mode() {
    let wrong: [&[&str]; 6] = [
        &["-C", "-P", "-t", "t"],
        &["-C", "-L", "-t", "t"],
        &["-P", "-e", "-t", "t"],
        &["-C", "-T", "-t", "t"],
        &["-L", "-K", ":"],
        &["-C", "-J", "--tsv", "-t", "t"],
    ];
    for args in wrong {
        cmd("kcat-lite")
            .args(["-b", NOWHERE])
            .args(args)
            .run()
            .fails_with(2)
            .stdout_is("");
    }
}

#[test]
fn a_format_that_cannot_be_honoured_is_refused_before_any_contact() {
    let wrong: [(&[&str], &str); 9] = [
        (&["-f", "%k%s"], "ambiguous"),
        (&["-f", "a line\\n"], "no field"),
        (&["-D", ""], "delimiter"),
        (&["-J", "-Z"], "null"),
        (&["--tsv", "Cargo.toml"], "-l"),
        (&["-J", "Cargo.toml"], "-l"),
        (&["-f", "%s\\n", "Cargo.toml"], "-l"),
        (&["-K", ":", "Cargo.toml"], "-l"),
        (&["-D", ":", "Cargo.toml"], "-l"),
    ];
    for (args, named) in wrong {
        let output = cmd("kcat-lite")
            .args(["-P", "-t", "t", "-b", NOWHERE])
            .args(args)
            .stdin("a\n")
            .run()
            .fails_with(2)
            .stdout_is("")
            .stderr_has(named);
        let told_once = |stderr: &[u8]| !has(stderr, b"error:") && !has(stderr, b"delivered");
        output.expect(|it| told_once(&it.stderr), "one usage error");
    }
}

#[test]
fn a_missing_topic_or_cluster_is_a_usage_error_that_names_the_option() {
    cmd("kcat-lite")
        .args(["-P", "-b", NOWHERE])
        .stdin("a\n")
        .run()
        .fails_with(2)
        .stderr_has("-t");
    cmd("kcat-lite")
        .args(["-C", "-b", NOWHERE])
        .run()
        .fails_with(2)
        .stderr_has("topic");
    cmd("kcat-lite")
        .args(["-L"])
        .run()
        .fails_with(2)
        .stderr_has("-b")
        .stderr_has("KAFKA_BROKERS");
    cmd("kcat-lite")
        .args(["--no-such-option"])
        .run()
        .fails_with(2)
        .stderr_has("--no-such-option");
    cmd("kcat-lite")
        .args(["-L", "-b", NOWHERE, "-X", "no.such=1"])
        .run()
        .fails_with(2)
        .stderr_has("no.such");
    cmd("kcat-lite")
        .args(["-L", "-b", NOWHERE, "-X", "acks"])
        .run()
        .fails_with(2)
        .stderr_has("acks");
    cmd("kcat-lite")
        .args(["-L", "-F", "/no/such/file"])
        .run()
        .fails_with(2)
        .stderr_has("/no/such/file");
}

#[test]
fn help_version_and_property_lists_go_to_stdout() {
    cmd("kcat-lite")
        .arg("-h")
        .run()
        .succeeds()
        .stdout_has("-P")
        .stderr_is("");
    cmd("kcat-lite")
        .arg("--help")
        .run()
        .succeeds()
        .stdout_has("--tsv")
        .stderr_is("");
    cmd("kcat-lite")
        .arg("-V")
        .run()
        .succeeds()
        .stdout_has("kcat-lite")
        .stdout_has("librdkafka")
        .stderr_is("");
    cmd("kcat-lite")
        .args(["-X", "list"])
        .run()
        .succeeds()
        .stdout_has("bootstrap.servers");
    let dump = cmd("kcat-lite")
        .args([
            "-X",
            "dump",
            "-X",
            "client.id=me",
            "-X",
            "sasl.password=hunter2",
        ])
        .run()
        .succeeds();
    dump.stdout_has("client.id")
        .stdout_has("me")
        .expect(|it| !it.text().contains("hunter2"), "no secret on stdout");
}

#[test]
fn the_first_that_says_where_the_cluster_is_wins() {
    let cluster = any();
    let topic = cluster.topic_of("where", &["here"]);
    let bootstrap = cluster.bootstrap();
    let folder = session::folder("config");
    let file = |name: &str, bootstrap: &str| {
        let path = folder.join(name);
        std::fs::write(
            &path,
            format!("# a comment\nbootstrap.servers = {bootstrap}\n"),
        )
        .unwrap();
        path.display().to_string()
    };
    let (right, wrong) = (file("right", &bootstrap), file("wrong", NOWHERE));
    let (x_right, x_wrong) = (
        format!("bootstrap.servers={bootstrap}"),
        format!("bootstrap.servers={NOWHERE}"),
    );
    let consume = || cmd("kcat-lite").args(["-C", "-e", "-q", "-m", "2", "-t", &topic]);
    let found = [
        consume()
            .args(["-b", &bootstrap])
            .env("KAFKA_BROKERS", NOWHERE)
            .env("KCAT_CONFIG", &wrong),
        consume()
            .args(["-X", &x_right])
            .env("KAFKA_BROKERS", NOWHERE)
            .env("KCAT_CONFIG", &wrong),
        consume().args(["-X", &x_right, "-F", &wrong]),
        consume().args(["-F", &wrong, "-X", &x_right]),
        consume()
            .args(["-F", &right])
            .env("KAFKA_BROKERS", NOWHERE)
            .env("KCAT_CONFIG", &wrong),
        consume()
            .env("KAFKA_BROKERS", &bootstrap)
            .env("KCAT_CONFIG", &wrong),
        consume().env("KCAT_CONFIG", &right),
    ];
    for command in found {
        command.run().succeeds().stdout_is("here\n");
    }
    consume()
        .args(["-X", &x_wrong])
        .env("KAFKA_BROKERS", &bootstrap)
        .run()
        .fails_with(2)
        .stderr_has("refused");
    let home = session::folder("home-with-config");
    std::fs::create_dir(home.join(".config")).unwrap();
    std::fs::copy(&right, home.join(".config/kcat.conf")).unwrap();
    consume()
        .env("HOME", &home)
        .run()
        .succeeds()
        .stdout_is("here\n");
    consume()
        .args(["-F", "none"])
        .env("HOME", &home)
        .run()
        .fails_with(2)
        .stderr_has("-b");
}

#[test]
fn a_property_can_come_from_a_file_of_its_own() {
    let cluster = any();
    let topic = cluster.topic_of("at-file", &["here"]);
    let path = session::folder("at-file").join("brokers");
    std::fs::write(&path, format!("{}\n", cluster.bootstrap())).unwrap();
    let property = format!("bootstrap.servers=@{}", path.display());
    cmd("kcat-lite")
        .args(["-C", "-e", "-q", "-t", &topic, "-X", &property])
        .run()
        .succeeds()
        .stdout_is("here\n");
    let missing = ["-L", "-b", NOWHERE, "-X", "sasl.password=@/no/such/file"];
    cmd("kcat-lite")
        .args(missing)
        .run()
        .fails_with(2)
        .stderr_has("/no/such/file");
    let literal = ["-X", "dump", "-X", "client.id=@@me"];
    cmd("kcat-lite")
        .args(literal)
        .run()
        .succeeds()
        .stdout_has("@me")
        .expect(|it| !it.text().contains("@@"), "one @");
}

#[test]
fn the_self_test_passes() {
    cmd("kcat-lite").arg("-U").run().succeeds();
}

#[test]
fn librdkafkas_log_is_shown_where_it_is_asked_for() {
    let cluster = any();
    let topic = cluster.topic_of("log", &["a"]);
    for mode in [&["-C", "-e", "-q", "-t", &topic][..], &["-L", "-t", &topic]] {
        let plain = super::at(&*cluster, mode).run().succeeds();
        plain.stderr_is("");
        let mode = mode.iter().filter(|word| **word != "-q");
        super::at(&*cluster, &["-d", "broker"])
            .args(mode)
            .run()
            .succeeds()
            .stderr_has("librdkafka");
    }
    for option in [&["-d", "broker"][..], &["-v"], &["-vv"]] {
        cmd("kcat-lite")
            .args(["-L", "-m", "1", "-b", NOWHERE])
            .args(option)
            .run()
            .fails_with(2)
            .stderr_has("librdkafka");
    }
}

#[test]
fn the_mode_is_chosen_by_what_stdin_is() {
    use crate::testkit::command::Terminal;
    let cluster = any();
    let topic = cluster.topic("mode", 1, &[]);
    super::at(&*cluster, &["-t", &topic])
        .stdin("typed\n")
        .run()
        .succeeds()
        .stdout_is("");
    assert_eq!(cluster.values(&topic), ["typed"]);
    let terminal = Terminal {
        stdin: true,
        ..Terminal::default()
    };
    super::at(&*cluster, &["-t", &topic, "-e"])
        .on_terminal(terminal)
        .run()
        .succeeds()
        .stdout_is("typed\n");
}

#[test]
fn the_offset_is_shown_before_a_raw_record_where_it_is_asked_for() {
    let cluster = any();
    let topic = cluster.topic("offsets", 1, &[]);
    cluster.produce(&topic, &[Record::keyed("k", "v"), Record::keyed("l", "w")]);
    let consume = |args: &[&str]| super::consume(&*cluster, &topic).args(args).run();
    consume(&["-O"]).succeeds().stdout_is("0\tv\n1\tw\n");
    consume(&["-O", "-K:"])
        .succeeds()
        .stdout_is("0:k:v\n1:l:w\n");
    consume(&["-O", "-J"]).fails_with(2).stderr_has("-O");
}
