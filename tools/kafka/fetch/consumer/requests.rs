//! The requests of a fetch consumer on their way, and what their results do.

use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{ListOffsetsRequest, MetadataRequest};

use super::{CurrentResponse, FetchConsumer};
use crate::kafka::admin::metadata::{Metadata, OLDEST, metadata_request};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::fetch::fetcher::{FetchPlan, FetcherRequest, ResetPlan};
use crate::kafka::fetch::offset_lookup::OffsetLookup;
use crate::kafka::fetch::request;
use crate::kafka::fetch::response::FetchResponse;
use crate::kafka::wire::{RawResponse, RequestLimits, RequestResult, Target};

/// How long to wait for metadata before another broker is asked.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait for a connection to a leader before the metadata are refreshed.
const LEADER_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for a connection to a replica, and for its response, before the leader is asked.
const REPLICA_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REPLICA_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) enum PendingRequest {
    Fetch {
        broker: i32,
        request: u64,
    },
    Metadata,
    /// One of the requests of an [`OffsetLookup`].
    Offsets {
        lookup: u64,
        number: usize,
    },
}

impl FetchConsumer<'_> {
    pub(super) fn handle_result(&mut self, RequestResult { id, result }: RequestResult) {
        let now = Instant::now();
        let Some(pending) = self.in_flight.remove(&id) else {
            return;
        };
        match (pending, result) {
            (PendingRequest::Fetch { broker, request }, Ok(response)) => {
                self.handle_fetch(broker, request, response, now);
            }
            (PendingRequest::Fetch { broker, request }, Err(error)) => {
                self.fetcher.handle_failure(broker, request, &error, now);
            }
            (PendingRequest::Offsets { lookup, number }, result) => {
                self.handle_offsets(lookup, number, result, now);
            }
            (PendingRequest::Metadata, result) => {
                match result.and_then(RawResponse::decode::<MetadataRequest>) {
                    Ok(response) => self
                        .fetcher
                        .update_metadata(&Metadata::from_response(response), now),
                    Err(_) => self.fetcher.metadata_failed(now),
                }
            }
        }
    }

    fn handle_fetch(&mut self, broker: i32, request: u64, response: RawResponse, now: Instant) {
        let body = response.body();
        let fetches = match FetchResponse::parse(body, response.version()) {
            Ok(mut parsed) => self
                .fetcher
                .handle_response(broker, request, body, &mut parsed, now),
            Err(error) => {
                let reason = format!("broker {broker}: {error}");
                let error = KafkaError::new(code::BAD_MESSAGE, reason);
                self.fetcher.handle_failure(broker, request, &error, now);
                return;
            }
        };
        if !fetches.is_empty() {
            self.current = Some(CurrentResponse {
                response,
                fetches: fetches.into(),
            });
        }
    }

    pub(super) fn send(&mut self) {
        let now = Instant::now();
        for request in self.fetcher.requests(now) {
            match request {
                FetcherRequest::Fetch(plan) => self.send_fetch(&plan, now),
                FetcherRequest::LogOffsets(plan) => self.send_offset_lookup(plan, now),
                FetcherRequest::Metadata(topics) => {
                    let build = move |_| metadata_request(Some(&topics), false);
                    let deadline = now + METADATA_TIMEOUT;
                    let versions = OLDEST..=i16::MAX;
                    let id = self
                        .wire
                        .send_within(Target::Any, deadline, versions, build);
                    self.in_flight.insert(id, PendingRequest::Metadata);
                }
            }
        }
    }

    fn send_fetch(&mut self, plan: &FetchPlan, now: Instant) {
        let build = request::build(plan, &self.fetcher.topics, &self.settings);
        // A replica can be replaced by the leader.
        let (request_timeout, connect_timeout) = if plan.is_replica {
            (REPLICA_REQUEST_TIMEOUT, REPLICA_CONNECT_TIMEOUT)
        } else {
            (self.settings.request_timeout, LEADER_CONNECT_TIMEOUT)
        };
        let limits = RequestLimits {
            deadline: now + self.settings.max_wait + request_timeout,
            connect_by: now + connect_timeout,
            versions: request::versions(plan, &self.fetcher.topics),
        };
        let target = Target::Broker(plan.broker);
        let id = self.wire.send_limited(target, limits, build);
        let pending = PendingRequest::Fetch {
            broker: plan.broker,
            request: plan.request,
        };
        self.in_flight.insert(id, pending);
    }

    fn send_offset_lookup(&mut self, plan: ResetPlan, now: Instant) {
        let (target, lookup) = (Target::Broker(plan.broker), plan.request);
        let topic_partition = |index: usize| {
            let (topic, partition) = self.fetcher.topic_partition(index);
            (topic.to_owned(), partition)
        };
        let offset_lookup = OffsetLookup::new(plan, topic_partition);
        let requests = offset_lookup.requests(self.settings.isolation);
        for (number, request) in requests.into_iter().enumerate() {
            let limits = RequestLimits {
                deadline: now + self.settings.request_timeout,
                connect_by: now + LEADER_CONNECT_TIMEOUT,
                versions: 1..=i16::MAX,
            };
            let id = self.wire.send_limited(target, limits, move |_| request);
            let pending = PendingRequest::Offsets { lookup, number };
            self.in_flight.insert(id, pending);
        }
        self.lookups.insert(lookup, offset_lookup);
    }

    fn handle_offsets(
        &mut self,
        lookup: u64,
        number: usize,
        result: Result<RawResponse, KafkaError>,
        now: Instant,
    ) {
        let response = result.and_then(RawResponse::decode::<ListOffsetsRequest>);
        let Entry::Occupied(mut offset_lookup) = self.lookups.entry(lookup) else {
            return;
        };
        if offset_lookup.get_mut().handle_response(number, response) {
            let (plan, logs) = offset_lookup.remove().finish();
            self.fetcher.handle_log_offsets(&plan, logs, now);
        }
    }
}
