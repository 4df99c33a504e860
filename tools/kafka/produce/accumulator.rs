//! The records that have no result yet: open batches, queues of batches, what to send next and what a response changes. Pure: the caller passes the time.
//!
//! Records are encoded straight into the open batch of their partition. A
//! partition sends its batches in order; a batch that comes back goes to the
//! front again, with its sequence number if it may be stored (`sequences`).
//!
//! - `batch`, `partition`, `sequences`: one batch, one partition, its numbers.
//! - `requests`: what to send; `responses`: what became of it.
//! - `transaction`: the partitions of the open transaction.
//! - `append`: from a record to its batch; `failures`: records that fail.
//! - `metadata`: leaders, unknown topics; `report`: totals and failures.

mod append;
pub(super) mod batch;
mod failures;
mod metadata;
mod partition;
mod report;
mod requests;
mod responses;
mod sequences;
#[cfg(test)]
mod tests;
pub(super) mod transaction;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::partitioner::TopicPartitioner;
use super::settings::ProduceSettings;
use super::undelivered::Undelivered;
use crate::kafka::error::KafkaError;
use metadata::MetadataRefresh;
use partition::Partition;
pub(super) use report::Report;
pub(super) use requests::{PlannedBatch, ProducePlan};
pub(super) use responses::{PartitionResult, ProduceResult};
pub(super) use sequences::ProducerId;
use transaction::TransactionState;

/// How many buffers of batches are kept to be used again, and how large they are at least.
const FREE_BUFFERS: usize = 16;
const LEAST_FREE_BYTES: usize = 16 << 10;

/// The time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall_ms: i64,
}

/// What became of a record that was passed to [`Accumulator::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is in a batch, or has failed for good.
    Done,
    /// The same, and there is something to do for who sends requests.
    Wake,
    /// There is no memory for it.
    Full,
}

struct Topic {
    name: String,
    /// By number; empty before the first metadata.
    partitions: Vec<Partition>,
    partitioner: TopicPartitioner,
    /// Records that came before the first metadata, with the time.
    waiting: VecDeque<(Instant, Undelivered)>,
    missing_since: Option<Instant>,
}

/// The producer id, which the brokers assign.
#[derive(Debug)]
enum Identity {
    /// Batches are not numbered.
    None,
    /// To be assigned by the coordinator of transactions.
    Unassigned,
    /// To be requested, not before this time.
    Wanted(Option<Instant>),
    Requested,
    Assigned(ProducerId),
}

#[derive(Debug, Default)]
struct Broker {
    /// The number of requests.
    in_flight: usize,
    paused_until: Option<Instant>,
    is_throttle_reported: bool,
}

pub(super) struct Accumulator {
    pub(super) settings: ProduceSettings,
    topics: Vec<Topic>,
    topic_indexes: HashMap<String, usize>,
    /// Topic and partition of the partitions with records that are not in flight.
    active: Vec<(usize, usize)>,
    brokers: HashMap<i32, Broker>,
    identity: Identity,
    identity_failures: u32,
    refresh: MetadataRefresh,
    /// The bytes of all records without a result.
    memory: usize,
    free_buffers: Vec<Vec<u8>>,
    /// Whether a batch waits for a connection to its leader.
    pub(super) awaits_connection: bool,
    /// Of a producer with a transactional.id.
    pub(super) transaction: Option<TransactionState>,
    fatal: Option<KafkaError>,
    pub(super) report: Report,
}

impl Accumulator {
    pub(super) fn new(settings: ProduceSettings) -> Accumulator {
        Accumulator {
            identity: match settings.transactional_id {
                Some(_) => Identity::Unassigned,
                None if settings.is_idempotent => Identity::Wanted(None),
                None => Identity::None,
            },
            transaction: settings
                .transactional_id
                .as_ref()
                .map(|_| TransactionState::default()),
            settings,
            topics: Vec::new(),
            topic_indexes: HashMap::new(),
            active: Vec::new(),
            brokers: HashMap::new(),
            identity_failures: 0,
            refresh: MetadataRefresh::default(),
            memory: 0,
            free_buffers: Vec::new(),
            awaits_connection: false,
            fatal: None,
            report: Report::default(),
        }
    }

    /// The index of a topic, which is added at its first use.
    pub(super) fn topic(&mut self, name: &str) -> usize {
        if let Some(&index) = self.topic_indexes.get(name) {
            return index;
        }
        let index = self.topics.len();
        self.topics.push(Topic {
            name: name.to_owned(),
            partitions: Vec::new(),
            partitioner: TopicPartitioner::new(&self.settings),
            waiting: VecDeque::new(),
            missing_since: None,
        });
        self.topic_indexes.insert(name.to_owned(), index);
        self.refresh.is_needed = true;
        self.refresh.not_before = None;
        self.refresh.has_new_topic = true;
        index
    }

    pub(super) fn topic_name(&self, index: usize) -> &str {
        &self.topics[index].name
    }

    /// The names of the topics from this index on.
    pub(super) fn topic_names_from(&self, index: usize) -> impl Iterator<Item = &str> {
        self.topics[index..].iter().map(|topic| topic.name.as_str())
    }

    /// Accepted records without a result.
    pub(super) fn outstanding(&self) -> u64 {
        let totals = &self.report.totals;
        totals.accepted - totals.delivered - totals.failed
    }

    pub(super) fn fatal(&self) -> Option<&KafkaError> {
        self.fatal.as_ref()
    }

    /// The next time at which there is something to do without a response.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let active = self.active.iter();
        let partitions = active.filter_map(|&(topic, partition)| {
            let state = &self.topics[topic].partitions[partition];
            let linger_end = state
                .linger_end(&self.settings)
                .filter(|_| state.queue.is_empty());
            linger_end.into_iter().chain(state.paused_until).min()
        });
        let brokers = self.brokers.values().filter_map(|b| b.paused_until);
        let refresh = self.refresh.not_before.filter(|_| self.refresh.is_needed);
        let identity = match self.identity {
            Identity::Wanted(not_before) => not_before,
            _ => None,
        };
        let transaction = self
            .transaction
            .as_ref()
            .and_then(TransactionState::next_wake);
        let partitions = partitions.chain(transaction);
        let all = partitions.chain(brokers).chain(refresh).chain(identity);
        all.filter(|&at| at > now).min()
    }
}

impl Topic {
    fn close_open(&mut self, partition: usize) {
        self.partitions[partition].close_open();
        self.partitioner.end_batch(partition as i32);
    }
}
