//! Green means that somebody looked: what fits nothing is 2, what can't be determined is 1.

use super::{commit, klag, now_ms, numbers, row, rows};
use crate::testkit::broker::{Kafka, Spec, shared_kafka};
use crate::testkit::cluster::{Cluster as _, PATIENCE, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::{java, session};
use std::time::Instant;

const DAY_MS: i64 = 24 * 3_600_000;

/// A topic with two records and a group of the same name that has read one; and a topic that nobody reads.
fn read_and_unread(kafka: &Kafka) -> (String, String) {
    let read = kafka.topic("selected", 1, &[]);
    kafka.produce(&read, &[Record::of("x"), Record::of("y")]);
    commit(kafka, &read, &read, &[(0, 1)]);
    (read, kafka.topic_of("unread", &["x"]))
}

fn all(kafka: &Kafka, args: &[&str]) -> Cmd {
    cmd("klag")
        .args(["-b", &kafka.bootstrap(), "-m", "20"])
        .args(args)
}

#[test]
fn a_name_that_fits_nothing_is_no_empty_answer() {
    let Some(kafka) = shared_kafka() else { return };
    let (read, unread) = read_and_unread(kafka);
    let (misspelt, pattern) = (format!("{read}x"), format!("^{read}x"));
    let state = ["-g", &read, "--state", "reconciling"];
    for (args, said) in [
        (&["-g", &misspelt][..], "there is no such group"),
        (&["-g", &pattern], "no group matches"),
        (&["-g", &read, "-g", &pattern], "no group matches"),
        (&["-g", &read, "-t", &misspelt], "there is no topic"),
        (&["-g", &read, "-t", &pattern], "no topic matches"),
        (&state, "no group is in the state reconciling"),
    ] {
        for limit in [
            &[][..],
            &["--max-lag", "5"],
            &["--max-lag", "5", "--unknown", "pass"],
        ] {
            all(kafka, args)
                .args(limit)
                .run()
                .fails_with(2)
                .stderr_has(said);
        }
        let metrics = all(kafka, args).args(["-o", "prometheus"]).run();
        metrics
            .fails_with(2)
            .stdout_has("klag_selection_unmatched 1\n");
        let allowed = all(kafka, args).args(["--max-lag", "5", "--allow-empty"]);
        allowed.run().succeeds().stdout_is("").stderr_is("");
    }
    all(kafka, &["--state", "Stabel"])
        .run()
        .fails_with(2)
        .stderr_has("Stabel");
    // Both are there, and the group has nothing to do with the topic.
    for args in [
        &["-g", &read, "-t", &unread][..],
        &["-g", &pattern[..pattern.len() - 1], "-t", &unread],
    ] {
        let check = |more: &[&str]| all(kafka, args).args(["--max-lag", "5"]).args(more).run();
        let said = "has neither offsets nor members in";
        check(&[]).fails_with(2).stderr_has(said);
        check(&["--unknown", "pass"]).fails_with(2).stderr_has(said);
        check(&["--unknown", "fail"]).fails_with(1).stderr_has(said);
        check(&["--allow-empty", "--unknown", "pass"]).succeeds();
        all(kafka, args).run().fails_with(2).stderr_has(said);
    }
    let nobody = all(kafka, &["-t", &unread, "--max-lag", "5"]);
    nobody
        .run()
        .fails_with(2)
        .stderr_has("no group has offsets or members in");
    let metrics = all(kafka, &["-o", "prometheus", "-g", &pattern, "-t", &read]);
    let metrics = metrics.run().fails_with(2);
    metrics
        .stdout_has("klag_selection_unmatched 1\n")
        .stdout_has("klag_scrape_success{part=\"groups\"} 0\n");
}

#[test]
fn a_line_of_limits_that_can_t_apply_is_no_limit() {
    let Some(kafka) = shared_kafka() else { return };
    let (read, unread) = read_and_unread(kafka);
    let file = session::folder("selected-limits").join("limits");
    let check = |lines: &str, args: &[&str]| {
        std::fs::write(&file, lines).unwrap();
        let typed = format!("@{}", file.display());
        klag(kafka, &read)
            .args(["--max-lag", &typed])
            .args(args)
            .run()
    };
    let place = format!("{}, line 2: ", file.display());
    for (line, said) in [
        (format!("{read}x * 5"), format!("no group matches {read}x")),
        (format!("* {read}x 5"), format!("no topic matches {read}x")),
        (
            format!("{read} {unread} 5"),
            format!("{read} has neither offsets nor members in {unread}"),
        ),
        (format!("{read} {read} 5x"), "5x".to_owned()),
        (format!("{read} {read} 1"), "it never counts".to_owned()),
    ] {
        let lines = format!("{read} {read} 7\n{line}\n");
        check(&lines, &[])
            .fails_with(2)
            .stderr_has(&place)
            .stderr_has(said);
    }
    // What the selection leaves out is another check's.
    let other = session::unique("other");
    commit(kafka, &other, &unread, &[(0, 1)]);
    check(&format!("{read} {read} 7\n{other} * 5\n"), &[])
        .succeeds()
        .stdout_is("");
    // But a check of nothing else is none.
    check(&format!("{other} * 5\n"), &[])
        .fails_with(2)
        .stderr_has("--max-lag checks nothing: no group has offsets or members where it applies");
    check(&format!("{other} * 5\n"), &["--allow-empty"]).succeeds();
    check(&format!("{other} * 5\n"), &["--max-lag", "5"]).succeeds();
    check(&format!("{other} * 5\n"), &["--max-lost", "5"]).fails_with(2);
    // A limit on a part of a sum.
    let part = check(&format!("{read} {read} 0\n"), &["--by", "group"]).fails_with(2);
    part.stderr_has("line 1: a limit of the topic")
        .stderr_has("can't be applied to sums");
    check(&format!("{read} * 0\n"), &["--by", "topic"])
        .fails_with(2)
        .stderr_has("group");
    check(&format!("{read} * 0\n"), &["--by", "group"])
        .fails_with(1)
        .stdout_has("lag 1 over 0");
    check(&format!("{read} {read} 0\n"), &[])
        .fails_with(1)
        .stdout_has("lag 1 over 0");
}

#[test]
fn a_record_with_a_future_timestamp_has_no_time_lag_and_is_behind() {
    let Some(kafka) = shared_kafka() else { return };
    let far = [("message.timestamp.after.max.ms", "9223372036854775807")];
    let topic = kafka.topic("ahead", 1, &far);
    let at = |ahead_ms: i64| Record {
        timestamp_ms: Some(now_ms() + ahead_ms),
        ..Record::of("x")
    };
    kafka.produce(&topic, &[at(0), at(10 * DAY_MS), at(0)]);
    commit(kafka, &topic, &topic, &[(0, 1)]);
    let ahead = row(kafka, &topic);
    assert_eq!(numbers(&ahead), [Some(2), Some(0), Some(0)]);
    assert!(ahead["time_lag"].is_null(), "{ahead}");
    let note = ahead["note"].as_str().unwrap();
    assert!(
        note.starts_with("the first unread record is 9d") && note.ends_with("in the future"),
        "{note}"
    );
    let check = |args: &[&str]| {
        klag(kafka, &topic)
            .args(["--max-time", "5m"])
            .args(args)
            .run()
    };
    check(&[]).fails_with(1).stdout_has("is 9d");
    let sum = check(&["--by", "group", "-J"]).fails_with(1);
    assert_eq!(rows(sum.text())[0]["partitions_unknown"], 1);
    check(&["--unknown", "pass"]).succeeds().stdout_is("");
    klag(kafka, &topic)
        .args(["--max-lag", "2"])
        .run()
        .succeeds();
    let metrics = klag(kafka, &topic)
        .args(["-o", "prometheus", "--time"])
        .run()
        .succeeds();
    let text = metrics.text();
    assert!(
        !text.contains("kafka_consumergroup_group_lag_seconds{"),
        "{text}"
    );
    // What is read does not wait for a future timestamp.
    commit(kafka, &topic, &topic, &[(0, 2)]);
    assert!(row(kafka, &topic)["time_lag"].is_i64());
}

#[test]
fn a_topic_is_stale_if_only_records_with_a_future_timestamp_are_new() {
    let Some(kafka) = shared_kafka() else { return };
    let far = [("message.timestamp.after.max.ms", "9223372036854775807")];
    let topic = kafka.topic("stale-ahead", 2, &far);
    let at = |ms: i64| Record {
        timestamp_ms: Some(now_ms() + ms),
        ..Record::of("x")
    };
    kafka.produce(&topic, &[at(-4 * DAY_MS), at(10 * DAY_MS)]);
    commit(kafka, &topic, &topic, &[(0, 0), (1, 0)]);
    let check = |limit: &str| {
        let check = klag(kafka, &topic).args(["--max-stale", limit]);
        check.run()
    };
    check("1h")
        .fails_with(1)
        .stdout_has("nothing was produced for more than 1h")
        .stderr_is("");
    check("5d").succeeds().stdout_is("");
    // One that is new, behind one with a future timestamp.
    kafka.produce(&topic, &[at(10 * DAY_MS), at(-1000), at(10 * DAY_MS)]);
    check("1h").succeeds().stdout_is("").stderr_is("");
}

#[test]
fn a_check_that_excludes_everything_is_not_green() {
    let Some(kafka) = shared_kafka() else { return };
    let _ = read_and_unread(kafka);
    for (exclude, said) in [
        (&["--exclude", "^"][..], "every group is excluded"),
        (&["--exclude-group", "^"], "every group is excluded"),
        (&["--exclude-topic", "^"], "every topic is excluded"),
    ] {
        let check = all(kafka, exclude).args(["--max-lag", "10"]);
        check.clone().run().fails_with(2).stderr_has(said);
        check.arg("--allow-empty").run().succeeds().stderr_is("");
        all(kafka, exclude).run().fails_with(2).stderr_has(said);
        let metrics = all(kafka, exclude).args(["-o", "prometheus"]).run();
        metrics
            .fails_with(2)
            .stdout_has("klag_selection_unmatched 1\n");
    }
    let check = cmd("koldest")
        .args(["-b", &kafka.bootstrap(), "-m", "20"])
        .args(["--exclude", "^"]);
    let said = "every topic is excluded";
    check.clone().run().fails_with(2).stderr_has(said);
    let check = check.args(["--max-age", "1d"]);
    check.clone().run().fails_with(2).stderr_has(said);
    check.arg("--allow-empty").run().succeeds().stderr_is("");
}

#[test]
fn a_named_group_whose_offsets_are_gone_is_told_to_prometheus() {
    let Some(kafka) = shared_kafka() else { return };
    let (read, _) = read_and_unread(kafka);
    let metrics = all(kafka, &["-o", "prometheus", "-g", &read]);
    let metrics = || metrics.clone().run();
    metrics()
        .succeeds()
        .stdout_has("klag_selection_unmatched 0\n");
    let tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    let tool = java::tool(tool).unwrap();
    tool.args(["--bootstrap-server", &kafka.bootstrap(), "--group", &read])
        .args(["--delete-offsets", "--topic", &read])
        .limit(PATIENCE * 2)
        .run()
        .succeeds();
    metrics()
        .fails_with(2)
        .stdout_has("klag_selection_unmatched 1\n")
        .stdout_has("klag_scrape_success{part=\"offsets\"} 0\n");
}

#[test]
fn nothing_is_known_of_what_was_produced_to_a_topic_that_was_emptied() {
    let Some(kafka) = shared_kafka() else { return };
    let (topic, _) = read_and_unread(kafka);
    let check = |args: &[&str]| {
        klag(kafka, &topic)
            .args(["--max-stale", "1h"])
            .args(args)
            .run()
    };
    check(&[]).succeeds().stdout_is("");
    kafka.delete_before(&topic, 2);
    check(&[])
        .fails_with(1)
        .stdout_has("when something was last produced is unknown: all was deleted\n");
    check(&["--unknown", "pass"]).succeeds().stdout_is("");
}

#[test]
fn offsets_that_expire_do_not_turn_a_check_green() {
    let spec = Spec::new()
        .setting("offsets.retention.minutes", "1")
        .setting("offsets.retention.check.interval.ms", "1000");
    let Some(kafka) = spec.start() else { return };
    // Nobody has committed anything, and nothing was produced: nothing can be well.
    let check = all(&kafka, &["--max-lag", "0"]);
    check
        .clone()
        .run()
        .fails_with(2)
        .stderr_has("--max-lag checks nothing: no group has offsets or members where it applies");
    check.arg("--allow-empty").run().succeeds();
    all(&kafka, &["-o", "prometheus"]).run().succeeds();
    let check = cmd("koldest").args(["-b", &kafka.bootstrap(), "--max-age", "1d"]);
    let said = "nothing was checked: there is no topic";
    check.clone().run().fails_with(2).stderr_has(said);
    check.arg("--allow-empty").run().succeeds();
    let (kept, expired) = (
        kafka.topic_of("kept", &["x"]),
        kafka.topic_of("expires", &["x", "y"]),
    );
    let group = session::unique("expires");
    // While it has a member, only offsets of topics that it does not subscribe to expire.
    let member = super::Member::join(&kafka, &group, &kept, "classic");
    member.commit(&kept, &[(0, 1)]);
    member.commit(&expired, &[(0, 0)]);
    let check = |args: &[&str]| {
        let check = klag(&kafka, &group).args(["-t", &expired, "--max-lag", "0"]);
        check.args(args).run()
    };
    check(&[]).fails_with(1).stdout_has("lag 2 over 0");
    let deadline = Instant::now() + PATIENCE * 4;
    loop {
        let _ = member.client.poll(std::time::Duration::from_millis(500));
        if kafka.committed(&group, &expired).is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "the offsets never expire");
    }
    check(&[])
        .fails_with(2)
        .stderr_has("neither offsets nor members");
    check(&["--unknown", "fail"])
        .fails_with(1)
        .stdout_has("neither offsets nor members in this topic");
    drop(member);
    // Nobody is left to be checked, once the group is known to be empty.
    let idle = all(&kafka, &["--active", "1ms", "--max-lag", "0"]);
    let said = "--max-lag checks nothing: no group is active";
    while !idle.clone().run().story().contains(said) {
        assert!(Instant::now() < deadline, "{}", idle.run().story());
    }
    idle.run().fails_with(2);
}
