//! One member: subscribed, assigned, revoked, gone.
#![allow(unsafe_code)]

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::commit::Committer;
use super::{GroupError, Membership, Positions};
use crate::kafka::client::Event;
use crate::kafka::cluster::{self, Spec, Topics};
use crate::kafka::consume::inbox::{Inbox, PartitionState, TopicState};
use crate::kafka::consume::span::list_offsets;
use crate::kafka::consume::topics::{self, TopicHandle};
use crate::kafka::consume::{Item, Place, Start, set_fetch_wait};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::partitions::{Entry, PartitionList, entries};
use crate::kafka::{Client, Options, Role, ffi};

/// How long leaving the group and the last commit may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long a member without partitions is one that gets none: twice KIP-848's heartbeat interval, and a little.
const NOTHING_COMES: Duration = Duration::from_secs(12);

/// Sets what a member needs of librdkafka, where the user says nothing else.
pub fn tune(options: &mut Options, membership: &Membership) {
    options.force("group.id", &membership.group);
    options.force("enable.auto.commit", "false");
    options.force("enable.auto.offset.store", "false");
    options.force("enable.partition.eof", "true");
    // The default of 1 s makes a full queue stand still for as long.
    options.set_default("fetch.queue.backoff.ms", "5");
    set_fetch_wait(options, membership.stop_at_end);
}

/// What [`Member::poll`] brought.
#[derive(Debug)]
pub enum Polled {
    /// This many records were handed out; 0 after the time was over.
    Records(usize),
    /// The group gave these partitions to this member; their records come now.
    Assigned(Vec<Place>),
    /// The group takes these partitions away: commit what was dealt with, then call [`Member::release`].
    Revoked {
        /// The partitions.
        places: Vec<Place>,
        /// They belong to somebody else already; a commit would be refused, or undo another's.
        lost: bool,
    },
    /// The commit that was sent last was not taken; newer positions may be.
    CommitFailed(KafkaError),
    /// Something is wrong that may pass.
    Trouble(KafkaError),
}

/// A member of a group.
pub struct Member {
    inbox: Inbox,
    committer: Committer,
    /// Rebalances and errors of the group.
    events: *mut ffi::rd_kafka_queue_t,
    membership: Membership,
    /// What is to be released.
    revoked: Vec<Entry>,
    /// Partitions that were assigned once; `start` overrides nothing there any more.
    seen: HashSet<Place>,
    /// Whether the group has said what this member has, be it nothing.
    is_assigned: bool,
    /// Since when the group knows this member.
    known_since: Option<Instant>,
    has_left: bool,
    // The last field: librdkafka's queues and topics are given back before their client.
    client: Client,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for Member {}

impl Member {
    /// Makes sure that the cluster and the topics are there, and asks the group to be a member.
    ///
    /// `options` were [tuned](tune).
    pub fn join(
        options: &Options,
        membership: Membership,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Member, GroupError> {
        let client = Client::new(options, Role::Consumer)?;
        let plain: Vec<String> = membership
            .topics
            .iter()
            .filter(|topic| !topic.starts_with('^'))
            .cloned()
            .collect();
        if plain.is_empty() {
            cluster::metadata(&client, Topics::All, interrupted)?;
        } else {
            topics::find(&client, &plain, interrupted)?;
        }
        // SAFETY: the handle is live and has a group; the queue is given back in `drop`.
        let events = unsafe { ffi::rd_kafka_queue_get_consumer(client.as_ptr()) };
        let mut member = Member {
            inbox: Inbox::new(&client, membership.wants_headers),
            committer: Committer::new(&client),
            events,
            membership,
            revoked: Vec::new(),
            seen: HashSet::new(),
            is_assigned: false,
            known_since: None,
            has_left: false,
            client,
        };
        member.subscribe()?;
        Ok(member)
    }

    fn subscribe(&mut self) -> Result<(), GroupError> {
        let mut list = PartitionList::new();
        for topic in &self.membership.topics {
            list.add(topic, -1, 0).map_err(|e| self.refused(e))?;
        }
        // SAFETY: handle and list are live; the list is copied.
        match unsafe { ffi::subscribe(self.client.as_ptr(), list.as_ptr()) } {
            code::NONE => Ok(()),
            other => Err(self.refused(KafkaError::of(other))),
        }
    }

    /// Hands records to `take`, or says what the group did, after waiting at most `timeout_ms`.
    pub fn poll<F>(&mut self, timeout_ms: i32, take: F) -> Result<Polled, GroupError>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        // Before there are partitions, the group is what is waited for.
        let group_ms = if self.is_assigned { 0 } else { timeout_ms };
        // SAFETY: the queue is live.
        if let Some(event) = unsafe { Event::poll(self.events, group_ms) }
            && let Some(polled) = self.group_event(&event)?
        {
            return Ok(polled);
        }
        if let Some(Err(error)) = self.committer.answer(Duration::ZERO) {
            return Ok(Polled::CommitFailed(error));
        }
        if let Some(event) = self.client.poll(0)
            && let Some(error) = self.client.note(&event)
        {
            if error.code == code::FATAL || is_fatal(&event) {
                return Err(self.refused(self.fatal(error)));
            }
            return Ok(Polled::Trouble(error));
        }
        let inbox_ms = if self.is_assigned { timeout_ms } else { 0 };
        let served = self.inbox.serve(&self.client, inbox_ms, take);
        for (topic, partition) in served.ended {
            self.pause(topic, partition);
        }
        match served.failed {
            Some(error) => Err(error.into()),
            None => Ok(Polled::Records(served.records)),
        }
    }

    /// Whether every assigned partition has reached its end, as it was when it was assigned.
    pub fn is_done(&mut self) -> bool {
        if !self.membership.stop_at_end {
            return false;
        }
        if !self.is_assigned {
            return self.gets_nothing();
        }
        self.states().all(|state| state.is_done)
    }

    /// All partitions that are assigned.
    fn states(&self) -> impl Iterator<Item = &PartitionState> {
        let topics = self.inbox.topics.iter();
        topics.flat_map(|topic| topic.partitions.iter().flatten())
    }

    /// Under KIP-848 nobody says that a member's assignment is empty: the others have everything.
    fn gets_nothing(&mut self) -> bool {
        if self.known_since.is_none() && self.is_incremental() && self.generation() > 0 {
            self.known_since = Some(Instant::now());
        }
        self.known_since
            .is_some_and(|since| since.elapsed() >= NOTHING_COMES)
    }

    /// The generation, or the member epoch; -1 before the group knows this member.
    fn generation(&self) -> i32 {
        // SAFETY: the handle is live; the metadata, if there is some, is ours.
        unsafe {
            let metadata = ffi::rd_kafka_consumer_group_metadata(self.client.as_ptr());
            if metadata.is_null() {
                return -1;
            }
            let generation = ffi::rd_kafka_consumer_group_metadata_generation_id(metadata);
            ffi::rd_kafka_consumer_group_metadata_destroy(metadata);
            generation
        }
    }

    /// Sends a commit unless one is on its way; says whether it was sent. [`Polled::CommitFailed`] tells if it was not taken.
    pub fn commit_soon(&mut self, positions: &Positions) -> Result<bool, GroupError> {
        if positions.is_empty() || self.committer.is_busy() {
            return Ok(false);
        }
        match self.committer.send(&self.client, positions) {
            Ok(()) => Ok(true),
            Err(error) => Err(self.not_committed(error)),
        }
    }

    /// Commits and waits until the group has taken it.
    pub fn commit(&mut self, positions: &Positions) -> Result<(), GroupError> {
        if positions.is_empty() {
            return Ok(());
        }
        let timeout = GOODBYE.max(self.client.first_contact().min(Duration::from_secs(60)));
        self.committer
            .commit(&self.client, positions, timeout)
            .map_err(|error| self.not_committed(error))
    }

    /// Lets go of the partitions that [`Polled::Revoked`] named.
    pub fn release(&mut self) -> Result<(), GroupError> {
        let revoked = std::mem::take(&mut self.revoked);
        for entry in &revoked {
            let found = self.inbox.topics.iter_mut().find(|t| t.name == entry.topic);
            if let Some(topic) = found
                && let Some(state) = topic.partitions.get_mut(entry.partition as usize)
            {
                *state = None;
            }
        }
        let is_incremental = self.is_incremental();
        if !is_incremental || self.states().next().is_none() {
            // What comes next is said by the next assignment.
            self.is_assigned = false;
            self.known_since = None;
        }
        if is_incremental {
            let list = self.list(&revoked, |entry| entry.offset)?;
            return self.incremental(&list, ffi::rd_kafka_incremental_unassign);
        }
        self.assign_all(std::ptr::null())
    }

    /// Leaves the group, so that it need not wait for the session to time out. Commit before.
    pub fn leave(mut self) {
        self.say_goodbye();
    }

    /// What is wrong with the cluster, in words, if anything is known.
    pub fn cause(&self) -> Option<String> {
        self.client.cause()
    }

    fn group_event(&mut self, event: &Event) -> Result<Option<Polled>, GroupError> {
        if event.kind() == ffi::RD_KAFKA_EVENT_REBALANCE {
            // SAFETY: the event is live, and with it its list.
            let (kind, partitions) = unsafe {
                (
                    ffi::event_error(event.as_ptr()),
                    entries(ffi::rd_kafka_event_topic_partition_list(event.as_ptr())),
                )
            };
            return self.rebalance(kind, partitions).map(Some);
        }
        let Some(error) = self.client.note(event) else {
            return Ok(None);
        };
        match error.code {
            code::MAX_POLL_EXCEEDED => Ok(Some(Polled::Trouble(error))),
            _ => Err(self.refused(self.fatal(error))),
        }
    }

    fn rebalance(&mut self, kind: i32, partitions: Vec<Entry>) -> Result<Polled, GroupError> {
        let places = partitions
            .iter()
            .map(|entry| (entry.topic.clone(), entry.partition))
            .collect();
        match kind {
            code::ASSIGN_PARTITIONS => {
                self.assign(&partitions, &places)?;
                Ok(Polled::Assigned(places))
            }
            code::REVOKE_PARTITIONS => {
                self.revoked = partitions;
                // SAFETY: the handle is live.
                let lost = unsafe { ffi::rd_kafka_assignment_lost(self.client.as_ptr()) } != 0;
                Ok(Polled::Revoked { places, lost })
            }
            other => {
                self.assign_all(std::ptr::null())?;
                Ok(Polled::Trouble(KafkaError::of(other)))
            }
        }
    }

    fn assign(&mut self, partitions: &[Entry], places: &Vec<Place>) -> Result<(), GroupError> {
        let ends = if self.membership.stop_at_end && !places.is_empty() {
            let isolation = self.membership.isolation;
            list_offsets(&self.client, places, Spec::Latest, isolation, &|| false)?
        } else {
            std::collections::HashMap::new()
        };
        for place in places {
            self.expect(place, ends.get(place).copied().flatten())?;
            self.redirect(place)?;
        }
        let start = self.membership.start.map(override_offset);
        let list = self.list(partitions, |entry| {
            let place = (entry.topic.clone(), entry.partition);
            match start {
                Some(start) if !self.seen.contains(&place) => start,
                _ => entry.offset,
            }
        })?;
        self.seen.extend(places.iter().cloned());
        self.is_assigned = true;
        if self.is_incremental() {
            self.incremental(&list, ffi::rd_kafka_incremental_assign)
        } else {
            self.assign_all(list.as_ptr())
        }
    }

    /// Makes the inbox take the records of a partition.
    fn expect(&mut self, place: &Place, end: Option<i64>) -> Result<(), GroupError> {
        let (name, partition) = (&place.0, place.1 as usize);
        let found = self.inbox.topics.iter().position(|t| t.name == *name);
        let index = if let Some(index) = found {
            index
        } else {
            self.inbox.topics.push(TopicState {
                name: name.clone(),
                partitions: Vec::new(),
                handle: TopicHandle::new(&self.client, name)?,
            });
            self.inbox.topics.len() - 1
        };
        let states = &mut self.inbox.topics[index].partitions;
        if states.len() <= partition {
            states.resize_with(partition + 1, || None);
        }
        states[partition] = Some(PartitionState {
            end,
            is_done: end == Some(0),
        });
        Ok(())
    }

    /// Sends a partition's messages to the inbox, where a callback takes them, instead of one by one through the group's queue.
    fn redirect(&self, place: &Place) -> Result<(), GroupError> {
        let name = crate::kafka::partitions::topic_name(&place.0).map_err(|e| self.refused(e))?;
        // SAFETY: handle, name and queues are live; the reference to the partition's queue is given back.
        unsafe {
            let queue =
                ffi::rd_kafka_queue_get_partition(self.client.as_ptr(), name.as_ptr(), place.1);
            if !queue.is_null() {
                ffi::rd_kafka_queue_forward(queue, self.inbox.queue());
                ffi::rd_kafka_queue_destroy(queue);
            }
        }
        Ok(())
    }

    fn list(
        &self,
        partitions: &[Entry],
        offset: impl Fn(&Entry) -> i64,
    ) -> Result<PartitionList, GroupError> {
        let mut list = PartitionList::new();
        for entry in partitions {
            list.add(&entry.topic, entry.partition, offset(entry))
                .map_err(|e| self.refused(e))?;
        }
        Ok(list)
    }

    /// Cooperative and KIP-848 groups hand over the difference, eager ones everything.
    fn is_incremental(&self) -> bool {
        // SAFETY: the handle is live; the name is static.
        let protocol = unsafe { ffi::text(ffi::rd_kafka_rebalance_protocol(self.client.as_ptr())) };
        protocol == "COOPERATIVE"
    }

    /// NULL is the empty assignment.
    fn assign_all(
        &self,
        list: *const ffi::rd_kafka_topic_partition_list_t,
    ) -> Result<(), GroupError> {
        // SAFETY: handle and list are live; the list is copied.
        match unsafe { ffi::assign(self.client.as_ptr(), list) } {
            code::NONE => Ok(()),
            other => Err(self.refused(self.fatal(KafkaError::of(other)))),
        }
    }

    fn incremental(
        &self,
        list: &PartitionList,
        change: unsafe extern "C" fn(
            *mut ffi::rd_kafka_t,
            *const ffi::rd_kafka_topic_partition_list_t,
        ) -> *mut ffi::rd_kafka_error_t,
    ) -> Result<(), GroupError> {
        // SAFETY: handle and list are live, the list is copied; the error, if there is one, is ours.
        unsafe {
            let error = change(self.client.as_ptr(), list.as_ptr());
            if error.is_null() {
                return Ok(());
            }
            let told = KafkaError::new(
                ffi::error_code(error),
                ffi::text(ffi::rd_kafka_error_string(error)),
            );
            ffi::rd_kafka_error_destroy(error);
            Err(self.refused(told))
        }
    }

    /// A partition that has reached its end is fetched no more.
    fn pause(&self, topic: usize, partition: i32) {
        let mut list = PartitionList::new();
        if list
            .add(&self.inbox.topics[topic].name, partition, 0)
            .is_ok()
        {
            // SAFETY: handle and list are live. What can't be paused is passed over by the inbox.
            unsafe {
                ffi::pause_partitions(self.client.as_ptr(), list.as_ptr());
            }
        }
    }

    /// What stands behind "fatal error".
    fn fatal(&self, error: KafkaError) -> KafkaError {
        if error.code != code::FATAL {
            return error;
        }
        let mut reason = [0u8; 512];
        // SAFETY: the handle is live, the buffer's size is told.
        let code = unsafe {
            ffi::fatal_error(
                self.client.as_ptr(),
                reason.as_mut_ptr().cast(),
                reason.len(),
            )
        };
        KafkaError::new(code, ffi::buffer_text(&reason))
    }

    fn refused(&self, error: KafkaError) -> GroupError {
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

    fn say_goodbye(&mut self) {
        if std::mem::replace(&mut self.has_left, true) {
            return;
        }
        let rk = self.client.as_ptr();
        // SAFETY: handle and queue are live; the error, if there is one, is ours.
        unsafe {
            let error = ffi::rd_kafka_consumer_close_queue(rk, self.events);
            if !error.is_null() {
                // A fatal error: the group knows this member no more.
                ffi::rd_kafka_error_destroy(error);
                return;
            }
        }
        let until = Instant::now() + GOODBYE;
        // SAFETY: as above.
        while unsafe { ffi::rd_kafka_consumer_closed(rk) } == 0 && Instant::now() < until {
            // SAFETY: as above.
            let event = unsafe { Event::poll(self.events, 100) };
            // The caller has committed, so the last revocation is granted at once.
            if let Some(Polled::Revoked { .. }) = event
                .and_then(|event| self.group_event(&event).ok())
                .flatten()
            {
                let _ = self.release();
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.say_goodbye();
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_queue_destroy(self.events) }
    }
}

/// Whether an error event ends the client for good.
fn is_fatal(event: &Event) -> bool {
    // SAFETY: the event is live.
    unsafe { ffi::rd_kafka_event_error_is_fatal(event.as_ptr()) != 0 }
}

/// librdkafka's name for a start; times are asked for elsewhere.
fn override_offset(start: Start) -> i64 {
    match start {
        Start::Beginning => i64::from(ffi::RD_KAFKA_OFFSET_BEGINNING),
        Start::End => i64::from(ffi::RD_KAFKA_OFFSET_END),
        Start::Stored | Start::Time(_) => i64::from(ffi::RD_KAFKA_OFFSET_INVALID),
        Start::At(offset) => offset,
        Start::Tail(count) => i64::from(ffi::RD_KAFKA_OFFSET_TAIL_BASE) - count,
    }
}
