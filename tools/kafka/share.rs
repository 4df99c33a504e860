//! A member of a share group (KIP-932): acquires records, and accepts, releases or rejects each of them.
//!
//! The broker locks what it delivers for a time, counts the deliveries, and delivers again what is not acknowledged.
//!
//! - `member`: heartbeats and the assignment. Pure.
//! - `session`: the requests to one broker, in their order. Pure.
//! - `request`, `response`: their bytes.
//! - `records`: from the batches of a response to the records that were acquired.

mod member;
mod records;
mod request;
mod response;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, MetadataRequest, ShareGroupHeartbeatRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::Client;
use super::cluster::groups::{coordinator_of, find_request};
use super::cluster::metadata::{self, Metadata};
use super::consume::ConsumeError;
use super::consume::topics::{TopicPatterns, resolve};
use super::error::{KafkaError, code};
use super::wire::{CorrelationId, RawResponse, RequestLimits, RequestResult, Target, Wire};
use crate::units::format_duration_ms;
use member::{AssignmentChange, MemberRequest, ShareMember};
pub use records::AcquiredRecord;
use records::RecordParser;
pub use request::Acknowledgement;
use request::{AckRange, PartitionId, SessionHead, ShareAcknowledgeRequest, ShareFetchRequest};
use session::{SessionOutcome, SessionRequest, ShareSession};

/// The time limit for a response, besides what the request may wait at the broker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the topics and leaders are looked up although nothing has changed.
const METADATA_INTERVAL: Duration = Duration::from_secs(60);
const METADATA_RETRY: Duration = Duration::from_millis(100);
/// The longest wait of a fetch at the broker.
const MAX_WAIT: Duration = Duration::from_millis(500);
/// The same while commands run, whose acknowledgements wait for the response.
const BUSY_WAIT: Duration = Duration::from_millis(50);
/// The same where other brokers are to be asked for the same few records.
const SHORT_WAIT: Duration = Duration::from_millis(10);
/// Brokers close a session with what they have locked for it; this long it may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_BYTES: i32 = 50 * 1024 * 1024;

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

enum PendingRequest {
    FindCoordinator,
    Heartbeat,
    Metadata,
    Fetch(i32),
    Acknowledge(i32),
}

/// A member of a share group.
pub struct ShareConsumer<'c> {
    wire: Wire<'c>,
    group: String,
    member_id: String,
    member: ShareMember,
    patterns: TopicPatterns,
    /// The topics as they were asked for.
    names: Vec<String>,
    give_up: Option<Duration>,
    sessions: BTreeMap<i32, ShareSession>,
    topics: HashMap<Uuid, Arc<str>>,
    leaders: HashMap<PartitionId, i32>,
    metadata_at: Instant,
    in_flight: HashMap<CorrelationId, PendingRequest>,
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
        let mut wire = Wire::new(client);
        let (metadata, topics) = resolve(&mut wire, &membership.topics, interrupted)?;
        let now = Instant::now();
        let limit_bytes = client.property("receive.message.max.bytes");
        let limit_bytes = limit_bytes.and_then(|bytes| bytes.parse().ok());
        let names = topics.into_iter().map(|topic| topic.name).collect();
        let mut consumer = ShareConsumer {
            wire,
            group: membership.group,
            member_id: new_member_id(),
            member: ShareMember::new(names, now),
            patterns: TopicPatterns::new(&membership.topics)?,
            names: membership.topics,
            give_up: membership.give_up,
            sessions: BTreeMap::new(),
            topics: HashMap::new(),
            leaders: HashMap::new(),
            metadata_at: now,
            in_flight: HashMap::new(),
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
        let leader = self.leaders.get(&id).copied().unwrap_or(-1);
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
        let until = Instant::now() + wait;
        loop {
            self.send(limit);
            let now = Instant::now();
            if let Some(result) = self.wire.next(self.next_wake().min(until)) {
                if self.handle_result(result, visit)? {
                    return Ok(());
                }
                continue;
            }
            self.check_outage(now)?;
            if now >= until {
                return Ok(());
            }
            if self.wire.in_flight_count() == 0 {
                let wake = self.next_wake().min(until);
                std::thread::sleep(wake.saturating_duration_since(now));
            }
        }
    }

    fn next_wake(&self) -> Instant {
        let retries = self.sessions.values().filter_map(ShareSession::retry_at);
        let first = retries
            .chain([self.member.next_at(), self.metadata_at])
            .min();
        first.unwrap_or_else(Instant::now)
    }

    fn check_outage(&self, now: Instant) -> Result<(), ConsumeError> {
        let Some((time, error)) = self.member.outage(now) else {
            return Ok(());
        };
        match self.give_up {
            Some(limit) if time >= limit => {
                let time = format_duration_ms(time.as_millis() as i64);
                let reason =
                    format!("no contact with its coordinator for {time} (--give-up): {error}");
                let error = KafkaError::new(error.code, reason);
                Err(ConsumeError::Group(self.group.clone(), error))
            }
            _ => Ok(()),
        }
    }

    /// Sends the requests that are due.
    fn send(&mut self, limit: FetchLimit) {
        let now = Instant::now();
        if let Some(request) = self.member.next_request(now) {
            self.send_membership(request, now);
        }
        if now >= self.metadata_at {
            self.send_metadata(now);
        }
        let has_acks = self.sessions.values().any(ShareSession::has_pending_acks);
        let requested: usize = self
            .sessions
            .values()
            .map(ShareSession::requested_records)
            .sum();
        let mut free = limit.records.saturating_sub(requested);
        let mut brokers: Vec<(bool, i32)> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.can_fetch(now))
            .map(|(&broker, session)| (session.was_empty(), broker))
            .collect();
        // First those that had records.
        brokers.sort_unstable();
        let max_wait = if brokers.len() > free {
            SHORT_WAIT
        } else if limit.is_busy || has_acks {
            BUSY_WAIT
        } else {
            MAX_WAIT
        };
        for (index, &(_, broker)) in brokers.iter().enumerate() {
            let records = free.div_ceil(brokers.len() - index);
            free -= records;
            self.send_session(broker, records, limit.is_exact, max_wait, now);
        }
        let others: Vec<i32> = self.sessions.keys().copied().collect();
        for broker in others {
            self.send_session(broker, 0, limit.is_exact, Duration::ZERO, now);
        }
    }

    fn send_session(
        &mut self,
        broker: i32,
        records: usize,
        is_exact: bool,
        max_wait: Duration,
        now: Instant,
    ) {
        let session = self.sessions.get_mut(&broker);
        let Some(request) = session.and_then(|session| session.next_request(records, now)) else {
            return;
        };
        self.send_session_request(broker, request, is_exact, max_wait, now);
    }

    fn send_session_request(
        &mut self,
        broker: i32,
        request: SessionRequest,
        is_exact: bool,
        max_wait: Duration,
        now: Instant,
    ) {
        let deadline = now + max_wait + REQUEST_TIMEOUT;
        let head = |epoch| SessionHead {
            group: self.group.clone(),
            member: self.member_id.clone(),
            epoch,
        };
        let target = Target::Broker(broker);
        match request {
            SessionRequest::Fetch {
                epoch,
                records,
                partitions,
                forgotten,
            } => {
                let head = head(epoch);
                let build = move |version| ShareFetchRequest {
                    version,
                    head,
                    max_wait_ms: max_wait.as_millis() as i32,
                    max_bytes: MAX_BYTES,
                    max_records: i32::try_from(records).unwrap_or(i32::MAX),
                    is_record_limit: is_exact,
                    partitions,
                    forgotten,
                };
                let id = self.wire.send(target, deadline, build);
                self.in_flight.insert(id, PendingRequest::Fetch(broker));
            }
            SessionRequest::Acknowledge { epoch, acks } => {
                let head = head(epoch);
                let build = move |version| ShareAcknowledgeRequest {
                    version,
                    head,
                    acks,
                };
                let id = self.wire.send(target, deadline, build);
                self.in_flight
                    .insert(id, PendingRequest::Acknowledge(broker));
            }
        }
    }

    fn send_membership(&mut self, request: MemberRequest, now: Instant) {
        let deadline = now + REQUEST_TIMEOUT;
        match request {
            MemberRequest::FindCoordinator => {
                let name = StrBytes::from_string(self.group.clone());
                let build = move |version| find_request(name, version);
                let id = self.wire.send(Target::Any, deadline, build);
                self.in_flight.insert(id, PendingRequest::FindCoordinator);
            }
            MemberRequest::Heartbeat {
                coordinator,
                epoch,
                topics,
            } => {
                let text = StrBytes::from_string;
                let name = |topic| TopicName(text(topic));
                let request = ShareGroupHeartbeatRequest::default()
                    .with_group_id(GroupId(text(self.group.clone())))
                    .with_member_id(text(self.member_id.clone()))
                    .with_member_epoch(epoch)
                    .with_subscribed_topic_names(
                        topics.map(|topics| topics.into_iter().map(name).collect()),
                    );
                let limits = RequestLimits {
                    deadline,
                    connect_by: deadline,
                    versions: 1..=i16::MAX,
                };
                let target = Target::Broker(coordinator);
                let id = self.wire.send_limited(target, limits, move |_| request);
                self.in_flight.insert(id, PendingRequest::Heartbeat);
            }
        }
    }

    fn send_metadata(&mut self, now: Instant) {
        self.metadata_at = now + METADATA_INTERVAL;
        let names = self.member.topics().to_vec();
        let names = self.patterns.is_empty().then_some(names);
        let build = move |_| metadata::metadata_request(names.as_deref(), false);
        let deadline = now + REQUEST_TIMEOUT;
        let versions = metadata::OLDEST..=i16::MAX;
        let id = self
            .wire
            .send_within(Target::Any, deadline, versions, build);
        self.in_flight.insert(id, PendingRequest::Metadata);
    }

    /// Returns whether records were visited.
    fn handle_result(
        &mut self,
        RequestResult { id, result }: RequestResult,
        visit: &mut dyn FnMut(AcquiredRecord<'_>),
    ) -> Result<bool, ConsumeError> {
        let now = Instant::now();
        let Some(pending) = self.in_flight.remove(&id) else {
            return Ok(false);
        };
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
                    Ok(reply) => self.update_metadata(&metadata::rows(reply), now),
                    Err(_) => self.metadata_at = now + METADATA_RETRY,
                }
            }
            PendingRequest::Fetch(broker) => {
                if let Ok(response) = &result {
                    self.version = Some(response.version());
                }
                let reply = result.and_then(RawResponse::decode::<ShareFetchRequest>);
                let session = self.sessions.entry(broker).or_default();
                let outcome = session.handle_fetch(reply, now);
                return self.handle_outcome(broker, outcome, visit, now);
            }
            PendingRequest::Acknowledge(broker) => {
                let reply = result.and_then(RawResponse::decode::<ShareAcknowledgeRequest>);
                let session = self.sessions.entry(broker).or_default();
                let outcome = session.handle_acknowledge(reply, now);
                return self.handle_outcome(broker, outcome, visit, now);
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
        ConsumeError::Group(self.group.clone(), error)
    }

    fn handle_outcome(
        &mut self,
        broker: i32,
        outcome: SessionOutcome,
        visit: &mut dyn FnMut(AcquiredRecord<'_>),
        now: Instant,
    ) -> Result<bool, ConsumeError> {
        if let Some(error) = outcome.fatal {
            return Err(self.group_error(error));
        }
        for (id, range, error) in outcome.refused {
            // A gap has no record that could come again.
            if range.kind != Acknowledgement::Gap {
                self.refuse(id, range, error);
            }
        }
        if outcome.wants_metadata {
            self.metadata_at = self.metadata_at.min(now + METADATA_RETRY);
        }
        if outcome.lock_timeout_ms > 0 {
            let timeout_ms = outcome.lock_timeout_ms.unsigned_abs().into();
            self.lock_timeout = Some(Duration::from_millis(timeout_ms));
        }
        let is_visited = !outcome.fetched.is_empty();
        for partition in outcome.fetched {
            let topic = self.topic_name(partition.id.0);
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
        self.refused.push(Refused {
            topic: self.topic_name(id.0),
            partition: id.1,
            first: range.first,
            last: range.last,
            kind: range.kind,
            error,
        });
    }

    fn topic_name(&self, id: Uuid) -> Arc<str> {
        let name = self.topics.get(&id).map(Arc::clone);
        name.unwrap_or_else(|| id.to_string().into())
    }

    fn update_metadata(&mut self, metadata: &Metadata, now: Instant) {
        let is_match = |name: &str| {
            self.names.iter().any(|wanted| wanted == name) || self.patterns.matches(name)
        };
        let mut names = Vec::new();
        for topic in metadata.topics.iter().filter(|topic| is_match(&topic.name)) {
            names.push(topic.name.clone());
            self.topics.insert(topic.id, topic.name.as_str().into());
            for partition in &topic.partitions {
                let id = (topic.id, partition.id);
                match partition.leader {
                    Some(leader) => self.leaders.insert(id, leader),
                    None => self.leaders.remove(&id),
                };
            }
        }
        if !self.patterns.is_empty() {
            self.member.set_topics(names);
        }
        self.assign(now);
    }

    /// Gives each assigned partition to the session with its leader.
    fn assign(&mut self, now: Instant) {
        let mut by_leader: BTreeMap<i32, BTreeSet<PartitionId>> = BTreeMap::new();
        for &id in self.member.assigned() {
            match self.leaders.get(&id) {
                Some(&leader) => {
                    by_leader.entry(leader).or_default().insert(id);
                }
                None => self.metadata_at = self.metadata_at.min(now + METADATA_RETRY),
            }
        }
        for &leader in by_leader.keys() {
            self.sessions.entry(leader).or_default();
        }
        for (broker, session) in &mut self.sessions {
            session.set_partitions(by_leader.remove(broker).unwrap_or_default());
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
                self.send_session_request(broker, request, true, Duration::ZERO, now);
            }
        }
        if let Some(request) = self.member.leave() {
            self.send_membership(request, now);
        }
        self.in_flight.retain(|_, pending| {
            matches!(
                pending,
                PendingRequest::Acknowledge(_) | PendingRequest::Heartbeat
            )
        });
        while !self.in_flight.is_empty() && Instant::now() < until {
            let Some(result) = self.wire.next(until) else {
                break;
            };
            match self.in_flight.get(&result.id) {
                Some(PendingRequest::Heartbeat) => {
                    self.in_flight.remove(&result.id);
                }
                Some(_) => drop(self.handle_result(result, &mut |_| {})),
                None => {}
            }
        }
        let unanswered = self
            .sessions
            .values_mut()
            .flat_map(ShareSession::take_unanswered);
        let unanswered: Vec<(PartitionId, AckRange)> = unanswered.collect();
        for (id, range) in unanswered {
            if range.kind != Acknowledgement::Gap {
                self.refuse(id, range, KafkaError::of(code::TIMED_OUT));
            }
        }
        self.refused
    }

    fn is_sending_acks(&self) -> bool {
        let mut sessions = self.sessions.values();
        sessions.any(|session| session.is_in_flight() || session.has_pending_acks())
    }
}

/// A random UUID in the form of Kafka's `Uuid.java`.
fn new_member_id() -> String {
    let mut bytes = [0; 16];
    // A system without it has a clock and process ids.
    let read = std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    if read.is_err() {
        let now = std::time::SystemTime::now();
        let since = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        bytes = (since.as_nanos() ^ (u128::from(std::process::id()) << 96)).to_be_bytes();
    }
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
