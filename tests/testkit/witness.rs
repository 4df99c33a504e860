//! Other people's programs that judge the same data. Where one is missing the test is skipped by name.

use super::command::{Cmd, cmd};
use super::process::output;
use super::session::on_path;
use std::process::{Command, Stdio};

/// Edenhill's kcat, whose habits kcat-lite keeps where they are sound.
#[track_caller]
pub(crate) fn kcat() -> Option<Cmd> {
    installed("kcat")
}

/// A program of the machine: `jq`, `psql`, `kcat`.
#[track_caller]
pub(crate) fn installed(program: &str) -> Option<Cmd> {
    if on_path(program) {
        return Some(cmd(program));
    }
    super::skip(&format!("no {program} on the path"));
    None
}

/// Python with confluent-kafka and its schema clients from `PyPI`, in a virtual environment of its own in `target/testkit`: `python().args(["-c", SCRIPT])`.
#[track_caller]
pub(crate) fn python() -> Option<Cmd> {
    let made = super::cached("confluent-kafka", |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run(Command::new(folder.join("bin/python")).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "confluent-kafka[avro,json,protobuf]==2.12.1",
        ]))
    });
    let folder = made.map_err(|why| format!("no Python with confluent-kafka: {why}"));
    let folder = super::or_skip(folder)?;
    // The scripts in it name the folder it was made in, but the interpreter finds its libraries by its own place.
    Some(cmd(&folder.join("bin/python").display().to_string()))
}

/// Node with Confluent's JavaScript client of schema registries from npm: `node().args(["-e", SCRIPT])`.
#[cfg(feature = "schema-registry")]
#[track_caller]
pub(crate) fn node() -> Option<Cmd> {
    let made = super::cached("schemaregistry-1.10.1", |folder| {
        let options = "install --no-audit --no-fund --omit=optional --ignore-scripts";
        run(Command::new("npm")
            .args(options.split(' '))
            .arg("@confluentinc/schemaregistry@1.10.1")
            .current_dir(folder))
    });
    let made = made.map_err(|why| format!("no Node with @confluentinc/schemaregistry: {why}"));
    let folder = super::or_skip(made)?;
    Some(cmd("node").env("NODE_PATH", folder.join("node_modules")))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = output(command.stdin(Stdio::null())).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(text.lines().last().unwrap_or("it failed").to_owned())
    }
}
