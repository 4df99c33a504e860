//! Kafka's jars, fetched once from Maven Central into `target/testkit`, and the console tools in them.

use super::command::{Cmd, cmd};
use super::process::output;
use super::session::on_path;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The release that the tests run against unless they name another.
pub(crate) const KAFKA: &str = "4.3.0";

/// Kafka 4 brokers need this Java.
const JAVA: u32 = 17;

/// Small and quick to start: no test gains from the optimising compiler, and a killed JVM must leave no file in /tmp.
pub(crate) const JVM: [&str; 5] = [
    "-Xmx512m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
];

/// The class path of this Kafka, or why there is none.
pub(crate) fn class_path(version: &str) -> Result<String, String> {
    enough_java()?;
    let folder = super::cached(&format!("kafka-{version}"), |folder| {
        let pom = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testkit/pom.xml");
        download(pom, version, folder)
    })?;
    Ok(format!("{}/*", folder.display()))
}

fn enough_java() -> Result<(), String> {
    // `java -version` speaks on stderr: `openjdk version "17.0.15" 2025-04-15`.
    let output = output(Command::new("java").arg("-version").stdin(Stdio::null()))
        .map_err(|_| "no Java on the path".to_owned())?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let major = text
        .split('"')
        .nth(1)
        .and_then(|version| version.split(['.', '-']).next()?.parse::<u32>().ok());
    match major {
        Some(major) if major >= JAVA => Ok(()),
        _ => Err(format!(
            "Kafka needs Java {JAVA}, this is {}",
            text.lines().next().unwrap_or("none")
        )),
    }
}

/// The class path of Kafka 2.4.1 and its ZooKeeper, or why there is none.
pub(super) fn old_class_path() -> Result<String, String> {
    enough_java()?;
    let pom = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testkit/pom-2.4.1.xml");
    let folder = super::cached("kafka-2.4.1", |folder| download(pom, "2.4.1", folder))?;
    Ok(format!("{}/*", folder.display()))
}

fn download(pom: &str, version: &str, folder: &Path) -> Result<(), String> {
    let version = format!("-Dkafka.version={version}");
    let output = format!("-DoutputDirectory={}", folder.display());
    let goal = "dependency:copy-dependencies";
    maven(&[
        goal,
        "-DincludeScope=runtime",
        "--file",
        pom,
        &version,
        &output,
    ])
}

fn maven(args: &[&str]) -> Result<(), String> {
    if !on_path("mvn") {
        return Err("no Maven on the path to fetch Kafka with".to_owned());
    }
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode"]).args(args);
    let output = output(maven.stdin(Stdio::null())).map_err(|error| format!("mvn: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = text
        .lines()
        .find(|line| line.contains("ERROR"))
        .unwrap_or("it failed");
    Err(format!("Maven could not fetch Kafka: {error}"))
}

/// The class path of Kafka Streams too; its store of state (RocksDB) is left out, which no test needs.
fn streams_class_path() -> Result<String, String> {
    let kafka = class_path(KAFKA)?;
    let folder = super::cached(&format!("kafka-streams-{KAFKA}"), |folder| {
        let artifact = format!("-Dartifact=org.apache.kafka:kafka-streams:{KAFKA}");
        let output = format!("-DoutputDirectory={}", folder.display());
        maven(&["dependency:copy", &artifact, &output])
    })?;
    Ok(format!("{kafka}:{}/*", folder.display()))
}

/// The program `tests/testkit/java/NAME.java`, which uses Kafka Streams; a skipped test where there is no Java.
#[track_caller]
pub(crate) fn streams(name: &str) -> Option<Cmd> {
    let class_path = super::or_skip(streams_class_path())?;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testkit/java/");
    let source = format!("{source}{name}.java");
    Some(cmd("java").args(JVM).args(["-cp", &class_path, &source]))
}

/// The folder of Apicurio Registry, which runs in memory; 3.0 is the last that this Java runs.
#[cfg(feature = "schema-registry")]
pub(super) fn apicurio(version: &str) -> Result<std::path::PathBuf, String> {
    enough_java()?;
    super::cached(&format!("apicurio-{version}"), |folder| {
        let artifact = format!("-Dartifact=io.apicurio:apicurio-registry-app:{version}:tar.gz:all");
        let output = format!("-DoutputDirectory={}", folder.display());
        maven(&["dependency:copy", &artifact, &output])?;
        let archive = folder.join(format!("apicurio-registry-app-{version}-all.tar.gz"));
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&archive).arg("-C").arg(folder);
        let status = super::process::status(&mut tar).map_err(|error| error.to_string())?;
        std::fs::remove_file(&archive).map_err(|error| error.to_string())?;
        status
            .success()
            .then_some(())
            .ok_or("tar has failed".to_owned())
    })
}

/// Changes settings of a group, which need not exist; a skipped test where there is no Java.
#[track_caller]
pub(crate) fn set_group(bootstrap: &str, group: &str, settings: &[&str]) -> Option<()> {
    tool("kafka.admin.ConfigCommand")?
        .args(["--bootstrap-server", bootstrap])
        .args(["--alter", "--entity-type", "groups"])
        .args(["--entity-name", group])
        .args(["--add-config", &settings.join(",")])
        .limit(Duration::from_secs(90))
        .run()
        .succeeds();
    Some(())
}

/// One of Kafka's own console tools, such as `org.apache.kafka.tools.TopicCommand`; a skipped test where there is no Java.
#[track_caller]
pub(crate) fn tool(class: &str) -> Option<Cmd> {
    let class_path = super::or_skip(class_path(KAFKA))?;
    Some(cmd("java").args(JVM).args(["-cp", &class_path, class]))
}
