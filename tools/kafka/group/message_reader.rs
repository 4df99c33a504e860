//! Reads the records of a member's partitions with librdkafka's consumer.
#![allow(unsafe_code)]

use super::reader::Assigned;
use crate::kafka::consume::queue::{MessageQueue, PartitionState, TopicState};
use crate::kafka::consume::{ConsumeError, Item};
use crate::kafka::error::KafkaError;
use crate::kafka::fetch::{RecordVisitor, StartPosition};
use crate::kafka::partitions::{PartitionList, topic_name};
use crate::kafka::topic::TopicHandle;
use crate::kafka::types::TopicPartition;
use crate::kafka::{Client, ffi};

/// How long librdkafka may take to go to another offset: its own threads, no broker.
const SEEK_MS: i32 = 5000;

pub(super) struct MessageReader {
    queue: MessageQueue,
}

impl MessageReader {
    /// To be dropped before `client`.
    pub(super) fn new(client: &Client, wants_headers: bool) -> MessageReader {
        MessageReader {
            queue: MessageQueue::new(client, wants_headers),
        }
    }

    pub(super) fn read(
        &mut self,
        client: &Client,
        timeout_ms: i32,
        visitor: &mut impl RecordVisitor,
    ) -> Result<usize, ConsumeError> {
        let polled = self.queue.poll(client, timeout_ms, |item| match item {
            Item::Record(record) => visitor.record(record),
            Item::End {
                topic,
                partition,
                offset,
            } => visitor.end(topic, partition, offset),
        });
        for (topic, partition) in polled.ended {
            self.pause(client, topic, partition);
        }
        match polled.failed {
            Some(error) => Err(error),
            None => Ok(polled.records),
        }
    }

    pub(super) fn prepare(
        &mut self,
        client: &Client,
        partitions: &[Assigned],
    ) -> Result<PartitionList, ConsumeError> {
        let mut list = PartitionList::new();
        for Assigned {
            topic_partition,
            start,
            end,
        } in partitions
        {
            let topic_error = |error| ConsumeError::Topic(topic_partition.0.clone(), error);
            self.track(client, topic_partition, *end)?;
            self.forward_queue(client, topic_partition)?;
            let offset = match *start {
                StartPosition::At(offset) => offset,
                StartPosition::Beginning => ffi::RD_KAFKA_OFFSET_BEGINNING.into(),
                StartPosition::End => ffi::RD_KAFKA_OFFSET_END.into(),
                StartPosition::Reset => ffi::RD_KAFKA_OFFSET_INVALID.into(),
            };
            list.add(&topic_partition.0, topic_partition.1, offset)
                .map_err(topic_error)?;
        }
        Ok(list)
    }

    pub(super) fn rewind(
        &mut self,
        client: &Client,
        topic_partition: &TopicPartition,
        offset: i64,
        end: Option<i64>,
    ) -> Result<(), ConsumeError> {
        self.track(client, topic_partition, end)?;
        let failed = |error| ConsumeError::Topic(topic_partition.0.clone(), error);
        let mut list = PartitionList::new();
        let (topic, partition) = topic_partition;
        list.add(topic, *partition, offset).map_err(failed)?;
        // SAFETY: handle and list are live; the error, if there is one, is ours. A paused partition is at its end.
        unsafe {
            let error = ffi::rd_kafka_seek_partitions(client.as_ptr(), list.as_ptr(), SEEK_MS);
            if let Some(error) = ffi::take_error(error) {
                return Err(failed(KafkaError::of(error.code)));
            }
            ffi::resume_partitions(client.as_ptr(), list.as_ptr());
        }
        Ok(())
    }

    pub(super) fn release(&mut self, (topic, partition): &TopicPartition) {
        let found = self.queue.topics.iter_mut().find(|t| t.name == *topic);
        if let Some(topic) = found
            && let Some(state) = topic.partitions.get_mut(*partition as usize)
        {
            *state = None;
        }
    }

    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        let topics = self.queue.topics.iter();
        let partitions = topics.flat_map(|topic| {
            let partitions = topic.partitions.iter().enumerate();
            let own = partitions.filter(|(_, state)| state.is_some());
            own.map(|(partition, _)| (topic.name.clone(), partition as i32))
        });
        partitions.collect()
    }

    pub(super) fn is_done(&self) -> bool {
        let topics = self.queue.topics.iter();
        let mut states = topics.flat_map(|topic| topic.partitions.iter().flatten());
        states.all(|state| state.is_done)
    }

    /// Makes the queue accept the records of a partition.
    fn track(
        &mut self,
        client: &Client,
        topic_partition: &TopicPartition,
        end: Option<i64>,
    ) -> Result<(), ConsumeError> {
        let (name, partition) = (&topic_partition.0, topic_partition.1 as usize);
        let found = self.queue.topics.iter().position(|t| t.name == *name);
        let index = if let Some(index) = found {
            index
        } else {
            let handle = TopicHandle::new(client, name)
                .map_err(|error| ConsumeError::Topic(name.clone(), error))?;
            self.queue.topics.push(TopicState {
                name: name.clone(),
                partitions: Vec::new(),
                handle,
            });
            self.queue.topics.len() - 1
        };
        let states = &mut self.queue.topics[index].partitions;
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

    /// Sends a partition's messages to the queue, where a callback takes them, instead of one by one through the group's.
    fn forward_queue(
        &self,
        client: &Client,
        topic_partition: &TopicPartition,
    ) -> Result<(), ConsumeError> {
        let name = topic_name(&topic_partition.0)
            .map_err(|error| ConsumeError::Topic(topic_partition.0.clone(), error))?;
        // SAFETY: handle, name and queues are live; the reference to the partition's queue is given back.
        unsafe {
            let queue = ffi::rd_kafka_queue_get_partition(
                client.as_ptr(),
                name.as_ptr(),
                topic_partition.1,
            );
            if !queue.is_null() {
                ffi::rd_kafka_queue_forward(queue, self.queue.as_ptr());
                ffi::rd_kafka_queue_destroy(queue);
            }
        }
        Ok(())
    }

    /// A partition that has reached its end is fetched no more.
    fn pause(&self, client: &Client, topic: usize, partition: i32) {
        let mut list = PartitionList::new();
        if list
            .add(&self.queue.topics[topic].name, partition, 0)
            .is_ok()
        {
            // SAFETY: handle and list are live. What can't be paused is passed over by the queue.
            unsafe {
                ffi::pause_partitions(client.as_ptr(), list.as_ptr());
            }
        }
    }
}
