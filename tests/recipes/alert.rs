use super::{Recipe, recipe};
use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::output::Output;
use crate::testkit::session;
use crate::testkit::witness;
use std::net::TcpListener;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn alerts() -> Recipe {
    recipe("Be told when a group is late, by cron or by Prometheus")
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
    let Some(kafka) = Spec::new().start() else {
        return;
    };
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

/// A port that nobody has.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The names and groups of the alerts that fire in a Prometheus.
fn firing(prometheus: &str) -> Option<Vec<String>> {
    let mut stream = std::net::TcpStream::connect(prometheus).ok()?;
    let mut answer = String::new();
    std::io::Write::write_all(
        &mut stream,
        b"GET /api/v1/alerts HTTP/1.0\r\nHost: prometheus\r\n\r\n",
    )
    .ok()?;
    std::io::Read::read_to_string(&mut stream, &mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    let alerts = answer["data"]["alerts"].as_array()?;
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
    let name = |alert: &serde_json::Value| {
        let summary = &alert["annotations"]["summary"];
        format!("{}: {}", text(&alert["labels"]["alertname"]), text(summary))
    };
    Some(firing.map(name).collect())
}

#[track_caller]
fn wait_until(prometheus: &str, what: &str, is_so: impl Fn(&[String]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let firing = firing(prometheus);
        if firing.as_deref().is_some_and(&is_so) {
            return;
        }
        assert!(Instant::now() < deadline, "not {what}: {firing:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn prometheus_fires_for_the_late_group_alone_and_is_quiet_when_it_has_caught_up() {
    let (Some(promtool), Some(prometheus)) = (
        witness::installed("promtool"),
        witness::installed("prometheus"),
    ) else {
        return;
    };
    let Some(kafka) = Spec::new().start() else {
        return;
    };
    let recipe = alerts();
    two_groups(&kafka);
    let (exporter, own) = (free_port(), free_port());
    let exporter_is_at = format!("127.0.0.1:{exporter}");
    let run = recipe.text("sh", 0);
    assert!(run.contains("kafka1:9092") && run.contains("127.0.0.1:9308"));
    let run = run.replace("kafka1:9092", &kafka.bootstrap());
    let run = run.replace("127.0.0.1:9308", &exporter_is_at);
    let mut klag = crate::testkit::command::shell(&format!("exec {run}"))
        .limit(Duration::from_secs(300))
        .start();
    klag.stderr_until("/metrics\n", PATIENCE);

    // What a production waits for in minutes has to come in seconds here; nothing else is changed.
    let folder = session::folder("prometheus");
    let config = recipe.text("yaml", 0);
    assert!(config.contains("127.0.0.1:9308"));
    let config = config.replace("127.0.0.1:9308", &exporter_is_at);
    let quick = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n";
    std::fs::write(folder.join("prometheus.yml"), format!("{quick}{config}")).unwrap();
    let rules = recipe.text("yaml", 1);
    std::fs::write(folder.join("klag.rules.yml"), rules).unwrap();
    let check = |promtool: Cmd| {
        let check = promtool.args(["check", "config", "prometheus.yml"]);
        check.inside(&folder).run().succeeds()
    };
    check(promtool.clone()).stdout_has("3 rules found");
    let soon = rules.replace("for: 5m", "for: 2s");
    let soon = soon.replace("for: 10m", "for: 2s");
    std::fs::write(folder.join("klag.rules.yml"), soon).unwrap();

    let own_is_at = format!("127.0.0.1:{own}");
    let _prometheus = prometheus
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address={own_is_at}"))
        .inside(&folder)
        .limit(Duration::from_secs(300))
        .start();
    wait_until(&own_is_at, "one alert, of the late group", |firing| {
        firing.len() == 1
            && firing[0].starts_with("ConsumerLate: late is 1h")
            && firing[0].ends_with(" late")
    });
    read(&kafka, "late", "1");
    wait_until(&own_is_at, "quiet", <[String]>::is_empty);
    drop(klag);
    wait_until(&own_is_at, "an alert that klag is gone", |firing| {
        firing.len() == 1 && firing[0].starts_with("LagUnknown")
    });
}
