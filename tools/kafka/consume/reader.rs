//! Partitions read without a group, each from its start to its bound.
#![allow(unsafe_code)]

use std::ops::ControlFlow;

use super::inbox::{Inbox, PartitionState, Served, TopicState};
use super::span::{self, Plan, Span};
use super::{ConsumeError, Item, Wanted};
use crate::kafka::error::KafkaError;
use crate::kafka::{Client, ffi};

/// Reads partitions.
pub struct Reader<'c> {
    inbox: Inbox,
    active: usize,
    expected_records: Option<u64>,
    client: &'c Client,
}

impl<'c> Reader<'c> {
    /// Finds the partitions, settles their bounds and starts reading.
    ///
    /// `client` is a consumer whose options were [tuned](super::tune).
    pub fn start(
        client: &'c Client,
        wanted: &Wanted,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Reader<'c>, ConsumeError> {
        let plans = span::plan(client, wanted, interrupted)?;
        let expected: Option<Vec<u64>> = plans
            .iter()
            .flat_map(|plan| plan.spans.iter().map(|span| span.expected_records))
            .collect();
        let mut inbox = Inbox::new(client, wanted.wants_headers);
        inbox.stop_time_ms = wanted.stop_time_ms;
        let mut reader = Reader {
            inbox,
            active: 0,
            expected_records: expected.map(|counts| counts.iter().sum()),
            client,
        };
        for plan in plans {
            reader.start_topic(plan)?;
        }
        Ok(reader)
    }

    fn start_topic(&mut self, plan: Plan) -> Result<(), ConsumeError> {
        let count = plan.topic.partitions.iter().max().map_or(0, |&p| p + 1);
        let mut topic = TopicState {
            name: plan.topic.name,
            partitions: (0..count).map(|_| None).collect(),
            handle: plan.topic.handle,
        };
        for span in &plan.spans {
            let is_empty = span.end.is_some_and(|end| end == 0 || span.start >= end);
            topic.partitions[span.partition as usize] = Some(PartitionState {
                end: span.end,
                is_done: is_empty,
            });
            if !is_empty {
                start_partition(&topic, span, self.inbox.queue())?;
                self.active += 1;
            }
        }
        self.inbox.topics.push(topic);
        Ok(())
    }

    /// Whether every partition has reached its bound.
    pub fn is_done(&self) -> bool {
        self.active == 0
    }

    /// How many offsets lie between the starts and the bounds, where all are known.
    pub fn expected_records(&self) -> Option<u64> {
        self.expected_records
    }

    /// Hands what has arrived to `take`, in order, after waiting for it at most `timeout_ms`; says how many items there were.
    ///
    /// `Break` ends the call; what has arrived stays for the next.
    pub fn read<F>(&mut self, timeout_ms: i32, take: F) -> Result<usize, ConsumeError>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        let Served {
            records,
            ended,
            failed,
        } = self.inbox.serve(self.client, timeout_ms, take);
        for (topic, partition) in ended {
            self.stop(topic, partition);
            self.active -= 1;
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(records),
        }
    }

    /// What is wrong with the cluster as a whole, if something new is.
    pub fn trouble(&self) -> Option<KafkaError> {
        let mut last = None;
        while let Some(event) = self.client.poll(0) {
            last = self.client.note(&event).or(last);
        }
        last
    }

    /// The client, for what it knows of the cluster.
    pub fn client(&self) -> &'c Client {
        self.client
    }

    fn stop(&self, topic: usize, partition: i32) {
        // SAFETY: the topic is live; an error means that it is not read, which is what is wanted.
        unsafe {
            ffi::rd_kafka_consume_stop(self.inbox.topics[topic].handle.as_ptr(), partition);
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        for (index, topic) in self.inbox.topics.iter().enumerate() {
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
    span: &Span,
    queue: *mut ffi::rd_kafka_queue_t,
) -> Result<(), ConsumeError> {
    // SAFETY: topic and queue are live.
    let result = unsafe {
        ffi::rd_kafka_consume_start_queue(topic.handle.as_ptr(), span.partition, span.start, queue)
    };
    if result == 0 {
        return Ok(());
    }
    Err(ConsumeError::Partition {
        topic: topic.name.clone(),
        partition: span.partition,
        error: KafkaError::of(ffi::last_error()),
    })
}
