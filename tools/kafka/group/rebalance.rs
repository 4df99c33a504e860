//! What the group gives to a member and takes from it.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::time::Instant;

use super::member::{Member, Polled};
use super::{GroupError, Stop};
use crate::kafka::cluster::{OffsetQuery, OffsetSpec};
use crate::kafka::consume::ConsumeError;
use crate::kafka::consume::queue::{PartitionState, TopicState};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;
use crate::kafka::partitions::{Entry, PartitionList, topic_name};
use crate::kafka::topic::TopicHandle;
use crate::kafka::types::TopicPartition;

impl Member {
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
            self.waiting_since = Some(Instant::now());
        }
        if is_incremental {
            let list = self.list(&revoked, |entry| entry.offset)?;
            return self.incremental(&list, ffi::rd_kafka_incremental_unassign);
        }
        self.assign_all(std::ptr::null())
    }

    pub(super) fn rebalance(
        &mut self,
        kind: i32,
        partitions: Vec<Entry>,
    ) -> Result<Polled, GroupError> {
        let places: Vec<TopicPartition> = partitions
            .iter()
            .map(|entry| (entry.topic.clone(), entry.partition))
            .collect();
        match kind {
            code::ASSIGN_PARTITIONS => {
                if !self.assign(&partitions, &places)? {
                    return Ok(Polled::Records(0));
                }
                Ok(Polled::Assigned(places))
            }
            code::REVOKE_PARTITIONS => {
                self.revoked = partitions;
                let lost = self.handle.is_lost();
                Ok(Polled::Revoked { places, lost })
            }
            other => {
                self.assign_all(std::ptr::null())?;
                Ok(Polled::Error(KafkaError::of(other)))
            }
        }
    }

    /// Takes an assignment up; says whether it was, and not left to the leaving of a member that a signal ends.
    fn assign(
        &mut self,
        partitions: &[Entry],
        places: &[TopicPartition],
    ) -> Result<bool, GroupError> {
        let (Some(ends), Some(starts)) = (self.ends_of(places)?, self.starts(places)?) else {
            return Ok(false);
        };
        for place in places {
            self.track_partition(place, ends.get(place).copied().flatten())?;
            self.forward_queue(place)?;
        }
        let list = self.list(partitions, |entry| {
            let place = (entry.topic.clone(), entry.partition);
            starts.offsets.get(&place).copied().unwrap_or(entry.offset)
        })?;
        self.seen.extend(places.iter().cloned());
        self.is_assigned = true;
        if self.is_incremental() {
            self.incremental(&list, ffi::rd_kafka_incremental_assign)?;
        } else {
            self.assign_all(list.as_ptr())?;
        }
        if self.membership.stop != Stop::Never {
            // librdkafka remembers that a partition was paused at its end, beyond its revocation.
            // SAFETY: handle and list are live. What was not paused is left as it is.
            unsafe {
                ffi::resume_partitions(self.handle.client.as_ptr(), list.as_ptr());
            }
        }
        match self.commit(&starts.new) {
            // Whoever gets the partitions next begins them.
            Err(GroupError::Lost { .. }) => Ok(true),
            Err(_) if (self.interrupted)() => Ok(true),
            other => other.map(|()| true),
        }
    }

    /// Where partitions stop; `None` after a signal.
    fn ends_of(
        &self,
        places: &[TopicPartition],
    ) -> Result<Option<HashMap<TopicPartition, Option<i64>>>, GroupError> {
        match self.membership.stop {
            Stop::Never => Ok(Some(HashMap::new())),
            Stop::AtOwnEnd => {
                let question = |(topic, partition): &TopicPartition| OffsetQuery {
                    topic: topic.clone(),
                    partition: *partition,
                    spec: OffsetSpec::Latest,
                };
                let questions: Vec<OffsetQuery> = places.iter().map(question).collect();
                let ends = self.ask_offsets(&questions, self.membership.isolation)?;
                Ok(ends.map(|ends| places.iter().cloned().zip(ends).collect()))
            }
            Stop::AtGroupEnd => {
                // A partition that was made later has nothing that was there at the start.
                let end = |place: &TopicPartition| self.ends.get(place).copied().unwrap_or(0);
                let rows = places.iter().map(|place| (place.clone(), Some(end(place))));
                Ok(Some(rows.collect()))
            }
        }
    }

    /// Makes the inbox take the records of a partition.
    fn track_partition(
        &mut self,
        place: &TopicPartition,
        end: Option<i64>,
    ) -> Result<(), GroupError> {
        let (name, partition) = (&place.0, place.1 as usize);
        let found = self.inbox.topics.iter().position(|t| t.name == *name);
        let index = if let Some(index) = found {
            index
        } else {
            let handle = TopicHandle::new(&self.handle.client, name)
                .map_err(|error| ConsumeError::Topic(name.clone(), error))?;
            self.inbox.topics.push(TopicState {
                name: name.clone(),
                partitions: Vec::new(),
                handle,
            });
            self.inbox.topics.len() - 1
        };
        let states = &mut self.inbox.topics[index].partitions;
        if states.len() <= partition {
            states.resize_with(partition + 1, || None);
        }
        states[partition] = Some(PartitionState {
            was_at_end: false,
            end,
            is_done: end == Some(0),
        });
        Ok(())
    }

    /// Sends a partition's messages to the inbox, where a callback takes them, instead of one by one through the group's queue.
    fn forward_queue(&self, place: &TopicPartition) -> Result<(), GroupError> {
        let name = topic_name(&place.0).map_err(|e| self.refused(e))?;
        // SAFETY: handle, name and queues are live; the reference to the partition's queue is given back.
        unsafe {
            let queue = ffi::rd_kafka_queue_get_partition(
                self.handle.client.as_ptr(),
                name.as_ptr(),
                place.1,
            );
            if !queue.is_null() {
                ffi::rd_kafka_queue_forward(queue, self.inbox.as_ptr());
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
    pub(super) fn is_incremental(&self) -> bool {
        // SAFETY: the handle is live; the name is static.
        let protocol = unsafe {
            ffi::text(ffi::rd_kafka_rebalance_protocol(
                self.handle.client.as_ptr(),
            ))
        };
        protocol == "COOPERATIVE"
    }

    /// NULL is the empty assignment.
    fn assign_all(
        &self,
        list: *const ffi::rd_kafka_topic_partition_list_t,
    ) -> Result<(), GroupError> {
        // SAFETY: handle and list are live; the list is copied.
        match unsafe { ffi::assign(self.handle.client.as_ptr(), list) } {
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
            let error = change(self.handle.client.as_ptr(), list.as_ptr());
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
    pub(super) fn pause(&self, topic: usize, partition: i32) {
        let mut list = PartitionList::new();
        if list
            .add(&self.inbox.topics[topic].name, partition, 0)
            .is_ok()
        {
            // SAFETY: handle and list are live. What can't be paused is passed over by the inbox.
            unsafe {
                ffi::pause_partitions(self.handle.client.as_ptr(), list.as_ptr());
            }
        }
    }
}
