//! `--restore`: the records of a backup into topics, in their partitions, with their times and headers.
//!
//! Records with their old times would be deleted by time retention within
//! minutes, so a topic that is made here keeps everything, and one that is
//! there and does not is refused. What a topic has already is compared, and
//! not sent again.
//!
//! - [`target`]: a topic: what is there, what is made, what it holds in the end.
//! - [`settings`]: which settings it needs. Pure.
//! - [`compare`]: whether what it has is the beginning of the backup.
//! - [`sender`]: the records on their way.
//! - [`groups`]: how far groups had read. Pure.

mod compare;
mod groups;
mod sender;
mod settings;
mod target;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use tools::cli::signals::Signals;
use tools::cli::stdout::Out;
use tools::cli::{Exit, message};
use tools::kafka::wire::Wire;
use tools::kafka::{Client, Role, fetch};
use tools::record::{Encoder, Format, Record};
use tools::units::count;

use crate::cat::report_holes;
use crate::config::Restore;
use crate::metadata::TopicMetadata;
use crate::read::select::RecordStats;
use crate::read::{Inventory, StoredLog};
use crate::segment::LogId;
use crate::store::{self, Store};
use crate::verify;
use sender::Sender;
use target::{Restoring, Target};

pub(crate) fn run(config: &Restore) -> Result<Exit> {
    let signals = Signals::catch()?;
    let (signals, interrupted) = (&signals, &|| signals.caught().is_some());
    let store = store::open(&config.source.location, &config.source.access)?;
    let inventory = Inventory::list(&*store)?;
    let mut targets = targets(config, &*store, &inventory)?;
    refuse_holes(config, &inventory, &targets)?;
    let selection = &config.source.selection;
    let mut stats = RecordStats::default();
    let mut may_want = !selection.has_range();
    for stored in targets.iter().flat_map(Target::stored) {
        may_want |= selection.may_want(stored, &mut stats);
    }
    if !may_want {
        message(format_args!("{}: {stats}", config.source.location));
        return Ok(Exit::No);
    }
    let mut options = config.options.clone();
    fetch::tune(&mut options);
    let client = Client::new(&options, Role::Consumer)?;
    let restoring = Restoring {
        client: &client,
        options: &options,
        store: &*store,
        config,
        interrupted,
    };
    let mut wire = Wire::new(&client);
    // All are looked at before the first one is touched.
    target::inspect(&mut targets, &mut wire, &restoring)?;
    for target in &mut targets {
        target.create(&mut wire, interrupted)?;
    }
    let mut sender = Sender::open(config, &*store, &targets, signals)?;
    for target in &mut targets {
        sender.send_topic(target)?;
        if let Some(signal) = signals.caught() {
            message(format_args!(
                "interrupted: the restore is not complete ({} delivered); the same command continues it",
                count(sender.delivered(), "record")
            ));
            return Ok(Exit::Signal(signal));
        }
        // Only now all of it has arrived.
        if !config.source.is_quiet {
            report_sent(target);
        }
    }
    let is_damaged = sender.is_damaged;
    drop(sender);
    for target in &targets {
        target.check_ends(&mut wire, interrupted)?;
        if config.groups {
            target.commit_groups(&mut wire, interrupted)?;
        }
    }
    print_settings(&targets, signals)?;
    if is_damaged {
        return Ok(Exit::Failed);
    }
    if selection.has_range() && targets.iter().all(Target::is_empty) {
        message(format_args!("{}: {stats}", config.source.location));
        return Ok(Exit::No);
    }
    Ok(Exit::Done)
}

/// The topics that are wanted, with what the backup has of each.
fn targets(config: &Restore, store: &dyn Store, inventory: &Inventory) -> Result<Vec<Target>> {
    let mut topics: BTreeMap<String, Vec<(i32, StoredLog)>> = BTreeMap::new();
    for (log, listed) in config.source.selection.logs(inventory)? {
        match &log {
            LogId::Partition(topic, partition) => {
                let stored = StoredLog::load(store, &log, &listed)?;
                let partitions = topics.entry(topic.clone()).or_default();
                partitions.push((*partition, stored));
            }
            LogId::Lines => message("lines have no topic, and are left out; --cat gives them back"),
        }
    }
    ensure!(
        !topics.is_empty(),
        "{}: there are no records of a topic",
        config.source.location
    );
    let targets = topics.into_iter().map(|(source, stored)| {
        let recorded = TopicMetadata::read(store, &source, config.as_of_ms)?;
        let topic = config.renames.get(&source).cloned().unwrap_or(source);
        Ok(Target::new(
            topic,
            stored,
            recorded,
            &config.source.selection,
        ))
    });
    let targets: Vec<Target> = targets.collect::<Result<_>>()?;
    for (at, target) in targets.iter().enumerate() {
        ensure!(
            targets[..at]
                .iter()
                .all(|other| other.topic != target.topic),
            "two topics of the backup would go to topic {}",
            target.topic
        );
    }
    Ok(targets)
}

/// Names what is missing, and refuses it without `--force`.
fn refuse_holes(config: &Restore, inventory: &Inventory, targets: &[Target]) -> Result<()> {
    let mut has_holes = false;
    for stored in targets.iter().flat_map(Target::stored) {
        let missing = verify::check(stored, inventory).missing;
        report_holes(&stored.log, &missing);
        has_holes |= !missing.is_empty();
    }
    if has_holes && !config.force {
        bail!(
            "{}: records are missing from the backup, and nothing was restored: send the topic again to fill it, \
             or say --force to restore what is there",
            config.source.location
        );
    }
    Ok(())
}

fn report_sent(target: &Target) {
    for (number, partition) in &target.partitions {
        let present = match partition.present {
            0 => String::new(),
            present => format!(", {present} there already"),
        };
        message(format_args!(
            "{} [{number}]: {} sent{present}",
            target.topic,
            count(partition.sent as u64, "record"),
        ));
    }
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
