//! What the command line means, checked and complete.

use anyhow::{Result, ensure};
use tools::cli::Unknown;
use tools::cli::names::Selection;
use tools::cli::watch::WatchArgs;
use tools::kafka::Options;
use tools::report::{Format, Style};
use tools::serve::Settings;

use crate::checks::Limits;
use crate::cli::{Cli, ReportBy};
use crate::forecast::WhatIf;
use crate::report::columns;

/// Everything that is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) options: Options,
    pub(crate) scope: Scope,
    pub(crate) kind: ReportKind,
    /// Whether what is not known counts as beyond its limit.
    pub(crate) unknown_fails: bool,
    /// Whether a name may fit no topic.
    pub(crate) allow_empty: bool,
    pub(crate) what_if: Vec<WhatIf>,
    pub(crate) style: Style,
    pub(crate) columns: Vec<String>,
    pub(crate) watch: WatchArgs,
    /// Where metrics are served, if they are.
    pub(crate) listen: Option<Settings>,
}

/// What to ask the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) topics: Selection,
    /// Whether the cluster's internal ones are, where they are not named.
    pub(crate) internal: bool,
    /// Of how much time the rate is.
    pub(crate) window_ms: i64,
    /// The limit of age for which logs are read.
    pub(crate) max_age_ms: Option<i64>,
}

/// What a line of the report is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReportKind {
    /// A partition; only what exceeds a limit, where there is one.
    Partitions(Limits),
    /// A topic; only what exceeds a limit, where there is one.
    Topics(Limits),
    /// A disk of a broker.
    Disks,
    /// What a topic needs to hold its messages for this long.
    Need(i64),
}

impl Config {
    /// Whether what was not seen is a failure, not a remark: for limits, and for metrics, whose remarks nobody reads.
    pub(crate) fn is_check(&self) -> bool {
        let is_metrics = self.listen.is_some() || self.style.format == Format::Prometheus;
        is_metrics || self.limits().is_some()
    }

    /// What is checked, if anything.
    pub(crate) fn limits(&self) -> Option<&Limits> {
        match &self.kind {
            ReportKind::Partitions(limits) | ReportKind::Topics(limits) => {
                limits.are_any().then_some(limits)
            }
            ReportKind::Disks | ReportKind::Need(_) => None,
        }
    }

    /// Checks what only makes sense together; `terminal` says whether stdout is one.
    ///
    /// # Errors
    /// A usage error, which names the options, or properties that can't be.
    pub(crate) fn new(cli: Cli, terminal: bool) -> Result<Config> {
        ensure!(
            cli.connection.wants_listing().is_none(),
            "-X list and -X dump are kcat-lite's"
        );
        let ms =
            |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let limits = Limits {
            min_age_ms: cli.min_age.map(ms),
            max_age_ms: cli.max_age.map(ms),
            max_stale_ms: cli.max_stale.map(ms),
        };
        let topics = [cli.topics.as_slice(), cli.more_topics.as_slice()].concat();
        let selection = Selection::new(&topics, &cli.exclude_topic);
        if let [name, ..] = selection.contradictions()[..] {
            ensure!(
                cli.allow_empty,
                "topic {name} is asked for, and left out by --exclude"
            );
        }
        let names_topics = !topics.is_empty() || !cli.exclude_topic.is_empty() || cli.internal;
        let kind = match (cli.by, cli.need) {
            (_, Some(hold)) => ReportKind::Need(ms(hold)),
            (None, None) => ReportKind::Partitions(limits),
            (Some(ReportBy::Topic), None) => ReportKind::Topics(limits),
            (Some(ReportBy::Broker), None) => {
                ensure!(
                    !names_topics && !cli.allow_empty,
                    "--by broker is about all topics, because they share its disks: TOPIC, -t, --exclude, --internal and --allow-empty are for the others"
                );
                ensure!(
                    !limits.are_any(),
                    "--by broker has no limits to check: --min-age, --max-age and --max-stale are for the others"
                );
                ReportKind::Disks
            }
        };
        ensure!(
            !limits.are_any() || cli.what_if.is_empty(),
            "--what-if changes nothing that --min-age, --max-age and --max-stale check"
        );
        ensure!(
            limits.are_any() || cli.unknown.is_none(),
            "--unknown is for --min-age, --max-age and --max-stale"
        );
        let style = cli.report.style(terminal);
        cli.watch.check(style.format)?;
        let disks = kind == ReportKind::Disks;
        cli.report.check(&columns(&kind))?;
        Ok(Config {
            options: cli.connection.options()?,
            scope: Scope {
                topics: selection,
                internal: cli.internal || disks,
                window_ms: ms(cli.window),
                max_age_ms: limits.max_age_ms,
            },
            kind,
            unknown_fails: cli.unknown != Some(Unknown::Pass),
            allow_empty: cli.allow_empty,
            what_if: cli.what_if,
            style,
            columns: cli.report.columns(),
            listen: cli.listen.settings(3 * cli.connection.timeout)?,
            watch: cli.watch,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn config(line: &str) -> Result<Config> {
        let words = ["koldest", "-b", "h"].into_iter();
        let cli = Cli::try_parse_from(words.chain(line.split_whitespace()))?;
        Config::new(cli, false)
    }

    #[test]
    fn what_cannot_be_honoured_is_a_usage_error_that_names_it() {
        for (line, named) in [
            ("--by partition", "topic"),
            ("--by broker orders", "--by broker"),
            ("--by broker --internal", "--by broker"),
            ("--by broker --max-age 7d", "--by broker"),
            ("--need 7d --by topic", "--by"),
            ("--need 7d --min-age 7d", "--min-age"),
            ("--need 7", "unit"),
            ("--what-if rate=x2 --min-age 7d", "--what-if"),
            ("--what-if rate=2", "rate=x2"),
            ("--window 0s", "--window"),
            ("--need 0d", "--need"),
            ("--min-age 0s", "--min-age"),
            ("--max-age 0ms", "--max-age"),
            ("--max-stale 0h", "--max-stale"),
            ("--watch 0s", "--watch"),
            ("-m 0", "--timeout"),
            ("--what-if segment.ms=0", "segment.ms"),
            ("--what-if segment.bytes=0", "segment.bytes"),
            ("orders --exclude ^o", "--exclude"),
            ("--unknown fail", "--max-age"),
            ("--max-age 1d --unknown maybe", "maybe"),
            ("--window 1", "unit"),
            ("--watch 1ms", "100ms"),
            ("--watch 1s -o prometheus", "--watch"),
            ("-J -o csv", "--json"),
            ("^(", "regular expression"),
            ("-t ^(", "regular expression"),
            ("--by broker -t orders", "--by broker"),
            ("--columns agee", "agee"),
            ("--by topic --columns partition", "partition"),
            ("--listen x", "x"),
            ("--listen :0 --max-age 7d", "--listen"),
            ("--listen :0 --write f", "--listen"),
            ("--listen :0 --watch 1s", "--listen"),
            ("--write f --watch 1s", "--write"),
            ("--web-config f", "--listen"),
            ("--web-config f --watch 1s", "--web-config"),
            ("--listen :0 --columns bytes", "--columns"),
            ("--by broker --allow-empty", "--allow-empty"),
            ("-X list", "kcat-lite"),
        ] {
            let error = format!("{:#}", config(line).expect_err(line));
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn a_check_by_topic_keeps_its_limits() {
        let config = config("--by topic --min-age 7d orders").expect("a good line");
        let limits = Limits {
            min_age_ms: Some(604_800_000),
            ..Limits::default()
        };
        assert_eq!(config.kind, ReportKind::Topics(limits));
        assert_eq!(config.scope.window_ms, 3_600_000);
    }
}
