//! Records to acknowledgements: what was accepted, what the brokers acknowledged, what failed and why.
//!
//! A record is accepted when it is in the open batch of its partition, and
//! delivered when every in-sync replica has it (acks=all; idempotence is on, so
//! that a retry duplicates nothing). [`Producer::finish`] returns when each
//! accepted record was delivered or has failed.
//!
//! - `producer`: passes records to the accumulator; `driver`: sends its requests in a thread of its own.
//! - `accumulator`: batches, their order, retries, sequence numbers. Pure.
//! - `request`: the Produce request and its response; `partitioner`: the partition of a record. Pure.
//! - `settings`: the properties that concern producing.
//! - `transaction`: begins and ends transactions.

mod accumulator;
mod driver;
mod partitioner;
mod producer;
mod request;
mod settings;
mod transaction;
mod undelivered;

use super::error::{KafkaError, code};

pub use producer::Producer;
pub use undelivered::Undelivered;

/// The first failures are kept with their reasons; the others are only counted.
const FAILURES_KEPT: usize = 5;
/// How often a blocking poll looks at signals and shows progress.
const TICK_MS: i32 = 50;

/// A topic that a producer sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicId(usize);

/// How many records were accepted, delivered, failed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records passed to [`Producer::send`], refused ones included.
    pub accepted: u64,
    /// Records that the brokers acknowledged.
    pub delivered: u64,
    /// Records that failed for good.
    pub failed: u64,
}

/// One record that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the caller passed to [`Producer::send`]: a line number or an offset.
    pub opaque: u64,
    pub topic: String,
    pub error: KafkaError,
}

/// Whether a record was put into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// Accepted, or refused for good and counted as failed.
    Done,
    /// The queue is full: [`Producer::poll`], then send it again.
    QueueFull,
}

fn may_be_created_yet(code: i32) -> bool {
    matches!(
        code,
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC | code::LEADER_NOT_AVAILABLE
    )
}
