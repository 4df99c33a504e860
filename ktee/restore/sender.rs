//! The records of a backup into their topics.

use std::io::IsTerminal;

use anyhow::{Context, Result, bail};
use tools::cli::message;
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::kafka::Producer;
use tools::kafka::produce::Enqueued;

use super::groups::Translation;
use super::target::Target;
use crate::cat::report_damage;
use crate::config::Restore;
use crate::flow::count;
use crate::read::Interrupted;
use crate::read::inventory::manifest_or_count;
use crate::read::select::RecordStats;
use crate::segment::LogId;
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
    /// What the backup has of any time.
    pub(super) stats: RecordStats,
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
        let total = wants_bar
            .then(|| total_records(store, targets))
            .transpose()?;
        Ok(Sender {
            producer: Producer::new(&config.options)?,
            config,
            store,
            signals,
            progress: Progress::new(wants_bar, total),
            records: 0,
            bytes: 0,
            stats: RecordStats::default(),
            is_damaged: false,
        })
    }

    /// Sends what a topic does not have yet; a signal or a failure ends it early.
    pub(super) fn send_topic(&mut self, target: &mut Target) -> Result<()> {
        let id = self.producer.topic(&target.topic)?;
        let signals = self.signals;
        self.producer
            .contact(Some(id), &|| signals.caught().is_some())?;
        let partitions: Vec<i32> = target.partitions().collect();
        for partition in partitions {
            let mut translation = Translation::new(&target.recorded, partition);
            let log = LogId::Partition(target.source.clone(), partition);
            let stored = target.stored.get(&partition).cloned().unwrap_or_default();
            let present = target.present(partition);
            let (mut passed, mut is_damaged) = (0, false);
            let force = self.config.force;
            let read = self.config.source.selection.read(
                self.store,
                &log,
                &stored.segments,
                &mut |record, line, _| {
                    translation.pass(record.offset);
                    passed += 1;
                    if passed <= present {
                        return self.poll_now_and_then(passed as u64);
                    }
                    self.records += 1;
                    self.bytes += line.len() as u64;
                    let origin = record.offset.unwrap_or(0) as u64;
                    while self.producer.send(id, Some(partition), record, origin)
                        == Enqueued::QueueFull
                    {
                        self.poll(50)?;
                    }
                    self.poll_now_and_then(self.records)
                },
                &mut |damage| {
                    is_damaged = true;
                    if force {
                        report_damage(&damage);
                        return Ok(());
                    }
                    Err(damage.error)
                },
            );
            target.sent.insert(partition, passed.max(present) - present);
            target.translated.insert(partition, translation.finish());
            self.is_damaged |= is_damaged;
            let stats = match read {
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
            };
            self.stats.add(stats.records, stats.times_ms);
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

fn total_records(store: &dyn Store, targets: &[Target]) -> Result<u64> {
    let mut total = 0;
    for target in targets {
        for (&partition, stored) in &target.stored {
            let log = LogId::Partition(target.source.clone(), partition);
            for name in &stored.segments {
                total += manifest_or_count(store, &log, name)?.records;
            }
        }
    }
    Ok(total)
}
