//! What the group gives to a member and takes from it.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::time::Instant;

use super::member::{Member, Polled};
use super::reader::Assigned;
use super::{GroupError, Positions, Stop};
use crate::kafka::admin::{OffsetQuery, OffsetSpec};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;
use crate::kafka::partitions::PartitionList;
use crate::kafka::types::TopicPartition;

impl Member {
    /// Lets go of the partitions that [`Polled::Revoked`] named.
    pub fn release(&mut self) -> Result<(), GroupError> {
        let revoked = std::mem::take(&mut self.revoked);
        for topic_partition in &revoked {
            self.reader.release(topic_partition);
        }
        let is_incremental = self.is_incremental();
        if !is_incremental || self.reader.partitions().is_empty() {
            // What comes next is said by the next assignment.
            self.is_assigned = false;
            self.known_since = None;
            self.waiting_since = Some(Instant::now());
        }
        if !is_incremental {
            return self.assign_all(std::ptr::null());
        }
        let mut list = PartitionList::new();
        for (topic, partition) in &revoked {
            list.add(topic, *partition, 0)
                .map_err(|e| self.refused(e))?;
        }
        self.incremental(&list, ffi::rd_kafka_incremental_unassign)
    }

    pub(super) fn rebalance(
        &mut self,
        kind: i32,
        topic_partitions: Vec<TopicPartition>,
    ) -> Result<Polled, GroupError> {
        match kind {
            code::ASSIGN_PARTITIONS => {
                if !self.assign(&topic_partitions)? {
                    return Ok(Polled::Records(0));
                }
                Ok(Polled::Assigned(topic_partitions))
            }
            code::REVOKE_PARTITIONS => {
                self.revoked.clone_from(&topic_partitions);
                let lost = self.handle.is_lost();
                Ok(Polled::Revoked {
                    topic_partitions,
                    lost,
                })
            }
            other => {
                self.assign_all(std::ptr::null())?;
                Ok(Polled::Error(KafkaError::of(other)))
            }
        }
    }

    /// Takes an assignment up; says whether it was, and not left to the leaving of a member that a signal ends.
    fn assign(&mut self, topic_partitions: &[TopicPartition]) -> Result<bool, GroupError> {
        let (Some(ends), Some(starts)) = (
            self.ends_of(topic_partitions)?,
            self.starts(topic_partitions)?,
        ) else {
            return Ok(false);
        };
        let assigned = topic_partitions.iter().map(|topic_partition| Assigned {
            topic_partition: topic_partition.clone(),
            start: starts.start(topic_partition),
            end: ends.get(topic_partition).copied().flatten(),
        });
        let assigned: Vec<Assigned> = assigned.collect();
        let list = self.reader.prepare(&self.handle.client, &assigned)?;
        self.seen.extend(topic_partitions.iter().cloned());
        self.is_assigned = true;
        if self.is_incremental() {
            self.incremental(&list, ffi::rd_kafka_incremental_assign)?;
        } else {
            self.assign_all(list.as_ptr())?;
        }
        self.reader.assign(&self.handle.client, &assigned, &list);
        match self.commit(&starts.new) {
            // Whoever gets the partitions next begins them.
            Err(GroupError::Lost { .. }) => Ok(true),
            Err(_) if (self.interrupted)() => Ok(true),
            other => other.map(|()| true),
        }
    }

    /// Reads assigned partitions again from these positions.
    pub fn rewind(&mut self, positions: &Positions) -> Result<(), GroupError> {
        let topic_partitions: Vec<TopicPartition> = positions.keys().cloned().collect();
        let Some(ends) = self.ends_of(&topic_partitions)? else {
            return Ok(());
        };
        for (topic_partition, offset) in positions {
            let end = ends.get(topic_partition).copied().flatten();
            let client = &self.handle.client;
            self.reader.rewind(client, topic_partition, *offset, end)?;
        }
        Ok(())
    }

    /// Where partitions stop; `None` after a signal.
    fn ends_of(
        &self,
        topic_partitions: &[TopicPartition],
    ) -> Result<Option<HashMap<TopicPartition, Option<i64>>>, GroupError> {
        match self.membership.stop {
            Stop::Never => Ok(Some(HashMap::new())),
            Stop::AtOwnEnd => {
                let questions = topic_partitions.iter();
                let questions = questions.map(|it| OffsetQuery::new(it, OffsetSpec::Latest));
                let questions: Vec<OffsetQuery> = questions.collect();
                let ends = self.ask_offsets(&questions, self.membership.isolation)?;
                Ok(ends.map(|ends| topic_partitions.iter().cloned().zip(ends).collect()))
            }
            Stop::AtGroupEnd => {
                // A partition that was made later has nothing that was there at the start.
                let end = |topic_partition: &TopicPartition| {
                    self.ends.get(topic_partition).copied().unwrap_or(0)
                };
                let rows = topic_partitions
                    .iter()
                    .map(|topic_partition| (topic_partition.clone(), Some(end(topic_partition))));
                Ok(Some(rows.collect()))
            }
        }
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
        let rk = self.handle.client.as_ptr();
        // SAFETY: handle and list are live, the list is copied; the error, if there is one, is ours.
        let error = unsafe { ffi::take_error(change(rk, list.as_ptr())) };
        error.map_or(Ok(()), |error| Err(self.refused(error)))
    }
}
