//! What to do: the command line, checked and complete.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tools::kafka::Options;
use tools::partition::Partitioner;
use tools::report::{Format, Style};

use crate::cli::Cli;
use crate::keys::KeyLocation;
use crate::template::PartitionTemplate;

/// `--recheck`.
const RECHECK: Duration = Duration::from_secs(60);

/// `--max-children`.
const MAX_CHILDREN: u32 = 64;

/// Limits the memory of the counters of `--skew`.
const MAX_SKEW_PARTITIONS: u32 = 1_000_000;

/// The topic of `-t`, whose number of partitions is used.
#[derive(Debug)]
pub(crate) struct TopicConfig {
    pub(crate) name: String,
    pub(crate) options: Options,
    /// The interval of checks that the number has not changed.
    pub(crate) recheck: Duration,
}

impl TopicConfig {
    /// # Errors
    /// A usage error in any option, so that none is found after the cluster has answered.
    pub(crate) fn new(cli: &Cli) -> anyhow::Result<Option<TopicConfig>> {
        let connection = &cli.connection;
        let Some(name) = &cli.topic else {
            let given = connection.is_given() || cli.recheck.is_some();
            ensure!(
                !given,
                "-b, -X, -F, -m, -d, -v and --recheck are for -t TOPIC"
            );
            return Ok(None);
        };
        ensure!(
            connection.wants_listing().is_none(),
            "-X list and -X dump are kcat-lite's"
        );
        Config::new(cli, Some(1), false)?;
        Ok(Some(TopicConfig {
            name: name.clone(),
            options: connection.options()?,
            recheck: cli.recheck.unwrap_or(RECHECK),
        }))
    }
}

#[derive(Debug)]
pub(crate) struct Config {
    /// `-` is standard input.
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) key: KeyLocation,
    pub(crate) mode: Mode,
}

/// What to do with a line.
#[derive(Debug)]
pub(crate) enum Mode {
    /// Write it with its partition in front.
    Label(Partitioner),
    /// Write it to its partition's file.
    Split(Partitioner, PartitionTemplate),
    /// Pipe it into its partition's command.
    Exec(Partitioner, PartitionTemplate),
    /// Count it, for each of several numbers of partitions.
    Skew(Vec<Partitioner>, Style),
}

impl Config {
    /// `topic_count` is the number of partitions of the topic of `-t`.
    pub(crate) fn new(
        cli: &Cli,
        topic_count: Option<u32>,
        terminal: bool,
    ) -> anyhow::Result<Config> {
        let key = KeyLocation::new(&cli.key, cli.json)?;
        let (expected, found) = (cli.algorithm.columns(), key.column_count());
        ensure!(
            expected == found,
            "--algo {} takes {expected} key column{}, -k gives {found}",
            cli.algorithm,
            if expected == 1 { "" } else { "s" },
        );
        let mode = Mode::new(cli, cli.count.or(topic_count), terminal)?;
        let mut inputs = cli.files.clone();
        if inputs.is_empty() {
            inputs.push("-".into());
        }
        Ok(Config { inputs, key, mode })
    }
}

impl Mode {
    fn new(cli: &Cli, count: Option<u32>, terminal: bool) -> anyhow::Result<Mode> {
        ensure!(
            cli.max_children.is_none() || cli.exec.is_some(),
            "--max-children is for --exec"
        );
        let partitioner_of = |count| Partitioner::new(cli.algorithm.clone(), count, &cli.weights);
        if !cli.skew.is_empty() {
            let most = cli.skew.iter().copied().max().unwrap_or(0);
            ensure!(
                most <= MAX_SKEW_PARTITIONS,
                "--skew {most}: at most {MAX_SKEW_PARTITIONS} partitions are counted"
            );
            let candidates = cli.skew.iter().map(|&count| partitioner_of(Some(count)));
            let candidates: Result<Vec<_>, _> = candidates.collect();
            let style = cli.output.style(terminal);
            ensure!(
                style.format != Format::Html,
                "-o html: --skew prints two tables, not a page"
            );
            return Ok(Mode::Skew(candidates.context("--skew")?, style));
        }
        // clap drops a `requires` that contradicts another option, as --skew does -n.
        ensure!(
            !cli.output.is_given(),
            "-o and --header are for the report of --skew"
        );
        if cli.algorithm.takes_count() && count.is_none() && cli.weights.is_empty() {
            bail!("-n N or -t TOPIC is missing: the number of partitions");
        }
        let partitioner = match partitioner_of(count) {
            Err(error) if !cli.weights.is_empty() => return Err(error).context("--weights"),
            other => other?,
        };
        let partitions = |option| {
            let count = partitioner.partitions();
            count.with_context(|| {
                format!("{option}: {} gives tokens, not partitions", cli.algorithm)
            })
        };
        if let Some(template) = &cli.split {
            partitions("--split")?;
            return Ok(Mode::Split(partitioner, template.clone()));
        }
        if let Some(command) = &cli.exec {
            let children = partitions("--exec")?;
            let most = cli.max_children.unwrap_or(MAX_CHILDREN);
            ensure!(
                children <= most,
                "--exec would start {children} commands, more than --max-children {most}",
            );
            return Ok(Mode::Exec(partitioner, command.clone()));
        }
        Ok(Mode::Label(partitioner))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn config(line: &str) -> anyhow::Result<Config> {
        let words = std::iter::once("kpart").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words)?;
        let topic = TopicConfig::new(&cli)?;
        Config::new(&cli, topic.map(|_| 3), false)
    }

    #[test]
    fn an_option_without_effect_is_a_usage_error_that_names_it() {
        for (line, named) in [
            ("", "-n"),
            ("-n 0", "0"),
            ("-n 1x", "1x"),
            ("-n 12 --algo redis", "redis"),
            ("-n 12 --algo nothing", "nothing"),
            ("-n 12 -k 0", "0"),
            ("-n 12 -k 1,2", "java"),
            ("-n 12 -k /a", "-J"),
            ("-n 12 -J -k 2", "pointer"),
            ("-n 12 --algo postgres:int,text", "-k"),
            ("-n 2 --weights 1,2", "weights"),
            ("--algo cassandra --split x{}", "cassandra"),
            ("-n 12 --split x", "{}"),
            ("-n 12 --exec cat", "{}"),
            ("-n 65 --exec c{}", "--max-children"),
            ("-n 12 --max-children 3", "--exec"),
            ("-n 12 --split x{} --exec y{}", "--exec"),
            ("-n 12 --skew 1", "--skew"),
            ("--skew 1,x", "x"),
            ("--skew 2,1000001", "1000001"),
            ("--skew 1 --algo redis", "redis"),
            ("-n 12 -o json", "--skew"),
            ("-n 12 -b host", "-t"),
            ("-n 12 -t topic -b host", "--topic"),
            ("-n 12 --recheck 1s", "--recheck"),
            ("-t topic -b host --recheck 1", "unit"),
            ("-t topic -b host --algo redis", "redis"),
            ("--skew 2 -o yaml", "yaml"),
        ] {
            let error = format!("{:#}", config(line).expect_err(line));
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn the_number_of_commands_may_be_raised() {
        assert!(config("-n 64 --exec c{}").is_ok());
        assert!(config("-n 65 --exec c{} --max-children 65").is_ok());
        assert!(config("--algo redis --exec c{} --max-children 16384").is_ok());
    }
}
