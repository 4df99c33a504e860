//! The command line as it is typed.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use tools::cli::Unknown;
use tools::cli::connection::Connection;
use tools::cli::listen::ListenArgs;
use tools::cli::names::Name;
use tools::cli::report::ReportArgs;
use tools::cli::watch::WatchArgs;
use tools::units::parse_positive_duration;

use crate::forecast::WhatIf;

/// Print the age of each partition's oldest message, and how long retention keeps messages
///
/// A row for each partition: the time of its oldest and newest message, its
/// size and write rate, and how much history its settings keep at this rate:
/// every message for at least keeps_min, and no message longer than keeps_max.
#[derive(Parser, Debug)]
#[command(
    name = "koldest",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  koldest orders                        the oldest message of each partition
  koldest --min-age 7d orders           for cron: what keeps less than a week
  koldest --need 7d orders              the settings that keep a week

Exit codes: 0 within limits; 1 a limit is exceeded; 2 usage error, or not
everything was read.
See koldest(1)."
)]
pub(crate) struct Cli {
    /// Topics: names, or patterns that start with ^ [default: all]
    #[arg(value_name = "TOPIC")]
    pub(crate) topics: Vec<Name>,

    /// The same as TOPIC; repeatable
    #[arg(short = 't', long = "topic", value_name = "NAME|^REGEX")]
    pub(crate) more_topics: Vec<Name>,

    /// Leave out topics of this name; repeatable
    #[arg(long = "exclude", value_name = "TOPIC")]
    pub(crate) exclude_topic: Vec<Name>,

    /// Include internal topics, such as __consumer_offsets
    #[arg(long)]
    pub(crate) internal: bool,

    /// Allow names and patterns that match no topic
    ///
    /// Without this option the exit code is then 2, because the name may be misspelt.
    #[arg(long)]
    pub(crate) allow_empty: bool,

    /// Print sums
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) by: Option<ReportBy>,

    /// Measure the write rate over the last TIME
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_positive_duration, help_heading = "Forecast")]
    pub(crate) window: Duration,

    /// Forecast with another setting or rate; repeatable
    ///
    /// retention.ms, retention.bytes, segment.ms, segment.bytes with sizes
    /// and durations (100GB, 7d; -1 is unlimited), or rate=xFACTOR.
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Forecast")]
    pub(crate) what_if: Vec<WhatIf>,

    /// Instead, print the smallest retention of each topic that keeps TIME, and its disk space
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration, help_heading = "Forecast",
          conflicts_with_all = ["by", "min_age", "max_age", "max_stale", "listen", "web_config"])]
    pub(crate) need: Option<Duration>,

    /// Partitions that keep less than TIME because older messages were deleted
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration, help_heading = "Checks: print only partitions that fail, and exit with 1 if any does", conflicts_with_all = ["listen", "web_config"])]
    pub(crate) min_age: Option<Duration>,

    /// Partitions that keep messages for longer than TIME
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration, help_heading = "Checks: print only partitions that fail, and exit with 1 if any does", conflicts_with_all = ["listen", "web_config"])]
    pub(crate) max_age: Option<Duration>,

    /// Partitions without a message for TIME
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration, help_heading = "Checks: print only partitions that fail, and exit with 1 if any does", conflicts_with_all = ["listen", "web_config"])]
    pub(crate) max_stale: Option<Duration>,

    /// Whether an unknown value fails a check [default: fail]
    #[arg(
        long,
        value_name = "RULE",
        help_heading = "Checks: print only partitions that fail, and exit with 1 if any does"
    )]
    pub(crate) unknown: Option<Unknown>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) watch: WatchArgs,

    #[command(flatten)]
    pub(crate) listen: ListenArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportBy {
    /// A row for each topic.
    Topic,
    /// A row for each log dir of each broker.
    Broker,
}
