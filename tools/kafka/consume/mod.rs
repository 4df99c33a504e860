//! Reads assigned partitions: records in their order, each partition from its start to its end.
//!
//! librdkafka's simple consumer, all partitions on one queue, served by a
//! callback: it needs no group, and of librdkafka's ways to hand out records
//! it costs least. Bounds are settled before the first record is read
//! (`span`), so that reading to the end waits for nothing.

pub(crate) mod inbox;
mod leaders;
pub(crate) mod message;
mod reader;
pub(crate) mod span;
pub(crate) mod topics;

pub use leaders::Leaders;
pub use reader::Reader;
pub use span::Start;

use super::Options;
use super::batch::BatchError;
use super::client::ContactError;
use super::cluster::Isolation;
use super::error::{KafkaError, code};
use crate::partition::{Algorithm, Partition, Partitioner};
use crate::record::Record;

/// Topic and partition.
pub type Place = (String, i32);

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Names, or `^regex`, which is settled once.
    pub topics: Vec<String>,
    /// One partition of each topic, or all.
    pub partition: Option<i32>,
    /// Of each topic only the partition where this key is.
    pub placed: Option<Placed>,
    /// Where each partition begins.
    pub start: Start,
    /// A partition stops before its first record at or after this time, milliseconds since 1970.
    pub stop_time_ms: Option<i64>,
    /// A partition stops at its end, as it was when reading began.
    pub stop_at_end: bool,
    /// `isolation.level`: whether the end is the high watermark or the last stable offset.
    pub isolation: Isolation,
    /// Whether records are handed out with their headers, which costs.
    pub wants_headers: bool,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted {
            topics: Vec::new(),
            partition: None,
            placed: None,
            start: Start::Beginning,
            stop_time_ms: None,
            stop_at_end: false,
            isolation: Isolation::ReadCommitted,
            wants_headers: true,
        }
    }
}

/// A key, and the algorithm that says in which partition it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// As `kpart --algo` has it.
    pub algorithm: Algorithm,
    /// The key.
    pub key: Vec<u8>,
}

impl Placed {
    /// The partition, of so many.
    ///
    /// # Errors
    /// The algorithm does not place this key, or not by a number of partitions.
    pub fn partition(&self, count: u32) -> Result<i32, String> {
        let partitioner = Partitioner::new(self.algorithm.clone(), Some(count), &[]);
        let partitioner = partitioner.map_err(|error| error.to_string())?;
        match partitioner.place(&[Some(&self.key)]) {
            Ok(Partition::Number(partition)) => i32::try_from(partition).map_err(|e| e.to_string()),
            Ok(Partition::Random | Partition::Token(_)) => {
                Err("it does not say in which partition this key is".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Why reading failed.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// No contact with the cluster.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// There is no such topic.
    #[error("topic {0}: there is no such topic")]
    NoTopic(String),
    /// No topic matches.
    #[error("no topic matches {0}")]
    NothingMatches(String),
    /// A regular expression that is none.
    #[error("topic {0}: not a regular expression")]
    BadPattern(String),
    /// The cluster refuses the topic.
    #[error("topic {0}: {1}")]
    Topic(String, KafkaError),
    /// The topic has no such partition.
    #[error("topic {topic}: there is no partition {partition}; it has {count}")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition that was asked for.
        partition: i32,
        /// How many there are.
        count: usize,
    },
    /// The offset was never there, or is not there any more.
    #[error(
        "{topic} [{partition}]: offset {offset} is out of range, which is {first} to {next}; \
         -X auto.offset.reset=earliest (or latest) reads on"
    )]
    OutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that was asked for.
        offset: i64,
        /// The log start.
        first: i64,
        /// The high watermark: the next record's offset.
        next: i64,
    },
    /// The partition can't be read any further.
    #[error("{topic} [{partition}]: {error}")]
    Partition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Why.
        error: KafkaError,
    },
    /// A batch of records can't be read.
    #[error("{topic} [{partition}] offset {offset}: {error}{}", hint(.error))]
    Batch {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset that can't be read.
        offset: i64,
        /// Why.
        error: BatchError,
    },
    /// Reading can't go on at all.
    #[error("{0}")]
    Failed(KafkaError),
}

impl ConsumeError {
    /// Whether one partition has no record at the position, and the others can be read.
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

/// What reads that other format.
fn hint(error: &BatchError) -> &'static str {
    match error {
        BatchError::OldFormat(_) => "; --engine librdkafka reads it",
        _ => "",
    }
}

/// What reading brings.
pub enum Item<'a> {
    /// A record.
    Record(&'a Record<'a>),
    /// Everything that there is of a partition was read; more may come unless the partition has a bound.
    End {
        /// The topic.
        topic: &'a str,
        /// The partition.
        partition: i32,
        /// The offset of the next record.
        offset: i64,
    },
}

/// Sets what reading partitions needs of librdkafka, where the user says nothing else.
pub fn tune(options: &mut Options, wanted: &Wanted) {
    // The default of 1 s makes a full queue stand still for as long.
    options.set_default("fetch.queue.backoff.ms", "5");
    set_fetch_wait(options, wanted.stop_at_end);
    // A record that was damaged on its way or on a disk is refused, not handed on.
    options.set_default("check.crcs", "true");
    if wanted.start != Start::Stored {
        // Records that are gone are never passed over in silence.
        options.set_default("auto.offset.reset", "error");
    }
    options.force("enable.partition.eof", "true");
    options.force("enable.auto.commit", "false");
    options.force("auto.commit.enable", "false");
    options.force("enable.auto.offset.store", "false");
}

/// Sets how long a broker may hold a fetch back for more bytes.
///
/// A partition that is started while a fetch of others is held back waits as
/// long, so librdkafka's 500 ms would be seen at the start. At the end there
/// may be transaction markers behind the last record, and nothing to wait for.
pub(crate) fn set_fetch_wait(options: &mut Options, stop_at_end: bool) {
    let wait_ms = if stop_at_end { "10" } else { "100" };
    options.set_default("fetch.wait.max.ms", wait_ms);
}
