//! The command line as it is typed; [`config`](crate::config) turns it into what the program does.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tools::cli::connection::Connection;
use tools::cli::format::FormatArgs;
use tools::cli::now_ms;
use tools::cli::report::OutputArgs;
use tools::units::{parse_duration, parse_size, parse_time};

use crate::segment::Codec;

/// Copy a stream to files, topics and backups while passing it on
#[derive(Debug, Parser)]
#[command(
    name = "ktee",
    version,
    max_term_width = 100,
    override_usage = "ktee [OPTION]... [FILE|FOLDER/|URL|kafka:TOPIC]...\n       \
                      ktee --verify [--accept] [--quarantine] FOLDER|URL\n       \
                      ktee --prune TIME FOLDER|URL\n       \
                      ktee --cat FOLDER|URL|FILE [-t TOPIC] [-p N] [--from TIME] [--to TIME]\n       \
                      ktee --restore FOLDER|URL [-t TOPIC[=NEW]]... [--from TIME] [--to TIME]",
    after_help = "\
Examples:
  kcat-lite -C -t orders -e --tsv=all | ktee --tsv=all backup/ >orders.tsv
  ktee --verify backup                       what is stored, and what is missing
  ktee --restore -t orders=copy backup       into a new topic named copy

Exit codes: 0 done; 1 a backup has holes, --verify found damage, no record is in
the time range, or records were spilled; 2 usage error or failure, see stderr.
See ktee(1) and kafka-records(5)."
)]
pub(crate) struct Cli {
    /// Read a whole backup; report holes and damage, and exit with 1 if there is any
    #[arg(long, group = "mode", help_heading = "Read and maintain a backup")]
    pub(crate) verify: bool,

    /// With --verify: accept the loss of records that the topic deleted before they were backed up
    #[arg(long, help_heading = "Read and maintain a backup")]
    pub(crate) accept: bool,

    /// With --verify: move damaged segments into the folder quarantine; sending the topic again replaces them
    #[arg(long, help_heading = "Read and maintain a backup")]
    pub(crate) quarantine: bool,

    /// Remove segments whose records are all older than TIME
    #[arg(long, group = "mode", value_name = "TIME", value_parser = parse_duration, help_heading = "Read and maintain a backup")]
    pub(crate) prune: Option<Duration>,

    /// Print the records of a backup, or of one file, as --tsv=all
    #[arg(long, group = "mode", help_heading = "Read and maintain a backup")]
    pub(crate) cat: bool,

    /// Produce the records of a backup to their topics; create topics that are missing
    #[arg(long, group = "mode", help_heading = "Read and maintain a backup")]
    pub(crate) restore: bool,

    /// With --restore: accept holes, and a topic that has other records, deletes records or changes times
    #[arg(long, help_heading = "Read and maintain a backup")]
    pub(crate) force: bool,

    /// With --restore: use the newest settings and group offsets recorded at or before TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time_arg, allow_hyphen_values = true, help_heading = "Read and maintain a backup")]
    pub(crate) as_of: Option<i64>,

    /// Only this topic; repeatable. With --restore OLD=NEW restores topic OLD as NEW. When copying: record this topic in
    /// the backup even if the input has no record of it
    #[arg(
        short = 't',
        long = "topic",
        value_name = "TOPIC",
        help_heading = "Read and maintain a backup"
    )]
    pub(crate) topics: Vec<String>,

    /// Only this partition; repeatable
    #[arg(short = 'p', long = "partition", value_name = "N", value_parser = clap::value_parser!(i32).range(0..), help_heading = "Read and maintain a backup")]
    pub(crate) partitions: Vec<i32>,

    /// Only records of this time or later: ISO 8601, now-2h, "yesterday 15:00", @SECONDS, milliseconds
    #[arg(long, value_name = "TIME", value_parser = parse_time_arg, allow_hyphen_values = true, help_heading = "Read and maintain a backup")]
    pub(crate) from: Option<i64>,

    /// Only records before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time_arg, allow_hyphen_values = true, help_heading = "Read and maintain a backup")]
    pub(crate) to: Option<i64>,

    #[command(flatten)]
    pub(crate) report: OutputArgs,

    /// Append to files instead of overwriting them
    #[arg(short = 'a', long = "append", help_heading = "Copy")]
    pub(crate) append: bool,

    /// Ignore interrupts (SIGINT)
    #[arg(short = 'i', long, help_heading = "Copy")]
    pub(crate) ignore_interrupts: bool,

    /// What to do when an output fails, as GNU tee [default: warn-nopipe]
    #[arg(
        long,
        value_name = "MODE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "warn",
        conflicts_with = "on_error",
        help_heading = "Copy"
    )]
    pub(crate) output_error: Option<OutputError>,

    /// Acknowledge stored records to kcat-lite -G --ack PATH, the first program of the pipe
    #[arg(long, value_name = "PATH", help_heading = "Copy")]
    pub(crate) ack: Option<PathBuf>,

    /// What to do when a destination fails
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "continue",
        help_heading = "Copy"
    )]
    pub(crate) on_error: OnError,

    /// Time limit for a record to kafka:TOPIC, or a request to an object store [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Copy")]
    pub(crate) delivery_timeout: Option<Duration>,

    /// Write records that kafka:TOPIC does not accept to FILE as --tsv=all, and exit with 1
    #[arg(long, value_name = "FILE", help_heading = "Copy")]
    pub(crate) spill: Option<PathBuf>,

    /// Use an object store that can't prevent overwriting; then only one ktee may write
    #[arg(long, help_heading = "Write a backup")]
    pub(crate) single_writer: bool,

    /// Format of records in segments [default: tsv]
    #[arg(long, value_name = "FORMAT", help_heading = "Write a backup")]
    pub(crate) segment_format: Option<SegmentFormat>,

    /// Compression of segments [default: zstd]
    #[arg(long, value_name = "CODEC", help_heading = "Write a backup")]
    pub(crate) compress: Option<Codec>,

    /// Size of a segment before compression [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Write a backup")]
    pub(crate) segment_bytes: Option<u64>,

    /// Number of records in a segment
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Write a backup")]
    pub(crate) segment_records: Option<u64>,

    /// Store a segment after TIME even if it is not full [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Write a backup")]
    pub(crate) max_delay: Option<Duration>,

    /// Record that the bucket deletes segments after TIME, so that --verify does not report them
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Write a backup")]
    pub(crate) expire_after: Option<Duration>,

    /// Store each topic's partitions and settings, read from the cluster
    #[arg(long, help_heading = "Write a backup")]
    pub(crate) settings: bool,

    /// Store the offsets of groups; with --restore commit them, as offsets of the new topic
    #[arg(long, help_heading = "Write a backup")]
    pub(crate) groups: bool,

    /// Memory for records in open segments [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Write a backup")]
    pub(crate) buffer: Option<u64>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Destinations, or the backup to read
    #[arg(value_name = "DESTINATION", help_heading = "Arguments")]
    pub(crate) operands: Vec<OsString>,
}

/// `--on-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Continue with the others, and exit with 2 at the end
    Continue,
    /// Stop reading
    Stop,
}

/// `--output-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputError {
    /// Continue with the others and exit with 2, also if the reader of a pipe exits
    Warn,
    /// Continue with the others; a reader that exits is no failure
    WarnNopipe,
    /// Stop, also if the reader of a pipe exits
    Exit,
    /// Stop; a reader that exits is no failure
    ExitNopipe,
}

/// `--segment-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SegmentFormat {
    /// As --tsv=all
    Tsv,
    /// As -J
    Json,
}

fn parse_time_arg(text: &str) -> Result<i64, String> {
    parse_time(text, now_ms())
}
