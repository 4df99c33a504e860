//! Limits: what exceeds them is shown and ends with 1, what is young or within them is not.

use super::{HOUR_MS, at, koldest, now_ms, rows};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::Cluster;

#[test]
fn a_log_that_was_cut_is_short_and_a_young_one_is_not() {
    let Some(kafka) = shared_kafka() else { return };
    let records: Vec<_> = (0..100).map(|n| at(now_ms() - HOUR_MS + n, "x")).collect();
    let young = kafka.topic("checks-young", 1, &[]);
    kafka.produce(&young, &records);
    let cut = kafka.topic("checks-cut", 1, &[]);
    kafka.produce(&cut, &records);
    kafka.delete_before(&cut, 40);
    koldest(kafka, &["--min-age", "7d", &young])
        .run()
        .succeeds()
        .stdout_is("")
        .stderr_is("");
    koldest(kafka, &["-v", "--min-age", "7d", &young])
        .run()
        .succeeds()
        .stdout_is("")
        .stderr_has("1 partition younger than --min-age: nothing was ever deleted there");
    let short = koldest(kafka, &["-J", "--min-age", "7d", &young, &cut])
        .run()
        .fails_with(1);
    let short = rows(&short);
    assert_eq!(short.len(), 1);
    assert_eq!(short[0]["topic"], cut.as_str());
    let note = short[0]["note"].as_str().unwrap();
    assert!(
        note.contains("holds less than 7d and messages before offset 40 were deleted"),
        "{note}"
    );
    // Half an hour is held by both.
    koldest(kafka, &["--min-age", "30m", &young, &cut])
        .run()
        .succeeds()
        .stdout_is("");
    koldest(kafka, &["--by", "topic", "--min-age", "7d", &young, &cut])
        .run()
        .fails_with(1)
        .stdout_has("partition 0 holds less than 7d");
}

#[test]
fn a_log_that_was_emptied_by_its_age_or_by_somebody_is_not_known_to_hold_enough() {
    let Some(kafka) = shared_kafka() else { return };
    let records: Vec<_> = (0..100).map(|n| at(now_ms() - HOUR_MS + n, "x")).collect();
    for left in [0, 1] {
        let topic = kafka.topic("checks-emptied", 1, &[]);
        kafka.produce(&topic, &records);
        kafka.delete_before(&topic, 100 - left);
        let check = |args: &[&str]| {
            koldest(kafka, &["--min-age", "2h", &topic])
                .args(args)
                .run()
        };
        let said = "holds less than 2h and messages before offset";
        check(&[]).fails_with(1).stdout_has(said);
        check(&["--by", "topic"]).fails_with(1).stdout_has(said);
        // It may have been retention, and what was deleted older.
        check(&["--unknown", "pass"]).succeeds().stdout_is("");
    }
    // Its settings would not have kept a month.
    let quiet = kafka.topic("checks-quiet", 1, &[]);
    kafka.produce(&quiet, &[at(now_ms() - HOUR_MS, "x"), at(now_ms(), "y")]);
    kafka.delete_before(&quiet, 1);
    koldest(kafka, &["--min-age", "30d", "--unknown", "pass", &quiet])
        .run()
        .fails_with(1);
}

#[test]
fn an_old_message_behind_a_new_one_is_kept_too_long() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("checks-mixed", 2, &[]);
    kafka.produce(&topic, &vec![at(now_ms() - HOUR_MS, "x"); 5]);
    kafka.produce(&topic, &[at(now_ms() - 60 * 24 * HOUR_MS, "old")]);
    kafka.produce(&topic, &vec![at(now_ms(), "x"); 5]);
    let check = |limit: &str| koldest(kafka, &["--max-age", limit, &topic]).run();
    check("30d")
        .fails_with(1)
        .stdout_has("keeps messages for more than 30d, as at offset 5");
    check("90d").succeeds().stdout_is("").stderr_is("");
}

#[test]
fn whether_a_log_that_is_too_long_to_be_read_keeps_older_messages_is_not_known() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("checks-long", 1, &[]);
    kafka.produce(&topic, &vec![at(now_ms(), "x"); 100_000]);
    let check = |args: &[&str]| {
        let check = koldest(kafka, &["--max-age", "30d", &topic]).args(args);
        check.run()
    };
    check(&[]).succeeds().stdout_is("");
    kafka.produce(&topic, &[at(now_ms() - 60 * 24 * HOUR_MS, "old")]);
    check(&[])
        .fails_with(1)
        .stdout_has("whether older messages follow the first is unknown: too much to read");
    check(&["--unknown", "pass"]).succeeds().stdout_is("");
}

#[test]
fn a_log_that_an_open_transaction_has_filled_is_not_stale() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("checks-open", 1, &[]);
    let producer = kafka.producer(&[("transactional.id", &topic)]);
    producer.begin();
    producer.send(&topic, &[at(now_ms() - HOUR_MS, "x")]);
    koldest(kafka, &["--max-stale", "2h", &topic])
        .run()
        .succeeds()
        .stdout_is("");
    koldest(kafka, &["--max-stale", "30m", &topic])
        .run()
        .fails_with(1)
        .stdout_has("no message for more than 30m")
        .stdout_has("has an open transaction");
    producer.commit();
}

#[test]
fn what_is_kept_too_long_or_not_fed_is_shown() {
    let Some(kafka) = shared_kafka() else { return };
    let old = kafka.topic("checks-old", 1, &[]);
    kafka.produce(&old, &[at(now_ms() - 2 * HOUR_MS, "x")]);
    let fresh = kafka.topic("checks-fresh", 2, &[]);
    kafka.produce(&fresh, &[at(now_ms(), "x")]);
    let both = [old.as_str(), fresh.as_str()];
    koldest(kafka, &["--max-age", "3h"])
        .args(both)
        .run()
        .succeeds()
        .stdout_is("");
    let kept = koldest(kafka, &["-J", "--max-age", "1h"])
        .args(both)
        .run()
        .fails_with(1);
    assert_eq!(rows(&kept)[0]["topic"], old.as_str());
    assert_eq!(rows(&kept).len(), 1);
    // A partition without a message is not fed; as a topic, one message in any of them is enough.
    let stale = koldest(kafka, &["-J", "--max-stale", "10m"])
        .args(both)
        .run()
        .fails_with(1);
    assert_eq!(rows(&stale).len(), 2);
    let stale = ["-J", "--by", "topic", "--max-stale", "10m"];
    let stale = koldest(kafka, &stale).args(both).run().fails_with(1);
    assert_eq!(rows(&stale).len(), 1);
    assert_eq!(rows(&stale)[0]["topic"], old.as_str());
    koldest(kafka, &["--max-stale", "3h", &old])
        .run()
        .succeeds()
        .stdout_is("");
}

#[test]
fn a_topic_that_is_not_there_is_a_failure_even_of_a_check() {
    let Some(kafka) = shared_kafka() else { return };
    koldest(kafka, &["--max-age", "1h", "no-such-topic"])
        .run()
        .fails_with(2)
        .stderr_is("koldest: no topic matches no-such-topic\n");
    koldest(
        kafka,
        &["--max-age", "1h", "--allow-empty", "no-such-topic"],
    )
    .run()
    .succeeds()
    .stdout_is("")
    .stderr_is("");
    koldest(kafka, &["^no-such-pattern"])
        .run()
        .fails_with(2)
        .stderr_is("koldest: no topic matches ^no-such-pattern\n");
}
