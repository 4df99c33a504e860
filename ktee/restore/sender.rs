//! The records of a backup into their topics.

use std::io::IsTerminal;

use anyhow::{Context, Result, bail};
use tools::cli::message;
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::kafka::Producer;
use tools::kafka::produce::Enqueued;
use tools::record::Record;
use tools::units::count;

use super::groups::Translation;
use super::target::Target;
use crate::cat::report_damage;
use crate::config::Restore;
use crate::read::merge::Damage;
use crate::read::{Interrupted, StoredLog};
use crate::store::Store;

/// Records between two looks at signals, reports and progress.
const ROUND: u64 = 1000;

pub(super) struct Sender<'a> {
    producer: Producer,
    config: &'a Restore,
    store: &'a dyn Store,
    signals: &'a Signals,
    progress: Progress,
    records: u64,
    bytes: u64,
    /// Whether some of it can't be read.
    pub(super) is_damaged: bool,
}

impl<'a> Sender<'a> {
    pub(super) fn open(
        config: &'a Restore,
        store: &'a dyn Store,
        targets: &[Target],
        signals: &'a Signals,
    ) -> Result<Sender<'a>> {
        let wants_bar = !config.source.is_quiet && std::io::stderr().is_terminal();
        let stored = targets.iter().flat_map(Target::stored);
        let total = wants_bar.then(|| stored.map(StoredLog::records).sum());
        Ok(Sender {
            producer: Producer::new(&config.options)?,
            config,
            store,
            signals,
            progress: Progress::new(wants_bar, total),
            records: 0,
            bytes: 0,
            is_damaged: false,
        })
    }

    /// Sends what a topic does not have yet; a signal or a failure ends it early.
    pub(super) fn send_topic(&mut self, target: &mut Target) -> Result<()> {
        let id = self.producer.topic(&target.topic);
        let signals = self.signals;
        self.producer
            .contact(Some(id), &|| signals.caught().is_some())?;
        for (&number, partition) in &mut target.partitions {
            let mut translation = Translation::new(&target.recorded, number);
            let present = partition.present;
            let (mut passed, mut is_damaged) = (0, false);
            let force = self.config.force;
            let (selection, store) = (&self.config.source.selection, self.store);
            let mut take = |record: &Record<'_>, line: &[u8], _| {
                translation.pass(record.offset);
                passed += 1;
                if passed <= present {
                    return self.poll_now_and_then(passed as u64);
                }
                self.records += 1;
                self.bytes += line.len() as u64;
                let origin = record.offset.unwrap_or(0) as u64;
                while self.producer.send(id, Some(number), record, origin) == Enqueued::QueueFull {
                    self.poll(50)?;
                }
                self.poll_now_and_then(self.records)
            };
            let mut damaged = |damage: Damage| {
                is_damaged = true;
                if force {
                    report_damage(&damage);
                    return Ok(());
                }
                Err(damage.error)
            };
            // In a partition without records a group may have committed.
            let read = match &partition.stored {
                Some(stored) => selection.read(store, stored, &mut take, &mut damaged),
                None => Ok(()),
            };
            partition.sent = passed.max(present) - present;
            partition.translated = translation.finish();
            self.is_damaged |= is_damaged;
            match read {
                Err(error) if error.is::<Interrupted>() => break,
                // What is on its way belongs to the beginning of the backup and may arrive.
                Err(error) if is_damaged => {
                    self.producer.finish(&mut |_| signals.caught().is_none());
                    let sent = self.producer.totals().delivered;
                    return Err(error.context(format!(
                        "{} restored, and the rest is not: the backup is damaged",
                        count(sent, "record")
                    )));
                }
                read => read?,
            }
        }
        self.finish_topic(target)
    }

    pub(super) fn delivered(&self) -> u64 {
        self.producer.totals().delivered
    }

    fn poll_now_and_then(&mut self, records: u64) -> Result<()> {
        if records.is_multiple_of(ROUND) {
            self.poll(0)?;
        }
        Ok(())
    }

    /// Serves reports. The first record that is not delivered ends it all: what follows would close the gap.
    fn poll(&mut self, wait_ms: i32) -> Result<()> {
        self.producer.poll(wait_ms);
        self.progress
            .update(self.producer.totals().delivered, self.bytes);
        if let Some(error) = self.producer.fatal_error() {
            return Err(error.into());
        }
        if self.producer.totals().failed > 0 {
            return self.fail();
        }
        if self.signals.caught().is_some() {
            return Err(Interrupted.into());
        }
        Ok(())
    }

    fn fail(&mut self) -> Result<()> {
        self.producer.purge();
        let totals = self.producer.totals();
        for failure in self.producer.failures() {
            message(format_args!(
                "topic {}, offset {} of the backup: {}",
                failure.topic, failure.opaque, failure.error
            ));
        }
        bail!(
            "{} not delivered ({} delivered)",
            count(totals.failed, "record"),
            totals.delivered
        );
    }

    fn finish_topic(&mut self, target: &Target) -> Result<()> {
        let signals = self.signals;
        let totals = self.producer.finish(&mut |_| signals.caught().is_none());
        if totals.failed > 0 && signals.caught().is_none() {
            return self
                .fail()
                .with_context(|| format!("topic {}", target.topic));
        }
        Ok(())
    }
}
