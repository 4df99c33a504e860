//! The command line as it is typed. What it means is settled in [`config`](crate::config).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use tools::cli::connection::Connection;
use tools::cli::format::FormatArgs;
use tools::partition::Algorithm;
use tools::units::{parse_duration, parse_size};

use crate::engine::Engine;

/// Moves records between a Kafka topic and a pipe.
#[derive(Debug, Parser)]
#[command(
    name = "kcat-lite",
    disable_version_flag = true,
    override_usage = "kcat-lite -P -t TOPIC [FILE]...\n       \
                      kcat-lite -C -t TOPIC [-p PARTITION] [-o OFFSET] [-e]\n       \
                      kcat-lite -G GROUP TOPIC...\n       \
                      kcat-lite -L [-t TOPIC]\n       \
                      kcat-lite -Q -t TOPIC:PARTITION:TIME\n       \
                      kcat-lite -M BROKERS [-- COMMAND...]",
    after_help = "Without a mode, a terminal as standard input means -C, a pipe means -P.\n\
                  Exit codes: 0 done; 2 usage, or something failed and stderr says what.\n\
                  See kcat-lite(1) and kafka-records(5)."
)]
pub(crate) struct Cli {
    /// Produce: standard input, or each FILE as one record, to a topic
    #[arg(short = 'P', long = "produce", help_heading = "Modes", group = "mode")]
    pub(crate) produce: bool,

    /// Consume topics, or one partition
    #[arg(short = 'C', long = "consume", help_heading = "Modes", group = "mode")]
    pub(crate) consume: bool,

    /// Consume topics as a member of GROUP; `^regex` names many
    #[arg(
        short = 'G',
        long = "group",
        value_name = "GROUP",
        help_heading = "Modes",
        conflicts_with_all = ["produce", "list", "query", "mock", "self_test", "version"]
    )]
    pub(crate) group: Option<String>,

    /// List brokers, topics, partitions
    #[arg(short = 'L', long = "list", help_heading = "Modes", group = "mode")]
    pub(crate) list: bool,

    /// Query the offset of a time: -t TOPIC:PARTITION:TIME
    #[arg(short = 'Q', long = "query", help_heading = "Modes", group = "mode")]
    pub(crate) query: bool,

    /// Run COMMAND with a throw-away cluster of N brokers; without one, until standard input ends
    #[arg(
        short = 'M',
        long = "mock",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(tools::kafka::mock::MAX_BROKERS)),
        help_heading = "Modes",
        group = "mode"
    )]
    pub(crate) mock: Option<u32>,

    /// Check this program's own parts, without a cluster
    #[arg(
        short = 'U',
        long = "self-test",
        help_heading = "Modes",
        group = "mode"
    )]
    pub(crate) self_test: bool,

    /// Print the version, and librdkafka's
    #[arg(short = 'V', long = "version", help_heading = "Modes", group = "mode")]
    pub(crate) version: bool,

    /// Topic; repeat it to consume several
    #[arg(
        short = 't',
        long = "topic",
        value_name = "TOPIC",
        help_heading = "What to move"
    )]
    pub(crate) topics: Vec<String>,

    /// Partition; -1 when producing lets the partitioner choose
    #[arg(
        short = 'p',
        long = "partition",
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "What to move"
    )]
    pub(crate) partition: Option<String>,

    /// Where to begin: beginning, end, stored, N, -N from the end, s@TIME; and where to stop: e@TIME
    ///
    /// TIME is ISO 8601, now-2h, "2 hours ago", "yesterday 15:00", @SECONDS or
    /// milliseconds since 1970. Repeat it to say both a beginning and an end.
    #[arg(
        short = 'o',
        long = "offset",
        value_name = "OFFSET",
        allow_hyphen_values = true,
        help_heading = "What to move"
    )]
    pub(crate) offsets: Vec<String>,

    /// Stop after N records
    #[arg(short = 'c', long = "count", value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "What to move")]
    pub(crate) count: Option<u64>,

    /// Stop at the end, as it was when reading began
    #[arg(short = 'e', long = "exit-at-end", help_heading = "What to move")]
    pub(crate) exit_at_end: bool,

    /// Stop when no record has come for this time
    #[arg(long = "idle", value_name = "TIME", value_parser = parse_duration, help_heading = "What to move")]
    pub(crate) idle: Option<Duration>,

    /// Only the newest N records of all partitions, by their times; then stop
    #[arg(long = "last", value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "What to move")]
    pub(crate) last: Option<u64>,

    /// Only records with this key
    ///
    /// All partitions are read; -p or --algo says in which one the key is.
    #[arg(
        long = "only-key",
        value_name = "KEY",
        allow_hyphen_values = true,
        help_heading = "What to move"
    )]
    pub(crate) only_key: Option<OsString>,

    /// With --only-key: read the partition where this algorithm puts the key, as kpart --algo does
    #[arg(long = "algo", value_name = "NAME", help_heading = "What to move")]
    pub(crate) algorithm: Option<Algorithm>,

    /// Consume: end with 2 when the cluster has not answered for TIME; without it an outage is waited through
    #[arg(long = "give-up", value_name = "TIME", value_parser = parse_duration, help_heading = "What to move")]
    pub(crate) give_up: Option<Duration>,

    /// Send lines of FILE, as standard input is sent, instead of each FILE as one record
    #[arg(short = 'l', long = "lines", help_heading = "What to move")]
    pub(crate) lines: bool,

    /// Key of every record that brings none
    #[arg(
        short = 'k',
        long = "key",
        value_name = "KEY",
        allow_hyphen_values = true,
        help_heading = "What to move"
    )]
    pub(crate) key: Option<OsString>,

    /// Header of every record: NAME=VALUE, or NAME for a NULL value; repeatable
    #[arg(
        short = 'H',
        long = "header",
        value_name = "NAME=VALUE",
        allow_hyphen_values = true,
        help_heading = "What to move"
    )]
    pub(crate) headers: Vec<OsString>,

    /// Compress with gzip, snappy, lz4 or zstd
    #[arg(
        short = 'z',
        long = "compression",
        value_name = "CODEC",
        help_heading = "What to move"
    )]
    pub(crate) compression: Option<String>,

    /// Copy standard input to standard output, record by record
    #[arg(short = 'T', long = "tee", help_heading = "What to move")]
    pub(crate) tee: bool,

    /// Write each record at once, instead of in blocks that go out when idle
    #[arg(short = 'u', long = "unbuffered", help_heading = "What to move")]
    pub(crate) unbuffered: bool,

    /// Wait for the cluster however long it takes, also at first
    #[arg(short = 'E', long = "keep-trying", help_heading = "What to move")]
    pub(crate) keep_trying: bool,

    /// How partitions are read: wire, or librdkafka's own consumer [default: wire]
    ///
    /// Both give the same records. librdkafka's consumer is slower, and reads
    /// what Kafka before 0.11 has written (message formats v0 and v1).
    #[arg(long = "engine", value_name = "ENGINE", help_heading = "What to move")]
    pub(crate) engine: Option<Engine>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    /// Raw records: put the offset and the -K delimiter (or a tab) before each
    #[arg(
        short = 'O',
        long = "print-offset",
        help_heading = "Record format: see kafka-records(5)"
    )]
    pub(crate) print_offset: bool,

    /// Unpack binary keys or values into text, as kcat does: [key=|value=]PACK
    ///
    /// PACK is made of b B h H i I q Q (integers of 1, 2, 4, 8 bytes, signed
    /// and unsigned), c (a character), s (the rest as text), < and > (byte
    /// order), $ (the end).
    #[arg(
        short = 's',
        long = "unpack",
        value_name = "PACK",
        help_heading = "Record format: see kafka-records(5)"
    )]
    pub(crate) unpack: Vec<String>,

    /// Send exact bytes to a terminal too, control characters and all
    #[arg(long = "raw", help_heading = "Record format: see kafka-records(5)")]
    pub(crate) raw: bool,

    #[command(flatten)]
    pub(crate) pipe: PipeArgs,

    /// kcat's schema registry, which is not supported
    #[arg(short = 'r', long = "registry", value_name = "URL", hide = true)]
    pub(crate) registry: Option<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Files to produce, or topics to consume
    #[arg(value_name = "FILE|TOPIC", help_heading = "Arguments")]
    pub(crate) operands: Vec<PathBuf>,

    /// With -M: what to run
    #[arg(last = true, value_name = "COMMAND", help_heading = "Arguments")]
    pub(crate) command: Vec<OsString>,
}

/// The options of pipes that lose nothing, as typed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Pipes that lose nothing: see kcat-lite(1)")]
pub(crate) struct PipeArgs {
    /// With -G: run CMD (sh -c) with each batch as its standard input; commit the batch if it exits with 0
    #[arg(long = "exec", value_name = "CMD")]
    pub(crate) exec: Option<OsString>,

    /// Say, or hear, over a socket at PATH what the last program of the pipe has dealt with; commit only that
    ///
    /// With -G every line begins with its position, which the programs between
    /// have to keep; -P --ack PATH takes it off and acknowledges the record
    /// when it is delivered.
    #[arg(long = "ack", value_name = "PATH", conflicts_with = "exec")]
    pub(crate) ack: Option<PathBuf>,

    /// With -P --ack: commit the records and the positions they came from in one transaction; exactly once
    #[arg(long = "txn", value_name = "ID")]
    pub(crate) txn: Option<String>,

    /// With -G --ack: at most N records are sent and not yet committed [default: 10000; no limit before a sink that doubles nothing]
    #[arg(long = "max-inflight", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_inflight: Option<u64>,

    /// A batch has at most N records [default: 10000, with --txn 100000]
    #[arg(long = "batch", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: Option<u64>,

    /// With --exec: a batch has at most about SIZE bytes [default: 64M]
    #[arg(long = "batch-bytes", value_name = "SIZE", value_parser = parse_bytes)]
    pub(crate) batch_bytes: Option<u64>,

    /// A batch waits at most this long for more [default: 1s]
    #[arg(long = "batch-wait", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) batch_wait: Option<Duration>,

    /// With --exec: run CMD again up to N times if it fails, after 1, 2, 4 ... seconds [default: 0]
    #[arg(long = "retry", value_name = "N")]
    pub(crate) retry: Option<u32>,

    /// With --exec: run N batches of different partitions at a time [default: 1]
    #[arg(long = "parallel", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) parallel: Option<u32>,
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    match parse_size(text) {
        Ok(0) => Err("nothing fits into 0 bytes".to_owned()),
        other => other,
    }
}
