//! `--prune TIME` removes what is too old and records it; `--expire-after TIME` records that the bucket itself does so.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result};
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};

use crate::config::Prune;
use crate::coverage::Ranges;
use crate::flow::count;
use crate::read::{Inventory, PartitionSegments, ReadProgress, inventory};
use crate::segment::name::MANIFEST_SUFFIX;
use crate::segment::{Fact, Name, Note, Place};
use crate::store::{self, Store};

/// Has the milliseconds after which the bucket deletes segments.
const EXPIRY: &str = "expire-after.tsv";

/// Removes segments all of whose records are older than that.
pub(crate) fn run(config: &Prune) -> Result<Exit> {
    let signals = Signals::catch()?;
    let store = store::open(&config.place, &config.access)?;
    let partitions = config.selection.places(&Inventory::list(&*store)?)?;
    let progress = ReadProgress::new(false, &signals);
    let mut removed = 0;
    for (place, stored) in &partitions {
        removed += match place {
            Place::Lines => prune_lines(&*store, stored, config.before_ms)?,
            Place::Partition(..) => prune_partition(&*store, place, stored, config.before_ms)?,
        };
        progress.stop_at_signal()?;
    }
    if !config.is_quiet {
        message(format_args!(
            "{}: {} removed",
            config.place,
            count(removed, "segment")
        ));
    }
    Ok(Exit::Done)
}

fn prune_partition(
    store: &dyn Store,
    place: &Place,
    stored: &PartitionSegments,
    before_ms: i64,
) -> Result<u64> {
    let mut old: BTreeMap<(i64, i64), Vec<&Name>> = BTreeMap::new();
    let mut pruned = Ranges::default();
    for name in &stored.segments {
        let facts = inventory::facts(store, place, name)?;
        if facts.times_ms.is_some_and(|(_, latest)| latest < before_ms) {
            // What the run before it has passed is of no use any more either.
            let first = facts.after.map_or(facts.first, |after| after + 1);
            pruned.insert(first.min(facts.first), facts.last);
            old.entry((facts.first, facts.last)).or_default().push(name);
        }
    }
    let earlier: Vec<&Note> = stored
        .notes
        .iter()
        .filter(|note| note.fact == Fact::Pruned)
        .collect();
    for note in &earlier {
        pruned.insert(note.first, note.last);
    }
    // First it is recorded, then done: a crash between leaves more than is said, and never less.
    let fact = Fact::Pruned;
    let notes: Vec<Note> = pruned
        .iter()
        .map(|(first, last)| Note { fact, first, last })
        .collect();
    for note in notes.iter().filter(|note| !earlier.contains(note)) {
        note.write(store, place)?;
    }
    for note in earlier.into_iter().filter(|note| !notes.contains(note)) {
        store.remove(&note.path(place))?;
    }
    let names: Vec<&Name> = old.into_values().flatten().collect();
    remove(store, place, &names)
}

/// A line is as old as its segment, and the last one at most as old as the segment behind.
fn prune_lines(store: &dyn Store, stored: &PartitionSegments, before_ms: i64) -> Result<u64> {
    let pairs = stored.segments.windows(2);
    let old: Vec<&Name> = pairs
        .take_while(|pair| pair[1].time_ms.is_some_and(|ms| ms < before_ms))
        .map(|pair| &pair[0])
        .collect();
    remove(store, &Place::Lines, &old)
}

fn remove(store: &dyn Store, place: &Place, names: &[&Name]) -> Result<u64> {
    for name in names {
        let path = name.path(place);
        store.remove(&path)?;
        store.remove(&format!("{path}{MANIFEST_SUFFIX}"))?;
    }
    Ok(names.len() as u64)
}

/// Records that the bucket deletes what is older than this.
pub(crate) fn record_expiry(store: &dyn Store, after: Duration) -> Result<()> {
    store.replace(EXPIRY, format!("{}\n", after.as_millis()).as_bytes())
}

/// The time before which the bucket may have deleted segments, if it does.
pub(crate) fn expires_before_ms(store: &dyn Store, now_ms: i64) -> Result<Option<i64>> {
    let Some(mut file) = store.read(EXPIRY)? else {
        return Ok(None);
    };
    let mut text = String::new();
    file.read_to_string(&mut text).context(EXPIRY)?;
    let after_ms: i64 = text.trim().parse().context(EXPIRY)?;
    Ok(Some(now_ms - after_ms))
}
