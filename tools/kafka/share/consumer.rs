//! The driver of a share group's member: sends what the state machines want, and gives them the responses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka_protocol::messages::{
    FindCoordinatorRequest, MetadataRequest, ShareGroupHeartbeatRequest,
};

use super::member::{AssignmentChange, ShareMember};
use super::records::RecordParser;
use super::request::{AckRange, PartitionId, ShareAcknowledgeRequest, ShareFetchRequest};
use super::requests::{FetchRules, MAX_BYTES, PendingRequest, Requests};
use super::response::ShareResponse;
use super::session::ShareSession;
use super::topics::Topics;
use super::{
    Acknowledgement, AcquiredRecord, FetchLimit, RecordPosition, Refused, ShareMembership,
};
use crate::kafka::Client;
use crate::kafka::admin::groups::coordinator_of;
use crate::kafka::admin::metadata::Metadata;
use crate::kafka::consume::ConsumeError;
use crate::kafka::consume::topics::resolve;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::RawResponse;
use crate::units::format_duration_ms;

/// The longest wait of a fetch at the broker.
const MAX_WAIT: Duration = Duration::from_millis(500);
/// The same while something waits for the response: acknowledgements of commands, or a broker that is being connected.
const BUSY_WAIT: Duration = Duration::from_millis(50);
/// The same where other brokers are to be asked for the same few records.
const SHORT_WAIT: Duration = Duration::from_millis(10);
/// Brokers close a session with what they have locked for it; this long it may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// For requests that acknowledge only.
const NO_FETCH: FetchRules = FetchRules {
    is_exact: true,
    max_wait: Duration::ZERO,
};

/// A member of a share group.
pub struct ShareConsumer<'c> {
    requests: Requests<'c>,
    member: ShareMember,
    topics: Topics,
    give_up: Option<Duration>,
    sessions: BTreeMap<i32, ShareSession>,
    parser: RecordParser,
    refused: Vec<Refused>,
    lock_timeout: Option<Duration>,
    /// The version of `ShareFetch` that the brokers have spoken last.
    version: Option<i16>,
}

impl<'c> ShareConsumer<'c> {
    /// Finds the topics; the group is joined by the first [`ShareConsumer::poll`].
    ///
    /// `client` is a consumer, which sends requests only.
    pub fn new(
        client: &'c Client,
        membership: ShareMembership,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<ShareConsumer<'c>, ConsumeError> {
        let mut requests = Requests::new(client, membership.group);
        let (metadata, topics) = resolve(requests.wire(), &membership.topics, interrupted)?;
        let now = Instant::now();
        let limit_bytes = client.property("receive.message.max.bytes");
        let limit_bytes = limit_bytes.and_then(|bytes| bytes.parse().ok());
        let names = topics.into_iter().map(|topic| topic.name).collect();
        let mut consumer = ShareConsumer {
            requests,
            member: ShareMember::new(names, now),
            topics: Topics::new(membership.topics, now)?,
            give_up: membership.give_up,
            sessions: BTreeMap::new(),
            parser: RecordParser::new(
                limit_bytes.unwrap_or(MAX_BYTES as usize),
                membership.wants_headers,
            ),
            refused: Vec::new(),
            lock_timeout: None,
            version: None,
        };
        consumer.update_metadata(&metadata, now);
        Ok(consumer)
    }

    /// How long the broker locks records; none before the first fetch.
    pub fn lock_timeout(&self) -> Option<Duration> {
        self.lock_timeout
    }

    /// Whether locks can be renewed, and no more records are locked than were asked for (Kafka 4.2).
    pub fn is_exact(&self) -> bool {
        self.version.is_none_or(|version| version >= 2)
    }

    /// The partitions that the group has assigned to this member.
    pub fn assigned_count(&self) -> usize {
        self.member.assigned().len()
    }

    /// An assigned partition whose leader has not answered yet, or no longer does.
    pub fn unreached(&self) -> Option<String> {
        let is_open = |leader| {
            self.sessions
                .get(&leader)
                .is_some_and(ShareSession::is_open)
        };
        let mut assigned = self.member.assigned().iter();
        let (topic, partition) =
            assigned.find(|id| !self.topics.leader(**id).is_some_and(is_open))?;
        Some(format!("{} [{partition}]", self.topics.name(*topic)))
    }

    /// How long the group's coordinator has not answered, and why; none while it answers.
    pub fn outage(&self) -> Option<(Duration, KafkaError)> {
        let (time, error) = self.member.outage(Instant::now())?;
        Some((time, error.clone()))
    }

    /// The acknowledgements that were refused since the last call.
    pub fn take_refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }

    /// Acknowledges a record; the next [`ShareConsumer::poll`] sends it.
    pub fn acknowledge(&mut self, position: &RecordPosition, kind: Acknowledgement) {
        let range = AckRange {
            first: position.offset,
            last: position.offset,
            kind,
        };
        self.acknowledge_range(position.id, range);
    }

    fn acknowledge_range(&mut self, id: PartitionId, range: AckRange) {
        let leader = self.topics.leader(id).unwrap_or(-1);
        let session = self.sessions.entry(leader).or_default();
        session.acknowledge(id, range);
    }

    /// Sends what is due and waits at most `wait` for records, with which it calls `visit`.
    pub fn poll(
        &mut self,
        limit: FetchLimit,
        wait: Duration,
        visit: &mut dyn FnMut(AcquiredRecord<'_>),
    ) -> Result<(), ConsumeError> {
        let begun = Instant::now();
        self.check_give_up(begun)?;
        let until = begun + wait;
        loop {
            let now = Instant::now();
            self.send(limit, now);
            let wake = self.next_wake(now).map_or(until, |at| at.min(until));
            if let Some((pending, result)) = self.requests.next(wake) {
                if self.handle_result(pending, result, visit)? {
                    return Ok(());
                }
                continue;
            }
            if self.requests.is_empty() {
                std::thread::sleep(wake.saturating_duration_since(Instant::now()));
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    /// When something is due after `now`. What was due before and was not sent waits for a response, or for room.
    fn next_wake(&self, now: Instant) -> Option<Instant> {
        let retries = self.sessions.values().filter_map(ShareSession::retry_at);
        retries
            .chain([self.member.next_at(), self.topics.refresh_at()])
            .filter(|at| *at > now)
            .min()
    }

    fn check_give_up(&self, now: Instant) -> Result<(), ConsumeError> {
        let Some(limit) = self.give_up else {
            return Ok(());
        };
        match self.member.silence(now) {
            Some((time, error)) if time >= limit => {
                let time = format_duration_ms(time.as_millis() as i64);
                let reason =
                    format!("no contact with its coordinator for {time} (--give-up): {error}");
                let error = KafkaError::new(error.code, reason);
                Err(ConsumeError::Group(self.requests.group().to_owned(), error))
            }
            _ => Ok(()),
        }
    }

    /// Sends the requests that are due.
    fn send(&mut self, limit: FetchLimit, now: Instant) {
        if let Some(request) = self.member.next_request(now) {
            self.requests.send_membership(request, now);
        }
        if now >= self.topics.refresh_at() {
            self.topics.refresh_requested(now);
            let names = self.member.topics().to_vec();
            let names = (!self.topics.has_patterns()).then_some(names);
            self.requests.send_metadata(names, now);
        }
        let has_acks = self.sessions.values().any(ShareSession::has_pending_acks);
        let requested: usize = self
            .sessions
            .values()
            .map(ShareSession::requested_records)
            .sum();
        let mut free = limit.records.saturating_sub(requested);
        let (mut brokers, mut is_connecting) = (Vec::new(), false);
        for (&broker, session) in &self.sessions {
            if !session.can_fetch(now) {
                continue;
            }
            // A request that waits for a connection would keep its records from the other brokers.
            if self.requests.wire().is_connected(broker) {
                brokers.push((session.turn(now), broker));
            } else {
                self.topics.refresh_soon(now);
                is_connecting = true;
            }
        }
        brokers.sort_unstable();
        let max_wait = if brokers.len() > free {
            SHORT_WAIT
        } else if limit.is_busy || has_acks || is_connecting {
            BUSY_WAIT
        } else {
            MAX_WAIT
        };
        for (index, &(_, broker)) in brokers.iter().enumerate() {
            let records = free.div_ceil(brokers.len() - index);
            free -= records;
            let rules = FetchRules {
                is_exact: limit.is_exact,
                max_wait,
            };
            self.send_session(broker, records, rules, now);
        }
        let others: Vec<i32> = self.sessions.keys().copied().collect();
        for broker in others {
            self.send_session(broker, 0, NO_FETCH, now);
        }
    }

    fn send_session(&mut self, broker: i32, records: usize, rules: FetchRules, now: Instant) {
        let session = self.sessions.get_mut(&broker);
        if let Some(request) = session.and_then(|session| session.next_request(records, now)) {
            self.requests.send_session(broker, request, rules, now);
        }
    }

    /// Returns whether records were visited.
    fn handle_result(
        &mut self,
        pending: PendingRequest,
        result: Result<RawResponse, KafkaError>,
        visit: &mut dyn FnMut(AcquiredRecord<'_>),
    ) -> Result<bool, ConsumeError> {
        let now = Instant::now();
        match pending {
            PendingRequest::FindCoordinator => {
                let reply = result.and_then(RawResponse::decode::<FindCoordinatorRequest>);
                let coordinator = reply.and_then(|reply| coordinator_of(&reply));
                let handled = self.member.handle_coordinator(coordinator, now);
                handled.map_err(|error| self.group_error(error))?;
            }
            PendingRequest::Heartbeat => {
                let reply = result.and_then(RawResponse::decode::<ShareGroupHeartbeatRequest>);
                let handled = self.member.handle_heartbeat(reply, now);
                match handled.map_err(|error| self.group_error(error))? {
                    AssignmentChange::Assigned => self.assign(now),
                    AssignmentChange::Unchanged => {}
                }
            }
            PendingRequest::Metadata => {
                match result.and_then(RawResponse::decode::<MetadataRequest>) {
                    Ok(reply) => self.update_metadata(&Metadata::from_response(reply), now),
                    Err(_) => self.topics.refresh_soon(now),
                }
            }
            PendingRequest::Fetch(broker) => {
                if let Ok(response) = &result {
                    self.version = Some(response.version());
                }
                let reply = result.and_then(RawResponse::decode::<ShareFetchRequest>);
                return self.handle_session(broker, reply, visit, now);
            }
            PendingRequest::Acknowledge(broker) => {
                let reply = result.and_then(RawResponse::decode::<ShareAcknowledgeRequest>);
                let reply = reply.map(|reply| reply.0);
                return self.handle_session(broker, reply, visit, now);
            }
        }
        Ok(false)
    }

    fn group_error(&self, error: KafkaError) -> ConsumeError {
        let error = match error.code {
            code::UNSUPPORTED_FEATURE | code::UNSUPPORTED_VERSION => KafkaError::new(
                error.code,
                "the brokers have no share groups; they come with Kafka 4.2 \
                 (and on 4.1 where share.version=1 is enabled)",
            ),
            _ => error,
        };
        ConsumeError::Group(self.requests.group().to_owned(), error)
    }

    fn handle_session(
        &mut self,
        broker: i32,
        reply: Result<ShareResponse, KafkaError>,
        visit: &mut dyn FnMut(AcquiredRecord<'_>),
        now: Instant,
    ) -> Result<bool, ConsumeError> {
        let session = self.sessions.entry(broker).or_default();
        let outcome = session.handle_response(reply, now);
        match outcome.fatal {
            None => {}
            Some((None, error)) => return Err(self.group_error(error)),
            Some((Some((topic, partition)), error)) => {
                let topic = self.topics.name(topic).to_string();
                return Err(ConsumeError::Partition {
                    topic,
                    partition,
                    error,
                });
            }
        }
        for (id, range, error) in outcome.refused {
            self.refuse(id, range, error);
        }
        if outcome.wants_metadata {
            self.topics.refresh_soon(now);
        }
        if outcome.lock_timeout_ms > 0 {
            let timeout_ms = outcome.lock_timeout_ms.unsigned_abs().into();
            self.lock_timeout = Some(Duration::from_millis(timeout_ms));
        }
        let is_visited = !outcome.fetched.is_empty();
        for partition in outcome.fetched {
            let topic = self.topics.name(partition.id.0);
            let parsed = self.parser.parse(&partition, &topic, broker, visit);
            let acks = parsed.map_err(|unreadable| ConsumeError::Batch {
                topic: topic.to_string(),
                partition: partition.id.1,
                offset: unreadable.offset,
                error: unreadable.error,
            })?;
            for range in acks {
                self.acknowledge_range(partition.id, range);
            }
        }
        Ok(is_visited)
    }

    fn refuse(&mut self, id: PartitionId, range: AckRange, error: KafkaError) {
        // A gap has no record that could come again.
        if range.kind == Acknowledgement::Gap {
            return;
        }
        self.refused.push(Refused {
            topic: self.topics.name(id.0),
            partition: id.1,
            first: range.first,
            last: range.last,
            kind: range.kind,
            error,
        });
    }

    fn update_metadata(&mut self, metadata: &Metadata, now: Instant) {
        let names = self.topics.update(metadata);
        if self.topics.has_patterns() {
            self.member.set_topics(names);
        }
        self.assign(now);
    }

    /// Gives each assigned partition to the session with its leader.
    fn assign(&mut self, now: Instant) {
        let mut by_leader: BTreeMap<i32, BTreeSet<PartitionId>> = BTreeMap::new();
        for &id in self.member.assigned() {
            match self.topics.leader(id) {
                Some(leader) => {
                    by_leader.entry(leader).or_default().insert(id);
                }
                None => self.topics.refresh_soon(now),
            }
        }
        for &leader in by_leader.keys() {
            self.sessions.entry(leader).or_default();
        }
        for (broker, session) in &mut self.sessions {
            session.set_partitions(by_leader.remove(broker).unwrap_or_default());
        }
        let sessions = self.sessions.values_mut();
        let stranded: Vec<_> = sessions.flat_map(ShareSession::take_stranded).collect();
        for (id, range) in stranded {
            self.refuse(id, range, KafkaError::of(code::NOT_LEADER));
        }
    }

    /// Sends the acknowledgements that are left, releases what is locked, and leaves the group.
    ///
    /// Returns the acknowledgements that were refused, or not answered in time.
    pub fn close(mut self) -> Vec<Refused> {
        let until = Instant::now() + CLOSE_TIMEOUT;
        let nothing = FetchLimit {
            records: 0,
            is_exact: true,
            is_busy: true,
        };
        while self.is_sending_acks() && Instant::now() < until {
            let wait = Duration::from_millis(20);
            if self.poll(nothing, wait, &mut |_| {}).is_err() {
                break;
            }
        }
        let now = Instant::now();
        let brokers: Vec<i32> = self.sessions.keys().copied().collect();
        for broker in brokers {
            let session = self.sessions.get_mut(&broker);
            if let Some(request) = session.and_then(ShareSession::close) {
                self.requests.send_session(broker, request, NO_FETCH, now);
            }
        }
        if let Some(request) = self.member.leave() {
            self.requests.send_membership(request, now);
        }
        self.requests.forget_others(|pending| {
            matches!(
                pending,
                PendingRequest::Acknowledge(_) | PendingRequest::Heartbeat
            )
        });
        while !self.requests.is_empty() {
            let Some((pending, result)) = self.requests.next(until) else {
                break;
            };
            if let PendingRequest::Acknowledge(_) = pending {
                // Nothing else is left to be done about an error.
                let _ = self.handle_result(pending, result, &mut |_| {});
            }
        }
        let unanswered = self
            .sessions
            .values_mut()
            .flat_map(ShareSession::take_unanswered);
        let unanswered: Vec<(PartitionId, AckRange)> = unanswered.collect();
        for (id, range) in unanswered {
            self.refuse(id, range, KafkaError::of(code::TIMED_OUT));
        }
        self.refused
    }

    fn is_sending_acks(&self) -> bool {
        let mut sessions = self.sessions.values();
        sessions.any(|session| session.is_in_flight() || session.has_pending_acks())
    }
}
