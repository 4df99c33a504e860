//! koldest as its users meet it: what it says of a log beside what a foreign client reads, and how it ends.
//!
//! - [`times`]: the first and the newest message of every kind of log.
//! - [`retention`]: forecasts against brokers that really delete.
//! - [`checks`]: limits, exit codes, what is shown of what exceeds.
//! - [`failing`]: leaders that are gone, brokers that hang, clients that may not ask.
//! - [`reports`]: all formats, topics and disks, other settings, and the mock.

mod checks;
mod failing;
mod reports;
mod retention;
mod times;

use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::output::Output;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR_MS: i64 = 3_600_000;

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as i64
}

/// `koldest` with this cluster.
fn koldest(cluster: &dyn Cluster, args: &[&str]) -> Cmd {
    cmd("koldest").args(["-b", &cluster.bootstrap()]).args(args)
}

/// The rows of `-J`.
fn rows(output: &Output) -> Vec<Value> {
    let lines = output.lines();
    lines
        .iter()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// The row of the only partition.
fn row(cluster: &dyn Cluster, topic: &str) -> Value {
    let output = koldest(cluster, &["-J", topic]).run().succeeds();
    let mut rows = rows(&output);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

/// A record of partition 0 with this time.
fn at(timestamp_ms: i64, value: impl Into<Vec<u8>>) -> Record {
    Record {
        partition: Some(0),
        timestamp_ms: Some(timestamp_ms),
        ..Record::of(value)
    }
}
