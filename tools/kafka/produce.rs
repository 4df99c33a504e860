//! Records to acknowledgements: what was accepted, what the brokers acknowledged, what failed and why.
//!
//! A record is accepted when it is in the open batch of its partition, and
//! delivered when every in-sync replica has it (acks=all; idempotence is on, so
//! that a retry duplicates nothing). [`Producer::finish`] returns when each
//! accepted record was delivered or has failed.
//!
//! - `accumulator`: batches, their order, retries, sequence numbers. Pure.
//! - `request`: the Produce request and its response; `partitioner`: the partition of a record. Pure.
//! - `settings`: the properties that concern producing.
//! - `wire_producer`: passes records to the accumulator; `driver`: sends its requests in a thread of its own.
//! - `transaction`: begins and ends transactions.

mod accumulator;
mod driver;
mod partitioner;
mod request;
mod settings;
mod transaction;
mod undelivered;
mod wire_producer;

use super::client::ContactError;
use super::error::{KafkaError, code};
use super::options::Options;
use crate::ack::GroupMetadata;
use crate::kafka::group::Positions;
use crate::record::Record;
use wire_producer::WireProducer;

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

/// Sends records and keeps count of what became of them.
pub struct Producer(WireProducer);

impl Producer {
    /// A producer with safe defaults for what the user did not set.
    pub fn new(options: &Options) -> Result<Producer, ContactError> {
        let mut options = options.clone();
        settings::tune(&mut options);
        Ok(Producer(WireProducer::new(&options)?))
    }

    /// Makes the first contact, and asks for `topic` if there is one.
    ///
    /// A missing topic is looked up again until the time for the first contact is
    /// over, because a broker that creates topics needs a moment.
    pub fn contact(
        &mut self,
        topic: Option<TopicId>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), ContactError> {
        self.0.contact(topic, interrupted)
    }

    /// The handle of a topic, created at its first use.
    pub fn topic(&mut self, name: &str) -> Result<TopicId, KafkaError> {
        Ok(self.0.topic(name))
    }

    /// Adds a record to the batch of its partition; `opaque` is what it is reported by.
    ///
    /// The record's own topic and partition are ignored; its timestamp, key,
    /// value and headers are sent. Without a partition the partitioner chooses.
    #[inline]
    pub fn send(
        &mut self,
        topic: TopicId,
        partition: Option<i32>,
        record: &Record<'_>,
        opaque: u64,
    ) -> Enqueued {
        self.0.send(topic, partition, record, opaque)
    }

    /// Looks what became of the records, waiting at most `timeout_ms` for the first result.
    pub fn poll(&mut self, timeout_ms: i32) {
        self.0.poll(timeout_ms);
    }

    /// Keeps the opaque of each record delivered from now on, for [`Producer::take_delivered`].
    pub fn keep_delivered(&mut self) {
        self.0.keep_delivered();
    }

    /// Calls `take` with the opaque of each record delivered since the last call, in no order.
    pub fn take_delivered(&mut self, take: &mut dyn FnMut(u64)) {
        self.0.take_delivered(take);
    }

    /// Keeps each record that fails from now on, for [`Producer::take_undelivered`].
    pub fn keep_undelivered(&mut self) {
        self.0.keep_undelivered();
    }

    /// The records that failed since the last call, those of a partition in their order.
    pub fn take_undelivered(&mut self) -> Vec<Undelivered> {
        self.0.take_undelivered()
    }

    /// Accepted records that were neither delivered nor have failed.
    pub fn in_flight(&self) -> u64 {
        self.0.in_flight()
    }

    /// Waits until every accepted record was delivered or has failed (message.timeout.ms bounds that).
    ///
    /// `waiting` is called now and then, for progress; it returns false to purge the rest.
    pub fn finish(&mut self, waiting: &mut dyn FnMut(Totals) -> bool) -> Totals {
        while self.flush() {
            if !waiting(self.totals()) {
                self.purge();
            }
        }
        self.totals()
    }

    /// Sends without waiting for linger.ms, and waits a moment for results; false once nothing is in flight.
    ///
    /// One step of [`Producer::finish`], for a caller that has something to do in between.
    pub fn flush(&mut self) -> bool {
        self.0.flush()
    }

    /// Purges what is queued or in flight; each such record counts as failed.
    pub fn purge(&mut self) {
        self.0.purge();
    }

    /// The totals so far. A record that is being retried is still in flight.
    pub fn totals(&self) -> Totals {
        self.0.totals()
    }

    /// The first failures.
    pub fn failures(&self) -> Vec<Failure> {
        self.0.failures()
    }

    /// The error that ended this producer (it was fenced, say), if there is one.
    pub fn fatal_error(&self) -> Option<KafkaError> {
        self.0.fatal_error()
    }

    /// The fatal error, where records were purged because of it and no failure names it.
    pub fn unreported_fatal_error(&self) -> Option<KafkaError> {
        let is_unreported = self.totals().failed > 0 && self.failures().is_empty();
        is_unreported.then(|| self.fatal_error()).flatten()
    }
}

/// Transactions (KIP-98), optionally with a consumer group's offsets (KIP-447).
impl Producer {
    pub fn is_transactional(&self) -> bool {
        self.0.is_transactional()
    }

    /// Initialises the transactional.id, which fences its earlier producers, and begins a transaction. Call it after
    /// the first contact.
    pub fn begin(&mut self) -> Result<(), KafkaError> {
        self.init_transactions()?;
        self.begin_next()
    }

    /// Initialises the transactional.id, which fences its earlier producers and aborts their open transaction.
    pub fn init_transactions(&mut self) -> Result<(), KafkaError> {
        self.0.init_transactions()
    }

    /// Begins a transaction; the one before is committed or aborted.
    pub fn begin_next(&mut self) -> Result<(), KafkaError> {
        self.0.begin_next()
    }

    /// Adds a group's offsets to the transaction, which commits them together with its records.
    ///
    /// `metadata` is the group metadata under which the records before these
    /// offsets were read, so that the coordinator refuses them once the partitions
    /// belong to another member. Metadata without a generation or a member is not
    /// sent, because the coordinator would accept it from anybody (KIP-447).
    pub fn add_positions(
        &mut self,
        positions: &Positions,
        metadata: &GroupMetadata,
        waiting: &mut dyn FnMut(Totals) -> bool,
    ) -> Result<(), KafkaError> {
        let totals = self.totals();
        self.0
            .add_positions(positions, metadata, &mut || waiting(totals))
    }

    /// Delivers what is queued and commits. After an error a read_committed consumer sees nothing of the transaction.
    pub fn commit(&mut self, waiting: &mut dyn FnMut(Totals) -> bool) -> Result<(), KafkaError> {
        let totals = self.finish(waiting);
        self.0.commit(&mut || waiting(totals))
    }

    /// Aborts: a read_committed consumer sees nothing of the transaction.
    pub fn abort(&mut self) -> Result<(), KafkaError> {
        self.0.abort()
    }
}

fn may_be_created_yet(code: i32) -> bool {
    matches!(
        code,
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC | code::LEADER_NOT_AVAILABLE
    )
}
