//! What each mode needs to know.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tools::ack::Shape;
use tools::cli::connection::Listing;
use tools::kafka::Options;
use tools::kafka::consume::KeyPartition;
use tools::record::Format;

use crate::engine::Engine;
use crate::offset::{Range, Start};
use crate::unpack::Unpack;

/// One mode and all that it needs to know.
pub(crate) enum Config {
    /// `-P`
    Produce(Produce),
    /// `-C`
    Consume(Consume),
    /// `-G`
    Group(Group),
    /// `-L`
    List(List),
    /// `-Q`
    Query(Query),
    /// `-M`
    Mock(Mock),
    /// `-U`
    SelfTest,
    /// `-V`
    Version,
    /// `-X list`, `-X dump`
    Properties(Listing, Box<Options>),
}

/// Where records to produce come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard input, or these files one after the other (`-l`), cut into records by the format.
    Lines(Vec<PathBuf>),
    /// Each file is one record.
    Whole(Vec<PathBuf>),
}

/// `-P`
pub(crate) struct Produce {
    pub(crate) options: Options,
    /// `-t`; else each record names its topic.
    pub(crate) topic: Option<String>,
    /// `-p`, where it is not -1; else the record's, else the partitioner's.
    pub(crate) partition: Option<i32>,
    pub(crate) source: Source,
    pub(crate) format: Format,
    pub(crate) key: Option<Vec<u8>>,
    /// Name and value of each `-H`.
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) count: Option<u64>,
    pub(crate) tee: bool,
    /// `--ack`
    pub(crate) intake: Option<Intake>,
}

/// `--ack` of a sink.
pub(crate) struct Intake {
    /// The socket.
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
    /// Exact bytes to a terminal too.
    pub(crate) raw: bool,
    /// `-O`: the offset and this before each record.
    pub(crate) offset_delimiter: Option<Vec<u8>>,
    pub(crate) unpack: Unpack,
    /// `--only-key`: nothing else is written.
    pub(crate) only_key: Option<Vec<u8>>,
    pub(crate) unbuffered: bool,
    /// `-E`: a record that can't be written is skipped, an error of a partition does not end the program.
    pub(crate) keep_trying: bool,
}

/// `-C`
pub(crate) struct Consume {
    pub(crate) options: Options,
    pub(crate) topics: Vec<String>,
    pub(crate) partition: Option<i32>,
    /// `--algo`: where the records of `--only-key` are.
    pub(crate) key_partition: Option<KeyPartition>,
    pub(crate) range: Range,
    /// `--last`
    pub(crate) last: Option<u64>,
    /// `--idle`
    pub(crate) idle: Option<Duration>,
    pub(crate) count: Option<u64>,
    pub(crate) exit_at_end: bool,
    /// `--give-up`
    pub(crate) give_up: Option<Duration>,
    pub(crate) engine: Engine,
    pub(crate) output: Output,
}

/// How `-G` hands records on, and so how it knows what was dealt with.
pub(crate) enum Delivery {
    /// Standard output has taken them.
    Stdout,
    /// `--exec`
    Exec(Exec),
    /// `--ack`
    Ack(Ack),
}

/// `--ack` of a source.
pub(crate) struct Ack {
    /// The socket.
    pub(crate) path: PathBuf,
    /// How a line carries its position.
    pub(crate) shape: Shape,
    /// Records that may be sent and not yet committed; else what suits the sink.
    pub(crate) max_inflight: Option<u64>,
}

/// `--exec`
pub(crate) struct Exec {
    /// For `sh -c`.
    pub(crate) command: OsString,
    pub(crate) batch_records: u64,
    pub(crate) batch_bytes: u64,
    pub(crate) batch_wait: Duration,
    pub(crate) retries: u32,
    /// How many batches of different partitions at a time.
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
    /// `--idle`
    pub(crate) idle: Option<Duration>,
    /// `--give-up`
    pub(crate) give_up: Option<Duration>,
    pub(crate) output: Output,
    pub(crate) delivery: Delivery,
}

/// How `-L` and `-Q` answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Text,
    Json,
    Tsv,
}

/// `-L`
pub(crate) struct List {
    pub(crate) options: Options,
    pub(crate) topics: Vec<String>,
    pub(crate) answer: Answer,
}

/// What `-Q` asks of a partition: an offset by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) topic: String,
    /// `None` is all.
    pub(crate) partition: Option<i32>,
    /// Milliseconds since 1970; -1 is the end, -2 the beginning.
    pub(crate) time_ms: i64,
}

/// `-Q`
pub(crate) struct Query {
    pub(crate) options: Options,
    pub(crate) questions: Vec<Question>,
    pub(crate) answer: Answer,
}

/// `-M`
pub(crate) struct Mock {
    pub(crate) brokers: u32,
    pub(crate) command: Vec<OsString>,
    pub(crate) quiet: bool,
}
