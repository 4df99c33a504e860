//! The options of pipes and of positions, as typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tools::units::{parse_duration, parse_size};

use super::parse_count;

/// The options of pipes that lose nothing, as typed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Pipes that lose nothing: see kcat-lite(1)")]
pub(crate) struct PipeArgs {
    /// Run CMD (sh -c) with records on its standard input; exit code 0 commits or accepts them
    ///
    /// With -G: a batch; exit code 0 commits it, any other stops the program.
    /// With --share: one record; 0 accepts it, 65 rejects it, any other releases
    /// it for another try.
    #[arg(long = "exec", value_name = "CMD")]
    pub(crate) exec: Option<OsString>,

    /// Acknowledge records over the Unix socket PATH
    ///
    /// -G starts each line with its position and commits only acknowledged
    /// records; programs between must keep the position. -P removes it, and
    /// acknowledges each record that the cluster has confirmed.
    #[arg(long = "ack", value_name = "PATH", conflicts_with = "exec")]
    pub(crate) ack: Option<PathBuf>,

    /// With -P --ack: commit records and source offsets in one transaction, exactly once
    #[arg(long = "txn", value_name = "ID")]
    pub(crate) txn: Option<String>,

    /// With -G --ack: at most N records in flight [default: 10000; no limit if the sink never duplicates records]
    #[arg(long = "max-inflight", value_name = "N", value_parser = parse_count)]
    pub(crate) max_inflight: Option<u64>,

    /// Maximum number of records in a batch [default: 10000, with --txn 100000, with --share 1]
    #[arg(long = "batch", value_name = "N", value_parser = parse_count)]
    pub(crate) batch: Option<u64>,

    /// With --exec: complete a batch at about SIZE bytes [default: 64M]
    #[arg(long = "batch-bytes", value_name = "SIZE", value_parser = parse_bytes)]
    pub(crate) batch_bytes: Option<u64>,

    /// How long a batch waits for more records [default: 1s]
    #[arg(long = "batch-wait", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) batch_wait: Option<Duration>,

    /// With --exec: run a failed CMD again up to N times, after 1, 2, 4, ... seconds [default: 0]
    #[arg(long = "retry", value_name = "N")]
    pub(crate) retry: Option<u32>,

    /// With --exec: run up to N commands at a time; with -G for different partitions [default: 1]
    #[arg(long = "parallel", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) parallel: Option<u32>,

    /// With --share --exec: reject a record that fails at its Nth delivery
    #[arg(long = "max-tries", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tries: Option<u32>,

    /// With --share --exec: produce rejected records to TOPIC, with the reason in headers
    #[arg(long = "reject-to", value_name = "TOPIC")]
    pub(crate) reject_to: Option<String>,
}

/// The options of `--commit`, as typed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Positions of a group: see kcat-lite(1)")]
pub(crate) struct PositionArgs {
    /// With --commit: store TEXT with each position
    #[arg(long = "metadata", value_name = "TEXT")]
    pub(crate) metadata: Option<String>,

    /// With --commit: delete the positions of these partitions
    #[arg(long = "delete")]
    pub(crate) delete: bool,

    /// With --commit: also commit offsets that are not in the log
    #[arg(long = "force")]
    pub(crate) force: bool,

    /// With --commit: check and print everything, commit nothing
    #[arg(long = "dry-run")]
    pub(crate) dry_run: bool,
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    match parse_size(text) {
        Ok(0) => Err("nothing fits into 0 bytes".to_owned()),
        other => other,
    }
}
