//! `--commit`: positions as lines.

use super::{SOON, at};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster, Record, any};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::interceptor::{Interceptor, Then};
use crate::testkit::output::Output;
use crate::testkit::{java, session};
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorResponse, ListGroupsResponse, OffsetCommitResponse,
};
use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A topic of three partitions, which have ten records, a second apart, five and none.
fn timed(kafka: &Kafka) -> String {
    let topic = kafka.topic("positions", 3, &[]);
    let record = |partition: i32, n: i64| Record {
        partition: Some(partition),
        timestamp_ms: Some(1_700_000_000_000 + n * 1000),
        ..Record::of(n.to_string())
    };
    let records = (0..10).map(|n| record(0, n));
    let records: Vec<Record> = records.chain((0..5).map(|n| record(1, n))).collect();
    kafka.produce(&topic, &records);
    topic
}

fn commit(cluster: &dyn Cluster, group: &str, args: &[&str], lines: &str) -> Output {
    typed(cluster, group, args).stdin(lines).run()
}

fn typed(cluster: &dyn Cluster, group: &str, args: &[&str]) -> Cmd {
    at(cluster, &["--commit", group]).args(args)
}

/// Lines of positions in this topic.
fn lines(topic: &str, positions: &[(i32, i64)]) -> String {
    let line = |(partition, offset): &(i32, i64)| format!("{topic}\t{partition}\t{offset}\n");
    positions.iter().map(line).collect()
}

#[test]
fn a_group_is_rewound_to_a_time_as_kafka_s_own_tool_does() {
    let Some(kafka) = shared_kafka() else { return };
    let Some(tool) = java::tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand")
    else {
        return;
    };
    let topic = timed(kafka);
    let group = session::unique("rewound");
    commit(
        kafka,
        &group,
        &[],
        &lines(&topic, &[(0, 10), (1, 5), (2, 0)]),
    )
    .succeeds();
    let theirs = tool
        .args(["--bootstrap-server", &kafka.bootstrap(), "--group", &group])
        .args(["--reset-offsets", "--topic", &topic, "--dry-run"])
        .args(["--to-datetime", "2023-11-14T22:13:27.000+00:00"])
        .limit(3 * SOON)
        .run()
        .succeeds();
    let theirs: BTreeMap<i32, i64> = theirs
        .lines()
        .iter()
        .filter(|line| line.starts_with(&group))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[2].parse().unwrap(), words[3].parse().unwrap())
        })
        .collect();
    assert_eq!(theirs, BTreeMap::from([(0, 7), (1, 5), (2, 0)]));
    let time = format!("{topic}:2023-11-14T22:13:27Z");
    let query = at(kafka, &["-Q", "-t", &time, "--tsv=topic,partition,offset"]);
    let query = query.run().succeeds();
    let committed = commit(kafka, &group, &[], query.text()).succeeds();
    committed.stdout_is(format!(
        "{topic}\t0\t10\t7\n{topic}\t1\t5\t5\n{topic}\t2\t0\t0\n"
    ));
    assert_eq!(kafka.committed(&group, &topic), theirs);
    // kcat's text says that there is no record.
    at(kafka, &["-Q", "-t", &time])
        .run()
        .succeeds()
        .stdout_is(format!(
            "{topic} [0] offset 7\n{topic} [1] offset -1\n{topic} [2] offset -1\n"
        ));
    let json = at(kafka, &["-Q", "-J", "-t", &format!("{topic}:*:beginning")])
        .run()
        .succeeds();
    let row = |partition: i32, old: i64| {
        format!("{{\"topic\":\"{topic}\",\"partition\":{partition},\"old\":{old},\"new\":0}}\n")
    };
    commit(kafka, &group, &["-J"], json.text())
        .succeeds()
        .stdout_is([row(0, 7), row(1, 5), row(2, 0)].concat());
}

#[test]
fn positions_that_klag_has_saved_are_put_back() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = timed(kafka);
    let group = session::unique("saved");
    let before = lines(&topic, &[(0, 4), (1, 2), (2, 0)]);
    commit(kafka, &group, &[], &before).succeeds();
    let saved = cmd("klag")
        .args(["-b", &kafka.bootstrap(), "-g", &group])
        .args(["--columns", "topic,partition,committed"])
        .run()
        .succeeds();
    assert_eq!(saved.text(), before);
    commit(kafka, &group, &[], &lines(&topic, &[(0, 9), (1, 0)])).succeeds();
    commit(kafka, &group, &[], saved.text()).succeeds();
    assert_eq!(
        kafka.committed(&group, &topic),
        BTreeMap::from([(0, 4), (1, 2), (2, 0)])
    );
}

#[test]
fn a_line_that_is_wrong_keeps_all_from_being_committed() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = timed(kafka);
    kafka.delete_before(&topic, 2);
    let group = session::unique("wrong");
    commit(kafka, &group, &[], &lines(&topic, &[(1, 1)])).succeeds();
    let missing = session::unique("missing");
    for (wrong, named) in [
        (format!("{topic}\t0\t\\N\n"), "has no offset"),
        (format!("{topic}\t0\n"), "2 columns where 3 are expected"),
        (format!("{topic}\t0\tx\n"), "line 2: offset"),
        (format!("{topic}\t1\t4\n"), "line 2: "),
        (
            format!("{topic}\t3\t0\n"),
            "there is no such partition; the topic has 3",
        ),
        (format!("{missing}\t0\t0\n"), "Unknown topic"),
        (
            format!("{topic}\t0\t1\n"),
            "offset 1 is not in the log, which is 2 to 10",
        ),
        (
            format!("{topic}\t0\t11\n"),
            "offset 11 is not in the log, which is 2 to 10",
        ),
    ] {
        let all = lines(&topic, &[(1, 3)]) + &wrong;
        let refused = commit(kafka, &group, &[], &all).fails_with(2);
        refused
            .stdout_is("")
            .stderr_has(named)
            .stderr_has("nothing was committed");
        assert_eq!(
            kafka.committed(&group, &topic),
            BTreeMap::from([(1, 1)]),
            "{wrong}"
        );
    }
    let torn = format!("{topic}\t1\t3\n{topic}\t0\t1");
    let torn = commit(kafka, &group, &[], &torn).fails_with(2);
    torn.stderr_has("torn");
    commit(kafka, &group, &[], "")
        .fails_with(2)
        .stderr_has("no positions");
    let beyond = lines(&topic, &[(0, 1), (1, 100)]);
    commit(kafka, &group, &["--force"], &beyond).succeeds();
    assert_eq!(
        kafka.committed(&group, &topic),
        BTreeMap::from([(0, 1), (1, 100)])
    );
}

#[test]
fn a_trial_shows_what_would_be_and_commits_nothing() {
    let cluster = any();
    let topic = cluster.topic_of("trial", &["a", "b", "c"]);
    let group = session::unique("trial");
    let position = lines(&topic, &[(0, 2)]);
    let trial = commit(&*cluster, &group, &["--dry-run"], &position).succeeds();
    trial
        .stdout_is(format!("{topic}\t0\t\\N\t2\n"))
        .stderr_has("nothing was committed");
    assert_eq!(cluster.committed(&group, &topic), BTreeMap::new());
    commit(&*cluster, &group, &[], &position)
        .succeeds()
        .stderr_is("");
    assert_eq!(cluster.committed(&group, &topic), BTreeMap::from([(0, 2)]));
    let columns = ["--tsv=offset,timestamp,partition,topic"];
    commit(&*cluster, &group, &columns, &format!("1\t-1\t0\t{topic}\n"))
        .succeeds()
        .stdout_is(format!("{topic}\t0\t2\t1\n"));
}

#[test]
fn a_group_that_has_members_keeps_its_positions_and_they_are_named() {
    let Some(kafka) = shared_kafka() else { return };
    for protocol in ["classic", "consumer"] {
        let topic = timed(kafka);
        let group = session::unique("members");
        let property = format!("group.protocol={protocol}");
        let mut member = at(kafka, &["-G", &group, "-q", "-X", &property, &topic])
            .args([
                "-X",
                "auto.offset.reset=earliest",
                "-X",
                "client.id=somebody",
            ])
            .start();
        member.stdout_until("4\n", SOON);
        let position = lines(&topic, &[(0, 1), (1, 1), (2, 0)]);
        for options in [&[][..], &["--force"], &["--dry-run"]] {
            commit(kafka, &group, options, &position)
                .fails_with(2)
                .stdout_is("")
                .stderr_has("has a member (somebody at 127.0.0.1)");
        }
        commit(kafka, &group, &["--delete"], &position)
            .fails_with(2)
            .stderr_has("somebody");
        member.signal(Signal::TERM);
        member.wait().succeeds();
        let deadline = Instant::now() + SOON;
        // The member has left; its group may need a moment.
        while !commit(kafka, &group, &["-q"], &position).status.success() {
            assert!(Instant::now() < deadline, "{protocol}");
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(
            kafka.committed(&group, &topic),
            BTreeMap::from([(0, 1), (1, 1), (2, 0)]),
            "{protocol}"
        );
        let rest = at(kafka, &["-G", &group, "-q", "-e", "-X", &property, &topic]).run();
        assert_eq!(rest.succeeds().lines().len(), 13, "{protocol}");
    }
}

#[test]
fn positions_are_deleted_where_that_is_asked_for() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = timed(kafka);
    let group = session::unique("deleted");
    commit(kafka, &group, &["--delete"], &format!("{topic}\t0\n"))
        .fails_with(2)
        .stderr_has(format!("there is no group {group}"));
    commit(kafka, &group, &[], &lines(&topic, &[(0, 3), (1, 2)])).succeeds();
    commit(
        kafka,
        &group,
        &["--delete"],
        &format!("{topic}\t0\n{topic}\t2\t\\N\n"),
    )
    .succeeds()
    .stdout_is(format!("{topic}\t0\t3\t\\N\n{topic}\t2\t\\N\t\\N\n"));
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(1, 2)]));
}

#[test]
fn a_text_stands_beside_each_position() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = timed(kafka);
    let group = session::unique("metadata");
    let text = ["--metadata", "after incident 7"];
    commit(kafka, &group, &text, &lines(&topic, &[(0, 3), (1, 2)])).succeeds();
    let mut config: ClientConfig = kafka.config();
    let client: BaseConsumer = config.set("group.id", &group).create().unwrap();
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(&topic, 0);
    let found = client.committed_offsets(wanted, SOON).unwrap();
    assert_eq!(found.elements()[0].metadata(), "after incident 7");
}

#[test]
fn the_start_of_a_share_group_is_set_and_deleted() {
    let Some(kafka) = shared_kafka() else { return };
    let share = || java::tool("org.apache.kafka.tools.consumer.ConsoleShareConsumer");
    let Some(consumer) = share() else { return };
    let topic = timed(kafka);
    let group = session::unique("share");
    let bootstrap = kafka.bootstrap();
    let server = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        &topic,
        "--group",
        &group,
    ];
    // It reads nothing, and so makes the group.
    consumer
        .args(server)
        .args(["--timeout-ms", "3000"])
        .limit(3 * SOON)
        .run();
    let positions = lines(&topic, &[(0, 7), (1, 4), (2, 0)]);
    let set = commit(kafka, &group, &[], &positions).succeeds();
    assert_eq!(set.lines().len(), 3, "{}", set.story());
    commit(kafka, &group, &["--metadata", "x"], &positions)
        .fails_with(2)
        .stderr_has("share group");
    let read = share().unwrap();
    let read = read
        .args(server)
        .args(["--max-messages", "4", "--timeout-ms", "30000"])
        .limit(3 * SOON)
        .run()
        .succeeds();
    let mut read: Vec<&str> = read.lines();
    read.sort_unstable();
    assert_eq!(read, ["4", "7", "8", "9"]);
    commit(kafka, &group, &["--delete"], &format!("{topic}\t0\n"))
        .fails_with(2)
        .stderr_has("name all of them");
    let delete = commit(kafka, &group, &["--delete"], &positions).succeeds();
    assert_eq!(delete.lines().len(), 3, "{}", delete.story());
    let after = commit(kafka, &group, &["--dry-run"], &positions).succeeds();
    assert!(
        after.lines().iter().all(|line| line.contains("\t\\N\t")),
        "{}",
        after.story()
    );
}

#[test]
fn several_topics_are_asked_by_name_and_by_pattern() {
    let Some(kafka) = shared_kafka() else { return };
    let (one, two) = (timed(kafka), timed(kafka));
    let pattern = format!("^({one}|{two})$:end");
    let expected = |topic: &str| format!("{topic}\t0\t10\n{topic}\t1\t5\n{topic}\t2\t0\n");
    let mut topics = [&one, &two];
    topics.sort_unstable();
    let expected = topics.map(|topic| expected(topic)).concat();
    let columns = "--tsv=topic,partition,offset";
    at(kafka, &["-Q", columns, "-t", &pattern])
        .run()
        .succeeds()
        .stdout_is(&expected);
    let (first, second) = (format!("{one}:end"), format!("{two}:*:end"));
    at(kafka, &["-Q", columns, "-t", &first, "-t", &second])
        .run()
        .succeeds()
        .stdout_is(&expected);
    let nothing = format!("^{}", session::unique("nothing"));
    at(kafka, &["-Q", "-t", &format!("{nothing}:end")])
        .run()
        .fails_with(2)
        .stderr_has("no topic matches");
    let listed = at(kafka, &["-L", "--tsv", "-t", &format!("^{one}$")]).run();
    assert_eq!(listed.succeeds().lines().len(), 3);
    // What is not there is no position, and keeps --commit from committing a part.
    let missing = session::unique("missing");
    let part = at(
        kafka,
        &["-Q", columns, "-t", &first, "-t", &format!("{missing}:end")],
    )
    .run();
    let part = part.fails_with(2);
    part.stdout_has(format!("{missing}\t\\N\t\\N\n"));
}

/// The broker's codes of a coordinator that is starting.
const LOADING: i16 = 14;
const NOT_AVAILABLE: i16 = 15;

#[test]
fn a_coordinator_that_is_loading_its_groups_is_waited_for() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = timed(kafka);
    let group = session::unique("loading");
    let proxy = Interceptor::before(&kafka.bootstrap())
        .change(
            ApiKey::FindCoordinator,
            |call, response: &mut FindCoordinatorResponse| {
                for coordinator in &mut response.coordinators {
                    coordinator.error_code = if call.number < 2 { NOT_AVAILABLE } else { 0 };
                }
            },
        )
        .change(
            ApiKey::ListGroups,
            |call, response: &mut ListGroupsResponse| {
                response.error_code = if call.number < 6 { LOADING } else { 0 };
            },
        )
        .change(
            ApiKey::OffsetCommit,
            |call, response: &mut OffsetCommitResponse| {
                for row in response
                    .topics
                    .iter_mut()
                    .flat_map(|topic| &mut topic.partitions)
                {
                    row.error_code = if call.number < 3 { LOADING } else { 0 };
                }
            },
        );
    let lines = lines(&topic, &[(0, 3)]);
    let commit = || {
        let commit = cmd("kcat-lite").args(["--commit", &group, "-b", &proxy.bootstrap()]);
        commit.stdin(lines.as_str()).run()
    };
    commit()
        .succeeds()
        .stdout_is(format!("{topic}\t0\t\\N\t3\n"));
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 3)]));
}

#[test]
fn a_coordinator_that_falls_silent_ends_in_time_and_what_is_not_known_is_said() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = timed(kafka);
    let lines = lines(&topic, &[(0, 3), (1, 2)]);
    let commit = |proxy: &Interceptor, group: &str, api| {
        let started = Instant::now();
        let commit = cmd("kcat-lite").args(["--commit", group, "-b", &proxy.bootstrap()]);
        let ended = commit
            .args(["-m", "3"])
            .stdin(lines.as_str())
            .run()
            .fails_with(2);
        assert!(started.elapsed() < Duration::from_secs(5), "{api:?}");
        ended.stdout_is("")
    };
    // Before the coordinator has seen a commit nothing can have been committed.
    for api in [
        ApiKey::FindCoordinator,
        ApiKey::ListGroups,
        ApiKey::OffsetFetch,
    ] {
        let group = session::unique("unseen");
        let proxy = Interceptor::before(&kafka.bootstrap()).on(api, |_, _| Then::Silence);
        commit(&proxy, &group, api).stderr_has("nothing was committed: ");
        assert_eq!(kafka.committed(&group, &topic), BTreeMap::new(), "{api:?}");
    }
    let group = session::unique("silent");
    let proxy = Interceptor::before(&kafka.bootstrap());
    let proxy = proxy.on(ApiKey::OffsetCommit, |_, _| Then::Silence);
    commit(&proxy, &group, ApiKey::OffsetCommit)
        .stderr_has(format!(
            "{topic} [0]: it is not known whether this was committed"
        ))
        .stderr_has(format!("2 of 2 positions of group {group}"));
    assert_eq!(
        kafka.committed(&group, &topic),
        BTreeMap::from([(0, 3), (1, 2)])
    );
}
