//! `kafka:TOPIC`: a topic that gets the records.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tools::cli::message;
use tools::cli::signals::Signals;
use tools::kafka::client::ContactError;
use tools::kafka::produce::{Enqueued, TopicId};
use tools::kafka::{Options, Producer};

use super::spill::Spill;
use super::undelivered::UndeliveredRecords;
use crate::destination::{Destination, Input, Waiting};

/// A poll that waits looks at signals this often.
const TICK_MS: i32 = 50;
/// After a signal, what is not delivered within this time is spilled: who stops a service kills it soon after.
const GRACE: Duration = Duration::from_secs(5);

/// How a topic sink is opened.
pub(super) struct TopicOptions {
    /// Whether records have numbers that are asked for when they are durable, instead of lines to be named by.
    pub(super) acknowledges: bool,
    /// Whether the first record that has no place is a failure of the whole.
    pub(super) fails_at_once: bool,
    /// Where records go that are not delivered.
    pub(super) spill: Option<Rc<RefCell<Spill>>>,
}

pub(super) struct TopicSink {
    producer: Producer,
    topic: TopicId,
    name: String,
    fails_at_once: bool,
    undelivered: UndeliveredRecords,
    /// When what is under way is taken back, once a signal came.
    until: Option<Instant>,
    has_reported_fatal: bool,
}

impl TopicSink {
    /// Makes the first contact, so that a cluster that is not there is known before anything is read.
    ///
    /// With a spill this is only a message: the cluster has the delivery timeout to come back.
    pub(super) fn open(
        topic: &str,
        options: &Options,
        options_of_sink: TopicOptions,
        signals: &Signals,
    ) -> Result<TopicSink> {
        let producer = Producer::new(options)?;
        let id = producer.topic(topic);
        match producer.contact(Some(id), &|| signals.caught().is_some()) {
            Err(error)
                if options_of_sink.spill.is_some()
                    && !matches!(error, ContactError::Interrupted) =>
            {
                message(format_args!("kafka:{topic}: {error}; still trying"));
            }
            contact => contact?,
        }
        if options_of_sink.acknowledges {
            producer.keep_delivered();
        }
        if options_of_sink.spill.is_some() {
            producer.keep_undelivered();
        }
        Ok(TopicSink {
            producer,
            topic: id,
            name: topic.to_owned(),
            fails_at_once: options_of_sink.fails_at_once,
            undelivered: UndeliveredRecords::new(
                topic,
                options_of_sink.acknowledges,
                options_of_sink.spill,
            ),
            until: None,
            has_reported_fatal: false,
        })
    }

    fn serve(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.undelivered.add(&self.producer.take_undelivered());
        if waiting() && self.undelivered.has_spill() {
            let until = *self.until.get_or_insert_with(|| Instant::now() + GRACE);
            if Instant::now() >= until && self.producer.in_flight() > 0 {
                self.producer.purge();
                self.undelivered.add(&self.producer.take_undelivered());
            }
        }
        match self.producer.fatal_error() {
            // What is sent from now on fails at once, and is spilled.
            Some(error) if self.undelivered.has_spill() => {
                if !std::mem::replace(&mut self.has_reported_fatal, true) {
                    message(format_args!("kafka:{}: {error}", self.name));
                }
                Ok(())
            }
            Some(error) => {
                self.producer.purge();
                let reported = self
                    .undelivered
                    .report(self.producer.totals(), self.producer.failures().iter());
                reported.with_context(|| error.to_string())?;
                Err(error.into())
            }
            None => Ok(()),
        }
    }
}

impl Destination for TopicSink {
    /// Sends a record into the partition that it says, or that the partitioner chooses. Its tag or its line is what it is
    /// named by.
    fn write(&mut self, input: &Input<'_>, waiting: &mut Waiting<'_>) -> Result<()> {
        let (record, number) = (input.record, input.tag.unwrap_or(input.line));
        while self
            .producer
            .send(self.topic, record.partition, record, number)
            == Enqueued::QueueFull
        {
            self.producer.poll(TICK_MS);
            self.serve(waiting)?;
        }
        Ok(())
    }

    /// Hears what became of the records.
    fn tick(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.producer.poll(0);
        self.serve(waiting)?;
        if self.fails_at_once && self.undelivered.unplaced(self.producer.totals()) > 0 {
            return self.finish(waiting);
        }
        Ok(())
    }

    fn take_durable(&mut self, take: &mut dyn FnMut(u64, u64)) {
        let mut take = |number| take(number, number);
        self.producer.take_delivered(&mut take);
        self.undelivered.take_kept(&mut take);
    }

    /// Waits until each record was delivered, spilled or given up.
    fn finish(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        while self.producer.flush() {
            self.serve(waiting)?;
        }
        self.undelivered.add(&self.producer.take_undelivered());
        self.undelivered.sync();
        let totals = self.producer.totals();
        if self.undelivered.unplaced(totals) > 0
            && let Some(error) = self.producer.unreported_fatal_error()
        {
            message(error);
        }
        self.undelivered
            .report(totals, self.producer.failures().iter())
    }
    fn has_spilled(&self) -> bool {
        self.undelivered.spilled() > 0
    }
}
