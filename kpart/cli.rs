//! The command line: [`Cli`] as it is typed, [`Config`] as the rest of the program wants it.
// Doc comments of options are their help text, where brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links, clippy::doc_markdown)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use tools::cli::connection::Connection;
use tools::cli::report::OutputArgs;
use tools::kafka::Options;
use tools::partition::{Algorithm, Partitioner};
use tools::report::{Format, Style};
use tools::units::parse_duration;

use crate::exec::Exec;
use crate::keys::KeyPlace;
use crate::split::Pattern;

/// Print the partition or database shard of each record's key, or route the record there
///
/// Reads lines and puts the partition and a tab before each. The partition is
/// the one that the Java client, a librdkafka or Sarama client, PostgreSQL,
/// ClickHouse, MySQL, Redis or Cassandra chooses for the key.
#[derive(Parser, Debug)]
#[command(
    name = "kpart",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  kpart -n 12 lines.tsv                  the Java client's partition of each key
  kpart -n 4 --algo postgres:bigint --split 'shard-{}.tsv' lines.tsv
  kpart --skew 12,24 lines.tsv           how even 12 or 24 partitions would be

See kpart(1)."
)]
pub(crate) struct Cli {
    /// Number of partitions
    #[arg(short = 'n', long = "partitions", value_name = "N")]
    count: Option<u32>,

    /// Use the number of partitions of this Kafka topic
    #[arg(
        short = 't',
        long = "topic",
        value_name = "TOPIC",
        conflicts_with_all = ["count", "weights", "skew"]
    )]
    topic: Option<String>,

    /// Interval of checks that the number has not changed; if it has, stop [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    recheck: Option<Duration>,

    /// Partitioner: java, consistent, consistent_random, murmur2, murmur2_random, fnv1a, ...
    ///
    /// Kafka clients: java, consistent, consistent_random, murmur2, murmur2_random,
    /// fnv1a, fnv1a_random, sarama, sarama-reference. Databases: mysql-crc32,
    /// mysql-hash, postgres:TYPE[,TYPE...] (text, bytea, bigint, int, smallint, uuid),
    /// clickhouse:FUNCTION[:TYPE] (cityHash64, xxHash64, xxHash32, sipHash64,
    /// murmurHash3_32, intHash32, intHash64, kafkaMurmurHash, CRC32; string, int64,
    /// uint64 ..., uuid), redis (the slot, without -n). jump (of a number),
    /// jump:FUNCTION[:TYPE]. Tokens, without -n: cassandra, hashtext.
    #[arg(long = "algo", value_name = "NAME", default_value = "java")]
    algorithm: Algorithm,

    /// Weights of the shards of a ClickHouse Distributed table, in order
    #[arg(long, value_name = "W,...", value_delimiter = ',')]
    weights: Vec<u32>,

    /// Key columns, counted from 1; with -J a JSON pointer, once for each column
    #[arg(
        short = 'k',
        long = "key",
        value_name = "COLUMNS",
        allow_hyphen_values = true
    )]
    key: Vec<String>,

    /// Lines are JSON objects as kcat-lite -J writes them
    #[arg(short = 'J', long)]
    json: bool,

    /// Write the lines of each partition to a file; {} in NAME is the partition
    #[arg(
        long,
        value_name = "NAME",
        group = "route",
        help_heading = "Where lines go"
    )]
    split: Option<Pattern>,

    /// Pipe the lines of each partition into a command; {} in COMMAND is the partition
    #[arg(
        long,
        value_name = "COMMAND",
        group = "route",
        help_heading = "Where lines go"
    )]
    exec: Option<String>,

    /// Most commands to start [default: 64]
    #[arg(long, value_name = "N", help_heading = "Where lines go")]
    max_children: Option<u32>,

    /// Instead, print how even these numbers of partitions would be, and the heaviest keys
    #[arg(long, value_name = "N,...", value_delimiter = ',', group = "route", conflicts_with_all = ["count", "weights"], help_heading = "Report")]
    skew: Vec<u32>,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: Connection,

    /// Files to read; standard input if there is none, or for -
    #[arg(value_name = "FILE", help_heading = "Arguments")]
    files: Vec<PathBuf>,
}

/// How often the topic of `-t` is asked for.
const RECHECK: Duration = Duration::from_secs(60);

/// `--max-children`.
const MOST_CHILDREN: u32 = 64;

/// So that counters fit any machine's memory.
const MOST_COUNTERS: u32 = 1_000_000;

/// Where the number of partitions comes from if not from the command line.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Its name.
    pub(crate) name: String,
    /// How to reach its cluster.
    pub(crate) options: Options,
    /// How often to ask.
    pub(crate) recheck: Duration,
}

impl Cli {
    /// The topic of `-t`, once everything else was found to make sense.
    ///
    /// # Errors
    /// A usage error, in any option.
    pub(crate) fn topic(&self) -> anyhow::Result<Option<Topic>> {
        let connection = &self.connection;
        let Some(name) = &self.topic else {
            let given = connection.is_given() || self.recheck.is_some();
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
        Config::new(self, Some(1), false)?;
        Ok(Some(Topic {
            name: name.clone(),
            options: connection.options()?,
            recheck: self.recheck.unwrap_or(RECHECK),
        }))
    }
}

/// What to do, checked and complete.
#[derive(Debug)]
pub(crate) struct Config {
    /// What to read, in order; `-` is standard input.
    pub(crate) inputs: Vec<PathBuf>,
    /// Where in a line the key is.
    pub(crate) key: KeyPlace,
    /// What becomes of a line.
    pub(crate) mode: Mode,
}

/// What becomes of a line.
#[derive(Debug)]
pub(crate) enum Mode {
    /// It is written with its partition in front.
    Label(Partitioner),
    /// It is written to its partition's file.
    Split(Partitioner, Pattern),
    /// It is piped into its partition's command.
    Exec(Partitioner, Exec),
    /// It is counted, for each of several numbers of partitions.
    Skew(Vec<Partitioner>, Style),
}

impl Config {
    /// Checks what only makes sense together.
    ///
    /// `topic_count` is the number of partitions of the topic of `-t`.
    ///
    /// # Errors
    /// A usage error, which names the options.
    pub(crate) fn new(
        cli: &Cli,
        topic_count: Option<u32>,
        terminal: bool,
    ) -> anyhow::Result<Config> {
        let key = KeyPlace::new(&cli.key, cli.json)?;
        let (wanted, found) = (cli.algorithm.columns(), key.columns());
        ensure!(
            wanted == found,
            "--algo {} takes {wanted} key column{}, -k gives {found}",
            cli.algorithm,
            if wanted == 1 { "" } else { "s" },
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
        let set_up = |count| Partitioner::new(cli.algorithm.clone(), count, &cli.weights);
        if !cli.skew.is_empty() {
            let most = cli.skew.iter().copied().max().unwrap_or(0);
            ensure!(
                most <= MOST_COUNTERS,
                "--skew {most}: at most {MOST_COUNTERS} partitions are counted"
            );
            let candidates = cli.skew.iter().map(|&count| set_up(Some(count)));
            let candidates: Result<Vec<_>, _> = candidates.collect();
            let style = cli.output.style(terminal);
            ensure!(
                style.format != Format::Html,
                "-o html: --skew has two tables, which are no page"
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
        let partitioner = match set_up(count) {
            Err(error) if !cli.weights.is_empty() => return Err(error).context("--weights"),
            other => other?,
        };
        let partitions = |option| {
            let count = partitioner.partitions();
            count.with_context(|| {
                format!("{option}: {} gives tokens, not partitions", cli.algorithm)
            })
        };
        if let Some(pattern) = &cli.split {
            partitions("--split")?;
            return Ok(Mode::Split(partitioner, pattern.clone()));
        }
        if let Some(command) = &cli.exec {
            let children = partitions("--exec")?;
            let most = cli.max_children.unwrap_or(MOST_CHILDREN);
            ensure!(
                children <= most,
                "--exec would start {children} commands, more than --max-children {most}",
            );
            let exec = Exec::new(command)?;
            return Ok(Mode::Exec(partitioner, exec));
        }
        Ok(Mode::Label(partitioner))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn config(line: &str) -> anyhow::Result<Config> {
        let words = std::iter::once("kpart").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words)?;
        let topic = cli.topic()?;
        Config::new(&cli, topic.map(|_| 3), false)
    }

    #[test]
    fn the_options_contradict_each_other_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_honoured_is_a_usage_error_that_names_it() {
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
