use super::{fill, other_cluster, recipe, seen_by_python};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::s3::S3;
use crate::testkit::session;

#[test]
fn a_topic_in_a_bucket_comes_back_with_every_header_and_with_its_groups() {
    let (Some(kafka), Some(other)) = (shared_kafka(), other_cluster()) else {
        return;
    };
    let topic = kafka.topic("backup", 4, &[]);
    if fill(kafka, &topic, 0, 2000).is_none() {
        return;
    }
    let group = session::unique("reader");
    cmd("kcat-lite")
        .args(["-b", &kafka.bootstrap(), "-G", &group, "-q", "-c", "700"])
        .args(["-X", "auto.offset.reset=earliest", &topic])
        .run()
        .succeeds();
    let s3 = S3::start();
    let folder = session::folder("backup");
    let recipe = recipe("Back up a topic to S3 and restore it");
    let run = |block| {
        let settings = [
            ("KAFKA_BROKERS", &*kafka.bootstrap()),
            ("NEW_BROKERS", &*other.bootstrap()),
            ("TOPIC", &*topic),
            ("BACKUP", "s3://backups/kafka"),
            ("AWS_ENDPOINT_URL", &*s3.url()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "me"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        recipe.run(block, &settings).inside(&folder).run()
    };
    run(1).succeeds();
    // Later, with more in the topic; and once more with nothing new.
    fill(kafka, &topic, 2000, 1000).unwrap();
    run(1).succeeds();
    let verified = run(1).succeeds();
    let records: u64 = verified
        .lines()
        .iter()
        .map(|line| line.split('\t').nth(3).unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(records, 3000, "{}", verified.text());
    run(2).succeeds();
    let before = seen_by_python(kafka, &topic).unwrap();
    assert_eq!(before.len(), 3000);
    assert_eq!(seen_by_python(other, &topic).unwrap(), before);
    let committed = kafka.committed(&group, &topic);
    assert_eq!(committed.values().sum::<i64>(), 700);
    // The topic had every offset from 0 on, and so has the copy.
    let brought: i64 = other.committed(&group, &topic).values().sum();
    assert_eq!(brought, 700);
}

#[test]
fn a_segment_that_is_missing_is_an_exit_code() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("backup", &["one", "two", "three"]);
    let s3 = S3::start();
    let folder = session::folder("backup");
    let recipe = recipe("Back up a topic to S3 and restore it");
    let settings = [
        ("KAFKA_BROKERS", &*kafka.bootstrap()),
        ("NEW_BROKERS", "none"),
        ("TOPIC", &*topic),
        ("BACKUP", "s3://backups/kafka"),
        ("AWS_ENDPOINT_URL", &*s3.url()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "me"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let run = || recipe.run(1, &settings).inside(&folder).run();
    let verify = || {
        let command = cmd("ktee").args(["--verify", "s3://backups/kafka"]);
        let set = |command: Cmd, (name, value): &(&str, &str)| command.env(name, value);
        settings.iter().fold(command, set).run()
    };
    run().succeeds();
    kafka.produce(&topic, &[Record::of("four")]);
    run().succeeds();
    let partition = format!("backups/kafka/topics/{topic}/partition=0");
    let first = format!("{topic}+0+00000000000000000000.tsv.zst");
    std::fs::remove_file(s3.folder().join(partition).join(first)).unwrap();
    verify().fails_with(1);
    // The recipe sends the whole topic, which fills the hole.
    run().succeeds();
    verify().succeeds();
}
