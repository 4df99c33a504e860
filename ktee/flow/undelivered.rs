//! What a topic did not take: where it went, and what is said of it.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::{Result, bail};
use tools::cli::message;
use tools::kafka::produce::{Failure, Totals, Undelivered};
use tools::units::count;

use super::spill::Spill;

/// So many records that are lost are named one by one.
const NAMED: u64 = 5;

/// The records of one topic that were not delivered.
pub(super) struct UndeliveredRecords {
    topic: String,
    /// Whether records are asked for when they are durable, and have no lines to be named by.
    acknowledges: bool,
    spill: Option<Rc<RefCell<Spill>>>,
    spilled: u64,
    /// Of these, how many the disk may not have yet.
    unsynced: u64,
    /// Of these, how many a broker may have all the same.
    perhaps_stored: u64,
    lost: u64,
    /// The numbers of records that have become durable in the spill and were not reported yet.
    kept: Vec<u64>,
}

impl UndeliveredRecords {
    pub(super) fn new(
        topic: &str,
        acknowledges: bool,
        spill: Option<Rc<RefCell<Spill>>>,
    ) -> UndeliveredRecords {
        UndeliveredRecords {
            topic: topic.to_owned(),
            acknowledges,
            spill,
            spilled: 0,
            unsynced: 0,
            perhaps_stored: 0,
            lost: 0,
            kept: Vec::new(),
        }
    }

    pub(super) fn has_spill(&self) -> bool {
        self.spill.is_some()
    }

    pub(super) fn spilled(&self) -> u64 {
        self.spilled
    }

    /// Puts what was given up into the spill.
    pub(super) fn add(&mut self, undelivered: &[Undelivered]) {
        let Some(spill) = self.spill.clone().filter(|_| !undelivered.is_empty()) else {
            return;
        };
        let mut added = Vec::new();
        for record in undelivered {
            match self.add_one(&mut spill.borrow_mut(), record) {
                Ok(()) => added.push(record.opaque),
                Err(error) => self.lose(record, &error),
            }
        }
        if self.acknowledges && self.sync() {
            self.kept.append(&mut added);
        }
    }

    fn add_one(&mut self, spill: &mut Spill, record: &Undelivered) -> Result<()> {
        let headers = record.headers();
        spill.add(&record.record(&headers))?;
        if self.spilled == 0 {
            message(format_args!(
                "kafka:{}: {}{}; records that are not delivered go to {}",
                self.topic,
                self.place_of(record),
                record.error,
                spill.name()
            ));
        }
        self.spilled += 1;
        self.unsynced += 1;
        self.perhaps_stored += u64::from(record.may_be_stored);
        Ok(())
    }

    fn lose(&mut self, record: &Undelivered, error: &anyhow::Error) {
        self.lost += 1;
        if self.lost <= NAMED {
            message(format_args!(
                "{}topic {}: {}; {error:#}",
                self.place_of(record),
                self.topic,
                record.error
            ));
        }
    }

    /// `line 5: `, unless records have no lines here.
    fn place_of(&self, record: &Undelivered) -> String {
        if self.acknowledges {
            String::new()
        } else {
            format!("line {}: ", record.opaque)
        }
    }

    /// Waits until the disk has what was spilled; false, with a message, if it can't be synced.
    pub(super) fn sync(&mut self) -> bool {
        let Some(spill) = &self.spill else {
            return true;
        };
        let unsynced = std::mem::take(&mut self.unsynced);
        let synced = spill.borrow_mut().sync();
        if let Err(error) = &synced {
            message(format_args!("{error:#}"));
            self.spilled -= unsynced;
            self.lost += unsynced;
        }
        synced.is_ok()
    }

    /// Hands over the numbers of what has become durable since the last call.
    pub(super) fn take_kept(&mut self, take: &mut dyn FnMut(u64)) {
        self.kept.drain(..).for_each(take);
    }

    /// Records that are neither in the topic nor in the spill.
    pub(super) fn unplaced(&self, totals: Totals) -> u64 {
        totals.failed - self.spilled
    }

    /// Says at the end what was spilled.
    ///
    /// # Errors
    /// Records are neither in the topic nor in the spill: how many, and why.
    pub(super) fn report<'f>(
        &self,
        totals: Totals,
        failures: impl Iterator<Item = &'f Failure>,
    ) -> Result<()> {
        let (accepted, delivered) = (totals.accepted, totals.delivered);
        if let Some(spill) = self.spill.as_ref().filter(|_| self.spilled > 0) {
            let perhaps = match self.perhaps_stored {
                0 => String::new(),
                n => format!("; {n} of them may have arrived all the same"),
            };
            message(format_args!(
                "kafka:{}: {} not delivered, kept in {} ({accepted} accepted, {delivered} delivered){perhaps}",
                self.topic,
                count(self.spilled, "record"),
                spill.borrow().name(),
            ));
        }
        if self.unplaced(totals) == 0 {
            return Ok(());
        }
        if self.spill.is_some() {
            bail!(
                "{} neither delivered nor spilled ({accepted} accepted, {delivered} delivered, {} spilled)",
                count(self.lost, "record"),
                self.spilled,
            );
        }
        for failure in failures {
            let line = if self.acknowledges {
                String::new()
            } else {
                format!("line {}, ", failure.opaque)
            };
            message(format_args!(
                "{line}topic {}: {}",
                failure.topic, failure.error
            ));
        }
        bail!(
            "{} not delivered ({accepted} accepted, {delivered} delivered)",
            count(totals.failed, "record"),
        );
    }
}
