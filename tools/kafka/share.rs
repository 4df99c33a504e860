//! A member of a share group (KIP-932): acquires records, and accepts, releases or rejects each of them.
//!
//! The broker locks what it delivers for a time, counts the deliveries, and delivers again what is not acknowledged.
//!
//! - `consumer`: drives the others.
//! - `member`: heartbeats and the assignment. Pure.
//! - `session`: the requests to one broker, in their order. Pure.
//! - `request`, `response`: their bytes.
//! - `topics`: ids, names and leaders.
//! - `requests`: the requests in flight.
//! - `records`: from the batches of a response to the records that were acquired.

mod consumer;
mod member;
mod records;
mod request;
mod requests;
mod response;
mod session;
#[cfg(test)]
mod tests;
mod topics;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::KafkaError;
pub use consumer::ShareConsumer;
pub use records::AcquiredRecord;
pub use request::Acknowledgement;
use request::PartitionId;

/// The share group to join.
#[derive(Clone, Debug)]
pub struct ShareMembership {
    pub group: String,
    /// Names, or `^regex`.
    pub topics: Vec<String>,
    /// Whether to parse headers.
    pub wants_headers: bool,
    /// How long to wait for a coordinator that does not answer; without it, for ever.
    pub give_up: Option<Duration>,
}

/// How many records to fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimit {
    pub records: usize,
    /// Whether not one more may be locked. A broker before Kafka 4.2 locks whole batches all the same.
    pub is_exact: bool,
    /// Whether acknowledgements are about to come, so that no fetch may wait long.
    pub is_busy: bool,
}

/// The position of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordPosition {
    pub topic: Arc<str>,
    id: PartitionId,
    pub offset: i64,
}

impl RecordPosition {
    pub fn partition(&self) -> i32 {
        self.id.1
    }
}

impl fmt::Display for RecordPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecordPosition { topic, id, offset } = self;
        write!(f, "{topic} [{}] offset {offset}", id.1)
    }
}

/// An acknowledgement that the broker refused: the record is delivered again.
#[derive(Clone, Debug)]
pub struct Refused {
    pub topic: Arc<str>,
    pub partition: i32,
    pub first: i64,
    pub last: i64,
    pub kind: Acknowledgement,
    pub error: KafkaError,
}
