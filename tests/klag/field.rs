//! The exporter in the field: what clients ask for, addresses, TLS and users, options of the environment, the log.

use super::SOON;
use super::exporter::Exporter;
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::Cluster as _;
use crate::testkit::command::{cmd, shell};
use crate::testkit::http::{self, Answer};
use crate::testkit::mock::Mock;
use crate::testkit::session;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

/// As short as a request may be.
const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: klag\r\n\r\n";

fn request(exporter: &Exporter, headers: &str) -> Answer {
    let request = http::request("/metrics", headers);
    http::send(exporter.connect(), &request).unwrap()
}

#[test]
fn metrics_are_what_the_client_takes() {
    let mock = Mock::start(1);
    let exporter = Exporter::start(&mock, &["-g", "readers"]);
    let plain = request(&exporter, "");
    assert!(
        plain.headers.contains("text/plain; version=0.0.4"),
        "{}",
        plain.headers
    );
    assert!(!plain.headers.contains("content-encoding"));
    let headers = "Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3\r\n\
                   Accept-Encoding: gzip\r\n";
    let packed = request(&exporter, headers);
    assert!(
        packed
            .headers
            .contains("application/openmetrics-text; version=1.0.0"),
        "{}",
        packed.headers
    );
    assert!(packed.headers.contains("content-encoding: gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(
        text.contains("klag_scrape_success{") && text.ends_with("\n# EOF\n"),
        "{text}"
    );
}

#[test]
fn a_client_that_has_closed_its_half_gets_its_answer() {
    let mock = Mock::start(1);
    let exporter = Exporter::start(&mock, &["-g", "readers"]);
    let mut stream = exporter.connect();
    stream.write_all(REQUEST).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("klag_scrape_success"));
}

#[test]
fn clients_that_neither_ask_nor_read_cost_nobody_else_a_scrape() {
    let mock = Mock::start(1);
    // Sockets of other tests are inherited, and would count.
    let few = format!(
        "for fd in $(ls /proc/$$/fd); do ((fd > 2)) && eval \"exec $fd>&-\"; done; ulimit -n 40; exec klag -b {} --listen 127.0.0.1:0 -g readers",
        mock.bootstrap()
    );
    for exporter in [
        Exporter::start(&mock, &["-g", "readers"]),
        Exporter::of(shell(&few)),
    ] {
        let mut idle: Vec<TcpStream> = Vec::new();
        for at in 0..300 {
            let Ok(mut stream) = TcpStream::connect(&exporter.address) else {
                continue;
            };
            if at % 3 == 0 {
                // It asks and does not read.
                let _ = stream.write_all(REQUEST);
            }
            idle.push(stream);
        }
        for _ in 0..5 {
            let text = exporter.scrape();
            assert!(text.contains("klag_scrape_duration_seconds"), "{text}");
        }
        drop(idle);
    }
}

#[test]
fn an_address_is_taken_in_every_form() {
    let mock = Mock::start(1);
    for (form, hosts) in [
        (":0", &["127.0.0.1", "[::1]"][..]),
        ("0", &["127.0.0.1"]),
        ("localhost:0", &["127.0.0.1"]),
        ("[::]:0", &["[::1]"]),
    ] {
        let klag = cmd("klag").args(["-b", &mock.bootstrap(), "-g", "x", "--listen", form]);
        let exporter = Exporter::of(klag);
        let (_, port) = exporter.address.rsplit_once(':').unwrap();
        for host in hosts {
            let answer = http::get(format!("{host}:{port}"), "/health").unwrap();
            assert_eq!(answer.status, "200 OK", "{form} at {host}");
        }
    }
}

fn certificate(folder: &Path) {
    let made = cmd("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            "server.key",
            "-out",
            "server.crt",
        ])
        .inside(folder);
    made.run().succeeds();
}

/// The head of what an exporter answers over TLS to who trusts `authority`.
fn over_tls(address: &str, authority: &Path, headers: &str) -> Result<Answer, String> {
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::PEER);
    connector.set_ca_file(authority).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    let stream = connector.build().connect("localhost", stream);
    let stream = stream.map_err(|error| error.to_string())?;
    Ok(http::send(stream, &http::request("/metrics", headers)).unwrap())
}

#[test]
fn the_exporters_web_configuration_file_gives_tls_and_users() {
    if crate::testkit::witness::installed("openssl").is_none() {
        return;
    }
    let folder = session::folder("web");
    certificate(&folder);
    let hash = bcrypt::hash("secret", 4).unwrap();
    let config = folder.join("web.yml");
    let tls = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";
    std::fs::write(
        &config,
        format!("{tls}basic_auth_users:\n  alice: \"{hash}\"\n"),
    )
    .unwrap();
    let mock = Mock::start(1);
    let config_name = config.display().to_string();
    let exporter = Exporter::start(&mock, &["-g", "x", "--web-config", &config_name]);
    let authority = folder.join("server.crt");
    let ask = |headers: &str| over_tls(&exporter.address, &authority, headers).unwrap();
    let refused = ask("");
    assert!(
        refused.status.starts_with("401") && refused.headers.contains("www-authenticate: basic")
    );
    assert!(!refused.body.windows(4).any(|window| window == b"klag"));
    // alice:wrong, bob:secret, alice:secret
    for (credentials, status) in [
        ("YWxpY2U6d3Jvbmc=", "401"),
        ("Ym9iOnNlY3JldA==", "401"),
        ("YWxpY2U6c2VjcmV0", "200"),
        ("YWxpY2U6c2VjcmV0", "200"),
    ] {
        let answer = ask(&format!("Authorization: Basic {credentials}\r\n"));
        assert!(answer.status.starts_with(status), "{}", answer.status);
    }
    // Plain HTTP is no way around.
    let mut plain = exporter.connect();
    plain.write_all(REQUEST).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    // A new certificate is taken without a restart.
    certificate(&folder);
    assert!(over_tls(&exporter.address, &authority, "").is_ok());
    // A file that is broken, emptied, or has lost its users changes nothing.
    let mut exporter = exporter;
    for (text, said) in [
        ("basic_auth_users: [", "it is no YAML"),
        ("", "tls_server_config is not in it any more"),
        (tls, "basic_auth_users is not in it any more"),
    ] {
        std::fs::write(&config, text).unwrap();
        for _ in 0..2 {
            let answer = over_tls(&exporter.address, &authority, "").unwrap();
            assert!(answer.status.starts_with("401"), "{answer:?}");
        }
        let log = exporter
            .running
            .stderr_until("what was read before stays in force\n", SOON);
        let log = String::from_utf8(log).unwrap();
        assert!(log.contains(said), "{text}: {log}");
    }
    cmd("klag")
        .args([
            "-b",
            &mock.bootstrap(),
            "--listen",
            "127.0.0.1:0",
            "--web-config",
            "/nowhere.yml",
        ])
        .run()
        .fails_with(2)
        .stderr_has("/nowhere.yml");
}

#[test]
fn options_are_given_by_the_environment_and_an_option_beats_it() {
    let mock = Mock::start(1);
    let klag = || {
        cmd("klag")
            .env("KLAG_BROKERS", mock.bootstrap())
            .env("KLAG_PORT", "tcp://10.0.0.1:9308")
            .env("KLAG_SERVICE_HOST", "10.0.0.1")
    };
    let exporter = Exporter::of(
        klag()
            .env("KLAG_LISTEN", "127.0.0.1:0")
            .env("KLAG_GROUP", "a\nb"),
    );
    let text = exporter.scrape();
    assert!(text.contains("klag_scrape_success"), "{text}");
    klag()
        .env("KLAG_MAX_LAG", "many")
        .run()
        .fails_with(2)
        .stderr_has("KLAG_MAX_LAG");
    // A variable that was to be set and is not takes no limit away.
    klag()
        .env("KLAG_MAX_LAG", "")
        .run()
        .fails_with(2)
        .stderr_has("KLAG_MAX_LAG");
    let typed = klag()
        .env("KLAG_BROKERS", "127.0.0.1:1")
        .args(["-b", &mock.bootstrap()]);
    typed
        .env("KLAG_CLUSTER", "here")
        .args(["-g", "none", "-o", "json"])
        .run()
        .stdout_has("\"cluster\":\"here\"");
    let koldest = cmd("koldest").env("KOLDEST_BROKERS", mock.bootstrap());
    koldest
        .env("KOLDEST_TOPIC", "nowhere")
        .run()
        .fails_with(2)
        .stderr_has("nowhere");
}

#[test]
fn the_log_has_a_line_for_each_change_of_state() {
    let mock = Mock::start(1);
    let mut exporter = Exporter::start(&mock, &["-m", "1", "-g", "x"]);
    exporter.scrape();
    mock.down(1);
    for _ in 0..3 {
        exporter.scrape();
    }
    mock.up(1);
    let deadline = std::time::Instant::now() + SOON;
    while exporter.get("/ready").status != "200 OK" {
        assert!(std::time::Instant::now() < deadline, "it never gets well");
    }
    exporter.scrape();
    let log = exporter.running.stderr_until("recovered: no contact", SOON);
    let log = String::from_utf8(log).unwrap();
    // Three scrapes in vain are one line.
    assert_eq!(log.matches("klag: no contact").count(), 1, "{log}");
}

#[test]
fn chosen_groups_choose_the_topics_that_are_exported() {
    let Some(kafka) = shared_kafka() else { return };
    let group = session::unique("chosen");
    let topic = super::exporter::read_group(kafka, &group);
    let other = kafka.topic("not-chosen", 1, &[]);
    let exporter = Exporter::start(kafka, &["-g", &group]);
    let text = exporter.scrape();
    assert!(
        text.contains(&format!(
            "kafka_partition_latest_offset{{topic=\"{topic}\"}} 10\n"
        )),
        "{text}"
    );
    assert!(
        !text.contains(&other) && !text.contains("__consumer_offsets"),
        "{text}"
    );
    let exporter = Exporter::start(kafka, &["-g", &group, "--metric-names", "kafka_exporter"]);
    let text = exporter.scrape();
    let lag = format!(
        "kafka_consumergroup_lag{{consumergroup=\"{group}\",topic=\"{topic}\",partition=\"0\"}} 6\n"
    );
    assert!(text.contains(&lag), "{text}");
    let exporter = Exporter::start(
        kafka,
        &[
            "-t",
            &topic,
            "--exclude-group",
            "^",
            "--metrics",
            "kafka_topic_info",
        ],
    );
    let text = exporter.scrape();
    let topics: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("kafka_"))
        .collect();
    assert_eq!(
        topics,
        [format!(
            "kafka_topic_info{{topic=\"{topic}\",partitions=\"1\",replicas=\"1\"}} 1"
        )]
    );
}
