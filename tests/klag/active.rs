//! `--active`: topics that a group has left are left out, and nothing that it may still read.

use super::exporter::Exporter;
use super::{Member, commit, klag, rows};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::Cluster as _;
use crate::testkit::command::cmd;
use crate::testkit::session;

/// The topics of a group's report.
fn topics(kafka: &Kafka, group: &str, active: &str) -> Vec<String> {
    let output = klag(kafka, group).args(["-J", "--active", active]).run();
    let rows = rows(output.succeeds().text());
    let topic = |row: &serde_json::Value| row["topic"].as_str().unwrap().to_owned();
    rows.iter().map(topic).collect()
}

/// So long that every commit of a test lies within it, and so short that none does that was answered before.
const LONG: &str = "1d";
const SHORT: &str = "1ms";

#[test]
fn topics_that_a_group_has_left_are_left_out() {
    let Some(kafka) = shared_kafka() else { return };
    for protocol in ["classic", "consumer"] {
        let group = session::unique("active");
        let (old, read) = (
            kafka.topic_of("old", &["x"]),
            kafka.topic_of("read", &["x"]),
        );
        commit(kafka, &group, &old, &[(0, 0)]);
        commit(kafka, &group, &read, &[(0, 0)]);
        assert_eq!(topics(kafka, &group, LONG), [&*old, &*read]);
        // A member holds what it reads, if it never commits; of the rest only the commits tell.
        let member = Member::join(kafka, &group, &read, protocol);
        assert_eq!(topics(kafka, &group, SHORT), [&*read], "{protocol}");
        assert_eq!(topics(kafka, &group, LONG), [&*old, &*read], "{protocol}");
        drop(member);
    }
}

#[test]
fn a_named_group_that_is_left_out_as_a_whole_is_no_green_check() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("left", &["x"]);
    commit(kafka, &topic, &topic, &[(0, 1)]);
    let active = |args: &[&str]| klag(kafka, &topic).args(args).run();
    active(&["--active", LONG, "--max-lag", "5"]).succeeds();
    for args in [
        &["--active", SHORT][..],
        &["--active", SHORT, "--max-lag", "5"],
        &["--active", SHORT, "-t", &topic],
    ] {
        let gone = active(args).fails_with(2).stdout_is("");
        gone.stderr_has("has neither members nor commits within --active");
    }
    let bootstrap = kafka.bootstrap();
    let all = cmd("klag").args([
        "-b", &bootstrap, "-m", "20", "-t", &topic, "--active", SHORT,
    ]);
    all.run().fails_with(2).stderr_has("no group is active in");
    active(&["--active", SHORT, "--allow-empty"])
        .succeeds()
        .stdout_is("");
}

#[test]
fn an_exporter_reads_on_where_its_last_look_has_ended() {
    let Some(kafka) = shared_kafka() else { return };
    let group = session::unique("reads-on");
    let (one, two) = (kafka.topic_of("one", &["x"]), kafka.topic_of("two", &["x"]));
    commit(kafka, &group, &one, &[(0, 0)]);
    let exporter = Exporter::start(kafka, &["-m", "20", "-g", &group, "--active", LONG]);
    let has = |topic: &str| exporter.scrape().contains(&format!("topic=\"{topic}\""));
    assert!(has(&one) && !has(&two));
    commit(kafka, &group, &two, &[(0, 0)]);
    assert!(has(&one) && has(&two));
}
