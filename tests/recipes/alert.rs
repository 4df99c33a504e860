use super::{Recipe, recipe};
use crate::testkit::broker::{Kafka, Spec, own_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::cmd;
use crate::testkit::output::Output;
use crate::testkit::running::Running;
use crate::testkit::{free_port, http, java, session, witness};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn alerts() -> Recipe {
    recipe("Alert when a group is late, by cron or Prometheus")
}

/// Two groups that have read one record of two: the second one has waited for `late` since an hour ago.
fn two_groups(kafka: &Kafka) -> String {
    let hours_ago = |hours: i64| Some(jiff::Timestamp::now().as_millisecond() - hours * 3_600_000);
    for (group, hours) in [("fine", 0), ("late", 1)] {
        let topic = format!("{group}-topic");
        kafka.create_topic(&topic, 1, &[]);
        let record = |value: &str| Record {
            timestamp_ms: hours_ago(hours),
            ..Record::of(value)
        };
        kafka.produce(&topic, &[record("one"), record("two")]);
        read(kafka, group, if group == "late" { "1" } else { "2" });
    }
    "late-topic".to_owned()
}

fn read(kafka: &Kafka, group: &str, count: &str) {
    cmd("kcat-lite")
        .args(["-b", &kafka.bootstrap(), "-G", group, "-q", "-c", count])
        .args(["-X", "auto.offset.reset=earliest"])
        .arg(format!("{group}-topic"))
        .run()
        .succeeds();
}

/// Runs the recipe's crontab as cron would: its variables are the environment, its commands are the shell's.
fn as_cron(crontab: &str, brokers: &str) -> Vec<Output> {
    let mut ran = Vec::new();
    let mut names = Vec::new();
    for line in crontab.lines() {
        if let Some((name, _)) = line.split_once('=').filter(|(name, _)| !name.contains(' ')) {
            names.push(name);
            continue;
        }
        // Five fields say when.
        let command = line.splitn(6, ' ').nth(5).expect("a time and a command");
        let run = cmd("sh").args(["-c", command]);
        ran.push(run.env("KAFKA_BROKERS", brokers).run());
    }
    assert_eq!(names, ["PATH", "KAFKA_BROKERS"]);
    ran
}

#[test]
fn cron_mails_nothing_while_all_is_well_and_the_late_group_when_not() {
    let Some(kafka) = own_kafka() else { return };
    let recipe = alerts();
    let crontab = recipe.text("crontab", 0);
    two_groups(&kafka);
    let mails = as_cron(crontab, &kafka.bootstrap());
    assert_eq!(mails.len(), 1);
    for mail in mails {
        let mail = mail.fails_with(1).stderr_is("");
        let text = mail.text();
        assert!(
            text.contains("late ") && text.contains("over 10m"),
            "{text}"
        );
        assert!(!text.contains("fine"), "{text}");
    }
    read(&kafka, "late", "1");
    for mail in as_cron(crontab, &kafka.bootstrap()) {
        mail.succeeds().stdout_is("").stderr_is("");
    }
    // A cluster that does not answer is no silence either.
    for mail in as_cron(crontab, "127.0.0.1:1") {
        mail.fails_with(2).stderr_has("127.0.0.1:1");
    }
}

/// The alerts that fire in a Prometheus: name, group, topic and cluster.
fn firing(prometheus: &str) -> Option<BTreeSet<String>> {
    let answer = get(prometheus, "/api/v1/alerts")?;
    let alerts = answer["data"]["alerts"].as_array()?;
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    let name = |alert: &serde_json::Value| {
        let label = |name: &str| alert["labels"][name].as_str().unwrap_or("").to_owned();
        let parts = ["alertname", "group", "topic", "cluster_name"].map(label);
        parts.join(" ")
    };
    Some(firing.map(name).collect())
}

fn get(prometheus: &str, path: &str) -> Option<serde_json::Value> {
    let answer = http::get(prometheus, path).ok()?;
    serde_json::from_slice(&answer.body).ok()
}

#[track_caller]
fn wait_until(prometheus: &str, what: &str, is_so: impl Fn(&BTreeSet<String>) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let firing = firing(prometheus);
        if firing.as_ref().is_some_and(&is_so) {
            return;
        }
        assert!(Instant::now() < deadline, "not {what}: {firing:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until these alerts fire and no other.
#[track_caller]
fn wait_for(prometheus: &str, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    wait_until(prometheus, &format!("{wanted:?}"), |firing| {
        *firing == wanted
    });
}

/// Waits until this many looks at the cluster have been taken.
fn wait_for_looks(prometheus: &str, count: f64) {
    let deadline = Instant::now() + PATIENCE;
    let query = "/api/v1/query?query=min(count_over_time(klag_scrape_success%5B10m%5D))";
    loop {
        let answer = get(prometheus, query);
        let value = answer.as_ref().and_then(|answer| {
            let value = &answer["data"]["result"][0]["value"][1];
            value.as_str()?.parse::<f64>().ok()
        });
        if value.is_some_and(|value| value >= count) {
            return;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The recipe's exporter at this port, looking at this cluster, with more options.
fn exporter(kafka: &Kafka, port: u16, options: &str) -> Running {
    let run = alerts().text("sh", 0).to_owned();
    assert!(run.contains("kafka1:9092") && run.contains("127.0.0.1:9308"));
    let run = run.replace("kafka1:9092", &kafka.bootstrap());
    let run = run.replace("127.0.0.1:9308", &format!("127.0.0.1:{port}"));
    let mut klag = crate::testkit::command::shell(&format!("exec {} {options}", run.trim_end()))
        .limit(Duration::from_secs(300))
        .start();
    klag.stderr_until("/metrics\n", PATIENCE);
    klag
}

/// The recipe's Prometheus with a target for each port, the first of the recipe's cluster and the second of another.
fn prometheus(ports: [u16; 2]) -> Option<(Running, String)> {
    let (promtool, prometheus) = (
        witness::installed("promtool")?,
        witness::installed("prometheus")?,
    );
    let folder = session::folder("prometheus");
    let recipe = alerts();
    let config = recipe.text("yaml", 0);
    let target = config.find("      - targets").expect("a target");
    let (head, target) = config.split_at(target);
    assert!(target.contains("127.0.0.1:9308") && target.contains("cluster_name: main"));
    let at = |port: u16| target.replace("127.0.0.1:9308", &format!("127.0.0.1:{port}"));
    let other = at(ports[1]).replace("cluster_name: main", "cluster_name: other");
    // What a production waits for in minutes has to come in seconds here; nothing else is changed.
    let quick = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n";
    let config = format!("{quick}{head}{}{other}", at(ports[0]));
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let rules = include_str!("../../klag/klag.rules.yml");
    let rules = rules
        .replace("for: 5m", "for: 2s")
        .replace("for: 10m", "for: 2s");
    std::fs::write(folder.join("klag.rules.yml"), rules).unwrap();
    let check = promtool.args(["check", "config", "prometheus.yml"]);
    check
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_has("12 rules found");
    let own = format!("127.0.0.1:{}", free_port());
    let running = prometheus
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address={own}"))
        .inside(&folder)
        .limit(Duration::from_secs(300))
        .start();
    Some((running, own))
}

fn commit(kafka: &Kafka, group: &str, topic: &str, offset: i64) {
    let client: BaseConsumer = kafka.config().set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset))
        .unwrap();
    client.commit(&list, CommitMode::Sync).unwrap();
}

/// A member of a group that has read a record and never commits; it is one until it is dropped.
fn member(kafka: &Kafka, group: &str, topic: &str) -> BaseConsumer {
    let client: BaseConsumer = kafka
        .config()
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    client.subscribe(&[topic]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while client.poll(Duration::from_millis(100)).is_none() {
        assert!(Instant::now() < deadline, "nothing was read");
    }
    client
}

#[test]
fn prometheus_fires_for_each_state_that_is_not_well_and_for_nothing_else() {
    let ports = [free_port(), free_port()];
    let Some((_prometheus, own)) = prometheus(ports) else {
        return;
    };
    let Some(kafka) = own_kafka() else { return };
    // A healthy new cluster: a group that has read all, a topic that nobody reads, the cluster's own topics.
    kafka.create_topic("unread", 1, &[]);
    kafka.produce("unread", &[Record::of("x")]);
    kafka.create_topic("well-topic", 1, &[]);
    kafka.produce("well-topic", &[Record::of("one"), Record::of("two")]);
    read(&kafka, "well", "2");
    let klags = ports.map(|port| exporter(&kafka, port, ""));
    wait_for_looks(&own, 8.0);
    wait_for(&own, &[]);

    // A live member that never commits, commits beyond the end, and a group that is late.
    kafka.create_topic("stuck-topic", 1, &[]);
    kafka.produce("stuck-topic", &[Record::of("x")]);
    let stuck = member(&kafka, "stuck", "stuck-topic");
    commit(&kafka, "beyond", "well-topic", 100);
    two_groups(&kafka);
    let on = |cluster: &str| {
        let names = [
            "ConsumerNeverCommitted stuck stuck-topic",
            "CommittedBeyondEnd beyond well-topic",
            "ConsumerLate late ",
        ];
        names.map(|name| format!("{name} {cluster}"))
    };
    let both: Vec<String> = on("main").into_iter().chain(on("other")).collect();
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    wait_for(&own, &both);

    // All of it is mended.
    drop(stuck);
    commit(&kafka, "stuck", "stuck-topic", 1);
    commit(&kafka, "beyond", "well-topic", 2);
    read(&kafka, "late", "1");
    wait_for(&own, &[]);

    // Offsets that are gone while the group is there, and a group that is gone as a whole.
    commit(&kafka, "beyond", "stuck-topic", 1);
    let seen = "/api/v1/query?query=kafka_consumergroup_group_offset%7Bgroup%3D%22beyond%22%2Ctopic%3D%22stuck-topic%22%7D";
    let deadline = Instant::now() + PATIENCE;
    while get(&own, seen).is_none_or(|answer| answer["data"]["result"][1].is_null()) {
        assert!(Instant::now() < deadline, "{:?}", get(&own, seen));
        std::thread::sleep(Duration::from_millis(200));
    }
    let tool = java::tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
    let tool = tool.expect("the cluster's own tools are where it is");
    tool.args([
        "--bootstrap-server",
        &kafka.bootstrap(),
        "--group",
        "beyond",
    ])
    .args(["--delete-offsets", "--topic", "stuck-topic"])
    .run()
    .succeeds();
    kafka.delete_group("well");
    let on = |cluster: &str| {
        let names = [
            "OffsetsGone beyond stuck-topic",
            "OffsetsGone well well-topic",
            "GroupGone well ",
        ];
        names.map(|name| format!("{name} {cluster}"))
    };
    let both: Vec<String> = on("main").into_iter().chain(on("other")).collect();
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    wait_for(&own, &both);

    // One exporter of two is dead: of the other cluster nothing changes.
    let [main, other] = klags;
    drop(other);
    let main_alone: Vec<String> = on("main").into();
    let mut wanted: Vec<&str> = main_alone.iter().map(String::as_str).collect();
    wanted.push("ExporterDown   other");
    wait_for(&own, &wanted);

    // It comes back with a name that is misspelt: what it names is not seen, and nothing else is gone for that.
    let other = exporter(&kafka, ports[1], "-g misspelt");
    wanted.pop();
    wanted.extend(["SelectionUnmatched   other", "LagUnknown   other"]);
    wait_for(&own, &wanted);
    drop(other);

    // Nobody answers: all that is said is that nothing is known, by klag or by Prometheus, which waits for a second.
    kafka.pause(1);
    wait_until(&own, "an alert that nothing is seen", |firing| {
        let is_unknown =
            |name: &String| name == "LagUnknown   main" || name == "ExporterDown   main";
        let is_known = |name: &&String| !is_unknown(name) && *name != "ExporterDown   other";
        firing.iter().any(is_unknown) && firing.iter().find(is_known).is_none()
    });
    kafka.resume(1);
    drop(main);
}

/// The value of a query that has one.
fn number(prometheus: &str, query: &str) -> Option<f64> {
    let query = query
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace('"', "%22");
    let query = query.replace('[', "%5B").replace(']', "%5D");
    let answer = get(prometheus, &format!("/api/v1/query?query={query}"))?;
    let value = &answer["data"]["result"][0]["value"][1];
    value.as_str()?.parse().ok()
}

#[test]
fn a_broker_that_is_away_looks_like_no_write_to_a_topic() {
    let ports = [free_port(), free_port()];
    let Some((_prometheus, own)) = prometheus(ports) else {
        return;
    };
    let Some(kafka) = Spec::new().brokers(3).start() else {
        return;
    };
    let topic = session::unique("steady");
    let wanted = NewTopic::new(&topic, 3, TopicReplication::Fixed(1));
    let created = kafka.admin().create_topics([&wanted], &AdminOptions::new());
    futures_executor::block_on(created).unwrap();
    let records = (0..30).map(|n| Record {
        partition: Some(n % 3),
        ..Record::of("x")
    });
    kafka.produce(&topic, &records.collect::<Vec<_>>());
    let _klag = exporter(&kafka, ports[0], "");
    let latest = format!("kafka_partition_latest_offset{{topic=\"{topic}\"}}");
    let wait_for = |is_so: &dyn Fn(Option<f64>) -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(number(&own, &latest)) {
            assert!(Instant::now() < deadline, "{:?}", number(&own, &latest));
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    wait_for(&|end| end == Some(30.0));
    kafka.pause(3);
    wait_for(&|end| end.is_none());
    kafka.resume(3);
    wait_for(&|end| end == Some(30.0));
    let range = format!("{latest}[10m]");
    assert_eq!(number(&own, &format!("resets({range})")), Some(0.0));
    assert_eq!(number(&own, &format!("increase({range})")), Some(0.0));
}
