//! When to refresh the metadata, and what they change.

use std::time::Instant;

use super::failures::unknown_partition;
use super::{Accumulator, Undelivered};
use crate::kafka::admin::{Metadata, Topic};
use crate::kafka::error::{KafkaError, code, is_connection_failure, is_leader_change};
use crate::kafka::produce::accumulator::partition::Partition;

#[derive(Debug, Default)]
pub(super) struct MetadataRefresh {
    pub(super) is_needed: bool,
    is_in_flight: bool,
    pub(super) not_before: Option<Instant>,
    periodic_at: Option<Instant>,
    failures: u32,
    /// Whether a topic was added since the last request.
    pub(super) has_new_topic: bool,
}

impl Accumulator {
    pub(in crate::kafka::produce) fn wants_metadata(&self, now: Instant) -> bool {
        let refresh = &self.refresh;
        let is_due = refresh.periodic_at.is_some_and(|at| now >= at);
        (refresh.is_needed || is_due)
            && !refresh.is_in_flight
            && refresh.not_before.is_none_or(|at| now >= at)
    }

    pub(in crate::kafka::produce) fn metadata_requested(&mut self) {
        self.refresh.is_in_flight = true;
        self.refresh.is_needed = false;
        self.refresh.has_new_topic = false;
        self.refresh.periodic_at = None;
    }

    pub(in crate::kafka::produce) fn metadata_failed(&mut self, now: Instant) {
        self.refresh.is_in_flight = false;
        self.refresh.is_needed = true;
        self.refresh.failures += 1;
        let backoff = self.settings.backoff_after(self.refresh.failures);
        self.refresh.not_before = Some(now + backoff);
    }

    /// The response to a request of this accumulator.
    pub(in crate::kafka::produce) fn metadata_received(
        &mut self,
        metadata: &Metadata,
        now: Instant,
    ) {
        self.refresh.is_in_flight = false;
        self.update_metadata(metadata, now);
        let refresh = &mut self.refresh;
        refresh.periodic_at = self.settings.refresh_interval.map(|every| now + every);
        refresh.failures = if refresh.is_needed {
            refresh.failures + 1
        } else {
            0
        };
        // Leaders need a moment to be elected.
        let backoff = self.settings.backoff_after(refresh.failures);
        refresh.not_before = Some(now + backoff).filter(|_| !refresh.has_new_topic);
    }

    pub(in crate::kafka::produce) fn update_metadata(&mut self, metadata: &Metadata, now: Instant) {
        for index in 0..self.topics.len() {
            if let Some(row) = metadata.topic(&self.topics[index].name) {
                self.update_topic(index, row, now);
            }
        }
    }

    fn update_topic(&mut self, index: usize, row: &Topic, now: Instant) {
        if let Some(error) = &row.error {
            self.handle_topic_error(index, error, now);
            return;
        }
        if row.partitions.is_empty() {
            self.refresh.is_needed = true;
            return;
        }
        let topic = &mut self.topics[index];
        topic.missing_since = None;
        let count = row.partitions.len();
        for number in topic.partitions.len()..count {
            debug_assert_eq!(topic.partitions.len(), number);
            topic.partitions.push(Partition::new(&self.settings));
        }
        topic.partitioner.set_count(count as u32);
        for row in &row.partitions {
            let Some(partition) = topic.partitions.get_mut(row.id as usize) else {
                continue;
            };
            let is_stale = row.leader_epoch < partition.leader_epoch;
            if is_stale && row.leader_epoch.is_some() && row.leader == partition.leader {
                continue;
            }
            if row.leader != partition.leader {
                partition.sequences.require_first_ack_alone();
                partition.leader = row.leader;
                // Another leader need not be waited for.
                partition.paused_until = None;
            }
            partition.leader_epoch = row.leader_epoch;
            self.refresh.is_needed |= partition.leader.is_none() && partition.has_records();
        }
        for partition in count..self.topics[index].partitions.len() {
            let error = unknown_partition(partition as i32, count as u32);
            self.fail_partition(index, partition, &error);
        }
        self.send_waiting(index);
    }

    /// Adds the records that waited for the first metadata to their batches.
    fn send_waiting(&mut self, index: usize) {
        let mut failed = None;
        for (created, record) in std::mem::take(&mut self.topics[index].waiting) {
            let count = self.topics[index].partitioner.count();
            self.memory -= record.size();
            let headers = record.headers();
            let whole = record.record(&headers);
            let size = crate::kafka::batch::record_size_limit(whole.key, whole.value, &headers);
            let partition = match record.partition {
                Some(partition) if (0..count as i32).contains(&partition) => partition as usize,
                Some(partition) => {
                    let error = unknown_partition(partition, count);
                    drop(headers);
                    failed = Some(error.clone());
                    self.report.failed_alone(Undelivered { error, ..record });
                    continue;
                }
                None => self.choose_partition(index, whole.key, size, created),
            };
            let timestamp_ms = record.timestamp_ms.unwrap_or_default();
            let at = (index, partition);
            self.append_to(at, &whole, timestamp_ms, record.opaque, size, created);
        }
        if let Some(error) = failed {
            self.end_after_failure(&error);
        }
    }

    fn handle_topic_error(&mut self, index: usize, error: &KafkaError, now: Instant) {
        let has_records = |partition: &Partition| partition.has_records();
        let topic = &mut self.topics[index];
        let is_awaited = !topic.waiting.is_empty() || topic.partitions.iter().any(has_records);
        match error.code {
            code::UNKNOWN_TOPIC_OR_PARTITION => {
                let since = *topic.missing_since.get_or_insert(now);
                self.refresh.is_needed |= is_awaited;
                if now.saturating_duration_since(since) >= self.settings.topic_timeout {
                    self.fail_topic(index, error);
                }
            }
            code if is_leader_change(code) || is_connection_failure(code) => {
                self.refresh.is_needed |= is_awaited;
            }
            _ => self.fail_topic(index, error),
        }
    }
}
