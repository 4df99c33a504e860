//! Clusters that do not let everybody in: TLS, passwords, tokens, authorisation. What is wrong is said, and nothing secret.

mod connections;
mod denied;
#[cfg(feature = "gssapi")]
mod kerberos;
mod paths;
mod terminal;
#[cfg(feature = "oidc")]
mod tokens;

use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::certificates::{Authority, Certified, Good, STORE_PASSWORD};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::{java, session};
use std::path::PathBuf;
use std::sync::OnceLock;

const USER: &str = "alice";
const PASSWORD: &str = "a secret";

/// A broker with a door for each way to get in, one shared by the tests here.
struct Fortress {
    kafka: Kafka,
    folder: PathBuf,
    trusted: PathBuf,
    stranger: PathBuf,
    client: Certified,
    topic: String,
}

/// The fortress, or `None`: no Java or no Maven, the test is skipped.
fn fortress() -> Option<&'static Fortress> {
    static FORTRESS: OnceLock<Option<Fortress>> = OnceLock::new();
    FORTRESS.get_or_init(build).as_ref()
}

fn build() -> Option<Fortress> {
    let folder = session::folder("fortress");
    if java::class_path(java::KAFKA).is_err() {
        // The skip is the broker's to tell; without a JDK there is no keytool either.
        assert!(Spec::new().start().is_none());
        return None;
    }
    let authority = Authority::new(&folder, "authority");
    let stranger = Authority::new(&folder, "stranger");
    let here = "IP:127.0.0.1";
    let broker = authority.sign("broker", here, Good::Now);
    let expired = authority.sign("expired", here, Good::Before);
    let elsewhere = authority.sign("elsewhere", "DNS:elsewhere.example", Good::Now);
    let client = authority.sign(USER, "DNS:client.example", Good::Now);
    let kafka = doors(&authority, &broker, &expired, &elsewhere).start()?;
    let topic = kafka.topic_of("fortress", &["seen"]);
    Some(Fortress {
        kafka,
        folder,
        trusted: authority.trusted(),
        stranger: stranger.trusted(),
        client,
        topic,
    })
}

/// An open door for the tests themselves, and four guarded ones; nobody who comes through those may do anything.
fn doors(
    authority: &Authority,
    broker: &Certified,
    expired: &Certified,
    elsewhere: &Certified,
) -> Spec {
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let bearer = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";";
    let users = [USER, "describer", "reader", "writer", "member", "grouper"];
    let users = users.map(|user| format!("user_{user}=\"{PASSWORD}\""));
    let jaas = |mechanism: &str| format!("listener.name.sasl_ssl.{mechanism}.sasl.jaas.config");
    let mut spec = Spec::new()
        .listener("SSL")
        .listener("SASL_SSL")
        .listener("SASL_PLAINTEXT")
        .listener_named("EXPIRED", "SSL")
        .listener_named("ELSEWHERE", "SSL")
        .setting("listener.name.ssl.ssl.client.auth", "required")
        .setting(
            "ssl.truststore.location",
            authority.trust_store().to_str().unwrap(),
        )
        .setting("ssl.truststore.password", STORE_PASSWORD)
        .setting("ssl.truststore.type", "PKCS12")
        .setting(
            "sasl.enabled.mechanisms",
            "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        )
        .setting(
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms",
            "PLAIN",
        )
        .setting(
            "listener.name.sasl_plaintext.plain.sasl.jaas.config",
            &format!("{plain} {};", users.join(" ")),
        )
        .setting(&jaas("plain"), &format!("{plain} {};", users.join(" ")))
        .setting(&jaas("scram-sha-256"), scram)
        .setting(&jaas("scram-sha-512"), scram)
        .setting(&jaas("oauthbearer"), bearer)
        .setting(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .setting("super.users", "User:ANONYMOUS;User:CN=alice");
    let stores = [
        ("ssl", broker),
        ("sasl_ssl", broker),
        ("expired", expired),
        ("elsewhere", elsewhere),
    ];
    for (listener, certified) in stores {
        let name = |what: &str| format!("listener.name.{listener}.ssl.keystore.{what}");
        spec = spec
            .setting(&name("location"), certified.store.to_str().unwrap())
            .setting(&name("password"), STORE_PASSWORD)
            .setting(&name("type"), "PKCS12");
    }
    let credentials = |bits: u32| format!("SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]");
    spec.format(&[
        "--add-scram",
        &credentials(256),
        "--add-scram",
        &credentials(512),
    ])
}

impl Fortress {
    /// Reads the topic through a door.
    fn consume(&self, listener: &str, properties: &[&str]) -> Cmd {
        let door = self.kafka.bootstrap_of(listener);
        Self::through(
            cmd("kcat-lite").args(["-C", "-e", "-q", "-t", &self.topic]),
            &door,
            properties,
        )
    }

    fn through(command: Cmd, door: &str, properties: &[&str]) -> Cmd {
        let command = command.args(["-m", "10", "-b", door]);
        properties
            .iter()
            .fold(command, |command, property| command.args(["-X", property]))
    }

    fn trust(&self) -> String {
        format!("ssl.ca.location={}", self.trusted.display())
    }

    /// A file for `@FILE`, with the newline that an editor leaves.
    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        // Another test may read it just now.
        let part = self.folder.join(session::unique(name));
        std::fs::write(&part, format!("{text}\n")).unwrap();
        std::fs::rename(&part, &path).unwrap();
        path
    }

    /// Properties of a login over TLS, the password left out.
    fn login(&self, mechanism: &str) -> Vec<String> {
        vec![
            "security.protocol=SASL_SSL".to_owned(),
            self.trust(),
            format!("sasl.mechanisms={mechanism}"),
            format!("sasl.username={USER}"),
        ]
    }
}

fn says(command: Cmd, reason: &str) {
    command
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has(reason)
        .stderr_lacks(PASSWORD);
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn a_client_certificate_opens_and_every_wrong_certificate_is_named() {
    let Some(fortress) = fortress() else { return };
    let tls = "security.protocol=SSL";
    let ca = fortress.trust();
    let certificate = format!(
        "ssl.certificate.location={}",
        fortress.client.certificate.display()
    );
    let key = format!("ssl.key.location={}", fortress.client.key.display());
    fortress
        .consume("SSL", &[tls, &ca, &certificate, &key])
        .run()
        .succeeds()
        .stdout_is("seen\n");
    says(
        fortress.consume("SSL", &[tls, &ca]),
        "asks for a client certificate, or for another",
    );
    says(
        fortress.consume("SSL", &[tls]),
        "its certificate is not accepted",
    );
    let stranger = format!("ssl.ca.location={}", fortress.stranger.display());
    says(
        fortress.consume("SSL", &[tls, &stranger, &certificate, &key]),
        "its certificate is not accepted",
    );
    says(fortress.consume("EXPIRED", &[tls, &ca]), "expired");
    says(fortress.consume("ELSEWHERE", &[tls, &ca]), "mismatch");
    // TLS spoken to by a client that does not.
    says(
        fortress.consume("SSL", &[]),
        &fortress.kafka.bootstrap_of("SSL"),
    );
}

#[test]
fn a_password_is_checked_by_every_mechanism_and_a_right_is_another_matter() {
    let Some(fortress) = fortress() else { return };
    let secret = fortress.secret("password", PASSWORD);
    let from_file = format!("sasl.password=@{}", secret.display());
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let login = fortress.login(mechanism);
        let with = |password: &str| {
            fortress.consume("SASL_SSL", &[&refs(&login)[..], &[password]].concat())
        };
        says(with("sasl.password=wrong"), "uthentication");
        // Known, and still not allowed: alice has no right to anything.
        says(with(&from_file), "uthoriz");
    }
}

#[test]
fn a_token_comes_from_a_file_or_a_command() {
    let Some(fortress) = fortress() else { return };
    // {"alg":"none"} . {"sub":"alice","iat":1000000000,"exp":4000000000} and one that ended in 2001.
    let head = "eyJhbGciOiJub25lIn0";
    let good =
        format!("{head}.eyJzdWIiOiJhbGljZSIsImlhdCI6MTAwMDAwMDAwMCwiZXhwIjo0MDAwMDAwMDAwfQ.");
    let old = format!("{head}.eyJzdWIiOiJhbGljZSIsImlhdCI6OTAwMDAwMDAwLCJleHAiOjEwMDAwMDAwMDB9.");
    let file = fortress.secret("token", &good);
    let login = [
        "security.protocol=SASL_SSL".to_owned(),
        fortress.trust(),
        "sasl.mechanisms=OAUTHBEARER".to_owned(),
    ];
    let with = |config: &str| {
        let config = format!("sasl.oauthbearer.config={config}");
        fortress.consume("SASL_SSL", &[&refs(&login)[..], &[&config]].concat())
    };
    says(with(&format!("file:{}", file.display())), "uthoriz");
    says(with(&format!("command:cat {}", file.display())), "uthoriz");
    says(with(&format!("command:echo {old}")), "expired");
    says(with("file:/none/such"), "/none/such");
    says(with("command:exit 7"), "exit status: 7");
    with(&format!("command:echo {old}"))
        .run()
        .stderr_lacks(head);
}

#[test]
fn what_is_not_allowed_is_named_and_what_was_not_delivered_counted() {
    let Some(fortress) = fortress() else { return };
    let secret = fortress.secret("password-2", PASSWORD);
    let mut login = fortress.login("PLAIN");
    login.push(format!("sasl.password=@{}", secret.display()));
    let door = fortress.kafka.bootstrap_of("SASL_SSL");
    let run = |command: Cmd| Fortress::through(command, &door, &refs(&login));
    run(cmd("kcat-lite")
        .args(["-P", "-t", &fortress.topic])
        .stdin("not allowed\n"))
    .run()
    .fails_with(2)
    .stderr_has("uthoriz")
    .stderr_has("1 record not delivered");
    says(
        run(cmd("kcat-lite")
            .args(["-L", "-t", &fortress.topic])
            .stdout_to("/dev/null")),
        "uthoriz",
    );
    let query = format!("{}:0:end", fortress.topic);
    run(cmd("kcat-lite").args(["-Q", "-t", &query]))
        .run()
        .fails_with(2)
        .stderr_has("uthoriz");
    says(
        run(cmd("kcat-lite").args(["-G", "g", "-e", &fortress.topic])),
        "uthoriz",
    );
    assert_eq!(fortress.kafka.values(&fortress.topic), ["seen"]);
}

#[test]
fn a_java_clients_file_of_properties_logs_in_too() {
    let Some(fortress) = fortress() else { return };
    let path = fortress.folder.join("client.properties");
    let module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let door = fortress.kafka.bootstrap_of("SASL_SSL");
    let lines = [
        format!("bootstrap.servers={door}"),
        "security.protocol=SASL_SSL".to_owned(),
        fortress.trust(),
        "sasl.mechanism=SCRAM-SHA-256".to_owned(),
        format!("sasl.jaas.config={module} required username=\"{USER}\" password=\"{PASSWORD}\";"),
    ];
    std::fs::write(&path, lines.join("\n")).unwrap();
    cmd("kcat-lite")
        .args(["-L", "-m", "10", "-F"])
        .arg(&path)
        .run()
        .succeeds()
        .stdout_has(&door);
}

#[test]
fn no_secret_is_shown_by_a_dump_or_the_most_talkative_run() {
    let Some(fortress) = fortress() else { return };
    let secret = fortress.secret("password-3", PASSWORD);
    let mut login = fortress.login("PLAIN");
    login.push(format!("sasl.password=@{}", secret.display()));
    for extra in [&["-vvv"][..], &["-X", "debug=all"], &["-X", "dump"]] {
        let command = fortress
            .consume("SASL_SSL", &refs(&login))
            .args(extra)
            .run();
        let shows = |text: &[u8]| String::from_utf8_lossy(text).contains(PASSWORD);
        assert!(
            !shows(&command.stdout),
            "{extra:?} shows the password on stdout"
        );
        assert!(
            !shows(&command.stderr),
            "{extra:?} shows the password on stderr"
        );
    }
}

#[test]
fn a_producer_that_is_allowed_is_the_one_with_the_certificate() {
    let Some(fortress) = fortress() else { return };
    let door = fortress.kafka.bootstrap_of("SSL");
    let topic = fortress.kafka.topic("sealed", 1, &[]);
    let properties = [
        "security.protocol=SSL".to_owned(),
        fortress.trust(),
        format!(
            "ssl.certificate.location={}",
            fortress.client.certificate.display()
        ),
        format!("ssl.key.location={}", fortress.client.key.display()),
    ];
    let command = cmd("kcat-lite")
        .args(["-P", "-t", &topic])
        .stdin("sealed\n");
    Fortress::through(command, &door, &refs(&properties))
        .run()
        .succeeds();
    fortress.kafka.produce(&topic, &[Record::of("open")]);
    assert_eq!(fortress.kafka.values(&topic), ["sealed", "open"]);
}
