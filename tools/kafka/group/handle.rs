//! librdkafka's handle of a group's member, for all that use it.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use crate::kafka::error::{KafkaError, code};
use crate::kafka::partitions::{PartitionList, entries};
use crate::kafka::types::TopicPartition;
use crate::kafka::wire::follow_coordinator;
use crate::kafka::{Client, ffi};

/// What is committed of each partition; none where nothing is.
pub(super) type Committed = HashMap<TopicPartition, Option<i64>>;

/// librdkafka's handle and its queue of rebalances and errors of the group.
pub(super) struct GroupHandle {
    pub(super) events: *mut ffi::rd_kafka_queue_t,
    /// The brokers' state for which the coordinator's address was looked up.
    brokers_state: AtomicI32,
    // The last field: queues are given back before their client.
    pub(super) client: Arc<Client>,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for GroupHandle {}
// SAFETY: as above.
unsafe impl Sync for GroupHandle {}

impl GroupHandle {
    /// `client` is a consumer with a group.
    pub(super) fn new(client: Arc<Client>) -> GroupHandle {
        // SAFETY: the client is live and has a group; the queue is given back when the handle is dropped.
        let events = unsafe { ffi::rd_kafka_queue_get_consumer(client.as_ptr()) };
        GroupHandle {
            events,
            brokers_state: AtomicI32::new(0),
            client,
        }
    }

    /// Whether the group has given this member's partitions to others.
    pub(super) fn is_lost(&self) -> bool {
        // SAFETY: the handle is live.
        unsafe { ffi::rd_kafka_assignment_lost(self.client.as_ptr()) != 0 }
    }

    /// Follows a coordinator that is now at another address; cheap while nothing changes.
    pub(super) fn follow_coordinator(&self) {
        follow_coordinator(&self.client, &self.brokers_state);
    }

    /// Whether the consumer has left its group for good.
    pub(super) fn is_closed(&self) -> bool {
        // SAFETY: the handle is live.
        unsafe { ffi::rd_kafka_consumer_closed(self.client.as_ptr()) != 0 }
    }

    /// Asks the group's coordinator once what is committed.
    pub(super) fn committed(
        &self,
        topic_partitions: &[TopicPartition],
        within: Duration,
    ) -> Result<Committed, KafkaError> {
        let mut list = PartitionList::new();
        for (topic, partition) in topic_partitions {
            list.add(topic, *partition, 0)?;
        }
        let timeout_ms = within.as_millis().clamp(1, i32::MAX as u128) as i32;
        // SAFETY: handle and list are live; the answer is written into the list.
        let (error, answers) = unsafe {
            let error = ffi::committed(self.client.as_ptr(), list.as_ptr(), timeout_ms);
            (error, entries(list.as_ptr()))
        };
        if error != code::NONE {
            return Err(KafkaError::of(error));
        }
        answers
            .into_iter()
            .map(|answer| match answer.error {
                code::NONE | code::UNKNOWN_TOPIC_OR_PARTITION => {
                    let offset = (answer.offset >= 0).then_some(answer.offset);
                    Ok(((answer.topic, answer.partition), offset))
                }
                other => Err(KafkaError::of(other)),
            })
            .collect()
    }
}

impl Drop for GroupHandle {
    fn drop(&mut self) {
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_queue_destroy(self.events) }
    }
}
