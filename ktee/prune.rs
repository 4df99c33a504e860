//! `--prune TIME` removes what is too old and records it; `--expire-after TIME` records that the bucket itself does so.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::units::count;

use crate::config::Prune;
use crate::coverage::Ranges;
use crate::read::{Inventory, ListedLog, ReadProgress, StoredLog};
use crate::segment::name::MANIFEST_SUFFIX;
use crate::segment::{LogId, Name, RangeMarker, RangeStatus};
use crate::store::{self, Store};

/// Has the milliseconds after which the bucket deletes segments.
const EXPIRY: &str = "expire-after.tsv";

/// Removes segments all of whose records are older than that.
pub(crate) fn run(config: &Prune) -> Result<Exit> {
    let signals = Signals::catch()?;
    let store = store::open(&config.source.location, &config.source.access)?;
    let partitions = config.source.selection.logs(&Inventory::list(&*store)?)?;
    let progress = ReadProgress::new(false, &signals);
    let mut removed = 0;
    for (log, listed) in &partitions {
        removed += match log {
            LogId::Lines => prune_lines(&*store, listed, config.before_ms)?,
            LogId::Partition(..) => prune_partition(&*store, log, listed, config.before_ms)?,
        };
        progress.stop_at_signal()?;
    }
    if !config.source.is_quiet {
        message(format_args!(
            "{}: {} removed",
            config.source.location,
            count(removed, "segment")
        ));
    }
    Ok(Exit::Done)
}

fn prune_partition(
    store: &dyn Store,
    log: &LogId,
    listed: &ListedLog,
    before_ms: i64,
) -> Result<u64> {
    let stored = StoredLog::load(store, log, listed)?;
    let mut old: Vec<&Name> = Vec::new();
    let mut pruned = Ranges::default();
    for segment in &stored.segments {
        let content = segment.content.as_ref();
        let content = content.map_err(|why| anyhow!("{}: {why}", segment.name.path(log)))?;
        if content
            .times_ms
            .is_some_and(|(_, latest)| latest < before_ms)
        {
            // What the run before it has passed is of no use any more either.
            let first = content.after.map_or(content.first, |after| after + 1);
            pruned.insert(first.min(content.first), content.last);
            old.push(&segment.name);
        }
    }
    let earlier: Vec<&RangeMarker> = stored
        .markers
        .iter()
        .filter(|marker| marker.status == RangeStatus::Pruned)
        .collect();
    for marker in &earlier {
        pruned.insert(marker.first, marker.last);
    }
    // First it is recorded, then done: a crash between leaves more than is said, and never less.
    let markers = pruned.iter();
    let markers: Vec<RangeMarker> = markers
        .map(|(first, last)| RangeMarker::new(RangeStatus::Pruned, first, last))
        .collect();
    for marker in markers.iter().filter(|marker| !earlier.contains(marker)) {
        marker.write(store, log)?;
    }
    for marker in earlier
        .into_iter()
        .filter(|marker| !markers.contains(marker))
    {
        store.remove(&marker.path(log))?;
    }
    remove(store, log, &old)
}

/// A line is as old as its segment, and the last one at most as old as the segment behind.
fn prune_lines(store: &dyn Store, listed: &ListedLog, before_ms: i64) -> Result<u64> {
    let pairs = listed.segments.windows(2);
    let old: Vec<&Name> = pairs
        .take_while(|pair| pair[1].time_ms.is_some_and(|ms| ms < before_ms))
        .map(|pair| &pair[0])
        .collect();
    remove(store, &LogId::Lines, &old)
}

fn remove(store: &dyn Store, log: &LogId, names: &[&Name]) -> Result<u64> {
    for name in names {
        let path = name.path(log);
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
