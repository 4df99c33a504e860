//! `--listen`: scrapes, health, and clients that behave badly.

use super::{SOON, commit};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::http::{self, Answer};
use crate::testkit::mock::Mock;
use crate::testkit::output::has;
use crate::testkit::process::{descriptors, memory_kib};
use crate::testkit::running::Running;
use crate::testkit::session;
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A running exporter.
pub(super) struct Exporter {
    pub(super) running: Running,
    pub(super) address: String,
}

impl Exporter {
    pub(super) fn start(cluster: &dyn Cluster, args: &[&str]) -> Exporter {
        let klag = cmd("klag").args(["-b", &cluster.bootstrap(), "--listen", "127.0.0.1:0"]);
        Exporter::of(klag.args(args))
    }

    pub(super) fn of(exporter: Cmd) -> Exporter {
        let mut running = exporter.limit(Duration::from_secs(300)).start();
        let line = running.stderr_until("/metrics\n", SOON);
        let line = String::from_utf8(line).unwrap();
        let address = line.rsplit("://").next().unwrap();
        let address = address.trim_end().trim_end_matches("/metrics").to_owned();
        Exporter { running, address }
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        http::get(&self.address, path).unwrap()
    }

    pub(super) fn connect(&self) -> TcpStream {
        http::connect(&self.address).unwrap()
    }

    #[track_caller]
    pub(super) fn scrape(&self) -> String {
        self.get("/metrics").text()
    }
}

pub(super) fn read_group(kafka: &Kafka, group: &str) -> String {
    let topic = kafka.topic("exported", 1, &[]);
    kafka.produce(&topic, &vec![Record::of("x"); 10]);
    commit(kafka, group, &topic, &[(0, 4)]);
    topic
}

#[test]
fn a_scrape_is_what_there_is_now() {
    let Some(kafka) = shared_kafka() else { return };
    let group = session::unique("scraped");
    let topic = read_group(kafka, &group);
    let exporter = Exporter::start(kafka, &["-g", &format!("^{group}"), "--cluster", "c"]);
    let lag = |lag: i64| {
        format!(
            "kafka_consumergroup_group_lag{{cluster_name=\"c\",group=\"{group}\",topic=\"{topic}\",\
             partition=\"0\"}} {lag}\n"
        )
    };
    let text = exporter.scrape();
    assert!(text.contains(&lag(6)), "{text}");
    assert!(text.contains("kafka_consumergroup_group_lag_seconds{"));
    assert!(text.contains("klag_scrape_success{cluster_name=\"c\",part=\"times\"} 1\n"));
    commit(kafka, &group, &topic, &[(0, 9)]);
    assert!(exporter.scrape().contains(&lag(1)));
    // What goes away is gone.
    kafka.delete_group(&group);
    let text = exporter.scrape();
    assert!(!text.contains(&group), "{text}");
    for path in ["/health", "/ready"] {
        assert_eq!(exporter.get(path).text(), "ok\n");
    }
    let page = exporter.get("/").text();
    assert!(
        page.starts_with("<!DOCTYPE html>") && !page.contains("<script"),
        "{page}"
    );
    let mut running = exporter.running;
    running.signal(Signal::TERM);
    running.wait().succeeds();
}

#[test]
fn scrapes_that_overlap_share_one_look() {
    let Some(kafka) = shared_kafka() else { return };
    let exporter = Exporter::start(kafka, &[]);
    exporter.scrape();
    let duration = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("klag_scrape_duration_seconds "));
        line.unwrap().to_owned()
    };
    let address = exporter.address.as_str();
    let durations: Vec<String> = std::thread::scope(|threads| {
        let scrape = || duration(&http::get(address, "/metrics").unwrap().text());
        let scrapes: Vec<_> = (0..20).map(|_| threads.spawn(scrape)).collect();
        scrapes
            .into_iter()
            .map(|scrape| scrape.join().unwrap())
            .collect()
    });
    let looks: std::collections::BTreeSet<&String> = durations.iter().collect();
    assert!(looks.len() <= 4, "{looks:?}");
}

#[test]
fn only_get_and_head_are_answered_and_only_what_there_is() {
    let mock = Mock::start(1);
    let exporter = Exporter::start(&mock, &["-g", "readers"]);
    for (request, status) in [
        (
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
            "405 Method Not Allowed",
        ),
        ("GET /other HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"),
        ("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"),
        ("HEAD /ready HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"),
        ("HEAD /other HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
        ("nonsense\r\n\r\n", "400 Bad Request"),
    ] {
        let answer = http::send(exporter.connect(), request).unwrap();
        assert_eq!(answer.status, status, "{request}");
    }
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let mut stream = exporter.connect();
    // The rest of the head may meet a closed connection.
    let _ = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
}

#[test]
fn clients_that_say_nothing_are_cut_off_and_hold_up_nobody_for_long() {
    let mock = Mock::start(1);
    let exporter = Exporter::start(&mock, &["-g", "readers"]);
    let mut silent: Vec<TcpStream> = (0..100).map(|_| exporter.connect()).collect();
    for stream in &mut silent[..50] {
        stream.write_all(b"GET /metrics HT").unwrap();
    }
    let started = Instant::now();
    exporter.scrape();
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    let mut rest = Vec::new();
    // Closed by the other side, with or without a word.
    let _ = silent[0].read_to_end(&mut rest);
    drop(silent);
    assert_eq!(exporter.get("/").status, "200 OK");
}

#[test]
fn health_is_the_process_and_ready_is_whether_the_cluster_answers() {
    let mock = Mock::start(1);
    let exporter = Exporter::start(&mock, &["-g", "readers", "-m", "2"]);
    assert_eq!(exporter.get("/ready").status, "200 OK");
    mock.down(1);
    let answer = exporter.get("/ready");
    assert_eq!(answer.status, "503 Service Unavailable");
    assert!(has(&answer.body, b"no contact"), "{answer:?}");
    assert_eq!(exporter.get("/health").text(), "ok\n");
    // Prometheus is told the same, by a number.
    let text = exporter.scrape();
    assert!(
        text.contains("klag_scrape_success{part=\"cluster\"} 0\n"),
        "{text}"
    );
    mock.up(1);
    let deadline = Instant::now() + SOON;
    while exporter.get("/ready").status != "200 OK" {
        assert!(Instant::now() < deadline, "it never gets well");
    }
}

#[test]
fn descriptors_and_memory_do_not_grow() {
    let Some(kafka) = shared_kafka() else { return };
    let group = session::unique("leak");
    let topic = read_group(kafka, &group);
    // A scrape of 200 KiB, so that one that is kept would be seen.
    let more = kafka.topic("wide", 300, &[]);
    let places: Vec<_> = (0..300).map(|partition| (partition, 0)).collect();
    commit(kafka, &group, &more, &places);
    let mut exporter = Exporter::start(kafka, &["-g", &group, "--granularity", "partition"]);
    let process = exporter.running.id();
    let in_use = || (descriptors(process), memory_kib(process, "RssAnon"));
    let scrape = |times: usize| {
        let sizes = (0..times).map(|_| exporter.scrape().len());
        sizes.max().unwrap()
    };
    let bytes = scrape(100);
    assert!(bytes > 100_000, "{topic}: {bytes}");
    let before = in_use();
    scrape(200);
    let after = in_use();
    assert!(after.0 <= before.0 + 2, "{before:?} became {after:?}");
    // One scrape in ten that is kept would be 4 MB.
    assert!(after.1 <= before.1 + 2048, "{before:?} became {after:?}");
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let mock = Mock::start(1);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    cmd("klag")
        .args(["-b", &mock.bootstrap(), "--listen", &address])
        .run()
        .fails_with(2)
        .stderr_has(&address);
}
