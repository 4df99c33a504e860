//! The state of a fetch consumer: positions, what to request next, and how a response changes them. Pure: the caller passes the time.
//!
//! Each partition is in at most one request, so that its records arrive in
//! order; each broker has one request in flight, so that memory is bounded. The
//! position advances as soon as a response's batches are counted, before their
//! records are delivered: the next request is in flight meanwhile.

mod assignment;
mod batches;
mod broker;
mod metadata;
mod partition;
mod reset;
mod stalled;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::response::{FetchResponse, PartitionResponse, TopicRef};
use super::settings::FetchSettings;
use crate::kafka::admin::Isolation;
use crate::kafka::batch::AbortedTransactions;
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::{KafkaError, code, is_connection_failure, is_leader_change};
pub use assignment::StartPosition;
#[cfg(test)]
pub(super) use batches::BatchRange;
use batches::Checks;
pub(super) use batches::{CompletedFetch, DamagedBatch};
use broker::Broker;
use metadata::MetadataRefresh;
pub(super) use partition::PartitionPlan;
use partition::{Partition, Position};
pub(super) use reset::{LogOffsets, ResetPlan};

/// The most bytes of the responses of all leaders together, unless the user set `fetch.max.bytes`.
const TOTAL_BYTES: i32 = 8 * 1024 * 1024;
/// The least that one leader is asked for.
const MIN_BROKER_BYTES: i32 = 1024 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    /// Nil if the brokers have no topic ids.
    pub(super) id: uuid::Uuid,
    missing_since: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FetchPlan {
    pub(super) broker: i32,
    pub(super) request: u64,
    pub(super) max_bytes: i32,
    /// Whether the leader must not recommend a replica, because it failed.
    pub(super) wants_leader: bool,
    /// Whether the broker is the replica, not the leader, of a partition.
    pub(super) is_replica: bool,
    pub(super) partitions: Vec<PartitionPlan>,
}

pub(super) enum FetcherRequest {
    Fetch(FetchPlan),
    /// The log offsets of partitions whose position is to be reset.
    LogOffsets(ResetPlan),
    /// The leaders of these topics.
    Metadata(Vec<String>),
}

pub(super) struct Fetcher {
    settings: FetchSettings,
    pub(super) topics: Vec<Topic>,
    pub(super) partitions: Vec<Partition>,
    /// By topic index and partition number.
    partition_indexes: HashMap<(usize, i32), usize>,
    brokers: HashMap<i32, Broker>,
    /// The order of partitions in a request: those that had data last come last.
    order: Vec<usize>,
    next_request: u64,
    follows_new_partitions: bool,
    /// Whether to request one partition at a time, because a response was too large.
    is_single_partition: bool,
    refresh: MetadataRefresh,
    errors: Vec<ConsumeError>,
    /// Partitions that are at their bound without a response, each with its position: to be reported, then finished.
    at_bound: Vec<(usize, i64)>,
}

impl Fetcher {
    pub(super) fn new(
        settings: FetchSettings,
        follows_new_partitions: bool,
        now: Instant,
    ) -> Fetcher {
        let periodic_at = settings.refresh_interval.map(|interval| now + interval);
        Fetcher {
            settings,
            topics: Vec::new(),
            partitions: Vec::new(),
            partition_indexes: HashMap::new(),
            brokers: HashMap::new(),
            order: Vec::new(),
            next_request: 0,
            follows_new_partitions,
            is_single_partition: false,
            refresh: MetadataRefresh {
                periodic_at,
                ..MetadataRefresh::default()
            },
            errors: Vec::new(),
            at_bound: Vec::new(),
        }
    }

    pub(super) fn add_topic(&mut self, name: &str) -> usize {
        self.topics.push(Topic {
            name: name.to_owned(),
            id: uuid::Uuid::nil(),
            missing_since: None,
        });
        self.topics.len() - 1
    }

    /// Adds a partition; without a start it is reset.
    pub(super) fn add(
        &mut self,
        topic: usize,
        id: i32,
        start: Option<i64>,
        end: Option<i64>,
    ) -> usize {
        let position = match start {
            Some(offset) => Position::At { offset, epoch: -1 },
            None => Position::AwaitingReset(self.settings.start, None),
        };
        self.add_at(topic, id, position, end)
    }

    /// Adds a partition whose start may be out of range.
    pub(super) fn add_out_of_range(&mut self, topic: usize, id: i32, start: i64, end: Option<i64>) {
        let position = Position::AwaitingReset(self.settings.reset, Some(start));
        self.add_at(topic, id, position, end);
    }

    fn add_at(&mut self, topic: usize, id: i32, position: Position, end: Option<i64>) -> usize {
        let index = self.partitions.len();
        self.partition_indexes.insert((topic, id), index);
        self.order.push(index);
        let max_bytes = self.settings.partition_max_bytes;
        self.partitions
            .push(Partition::new(topic, id, position, end, max_bytes));
        index
    }

    pub(super) fn topic_partition(&self, partition: usize) -> (&str, i32) {
        let partition = &self.partitions[partition];
        (&self.topics[partition.topic].name, partition.id)
    }

    /// Stops reading a partition.
    pub(super) fn finish(&mut self, partition: usize) {
        self.partitions[partition].is_finished = true;
    }

    pub(super) fn is_finished(&self, partition: usize) -> bool {
        self.partitions[partition].is_finished
    }

    /// Whether nothing is left to read or to report.
    pub(super) fn is_done(&self) -> bool {
        self.errors.is_empty() && self.partitions.iter().all(|p| p.is_finished)
    }

    /// Whether every partition was read to its end at least once.
    pub(super) fn was_at_ends(&self) -> bool {
        let mut partitions = self.partitions.iter();
        partitions.all(|p| p.is_finished || p.eof_reported_at.is_some())
    }

    /// The next partition that is at its bound without a response, with its position.
    pub(super) fn next_at_bound(&mut self) -> Option<(usize, i64)> {
        self.at_bound.pop()
    }

    pub(super) fn has_reports(&self) -> bool {
        !self.at_bound.is_empty()
    }

    pub(super) fn next_error(&mut self) -> Option<ConsumeError> {
        (!self.errors.is_empty()).then(|| self.errors.remove(0))
    }

    pub(super) fn requests(&mut self, now: Instant) -> Vec<FetcherRequest> {
        let fetches = self.plan_fetches(now).into_iter();
        let mut requests: Vec<FetcherRequest> = fetches.map(FetcherRequest::Fetch).collect();
        let resets = self.plan_resets(now).into_iter();
        requests.extend(resets.map(FetcherRequest::LogOffsets));
        if self.wants_metadata(now) {
            self.metadata_requested(now);
            requests.push(FetcherRequest::Metadata(self.topic_names()));
        }
        requests
    }

    /// The Fetch requests to send now, at most one for each broker.
    pub(super) fn plan_fetches(&mut self, now: Instant) -> Vec<FetchPlan> {
        let mut planned: Vec<(i32, Vec<PartitionPlan>)> = Vec::new();
        for &index in &self.order {
            let Some((broker, partition)) = self.partitions[index].plan(index, now) else {
                continue;
            };
            if !self.brokers.entry(broker).or_default().is_ready(now) {
                continue;
            }
            match planned.iter_mut().find(|(id, _)| *id == broker) {
                // A single partition shows whose response is too large.
                Some(_) if self.is_single_partition => {}
                Some((_, partitions)) => partitions.push(partition),
                None => planned.push((broker, vec![partition])),
            }
        }
        let max_bytes = self.max_bytes();
        let plans = planned.into_iter().map(|(broker, partitions)| {
            let request = self.next_request;
            self.next_request += 1;
            for plan in &partitions {
                self.partitions[plan.partition].in_flight = Some(request);
            }
            self.brokers.entry(broker).or_default().request = Some((request, now));
            let states = || partitions.iter().map(|p| &self.partitions[p.partition]);
            FetchPlan {
                broker,
                request,
                max_bytes: if self.is_single_partition {
                    partitions[0].max_bytes
                } else {
                    max_bytes
                },
                wants_leader: states().any(|p| p.avoided_replica.is_some()),
                is_replica: states().any(|p| p.replica.is_some()),
                partitions,
            }
        });
        plans.collect()
    }

    /// The leaders share the memory for responses.
    fn max_bytes(&self) -> i32 {
        let share = || {
            let brokers = i32::try_from(self.brokers.len().max(1)).unwrap_or(i32::MAX);
            (TOTAL_BYTES / brokers).max(MIN_BROKER_BYTES)
        };
        self.settings.max_bytes.unwrap_or_else(share)
    }

    /// Updates the positions from a response; returns what is to be delivered, in order.
    pub(super) fn handle_response(
        &mut self,
        broker: i32,
        request: u64,
        body: &[u8],
        response: &mut FetchResponse<'_>,
        now: Instant,
    ) -> Vec<CompletedFetch> {
        // Errors of partitions are more specific.
        if response.error != 0 && response.partitions.is_empty() {
            let error = KafkaError::of(response.error.into());
            self.handle_failure(broker, request, &error, now);
            return Vec::new();
        }
        self.broker_responded(broker, request, response.throttle_ms, now);
        let mut completed = Vec::new();
        // The partitions of a topic follow each other.
        let mut topic = 0;
        for partition in &mut response.partitions {
            let is_named = |t: &Topic| match partition.topic {
                TopicRef::Name(name) => t.name == name,
                TopicRef::Id(id) => *t.id.as_bytes() == id,
            };
            if !self.topics.get(topic).is_some_and(is_named) {
                let Some(found) = self.topics.iter().position(is_named) else {
                    continue;
                };
                topic = found;
            }
            let Some(&index) = self.partition_indexes.get(&(topic, partition.partition)) else {
                continue;
            };
            // Ignore a late response, if another broker is asked now.
            if self.partitions[index].in_flight != Some(request) {
                continue;
            }
            self.partitions[index].in_flight = None;
            completed.extend(self.handle_partition(index, broker, body, partition, now));
        }
        // Partitions missing in the response are requested again.
        self.release_partitions(request);
        self.rotate(&completed);
        completed
    }

    /// The partitions of a request, which is not in flight any more.
    fn release_partitions(&mut self, request: u64) -> Vec<usize> {
        let partitions = self.partitions.iter_mut().enumerate();
        let released = partitions.filter(|(_, p)| p.in_flight == Some(request));
        released
            .map(|(index, partition)| {
                partition.in_flight = None;
                index
            })
            .collect()
    }

    /// Moves partitions that had data to the end: a broker fills a response in the order of the request.
    fn rotate(&mut self, completed: &[CompletedFetch]) {
        if completed.is_empty() || self.order.len() == completed.len() {
            return;
        }
        let mut had_data = vec![false; self.partitions.len()];
        for fetch in completed {
            had_data[fetch.partition] = true;
        }
        self.order.sort_by_key(|&index| had_data[index]);
    }

    fn handle_partition(
        &mut self,
        index: usize,
        broker: i32,
        body: &[u8],
        response: &mut PartitionResponse<'_>,
        now: Instant,
    ) -> Option<CompletedFetch> {
        if response.error != 0 {
            self.handle_partition_error(index, broker, response.error.into(), now);
            return None;
        }
        self.resume(index);
        let partition = &mut self.partitions[index];
        partition.failures = 0;
        if partition.is_finished {
            return None;
        }
        let avoided = partition.avoided_replica.map(|(id, _)| id);
        let is_other = |replica: &i32| *replica != broker && Some(*replica) != avoided;
        if let Some(replica) = response.preferred_replica.filter(is_other) {
            partition.replica = Some((replica, now + self.settings.replica_lease));
        }
        if let Some((epoch, offset)) = response.diverging {
            self.truncate(index, epoch, offset);
            return None;
        }
        let from = partition.position.offset()?;
        let is_committed_only = self.settings.isolation == Isolation::ReadCommitted;
        let log_end = if is_committed_only && response.last_stable_offset >= 0 {
            response.last_stable_offset
        } else {
            response.high_watermark
        };
        let checks = Checks {
            crcs: self.settings.checks_crcs,
            most_bytes: self.settings.receive_max_bytes,
        };
        let records = response.records.clone();
        let mut ranges = partition.advance(body, records, response.high_watermark, checks);
        if partition.was_truncated && log_end >= 0 {
            // The bound may be beyond the end of the log.
            partition.end = partition.end.map(|end| end.min(log_end));
        }
        let first = ranges.pop_front()?;
        let next = ranges.back().map_or(first.next, |last| last.next);
        let is_eof = log_end >= 0 && next >= log_end && partition.eof_reported_at != Some(next);
        if is_eof {
            partition.eof_reported_at = Some(next);
        }
        let has_more = !first.bytes.is_empty() || first.damaged.is_some();
        let aborted = std::mem::take(&mut response.aborted);
        (is_eof || has_more).then(|| CompletedFetch {
            partition: index,
            from,
            batches: first,
            remaining: ranges,
            aborted: if is_committed_only {
                AbortedTransactions::new(aborted)
            } else {
                AbortedTransactions::default()
            },
            is_eof,
        })
    }

    fn handle_partition_error(&mut self, index: usize, broker: i32, error: i32, now: Instant) {
        let partition = &mut self.partitions[index];
        let was_replica = partition.leave_replica(broker);
        partition.failures += 1;
        let backoff = self.settings.backoff_after(partition.failures);
        match error {
            // A follower may lag, or have deleted more: ask the leader.
            code::OFFSET_OUT_OF_RANGE if was_replica => {}
            code::OFFSET_OUT_OF_RANGE => {
                if let Some(offset) = partition.position.offset() {
                    let reset = self.settings.reset;
                    partition.position = Position::AwaitingReset(reset, Some(offset));
                    // The broker may be wrong about it.
                    if partition.failures > 1 {
                        partition.paused_until = Some(now + backoff);
                    }
                }
            }
            error if is_retriable(error) => {
                partition.paused_until = Some(now + backoff);
                self.refresh.is_needed = true;
            }
            error => self.fail_partition(index, KafkaError::of(error)),
        }
    }

    /// Stops reading a partition and reports the error.
    fn fail_partition(&mut self, index: usize, error: KafkaError) {
        if std::mem::replace(&mut self.partitions[index].is_finished, true) {
            return;
        }
        let (topic, partition) = self.topic_partition(index);
        let topic = topic.to_owned();
        self.errors.push(ConsumeError::Partition {
            topic,
            partition,
            error,
        });
    }

    /// The next time at which there is something to do without a response.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let partitions = self.partitions.iter().filter(|p| !p.is_finished);
        let partitions = partitions.filter_map(|p| p.paused_until);
        let brokers = self.brokers.values().filter_map(|b| b.paused_until);
        let refresh = self.refresh.not_before.filter(|_| self.refresh.is_needed);
        let periodic = self.refresh.periodic_at;
        let all = partitions.chain(brokers).chain(refresh).chain(periodic);
        all.filter(|&at| at > now).min()
    }
}

impl FetchSettings {
    /// The pause after this many failures in a row.
    fn backoff_after(&self, failures: u32) -> Duration {
        let factor = 1u32 << failures.saturating_sub(1).min(10);
        self.backoff
            .saturating_mul(factor)
            .min(self.max_backoff.max(self.backoff))
    }
}

/// Whether an error passes by itself, or with another leader (Kafka's protocol, "Error codes", retriable).
fn is_retriable(code: i32) -> bool {
    is_leader_change(code)
        || is_connection_failure(code)
        || matches!(
            code,
            code::UNKNOWN_TOPIC_OR_PARTITION
                | code::UNKNOWN_SERVER_ERROR
                | code::THROTTLING_QUOTA_EXCEEDED
                | code::UNKNOWN_TOPIC_ID
                | code::INCONSISTENT_TOPIC_ID
        )
}
