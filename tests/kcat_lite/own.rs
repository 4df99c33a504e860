//! kcat's own tests, unmodified, with kcat-lite in kcat's place.
//!
//! `tests/kcat/` is a copy of `tests/` of <https://github.com/edenhill/kcat> at ab6ce81, under its licence, without
//! the Avro test, whose producers are containers.

use super::SOON;
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, any};
use crate::testkit::command::{Terminal, cmd, programs};
use crate::testkit::session;
use crate::testkit::witness;
use std::path::{Path, PathBuf};

/// A folder as kcat's tests expect it: themselves in one folder, `kcat` in the one above.
fn folder() -> PathBuf {
    let folder = session::folder("kcat");
    std::os::unix::fs::symlink(programs().join("kcat-lite"), folder.join("kcat")).unwrap();
    let tests = folder.join("tests");
    std::fs::create_dir(&tests).unwrap();
    for entry in Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/kcat")
        .read_dir()
        .unwrap()
    {
        let path = entry.unwrap().path();
        std::fs::copy(&path, tests.join(path.file_name().unwrap())).unwrap();
    }
    tests
}

fn passes(test: &str, bootstrap: &str) {
    // Without -C the mode is chosen by stdin, and kcat's tests are run from a terminal.
    let terminal = Terminal {
        stdin: true,
        ..Terminal::default()
    };
    cmd("bash")
        .arg(test)
        .inside(&folder())
        .env("BROKERS", bootstrap)
        .on_terminal(terminal)
        .limit(4 * SOON)
        .run()
        .succeeds();
}

#[test]
fn kcats_unit_tests_pass() {
    // They name brokers with -b, and need none.
    passes("0000-unit.sh", "unused:1");
}

#[test]
fn kcats_test_of_the_end_of_a_topic_passes() {
    let Some(kafka) = shared_kafka() else { return };
    passes("0001-exit_eof.sh", &kafka.bootstrap());
}

#[test]
fn kcats_test_of_delimiters_passes() {
    let Some(_jq) = witness::installed("jq") else {
        return;
    };
    passes("0002-delim.sh", &any().bootstrap());
}

#[test]
fn kcats_test_of_a_piped_producer_passes() {
    passes("0004-piped_producer.sh", &any().bootstrap());
}
