//! Leaders that are gone, brokers that hang: their rows say so, and the others are as they should be.

use super::{at, koldest, now_ms, rows};
use crate::testkit::broker::Spec;
use crate::testkit::cluster::{Cluster, Record};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use std::time::{Duration, Instant};

#[test]
fn a_broker_that_hangs_or_is_gone_costs_its_own_rows_only() {
    let Some(kafka) = Spec::new().brokers(3).start() else {
        return;
    };
    // One replica each: nobody else can lead what a broker takes with it.
    let topic = crate::testkit::session::unique("failing");
    let wanted = NewTopic::new(&topic, 6, TopicReplication::Fixed(1));
    let made = kafka.admin().create_topics([&wanted], &AdminOptions::new());
    assert_eq!(
        futures_executor::block_on(made).unwrap(),
        [Ok(topic.clone())]
    );
    let records: Vec<Record> = (0..6)
        .map(|n| Record {
            partition: Some(n),
            ..at(now_ms(), "x")
        })
        .collect();
    kafka.produce(&topic, &records);
    let whole = koldest(&kafka, &["-J", &topic]).run().succeeds();
    assert_eq!(rows(&whole).len(), 6);
    kafka.pause(3);
    let started = Instant::now();
    let paused = koldest(&kafka, &["-J", "-m", "2", &topic])
        .limit(Duration::from_secs(20))
        .run()
        .fails_with(2);
    let took = started.elapsed();
    kafka.resume(3);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let (good, bad): (Vec<_>, Vec<_>) = rows(&paused)
        .into_iter()
        .partition(|row| row["oldest_offset"] == 0);
    assert_eq!((good.len(), bad.len()), (4, 2), "{good:?} {bad:?}");
    for row in bad {
        assert!(row["note"].as_str().unwrap().contains("broker 3"), "{row}");
        assert!(row["records"].is_null());
    }
    for row in good {
        assert_eq!(row["records"], 1);
        assert!(row["bytes"].as_i64().is_some(), "{row}");
        assert_eq!(row["binds"], "time", "{row}");
    }
    let disks = || koldest(&kafka, &["-J", "-m", "3", "--by", "broker"]).run();
    disks().succeeds();
    kafka.kill(3);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let killed = koldest(&kafka, &["-J", "-m", "3", &topic])
            .limit(Duration::from_secs(20))
            .run()
            .fails_with(2);
        let rows = rows(&killed);
        assert_eq!(rows.len(), 6);
        let leaderless = rows.iter().filter(|row| {
            row["note"]
                .as_str()
                .is_some_and(|note| note.contains("eader not available"))
        });
        if leaderless.count() == 2 {
            killed.stderr_has("eader not available");
            break;
        }
        assert!(Instant::now() < deadline, "{rows:?}");
        std::thread::sleep(Duration::from_millis(300));
    }
    // Nobody lists it any more, and it has not left.
    let fenced = disks().fails_with(2);
    let fenced = fenced.stderr_has("broker 3: not in the cluster now, and ");
    assert_eq!(super::rows(&fenced).len(), 3, "{}", fenced.story());
    let metrics = koldest(&kafka, &["-o", "prometheus", "--by", "broker"]);
    metrics
        .run()
        .fails_with(2)
        .stdout_has("koldest_scrape_success 0\n");
}

#[test]
fn a_cluster_that_is_not_there_is_told_and_ends_with_2() {
    crate::testkit::command::cmd("koldest")
        .args(["-b", "127.0.0.1:1", "-m", "1"])
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("Connection refused");
}

#[test]
fn a_file_of_metrics_says_that_nobody_answered() {
    let folder = crate::testkit::session::folder("failed-write");
    for (program, format, said) in [
        ("koldest", "prometheus", "\nkoldest_scrape_success 0\n"),
        (
            "klag",
            "prometheus",
            "\nklag_scrape_success{part=\"cluster\"} 0\n",
        ),
        ("klag", "html", "<p>no contact with 127.0.0.1:1"),
    ] {
        let file = folder.join(format!("{program}.{format}"));
        std::fs::write(&file, "old 1\n").unwrap();
        let path = file.display().to_string();
        let run = crate::testkit::command::cmd(program)
            .args(["-b", "127.0.0.1:1", "-m", "1", "-o", format])
            .args(["--write", &path]);
        run.run().fails_with(2).stderr_has("Connection refused");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(said) && !text.contains("old 1"), "{text}");
    }
    // Nor are they new when a signal came first.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let file = folder.join("killed.prom");
    std::fs::write(&file, "old 1\n").unwrap();
    let path = file.display().to_string();
    let mut run = crate::testkit::command::cmd("klag")
        .args(["-b", &address, "-m", "60", "-o", "prometheus"])
        .args(["--write", &path])
        .start();
    run.stderr_until("no answer", Duration::from_secs(30));
    run.signal(rustix::process::Signal::TERM);
    let story = run.wait().story();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("klag_scrape_success{part=\"cluster\"} 0\n"),
        "{story}: {text}"
    );
    // In the others there is no place for it.
    let file = folder.join("klag.tsv");
    std::fs::write(&file, "old 1\n").unwrap();
    let path = file.display().to_string();
    crate::testkit::command::cmd("klag")
        .args(["-b", "127.0.0.1:1", "-m", "1", "--write", &path])
        .run()
        .fails_with(2);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old 1\n");
}
