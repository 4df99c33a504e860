//! A batch that is too large for the broker is taken apart: a producer of its own sends its records one by one.

use super::{Producer, Sent, TICK_MS, Undelivered};
use crate::kafka::client::ContactError;
use crate::kafka::error::{KafkaError, code};

impl Producer {
    /// Sends each record of a batch that was too large in a batch of its own.
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
                    record.error = KafkaError::new(code::MESSAGE_TOO_LARGE, error.to_string());
                    self.give_up(record);
                }
            }
        }
    }

    fn make_rescuer(&self) -> Result<Box<Producer>, ContactError> {
        let mut options = self.options.clone();
        options.force("batch.num.messages", "1");
        options.force("linger.ms", "0");
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
        let topic = match self.topic(&record.topic) {
            Ok(topic) => topic,
            Err(error) => return self.give_up(Undelivered { error, ..record }),
        };
        let headers = record.headers();
        while self.send(
            topic,
            record.partition,
            &record.record(&headers),
            record.number,
        ) == Sent::Full
        {
            self.poll(TICK_MS);
        }
    }
}
