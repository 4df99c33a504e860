//! What a response, or its absence, means for the batches of a request.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::requests::{PlannedBatch, ProducePlan};
use super::transaction::{fenced, is_fencing};
use super::{Accumulator, Undelivered};
use crate::kafka::error::{KafkaError, code, is_connection_failure, is_leader_change};

/// The longest pause for a throttle; Kafka's quotas ask for a few seconds at most.
const MAX_THROTTLE: Duration = Duration::from_secs(30);
/// A throttle this long is reported.
const REPORTED_THROTTLE: Duration = Duration::from_secs(2);

/// A broker's response for one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::kafka::produce) struct PartitionResult {
    pub(in crate::kafka::produce) topic: String,
    pub(in crate::kafka::produce) partition: i32,
    pub(in crate::kafka::produce) error: i32,
    /// What the broker says of the batch (KIP-467).
    pub(in crate::kafka::produce) message: Option<String>,
    /// The numbers of the records that it refuses, and why (KIP-467).
    pub(in crate::kafka::produce) records: Vec<(i32, Option<String>)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::kafka::produce) struct ProduceResult {
    pub(in crate::kafka::produce) partitions: Vec<PartitionResult>,
    pub(in crate::kafka::produce) throttle_ms: i32,
}

/// What to do with a batch after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Retry,
    /// The broker does not expect this sequence number.
    Renumber,
    /// Some of its records, or all together, are refused.
    Split,
    Fail,
}

impl Reaction {
    fn for_error(code: i32) -> Reaction {
        match code {
            code::OUT_OF_ORDER_SEQUENCE_NUMBER
            | code::UNKNOWN_PRODUCER_ID
            | code::INVALID_PRODUCER_EPOCH => Reaction::Renumber,
            code::MESSAGE_TOO_LARGE
            | code::RECORD_LIST_TOO_LARGE
            | code::INVALID_RECORD
            | code::INVALID_TIMESTAMP
            | code::CORRUPT_MESSAGE => Reaction::Split,
            code::UNKNOWN_TOPIC_OR_PARTITION
            | code::NOT_ENOUGH_REPLICAS
            | code::NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | code::THROTTLING_QUOTA_EXCEEDED
            | code::BAD_MESSAGE => Reaction::Retry,
            code if is_leader_change(code) || is_connection_failure(code) => Reaction::Retry,
            _ => Reaction::Fail,
        }
    }
}

/// Whether the broker may have stored the batch all the same: it appends before it waits for the replicas.
fn is_ambiguous(code: i32) -> bool {
    is_connection_failure(code)
        || is_leader_change(code)
        || matches!(
            code,
            code::UNKNOWN_TOPIC_OR_PARTITION
                | code::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                | code::UNKNOWN_SERVER_ERROR
                | code::BAD_MESSAGE
                | code::PURGE_INFLIGHT
        )
}

impl Accumulator {
    /// The response to a request.
    pub(in crate::kafka::produce) fn handle_response(
        &mut self,
        plan: ProducePlan,
        result: ProduceResult,
        now: Instant,
    ) {
        self.request_ended(plan.broker, result.throttle_ms, now);
        let results = result.partitions.into_iter();
        let mut results: HashMap<(String, i32), PartitionResult> = results
            .map(|result| ((result.topic.clone(), result.partition), result))
            .collect();
        for planned in plan.batches {
            let key = (
                self.topics[planned.topic].name.clone(),
                planned.partition as i32,
            );
            let result = results.remove(&key).unwrap_or_else(|| PartitionResult {
                // The response does not name the partition.
                error: code::NETWORK_EXCEPTION,
                ..PartitionResult::default()
            });
            self.handle_partition(planned, &result, now);
        }
    }

    /// A request without a response that counts: acks=0.
    pub(in crate::kafka::produce) fn handle_sent(&mut self, plan: ProducePlan, now: Instant) {
        self.request_ended(plan.broker, 0, now);
        for planned in plan.batches {
            self.acknowledge(planned, now);
        }
    }

    /// A request failed as a whole.
    pub(in crate::kafka::produce) fn handle_failure(
        &mut self,
        plan: ProducePlan,
        error: &KafkaError,
        now: Instant,
    ) {
        self.request_ended(plan.broker, 0, now);
        for planned in plan.batches {
            self.handle_error(planned, error, &[], now);
        }
    }

    fn request_ended(&mut self, id: i32, throttle_ms: i32, now: Instant) {
        let broker = self.brokers.entry(id).or_default();
        broker.in_flight -= 1;
        let throttle = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
        if throttle.is_zero() {
            broker.is_throttle_reported = false;
            return;
        }
        broker.paused_until = Some(now + throttle.min(MAX_THROTTLE));
        if throttle >= REPORTED_THROTTLE
            && !std::mem::replace(&mut broker.is_throttle_reported, true)
        {
            log::warn!(
                "broker {id} throttles this client for {} s (a quota of the cluster)",
                throttle.as_secs()
            );
        }
    }

    fn handle_partition(&mut self, planned: PlannedBatch, result: &PartitionResult, now: Instant) {
        match result.error {
            code::NONE | code::DUPLICATE_SEQUENCE_NUMBER => self.acknowledge(planned, now),
            error => {
                let mut error = KafkaError::of(error);
                if let Some(message) = &result.message {
                    error.reason = format!("{error}: {message}");
                }
                self.handle_error(planned, &error, &result.records, now);
            }
        }
    }

    fn acknowledge(&mut self, planned: PlannedBatch, now: Instant) {
        let PlannedBatch {
            topic,
            partition,
            mut batch,
        } = planned;
        let state = &mut self.topics[topic].partitions[partition];
        state.in_flight -= 1;
        state.succeeded(&batch, now);
        self.report.delivered(&mut batch);
        self.release(batch.memory, batch.into_memory());
    }

    fn handle_error(
        &mut self,
        planned: PlannedBatch,
        error: &KafkaError,
        refused: &[(i32, Option<String>)],
        now: Instant,
    ) {
        let PlannedBatch {
            topic,
            partition,
            mut batch,
        } = planned;
        let state = &mut self.topics[topic].partitions[partition];
        state.in_flight -= 1;
        batch.may_be_stored |= is_ambiguous(error.code);
        let mut reaction = Reaction::for_error(error.code);
        if self.fatal.is_some() {
            reaction = Reaction::Fail;
        }
        let is_transactional = self.settings.transactional_id.is_some();
        if is_transactional && is_fencing(error.code) {
            self.set_fatal(fenced(error));
            return self.fail_batch(topic, partition, batch, &KafkaError::of(code::PURGE_QUEUE));
        }
        match reaction {
            Reaction::Retry if batch.attempts <= self.settings.retries => {
                batch.last_error = Some(error.clone());
                state.back_off(&self.settings, now);
                self.put_back(topic, partition, [batch]);
                if error.code != code::THROTTLING_QUOTA_EXCEEDED {
                    self.refresh.is_needed = true;
                }
            }
            Reaction::Renumber if self.settings.is_idempotent => {
                // A broker refuses the number of what it has not stored.
                batch.may_be_stored = false;
                // The batches after one that was refused come back so, which is no failure of theirs.
                let is_first = state
                    .queue
                    .front()
                    .is_none_or(|first| first.first > batch.first);
                if is_first {
                    state.back_off(&self.settings, now);
                    batch.last_error = Some(error.clone());
                }
                state.sequences.refused(&batch);
                if is_transactional && state.sequences.needs_epoch_bump() {
                    // The epoch is the coordinator's: only another transaction can begin again.
                    return self.fail_batch(topic, partition, batch, error);
                }
                self.put_back(topic, partition, [batch]);
            }
            Reaction::Split if batch.count > 1 => {
                self.split(topic, partition, batch, error, refused);
            }
            Reaction::Split => {
                // The limit of batches was lowered for this record.
                state.batch_bytes = self.settings.batch_bytes;
                let error = record_error(error, refused.first());
                self.fail_batch(topic, partition, batch, &error);
            }
            Reaction::Retry | Reaction::Renumber | Reaction::Fail => {
                self.fail_batch(topic, partition, batch, error);
            }
        }
    }

    fn put_back(
        &mut self,
        topic: usize,
        partition: usize,
        batches: impl IntoIterator<Item = Batch>,
    ) {
        self.topics[topic].partitions[partition].put_back(batches);
        self.activate(topic, partition);
    }

    /// Fails the records that the broker names, or else halves the batch; the rest stays in its order.
    fn split(
        &mut self,
        topic: usize,
        partition: usize,
        mut batch: Batch,
        error: &KafkaError,
        refused: &[(i32, Option<String>)],
    ) {
        let state = &mut self.topics[topic];
        let is_too_large = matches!(
            error.code,
            code::MESSAGE_TOO_LARGE | code::RECORD_LIST_TOO_LARGE
        );
        if is_too_large && !batch.is_split {
            state.partitions[partition].limit_batches(batch.size());
        }
        state.partitions[partition].sequences.require_renumbering();
        let mut records = batch.decode(&state.name, partition as i32, error);
        self.memory -= batch.memory;
        let mut parts = Vec::new();
        let mut failed = None;
        if refused.is_empty() {
            let middle = middle(&records);
            let (first, second) = records.split_at(middle);
            parts.push(batch.part(batch.first, first));
            parts.push(batch.part(batch.first + middle as u64, second));
        } else {
            let mut kept = Vec::new();
            for (number, record) in records.drain(..).enumerate() {
                let entry = refused.iter().find(|(index, _)| *index == number as i32);
                match entry {
                    None => kept.push(record),
                    Some(entry) => {
                        let error = record_error(error, Some(entry));
                        failed = Some(error.clone());
                        self.report.failed_alone(Undelivered { error, ..record });
                    }
                }
            }
            if !kept.is_empty() {
                parts.push(batch.part(batch.first, &kept));
            }
        }
        self.memory += parts.iter().map(|part| part.memory).sum::<usize>();
        self.put_back(topic, partition, parts);
        if let Some(error) = failed {
            self.end_after_failure(&error);
        }
    }
}

/// The error of one record, with what the broker says of it.
fn record_error(error: &KafkaError, record: Option<&(i32, Option<String>)>) -> KafkaError {
    match record {
        Some((_, Some(reason))) => {
            let text = KafkaError::of(error.code);
            KafkaError::new(error.code, format!("{text}: {reason}"))
        }
        _ => error.clone(),
    }
}

/// How many records make up half of the bytes, at least one and not all.
fn middle(records: &[Undelivered]) -> usize {
    let half = records.iter().map(Undelivered::size).sum::<usize>() / 2;
    let mut bytes = 0;
    let is_before_half = |record: &&Undelivered| {
        bytes += record.size();
        bytes <= half
    };
    let count = records.iter().take_while(is_before_half).count();
    count.clamp(1, records.len() - 1)
}
