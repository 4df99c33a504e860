//! The command line as it is typed.
// Doc comments of options are their help text, where brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser};
use tools::cli::Unknown;
use tools::cli::connection::Connection;
use tools::cli::listen::ListenArgs;
use tools::cli::names::Name;
use tools::cli::report::ReportArgs;
use tools::cli::watch::WatchArgs;
use tools::units::{parse_positive_duration, parse_whole};

use crate::limits::{LimitArg, messages_limit, time_limit};
use crate::metrics::{self, Granularity, Names};
use crate::row::SumBy;
use crate::totals::Sort;

/// Print the lag of consumer groups, in messages and in time
///
/// One row for each partition of each group. With a limit, only rows that
/// exceed it are printed, and the exit code is 1 if there are any.
#[derive(Parser, Debug)]
#[command(
    name = "klag",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  klag -g billing --time                lag of one group, in messages and time
  klag --max-time 10m --by group        for cron: print groups over 10 minutes
  klag --listen 127.0.0.1:9308          an exporter for Prometheus

Exit codes: 0 within limits; 1 a limit is exceeded; 2 usage error, or not
everything was read.
See klag(1)."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) select: SelectArgs,

    #[command(flatten)]
    pub(crate) order: RowArgs,

    #[command(flatten)]
    pub(crate) check: LimitArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) watch: WatchArgs,

    /// Cluster name: a column, and in metrics the label cluster_name
    #[arg(long, value_name = "NAME", help_heading = "Report", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) cluster: Option<String>,

    #[command(flatten)]
    pub(crate) listen: ListenArgs,

    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Groups and topics")]
pub(crate) struct SelectArgs {
    /// Only this group, or all that match ^REGEX; repeatable
    #[arg(short = 'g', long = "group", value_name = "NAME|^REGEX")]
    pub(crate) groups: Vec<Name>,

    /// Only this topic, or all that match ^REGEX; repeatable
    #[arg(short = 't', long = "topic", value_name = "NAME|^REGEX")]
    pub(crate) topics: Vec<Name>,

    /// Leave out groups and topics of this name; repeatable
    #[arg(long, value_name = "NAME|^REGEX")]
    pub(crate) exclude: Vec<Name>,

    /// Leave out groups of this name; repeatable
    #[arg(long, value_name = "NAME|^REGEX")]
    pub(crate) exclude_group: Vec<Name>,

    /// Leave out topics of this name; repeatable
    #[arg(long, value_name = "NAME|^REGEX")]
    pub(crate) exclude_topic: Vec<Name>,

    /// Only groups in these states: stable, empty, ...
    #[arg(long = "state", value_name = "STATE,...", value_delimiter = ',', value_parser = parse_state)]
    pub(crate) states: Vec<String>,

    /// Leave out topics in which a group has no member and has not committed within TIME
    ///
    /// Reads the times of commits from __consumer_offsets.
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration)]
    pub(crate) active: Option<Duration>,

    /// Allow names, patterns, states and limits that match nothing
    ///
    /// Without this option the exit code is then 2, because the name may be misspelt.
    #[arg(long)]
    pub(crate) allow_empty: bool,

    /// Read the first unread record of each partition for the time lag and an exact lag
    #[arg(long)]
    pub(crate) time: bool,

    /// Measure produce and consume rates over TIME
    ///
    /// Without TIME: the produce rate of the last hour, without waiting, and no consume rate.
    #[arg(long, value_name = "TIME", num_args = 0..=1, value_parser = parse_positive_duration, conflicts_with_all = ["listen", "web_config"])]
    #[expect(
        clippy::option_option,
        reason = "how clap has an option whose value may be left out"
    )]
    pub(crate) rate: Option<Option<Duration>>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Rows")]
pub(crate) struct RowArgs {
    /// Print sums
    #[arg(long, value_name = "WHAT")]
    pub(crate) by: Option<SumBy>,

    /// Order of the rows; the largest numbers first
    #[arg(
        long,
        value_name = "COLUMN",
        default_value = "group",
        conflicts_with_all = ["listen", "web_config"]
    )]
    pub(crate) sort: Sort,

    /// Print only the first N rows in that order
    #[arg(long, value_name = "N", value_parser = positive_count, allow_negative_numbers = true, conflicts_with_all = ["listen", "web_config"])]
    pub(crate) top: Option<usize>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Metrics: --listen and -o prometheus")]
pub(crate) struct MetricsArgs {
    /// Level of detail [default: lag by partition, all else by topic]
    #[arg(long, value_name = "WHAT")]
    pub(crate) granularity: Option<Granularity>,

    /// Export only these metric families, and those of the scrape itself
    #[arg(long, value_name = "FAMILY,...", value_delimiter = ',', value_parser = metrics::known_name)]
    pub(crate) metrics: Vec<String>,

    /// Names and labels of the metrics
    #[arg(long, value_name = "NAMES", default_value = "klag")]
    pub(crate) metric_names: Names,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Limits: print only rows that exceed them")]
pub(crate) struct LimitArgs {
    /// Maximum lag, including messages that a transaction blocks; @FILE has lines of group, topic, limit
    #[arg(long, value_name = "N|@FILE", value_parser = messages_limit, allow_negative_numbers = true, conflicts_with_all = ["listen", "web_config"])]
    pub(crate) max_lag: Vec<LimitArg>,

    /// Maximum time lag; implies --time
    #[arg(long, value_name = "TIME|@FILE", value_parser = time_limit, conflicts_with_all = ["listen", "web_config"])]
    pub(crate) max_time: Vec<LimitArg>,

    /// Maximum number of messages that were deleted before they were read
    #[arg(long, value_name = "N|@FILE", value_parser = messages_limit, allow_negative_numbers = true, conflicts_with_all = ["listen", "web_config"])]
    pub(crate) max_lost: Vec<LimitArg>,

    /// Longest time without a new record in the topic
    #[arg(long, value_name = "TIME|@FILE", value_parser = time_limit, conflicts_with_all = ["listen", "web_config"])]
    pub(crate) max_stale: Vec<LimitArg>,

    /// Whether an unknown value exceeds its limit [default: fail]
    #[arg(long, value_name = "RULE")]
    pub(crate) unknown: Option<Unknown>,
}

/// The states of groups of all types, as Kafka's `GroupState` names them, in lower case.
const STATES: [&str; 8] = [
    "stable",
    "empty",
    "preparingrebalance",
    "completingrebalance",
    "assigning",
    "reconciling",
    "notready",
    "dead",
];

fn positive_count(text: &str) -> Result<usize, String> {
    match parse_whole(text)? {
        0 => Err("a number above 0 is expected".to_owned()),
        count => Ok(count),
    }
}

fn parse_state(text: &str) -> Result<String, String> {
    let state = text.trim().to_lowercase();
    if STATES.contains(&state.as_str()) {
        return Ok(state);
    }
    let states = STATES.join(", ");
    Err(format!(
        "no group has the state {text:?}: there are {states}"
    ))
}
