//! The command line as it is typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tools::cli::connection::Connection;
use tools::cli::listen::ListenArgs;
use tools::cli::names::Name;
use tools::cli::report::ReportArgs;
use tools::cli::watch::WatchArgs;
use tools::units::parse_duration;

use crate::forecast::Change;

/// Say how old the oldest message of every partition is, and how long retention will hold
///
/// A line for each partition: the time of its oldest and newest message, how
/// much it holds and takes in, and how much history its settings keep at
/// this rate: every message at least keeps_min, none longer than keeps_max.
#[derive(Parser, Debug)]
#[command(name = "koldest", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Topics: names, or patterns that begin with ^ [default: all]
    #[arg(value_name = "TOPIC")]
    pub(crate) topics: Vec<Name>,

    /// The same as TOPIC: only this topic, or all that match ^REGEX; may be repeated
    #[arg(short = 't', long = "topic", value_name = "NAME|^REGEX")]
    pub(crate) more_topics: Vec<Name>,

    /// Leave these topics out; may be repeated
    #[arg(long, value_name = "TOPIC")]
    pub(crate) exclude: Vec<Name>,

    /// Take the cluster's internal topics too, as __consumer_offsets
    #[arg(long)]
    pub(crate) internal: bool,

    /// Take it for an answer that a name or pattern fits no topic
    ///
    /// Else that is exit code 2: a name may be misspelt.
    #[arg(long)]
    pub(crate) allow_empty: bool,

    /// A line for each topic, with sums, or for each disk of a broker
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) by: Option<By>,

    /// The rate is that of the last so much time
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration, help_heading = "Forecast")]
    pub(crate) window: Duration,

    /// Forecast with another setting or rate; may be repeated
    ///
    /// retention.ms, retention.bytes, segment.ms, segment.bytes with sizes
    /// and durations (100GB, 7d; -1 is without limit), or rate=xFACTOR.
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Forecast")]
    pub(crate) what_if: Vec<Change>,

    /// Instead: the smallest retention of each topic that holds so much history, and the disk that takes
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Forecast",
          conflicts_with_all = ["by", "min_age", "max_age", "max_stale", "listen", "web_config"])]
    pub(crate) need: Option<Duration>,

    /// Show what holds less history than this although messages were deleted, and exit 1
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Checks: show only what exceeds, exit 1 if anything does", conflicts_with_all = ["listen", "web_config"])]
    pub(crate) min_age: Option<Duration>,

    /// Show what keeps messages for longer than this, and exit 1
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Checks: show only what exceeds, exit 1 if anything does", conflicts_with_all = ["listen", "web_config"])]
    pub(crate) max_age: Option<Duration>,

    /// Show what has no message younger than this, and exit 1
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Checks: show only what exceeds, exit 1 if anything does", conflicts_with_all = ["listen", "web_config"])]
    pub(crate) max_stale: Option<Duration>,

    /// Whether what can't be told exceeds a limit on it [default: fail]
    #[arg(
        long,
        value_name = "RULE",
        help_heading = "Checks: show only what exceeds, exit 1 if anything does"
    )]
    pub(crate) unknown: Option<Unknown>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) watch: WatchArgs,

    /// Write the report to this file, which is replaced as a whole
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Report",
        conflicts_with = "watch"
    )]
    pub(crate) write: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) listen: ListenArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `--unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unknown {
    /// It does not.
    Pass,
    /// It does.
    Fail,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// A topic, all its partitions together.
    Topic,
    /// A log dir of a broker.
    Broker,
}
