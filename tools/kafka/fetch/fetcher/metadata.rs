//! When to refresh the metadata, and what they change.

use std::time::{Duration, Instant};

use super::super::settings::ResetPolicy;
use super::partition::{Partition, Position};
use super::{Fetcher, is_retriable};
use crate::kafka::admin::{Metadata, Topic};
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::{KafkaError, code};

/// A topic unknown for this long is deleted; a broker that restarts does not know it for a moment.
const TOPIC_GONE_AFTER: Duration = Duration::from_secs(5);
/// A response this late makes the fetcher look for another leader.
const LATE_AFTER: Duration = Duration::from_secs(3);

const RECREATED: &str = "the topic was deleted and made again while it was read";

#[derive(Debug, Default)]
pub(super) struct MetadataRefresh {
    pub(super) is_needed: bool,
    pub(super) is_in_flight: bool,
    pub(super) not_before: Option<Instant>,
    pub(super) periodic_at: Option<Instant>,
    pub(super) requested_at: Option<Instant>,
    pub(super) failures: u32,
}

impl Fetcher {
    pub(crate) fn wants_metadata(&mut self, now: Instant) -> bool {
        let late = self.settings.max_wait + LATE_AFTER;
        let is_longer_than =
            |limit, since: Option<Instant>| since.is_some_and(|since| now >= since + limit);
        let is_late = self
            .refresh
            .requested_at
            .is_none_or(|at| now >= at + LATE_AFTER)
            && self
                .brokers
                .values()
                .any(|broker| is_longer_than(late, broker.request.map(|(_, since)| since)));
        let has_no_leader = || {
            let lacks = |p: &Partition| !p.is_finished && p.leader.is_none();
            self.partitions.iter().any(lacks)
        };
        let refresh = &self.refresh;
        let is_needed = refresh.is_needed
            || is_late
            || refresh.periodic_at.is_some_and(|at| now >= at)
            || has_no_leader();
        is_needed
            && !refresh.is_in_flight
            && refresh.not_before.is_none_or(|at| now >= at)
            && self.partitions.iter().any(|p| !p.is_released)
    }

    pub(crate) fn metadata_requested(&mut self, now: Instant) {
        self.refresh.requested_at = Some(now);
        self.refresh.is_in_flight = true;
        self.refresh.is_needed = false;
    }

    pub(crate) fn metadata_failed(&mut self, now: Instant) {
        self.refresh.is_in_flight = false;
        self.refresh.is_needed = true;
        self.refresh.failures += 1;
        let backoff = self.settings.backoff_after(self.refresh.failures);
        self.refresh.not_before = Some(now + backoff);
    }

    pub(crate) fn update_metadata(&mut self, metadata: &Metadata, now: Instant) {
        self.refresh.is_in_flight = false;
        self.refresh.periodic_at = self
            .settings
            .refresh_interval
            .map(|interval| now + interval);
        for index in 0..self.topics.len() {
            if let Some(row) = metadata.topic(&self.topics[index].name) {
                self.update_topic(index, row, now);
            }
        }
        for partition in &mut self.partitions {
            let is_up = |id: i32| metadata.brokers.iter().any(|broker| broker.id == id);
            if partition.replica.is_some_and(|(id, _)| !is_up(id)) {
                partition.replica = None;
                partition.in_flight = None;
            }
        }
        let refresh = &mut self.refresh;
        refresh.failures = if refresh.is_needed {
            refresh.failures + 1
        } else {
            0
        };
        refresh.not_before = Some(now + self.settings.backoff_after(refresh.failures));
    }

    fn update_topic(&mut self, index: usize, row: &Topic, now: Instant) {
        let topic = &mut self.topics[index];
        if let Some(error) = &row.error {
            match error.code {
                code::UNKNOWN_TOPIC_OR_PARTITION => {
                    let since = *topic.missing_since.get_or_insert(now);
                    self.refresh.is_needed = true;
                    if now.saturating_duration_since(since) >= TOPIC_GONE_AFTER {
                        self.fail_topic(index, "the topic was deleted while it was read");
                    }
                }
                code if is_retriable(code) => self.refresh.is_needed = true,
                _ => self.fail_topic(index, &error.to_string()),
            }
            return;
        }
        topic.missing_since = None;
        if topic.id != row.id && !topic.id.is_nil() && !row.id.is_nil() {
            self.fail_topic(index, RECREATED);
            return;
        }
        topic.id = row.id;
        let has_id = !row.id.is_nil();
        for row in &row.partitions {
            match self.partition_indexes.get(&(index, row.id)) {
                Some(&partition) => {
                    let partition = &mut self.partitions[partition];
                    if !partition.is_released {
                        self.refresh.is_needed |= partition.update_leader(row, now);
                    }
                }
                // All records of a new partition are new.
                None if self.follows_new_partitions => {
                    self.add_at(
                        index,
                        row.id,
                        Position::AwaitingReset(ResetPolicy::Earliest, None),
                        None,
                    );
                    if let Some(partition) = self.partitions.last_mut() {
                        partition.update_leader(row, now);
                    }
                }
                None => {}
            }
        }
        if !has_id && self.is_recreated(index, now) {
            self.fail_topic(index, RECREATED);
        }
    }

    /// Without topic ids, a recreated topic shows by its epochs, which start again.
    fn is_recreated(&self, topic: usize, now: Instant) -> bool {
        let read = |p: &&Partition| p.topic == topic && !p.is_released;
        let mut partitions = self.partitions.iter().filter(read);
        partitions.any(|partition| {
            let since = partition.stale_epoch_since;
            since.is_some_and(|since| now.saturating_duration_since(since) >= TOPIC_GONE_AFTER)
        })
    }

    fn fail_topic(&mut self, index: usize, reason: &str) {
        let mut had_any = false;
        for partition in self.partitions.iter_mut().filter(|p| p.topic == index) {
            had_any |= !std::mem::replace(&mut partition.is_finished, true);
        }
        if had_any {
            let name = self.topics[index].name.clone();
            let error = KafkaError::new(code::UNKNOWN_TOPIC_OR_PARTITION, reason);
            self.errors.push(ConsumeError::Topic(name, error));
        }
    }
}
