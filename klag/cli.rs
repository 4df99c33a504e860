//! The command line: [`Cli`] as it is typed, [`Config`] as the rest of the program wants it.
// Doc comments of options are their help text, where brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, Parser, ValueEnum};
use tools::cli::connection::Connection;
use tools::cli::listen::ListenArgs;
use tools::cli::names::{Name, Selection};
use tools::cli::report::ReportArgs;
use tools::cli::watch::WatchArgs;
use tools::kafka::Options;
use tools::report::{Format, Style};
use tools::serve::Settings;
use tools::units::parse_duration;

use crate::collect::Scope;
use crate::lag::Reader;
use crate::limits::{Limit, Limits, Typed, UnknownRule, type_messages, type_time};
use crate::metrics::{self, Detail, Granularity, Names};
use crate::row::{By, View};
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

Exit codes: 0 within limits; 1 a limit is exceeded; 2 not seen, or usage error.
See klag(1)."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    select: Select,

    #[command(flatten)]
    order: Order,

    #[command(flatten)]
    check: Check,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    watch: WatchArgs,

    /// Write the report to this file, and replace it atomically
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Report",
        conflicts_with = "watch"
    )]
    write: Option<PathBuf>,

    /// Cluster name: a column, and in metrics the label cluster_name
    #[arg(long, value_name = "NAME", help_heading = "Report")]
    cluster: Option<String>,

    #[command(flatten)]
    listen: ListenArgs,

    #[command(flatten)]
    metrics: MetricsArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Groups and topics")]
struct Select {
    /// Only this group, or all that match ^REGEX; repeatable
    #[arg(short = 'g', long = "group", value_name = "NAME|^REGEX")]
    groups: Vec<Name>,

    /// Only this topic, or all that match ^REGEX; repeatable
    #[arg(short = 't', long = "topic", value_name = "NAME|^REGEX")]
    topics: Vec<Name>,

    /// Leave out groups and topics of this name; repeatable
    #[arg(long, value_name = "NAME|^REGEX")]
    exclude: Vec<Name>,

    /// Leave out groups of this name; repeatable
    #[arg(long, value_name = "NAME|^REGEX")]
    exclude_group: Vec<Name>,

    /// Leave out topics of this name; repeatable
    #[arg(long, value_name = "NAME|^REGEX")]
    exclude_topic: Vec<Name>,

    /// Only groups in these states: stable, empty, ...
    #[arg(long = "state", value_name = "STATE,...", value_delimiter = ',', value_parser = parse_state)]
    states: Vec<String>,

    /// Allow names, patterns, states and limits that match nothing
    ///
    /// Without it that is exit code 2, because a name may be misspelt.
    #[arg(long)]
    allow_empty: bool,

    /// Read the first unread record of each partition for the time lag and an exact lag
    #[arg(long)]
    time: bool,

    /// Measure produce and consume rates over TIME
    ///
    /// Without TIME: the produce rate of the last hour, without waiting.
    #[arg(long, value_name = "TIME", num_args = 0..=1, value_parser = parse_duration, conflicts_with_all = ["listen", "web_config"])]
    #[expect(
        clippy::option_option,
        reason = "how clap has an option whose value may be left out"
    )]
    rate: Option<Option<Duration>>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Rows")]
struct Order {
    /// Print sums
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,

    /// Order of the rows; the largest numbers first
    #[arg(
        long,
        value_name = "COLUMN",
        default_value = "group",
        conflicts_with_all = ["listen", "web_config"]
    )]
    sort: Sort,

    /// Print only the first N rows in that order
    #[arg(long, value_name = "N", conflicts_with_all = ["listen", "web_config"])]
    top: Option<usize>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Metrics: --listen and -o prometheus")]
struct MetricsArgs {
    /// Level of detail [default: lag by partition, all else by topic]
    #[arg(long, value_name = "WHAT")]
    granularity: Option<Granularity>,

    /// Export only these metric families, and those of the scrape itself
    #[arg(long, value_name = "FAMILY,...", value_delimiter = ',', value_parser = metrics::known_name)]
    metrics: Vec<String>,

    /// Names and labels of the metrics
    #[arg(long, value_name = "NAMES", default_value = "klag")]
    metric_names: Names,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Limits: print only rows that exceed them")]
struct Check {
    /// Most messages behind, including those that a transaction blocks; @FILE has lines of group, topic, limit
    #[arg(long, value_name = "N|@FILE", value_parser = type_messages, conflicts_with_all = ["listen", "web_config"])]
    max_lag: Vec<Typed>,

    /// Longest time behind; implies --time
    #[arg(long, value_name = "TIME|@FILE", value_parser = type_time, conflicts_with_all = ["listen", "web_config"])]
    max_time: Vec<Typed>,

    /// Most messages deleted before they were read
    #[arg(long, value_name = "N|@FILE", value_parser = type_messages, conflicts_with_all = ["listen", "web_config"])]
    max_lost: Vec<Typed>,

    /// Longest time without a new record in the topic
    #[arg(long, value_name = "TIME|@FILE", value_parser = type_time, conflicts_with_all = ["listen", "web_config"])]
    max_stale: Vec<Typed>,

    /// Whether an unknown value exceeds its limit [default: fail]
    #[arg(long, value_name = "RULE")]
    unknown: Option<Unknown>,
}

/// `--unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Unknown {
    /// It does not.
    Pass,
    /// It does.
    Fail,
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

/// The window of a rate from one look.
const ONE_LOOK: Duration = Duration::from_secs(3600);

/// What to do, checked and complete.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) options: Options,
    pub(crate) scope: Scope,
    pub(crate) view: View,
    pub(crate) sort: Sort,
    pub(crate) top: Option<usize>,
    pub(crate) limits: Limits,
    pub(crate) style: Style,
    /// The columns that are shown; none is all.
    pub(crate) columns: Vec<String>,
    pub(crate) watch: WatchArgs,
    pub(crate) write: Option<PathBuf>,
    pub(crate) listen: Option<Settings>,
    pub(crate) metrics: metrics::View,
    /// How far apart two looks for a rate are.
    pub(crate) rate: Option<Duration>,
}

impl Config {
    /// Checks what only makes sense together; reads files and environment.
    ///
    /// # Errors
    /// A usage error, which names the options.
    pub(crate) fn new(cli: &Cli, terminal: bool) -> Result<Config> {
        ensure!(
            cli.connection.wants_listing().is_none(),
            "-X list and -X dump are kcat-lite's"
        );
        let options = cli.connection.options()?;
        options.brokers()?;
        let limits = Limits {
            lag: Limit::of_messages(&cli.check.max_lag)?,
            time: Limit::of_time(&cli.check.max_time)?,
            lost: Limit::of_messages(&cli.check.max_lost)?,
            stale: Limit::of_time(&cli.check.max_stale)?,
            unknown: match cli.check.unknown {
                None => UnknownRule::Usual,
                Some(Unknown::Fail) => UnknownRule::Fail,
                Some(Unknown::Pass) => UnknownRule::Pass,
            },
        };
        ensure!(
            cli.check.unknown.is_none() || limits.is_some(),
            "--unknown is for --max-lag, --max-time, --max-lost and --max-stale"
        );
        if let Some(by) = cli.order.by {
            limits.check_sums(by)?;
        }
        let mut style = cli.report.style(terminal);
        if cli.listen.listen.is_some() {
            style.format = Format::Prometheus;
        }
        let wants_metrics = style.format == Format::Prometheus;
        let select = &cli.select;
        ensure!(
            !wants_metrics || !limits.is_some(),
            "-o prometheus shows everything: --max-lag, --max-time, --max-lost and --max-stale are for the other formats, and for Prometheus' own alerts"
        );
        ensure!(
            !wants_metrics || select.rate.is_none(),
            "-o prometheus has no rates of its own: --rate is for the other formats"
        );
        ensure!(
            !wants_metrics || (cli.order.sort == Sort::Group && cli.order.top.is_none()),
            "-o prometheus shows everything: --sort and --top are for the other formats"
        );
        cli.watch.check(style.format)?;
        let metrics = cli
            .metrics
            .view(cli.order.by, cli.cluster.as_deref(), wants_metrics)?;
        ensure!(
            cli.watch.watch.is_none() || select.rate.is_none(),
            "--watch shows what changed from look to look; --rate is for one report"
        );
        let scope = Scope {
            groups: Selection::new(
                &select.groups,
                &both(&select.exclude, &select.exclude_group),
            ),
            topics: Selection::new(
                &select.topics,
                &both(&select.exclude, &select.exclude_topic),
            ),
            states: select.states.clone(),
            allow_empty: select.allow_empty,
            is_check: limits.is_some(),
            unknown: limits.unknown,
            lines: limits.lines(),
            reader: reader(&options),
            wants_time: select.time || limits.time.is_some() || cli.listen.listen.is_some(),
            wants_all_logs: wants_metrics,
            stale: limits.stale.clone(),
            rate_window_ms: match select.rate {
                Some(None) => Some(ONE_LOOK.as_millis() as i64),
                _ => None,
            },
        };
        let view = View {
            cluster: cli.cluster.clone(),
            by: cli.order.by,
            wants_rate: select.rate.is_some(),
            wants_time: scope.wants_time,
        };
        let columns = cli.report.columns();
        cli.report.check(&view.columns())?;
        ensure!(
            !wants_metrics || columns.is_empty(),
            "--columns are a report's: --metrics chooses metrics"
        );
        Ok(Config {
            options,
            scope,
            view,
            columns,
            sort: cli.order.sort,
            top: cli.order.top,
            limits,
            style,
            watch: cli.watch.clone(),
            write: cli.write.clone(),
            listen: cli.listen.settings(2 * cli.connection.timeout)?,
            metrics,
            rate: select.rate.flatten(),
        })
    }
}

impl MetricsArgs {
    fn view(
        &self,
        by: Option<By>,
        cluster: Option<&str>,
        is_wanted: bool,
    ) -> Result<metrics::View> {
        let is_given = self.granularity.is_some()
            || !self.metrics.is_empty()
            || self.metric_names != Names::Klag;
        ensure!(
            is_wanted || !is_given,
            "--granularity, --metrics and --metric-names are for --listen and -o prometheus"
        );
        ensure!(
            self.metric_names == Names::Klag || by.is_none(),
            "--metric-names kafka_exporter has its own labels: --by is for klag's"
        );
        let families: BTreeSet<String> = self.metrics.iter().cloned().collect();
        Ok(metrics::View {
            cluster: cluster.map(str::to_owned),
            names: self.metric_names,
            detail: Detail::new(self.granularity, by),
            families: (!families.is_empty()).then_some(families),
        })
    }
}

fn both(all: &[Name], some: &[Name]) -> Vec<Name> {
    [all, some].concat()
}

/// Who reads, if the user says so; a consumer's default would hide that nobody said it.
fn reader(options: &Options) -> Reader {
    match options.get("isolation.level") {
        Some("read_uncommitted") => Reader::Uncommitted,
        Some(_) => Reader::Committed,
        None => Reader::Presumed,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn config(line: &str) -> Result<Config> {
        let words = ["klag", "-b", "host", "-F", "none"].into_iter();
        let cli = Cli::try_parse_from(words.chain(line.split_whitespace()))?;
        Config::new(&cli, false)
    }

    #[test]
    fn the_options_contradict_each_other_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_honoured_is_a_usage_error_that_names_it() {
        for (line, named) in [
            ("orders", "orders"),
            ("-g ^(", "^("),
            ("--max-lag 1x", "1x"),
            ("--max-lag -1", "-1"),
            ("--max-time 5", "unit"),
            ("--max-lag @/nowhere", "/nowhere"),
            ("--unknown fail", "--max-lag"),
            ("--unknown pass", "--max-lag"),
            ("--state Stabel", "Stabel"),
            ("--unknown maybe", "maybe"),
            ("--sort age", "age"),
            ("--by partition", "partition"),
            ("--top x", "x"),
            ("--rate 10", "unit"),
            ("--listen host", "host"),
            ("--listen :99999", "99999"),
            ("--web-config f", "--listen"),
            ("--granularity topic", "--granularity"),
            ("--columns lga", "lga"),
            ("--columns produced", "produced"),
            ("-o prometheus --columns lag", "--columns"),
            ("--metrics kafka_consumergroup_group_lag", "--metrics"),
            ("-o prometheus --metrics lag", "lag"),
            (
                "-o prometheus --metric-names kafka_exporter --by group",
                "--by",
            ),
            ("-o prometheus --rate 10s", "--rate"),
            ("--listen :0 --rate", "--listen"),
            ("--listen :0 --write f", "--listen"),
            ("--listen 127.0.0.1:0 -o json", "--listen"),
            ("--listen 127.0.0.1:0 --max-lag 1", "--listen"),
            ("--write f --watch 2s", "--watch"),
            ("--watch 2s --rate 1s", "--rate"),
            ("-o prometheus --max-lag 1", "--max-lag"),
            ("-o prometheus --top 1", "--top"),
            ("-o prometheus --sort lag", "--sort"),
            ("-o html --watch 2s", "--watch"),
            ("--web-config f --watch 2s", "--web-config"),
            ("--listen :0 --columns lag", "--columns"),
            ("-X list", "kcat-lite"),
        ] {
            let error = format!("{:#}", config(line).expect_err(line));
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn a_limit_of_time_looks_for_times() {
        assert!(!config("").unwrap().scope.wants_time);
        assert!(config("--max-time 5m").unwrap().scope.wants_time);
        assert!(config("--listen 127.0.0.1:0").unwrap().scope.wants_time);
    }

    #[test]
    fn rates_come_from_one_look_or_two() {
        let one = config("--rate --time").unwrap();
        assert_eq!(
            (one.scope.rate_window_ms, one.rate),
            (Some(3_600_000), None)
        );
        let two = config("--rate 10s").unwrap();
        assert_eq!(two.rate, Some(Duration::from_secs(10)));
        assert_eq!(two.scope.rate_window_ms, None);
    }

    #[test]
    fn the_reader_is_who_the_user_says() {
        let of = |line| config(line).unwrap().scope.reader;
        assert_eq!(of(""), Reader::Presumed);
        assert_eq!(of("-X isolation.level=read_committed"), Reader::Committed);
        assert_eq!(
            of("-X isolation.level=read_uncommitted"),
            Reader::Uncommitted
        );
    }
}
