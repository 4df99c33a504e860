//! ktee, as a shell runs it.

/// `--ack`, with a source in this process: what is acknowledged, and when.
mod ack;
/// What a command line may say.
mod arguments;
/// Backups in Azure's emulator.
#[cfg(feature = "object-store")]
mod azure;
/// Backups in a bucket of a real S3 server.
#[cfg(feature = "object-store")]
mod bucket;
/// What a foreign reader finds in a backup, after whatever was sent and lost.
#[cfg(feature = "object-store")]
mod coverage;
/// Kills, full disks, lost permissions.
mod crash;
/// What a backup records of topics besides their records.
mod recorded;
/// `--restore`, against a real Kafka.
mod restore;
/// Segments: where they end, what is in them, going on from what is there.
mod segments;
/// `--spill`: what a topic does not take, and sending it again.
mod spill;
/// Standard input to standard output and files.
mod tee;
/// `kafka:TOPIC`.
mod topic;
/// What is removed, moved aside and accepted, and what an earlier version has left.
#[cfg(feature = "object-store")]
mod upkeep;
/// `--verify` and `--cat`.
mod verify;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Lines as `--tsv=all` writes them: `count` offsets of partition 0 of a topic, from `first` on, a second between two records.
fn lines(topic: &str, first: i64, count: i64) -> String {
    (first..first + count).fold(String::new(), |mut text, offset| {
        let time_ms = 1_700_000_000_000 + offset * 1000;
        let _ = writeln!(
            text,
            "{topic}\t0\t{offset}\t{time_ms}\tk{offset}\tvalue {offset}\th=1&n"
        );
        text
    })
}

/// The files below a folder, by path, with `/` between.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(folder.join(&inner)).unwrap() {
            let entry = entry.unwrap();
            let path = inner.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Of these, the segments.
fn segments(folder: &Path) -> Vec<String> {
    let mut found = files(folder);
    found.retain(|path| !path.ends_with(".sha256") && !path.ends_with("/head.tsv"));
    found
}
