//! librdkafka's simple consumer: partitions read without a group.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::offset_range::{self, OffsetRange, StartLookup, TopicRanges};
use super::queue::{MessageQueue, PartitionState, PollResult, TopicState};
use super::{ConsumeError, Item, ReadRequest, Start, topics};
use crate::kafka::error::KafkaError;
use crate::kafka::topic::TopicHandle;
use crate::kafka::types::TopicPartition;
use crate::kafka::wire::Wire;
use crate::kafka::{Client, Options, ffi};

pub struct SimpleConsumer<'c> {
    queue: MessageQueue,
    active_count: usize,
    expected_records: Option<u64>,
    /// Errors of partitions that start out of range.
    errors: VecDeque<ConsumeError>,
    partly_read: Vec<TopicPartition>,
    client: &'c Client,
}

impl<'c> SimpleConsumer<'c> {
    /// Finds the partitions, looks up their ranges and starts reading.
    ///
    /// `client` is a consumer created from `options`, which were [tuned](super::tune).
    pub fn start(
        client: &'c Client,
        options: &Options,
        request: &ReadRequest,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<SimpleConsumer<'c>, ConsumeError> {
        let mut wire = Wire::new(client);
        let (metadata, mut topics) =
            offset_range::resolve(&mut wire, request, StartLookup::Lazy, interrupted)?;
        if request.start == Start::Stored {
            let is_reset_set = options.is_set("auto.offset.reset");
            offset_range::start_stored(&mut wire, &metadata, &mut topics, interrupted)?;
            for range in topics.iter_mut().flat_map(|topic| &mut topic.ranges) {
                if range.start < 0 && !is_reset_set {
                    range.start = ffi::RD_KAFKA_OFFSET_END.into();
                }
            }
        }
        let mut queue = MessageQueue::new(client, request.wants_headers);
        queue.stop_time_ms = request.stop_time_ms;
        let mut consumer = SimpleConsumer {
            queue,
            active_count: 0,
            expected_records: offset_range::expected_records(&topics),
            errors: VecDeque::new(),
            partly_read: offset_range::partly_read(&topics),
            client,
        };
        let handles = topics::open(
            client,
            topics.iter().map(|topic| topic.name.as_str()),
            interrupted,
        )?;
        for (topic, handle) in topics.into_iter().zip(handles) {
            consumer.start_topic(topic, handle)?;
        }
        Ok(consumer)
    }

    fn start_topic(
        &mut self,
        TopicRanges { name, ranges }: TopicRanges,
        handle: TopicHandle,
    ) -> Result<(), ConsumeError> {
        let reset = self.client.property("auto.offset.reset");
        let is_error = reset.as_deref() == Some("error");
        let count = ranges.iter().map(|range| range.partition + 1).max();
        let mut topic = TopicState {
            name,
            partitions: (0..count.unwrap_or(0)).map(|_| None).collect(),
            handle,
        };
        for range in &ranges {
            let is_empty = range.end.is_some_and(|end| end == 0 || range.start >= end);
            if let Some((first, next)) = range.out_of_range {
                let error = ConsumeError::OutOfRange {
                    topic: topic.name.clone(),
                    partition: range.partition,
                    offset: range.start,
                    first,
                    next,
                };
                if is_error {
                    self.errors.push_back(error);
                } else {
                    log::warn!(
                        "{} [{}]: offset {} is out of range, which is {first} to {next}; auto.offset.reset={} says where to read on",
                        topic.name,
                        range.partition,
                        range.start,
                        reset.as_deref().unwrap_or_default()
                    );
                }
            }
            let is_done = match range.out_of_range {
                Some(_) => is_error,
                None => is_empty,
            };
            topic.partitions[range.partition as usize] = Some(PartitionState {
                end: range.end,
                is_done,
                was_at_end: false,
            });
            if !is_done {
                start_partition(&topic, range, self.queue.as_ptr())?;
                self.active_count += 1;
            }
        }
        self.queue.topics.push(topic);
        Ok(())
    }

    /// Whether every partition was read to its bound.
    pub fn is_done(&self) -> bool {
        self.active_count == 0 && self.errors.is_empty()
    }

    /// Whether every partition was read to its end at least once.
    pub fn was_at_ends(&self) -> bool {
        self.queue.topics.iter().all(|topic| {
            let mut states = topic.partitions.iter().flatten();
            states.all(|state| state.is_done || state.was_at_end)
        })
    }

    /// The partitions that are known to have records before the start.
    pub fn partly_read(&self) -> &[TopicPartition] {
        &self.partly_read
    }

    /// The number of offsets between the starts and the bounds, if all are known.
    pub fn expected_records(&self) -> Option<u64> {
        self.expected_records
    }

    /// Waits at most `timeout_ms` for messages, calls `take` with them in order, and returns the number of records.
    ///
    /// `Break` ends the call; the rest of the messages stays for the next.
    pub fn read<F>(&mut self, timeout_ms: i32, take: F) -> Result<usize, ConsumeError>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        if let Some(error) = self.errors.pop_front() {
            return Err(error);
        }
        let PollResult {
            records,
            ended,
            failed,
        } = self.queue.poll(self.client, timeout_ms, take);
        for (topic, partition) in ended {
            self.stop(topic, partition);
            self.active_count -= 1;
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(records),
        }
    }

    fn stop(&self, topic: usize, partition: i32) {
        // SAFETY: the topic is live; an error means that the partition is not read, which is the aim.
        unsafe {
            ffi::rd_kafka_consume_stop(self.queue.topics[topic].handle.as_ptr(), partition);
        }
    }
}

impl Drop for SimpleConsumer<'_> {
    fn drop(&mut self) {
        for (index, topic) in self.queue.topics.iter().enumerate() {
            for (partition, state) in topic.partitions.iter().enumerate() {
                if state.as_ref().is_some_and(|state| !state.is_done) {
                    self.stop(index, partition as i32);
                }
            }
        }
    }
}

fn start_partition(
    topic: &TopicState,
    range: &OffsetRange,
    queue: *mut ffi::rd_kafka_queue_t,
) -> Result<(), ConsumeError> {
    let handle = topic.handle.as_ptr();
    // SAFETY: topic and queue are live.
    let result =
        unsafe { ffi::rd_kafka_consume_start_queue(handle, range.partition, range.start, queue) };
    if result == 0 {
        return Ok(());
    }
    Err(ConsumeError::Partition {
        topic: topic.name.clone(),
        partition: range.partition,
        error: KafkaError::of(ffi::last_error()),
    })
}
