//! Partitions read without a group, each from its start to its bound.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::inbox::{Inbox, PartitionState, Served, TopicState};
use super::span::{self, Plan, Span};
use super::{ConsumeError, Item, Place, Start, Wanted};
use crate::kafka::error::KafkaError;
use crate::kafka::{Client, ffi};

/// Reads partitions.
pub struct Reader<'c> {
    inbox: Inbox,
    active: usize,
    expected_records: Option<u64>,
    /// Partitions that have no record at the start.
    refused: VecDeque<ConsumeError>,
    partly_read: Vec<Place>,
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
        let plans_by_name = plans
            .iter()
            .map(|plan| (plan.topic.name.as_str(), &plan.spans));
        let partly_read = span::partly_read(plans_by_name);
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
            refused: VecDeque::new(),
            partly_read,
            client,
        };
        for plan in plans {
            reader.start_topic(plan, wanted.start)?;
        }
        Ok(reader)
    }

    fn start_topic(&mut self, plan: Plan, start: Start) -> Result<(), ConsumeError> {
        let reset = self.client.property("auto.offset.reset");
        let is_refused = reset.as_deref() == Some("error");
        let count = plan.topic.partitions.iter().max().map_or(0, |&p| p + 1);
        let mut topic = TopicState {
            name: plan.topic.name,
            partitions: (0..count).map(|_| None).collect(),
            handle: plan.topic.handle,
        };
        for span in &plan.spans {
            let place = (topic.name.as_str(), span.partition);
            // What the group has committed may be out of range, too: that is for librdkafka to find out.
            let is_open = start == Start::Stored || span.out_of_range.is_some();
            let is_empty = !is_open && span.end.is_some_and(|end| end == 0 || span.start >= end);
            let is_over = is_empty || (is_refused && span.out_of_range.is_some());
            match span.out_of_range {
                Some(range) if is_refused => {
                    self.refused
                        .push_back(out_of_range(place, span.start, range));
                }
                Some((first, next)) => log::warn!(
                    "{} [{}]: offset {} is out of range, which is {first} to {next}; auto.offset.reset={} says where to read on",
                    place.0,
                    place.1,
                    span.start,
                    reset.as_deref().unwrap_or_default()
                ),
                None => {}
            }
            topic.partitions[span.partition as usize] = Some(PartitionState {
                end: span.end,
                is_done: is_over,
                was_at_end: false,
            });
            if !is_over {
                start_partition(&topic, span, self.inbox.queue())?;
                self.active += 1;
            }
        }
        self.inbox.topics.push(topic);
        Ok(())
    }

    /// Whether every partition has reached its bound.
    pub fn is_done(&self) -> bool {
        self.active == 0 && self.refused.is_empty()
    }

    /// Whether every partition was read to its end at least once.
    pub fn was_at_ends(&self) -> bool {
        self.inbox.topics.iter().all(|topic| {
            let mut states = topic.partitions.iter().flatten();
            states.all(|state| state.is_done || state.was_at_end)
        })
    }

    /// The partitions that have records before those that are read, where that is known.
    pub fn partly_read(&self) -> &[Place] {
        &self.partly_read
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
        if let Some(error) = self.refused.pop_front() {
            return Err(error);
        }
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

fn out_of_range(place: (&str, i32), offset: i64, (first, next): (i64, i64)) -> ConsumeError {
    ConsumeError::OutOfRange {
        topic: place.0.to_owned(),
        partition: place.1,
        offset,
        first,
        next,
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
