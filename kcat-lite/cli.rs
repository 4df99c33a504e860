//! The command line as it is typed; [`config`](crate::config) turns it into what the program does.

mod modes;
mod pipes;
mod schema;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tools::cli::connection::Connection;
use tools::cli::format::FormatArgs;
use tools::partition::Algorithm;
use tools::units::{parse_duration, parse_whole};

use crate::engine::Engine;
pub(crate) use modes::ModeArgs;
pub(crate) use pipes::{PipeArgs, PositionArgs};
pub(crate) use schema::SchemaArgs;
#[cfg(feature = "schema-registry")]
pub(crate) use schema::Style;

/// Produce, consume and list: records between Kafka topics and pipes
#[derive(Debug, Parser)]
#[command(
    name = "kcat-lite",
    next_help_heading = "What to move",
    disable_version_flag = true,
    override_usage = "kcat-lite -P -t TOPIC [FILE]...\n       \
                      kcat-lite -C -t TOPIC [-p PARTITION] [-o OFFSET] [-e]\n       \
                      kcat-lite -G GROUP TOPIC...\n       \
                      kcat-lite --share GROUP [--exec CMD] TOPIC...\n       \
                      kcat-lite -L [-t TOPIC]\n       \
                      kcat-lite -Q -t TOPIC[:PARTITION]:TIME\n       \
                      kcat-lite -Q --schema -r URL -t TOPIC\n       \
                      kcat-lite --commit GROUP <POSITIONS\n       \
                      kcat-lite -M BROKERS [-- COMMAND...]",
    after_help = "\
Examples:
  printf 'k1:v1\\n' | kcat-lite -P -t orders -K :   produce a record with a key
  kcat-lite -C -t orders -o -10 -e --tsv=all       last 10 of each partition
  kcat-lite -G billing --exec ./load orders        commit what ./load took

The default mode is -C if standard input is a terminal, else -P.
Exit codes: 0 done; 2 usage error or failure, described on stderr.
See kcat-lite(1) and kafka-records(5)."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) modes: ModeArgs,

    /// Topic; repeatable when consuming
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,

    /// Partition; when producing, -1 leaves it to the partitioner
    #[arg(
        short = 'p',
        long = "partition",
        value_name = "N",
        allow_hyphen_values = true
    )]
    pub(crate) partition: Option<String>,

    /// Start at beginning, end, stored, offset N, -N from the end, or s@TIME; stop at e@TIME
    ///
    /// TIME is ISO 8601, now-2h, "2 hours ago", "yesterday 15:00", @SECONDS or
    /// milliseconds since 1970. Repeat the option to give a start and a stop.
    #[arg(
        short = 'o',
        long = "offset",
        value_name = "OFFSET",
        allow_hyphen_values = true
    )]
    pub(crate) offsets: Vec<String>,

    /// Stop after N records
    #[arg(short = 'c', long = "count", value_name = "N", value_parser = parse_count)]
    pub(crate) count: Option<u64>,

    /// Stop at the end of the topic as it was at the start
    #[arg(short = 'e', long = "exit-at-end")]
    pub(crate) exit_at_end: bool,

    /// Stop if no record arrives for TIME
    #[arg(long = "idle", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) idle: Option<Duration>,

    /// Print the newest N records of all partitions, ordered by timestamp, and stop
    #[arg(long = "last", value_name = "N", value_parser = parse_count)]
    pub(crate) last: Option<u64>,

    /// Print only records with this key
    ///
    /// Reads all partitions, unless -p or --algo selects the key's partition.
    #[arg(long = "only-key", value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) only_key: Option<OsString>,

    /// With --only-key: read only the partition that this kpart algorithm chooses
    #[arg(long = "algo", value_name = "NAME")]
    pub(crate) algorithm: Option<Algorithm>,

    /// Consume: exit with 2 if the cluster does not answer for TIME; the default is to wait
    #[arg(long = "give-up", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) give_up: Option<Duration>,

    /// Produce each line of FILE as a record, instead of each FILE as one
    #[arg(short = 'l', long = "lines")]
    pub(crate) lines: bool,

    /// Key for records without one
    #[arg(
        short = 'k',
        long = "key",
        value_name = "KEY",
        allow_hyphen_values = true
    )]
    pub(crate) key: Option<OsString>,

    /// Add a header to every record; NAME alone is a NULL value; repeatable
    #[arg(
        short = 'H',
        long = "header",
        value_name = "NAME=VALUE",
        allow_hyphen_values = true
    )]
    pub(crate) headers: Vec<OsString>,

    /// Compress with gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long = "compression", value_name = "CODEC")]
    pub(crate) compression: Option<String>,

    /// Copy standard input to standard output, record by record
    #[arg(short = 'T', long = "tee")]
    pub(crate) tee: bool,

    /// Write each record at once, not in blocks that are flushed when idle
    #[arg(short = 'u', long = "unbuffered")]
    pub(crate) unbuffered: bool,

    /// Wait for the cluster without a time limit, also for the first contact
    #[arg(short = 'E', long = "keep-trying")]
    pub(crate) keep_trying: bool,

    /// How to read partitions [default: wire]
    ///
    /// Both return the same records. librdkafka is slower, and also reads the
    /// message formats v0 and v1 of Kafka before 0.11.
    #[arg(long = "engine", value_name = "ENGINE")]
    pub(crate) engine: Option<Engine>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    /// Print the offset and the -K delimiter (or a tab) before each raw record
    #[arg(
        short = 'O',
        long = "print-offset",
        help_heading = "Record format: see kafka-records(5)"
    )]
    pub(crate) print_offset: bool,

    /// Unpack binary keys or values: [key=|value=]NAME or PACK
    ///
    /// avro, protobuf and json-schema are JSON in the pipe and serialized in
    /// the topic; registry is the type of the record's schema; json is JSON
    /// without a schema. A PACK unpacks numbers into text, as kcat does. It
    /// consists of b B h H i I q Q (integers of 1, 2, 4, 8 bytes, signed
    /// and unsigned), c (a character), s (the rest as text), < and > (byte
    /// order), $ (the end).
    #[arg(
        short = 's',
        long = "unpack",
        value_name = "NAME|PACK",
        help_heading = "Record format: see kafka-records(5)"
    )]
    pub(crate) unpack: Vec<String>,

    /// Print control characters as they are, also on a terminal
    #[arg(long = "raw", help_heading = "Record format: see kafka-records(5)")]
    pub(crate) raw: bool,

    #[command(flatten)]
    pub(crate) pipe: PipeArgs,

    #[command(flatten)]
    pub(crate) positions: PositionArgs,

    #[command(flatten)]
    pub(crate) schema: SchemaArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Files to produce, or topics to consume
    #[arg(value_name = "FILE|TOPIC", help_heading = "Arguments")]
    pub(crate) operands: Vec<PathBuf>,

    /// With -M: the command to run
    #[arg(last = true, value_name = "COMMAND", help_heading = "Arguments")]
    pub(crate) command: Vec<OsString>,
}

pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    match parse_whole(text)? {
        0 => Err("at least 1 is expected; no limit is no option".to_owned()),
        count => Ok(count),
    }
}
