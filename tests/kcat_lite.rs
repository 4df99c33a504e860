//! kcat-lite as its users meet it: command lines, pipes, exit codes.
//!
//! - [`arguments`]: what is refused before any connection, and who says where the cluster is.
//! - [`produce`], [`lines`]: from stdin and files to records; [`delivery`]: what happens when one is not delivered.
//! - [`consume`], [`offsets`], [`log`]: from records to stdout; where it starts and ends; logs that are not plain.
//! - [`engines`]: both ways to read show the same, also while brokers come and go.
//! - [`hostile`]: brokers that are old, and answers that are cut, changed or too large.
//! - [`group`]: balanced consumers, and what they commit.
//! - [`added`]: where a group begins; [`outages`]: a cluster that goes away; [`generations`]: a member that does.
//! - [`command`]: the command of `--exec` as a process.
//! - [`share`]: a job queue; [`share_kills`]: the same with workers killed one after another.
//! - [`exec`], [`ack`], [`ack_lines`]: pipes that commit what was processed; [`exec_members`]: while members come and go;
//!   [`kills`]: while they are killed at random.
//! - [`transactions`]: `--txn` where transactions are aborted.
//! - [`fault_table`]: what the pages say of each death.
//! - [`list`], [`query`], [`mock`]: `-L`, `-Q`, `-M`; [`commit`]: `--commit`.
//! - [`selected`]: `--last`, `--only-key`, `--idle`.
//! - [`losses`]: full disks, readers that leave, signals; [`roundtrip`]: topic -> pipe -> topic.
//! - [`habits`]: what people type: kcat's command lines, other tools' options, mistakes.
//! - [`peer`]: the same command lines typed with kcat; [`own`]: kcat's own tests.

mod ack;
mod ack_lines;
mod added;
mod arguments;
mod command;
mod commit;
mod consume;
mod delivery;
mod engines;
mod exec;
mod exec_members;
mod fault_table;
mod faults;
mod generations;
mod group;
mod habits;
mod hostile;
mod kills;
mod lines;
mod list;
mod log;
mod losses;
mod mock;
mod offsets;
mod outages;
mod own;
mod peer;
mod produce;
mod query;
mod roundtrip;
mod selected;
mod share;
mod share_failures;
mod share_kills;
mod transactions;

use crate::testkit::cluster::Cluster;
use crate::testkit::command::{Cmd, cmd};
use std::time::Duration;

/// What may take long on a loaded machine, and must come in the end.
const SOON: Duration = Duration::from_secs(15);

/// `kcat-lite` with this cluster.
fn at(cluster: &dyn Cluster, args: &[&str]) -> Cmd {
    cmd("kcat-lite")
        .args(args)
        .args(["-b", &cluster.bootstrap()])
}

/// `kcat-lite -P` into this topic.
fn produce(cluster: &dyn Cluster, topic: &str) -> Cmd {
    at(cluster, &["-P", "-t", topic])
}

/// `kcat-lite -C` of this topic to its end.
fn consume(cluster: &dyn Cluster, topic: &str) -> Cmd {
    at(cluster, &["-C", "-e", "-q", "-t", topic])
}
