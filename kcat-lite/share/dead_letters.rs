//! `--reject-to`: the topic of rejected records, each with headers that say from where it is and why.
//!
//! The names of the headers are those of KIP-1191, the brokers' own dead-letter queues of share groups.

use std::collections::HashMap;

use tools::kafka::produce::{Enqueued, TopicId};
use tools::kafka::{Options, Producer};

use super::job::JobRecord;

pub(super) struct DeadLetters {
    producer: Producer,
    topic: TopicId,
    name: String,
    group: String,
    next: u64,
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
            in_flight: HashMap::new(),
        })
    }

    /// Sends a record; [`DeadLetters::take_delivered`] returns it.
    pub(super) fn send(&mut self, record: JobRecord, reason: &str) {
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
        let (producer, topic, opaque) = (&mut self.producer, self.topic, self.next);
        record.with_headers(&headers, |record| {
            while producer.send(topic, None, record, opaque) == Enqueued::QueueFull {
                producer.poll(10);
            }
        });
        self.in_flight.insert(opaque, record);
        self.next += 1;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The records that are on their way.
    pub(super) fn in_flight(&mut self) -> impl Iterator<Item = &mut JobRecord> {
        self.in_flight.values_mut()
    }

    /// The records that were delivered since the last call.
    pub(super) fn take_delivered(&mut self) -> Vec<JobRecord> {
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
