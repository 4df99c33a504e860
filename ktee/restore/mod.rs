//! `--restore`: the records of a backup into topics of their names, in their partitions, with their times and headers.
//!
//! Records with their old times would be deleted by time retention within
//! minutes, so a topic that is made here keeps everything, and one that is
//! there and does not is refused.

mod groups;
mod target;

use std::collections::BTreeMap;
use std::io::IsTerminal;

use anyhow::{Context, Result, bail, ensure};
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::stdout::Out;
use tools::cli::{Exit, message};
use tools::kafka::produce::Sent;
use tools::kafka::wire::Wire;
use tools::kafka::{Client, Producer, Role};
use tools::record::{Encoder, Format, Record};

use crate::config::Restore;
use crate::flow::count;
use crate::read::inventory::facts;
use crate::read::{Interrupted, Inventory, PartitionSegments};
use crate::recorded::Recorded;
use crate::segment::Place;
use crate::store::{self, Store};
use groups::Translation;
use target::Target;

/// Records between two looks at signals, reports and progress.
const ROUND: u64 = 1000;

/// Restores, and prints the recorded settings that the new topics do not have.
pub(crate) fn run(config: &Restore) -> Result<Exit> {
    let signals = Signals::catch()?;
    let store = store::open(&config.place, false)?;
    let topics = topics(config, &*store)?;
    let client = Client::new(&config.options, Role::Consumer)?;
    let mut wire = Wire::new(&client);
    let interrupted = || signals.caught().is_some();
    let mut targets = Vec::new();
    for (topic, partitions) in topics {
        let recorded = Recorded::read(&*store, &topic)?;
        targets.push(Target::new(topic, partitions, recorded));
    }
    // All are looked at before the first one is touched.
    target::inspect(&mut targets, &mut wire, config.force, &interrupted)?;
    for target in &mut targets {
        target.create(&mut wire, &interrupted)?;
    }
    let mut sender = Sender::open(config, &*store, &targets, &signals)?;
    for target in &mut targets {
        sender.send_topic(target, config)?;
        sender.finish_topic(target)?;
        if let Some(signal) = signals.caught() {
            message("interrupted: the restore is not complete");
            return Ok(Exit::Signal(signal));
        }
    }
    drop(sender);
    for target in &targets {
        target.check_ends(&mut wire, &interrupted)?;
        if config.groups {
            target.commit_groups(&mut wire, &interrupted)?;
        }
    }
    print_settings(&targets, &signals)?;
    Ok(Exit::Done)
}

type Partitions = BTreeMap<i32, PartitionSegments>;

/// What of the backup is records of topics, and wanted.
fn topics(config: &Restore, store: &dyn Store) -> Result<BTreeMap<String, Partitions>> {
    let places = config.selection.places(Inventory::list(store)?)?;
    let mut topics: BTreeMap<String, Partitions> = BTreeMap::new();
    for (place, stored) in places {
        match place {
            Place::Partition(topic, partition) => {
                topics.entry(topic).or_default().insert(partition, stored);
            }
            Place::Lines => message("lines have no topic, and are left out; --cat gives them back"),
        }
    }
    ensure!(
        !topics.is_empty(),
        "{}: there are no records of a topic",
        config.place
    );
    Ok(topics)
}

struct Sender<'a> {
    producer: Producer,
    store: &'a dyn Store,
    signals: &'a Signals,
    progress: Progress,
    records: u64,
    bytes: u64,
}

impl<'a> Sender<'a> {
    fn open(
        config: &Restore,
        store: &'a dyn Store,
        targets: &[Target],
        signals: &'a Signals,
    ) -> Result<Sender<'a>> {
        let wants_bar = !config.is_quiet && std::io::stderr().is_terminal();
        let total = wants_bar
            .then(|| total_records(store, targets))
            .transpose()?;
        Ok(Sender {
            producer: Producer::new(&config.options)?,
            store,
            signals,
            progress: Progress::new(wants_bar, total),
            records: 0,
            bytes: 0,
        })
    }

    /// Sends all records of a topic; a signal or a failure ends it early.
    fn send_topic(&mut self, target: &mut Target, config: &Restore) -> Result<()> {
        let id = self.producer.topic(&target.topic)?;
        let signals = self.signals;
        self.producer
            .contact(Some(id), &|| signals.caught().is_some())?;
        for (&partition, stored) in &target.partitions {
            let place = Place::Partition(target.topic.clone(), partition);
            let mut translation = Translation::new(&target.recorded, partition);
            let mut sent = 0;
            let read = config.selection.read(
                self.store,
                &place,
                &stored.segments,
                &mut |record, line, _| {
                    sent += 1;
                    translation.pass(record.offset);
                    self.records += 1;
                    self.bytes += line.len() as u64;
                    let origin = record.offset.unwrap_or(0) as u64;
                    while self.producer.send(id, Some(partition), record, origin) == Sent::Full {
                        self.look_after(50)?;
                    }
                    if self.records.is_multiple_of(ROUND) {
                        self.look_after(0)?;
                    }
                    Ok(())
                },
            );
            match read {
                Err(error) if error.is::<Interrupted>() => break,
                read => read?,
            }
            target.sent.insert(partition, sent);
            target.translated.insert(partition, translation.finish());
        }
        Ok(())
    }

    /// Serves reports. The first record that is not delivered ends it all: what follows would close the gap.
    fn look_after(&mut self, wait_ms: i32) -> Result<()> {
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
                failure.topic, failure.origin, failure.error
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
        for (&partition, stored) in &target.partitions {
            let place = Place::Partition(target.topic.clone(), partition);
            for name in &stored.segments {
                total += facts(store, &place, name)?.records;
            }
        }
    }
    Ok(total)
}

/// Lines of topic, setting and value: what is to be set when the restore has served its purpose. NULL: back to the broker's own.
fn print_settings(targets: &[Target], signals: &Signals) -> Result<()> {
    let mut out = Out::stdout()?;
    let mut encoder = Encoder::new(Format::Tsv(tools::record::tsv::Tsv {
        columns: "topic,key,value".parse().context("columns")?,
        ..Default::default()
    }));
    for target in targets {
        for (name, value) in target.settings_to_apply() {
            let record = Record {
                topic: Some(&target.topic),
                key: Some(name.as_bytes()),
                value: value.as_deref().map(str::as_bytes),
                ..Record::default()
            };
            encoder.encode(&record, out.buffer())?;
        }
    }
    Ok(out.flush_lines(signals)?)
}
