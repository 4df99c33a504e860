//! A member of a consumer group: joins, polls, commits, leaves.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::begin::TopicsAtJoin;
use super::commit::Committer;
use super::handle::GroupHandle;
use super::leave::leave;
use super::reader::Reader;
use super::{GroupError, Interrupt, Membership, Positions, Stop, is_outage};
use crate::ack::GroupMetadata;
use crate::kafka::client::Event;
use crate::kafka::consume::set_fetch_wait;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::fetch::RecordVisitor;
use crate::kafka::outage::Outage;
use crate::kafka::partitions::{PartitionList, entries};
use crate::kafka::types::TopicPartition;
use crate::kafka::{Client, Options, Role, ffi};

/// How long a commit may take after a signal.
const COMMIT_AFTER_SIGNAL: Duration = Duration::from_secs(5);

/// After this time without partitions the assignment is empty: a little more than two heartbeats of KIP-848.
const EMPTY_ASSIGNMENT_AFTER: Duration = Duration::from_secs(12);

/// Sets the properties that a member needs, and defaults for what the user did not set.
pub fn tune(options: &mut Options, membership: &Membership) {
    options.force("group.id", &membership.group);
    options.force("enable.auto.commit", "false");
    options.force("enable.auto.offset.store", "false");
    options.force("enable.partition.eof", "true");
    // The default of 1 s makes a full queue stand still for as long.
    options.set_default("fetch.queue.backoff.ms", "5");
    set_fetch_wait(options, membership.stop != Stop::Never);
    if let Some(session_ms) = options
        .get("session.timeout.ms")
        .and_then(|ms| ms.parse::<u64>().ok())
    {
        // The default of 3 s lets a session of 3 s end again and again.
        options.set_default(
            "heartbeat.interval.ms",
            &(session_ms / 3).clamp(1, 3000).to_string(),
        );
    }
    // Refuse damaged records.
    options.set_default("check.crcs", "true");
    // The member decides where a partition without a commit begins; a position whose records were deleted
    // while they waited goes on at what is left.
    options.set_default("auto.offset.reset", "earliest");
}

/// The result of [`Member::poll`].
#[derive(Debug)]
pub enum Polled {
    /// This many records; 0 after the timeout.
    Records(usize),
    /// The group gave these partitions to this member; their records come now.
    Assigned(Vec<TopicPartition>),
    /// The group takes these partitions away: commit what was processed, then call [`Member::release`].
    Revoked {
        /// The partitions.
        topic_partitions: Vec<TopicPartition>,
        /// They belong to somebody else already; a commit would be refused, or undo another's.
        lost: bool,
    },
    /// The last commit succeeded.
    Committed,
    /// The last commit failed; newer positions may succeed.
    CommitFailed(KafkaError),
    /// A transient error.
    Error(KafkaError),
}

/// A member of a group.
pub struct Member {
    pub(super) reader: Reader,
    pub(super) committer: Committer,
    pub(super) membership: Membership,
    pub(super) interrupted: Interrupt,
    /// The topics as they were when this member joined.
    pub(super) at_join: TopicsAtJoin,
    pub(super) outage: Outage,
    /// What is to be released.
    pub(super) revoked: Vec<TopicPartition>,
    /// The end of every partition of the topics, where the whole group's end is what counts.
    pub(super) ends: BTreeMap<TopicPartition, i64>,
    /// Partitions that were assigned once; `start` overrides nothing there any more.
    pub(super) seen: HashSet<TopicPartition>,
    /// Whether the group has assigned partitions to this member, possibly none.
    pub(super) is_assigned: bool,
    /// Since when the group knows this member.
    pub(super) known_since: Option<Instant>,
    /// Since when this member waits for the group; none once that was reported.
    pub(super) waiting_since: Option<Instant>,
    pub(super) has_left: bool,
    // The last field: queues and topics are given back before their client.
    pub(super) handle: Arc<GroupHandle>,
}

impl Member {
    /// Makes sure that the cluster, the topics and the group's coordinator are there, and asks the group to be a member.
    ///
    /// `options` were [tuned](tune).
    pub fn join(
        options: &Options,
        membership: Membership,
        interrupted: Interrupt,
    ) -> Result<Member, GroupError> {
        let client = Client::new(options, Role::Consumer)?;
        let handle = Arc::new(GroupHandle::new(Arc::new(client)));
        let mut member = Member {
            reader: Reader::new(&handle.client, options, &membership),
            committer: Committer::new(&handle.client),
            outage: Outage::new(membership.give_up),
            membership,
            interrupted,
            at_join: TopicsAtJoin::new(),
            revoked: Vec::new(),
            ends: BTreeMap::new(),
            seen: HashSet::new(),
            is_assigned: false,
            known_since: None,
            waiting_since: None,
            // Not a member yet: there is nothing to leave.
            has_left: true,
            handle,
        };
        member.check_topics()?;
        if member.membership.stop == Stop::AtGroupEnd {
            member.fetch_ends()?;
        }
        member.subscribe()?;
        member.has_left = false;
        member.waiting_since = Some(Instant::now());
        Ok(member)
    }

    fn subscribe(&mut self) -> Result<(), GroupError> {
        let mut list = PartitionList::new();
        for topic in &self.membership.topics {
            list.add(topic, -1, 0).map_err(|e| self.refused(e))?;
        }
        // SAFETY: handle and list are live; the list is copied.
        match unsafe { ffi::subscribe(self.handle.client.as_ptr(), list.as_ptr()) } {
            code::NONE => Ok(()),
            other => Err(self.refused(KafkaError::of(other))),
        }
    }

    /// Passes records to `visitor` or returns an event; blocks for at most `timeout_ms`.
    pub fn poll(
        &mut self,
        timeout_ms: i32,
        visitor: &mut impl RecordVisitor,
    ) -> Result<Polled, GroupError> {
        // Where nothing is to be read, the group is what is waited for.
        let is_reading = self.is_assigned && !self.reader.is_done();
        if let Some(polled) = self.next_event(if is_reading { 0 } else { timeout_ms })? {
            return Ok(polled);
        }
        if !is_reading {
            return Ok(Polled::Records(0));
        }
        let records = self.reader.read(&self.handle.client, timeout_ms, visitor)?;
        Ok(Polled::Records(records))
    }

    /// As [`Member::poll`] without records. Keeps the member in the group.
    pub fn poll_events(&mut self, timeout_ms: i32) -> Result<Polled, GroupError> {
        Ok(self.next_event(timeout_ms)?.unwrap_or(Polled::Records(0)))
    }

    /// The next event of the group, a commit or the client.
    fn next_event(&mut self, group_ms: i32) -> Result<Option<Polled>, GroupError> {
        self.handle.follow_coordinator();
        self.check_contact()?;
        self.report_long_wait();
        // SAFETY: the queue is live.
        if let Some(event) = unsafe { Event::poll(self.handle.events, group_ms) }
            && let Some(polled) = self.group_event(&event)?
        {
            return Ok(Some(polled));
        }
        match self.committer.answer(Duration::ZERO) {
            Some(Ok(())) => return Ok(Some(Polled::Committed)),
            Some(Err(error)) => return Ok(Some(Polled::CommitFailed(error))),
            None => {}
        }
        if let Some(event) = self.handle.client.poll(0)
            && let Some(error) = self.handle.client.note(&event)
        {
            if error.code == code::FATAL || is_fatal(&event) {
                return Err(self.refused(self.fatal(error)));
            }
            return Ok(Some(Polled::Error(error)));
        }
        Ok(None)
    }

    /// Stops reading a partition for now; `offset` is the next one to be delivered. False: librdkafka reads, and goes on.
    pub fn pause(&mut self, topic_partition: &TopicPartition, offset: i64) -> bool {
        self.reader.pause(topic_partition, offset)
    }

    /// Reads a paused partition again.
    pub fn resume(&mut self, topic_partition: &TopicPartition) {
        self.reader.resume(topic_partition);
    }

    /// Whether every partition that has more to read is paused.
    pub fn is_paused(&self) -> bool {
        self.reader.is_paused()
    }

    /// Whether the group has assigned partitions to this member, possibly none.
    pub fn is_assigned(&self) -> bool {
        self.is_assigned
    }

    /// Whether every assigned partition has reached its end, as it was when it was assigned.
    pub fn is_done(&mut self) -> bool {
        if self.membership.stop != Stop::AtOwnEnd {
            return false;
        }
        if !self.is_assigned {
            return self.has_empty_assignment();
        }
        self.reader.is_done()
    }

    /// Under KIP-848 nobody says that a member's assignment is empty: the others have everything.
    fn has_empty_assignment(&mut self) -> bool {
        if self.known_since.is_none() && self.is_incremental() && self.generation() > 0 {
            self.known_since = Some(Instant::now());
        }
        self.known_since
            .is_some_and(|since| since.elapsed() >= EMPTY_ASSIGNMENT_AFTER)
    }

    /// The generation, or the member epoch; -1 before the group knows this member.
    pub(super) fn generation(&self) -> i32 {
        self.metadata().generation
    }

    /// What names this member to the group's coordinator now; a generation of -1 before the group knows it.
    ///
    /// Belongs to what is read until the next assignment or revocation, and
    /// must not be used for what was read before it.
    pub fn metadata(&self) -> GroupMetadata {
        // SAFETY: the handle is live; the metadata, if there is some, is ours, and its texts live as long.
        unsafe {
            let metadata = ffi::rd_kafka_consumer_group_metadata(self.handle.client.as_ptr());
            if metadata.is_null() {
                return GroupMetadata {
                    generation: -1,
                    ..GroupMetadata::default()
                };
            }
            let instance = ffi::rd_kafka_consumer_group_metadata_group_instance_id(metadata);
            let copy = GroupMetadata {
                group: ffi::text(ffi::rd_kafka_consumer_group_metadata_group_id(metadata)),
                generation: ffi::rd_kafka_consumer_group_metadata_generation_id(metadata),
                member: ffi::text(ffi::rd_kafka_consumer_group_metadata_member_id(metadata)),
                instance: (!instance.is_null()).then(|| ffi::text(instance)),
            };
            ffi::rd_kafka_consumer_group_metadata_destroy(metadata);
            copy
        }
    }

    /// Sends a commit unless one is on its way; says whether it was sent. [`Polled::CommitFailed`] tells if it was not taken.
    pub fn commit_soon(&mut self, positions: &Positions) -> Result<bool, GroupError> {
        if positions.is_empty() || self.committer.is_busy() {
            return Ok(false);
        }
        match self.committer.send(&self.handle.client, positions) {
            Ok(()) => Ok(true),
            Err(error) => Err(self.not_committed(error)),
        }
    }

    /// Whether a commit waits for its answer, which [`Member::poll`] and [`Member::poll_events`] will tell.
    pub fn is_committing(&self) -> bool {
        self.committer.is_busy()
    }

    /// Commits and waits until the group has taken it: through an outage too, as long as the partitions are this
    /// member's, for at most `--give-up`, and after a signal for a moment only.
    ///
    /// # Errors
    /// [`GroupError::Lost`]: the group has given the partitions to others; the records come again.
    pub fn commit(&mut self, positions: &Positions) -> Result<(), GroupError> {
        if positions.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let interrupted_at = std::cell::Cell::new(None);
        let handle = Arc::clone(&self.handle);
        let may_wait = || {
            handle.follow_coordinator();
            if (self.interrupted)() && interrupted_at.get().is_none() {
                interrupted_at.set(Some(Instant::now()));
            }
            let since_signal = interrupted_at.get().map(|at: Instant| at.elapsed());
            !handle.is_lost()
                && since_signal.is_none_or(|since| since < COMMIT_AFTER_SIGNAL)
                && self
                    .membership
                    .give_up
                    .is_none_or(|limit| begun.elapsed() < limit)
        };
        let committed = self.committer.commit(&handle.client, positions, &may_wait);
        match committed {
            Ok(()) => Ok(()),
            Err(_) if handle.is_lost() => Err(GroupError::Lost {
                group: self.membership.group.clone(),
            }),
            Err(error) => Err(self.not_committed(error)),
        }
    }

    /// Leaves the group, so that it need not wait for the session to time out. Commit before.
    pub fn leave(mut self) {
        self.leave_group();
    }

    /// What is wrong with the cluster, in words, if anything is known.
    pub fn cause(&self) -> Option<String> {
        self.handle.client.cause()
    }

    pub(super) fn group_event(&mut self, event: &Event) -> Result<Option<Polled>, GroupError> {
        if event.kind() == ffi::RD_KAFKA_EVENT_REBALANCE {
            // SAFETY: the event is live, and with it its list.
            let (kind, partitions) = unsafe {
                (
                    ffi::event_error(event.as_ptr()),
                    entries(ffi::rd_kafka_event_topic_partition_list(event.as_ptr())),
                )
            };
            let topic_partitions = partitions.into_iter();
            let topic_partitions = topic_partitions
                .map(|entry| (entry.topic, entry.partition))
                .collect();
            return self.rebalance(kind, topic_partitions).map(Some);
        }
        if is_of_partition(event) {
            return Ok(None);
        }
        let Some(error) = self.handle.client.note(event) else {
            return Ok(None);
        };
        match error.code {
            code::MAX_POLL_EXCEEDED => Ok(Some(Polled::Error(error))),
            passing if is_outage(passing) => Ok(Some(Polled::Error(error))),
            _ => Err(self.refused(self.fatal(error))),
        }
    }

    /// What stands behind "fatal error".
    pub(super) fn fatal(&self, error: KafkaError) -> KafkaError {
        if error.code != code::FATAL {
            return error;
        }
        let mut reason = [0u8; 512];
        // SAFETY: the handle is live, the buffer's size is passed.
        let fatal = unsafe {
            ffi::fatal_error(
                self.handle.client.as_ptr(),
                reason.as_mut_ptr().cast(),
                reason.len(),
            )
        };
        if fatal == code::FENCED_INSTANCE_ID && self.metadata().member.is_empty() {
            // librdkafka forgets its member id with the session, and then sends a commit that has waited for the
            // coordinator without one: nobody else has fenced this member.
            let reason = "the session timed out (session.timeout.ms) while the coordinator did not answer; start it again";
            return KafkaError::new(fatal, reason);
        }
        KafkaError::new(fatal, ffi::buffer_text(&reason))
    }

    pub(super) fn refused(&self, error: KafkaError) -> GroupError {
        GroupError::Refused {
            group: self.membership.group.clone(),
            error,
        }
    }

    fn not_committed(&self, error: KafkaError) -> GroupError {
        GroupError::NotCommitted {
            group: self.membership.group.clone(),
            error,
        }
    }

    fn leave_group(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            leave(&self.handle);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave_group();
    }
}

/// Whether an error event ends the client for good.
fn is_fatal(event: &Event) -> bool {
    // SAFETY: the event is live.
    unsafe { ffi::rd_kafka_event_error_is_fatal(event.as_ptr()) != 0 }
}

/// Whether an error event concerns one partition; what reads the partition finds the same.
fn is_of_partition(event: &Event) -> bool {
    // SAFETY: the event is live; the partition, if there is one, is ours.
    unsafe {
        let partition = ffi::rd_kafka_event_topic_partition(event.as_ptr());
        if !partition.is_null() {
            ffi::rd_kafka_topic_partition_destroy(partition);
        }
        !partition.is_null()
    }
}
