//! Splits a failed batch: a second producer sends each of its records in a batch of its own.
//!
//! A batch may be too large for the broker although each record is small enough, or may have left a gap in its
//! partition (`GAPLESS_GUARANTEE`, see `shim.c`). Neither is stored; the retried records come after those sent later.

use super::{Enqueued, Producer, Undelivered};
use crate::kafka::client::ContactError;
use crate::kafka::error::KafkaError;

impl Producer {
    /// Sends each record in a batch of its own.
    pub(super) fn split_and_retry(&mut self, records: Vec<Undelivered>) {
        if records.is_empty() {
            return;
        }
        let retrier = match self.retrier.take() {
            Some(producer) => Ok(producer),
            None => self.new_retrier(),
        };
        match retrier {
            Ok(mut retrier) => {
                for record in records {
                    retrier.send_alone(record);
                }
                self.retrier = Some(retrier);
            }
            Err(error) => {
                for mut record in records {
                    record.error = KafkaError::new(record.error.code, error.to_string());
                    self.mark_failed(record);
                }
            }
        }
    }

    fn new_retrier(&self) -> Result<Box<Producer>, ContactError> {
        let mut options = self.options.clone();
        options.force("batch.num.messages", "1");
        options.force("linger.ms", "0");
        // A refused record delays the next one, which keeps their order.
        options.force("max.in.flight.requests.per.connection", "1");
        let mut retrier = Producer::with(options, true)?;
        if self.delivered.is_some() {
            retrier.keep_delivered();
        }
        if self.undelivered.is_some() {
            retrier.keep_undelivered();
        }
        Ok(Box::new(retrier))
    }

    fn send_alone(&mut self, record: Undelivered) {
        self.backlog.push_back(record);
        self.send_backlog();
    }

    /// Sends what fits into the queue; the rest waits for the next call, so that this one never blocks.
    pub(super) fn send_backlog(&mut self) {
        while let Some(record) = self.backlog.pop_front() {
            let topic = match self.topic(&record.topic) {
                Ok(topic) => topic,
                Err(error) => {
                    self.mark_failed(Undelivered { error, ..record });
                    continue;
                }
            };
            let headers = record.headers();
            let whole = record.record(&headers);
            if self.send(topic, record.partition, &whole, record.opaque) == Enqueued::QueueFull {
                drop(headers);
                self.backlog.push_front(record);
                return;
            }
        }
    }
}
