//! klag as its users meet it, against what the cluster's own tools and clients say.
//!
//! - [`cases`]: where lag is often reported wrong: deletion, compaction, transactions, recreated topics, no commits.
//! - [`groups`]: every type of group, with and without members.
//! - [`absent`]: brokers that are down or hang, partitions and coordinators without a leader, what is not allowed.
//! - [`active`]: topics that a group has left.
//! - [`rights`]: what a user may not see.
//! - [`selected`]: what fits nothing, or can't be determined.
//! - [`report`]: selection, sums, order, limits, rates, formats, files.
//! - [`exporter`]: `--listen`.
//! - [`table`]: tables at the width of a terminal, chosen columns, pages.
//! - [`field`]: what clients ask of the exporter, addresses, TLS and users, options of the environment.

mod absent;
mod active;
mod cases;
mod exporter;
mod field;
mod groups;
mod report;
mod rights;
mod selected;
mod table;

use crate::testkit::cluster::{Cluster, PATIENCE};
use crate::testkit::command::{Cmd, cmd};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What may take long on a loaded machine, and must come in the end.
const SOON: Duration = Duration::from_secs(30);

/// `klag` of one group, with this cluster; the answer may take long on a loaded machine.
fn klag(cluster: &dyn Cluster, group: &str) -> Cmd {
    let bootstrap = cluster.bootstrap();
    cmd("klag").args(["-b", &bootstrap, "-m", "20", "-g", group])
}

/// The rows of a report in JSON.
fn rows(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The only row of a group's report with `--time`.
#[track_caller]
fn row(cluster: &dyn Cluster, group: &str) -> Value {
    let output = klag(cluster, group).args(["-J", "--time"]).run().succeeds();
    let rows = rows(output.text());
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.into_iter().next().unwrap()
}

/// `lag`, `lost` and `blocked` of a row.
fn numbers(row: &Value) -> [Option<i64>; 3] {
    ["lag", "lost", "blocked"].map(|name| row[name].as_i64())
}

/// Commits as a program does that is no member of its group.
fn commit(cluster: &dyn Cluster, group: &str, topic: &str, offsets: &[(i32, i64)]) {
    let client: BaseConsumer = cluster.config().set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    for &(partition, offset) in offsets {
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .unwrap();
    }
    client.commit(&list, CommitMode::Sync).unwrap();
}

/// A member of a group, which reads what it is given until it is dropped.
struct Member {
    client: BaseConsumer,
}

impl Member {
    /// Joins and waits until it owns something.
    fn join(cluster: &dyn Cluster, group: &str, topic: &str, protocol: &str) -> Member {
        let mut config = cluster.config();
        config
            .set("group.id", group)
            .set("group.protocol", protocol)
            .set("client.id", "reader")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        let member = Member {
            client: config.create().unwrap(),
        };
        member.client.subscribe(&[topic]).unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        while member.client.assignment().unwrap().count() == 0 {
            assert!(std::time::Instant::now() < deadline, "nothing is assigned");
            let _ = member.client.poll(Duration::from_millis(100));
        }
        member
    }

    /// Commits these offsets as a member.
    fn commit(&self, topic: &str, offsets: &[(i32, i64)]) {
        let mut list = TopicPartitionList::new();
        for &(partition, offset) in offsets {
            list.add_partition_offset(topic, partition, Offset::Offset(offset))
                .unwrap();
        }
        self.client.commit(&list, CommitMode::Sync).unwrap();
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as i64
}
