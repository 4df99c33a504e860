//! Logins by Kerberos, at a KDC of the test's own (Debian's krb5-kdc). Built with the feature `gssapi` only.

use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::Cluster as _;
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::process::status;
use crate::testkit::session::{self, Group};
use crate::testkit::{free_port, skip};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const REALM: &str = "KAFKAUTILS.TEST";
const BROKER: &str = "kafka/127.0.0.1";
const USER: &str = "alice";

/// A KDC with a realm, killed when dropped.
struct Kdc {
    folder: PathBuf,
    _process: Group,
}

/// `None`: there is no KDC on this machine, the test is skipped.
fn kdc() -> Option<Kdc> {
    for program in ["kdb5_util", "kadmin.local", "krb5kdc", "kinit"] {
        if !has(program) {
            skip(&format!(
                "there is no {program} (Debian: krb5-kdc, krb5-admin-server, krb5-user)"
            ));
            return None;
        }
    }
    let folder = session::folder("kdc");
    let (port, at) = (free_port(), folder.display());
    let client = format!(
        "[libdefaults]\ndefault_realm={REALM}\ndns_lookup_kdc=false\ndns_canonicalize_hostname=false\nrdns=false\nudp_preference_limit=1\n\
         [realms]\n{REALM}={{\nkdc=127.0.0.1:{port}\n}}\n"
    );
    let server = format!(
        "[kdcdefaults]\nkdc_listen=127.0.0.1:{port}\nkdc_tcp_listen=127.0.0.1:{port}\n\
         [realms]\n{REALM}={{\ndatabase_name={at}/principal\nkey_stash_file={at}/stash\nacl_file={at}/acl\n}}\n"
    );
    std::fs::write(folder.join("krb5.conf"), client).unwrap();
    std::fs::write(folder.join("kdc.conf"), server).unwrap();
    ended(&mut tool(
        &folder,
        "kdb5_util",
        &["create", "-s", "-r", REALM, "-P", "master"],
    ));
    for principal in [BROKER, USER] {
        let keytab = folder.join(format!("{}.keytab", principal.split('/').next().unwrap()));
        let add = format!("addprinc -randkey {principal}");
        let export = format!("ktadd -k {} {principal}", keytab.display());
        for query in [&add, &export] {
            ended(&mut tool(
                &folder,
                "kadmin.local",
                &["-r", REALM, "-q", query],
            ));
        }
    }
    let process = Group::spawn(&mut tool(&folder, "krb5kdc", &["-n", "-r", REALM])).unwrap();
    Some(Kdc {
        folder,
        _process: process,
    })
}

fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':')
        .any(|folder| Path::new(folder).join(program).is_file())
}

/// A program of the KDC's, with its configuration.
fn tool(folder: &Path, program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    command
        .args(words)
        .env("PATH", path)
        .env("KRB5_CONFIG", folder.join("krb5.conf"))
        .env("KRB5_KDC_PROFILE", folder.join("kdc.conf"))
        .env("KRB5CCNAME", folder.join("ticket"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn ended(command: &mut Command) {
    let status = status(command).unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn kafka(kdc: &Kdc) -> Option<Kafka> {
    let at = kdc.folder.display();
    let login = format!(
        "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab=\"{at}/kafka.keytab\" principal=\"{BROKER}@{REALM}\";"
    );
    Spec::new()
        .listener("SASL_PLAINTEXT")
        .setting("sasl.enabled.mechanisms", "GSSAPI")
        .setting("sasl.kerberos.service.name", "kafka")
        .setting(
            "listener.name.sasl_plaintext.gssapi.sasl.jaas.config",
            &login,
        )
        .jvm(&format!("-Djava.security.krb5.conf={at}/krb5.conf"))
        .start()
}

#[test]
fn kerberos_lets_in_by_a_ticket_or_a_keytab_and_says_what_is_missing() {
    let Some(kdc) = kdc() else { return };
    let Some(kafka) = kafka(&kdc) else { return };
    let door = kafka.bootstrap_of("SASL_PLAINTEXT");
    let topic = kafka.topic_of("kerberos", &["seen"]);
    let read = |properties: &[&str]| -> Cmd {
        let command = cmd("kcat-lite")
            .args(["-C", "-e", "-q", "-m", "10", "-t", &topic, "-b", &door])
            .args(["-X", "security.protocol=SASL_PLAINTEXT"])
            .env("KRB5_CONFIG", kdc.folder.join("krb5.conf"))
            .env("KRB5CCNAME", kdc.folder.join("ticket"));
        properties
            .iter()
            .fold(command, |command, property| command.args(["-X", property]))
    };
    let principal = format!("sasl.kerberos.principal={USER}");
    for properties in [&[][..], &[principal.as_str()]] {
        read(properties)
            .run()
            .fails_with(2)
            .stderr_has("no Kerberos ticket: `kinit ")
            .stderr_has("-X sasl.kerberos.keytab=FILE")
            .stderr_lacks("within 10 s");
    }
    let keytab = kdc.folder.join("alice.keytab");
    let by_keytab = format!("sasl.kerberos.keytab={}", keytab.display());
    read(&[&principal, &by_keytab])
        .run()
        .succeeds()
        .stdout_is("seen\n");
    // A ticket of the user's own needs no keytab, and nothing is said of renewing it.
    std::fs::remove_file(kdc.folder.join("ticket")).unwrap();
    ended(&mut tool(
        &kdc.folder,
        "kinit",
        &["-k", "-t", keytab.to_str().unwrap(), USER],
    ));
    read(&[]).run().succeeds().stdout_is("seen\n").stderr_is("");
    read(&["sasl.kerberos.service.name=other"])
        .run()
        .fails_with(2)
        .stderr_has("sasl.kerberos.service.name, and the host's name of -b");
}
