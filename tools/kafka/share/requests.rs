//! The requests of a share group's member on their way to the brokers.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::member::{self, MemberRequest};
use super::request::{SessionHead, ShareAcknowledgeRequest, ShareFetchRequest};
use super::session::SessionRequest;
use crate::kafka::Client;
use crate::kafka::admin::groups::{CoordinatorType, find_coordinator};
use crate::kafka::admin::metadata;
use crate::kafka::error::KafkaError;
use crate::kafka::wire::{CorrelationId, RawResponse, Target, Wire};

/// The time limit for a response, besides what the request may wait at the broker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a fetch, as `fetch.max.bytes` of Java's client.
pub(super) const MAX_BYTES: i32 = 50 * 1024 * 1024;

/// A request that has no response yet; sessions by their brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PendingRequest {
    FindCoordinator,
    Heartbeat,
    Metadata,
    Fetch(i32),
    Acknowledge(i32),
}

/// Limits of a fetch that are the same for all partitions.
#[derive(Clone, Copy, Debug)]
pub(super) struct FetchRules {
    pub(super) is_exact: bool,
    pub(super) max_wait: Duration,
}

pub(super) struct Requests<'c> {
    wire: Wire<'c>,
    group: String,
    member_id: String,
    in_flight: HashMap<CorrelationId, PendingRequest>,
}

impl<'c> Requests<'c> {
    pub(super) fn new(client: &'c Client, group: String) -> Requests<'c> {
        Requests {
            wire: Wire::new(client),
            group,
            member_id: member::new_id(),
            in_flight: HashMap::new(),
        }
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    pub(super) fn wire(&mut self) -> &mut Wire<'c> {
        &mut self.wire
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Waits only for the requests that `is_wanted` selects.
    pub(super) fn forget_others(&mut self, is_wanted: impl Fn(PendingRequest) -> bool) {
        self.in_flight.retain(|_, pending| is_wanted(*pending));
    }

    /// The next response; waits for it until `until`.
    pub(super) fn next(
        &mut self,
        until: Instant,
    ) -> Option<(PendingRequest, Result<RawResponse, KafkaError>)> {
        loop {
            let result = self.wire.next(until)?;
            if let Some(pending) = self.in_flight.remove(&result.id) {
                return Some((pending, result.result));
            }
        }
    }

    pub(super) fn send_session(
        &mut self,
        broker: i32,
        request: SessionRequest,
        rules: FetchRules,
        now: Instant,
    ) {
        let deadline = now + rules.max_wait + REQUEST_TIMEOUT;
        let target = Target::Broker(broker);
        let head = SessionHead {
            group: self.group.clone(),
            member: self.member_id.clone(),
            epoch: request.epoch,
        };
        let (id, pending) = if request.records == 0 {
            let build = move |version| ShareAcknowledgeRequest {
                version,
                head,
                acks: request.partitions,
            };
            let id = self.wire.send(target, deadline, build);
            (id, PendingRequest::Acknowledge(broker))
        } else {
            let build = move |version| ShareFetchRequest {
                version,
                head,
                max_wait_ms: rules.max_wait.as_millis() as i32,
                max_bytes: MAX_BYTES,
                max_records: i32::try_from(request.records).unwrap_or(i32::MAX),
                is_record_limit: rules.is_exact,
                partitions: request.partitions,
                forgotten: request.forgotten,
            };
            let id = self.wire.send(target, deadline, build);
            (id, PendingRequest::Fetch(broker))
        };
        self.in_flight.insert(id, pending);
    }

    pub(super) fn send_membership(&mut self, request: MemberRequest, now: Instant) {
        let deadline = now + REQUEST_TIMEOUT;
        let (id, pending) = match request {
            MemberRequest::FindCoordinator => {
                let name = self.group.clone();
                let build = move |version| find_coordinator(CoordinatorType::Group, &name, version);
                let id = self.wire.send(Target::Any, deadline, build);
                (id, PendingRequest::FindCoordinator)
            }
            MemberRequest::Heartbeat {
                coordinator,
                epoch,
                topics,
            } => {
                let request = member::heartbeat(&self.group, &self.member_id, epoch, topics);
                let versions = 1..=i16::MAX;
                let target = Target::Broker(coordinator);
                let build = move |_| request;
                let id = self.wire.send_within(target, deadline, versions, build);
                (id, PendingRequest::Heartbeat)
            }
        };
        self.in_flight.insert(id, pending);
    }

    /// Of these topics, or of all.
    pub(super) fn send_metadata(&mut self, names: Option<Vec<String>>, now: Instant) {
        let build = move |_| metadata::metadata_request(names.as_deref(), false);
        let deadline = now + REQUEST_TIMEOUT;
        let versions = metadata::OLDEST..=i16::MAX;
        let target = Target::Any;
        let id = self.wire.send_within(target, deadline, versions, build);
        self.in_flight.insert(id, PendingRequest::Metadata);
    }
}
