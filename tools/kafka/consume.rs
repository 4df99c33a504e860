//! Reads partitions with librdkafka's simple consumer, without a group, each from its start to its end.
//!
//! All partitions are forwarded to one queue, whose messages a callback
//! receives: the cheapest of librdkafka's ways to consume. The offset ranges are
//! looked up before the first record is read (`offset_range`), so that reading to
//! the end does not wait.
//!
//! [`ReadRequest`], [`Item`] and [`ConsumeError`] are also those of [`fetch`](super::fetch).

pub(crate) mod committed;
mod leader_probe;
pub(crate) mod message;
pub(crate) mod offset_range;
pub(crate) mod queue;
mod simple_consumer;
pub(crate) mod topics;

pub use leader_probe::LeaderProbe;
pub use offset_range::Start;
pub use simple_consumer::SimpleConsumer;
pub use topics::TopicPatterns;

use super::Options;
use super::admin::Isolation;
use super::batch::BatchError;
use super::client::ContactError;
use super::error::{KafkaError, code};
use crate::partition::{Algorithm, Partition, Partitioner};
use crate::record::Record;

/// The partitions to read, and their ranges.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// Names, or `^regex`, which is matched once.
    pub topics: Vec<String>,
    /// One partition of each topic, or all.
    pub partition: Option<i32>,
    /// Only the partition that this key is in, of each topic.
    pub key_partition: Option<KeyPartition>,
    pub start: Start,
    /// A partition stops before its first record at or after this time, milliseconds since 1970.
    pub stop_time_ms: Option<i64>,
    /// A partition stops at the end that it had at the start.
    pub stop_at_end: bool,
    /// `isolation.level`: whether the end is the high watermark or the last stable offset.
    pub isolation: Isolation,
    /// Whether to parse headers, which takes time.
    pub wants_headers: bool,
}

impl Default for ReadRequest {
    fn default() -> ReadRequest {
        ReadRequest {
            topics: Vec::new(),
            partition: None,
            key_partition: None,
            start: Start::Beginning,
            stop_time_ms: None,
            stop_at_end: false,
            isolation: Isolation::ReadCommitted,
            wants_headers: true,
        }
    }
}

/// A key, and the algorithm that assigns it to a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPartition {
    pub algorithm: Algorithm,
    pub key: Vec<u8>,
}

impl KeyPartition {
    /// The key's partition, of `count`; an error if the algorithm assigns none to it.
    pub fn partition(&self, count: u32) -> Result<i32, String> {
        let partitioner = Partitioner::new(self.algorithm.clone(), Some(count), &[]);
        let partitioner = partitioner.map_err(|error| error.to_string())?;
        match partitioner.partition(&[Some(&self.key)]) {
            Ok(Partition::Number(partition)) => i32::try_from(partition).map_err(|e| e.to_string()),
            Ok(Partition::Random | Partition::Token(_)) => {
                Err("it does not say in which partition this key is".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    #[error(transparent)]
    Contact(#[from] ContactError),
    #[error("topic {0}: there is no such topic")]
    NoTopic(String),
    #[error("no topic matches {0}")]
    NothingMatches(String),
    #[error("topic {0}: not a regular expression")]
    BadPattern(String),
    #[error("group {0}: {1}")]
    Group(String, KafkaError),
    /// An error of the topic.
    #[error("topic {0}: {1}")]
    Topic(String, KafkaError),
    #[error("topic {topic}: there is no partition {partition}; it has {count}")]
    NoPartition {
        topic: String,
        partition: i32,
        count: usize,
    },
    #[error(
        "{topic} [{partition}]: offset {offset} is out of range, which is {first} to {next}; \
         -X auto.offset.reset=earliest (or latest) reads on"
    )]
    OutOfRange {
        topic: String,
        partition: i32,
        offset: i64,
        first: i64,
        /// The high watermark: the next record's offset.
        next: i64,
    },
    /// The partition can't be read any further.
    #[error("{topic} [{partition}]: {error}")]
    Partition {
        topic: String,
        partition: i32,
        error: KafkaError,
    },
    /// A batch of records can't be read.
    #[error("{topic} [{partition}] offset {offset}: {error}{}", hint(.error))]
    Batch {
        topic: String,
        partition: i32,
        /// The first offset that can't be read.
        offset: i64,
        error: BatchError,
    },
    /// An error of the whole client.
    #[error("{0}")]
    Failed(KafkaError),
}

impl ConsumeError {
    /// Whether it concerns the position in one partition, so that the others can be read.
    pub fn is_of_position(&self) -> bool {
        match self {
            ConsumeError::OutOfRange { .. } => true,
            ConsumeError::Partition { error, .. } => matches!(
                error.code,
                code::LOG_TRUNCATION | code::NO_OFFSET | code::AUTO_OFFSET_RESET
            ),
            _ => false,
        }
    }
}

fn hint(error: &BatchError) -> &'static str {
    match error {
        BatchError::OldFormat(_) => "; --engine librdkafka reads it",
        _ => "",
    }
}

pub enum Item<'a> {
    Record(&'a Record<'a>),
    /// The end of a partition; more may follow unless the partition has a bound.
    End {
        topic: &'a str,
        partition: i32,
        /// The offset of the next record.
        offset: i64,
    },
}

/// Sets the properties that reading needs, unless the user set them.
pub fn tune(options: &mut Options, request: &ReadRequest) {
    // The default makes a full queue stop for 1 s.
    options.set_default("fetch.queue.backoff.ms", "5");
    set_fetch_wait(options, request.stop_at_end);
    // Refuse damaged records.
    options.set_default("check.crcs", "true");
    // Never skip deleted records silently.
    options.set_default("auto.offset.reset", "error");
    options.force("enable.partition.eof", "true");
    options.force("enable.auto.commit", "false");
    options.force("auto.commit.enable", "false");
    options.force("enable.auto.offset.store", "false");
}

/// Sets how long a broker may delay a fetch to collect more bytes.
///
/// A partition that is added during a delayed fetch waits for it, so librdkafka's
/// 500 ms would delay the start. At the end only transaction markers may follow
/// the last record, and there is nothing to wait for.
pub(crate) fn set_fetch_wait(options: &mut Options, stop_at_end: bool) {
    let wait_ms = if stop_at_end { "10" } else { "100" };
    options.set_default("fetch.wait.max.ms", wait_ms);
}
