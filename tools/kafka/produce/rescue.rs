//! What a batch was refused for, its records may be taken in spite of: a producer of its own sends them one by one.
//!
//! So it is with a batch that is too large for the broker, and with one that a partition refused and the next did not
//! wait for (`shim.c`): both are not stored, and come behind what was sent after them.

use super::{Producer, Sent, Undelivered};
use crate::kafka::client::ContactError;
use crate::kafka::error::KafkaError;

impl Producer {
    /// Sends each record in a batch of its own.
    pub(super) fn rescue(&mut self, records: Vec<Undelivered>) {
        if records.is_empty() {
            return;
        }
        let rescuer = match self.rescuer.take() {
            Some(rescuer) => Ok(rescuer),
            None => self.make_rescuer(),
        };
        match rescuer {
            Ok(mut rescuer) => {
                for record in records {
                    rescuer.send_alone(record);
                }
                self.rescuer = Some(rescuer);
            }
            Err(error) => {
                for mut record in records {
                    record.error = KafkaError::new(record.error.code, error.to_string());
                    self.give_up(record);
                }
            }
        }
    }

    fn make_rescuer(&self) -> Result<Box<Producer>, ContactError> {
        let mut options = self.options.clone();
        options.force("batch.num.messages", "1");
        options.force("linger.ms", "0");
        // One that is refused holds up the next.
        options.force("max.in.flight.requests.per.connection", "1");
        let mut rescuer = Producer::with(options, true)?;
        if self.delivered.is_some() {
            rescuer.keep_delivered();
        }
        if self.undelivered.is_some() {
            rescuer.keep_undelivered();
        }
        Ok(Box::new(rescuer))
    }

    fn send_alone(&mut self, record: Undelivered) {
        self.backlog.push_back(record);
        self.send_backlog();
    }

    /// Sends what there is room for; the rest waits for the next call, so that nobody waits here.
    pub(super) fn send_backlog(&mut self) {
        while let Some(record) = self.backlog.pop_front() {
            let topic = match self.topic(&record.topic) {
                Ok(topic) => topic,
                Err(error) => {
                    self.give_up(Undelivered { error, ..record });
                    continue;
                }
            };
            let headers = record.headers();
            let whole = record.record(&headers);
            if self.send(topic, record.partition, &whole, record.number) == Sent::Full {
                drop(headers);
                self.backlog.push_front(record);
                return;
            }
        }
    }
}
