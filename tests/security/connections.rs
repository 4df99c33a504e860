//! First connections that fail: each is answered at once, with the property to change.

use super::{Fortress, PASSWORD, USER, fortress, refs};
use crate::testkit::broker::own_kafka;
use crate::testkit::cluster::Cluster as _;
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::interceptor::Interceptor;
use kafka_protocol::messages::{ApiKey, MetadataResponse};

/// The first contact of each program.
const PROGRAMS: [&[&str]; 6] = [
    &["kcat-lite", "-L"],
    &["kcat-lite", "-C", "-e", "-t", "t"],
    &["kcat-lite", "-P", "-t", "t"],
    &["kcat-lite", "-G", "g", "-e", "t"],
    &["koldest"],
    &["klag"],
];

fn program(words: &[&str]) -> Cmd {
    cmd(words[0]).args(&words[1..]).stdin("x\n")
}

/// Long before the time for a first contact is over, that it is in vain is clear: no message says how long was waited.
fn refused_at_once(command: Cmd, bootstrap: &str, properties: &[&str], reason: &str) {
    let command = command.args(["-m", "60", "-b", bootstrap]);
    let command = properties
        .iter()
        .fold(command, |command, property| command.args(["-X", property]));
    command
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has(reason)
        .stderr_lacks("within 60 s")
        .stderr_lacks(PASSWORD);
}

#[test]
fn a_protocol_that_does_not_fit_the_listener_is_named_with_the_one_that_does() {
    let Some(fortress) = fortress() else { return };
    let trust = fortress.trust();
    let password = format!("sasl.password={PASSWORD}");
    let user = format!("sasl.username={USER}");
    let login = ["sasl.mechanisms=PLAIN", &user, &password];
    let cases: [(&str, &[&str], &str); 10] = [
        (
            "SASL_SSL",
            &[],
            "speaks TLS: -X security.protocol=SASL_SSL is needed, not PLAINTEXT, and sasl.mechanisms (it offers ",
        ),
        (
            "SASL_SSL",
            &["security.protocol=SSL", &trust],
            "asks for a login: -X security.protocol=SASL_SSL is needed, not SSL, and sasl.mechanisms (it offers ",
        ),
        (
            "EXPIRED",
            &[],
            "speaks TLS: -X security.protocol=SSL is needed, not PLAINTEXT",
        ),
        (
            "SSL",
            &[],
            "speaks TLS: -X security.protocol=SSL (or SASL_SSL",
        ),
        (
            "SASL_PLAINTEXT",
            &[],
            "security.protocol=SASL_PLAINTEXT is needed, not PLAINTEXT, and sasl.mechanisms (it offers PLAIN)",
        ),
        (
            "PLAINTEXT",
            &["security.protocol=SSL", &trust],
            "does not speak TLS: -X security.protocol=PLAINTEXT",
        ),
        (
            "SASL_PLAINTEXT",
            &["security.protocol=SSL", &trust],
            "does not speak TLS: -X security.protocol=SASL_PLAINTEXT",
        ),
        (
            "PLAINTEXT",
            &[
                "security.protocol=SASL_PLAINTEXT",
                login[0],
                login[1],
                login[2],
            ],
            "takes no login: -X security.protocol=PLAINTEXT",
        ),
        (
            "SASL_SSL",
            &[
                "security.protocol=SASL_PLAINTEXT",
                login[0],
                login[1],
                login[2],
            ],
            "speaks TLS: -X security.protocol=SASL_SSL",
        ),
        (
            "PLAINTEXT",
            &[
                "security.protocol=SASL_SSL",
                &trust,
                login[0],
                login[1],
                login[2],
            ],
            "security.protocol=PLAINTEXT is needed, not SASL_SSL",
        ),
    ];
    for (listener, properties, reason) in cases {
        let door = fortress.kafka.bootstrap_of(listener);
        refused_at_once(program(PROGRAMS[0]), &door, properties, reason);
    }
    // Regression: a TLS client that should log in waited for the whole -m, and -P spoke of a broken pipe.
    for words in &PROGRAMS[1..] {
        for (listener, properties, reason) in &cases[..2] {
            let door = fortress.kafka.bootstrap_of(listener);
            refused_at_once(program(words), &door, properties, reason);
        }
    }
}

#[test]
fn a_mechanism_that_the_broker_lacks_or_that_is_not_said_is_answered_with_those_there_are() {
    let Some(fortress) = fortress() else { return };
    let door = fortress.kafka.bootstrap_of("SASL_PLAINTEXT");
    let protocol = "security.protocol=SASL_PLAINTEXT";
    let password = format!("sasl.password={PASSWORD}");
    let user = format!("sasl.username={USER}");
    let cases: [(&[&str], &str); 3] = [
        (
            &["sasl.mechanisms=SCRAM-SHA-512", &user, &password],
            "it offers PLAIN: -X sasl.mechanisms=PLAIN",
        ),
        (&[&user, &password], "set -X sasl.mechanisms=PLAIN"),
        (
            &["sasl.mechanisms=PLAIN"],
            "needs -X sasl.username and sasl.password",
        ),
    ];
    for (properties, reason) in cases {
        let properties = [&[protocol], properties].concat();
        for words in PROGRAMS {
            refused_at_once(program(words), &door, &properties, reason);
        }
    }
}

#[test]
fn a_file_of_authorities_that_is_none_is_named_with_the_reason() {
    let Some(fortress) = fortress() else { return };
    let door = fortress.kafka.bootstrap_of("SASL_SSL");
    let store = fortress.client.store.display();
    for (file, reason) in [
        ("/no/such.pem".to_owned(), "/no/such.pem: No such file"),
        (
            "/etc/passwd".to_owned(),
            "there is no certificate in /etc/passwd",
        ),
        (
            fortress.client.key.display().to_string(),
            "there is no certificate in",
        ),
        (store.to_string(), "there is no certificate in"),
    ] {
        let ca = format!("ssl.ca.location={file}");
        refused_at_once(
            program(PROGRAMS[0]),
            &door,
            &["security.protocol=SSL", &ca],
            reason,
        );
    }
}

#[test]
fn verification_that_is_off_is_off_in_every_program() {
    let Some(fortress) = fortress() else { return };
    let properties = [
        "security.protocol=SSL".to_owned(),
        "enable.ssl.certificate.verification=false".to_owned(),
    ];
    // Without an authority that is known, expired, and for another name.
    for listener in ["EXPIRED", "ELSEWHERE"] {
        let door = fortress.kafka.bootstrap_of(listener);
        for words in [&["kcat-lite", "-L"][..], &["koldest"], &["klag"]] {
            for _ in 0..3 {
                Fortress::through(program(words), &door, &refs(&properties))
                    .run()
                    .stderr_lacks("certificate")
                    .stderr_lacks("no contact");
            }
        }
    }
}

#[test]
fn an_address_that_the_cluster_tells_and_that_leads_nowhere_is_named_as_such() {
    // Of its own: the topic t of the shared one is whatever other tests make of it.
    let Some(kafka) = own_kafka() else { return };
    let lies = |host: &'static str, port: i32| {
        Interceptor::before(&kafka.bootstrap()).change(
            ApiKey::Metadata,
            move |_, response: &mut MetadataResponse| {
                for broker in &mut response.brokers {
                    broker.host = kafka_protocol::protocol::StrBytes::from_static_str(host);
                    broker.port = port;
                }
            },
        )
    };
    for (host, port) in [("kafka.internal.invalid", 9092), ("127.0.0.1", 1)] {
        // A producer's first contact succeeds at the address that was said; see below.
        for words in PROGRAMS.iter().filter(|words| !words.contains(&"-P")) {
            let proxy = lies(host, port);
            let told = format!("is at {host}:{port}: its advertised.listeners");
            refused_at_once(program(words), &proxy.bootstrap(), &[], &told);
        }
        program(PROGRAMS[2])
            .args(["-b", &lies(host, port).bootstrap()])
            .args(["-X", "message.timeout.ms=3000"])
            .run()
            .fails_with(2)
            .stderr_has("1 record not delivered")
            .stderr_has(format!("is at {host}:{port}: its advertised.listeners"));
    }
}

#[test]
fn a_refused_connection_is_waited_for_and_that_is_said_alike_by_every_program() {
    let others: [&[&str]; 2] = [&["ktee", "kafka:t"], &["kpart", "-t", "t"]];
    std::thread::scope(|scope| {
        for words in PROGRAMS.iter().chain(&others) {
            for is_quiet in [false, true] {
                scope.spawn(move || {
                    let command = program(words).args(["-b", "127.0.0.1:1", "-m", "3"]);
                    let quiet: &[&str] = if is_quiet { &["-q"] } else { &[] };
                    let waits = "no contact with 127.0.0.1:1 yet, trying for 3 s (-m): 127.0.0.1:1: Connect to";
                    let output = command
                        .args(quiet)
                        .run()
                        .fails_with(2)
                        .stderr_has("no contact with 127.0.0.1:1 within 3 s: 127.0.0.1:1: Connect to");
                    if is_quiet {
                        output.stderr_lacks(waits);
                    } else {
                        output.stderr_has(waits);
                    }
                });
            }
        }
    });
}

#[test]
fn a_url_and_a_web_server_are_no_brokers() {
    refused_at_once(
        program(PROGRAMS[0]),
        "http://127.0.0.1:9092",
        &[],
        "HOST:PORT is expected, not a URL",
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 64];
            drop(stream.read(&mut request));
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    refused_at_once(
        program(PROGRAMS[0]),
        &address,
        &[],
        "is a web server, not a Kafka broker",
    );
}
