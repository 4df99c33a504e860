//! The parsed command line: one mode with its settings. Options that the mode can't honour are usage errors.

mod mode;
mod other_tools;
#[cfg(test)]
mod pairs;
mod parse;
mod pipe;
mod positions;
mod rules;
mod schemas;
mod value;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::CommandFactory;
use clap::error::ErrorKind;
use tools::ack::Shape;
use tools::cli::connection::Listing;
use tools::kafka::Options;
use tools::kafka::consume::KeyPartition;
use tools::record::Format;
use tools::record::tsv::Column;

use crate::cli::Cli;
use crate::commit::lines::LineFormat;
use crate::engine::Engine;
use crate::offset::{Range, Start};
use crate::schema::{ReadSchemas, RegistrySettings, WriteSchemas};
use crate::unpack::Unpack;

/// Parses the command line of this process.
pub(crate) fn from_command_line() -> anyhow::Result<Config> {
    let typed = tools::cli::parse_last::<Cli>(rules::LAST_WINS)?;
    let quiet = typed.cli.connection.quiet;
    let (config, warnings) = parse::parse(typed)?;
    if !quiet {
        for warning in warnings {
            tools::cli::message(warning);
        }
    }
    Ok(config)
}

/// A usage error, as clap words and ends them.
pub(crate) fn usage(text: impl std::fmt::Display) -> anyhow::Error {
    Cli::command()
        .error(ErrorKind::ArgumentConflict, text)
        .into()
}

pub(crate) enum Config {
    /// `-P`
    Produce(Produce),
    /// `-C`
    Consume(Consume),
    /// `-G`
    Group(Group),
    /// `--share`
    Share(Share),
    /// `-L`
    List(List),
    /// `-Q`
    Query(Query),
    /// `-Q --schema`
    Schemas(SchemaQuery),
    Commit(Commit),
    /// `-M`
    Mock(Mock),
    /// `-U`
    SelfTest,
    /// `-V`
    Version,
    /// `-X list`, `-X dump`
    Properties(Listing, Box<Options>),
}

/// Where the records to produce come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard input, or these files one after the other (`-l`), split into records by the format.
    Lines(Vec<PathBuf>),
    /// Each file is one record.
    Whole(Vec<PathBuf>),
}

/// `-P`
pub(crate) struct Produce {
    pub(crate) options: Options,
    /// `-t`; without it each record names its topic.
    pub(crate) topic: Option<String>,
    /// `-p` unless -1; without it the record's, else the partitioner's.
    pub(crate) partition: Option<i32>,
    pub(crate) source: Source,
    pub(crate) format: Format,
    pub(crate) key: Option<Vec<u8>>,
    /// Name and value of each `-H`.
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) count: Option<u64>,
    pub(crate) tee: bool,
    /// `-s avro` and its like
    pub(crate) schemas: Option<WriteSchemas>,
    /// `--ack`
    pub(crate) ack_input: Option<AckInput>,
}

/// `--ack` of a sink.
pub(crate) struct AckInput {
    pub(crate) path: PathBuf,
    /// How a line carries its position.
    pub(crate) shape: Shape,
    /// `--txn`
    pub(crate) transactions: Option<Transactions>,
}

/// How large the transactions of `--txn` are.
pub(crate) struct Transactions {
    pub(crate) batch_records: u64,
    pub(crate) batch_wait: Duration,
}

/// How consumed records are written.
pub(crate) struct Output {
    pub(crate) format: Format,
    /// Also write control characters to a terminal as they are.
    pub(crate) raw: bool,
    /// `-O`: print the offset and this before each record.
    pub(crate) offset_delimiter: Option<Vec<u8>>,
    pub(crate) unpack: Unpack,
    /// `-s avro` and its like
    pub(crate) schemas: Option<ReadSchemas>,
    pub(crate) only_key: Option<Vec<u8>>,
    pub(crate) unbuffered: bool,
    /// `-E`: skip records that can't be written, and go on after an error of a partition.
    pub(crate) keep_trying: bool,
}

/// `-C`
pub(crate) struct Consume {
    pub(crate) options: Options,
    pub(crate) topics: Vec<String>,
    pub(crate) partition: Option<i32>,
    /// `--algo`: the partition of `--only-key`.
    pub(crate) key_partition: Option<KeyPartition>,
    pub(crate) range: Range,
    pub(crate) last: Option<u64>,
    pub(crate) idle: Option<Duration>,
    pub(crate) count: Option<u64>,
    pub(crate) exit_at_end: bool,
    pub(crate) give_up: Option<Duration>,
    pub(crate) engine: Engine,
    pub(crate) output: Output,
}

/// How `-G` delivers records, and so which offsets it commits.
pub(crate) enum Delivery {
    /// To standard output; commits what was written.
    Stdout,
    /// `--exec`
    Exec(Exec),
    /// `--ack`
    Ack(Ack),
}

/// `--ack` of a source.
pub(crate) struct Ack {
    pub(crate) path: PathBuf,
    /// How a line carries its position.
    pub(crate) shape: Shape,
    /// The most records in flight; the default depends on the sink.
    pub(crate) max_inflight: Option<u64>,
}

/// `--exec`
pub(crate) struct Exec {
    /// Run by `sh -c`.
    pub(crate) command: OsString,
    pub(crate) batch_records: u64,
    pub(crate) batch_bytes: u64,
    pub(crate) batch_wait: Duration,
    pub(crate) retries: u32,
    /// Batches of different partitions at a time.
    pub(crate) parallel: usize,
}

/// `-G`
pub(crate) struct Group {
    pub(crate) options: Options,
    pub(crate) name: String,
    pub(crate) topics: Vec<String>,
    /// `-o`: overrides the committed offsets at the first assignment.
    pub(crate) start: Option<Start>,
    pub(crate) count: Option<u64>,
    pub(crate) exit_at_end: bool,
    pub(crate) idle: Option<Duration>,
    pub(crate) give_up: Option<Duration>,
    pub(crate) engine: Engine,
    pub(crate) output: Output,
    pub(crate) delivery: Delivery,
}

/// `--share`
pub(crate) struct Share {
    pub(crate) options: Options,
    pub(crate) group: String,
    pub(crate) topics: Vec<String>,
    pub(crate) count: Option<u64>,
    pub(crate) idle: Option<Duration>,
    pub(crate) give_up: Option<Duration>,
    pub(crate) output: Output,
    /// `--exec`
    pub(crate) jobs: Option<Jobs>,
}

/// `--exec` of a share group.
pub(crate) struct Jobs {
    /// Run by `sh -c`.
    pub(crate) command: OsString,
    /// The most records in one command.
    pub(crate) batch_records: u64,
    /// Commands at a time.
    pub(crate) parallel: usize,
    max_tries: Option<u32>,
    pub(crate) reject_to: Option<String>,
}

impl Jobs {
    /// The delivery at which a record that fails is rejected; none leaves that to the brokers.
    ///
    /// `limit` is the group's, which archives a record after as many deliveries.
    pub(crate) fn max_tries(&self, limit: Option<u32>) -> anyhow::Result<Option<u32>> {
        match (self.max_tries, limit) {
            (Some(tries), Some(limit)) if tries > limit => Err(usage(format_args!(
                "--max-tries {tries}: the group delivers a record {limit} times \
                 (share.delivery.count.limit, group.share.delivery.count.limit)"
            ))),
            (None, None) if self.reject_to.is_some() => Err(usage(
                "--reject-to: how often this group delivers a record is not to be seen with these permissions; \
                 say --max-tries N",
            )),
            (Some(tries), _) => Ok(Some(tries)),
            (None, limit) => Ok(limit.filter(|_| self.reject_to.is_some())),
        }
    }
}

/// The output format of `-L` and `-Q`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    Text,
    Json,
    Tsv,
}

/// `-L`
pub(crate) struct List {
    pub(crate) options: Options,
    pub(crate) topics: Vec<String>,
    pub(crate) format: OutputFormat,
}

/// `-Q`: the offset of a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffsetQuery {
    /// A name, or `^regex`.
    pub(crate) topic: String,
    /// `None` for all.
    pub(crate) partition: Option<i32>,
    /// Milliseconds since 1970; -1 is the end, -2 the beginning.
    pub(crate) time_ms: i64,
}

/// `-Q`
pub(crate) struct Query {
    pub(crate) options: Options,
    pub(crate) queries: Vec<OffsetQuery>,
    pub(crate) format: OutputFormat,
    /// Of [`OutputFormat::Tsv`].
    pub(crate) columns: Vec<Column>,
}

/// `-Q --schema`
#[cfg_attr(
    not(feature = "schema-registry"),
    expect(dead_code, reason = "a build without schemas refuses it")
)]
pub(crate) struct SchemaQuery {
    pub(crate) options: Options,
    pub(crate) topics: Vec<String>,
    /// `--last`
    pub(crate) count: u64,
    pub(crate) registry: RegistrySettings,
    pub(crate) format: OutputFormat,
}

pub(crate) struct Commit {
    pub(crate) options: Options,
    pub(crate) group: String,
    pub(crate) format: LineFormat,
    pub(crate) deletes: bool,
    pub(crate) metadata: Option<String>,
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
}

/// `-M`
pub(crate) struct Mock {
    pub(crate) brokers: u32,
    pub(crate) command: Vec<OsString>,
    pub(crate) quiet: bool,
}
