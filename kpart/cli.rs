//! The command line as it is typed.
// Doc comments of options are their help text, where brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links, clippy::doc_markdown)]

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tools::cli::connection::Connection;
use tools::cli::report::OutputArgs;
use tools::partition::Algorithm;
use tools::units::parse_duration;

use crate::template::PartitionTemplate;

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
    #[arg(
        short = 'n',
        long = "partitions",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub(crate) count: Option<u32>,

    /// Use the number of partitions of this Kafka topic
    #[arg(
        short = 't',
        long = "topic",
        value_name = "TOPIC",
        conflicts_with_all = ["count", "weights", "skew"]
    )]
    pub(crate) topic: Option<String>,

    /// With -t: check every TIME that the number has not changed, and stop if it has [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) recheck: Option<Duration>,

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
    pub(crate) algorithm: Algorithm,

    /// Weights of the shards of a ClickHouse Distributed table, in order
    #[arg(long, value_name = "W,...", value_delimiter = ',')]
    pub(crate) weights: Vec<u32>,

    /// Key columns, counted from 1; with -J a JSON pointer, once for each column
    #[arg(
        short = 'k',
        long = "key",
        value_name = "COLUMNS",
        allow_hyphen_values = true
    )]
    pub(crate) key: Vec<String>,

    /// Lines are JSON objects as kcat-lite -J writes them
    #[arg(short = 'J', long)]
    pub(crate) json: bool,

    /// Write the lines of each partition to a file; {} in NAME is the partition
    #[arg(
        long,
        value_name = "NAME",
        group = "route",
        help_heading = "Where lines go"
    )]
    pub(crate) split: Option<PartitionTemplate>,

    /// Pipe the lines of each partition into a command; {} in COMMAND is the partition
    #[arg(
        long,
        value_name = "COMMAND",
        group = "route",
        help_heading = "Where lines go"
    )]
    pub(crate) exec: Option<PartitionTemplate>,

    /// Maximum number of commands [default: 64]
    #[arg(long, value_name = "N", help_heading = "Where lines go")]
    pub(crate) max_children: Option<u32>,

    /// Instead, print how even these numbers of partitions would be, and the heaviest keys
    #[arg(long, value_name = "N,...", value_delimiter = ',', group = "route", conflicts_with_all = ["count", "weights"], help_heading = "Report")]
    pub(crate) skew: Vec<u32>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Files to read; standard input if none is given, or for -
    #[arg(value_name = "FILE", help_heading = "Arguments")]
    pub(crate) files: Vec<PathBuf>,
}
