//! The command line as it is typed. What it means is settled in [`config`](crate::config).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};
use tools::cli::connection::Connection;
use tools::cli::format::FormatArgs;
use tools::cli::report::OutputArgs;
use tools::units::{parse_duration, parse_size, parse_time};

use crate::segment::Codec;

/// Copies a stream to files, topics and backups while passing it on
#[derive(Debug, Parser)]
#[command(
    name = "ktee",
    version,
    max_term_width = 100,
    override_usage = "ktee [OPTION]... [FILE|FOLDER/|URL|kafka:TOPIC]...\n       \
                      ktee --verify [--accept|--quarantine] FOLDER|URL\n       \
                      ktee --prune TIME FOLDER|URL\n       \
                      ktee --cat FOLDER|URL|FILE [-t TOPIC]... [-p PARTITION]... [--from TIME] [--to TIME]\n       \
                      ktee --restore FOLDER|URL [-t TOPIC[=NEW]]... [-p PARTITION]... [--from TIME] [--to TIME]",
    after_help = "Exit codes: 0 done; 1 a backup is not whole, no record is in the time range, or records were spilled; 2 usage, or something failed and stderr says what.\n\
                  See ktee(1) and kafka-records(5)."
)]
pub(crate) struct Cli {
    /// Read a whole backup and report what does not fit; 1 if something is missing or damaged
    #[arg(long, group = "mode", help_heading = "Backups, the way back")]
    pub(crate) verify: bool,

    /// With --verify: accept as lost what a topic had deleted before it was backed up
    #[arg(long, help_heading = "Backups, the way back")]
    pub(crate) accept: bool,

    /// With --verify: move damaged segments aside, so that sending the topic again replaces them
    #[arg(long, help_heading = "Backups, the way back")]
    pub(crate) quarantine: bool,

    /// Remove segments all of whose records are older than this
    #[arg(long, group = "mode", value_name = "TIME", value_parser = parse_duration, help_heading = "Backups, the way back")]
    pub(crate) prune: Option<Duration>,

    /// Write the records of a backup, or of one file, as --tsv=all
    #[arg(long, group = "mode", help_heading = "Backups, the way back")]
    pub(crate) cat: bool,

    /// Send the records of a backup into topics of their names, which are made where they are missing
    #[arg(long, group = "mode", help_heading = "Backups, the way back")]
    pub(crate) restore: bool,

    /// With --restore: restore a backup with holes, or into a topic that has other records, deletes records or changes times
    #[arg(long, help_heading = "Backups, the way back")]
    pub(crate) force: bool,

    /// With --restore: use the settings and group offsets that were recorded at this time or before
    #[arg(long, value_name = "TIME", value_parser = parse_time_arg, allow_hyphen_values = true, help_heading = "Backups, the way back")]
    pub(crate) as_of: Option<i64>,

    /// Only this topic; repeatable. With --restore OLD=NEW restores topic OLD as NEW
    #[arg(
        short = 't',
        long = "topic",
        value_name = "TOPIC",
        help_heading = "Backups, the way back"
    )]
    pub(crate) topics: Vec<String>,

    /// Only this partition; repeatable
    #[arg(short = 'p', long = "partition", value_name = "N", value_parser = clap::value_parser!(i32).range(0..), help_heading = "Backups, the way back")]
    pub(crate) partitions: Vec<i32>,

    /// Only records of this time or later: ISO 8601, now-2h, "yesterday 15:00", @SECONDS, milliseconds
    #[arg(long, value_name = "TIME", value_parser = parse_time_arg, allow_hyphen_values = true, help_heading = "Backups, the way back")]
    pub(crate) from: Option<i64>,

    /// Only records before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time_arg, allow_hyphen_values = true, help_heading = "Backups, the way back")]
    pub(crate) to: Option<i64>,

    #[command(flatten)]
    pub(crate) report: OutputArgs,

    /// Add to files instead of writing them anew
    #[arg(short = 'a', long = "append", help_heading = "Where to copy to")]
    pub(crate) append: bool,

    /// Ignore interrupts (SIGINT, ^C)
    #[arg(short = 'i', long, help_heading = "Where to copy to")]
    pub(crate) ignore_interrupts: bool,

    /// When an output fails, as GNU tee has it [default: warn-nopipe]
    #[arg(
        long,
        value_name = "MODE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "warn",
        conflicts_with = "on_error",
        help_heading = "Where to copy to"
    )]
    pub(crate) output_error: Option<OutputError>,

    /// Tell the first program of the pipe, kcat-lite -G --ack PATH, what is durable
    #[arg(long, value_name = "PATH", help_heading = "Where to copy to")]
    pub(crate) ack: Option<PathBuf>,

    /// When a place fails: go on with the others, or stop
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "continue",
        help_heading = "Where to copy to"
    )]
    pub(crate) on_error: OnError,

    /// Give up a record for kafka:TOPIC, or a request to an object store, after this long [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Where to copy to")]
    pub(crate) delivery_timeout: Option<Duration>,

    /// Put records that kafka:TOPIC does not take into this file, as --tsv=all; 1 if there are any
    #[arg(long, value_name = "FILE", help_heading = "Where to copy to")]
    pub(crate) spill: Option<PathBuf>,

    /// Use an object store that cannot refuse to overwrite objects; no other ktee may write to the backup
    #[arg(long, help_heading = "Backups")]
    pub(crate) single_writer: bool,

    /// How records are written in segments [default: tsv]
    #[arg(long, value_name = "FORMAT", help_heading = "Backups")]
    pub(crate) segment_format: Option<SegmentFormat>,

    /// How segments are compressed [default: zstd]
    #[arg(long, value_name = "CODEC", help_heading = "Backups")]
    pub(crate) compress: Option<Codec>,

    /// A segment ends with so many bytes before compression [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Backups")]
    pub(crate) segment_bytes: Option<u64>,

    /// A segment ends with so many records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Backups")]
    pub(crate) segment_records: Option<u64>,

    /// Store a segment as it is when it has been open for so long [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Backups")]
    pub(crate) max_delay: Option<Duration>,

    /// Record that the bucket itself deletes segments after this long, so that --verify does not miss them
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Backups")]
    pub(crate) expire_after: Option<Duration>,

    /// Record partitions and settings of each topic, asked of the cluster
    #[arg(long, help_heading = "Backups")]
    pub(crate) settings: bool,

    /// Record how far groups have read; with --restore commit it, in the new offsets
    #[arg(long, help_heading = "Backups")]
    pub(crate) groups: bool,

    /// Memory for records on their way into segments [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Backups")]
    pub(crate) buffer: Option<u64>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Where to copy to, or what to read
    #[arg(value_name = "PLACE", help_heading = "Arguments")]
    pub(crate) operands: Vec<OsString>,
}

/// `--on-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// The others get what follows; the exit code is 2 at the end
    Continue,
    /// Nothing more is read
    Stop,
}

/// `--output-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputError {
    /// Go on with the others; also when the reader of a pipe leaves, exit with 2
    Warn,
    /// Go on with the others; a reader that leaves is no failure
    WarnNopipe,
    /// Stop, also when the reader of a pipe leaves
    Exit,
    /// Stop; a reader that leaves is no failure
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

/// Milliseconds since 1970 by the wall's clock.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}
