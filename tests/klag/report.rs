//! Which rows there are, in which order and format, and the exit code.

use super::{Member, SOON, commit, klag, now_ms, rows};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Terminal, cmd};
use crate::testkit::session;
use crate::testkit::witness;
use rustix::process::Signal;
use std::time::Duration;

const HOUR_MS: i64 = 3_600_000;

/// Two topics of two partitions with 10 records each, and three groups; everything begins with the same words.
struct World {
    kafka: &'static Kafka,
    name: String,
}

/// One world for all tests here, which only look at it.
fn world() -> Option<&'static World> {
    static WORLD: std::sync::OnceLock<Option<World>> = std::sync::OnceLock::new();
    WORLD.get_or_init(build).as_ref()
}

fn build() -> Option<World> {
    let kafka = shared_kafka()?;
    let name = session::unique("world");
    for topic in ["a", "b"] {
        let topic = format!("{name}-{topic}");
        kafka.create_topic(&topic, 2, &[]);
        let records = (0..20).map(|n| Record {
            partition: Some(n % 2),
            timestamp_ms: Some(super::now_ms() - HOUR_MS),
            ..Record::of("x")
        });
        kafka.produce(&topic, &records.collect::<Vec<_>>());
    }
    for (group, topic, offsets) in [
        ("1", "a", [(0, 10), (1, 9)]),
        ("2", "a", [(0, 5), (1, 0)]),
        ("2", "b", [(0, 10), (1, 10)]),
        ("3", "b", [(0, 8), (1, 7)]),
    ] {
        commit(
            kafka,
            &format!("{name}-{group}"),
            &format!("{name}-{topic}"),
            &offsets,
        );
    }
    Some(World { kafka, name })
}

impl World {
    fn klag(&self, args: &[&str]) -> crate::testkit::command::Cmd {
        klag(self.kafka, &format!("^{}", self.name)).args(args)
    }

    /// Some columns of the rows in TSV, without the words that all names begin with.
    #[track_caller]
    fn cells(&self, args: &[&str], columns: &[usize]) -> Vec<String> {
        let output = self.klag(args).run().succeeds();
        let prefix = format!("{}-", self.name);
        output
            .lines()
            .iter()
            .map(|line| {
                let cells: Vec<&str> = line.split('\t').collect();
                let cells: Vec<&str> = columns.iter().map(|&at| cells[at]).collect();
                cells.join(" ").replace(&prefix, "")
            })
            .collect()
    }
}

#[test]
fn rows_are_selected_and_ordered() {
    let Some(world) = world() else { return };
    let lags = |args: &[&str]| world.cells(args, &[0, 1, 2, 10]);
    let all = [
        "1 a 0 0", "1 a 1 1", "2 a 0 5", "2 a 1 10", "2 b 0 0", "2 b 1 0", "3 b 0 2", "3 b 1 3",
    ];
    assert_eq!(lags(&[]), all);
    let topic_b = format!("{}-b", world.name);
    assert_eq!(lags(&["-t", &topic_b]), &all[4..]);
    assert_eq!(lags(&["--exclude", &topic_b]), &all[..4]);
    assert_eq!(
        lags(&["--exclude", "^.*-2$"]),
        ["1 a 0 0", "1 a 1 1", "3 b 0 2", "3 b 1 3"]
    );
    assert_eq!(
        lags(&["--sort", "lag", "--top", "3"]),
        ["2 a 1 10", "2 a 0 5", "3 b 1 3"]
    );
    let topics = lags(&["--sort", "topic"]);
    assert_eq!(topics[..3], ["1 a 0 0", "2 a 0 5", "1 a 1 1"]);
}

#[test]
fn rows_are_summed() {
    let Some(world) = world() else { return };
    // group state partitions lag
    let groups = world.cells(&["--by", "group"], &[0, 1, 2, 3]);
    assert_eq!(groups, ["1 Empty 2 1", "2 Empty 4 15", "3 Empty 2 5"]);
    let topics = world.cells(&["--by", "topic", "--sort", "lag"], &[0, 1, 2]);
    assert_eq!(topics, ["a 4 16", "b 4 5"]);
    let topic = world.kafka.topic("summed", 2, &[]);
    world.kafka.produce(&topic, &[Record::of("x")]);
    let member = Member::join(world.kafka, &topic, &topic, "classic");
    member.commit(&topic, &[(0, 0), (1, 0)]);
    let output = klag(world.kafka, &topic)
        .args(["-J", "--by", "member"])
        .run();
    let row = &rows(output.succeeds().text())[0];
    assert_eq!(
        (&row["client"], &row["partitions"], &row["lag"]),
        (&"reader".into(), &2.into(), &1.into())
    );
}

#[test]
fn a_check_is_silent_within_its_limits_and_names_what_exceeds_them() {
    let Some(world) = world() else { return };
    let check = |args: &[&str]| world.klag(args).run();
    check(&[
        "--max-lag",
        "10",
        "--max-time",
        "2h",
        "--max-lost",
        "0",
        "--max-stale",
        "2h",
    ])
    .succeeds()
    .stdout_is("")
    .stderr_is("");
    let over = check(&["--max-lag", "9"]).fails_with(1).stderr_is("");
    assert_eq!(over.lines().len(), 1);
    over.stdout_has("-2\t").stdout_has("\tlag 10 over 9\n");
    let late = check(&["--max-time", "30m"]).fails_with(1);
    assert_eq!(late.lines().len(), 5, "all that have anything unread");
    let stale = check(&["--max-stale", "30m"]).fails_with(1);
    assert_eq!(stale.lines().len(), 8);
    stale.stdout_has("nothing was produced for more than 30m");
    let sum = check(&["--max-lag", "10", "--by", "group"]).fails_with(1);
    assert_eq!(sum.lines().len(), 1);
    sum.stdout_has("lag 15 over 10");
}

#[test]
fn limits_come_from_a_file_too() {
    let Some(world) = world() else { return };
    let folder = session::folder("limits");
    let file = folder.join("limits");
    let name = &world.name;
    std::fs::write(
        &file,
        format!("\u{feff}{name}-2 ^{name} 10\r\n# known to be slow\n* {name}-b 4\n"),
    )
    .unwrap();
    let typed = format!("@{}", file.display());
    world
        .klag(&["--max-lag", &typed])
        .run()
        .succeeds()
        .stdout_is("");
    let over = world
        .klag(&["--max-lag", &typed, "--max-lag", "0"])
        .run()
        .fails_with(1);
    assert_eq!(over.lines().len(), 1);
    over.stdout_has("lag 1 over 0");
    std::fs::write(&file, "a b\n").unwrap();
    world
        .klag(&["--max-lag", &typed])
        .run()
        .fails_with(2)
        .stderr_has("line 1");
}

#[test]
fn the_unknown_trips_a_limit_unless_it_is_let_pass() {
    let Some(world) = world() else { return };
    let kafka = world.kafka;
    let topic = kafka.topic("unknown", 2, &[]);
    let in_partition = |partition| Record {
        partition: Some(partition),
        ..Record::of("x")
    };
    kafka.produce(&topic, &[in_partition(0)]);
    commit(kafka, &topic, &topic, &[(0, 1)]);
    let check = |args: &[&str]| {
        klag(kafka, &topic)
            .args(["--max-lag", "0"])
            .args(args)
            .run()
    };
    // Of the other partition nothing was ever written, so that nothing is unread there.
    check(&[]).succeeds().stdout_is("");
    kafka.produce(&topic, &[in_partition(1)]);
    for rule in [&[][..], &["--unknown", "fail"]] {
        let failed = check(rule).fails_with(1);
        assert_eq!(failed.lines().len(), 1);
        failed.stdout_has("never committed");
        check(rule)
            .fails_with(1)
            .expect(|output| output.stderr.is_empty(), "all was seen");
    }
    check(&["--unknown", "pass"]).succeeds().stdout_is("");
    let sum = check(&["--by", "group", "-J"]).fails_with(1);
    let sum = &rows(sum.text())[0];
    assert_eq!(sum["note"], "1 partition unknown");
    assert_eq!(
        (&sum["partitions"], &sum["partitions_unknown"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn every_format_has_the_same_columns() {
    let Some(world) = world() else { return };
    let columns = "group,topic,partition,state,member,client,host,committed,start,end,lag,lost,blocked,time_lag,note";
    let csv = world.klag(&["-o", "csv"]).run().succeeds();
    assert_eq!(csv.lines()[0], columns);
    let tsv = world.klag(&["--header"]).run().succeeds();
    assert_eq!(tsv.lines()[0], columns.replace(',', "\t"));
    assert_eq!(world.klag(&[]).run().succeeds().lines().len(), 8);
    let json = world
        .klag(&["-o", "json", "--cluster", "here"])
        .run()
        .succeeds();
    let row = &rows(json.text())[0];
    let names: Vec<&String> = row.as_object().unwrap().keys().collect();
    let expected = format!("cluster,{columns}");
    assert_eq!(names, expected.split(',').collect::<Vec<_>>());
    assert_eq!(row["cluster"], "here");
    let table = world
        .klag(&["--time"])
        .on_terminal(Terminal {
            stdout: true,
            ..Terminal::default()
        })
        .run();
    let table = table.succeeds();
    let screen = String::from_utf8_lossy(&table.screen);
    // The terminal has 80 columns: what is the same in all rows stands above the table.
    assert!(screen.starts_with("STATE: Empty"), "{screen}");
    assert!(
        screen.lines().any(|line| line.starts_with("GROUP")),
        "{screen}"
    );
    assert!(
        screen.lines().all(|line| line.trim_end().len() <= 80),
        "{screen}"
    );
}

#[test]
fn rates_are_of_two_looks_or_of_the_last_hour() {
    let Some(world) = world() else { return };
    let kafka = world.kafka;
    let topic = kafka.topic("rates", 1, &[]);
    kafka.produce(&topic, &vec![Record::of("x"); 100]);
    commit(kafka, &topic, &topic, &[(0, 10)]);
    let mut running = klag(kafka, &topic).args(["-J", "--rate", "4s"]).start();
    std::thread::sleep(Duration::from_secs(2));
    kafka.produce(&topic, &vec![Record::of("x"); 40]);
    commit(kafka, &topic, &topic, &[(0, 90)]);
    assert!(running.runs());
    let output = running.wait().succeeds();
    let row = &rows(output.text())[0];
    let number = |name: &str| row[name].as_f64().unwrap();
    // A loaded machine looks later, never earlier.
    assert!(
        number("produced") <= 10.0 && number("produced") > 1.0,
        "{row}"
    );
    assert!(
        (number("consumed") / number("produced") - 2.0).abs() < 1e-6,
        "{row}"
    );
    let catch_up_s = number("lag") / (number("consumed") - number("produced"));
    assert!(
        (number("catch_up") / 1000.0 - catch_up_s).abs() < 0.1,
        "{row}"
    );
    assert_eq!((&row["status"], &row["lag"]), (&"ok".into(), &50.into()));

    let one_look = klag(kafka, &topic).args(["-J", "--rate"]).run().succeeds();
    let row = &rows(one_look.text())[0];
    let produced = row["produced"].as_f64().unwrap();
    assert!((produced - 140.0 / 3600.0).abs() < 1e-9, "{row}");
    assert_eq!(row["consumed"], serde_json::Value::Null);

    // A record with a future timestamp is in no hour: not at first, not at last, not between.
    let day_ms = 24 * 3_600_000;
    let far = [("message.timestamp.after.max.ms", "9223372036854775807")];
    let at = |ms: i64| Record {
        timestamp_ms: Some(now_ms() + ms),
        ..Record::of("x")
    };
    let (ahead, old) = (at(day_ms), at(-day_ms));
    let mixed = kafka.topic("rates-ahead", 1, &far);
    kafka.produce(&mixed, &[ahead.clone(), old.clone(), ahead.clone()]);
    kafka.produce(&mixed, &vec![at(-60_000); 18]);
    kafka.produce(&mixed, &vec![ahead.clone(); 500]);
    let behind = kafka.topic("rates-behind", 1, &far);
    kafka.produce(&behind, &[old, ahead]);
    for (topic, expected) in [(mixed, Some(18.0)), (behind, None)] {
        commit(kafka, &topic, &topic, &[(0, 1)]);
        let one_look = klag(kafka, &topic).args(["-J", "--rate"]).run().succeeds();
        let row = &rows(one_look.text())[0];
        let produced = row["produced"].as_f64();
        let produced = produced.map(|rate| (rate * 3600.0).round());
        assert_eq!(produced, expected);
        let said = "produce rate unknown: all records have a future timestamp";
        let has_reason = row["note"].as_str().unwrap().contains(said);
        assert_eq!(has_reason, expected.is_none(), "{row}");
    }

    let still = klag(kafka, &topic)
        .args(["-J", "--rate", "200ms"])
        .run()
        .succeeds();
    assert_eq!(rows(still.text())[0]["status"], "stopped");
    let member = Member::join(kafka, &topic, &topic, "classic");
    let still = klag(kafka, &topic)
        .args(["-J", "--rate", "200ms"])
        .run()
        .succeeds();
    assert_eq!(rows(still.text())[0]["status"], "stalled");
    drop(member);
}

#[test]
fn a_watched_report_comes_again_until_a_signal() {
    let Some(world) = world() else { return };
    let mut running = world
        .klag(&["--watch", "200ms", "--by", "group", "-J"])
        .start();
    let seen = running.stdout_until("\n", SOON);
    assert!(String::from_utf8(seen).unwrap().starts_with("{\"time\":"));
    std::thread::sleep(Duration::from_secs(1));
    running.signal(Signal::TERM);
    let output = running.wait().succeeds();
    let times: std::collections::BTreeSet<i64> = rows(output.text())
        .iter()
        .map(|row| row["time"].as_i64().unwrap())
        .collect();
    assert!(times.len() >= 2, "{times:?}");
    assert_eq!(output.lines().len() % 3, 0, "no block is a part of one");
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let Some(world) = world() else { return };
    let folder = session::folder("textfile");
    let file = folder.join("klag.prom");
    std::fs::write(&file, "old\n").unwrap();
    let path = file.display().to_string();
    let write = world.klag(&[
        "-o",
        "prometheus",
        "--time",
        "--write",
        &path,
        "--cluster",
        "c",
    ]);
    write.run().succeeds().stdout_is("");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# HELP ") && text.ends_with('\n'));
    assert!(text.contains("klag_scrape_success{cluster_name=\"c\",part=\"offsets\"} 1\n"));
    assert_eq!(folder.read_dir().unwrap().count(), 1);
    world
        .klag(&["--write", "/nowhere/klag.tsv"])
        .run()
        .fails_with(2)
        .stderr_has("/nowhere/klag.tsv");
}

#[test]
fn promtool_takes_the_metrics() {
    let Some(world) = world() else { return };
    let Some(promtool) = witness::installed("promtool") else {
        return;
    };
    let metrics = world.klag(&["-o", "prometheus", "--time"]).run().succeeds();
    let checked = promtool
        .args(["check", "metrics"])
        .stdin(&metrics.stdout)
        .run();
    // Names are those that users have; what promtool calls their style is not asked for.
    assert!(
        !checked.story().contains("error while linting"),
        "{}",
        checked.story()
    );
}

#[test]
fn a_reader_that_has_enough_and_a_full_disk_are_told_apart() {
    let Some(world) = world() else { return };
    world
        .klag(&[])
        .stdout_to("/dev/full")
        .run()
        .fails_with(2)
        .stderr_has("cannot write to standard output");
    let bootstrap = world.kafka.bootstrap();
    crate::testkit::command::shell("klag -b \"$BROKERS\" -m 20 -g \"^$NAME\" | head -1")
        .env("BROKERS", &bootstrap)
        .env("NAME", &world.name)
        .run()
        .succeeds()
        .expect(|output| output.lines().len() == 1, "one line");
}

#[test]
fn no_contact_says_why() {
    cmd("klag")
        .args(["-b", "127.0.0.1:1", "-m", "1"])
        .run()
        .fails_with(2)
        .stderr_has("Connection refused");
    cmd("klag").run().fails_with(2).stderr_has("-b");
}
