//! `--listen`: scrapes, health, and clients that behave badly.

use super::{SOON, commit};
use crate::testkit::broker::{self, Kafka};
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::mock::Mock;
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

    pub(super) fn ask(&self, request: &str) -> (String, String) {
        ask(&self.address, request)
    }

    pub(super) fn get(&self, path: &str) -> (String, String) {
        get(&self.address, path)
    }

    pub(super) fn connect(&self) -> TcpStream {
        connect(&self.address)
    }

    #[track_caller]
    pub(super) fn scrape(&self) -> String {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
        body
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(2 * SOON)).unwrap();
    stream
}

/// Status line and body of the answer to this request.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (
        head.lines().next().unwrap_or("").to_owned(),
        body.to_owned(),
    )
}

pub(super) fn get(address: &str, path: &str) -> (String, String) {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: klag\r\n\r\n"),
    )
}

pub(super) fn read_group(kafka: &Kafka, group: &str) -> String {
    let topic = kafka.topic("exported", 1, &[]);
    kafka.produce(&topic, &vec![Record::of("x"); 10]);
    commit(kafka, group, &topic, &[(0, 4)]);
    topic
}

#[test]
fn a_scrape_is_what_there_is_now() {
    let Some(kafka) = broker::shared() else {
        return;
    };
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
    let gone = kafka
        .admin()
        .delete_groups(&[&group], &rdkafka::admin::AdminOptions::new());
    futures_executor::block_on(gone).unwrap()[0]
        .as_ref()
        .unwrap();
    let text = exporter.scrape();
    assert!(!text.contains(&group), "{text}");
    for path in ["/health", "/ready"] {
        let (status, body) = exporter.get(path);
        assert_eq!(
            (status.as_str(), body.as_str()),
            ("HTTP/1.1 200 OK", "ok\n")
        );
    }
    let (status, page) = exporter.get("/");
    assert_eq!(status, "HTTP/1.1 200 OK");
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
    let Some(kafka) = broker::shared() else {
        return;
    };
    let exporter = Exporter::start(kafka, &[]);
    exporter.scrape();
    let duration = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("klag_scrape_duration_seconds "));
        line.unwrap().to_owned()
    };
    let address = &exporter.address;
    let durations: Vec<String> = std::thread::scope(|threads| {
        let scrape = || duration(&get(address, "/metrics").1);
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
        assert_eq!(
            exporter.ask(request).0,
            format!("HTTP/1.1 {status}"),
            "{request}"
        );
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
    assert_eq!(exporter.get("/").0, "HTTP/1.1 200 OK");
}

#[test]
fn health_is_the_process_and_ready_is_whether_the_cluster_answers() {
    let mock = Mock::start(1);
    let exporter = Exporter::start(&mock, &["-g", "readers", "-m", "2"]);
    assert_eq!(exporter.get("/ready").0, "HTTP/1.1 200 OK");
    mock.cluster.broker_down(1).unwrap();
    let (status, body) = exporter.get("/ready");
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert!(body.contains("no contact"), "{body}");
    assert_eq!(
        exporter.get("/health"),
        ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned())
    );
    // Prometheus is told the same, by a number.
    let text = exporter.scrape();
    assert!(
        text.contains("klag_scrape_success{part=\"cluster\"} 0\n"),
        "{text}"
    );
    mock.cluster.broker_up(1).unwrap();
    let deadline = Instant::now() + SOON;
    while exporter.get("/ready").0 != "HTTP/1.1 200 OK" {
        assert!(Instant::now() < deadline, "it never gets well");
    }
}

/// Memory of the process's own, in KiB: without the pages of its program's file, which come as they are first run.
fn memory_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse().unwrap()
}

#[test]
fn descriptors_and_memory_do_not_grow() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let group = session::unique("leak");
    let topic = read_group(kafka, &group);
    // A scrape of 200 KiB, so that one that is kept would be seen.
    let more = kafka.topic("wide", 300, &[]);
    let places: Vec<_> = (0..300).map(|partition| (partition, 0)).collect();
    commit(kafka, &group, &more, &places);
    let mut exporter = Exporter::start(kafka, &["-g", &group, "--granularity", "partition"]);
    let process = exporter.running.id();
    let descriptors = || {
        let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        open.count()
    };
    let scrape = |times: usize| {
        let sizes = (0..times).map(|_| exporter.scrape().len());
        sizes.max().unwrap()
    };
    let bytes = scrape(100);
    assert!(bytes > 100_000, "{topic}: {bytes}");
    let before = (descriptors(), memory_kib(process));
    scrape(200);
    let after = (descriptors(), memory_kib(process));
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
