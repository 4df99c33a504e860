//! `kafka:TOPIC`: a topic that gets the records.

use anyhow::{Result, bail};
use tools::cli::message;
use tools::cli::signals::Signals;
use tools::kafka::produce::{Sent, TopicId};
use tools::kafka::{Options, Producer};
use tools::record::Record;

use super::named::count;

/// A topic and the producer that sends to it.
pub(super) struct TopicSink {
    producer: Producer,
    topic: TopicId,
    /// What is sent now, until nothing is under way any more: that ends a batch.
    batch: u64,
    /// The last batch that was delivered and not told yet; 0 for none.
    delivered_batch: u64,
    /// Whether the first record that is not delivered is a failure of the whole.
    fails_at_once: bool,
}

impl TopicSink {
    /// Makes the first contact, so that a cluster that is not there is known before anything is read.
    pub(super) fn open(
        topic: &str,
        options: &Options,
        fails_at_once: bool,
        signals: &Signals,
    ) -> Result<TopicSink> {
        let mut producer = Producer::new(options)?;
        let topic = producer.topic(topic)?;
        producer.contact(Some(topic), &|| signals.caught().is_some())?;
        Ok(TopicSink {
            producer,
            topic,
            batch: 1,
            delivered_batch: 0,
            fails_at_once,
        })
    }

    /// Sends a record into the partition that it says, or that the partitioner chooses; the ticket is its batch's.
    pub(super) fn send(&mut self, record: &Record<'_>, line: u64) -> Result<u64> {
        while self
            .producer
            .send(self.topic, record.partition, record, line)
            == Sent::Full
        {
            self.producer.poll(50);
            self.check_fatal()?;
        }
        Ok(self.batch)
    }

    pub(super) fn tick(&mut self) -> Result<()> {
        self.producer.poll(0);
        self.check_fatal()?;
        if self.fails_at_once && self.producer.totals().failed > 0 {
            return self.finish();
        }
        self.end_batch();
        Ok(())
    }

    fn end_batch(&mut self) {
        if self.producer.in_flight() == 0 && self.producer.totals().failed == 0 {
            self.delivered_batch = self.batch;
            self.batch += 1;
        }
    }

    /// Hands over the ticket of the batch that was delivered since the last call.
    pub(super) fn take_delivered(&mut self, take: &mut dyn FnMut(u64)) {
        let batch = std::mem::take(&mut self.delivered_batch);
        if batch > 0 {
            take(batch);
        }
    }

    pub(super) fn delivered(&self) -> u64 {
        self.producer.totals().delivered
    }

    /// Waits until each record was delivered or given up.
    pub(super) fn finish(&mut self) -> Result<()> {
        let totals = self.producer.finish(&mut |_| true);
        self.end_batch();
        for failure in self.producer.failures() {
            message(format_args!(
                "line {}, topic {}: {}",
                failure.origin, failure.topic, failure.error
            ));
        }
        if totals.failed > 0 {
            bail!(
                "{} not delivered ({} accepted, {} delivered)",
                count(totals.failed, "record"),
                totals.accepted,
                totals.delivered
            );
        }
        Ok(())
    }

    fn check_fatal(&self) -> Result<()> {
        match self.producer.fatal_error() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}
