//! Clusters that do not let everybody in: TLS, passwords, authorisation. What is wrong is said.

use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::session;
use std::path::{Path, PathBuf};

const USER: &str = "alice";
const PASSWORD: &str = "a secret";

/// A broker's key in a Java key store, and its certificate for those who are to trust it.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (store, trusted) = (folder.join("broker.p12"), folder.join("broker.pem"));
    let keytool = |args: &[&str]| {
        let store = [
            "-keystore",
            store.to_str().unwrap(),
            "-storepass",
            "changeit",
            "-alias",
            "broker",
        ];
        cmd("keytool").args(args).args(store).run().succeeds()
    };
    let names = ["-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1"];
    keytool(
        &[
            &[
                "-genkeypair",
                "-keyalg",
                "EC",
                "-storetype",
                "PKCS12",
                "-validity",
                "2",
            ][..],
            &names,
        ]
        .concat(),
    );
    let exported = keytool(&["-exportcert", "-rfc"]);
    std::fs::write(&trusted, exported.stdout).unwrap();
    (store, trusted)
}

/// One broker with an open door, a TLS door, and one for names and passwords over TLS; nobody known there may do anything.
fn guarded(store: &Path) -> Option<Kafka> {
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let spec = Spec::new()
        .listener("SSL")
        .listener("SASL_SSL")
        .setting("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256");
    let spec = spec
        .setting("ssl.keystore.location", store.to_str().unwrap())
        .setting("ssl.keystore.password", "changeit")
        .setting("ssl.keystore.type", "PKCS12")
        .setting(
            "listener.name.sasl_ssl.plain.sasl.jaas.config",
            &format!("{plain} user_{USER}=\"{PASSWORD}\";"),
        )
        .setting(
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        )
        .setting(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .setting("super.users", "User:ANONYMOUS");
    let scram = format!("SCRAM-SHA-256=[name={USER},password={PASSWORD}]");
    spec.format(&["--add-scram", &scram]).start()
}

#[test]
fn a_guarded_cluster_lets_in_who_may_and_says_why_to_others() {
    let folder = session::folder("guarded");
    if crate::testkit::java::class_path(crate::testkit::java::KAFKA).is_err() {
        // The skip is the broker's to tell; without a JDK there is no keytool either.
        assert!(guarded(&folder).is_none());
        return;
    }
    let (store, trusted) = certificate(&folder);
    let Some(kafka) = guarded(&store) else { return };
    let topic = kafka.topic_of("guarded", &["seen"]);
    let ca = format!("ssl.ca.location={}", trusted.display());
    let tls = kafka.bootstrap_of("SSL");
    let sasl = kafka.bootstrap_of("SASL_SSL");
    let consume = |bootstrap: &str, properties: &[&str]| {
        let command =
            cmd("kcat-lite").args(["-C", "-e", "-q", "-b", bootstrap, "-t", &topic, "-m", "10"]);
        properties
            .iter()
            .fold(command, |command, property| command.args(["-X", property]))
    };
    consume(&tls, &["security.protocol=SSL", &ca])
        .run()
        .succeeds()
        .stdout_is("seen\n");
    says(consume(&tls, &["security.protocol=SSL"]), "certificate");
    says(consume(&tls, &[]), &tls);

    let name = format!("sasl.username={USER}");
    let secret = folder.join("secret");
    std::fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    let from_file = format!("sasl.password=@{}", secret.display());
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let mechanism = format!("sasl.mechanisms={mechanism}");
        let login = ["security.protocol=SASL_SSL", &ca, &mechanism, &name];
        let with = |password: &str| consume(&sasl, &[&login[..], &[password]].concat());
        says(with("sasl.password=wrong"), "uthentication");
        // Known, and still not allowed: alice has no right to anything.
        says(with(&from_file), "uthoriz");
    }
    let login = [
        "security.protocol=SASL_SSL",
        &ca,
        "sasl.mechanisms=PLAIN",
        &name,
        &from_file,
    ];
    let produce = cmd("kcat-lite")
        .args(["-P", "-b", &sasl, "-t", &topic, "-m", "10"])
        .stdin("not allowed\n");
    let produce = login
        .iter()
        .fold(produce, |command, property| command.args(["-X", property]));
    produce
        .run()
        .fails_with(2)
        .stderr_has("uthoriz")
        .stderr_has("1 record not delivered");
    kafka.produce(&topic, &[Record::of("allowed")]);
    assert_eq!(kafka.values(&topic), ["seen", "allowed"]);
    java_properties(&sasl, &trusted, &folder);
}

fn says(command: Cmd, reason: &str) {
    command
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has(reason)
        .stderr_lacks(PASSWORD);
}

/// A Java client's file of properties says the same.
fn java_properties(bootstrap: &str, trusted: &Path, folder: &Path) {
    let path = folder.join("client.properties");
    let module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let lines = [
        format!("bootstrap.servers={bootstrap}"),
        "security.protocol=SASL_SSL".to_owned(),
        format!("ssl.ca.location={}", trusted.display()),
        "sasl.mechanism=SCRAM-SHA-256".to_owned(),
        format!("sasl.jaas.config={module} required username=\"{USER}\" password=\"{PASSWORD}\";"),
    ];
    std::fs::write(&path, lines.join("\n")).unwrap();
    cmd("kcat-lite")
        .args(["-L", "-m", "10", "-F"])
        .arg(&path)
        .run()
        .succeeds()
        .stdout_has(bootstrap);
}
