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

use crate::testkit::running::Running;
use rustix::process::Signal;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// A number of the environment, for long runs by hand.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Kills runs that go on from each other, at random, and so that the last ones have as much to do as the first ones.
struct Killer {
    /// Where the segments are.
    folder: PathBuf,
    /// How many there were after each kill.
    stored: Vec<usize>,
    kills: u64,
    done: u64,
    met: u64,
    /// What all the work takes, and what it takes to find that all is done.
    whole: Duration,
    again: Duration,
    random: u64,
}

impl Killer {
    /// `run` is one that nobody kills.
    fn new(kills: u64, folder: PathBuf, run: impl Fn()) -> Self {
        let measure = || {
            let begun = Instant::now();
            run();
            begun.elapsed()
        };
        let whole = measure();
        Self {
            folder,
            stored: Vec::new(),
            kills,
            done: 0,
            met: 0,
            whole,
            again: measure(),
            random: u64::from(std::process::id()) | 1,
        }
    }

    /// Kills a run when it has found what is done and added about its share.
    fn meet(&mut self, mut running: Running) {
        // xorshift
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let known = self.again.mul_f64(self.done as f64);
        let share = (self.random % 2048) as f64 / 1024.0;
        let added = self.whole.saturating_sub(self.again).mul_f64(share);
        self.done += 1;
        std::thread::sleep((known + added) / (self.kills + 1) as u32);
        self.met += u64::from(running.runs());
        running.signal(Signal::KILL);
        running.wait();
        // An early kill leaves not even the folder.
        let is_there = self.folder.is_dir();
        self.stored.push(if is_there {
            segments(&self.folder).len()
        } else {
            0
        });
    }

    fn assert_has_met_work(&self) {
        assert!(self.met * 2 > self.kills, "{} met a run", self.met);
        let mut steps = self.stored.clone();
        steps.dedup();
        assert!(
            steps.len() as u64 * 4 > self.kills,
            "hardly anything was stored between kills: {:?}",
            self.stored
        );
    }
}
