//! The membership of a share group (KIP-932): heartbeats to its coordinator, which assigns partitions. Pure.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kafka_protocol::messages::share_group_heartbeat_response::Assignment;
use kafka_protocol::messages::{
    GroupId, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::request::PartitionId;
use crate::kafka::error::{KafkaError, code, is_coordinator_change, is_transient};

/// The pause after a request that failed.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);
/// The epoch of a member that joins, and of one that leaves (KIP-932).
const JOIN_EPOCH: i32 = 0;
const LEAVE_EPOCH: i32 = -1;

/// The next request of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberRequest {
    FindCoordinator,
    Heartbeat {
        coordinator: i32,
        epoch: i32,
        /// The names of the subscribed topics, where the coordinator does not know them yet.
        topics: Option<Vec<String>>,
    },
}

/// What a heartbeat has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssignmentChange {
    Unchanged,
    /// See [`ShareMember::assigned`].
    Assigned,
}

#[derive(Debug)]
pub(super) struct ShareMember {
    topics: Vec<String>,
    epoch: i32,
    coordinator: Option<i32>,
    /// Whether the coordinator has the topics as they are.
    knows_topics: bool,
    /// When the request was sent that is not answered yet.
    sent_at: Option<Instant>,
    next_at: Instant,
    joined_at: Instant,
    /// The last heartbeat that was answered.
    answered_at: Instant,
    assigned: BTreeSet<PartitionId>,
    cause: Option<KafkaError>,
}

impl ShareMember {
    pub(super) fn new(topics: Vec<String>, now: Instant) -> ShareMember {
        ShareMember {
            topics,
            epoch: JOIN_EPOCH,
            coordinator: None,
            knows_topics: false,
            sent_at: None,
            next_at: now,
            joined_at: now,
            answered_at: now,
            assigned: BTreeSet::new(),
            cause: None,
        }
    }

    pub(super) fn topics(&self) -> &[String] {
        &self.topics
    }

    pub(super) fn set_topics(&mut self, topics: Vec<String>) {
        if self.topics != topics {
            self.topics = topics;
            self.knows_topics = false;
        }
    }

    /// The partitions that the group has assigned to this member.
    pub(super) fn assigned(&self) -> &BTreeSet<PartitionId> {
        &self.assigned
    }

    /// How long the coordinator has not answered, and the last reason; none while it answers.
    pub(super) fn outage(&self, now: Instant) -> Option<(Duration, &KafkaError)> {
        let cause = self.cause.as_ref()?;
        Some((now.saturating_duration_since(self.answered_at), cause))
    }

    /// How long there has been no contact, and why: as [`ShareMember::outage`], or since a request that is not answered.
    pub(super) fn silence(&self, now: Instant) -> Option<(Duration, KafkaError)> {
        if let Some((time, error)) = self.outage(now) {
            return Some((time, error.clone()));
        }
        let time = now.saturating_duration_since(self.sent_at?);
        Some((time, KafkaError::of(code::TIMED_OUT)))
    }

    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    pub(super) fn next_request(&mut self, now: Instant) -> Option<MemberRequest> {
        if self.sent_at.is_some() || now < self.next_at {
            return None;
        }
        self.sent_at = Some(now);
        let Some(coordinator) = self.coordinator else {
            return Some(MemberRequest::FindCoordinator);
        };
        let names = (!self.knows_topics).then(|| self.topics.clone());
        Some(MemberRequest::Heartbeat {
            coordinator,
            epoch: self.epoch,
            topics: names,
        })
    }

    /// The last heartbeat; none if the group does not have this member.
    pub(super) fn leave(&self) -> Option<MemberRequest> {
        let coordinator = self.coordinator.filter(|_| self.epoch > JOIN_EPOCH)?;
        Some(MemberRequest::Heartbeat {
            coordinator,
            epoch: LEAVE_EPOCH,
            topics: None,
        })
    }

    pub(super) fn handle_coordinator(
        &mut self,
        result: Result<i32, KafkaError>,
        now: Instant,
    ) -> Result<(), KafkaError> {
        self.sent_at = None;
        match result {
            Ok(coordinator) => {
                self.coordinator = Some(coordinator);
                self.next_at = now;
                Ok(())
            }
            Err(error) => self.retry(error, now),
        }
    }

    /// An error is one that no retry mends.
    pub(super) fn handle_heartbeat(
        &mut self,
        result: Result<ShareGroupHeartbeatResponse, KafkaError>,
        now: Instant,
    ) -> Result<AssignmentChange, KafkaError> {
        self.sent_at = None;
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                self.coordinator = None;
                return self.retry(error, now).map(|()| AssignmentChange::Unchanged);
            }
        };
        if let Some(error) = KafkaError::of_answer(response.error_code) {
            let message = response.error_message.filter(|message| !message.is_empty());
            let reason = message.map_or(error.reason, |message| message.to_string());
            return self.handle_error(KafkaError::new(error.code, reason), now);
        }
        if self.epoch == JOIN_EPOCH {
            self.joined_at = now;
        }
        self.knows_topics = true;
        self.epoch = response.member_epoch;
        self.answered_at = now;
        self.cause = None;
        let interval_ms = u64::try_from(response.heartbeat_interval_ms).unwrap_or(0);
        let interval = Duration::from_millis(interval_ms).max(RETRY_BACKOFF);
        self.next_at = now + interval;
        let change = self.assign(response.assignment);
        if self.assigned.is_empty() {
            // The coordinator assigns in the background, which takes it a moment: ask soon, then more rarely.
            let since = now.saturating_duration_since(self.joined_at);
            self.next_at = now + since.clamp(RETRY_BACKOFF, interval);
        }
        Ok(change)
    }

    fn assign(&mut self, assignment: Option<Assignment>) -> AssignmentChange {
        let Some(assignment) = assignment else {
            return AssignmentChange::Unchanged;
        };
        let topics = assignment.topic_partitions.into_iter();
        let assigned = topics.flat_map(|topic| {
            let partitions = topic.partitions.into_iter();
            partitions.map(move |partition| (topic.topic_id, partition))
        });
        self.assigned = assigned.collect();
        AssignmentChange::Assigned
    }

    fn handle_error(
        &mut self,
        error: KafkaError,
        now: Instant,
    ) -> Result<AssignmentChange, KafkaError> {
        if matches!(
            error.code,
            code::UNKNOWN_MEMBER_ID | code::FENCED_MEMBER_EPOCH
        ) {
            // The group has removed this member: join again.
            self.epoch = JOIN_EPOCH;
            self.knows_topics = false;
            self.next_at = now;
            self.assigned.clear();
            return Ok(AssignmentChange::Assigned);
        }
        if is_coordinator_change(error.code) {
            self.coordinator = None;
        }
        self.retry(error, now).map(|()| AssignmentChange::Unchanged)
    }

    fn retry(&mut self, error: KafkaError, now: Instant) -> Result<(), KafkaError> {
        if !is_transient(error.code) {
            return Err(error);
        }
        self.cause = Some(error);
        self.next_at = now + RETRY_BACKOFF;
        Ok(())
    }
}

/// The request of a heartbeat.
pub(super) fn heartbeat(
    group: &str,
    member_id: &str,
    epoch: i32,
    topics: Option<Vec<String>>,
) -> ShareGroupHeartbeatRequest {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let names = topics.map(|topics| topics.iter().map(|topic| TopicName(text(topic))).collect());
    ShareGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_member_id(text(member_id))
        .with_member_epoch(epoch)
        .with_subscribed_topic_names(names)
}

/// A random UUID in the form of Kafka's `Uuid.java`.
pub(super) fn new_id() -> String {
    // The keys of a hasher are random: the standard library has them from the system.
    let random = || u128::from(RandomState::new().build_hasher().finish());
    URL_SAFE_NO_PAD.encode((random() << 64 | random()).to_be_bytes())
}
