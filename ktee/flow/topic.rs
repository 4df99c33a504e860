//! `kafka:TOPIC`: a topic that gets the records.

use anyhow::{Result, bail};
use tools::cli::message;
use tools::cli::signals::Signals;
use tools::kafka::produce::{Sent, TopicId};
use tools::kafka::{Options, Producer};
use tools::record::Record;

use super::count;

/// A topic and the producer that sends to it.
pub(super) struct TopicSink {
    producer: Producer,
    topic: TopicId,
}

impl TopicSink {
    /// Makes the first contact, so that a cluster that is not there is known before anything is read.
    pub(super) fn open(topic: &str, options: &Options, signals: &Signals) -> Result<TopicSink> {
        let mut producer = Producer::new(options)?;
        let topic = producer.topic(topic)?;
        producer.contact(Some(topic), &|| signals.caught().is_some())?;
        Ok(TopicSink { producer, topic })
    }

    /// Sends a record into the partition that it says, or that the partitioner chooses.
    pub(super) fn send(&mut self, record: &Record<'_>, line: u64) -> Result<()> {
        while self
            .producer
            .send(self.topic, record.partition, record, line)
            == Sent::Full
        {
            self.producer.poll(50);
            self.check_fatal()?;
        }
        Ok(())
    }

    pub(super) fn tick(&mut self) -> Result<()> {
        self.producer.poll(0);
        self.check_fatal()
    }

    pub(super) fn delivered(&self) -> u64 {
        self.producer.totals().delivered
    }

    /// Waits until each record was delivered or given up.
    pub(super) fn finish(&mut self) -> Result<()> {
        let totals = self.producer.finish(&mut |_| true);
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
