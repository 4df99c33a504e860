//! `kafka:TOPIC`: a topic that gets the records, and a file for those that it does not take.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tools::cli::message;
use tools::cli::signals::Signals;
use tools::kafka::client::ContactError;
use tools::kafka::produce::{Sent, TopicId, Undelivered};
use tools::kafka::{Options, Producer};
use tools::record::Record;

use super::named::count;
use super::spill::Spill;
use crate::write::Waiting;

/// A poll that waits looks at signals this often.
const TICK_MS: i32 = 50;
/// After a signal, what is not delivered within this time is spilled: who stops a service kills it soon after.
const GRACE: Duration = Duration::from_secs(5);
/// So many records that are lost are named one by one.
const NAMED: u64 = 5;

/// What a topic sink is told when it is opened.
pub(super) struct Manner {
    /// Whether records have numbers that are asked for when they are durable, instead of lines to be named by.
    pub(super) acknowledges: bool,
    /// Whether the first record that has no place is a failure of the whole.
    pub(super) fails_at_once: bool,
    /// Where records go that are not delivered.
    pub(super) spill: Option<Rc<RefCell<Spill>>>,
}

/// What became of records that were not delivered.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    spilled: u64,
    /// Of these, how many the disk may not have yet.
    unsynced: u64,
    /// Of these, how many a broker may have all the same.
    perhaps_stored: u64,
    lost: u64,
}

/// A topic and the producer that sends to it.
pub(super) struct TopicSink {
    producer: Producer,
    topic: TopicId,
    name: String,
    manner: Manner,
    rest: Rest,
    /// The numbers of records that have become durable in the spill and were not told yet.
    kept: Vec<u64>,
    /// Headers that librdkafka would give back only in part, by the number of their record.
    whole_headers: HashMap<u64, OwnedHeaders>,
    /// When what is under way is taken back, once a signal came.
    until: Option<Instant>,
    has_told_fatal: bool,
}

type OwnedHeaders = Vec<(Vec<u8>, Option<Vec<u8>>)>;

impl TopicSink {
    /// Makes the first contact, so that a cluster that is not there is known before anything is read.
    ///
    /// With a spill that is only told: the cluster has the delivery's time to come.
    pub(super) fn open(
        topic: &str,
        options: &Options,
        manner: Manner,
        signals: &Signals,
    ) -> Result<TopicSink> {
        let mut producer = Producer::new(options)?;
        let id = producer.topic(topic)?;
        match producer.contact(Some(id), &|| signals.caught().is_some()) {
            Err(error) if manner.spill.is_some() && !matches!(error, ContactError::Interrupted) => {
                message(format_args!("kafka:{topic}: {error}; still trying"));
            }
            contact => contact?,
        }
        if manner.acknowledges {
            producer.keep_delivered();
        }
        if manner.spill.is_some() {
            producer.keep_undelivered();
        }
        Ok(TopicSink {
            producer,
            topic: id,
            name: topic.to_owned(),
            manner,
            rest: Rest::default(),
            kept: Vec::new(),
            whole_headers: HashMap::new(),
            until: None,
            has_told_fatal: false,
        })
    }

    /// Sends a record into the partition that it says, or that the partitioner chooses.
    ///
    /// `number` is what it is named by in messages, or told by when it is durable.
    #[inline]
    pub(super) fn send(
        &mut self,
        record: &Record<'_>,
        number: u64,
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        if !record.headers.is_empty() {
            self.keep_headers(record, number);
        }
        while self
            .producer
            .send(self.topic, record.partition, record, number)
            == Sent::Full
        {
            self.producer.poll(TICK_MS);
            self.serve(waiting)?;
        }
        Ok(())
    }

    /// Keeps headers with a NUL byte in a name until the record has come through: librdkafka sends such a name as it is,
    /// and gives back what is before the NUL.
    fn keep_headers(&mut self, record: &Record<'_>, number: u64) {
        let is_odd = |header: &tools::record::Header<'_>| header.name.contains(&0);
        if self.manner.spill.is_none() || !record.headers.iter().any(is_odd) {
            return;
        }
        if !self.manner.acknowledges {
            self.producer.keep_delivered();
        }
        let owned = record
            .headers
            .iter()
            .map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec)));
        self.whole_headers.insert(number, owned.collect());
    }

    /// Hears what became of the records.
    pub(super) fn tick(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.producer.poll(0);
        self.serve(waiting)?;
        if !self.manner.acknowledges {
            self.take_durable(&mut |_| {});
        }
        if self.manner.fails_at_once && self.unplaced() > 0 {
            return self.finish(waiting);
        }
        Ok(())
    }

    /// Records that are neither in the topic nor in the spill.
    fn unplaced(&self) -> u64 {
        self.producer.totals().failed - self.rest.spilled
    }

    fn serve(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.spill();
        if waiting() && self.manner.spill.is_some() {
            let until = *self.until.get_or_insert_with(|| Instant::now() + GRACE);
            if Instant::now() >= until && self.producer.in_flight() > 0 {
                self.producer.purge();
                self.spill();
            }
        }
        match self.producer.fatal_error() {
            // What is sent from now on fails at once, and is spilled.
            Some(error) if self.manner.spill.is_some() => {
                if !std::mem::replace(&mut self.has_told_fatal, true) {
                    message(format_args!("kafka:{}: {error}", self.name));
                }
                Ok(())
            }
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Puts what was given up into the spill.
    fn spill(&mut self) {
        let Some(spill) = self.manner.spill.clone() else {
            return;
        };
        let undelivered = self.producer.take_undelivered();
        if undelivered.is_empty() {
            return;
        }
        let mut spill = spill.borrow_mut();
        let mut added = Vec::new();
        for record in undelivered {
            match self.add(&mut spill, &record) {
                Ok(()) => added.push(record.number),
                Err(error) => self.lose(&record, &error),
            }
        }
        if self.manner.acknowledges && self.sync(&mut spill) {
            self.kept.append(&mut added);
        }
    }

    /// Waits until the disk has what was spilled; false, and told, where that can't be said of it.
    fn sync(&mut self, spill: &mut Spill) -> bool {
        let unsynced = std::mem::take(&mut self.rest.unsynced);
        let synced = spill.sync();
        if let Err(error) = &synced {
            message(format_args!("{error:#}"));
            self.rest.spilled -= unsynced;
            self.rest.lost += unsynced;
        }
        synced.is_ok()
    }

    fn add(&mut self, spill: &mut Spill, record: &Undelivered) -> Result<()> {
        let whole = self.whole_headers.remove(&record.number);
        let headers = match &whole {
            None => record.headers(),
            Some(whole) => whole
                .iter()
                .map(|(name, value)| tools::record::Header {
                    name,
                    value: value.as_deref(),
                })
                .collect(),
        };
        spill.add(&record.record(&headers))?;
        if self.rest.spilled == 0 {
            message(format_args!(
                "kafka:{}: {}{}; records that are not delivered go to {}",
                self.name,
                self.place_of(record),
                record.error,
                spill.name()
            ));
        }
        self.rest.spilled += 1;
        self.rest.unsynced += 1;
        self.rest.perhaps_stored += u64::from(record.may_be_stored);
        Ok(())
    }

    fn lose(&mut self, record: &Undelivered, error: &anyhow::Error) {
        self.rest.lost += 1;
        if self.rest.lost <= NAMED {
            message(format_args!(
                "{}topic {}: {}; {error:#}",
                self.place_of(record),
                self.name,
                record.error
            ));
        }
    }

    /// `line 5: `, unless records have no lines here.
    fn place_of(&self, record: &Undelivered) -> String {
        if self.manner.acknowledges {
            String::new()
        } else {
            format!("line {}: ", record.number)
        }
    }

    /// Hands over the numbers of what has become durable since the last call.
    pub(super) fn take_durable(&mut self, take: &mut dyn FnMut(u64)) {
        let whole_headers = &mut self.whole_headers;
        self.producer.take_delivered(&mut |number| {
            if !whole_headers.is_empty() {
                whole_headers.remove(&number);
            }
            take(number);
        });
        self.kept.drain(..).for_each(take);
    }

    pub(super) fn delivered(&self) -> u64 {
        self.producer.totals().delivered
    }

    /// Records that are in the spill.
    pub(super) fn spilled(&self) -> u64 {
        self.rest.spilled
    }

    /// Waits until each record was delivered, spilled or given up.
    pub(super) fn finish(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        while self.producer.flush() {
            self.serve(waiting)?;
        }
        self.spill();
        if let Some(spill) = self.manner.spill.clone() {
            self.sync(&mut spill.borrow_mut());
        }
        self.tell_spilled();
        let totals = self.producer.totals();
        if self.unplaced() == 0 {
            return Ok(());
        }
        if self.manner.spill.is_none() {
            self.name_failures();
        }
        let (accepted, delivered) = (totals.accepted, totals.delivered);
        match self.rest {
            Rest { lost: 0, .. } => bail!(
                "{} not delivered ({accepted} accepted, {delivered} delivered)",
                count(totals.failed, "record"),
            ),
            Rest { lost, spilled, .. } => bail!(
                "{} neither delivered nor spilled ({accepted} accepted, {delivered} delivered, {spilled} spilled)",
                count(lost, "record"),
            ),
        }
    }

    fn name_failures(&self) {
        for failure in self.producer.failures() {
            let line = if self.manner.acknowledges {
                String::new()
            } else {
                format!("line {}, ", failure.origin)
            };
            message(format_args!(
                "{line}topic {}: {}",
                failure.topic, failure.error
            ));
        }
        if let Some(error) = self.producer.untold_error() {
            message(error);
        }
    }

    fn tell_spilled(&self) {
        let Some(spill) = self.manner.spill.as_ref().filter(|_| self.rest.spilled > 0) else {
            return;
        };
        let totals = self.producer.totals();
        let perhaps = match self.rest.perhaps_stored {
            0 => String::new(),
            n => format!("; {n} of them may have arrived all the same"),
        };
        message(format_args!(
            "kafka:{}: {} not delivered, kept in {} ({} accepted, {} delivered){perhaps}",
            self.name,
            count(self.rest.spilled, "record"),
            spill.borrow().name(),
            totals.accepted,
            totals.delivered,
        ));
    }
}
