//! Records that fail: refused, purged, too late, or because the producer ends.

use std::time::{Duration, Instant};

use super::Accumulator;
use super::batch::Batch;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::produce::undelivered::Undelivered;
use crate::record::Record;

impl Accumulator {
    #[inline]
    pub(super) fn has_failed_transaction(&self) -> bool {
        let transaction = self.transaction.as_ref();
        transaction.is_some_and(|transaction| transaction.has_failed)
    }

    /// A record failed: the open transaction can only be aborted, so nothing more of it is sent.
    pub(super) fn fail_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction
            && !std::mem::replace(&mut transaction.has_failed, true)
        {
            self.purge(&KafkaError::of(code::PURGE_QUEUE));
        }
    }

    pub(super) fn fail_record(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        record: &Record<'_>,
        opaque: u64,
        error: &KafkaError,
    ) {
        let name = self.topics[topic].name.clone();
        let record = Undelivered::refused(record, opaque, name, partition, error.clone());
        self.report.failed_alone(record);
        self.end_after_failure(error);
    }

    /// Ends what a record that failed ends: the transaction, or the producer where it may leave no gap.
    pub(super) fn end_after_failure(&mut self, error: &KafkaError) {
        self.fail_transaction();
        // The time limit is not covered (librdkafka's CONFIGURATION.md), and purged records are the consequence of an end.
        let leaves_gap = !matches!(
            error.code,
            code::MESSAGE_TIMED_OUT | code::PURGE_QUEUE | code::PURGE_INFLIGHT
        );
        if self.settings.is_gapless && leaves_gap {
            let reason = format!("enable.gapless.guarantee=true: a record failed: {error}");
            self.set_fatal(KafkaError::new(code::GAPLESS_GUARANTEE, reason));
        }
    }

    /// Fails a batch that is not in flight.
    pub(super) fn fail_batch(
        &mut self,
        topic: usize,
        partition: usize,
        batch: Batch,
        error: &KafkaError,
    ) {
        let state = &mut self.topics[topic];
        state.partitions[partition].sequences.given_up(&batch);
        self.memory -= batch.memory;
        self.report
            .failed(batch, &state.name, partition as i32, error);
        self.end_after_failure(error);
    }

    /// Fails everything that is not in flight.
    pub(in crate::kafka::produce) fn purge(&mut self, error: &KafkaError) {
        for topic in 0..self.topics.len() {
            self.fail_topic(topic, error);
        }
    }

    /// Fails all records of a topic that are not in flight.
    pub(super) fn fail_topic(&mut self, topic: usize, error: &KafkaError) {
        for partition in 0..self.topics[topic].partitions.len() {
            self.fail_partition(topic, partition, error);
        }
        let waiting = std::mem::take(&mut self.topics[topic].waiting);
        let has_failed = !waiting.is_empty();
        for (_, record) in waiting {
            self.memory -= record.size();
            let error = error.clone();
            self.report.failed_alone(Undelivered { error, ..record });
        }
        if has_failed {
            self.end_after_failure(error);
        }
    }

    pub(super) fn fail_partition(&mut self, topic: usize, partition: usize, error: &KafkaError) {
        let state = &mut self.topics[topic].partitions[partition];
        state.close_open();
        for batch in std::mem::take(&mut state.queue) {
            self.fail_batch(topic, partition, batch, error);
        }
    }

    /// Ends this producer: nothing is sent any more.
    pub(in crate::kafka::produce) fn set_fatal(&mut self, error: KafkaError) {
        if self.fatal.is_some() {
            return;
        }
        let purged = KafkaError::new(code::PURGE_QUEUE, error.to_string());
        self.fatal = Some(error);
        self.purge(&purged);
    }

    /// Fails what was not delivered within message.timeout.ms.
    pub(in crate::kafka::produce) fn expire(&mut self, now: Instant) {
        let Some(limit) = self.settings.delivery_timeout else {
            return;
        };
        for index in 0..self.active.len() {
            let (topic, partition) = self.active[index];
            let state = &mut self.topics[topic].partitions[partition];
            if state
                .open
                .as_ref()
                .is_some_and(|open| now >= open.created + limit)
            {
                state.close_open();
            }
            let is_late = |batch: &Batch| now >= batch.created + limit;
            let first_late = |this: &mut Accumulator| {
                let queue = &mut this.topics[topic].partitions[partition].queue;
                queue
                    .front()
                    .is_some_and(is_late)
                    .then(|| queue.pop_front())?
            };
            while let Some(batch) = first_late(self) {
                let error = timed_out(limit, batch.last_error.as_ref());
                self.fail_batch(topic, partition, batch, &error);
            }
        }
        let mut last_error = None;
        for topic in &mut self.topics {
            let waiting = &mut topic.waiting;
            while waiting
                .front()
                .is_some_and(|(created, _)| now >= *created + limit)
                && let Some((_, record)) = waiting.pop_front()
            {
                self.memory -= record.size();
                let error = timed_out(limit, None);
                last_error = Some(error.clone());
                self.report.failed_alone(Undelivered { error, ..record });
            }
        }
        if let Some(error) = last_error {
            self.end_after_failure(&error);
        }
    }
}

pub(super) fn unknown_partition(partition: i32, count: u32) -> KafkaError {
    let reason = format!("there is no partition {partition}, the topic has {count}");
    KafkaError::new(code::UNKNOWN_PARTITION, reason)
}

fn timed_out(limit: Duration, last: Option<&KafkaError>) -> KafkaError {
    let cause = last.map_or_else(String::new, |error| format!(": {error}"));
    let reason = format!(
        "not delivered within message.timeout.ms={}{cause}",
        limit.as_millis()
    );
    KafkaError::new(code::MESSAGE_TIMED_OUT, reason)
}
