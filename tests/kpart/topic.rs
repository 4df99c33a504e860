use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{self, Cluster as _};
use crate::testkit::command::cmd;
use crate::testkit::mock::Mock;
use std::time::Duration;

#[test]
fn the_number_of_partitions_is_the_topics() {
    let kafka = cluster::any();
    let topic = kafka.topic("kpart", 12, &[]);
    cmd("kpart")
        .args(["-b", &kafka.bootstrap(), "-t", &topic])
        .stdin("user-1\tv\n")
        .run()
        .succeeds()
        .stdout_is("8\tuser-1\tv\n")
        .stderr_is("");
}

#[test]
fn a_topic_that_is_not_there_is_named_and_nothing_is_placed() {
    let kafka = cluster::any();
    cmd("kpart")
        .args([
            "-b",
            &kafka.bootstrap(),
            "-X",
            "allow.auto.create.topics=false",
        ])
        .args(["-t", "no-such-topic"])
        .stdin("a\n")
        .run()
        .fails_with(2)
        .stderr_has("there is no topic no-such-topic")
        .stdout_is("");
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    cmd("kpart")
        .args(["-b", "127.0.0.1:1", "-m", "1", "-t", "topic"])
        .run()
        .fails_with(2)
        .stderr_has("127.0.0.1:1");
}

#[test]
fn more_partitions_than_at_the_start_end_the_run_at_the_first_line_that_may_be_affected() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("kpart-grows", 12, &[]);
    let arguments = ["-b", &kafka.bootstrap(), "-t", &topic, "--recheck", "200ms"];
    let mut kpart = cmd("kpart").args(arguments).stdin_open().start();
    kpart.write("user-1\nuser-1\n");
    kpart.stdout_until("8\tuser-1\n8\tuser-1\n", Duration::from_secs(10));
    // The number was asked for again after these two, and was still right.
    std::thread::sleep(Duration::from_secs(2));
    kafka.grow(&topic, 13);
    kpart
        .wait()
        .fails_with(2)
        .stderr_has("has 13 partitions now, not 12: lines from 3 on may be misplaced");
}

/// It was only a message, and exit 0.
#[test]
fn a_cluster_that_does_not_answer_at_the_end_fails_the_run() {
    let mock = Mock::start(1);
    mock.create_topic("t", 12, &[]);
    let arguments = ["-b", &mock.bootstrap(), "-m", "1", "-t", "t"];
    let mut kpart = cmd("kpart").args(arguments).stdin_open().start();
    kpart.write("user-1\n");
    kpart.stdout_until("8\tuser-1\n", Duration::from_secs(10));
    mock.down(1);
    kpart.close_stdin();
    kpart
        .wait()
        .fails_with(2)
        .stderr_has("cannot tell whether t still has 12 partitions")
        .stderr_has("lines from 1 on may be misplaced");
}
