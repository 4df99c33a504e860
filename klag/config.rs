//! The command line as the rest of the program wants it: checked and complete.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tools::cli::Unknown;
use tools::cli::names::{Name, Selection};
use tools::cli::watch::WatchArgs;
use tools::kafka::Options;
use tools::report::{Format, Style};
use tools::serve::Settings;

use crate::cli::{Cli, LimitArgs, MetricsArgs};
use crate::collect::Scope;
use crate::lag::ReaderIsolation;
use crate::limits::{Limit, Limits, UnknownRule};
use crate::metrics::{self, Detail, Granularity, Names};
use crate::row::{RowLayout, SumBy};
use crate::totals::Sort;

/// The window of `--rate` without a TIME.
const DEFAULT_RATE_WINDOW: Duration = Duration::from_secs(3600);

/// What to do.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) options: Options,
    pub(crate) scope: Scope,
    pub(crate) layout: RowLayout,
    pub(crate) sort: Sort,
    pub(crate) top: Option<usize>,
    pub(crate) style: Style,
    pub(crate) columns: Vec<String>,
    pub(crate) watch: WatchArgs,
    pub(crate) listen: Option<Settings>,
    pub(crate) metrics: metrics::Settings,
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
        let limits = cli.check.limits()?;
        if let Some(by) = cli.order.by {
            limits.check_sums(by)?;
        }
        let mut style = cli.report.style(terminal);
        if cli.listen.listen.is_some() {
            style.format = Format::Prometheus;
        }
        let wants_metrics = style.format == Format::Prometheus;
        if wants_metrics {
            check_metrics(cli, &limits)?;
        }
        cli.watch.check(style.format)?;
        let metrics = cli
            .metrics
            .view(cli.order.by, cli.cluster.as_deref(), wants_metrics)?;
        ensure!(
            cli.watch.watch.is_none() || cli.select.rate.is_none(),
            "--watch shows what changed from report to report; --rate is for one report"
        );
        let scope = scope(cli, limits, &options, wants_metrics);
        for (what, selection) in [("group", &scope.groups), ("topic", &scope.topics)] {
            if let [name, ..] = selection.contradictions()[..] {
                ensure!(
                    scope.allow_empty,
                    "{what} {name} is asked for, and left out by --exclude or --exclude-{what}"
                );
            }
        }
        let layout = RowLayout {
            cluster: cli.cluster.clone(),
            by: cli.order.by,
            wants_rate: cli.select.rate.is_some(),
            wants_time: scope.wants_time,
        };
        let columns = cli.report.columns();
        cli.report.check(&layout.columns())?;
        ensure!(
            !wants_metrics || columns.is_empty(),
            "--columns are a report's: --metrics chooses metrics"
        );
        Ok(Config {
            options,
            scope,
            layout,
            columns,
            sort: cli.order.sort,
            top: cli.order.top,
            style,
            watch: cli.watch.clone(),
            listen: cli.listen.settings(2 * cli.connection.timeout)?,
            metrics,
            rate: cli.select.rate.flatten(),
        })
    }
}

impl LimitArgs {
    fn limits(&self) -> Result<Limits> {
        let limits = Limits {
            lag: Limit::of_messages(&self.max_lag).context("--max-lag")?,
            time: Limit::of_time(&self.max_time).context("--max-time")?,
            lost: Limit::of_messages(&self.max_lost).context("--max-lost")?,
            stale: Limit::of_time(&self.max_stale).context("--max-stale")?,
            unknown: match self.unknown {
                None => UnknownRule::Usual,
                Some(Unknown::Fail) => UnknownRule::Fail,
                Some(Unknown::Pass) => UnknownRule::Pass,
            },
        };
        ensure!(
            self.unknown.is_none() || limits.is_some(),
            "--unknown is for --max-lag, --max-time, --max-lost and --max-stale"
        );
        Ok(limits)
    }
}

/// Metrics are everything that there is: what chooses or orders rows is not for them.
fn check_metrics(cli: &Cli, limits: &Limits) -> Result<()> {
    ensure!(
        !limits.is_some(),
        "-o prometheus shows everything: --max-lag, --max-time, --max-lost and --max-stale are for the other formats, and for Prometheus' own alerts"
    );
    ensure!(
        cli.select.rate.is_none(),
        "-o prometheus has no rates of its own: --rate is for the other formats"
    );
    ensure!(
        cli.order.sort == Sort::Group && cli.order.top.is_none(),
        "-o prometheus shows everything: --sort and --top are for the other formats"
    );
    Ok(())
}

fn scope(cli: &Cli, limits: Limits, options: &Options, wants_metrics: bool) -> Scope {
    let select = &cli.select;
    let without = |some: &[Name]| [&select.exclude, some].concat();
    Scope {
        groups: Selection::new(&select.groups, &without(&select.exclude_group)),
        topics: Selection::new(&select.topics, &without(&select.exclude_topic)),
        states: select.states.clone(),
        active_ms: select.active.map(|active| active.as_millis() as i64),
        allow_empty: select.allow_empty,
        reader: reader(options),
        wants_time: select.time || limits.time.is_some() || cli.listen.listen.is_some(),
        wants_all_logs: wants_metrics,
        limits,
        rate_window_ms: match select.rate {
            Some(None) => Some(DEFAULT_RATE_WINDOW.as_millis() as i64),
            _ => None,
        },
    }
}

impl MetricsArgs {
    fn view(
        &self,
        by: Option<SumBy>,
        cluster: Option<&str>,
        is_wanted: bool,
    ) -> Result<metrics::Settings> {
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
        ensure!(
            self.metric_names == Names::Klag || self.granularity != Some(Granularity::Group),
            "--metric-names kafka_exporter has no lag of a whole group: --granularity is topic or partition"
        );
        let is_finer = match by {
            Some(SumBy::Group) => self
                .granularity
                .is_some_and(|one| one != Granularity::Group),
            Some(SumBy::Topic) => self.granularity == Some(Granularity::Group),
            Some(SumBy::Member) | None => false,
        };
        ensure!(
            !is_finer,
            "--by group has only sums of groups, and --by topic only those of topics: another --granularity is for metrics without it"
        );
        let families: BTreeSet<String> = self.metrics.iter().cloned().collect();
        Ok(metrics::Settings {
            cluster: cluster.map(str::to_owned),
            names: self.metric_names,
            detail: Detail::new(self.granularity, by),
            families: (!families.is_empty()).then_some(families),
        })
    }
}

/// Who reads, if the user says so; a consumer's default would hide that nobody said it.
fn reader(options: &Options) -> ReaderIsolation {
    match options.get("isolation.level") {
        Some("read_uncommitted") => ReaderIsolation::Uncommitted,
        Some(_) => ReaderIsolation::Committed,
        None => ReaderIsolation::Presumed,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn config(line: &str) -> Result<Config> {
        let words = ["klag", "-b", "host", "-F", "none"].into_iter();
        let cli = Cli::try_parse_from(words.chain(line.split_whitespace()))?;
        Config::new(&cli, false)
    }

    #[test]
    fn what_cannot_be_honoured_is_a_usage_error_that_names_it() {
        for (line, named) in [
            ("orders", "orders"),
            ("-g ^(", "^("),
            ("--max-lag 1x", "1x"),
            ("--max-lag -1", "--max-lag"),
            ("--max-lost -1", "--max-lost"),
            ("--max-time 5", "unit"),
            ("--max-lag @/nowhere", "/nowhere"),
            ("--max-lag @/dev/null", "no limit"),
            ("--max-lag 5 --max-lag 7", "--max-lag"),
            ("--unknown fail", "--max-lag"),
            ("--unknown pass", "--max-lag"),
            ("--state Stabel", "Stabel"),
            ("--unknown maybe", "maybe"),
            ("--sort age", "age"),
            ("--by partition", "partition"),
            ("--top x", "whole number"),
            ("--top -1", "--top"),
            ("--top 0", "--top"),
            ("--cluster=", "--cluster"),
            ("--rate 0s", "--rate"),
            ("--active 0d", "--active"),
            ("--max-time 0s", "--max-time"),
            ("--max-stale 0ms", "--max-stale"),
            ("--watch 0s", "--watch"),
            ("-m 0", "--timeout"),
            ("-g shop --exclude-group shop", "shop is asked for"),
            ("-t orders --exclude ^ord", "orders is asked for"),
            (
                "-o prometheus --by group --granularity partition",
                "--by group",
            ),
            ("-o prometheus --by topic --granularity group", "--by topic"),
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
            (
                "-o prometheus --metric-names kafka_exporter --granularity group",
                "--granularity",
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
        assert_eq!(of(""), ReaderIsolation::Presumed);
        assert_eq!(
            of("-X isolation.level=read_committed"),
            ReaderIsolation::Committed
        );
        assert_eq!(
            of("-X isolation.level=read_uncommitted"),
            ReaderIsolation::Uncommitted
        );
    }
}
