//! What reads the records of a member's partitions: [`fetch`](crate::kafka::fetch), or librdkafka.
//!
//! librdkafka starts to fetch whatever is assigned to it. Where `fetch` reads,
//! the partitions are paused before they are assigned, at a position that
//! librdkafka need not look up: it sends no request for them.
#![allow(unsafe_code)]

use std::sync::Arc;

use super::message_reader::MessageReader;
use super::{GroupError, Membership};
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::KafkaError;
use crate::kafka::fetch::{FetchConsumer, RecordVisitor, StartPosition};
use crate::kafka::partitions::{PartitionList, topic_name};
use crate::kafka::types::TopicPartition;
use crate::kafka::{Client, Options, ffi};

/// A partition that the group has assigned to this member.
#[derive(Clone, Debug)]
pub(super) struct Assigned {
    pub(super) topic_partition: TopicPartition,
    pub(super) start: StartPosition,
    /// The offset before which reading stops.
    pub(super) end: Option<i64>,
}

pub(super) enum Reader {
    Fetch(Box<FetchConsumer<'static>>),
    Librdkafka(MessageReader),
}

impl Reader {
    pub(super) fn new(client: &Arc<Client>, options: &Options, membership: &Membership) -> Reader {
        let wants_headers = membership.wants_headers;
        if membership.uses_librdkafka {
            return Reader::Librdkafka(MessageReader::new(client, wants_headers));
        }
        let consumer = FetchConsumer::for_group(Arc::clone(client), options, wants_headers);
        Reader::Fetch(Box::new(consumer))
    }

    /// Passes records to `visitor`, after waiting for them at most `timeout_ms`; returns their number.
    pub(super) fn read(
        &mut self,
        client: &Client,
        timeout_ms: i32,
        visitor: &mut impl RecordVisitor,
    ) -> Result<usize, ConsumeError> {
        match self {
            Reader::Fetch(reader) => reader.read(timeout_ms, visitor),
            Reader::Librdkafka(reader) => reader.read(client, timeout_ms, visitor),
        }
    }

    /// What librdkafka is to assign, before it does.
    pub(super) fn prepare(
        &mut self,
        client: &Client,
        partitions: &[Assigned],
    ) -> Result<PartitionList, GroupError> {
        match self {
            Reader::Fetch(_) => paused(client, partitions)
                .map_err(|error| GroupError::Consume(ConsumeError::Failed(error))),
            Reader::Librdkafka(reader) => Ok(reader.prepare(client, partitions)?),
        }
    }

    /// Reads the partitions, which librdkafka has assigned.
    pub(super) fn assign(
        &mut self,
        client: &Client,
        partitions: &[Assigned],
        list: &PartitionList,
    ) {
        match self {
            Reader::Fetch(reader) => {
                for Assigned {
                    topic_partition,
                    start,
                    end,
                } in partitions
                {
                    reader.assign(topic_partition, *start, *end);
                }
            }
            Reader::Librdkafka(_) => {
                // librdkafka remembers that a partition was paused at its end, beyond its revocation.
                // SAFETY: handle and list are live. What was not paused is left as it is.
                unsafe {
                    ffi::resume_partitions(client.as_ptr(), list.as_ptr());
                }
            }
        }
    }

    /// Goes back to an offset.
    pub(super) fn rewind(
        &mut self,
        client: &Client,
        topic_partition: &TopicPartition,
        offset: i64,
        end: Option<i64>,
    ) -> Result<(), ConsumeError> {
        match self {
            Reader::Fetch(reader) => {
                reader.release(topic_partition);
                reader.assign(topic_partition, StartPosition::At(offset), end);
                Ok(())
            }
            Reader::Librdkafka(reader) => reader.rewind(client, topic_partition, offset, end),
        }
    }

    /// Stops reading a partition until [`Reader::resume`], which continues at `offset`; whether this reader can do that.
    pub(super) fn pause(&mut self, topic_partition: &TopicPartition, offset: i64) -> bool {
        match self {
            Reader::Fetch(reader) => reader.pause(topic_partition, offset),
            Reader::Librdkafka(_) => return false,
        }
        true
    }

    pub(super) fn resume(&mut self, topic_partition: &TopicPartition) {
        if let Reader::Fetch(reader) = self {
            reader.resume(topic_partition);
        }
    }

    /// Whether every partition that has more to read is paused.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self, Reader::Fetch(reader) if reader.is_paused())
    }

    /// Stops reading a partition.
    pub(super) fn release(&mut self, topic_partition: &TopicPartition) {
        match self {
            Reader::Fetch(reader) => reader.release(topic_partition),
            Reader::Librdkafka(reader) => reader.release(topic_partition),
        }
    }

    /// The assigned partitions.
    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        match self {
            Reader::Fetch(reader) => reader.assigned(),
            Reader::Librdkafka(reader) => reader.partitions(),
        }
    }

    /// Whether every assigned partition was read to its bound.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Reader::Fetch(reader) => reader.is_done(),
            Reader::Librdkafka(reader) => reader.is_done(),
        }
    }
}

/// Pauses the partitions, and returns them as librdkafka is to assign them.
fn paused(client: &Client, partitions: &[Assigned]) -> Result<PartitionList, KafkaError> {
    let mut list = PartitionList::new();
    for Assigned {
        topic_partition, ..
    } in partitions
    {
        let name = topic_name(&topic_partition.0)?;
        // A partition that librdkafka does not know can't be paused; asking for its queue makes it known.
        // SAFETY: handle and name are live; the reference to the queue is given back.
        unsafe {
            let queue = ffi::rd_kafka_queue_get_partition(
                client.as_ptr(),
                name.as_ptr(),
                topic_partition.1,
            );
            if !queue.is_null() {
                ffi::rd_kafka_queue_destroy(queue);
            }
        }
        list.add(&topic_partition.0, topic_partition.1, 0)?;
    }
    // SAFETY: handle and list are live.
    unsafe {
        ffi::pause_partitions(client.as_ptr(), list.as_ptr());
    }
    Ok(list)
}
