//! `--reject-to`: the topic of rejected records, each with headers that say from where it is and why.
//!
//! The names of the headers are those of KIP-1191, the brokers' own dead-letter queues of share groups.

use std::collections::{HashMap, VecDeque};

use tools::kafka::produce::{Enqueued, TopicId};
use tools::kafka::{Options, Producer};

use super::job::JobRecord;

pub(super) struct DeadLetters {
    producer: Producer,
    topic: TopicId,
    name: String,
    group: String,
    next: u64,
    /// For which the producer has had no room, each with the reason.
    waiting: VecDeque<(JobRecord, String)>,
    in_flight: HashMap<u64, JobRecord>,
}

impl DeadLetters {
    pub(super) fn open(
        options: &Options,
        topic: &str,
        group: &str,
        interrupted: &dyn Fn() -> bool,
    ) -> anyhow::Result<DeadLetters> {
        let producer = Producer::new(options)?;
        let id = producer.topic(topic);
        producer
            .contact(Some(id), interrupted)
            .map_err(|error| anyhow::anyhow!("--reject-to {topic}: {error}"))?;
        producer.keep_delivered();
        Ok(DeadLetters {
            producer,
            topic: id,
            name: topic.to_owned(),
            group: group.to_owned(),
            next: 0,
            waiting: VecDeque::new(),
            in_flight: HashMap::new(),
        })
    }

    /// Sends a record; [`DeadLetters::take_delivered`] returns it.
    pub(super) fn send(&mut self, record: JobRecord, reason: String) {
        self.waiting.push_back((record, reason));
        self.send_waiting();
    }

    /// Sends what there is room for; the locks of the others are renewed meanwhile.
    fn send_waiting(&mut self) {
        while let Some((record, reason)) = self.waiting.pop_front() {
            if self.enqueue(&record, &reason) == Enqueued::QueueFull {
                self.waiting.push_front((record, reason));
                return;
            }
            self.in_flight.insert(self.next, record);
            self.next += 1;
        }
    }

    fn enqueue(&mut self, record: &JobRecord, reason: &str) -> Enqueued {
        let position = &record.position;
        let headers = [
            ("__dlq.errors.topic", position.topic.to_string()),
            ("__dlq.errors.partition", position.partition().to_string()),
            ("__dlq.errors.offset", position.offset.to_string()),
            ("__dlq.errors.group", self.group.clone()),
            (
                "__dlq.errors.delivery.count",
                record.delivery_count.to_string(),
            ),
            ("__dlq.errors.message", reason.to_owned()),
        ];
        record.with_headers(&headers, |record| {
            self.producer.send(self.topic, None, record, self.next)
        })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.waiting.is_empty()
    }

    /// The records that are on their way.
    pub(super) fn in_flight(&mut self) -> impl Iterator<Item = &mut JobRecord> {
        let waiting = self.waiting.iter_mut().map(|(record, _)| record);
        self.in_flight.values_mut().chain(waiting)
    }

    /// The records that were delivered since the last call.
    pub(super) fn take_delivered(&mut self) -> Vec<JobRecord> {
        self.send_waiting();
        // Sends without waiting for more.
        self.producer.flush();
        let mut delivered = Vec::new();
        let in_flight = &mut self.in_flight;
        self.producer.take_delivered(&mut |opaque| {
            delivered.extend(in_flight.remove(&opaque));
        });
        delivered
    }

    /// Why a record was not delivered.
    pub(super) fn failure(&self) -> Option<anyhow::Error> {
        if let Some(failure) = self.producer.failures().first() {
            let record = self.in_flight.get(&failure.opaque);
            let record = record.map(|record| record.position.to_string());
            let record = record.unwrap_or_default();
            let (topic, error) = (&self.name, &failure.error);
            return Some(anyhow::anyhow!("--reject-to {topic}: {record}: {error}"));
        }
        let error = self.producer.unreported_fatal_error()?;
        Some(anyhow::anyhow!("--reject-to {}: {error}", self.name))
    }
}
