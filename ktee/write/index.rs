//! What is stored of one partition while it is written: its listing, and manifests as they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::coverage::Coverage;
use crate::head::OffsetSpan;
use crate::read::{Inventory, Reader, inventory};
use crate::segment::name::MANIFEST_SUFFIX;
use crate::segment::{LogId, Manifest, Name, RangeMarker, RangeStatus};
use crate::store::Store;

/// A partition, or the lines that have none, as the main thread and the pool share it.
pub(super) struct Target {
    pub(super) store: Arc<dyn Store>,
    pub(super) log: LogId,
    index: Mutex<Index>,
}

impl Target {
    pub(super) fn open(store: &Arc<dyn Store>, log: LogId) -> Result<Target> {
        let mut index = Index {
            store: Arc::clone(store),
            log: log.clone(),
            segments: BTreeMap::new(),
            markers: BTreeSet::new(),
        };
        index.list_again()?;
        Ok(Target {
            store: Arc::clone(store),
            log,
            index: Mutex::new(index),
        })
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct StoredSegment {
    pub(super) name: Name,
    pub(super) manifest: Manifest,
}

/// Where offsets lie: in a segment, or in none.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) offsets: RangeInclusive<i64>,
    pub(super) stored: Option<StoredSegment>,
}

/// The segments of one partition, in the order of their first offsets.
///
/// The listing has first offsets only. Segments do not overlap, so the one
/// that begins before an offset, and its manifest, say whether the offset is
/// stored. The few that do overlap have a marker whose name has both ends.
pub(super) struct Index {
    store: Arc<dyn Store>,
    log: LogId,
    /// Each with its manifest, once that was needed.
    segments: BTreeMap<Name, Option<Manifest>>,
    markers: BTreeSet<RangeMarker>,
}

impl Index {
    /// Lists the whole partition again.
    pub(super) fn list_again(&mut self) -> Result<()> {
        let listed = Inventory::list_log(&*self.store, &self.log)?;
        for name in listed.segments {
            self.segments.entry(name).or_default();
        }
        self.markers.extend(listed.markers);
        Ok(())
    }

    /// Takes in a segment that has just been stored.
    pub(super) fn insert(&mut self, name: &Name, manifest: &Manifest) {
        self.segments.insert(name.clone(), Some(manifest.clone()));
    }

    /// Where the last segment begins that begins before `offset`.
    fn first_before(&self, offset: i64) -> Option<i64> {
        let mut before = self.segments.range(..Name::least(offset));
        before.next_back().map(|(name, _)| name.first)
    }

    /// Where the first segment begins that begins at `offset` or behind it.
    fn first_from(&self, offset: i64) -> Option<i64> {
        let mut behind = self.segments.range(Name::least(offset)..);
        behind.next().map(|(name, _)| name.first)
    }

    /// The segments that have offsets from `first` to `last` in their ranges.
    pub(super) fn covering(&mut self, first: i64, last: i64) -> Result<Vec<StoredSegment>> {
        let overlaps = self
            .markers
            .iter()
            .filter(|it| it.status == RangeStatus::Overlap && it.first < first && it.last >= first);
        let from = overlaps.map(|it| it.first).chain(self.first_before(first));
        let from = Name::least(from.min().unwrap_or(first));
        let behind = Name::least(last.saturating_add(1));
        let mut found = Vec::new();
        for (name, manifest) in self.segments.range_mut(from..behind) {
            let manifest = match manifest {
                Some(known) => known,
                none => none.insert(load(&*self.store, &self.log, name)?),
            };
            if manifest.last >= first && manifest.first <= last {
                found.push(StoredSegment {
                    name: name.clone(),
                    manifest: manifest.clone(),
                });
            }
        }
        Ok(found)
    }

    /// The same, with what another writer may have stored meanwhile.
    pub(super) fn covering_now(&mut self, first: i64, last: i64) -> Result<Vec<StoredSegment>> {
        let folder = self.log.folder();
        let before = self.first_before(first);
        let behind = before.map_or_else(String::new, |first| Name::behind(&self.log, first));
        let entries = self.store.list_behind(&folder, &behind)?;
        let listed = Inventory::of_log(&entries, &self.log).segments;
        if !listed.iter().all(|name| self.segments.contains_key(name)) {
            // Another writer is at work: its markers, which say what overlaps, sort elsewhere.
            self.list_again()?;
        }
        self.covering(first, last)
    }

    /// In what `offset` lies, and how far that goes on.
    pub(super) fn locate(&mut self, offset: i64) -> Result<Region> {
        let found = self.covering(offset, offset)?.into_iter();
        let stored = found.max_by_key(|stored| stored.manifest.last);
        let offsets = if let Some(stored) = &stored {
            stored.manifest.first..=stored.manifest.last
        } else {
            let before = self.last_before(offset)?.map(|before| before + 1);
            let next = self.first_from(offset).map(|next| next - 1);
            before.unwrap_or(i64::MIN)..=next.unwrap_or(i64::MAX)
        };
        Ok(Region { offsets, stored })
    }

    /// Of the offsets from `first` to `last`, what is known.
    pub(super) fn coverage(&mut self, first: i64, last: i64) -> Result<Coverage> {
        let mut coverage = Coverage::default();
        // The segment behind says what it claims of those before it.
        let next = self.first_from(last);
        for stored in self.covering(first, next.unwrap_or(last))? {
            coverage.add_segment(&stored.manifest);
        }
        for marker in &self.markers {
            coverage.add_marker(marker);
        }
        Ok(coverage)
    }

    /// The last offset that a segment has before `offset`, which none has.
    pub(super) fn last_before(&mut self, offset: i64) -> Result<Option<i64>> {
        let Some(first) = self.first_before(offset) else {
            return Ok(None);
        };
        // One that ends behind this one's end has its first offset, too.
        let found = self.covering(first, first)?;
        Ok(found.iter().map(|stored| stored.manifest.last).max())
    }

    /// From where to where there are segments, as far as their manifests have been needed.
    pub(super) fn span(&self) -> Option<OffsetSpan> {
        let manifests = || self.segments.values().flatten();
        let newest_ms = manifests().filter_map(|it| it.times_ms).map(|(_, ms)| ms);
        let last = self.segments.last_key_value()?.0.first;
        Some(OffsetSpan {
            first: self.segments.first_key_value()?.0.first,
            last: manifests().map(|it| it.last).fold(last, i64::max),
            newest_ms: newest_ms.max(),
        })
    }

    /// Records that these offsets have no records, unless that is known.
    pub(super) fn claim(&mut self, first: i64, last: i64) -> Result<()> {
        let is_known = |coverage: Coverage| coverage.unclaimed(first, last).is_empty();
        if first > last || is_known(self.coverage(first, last)?) {
            return Ok(());
        }
        self.mark(RangeStatus::Absent, first, last)
    }

    /// Records that a segment and others lie in one range.
    pub(super) fn mark_overlaps(&mut self, own: &Manifest, others: &[StoredSegment]) -> Result<()> {
        for other in others {
            for manifest in [own, &other.manifest] {
                self.mark(RangeStatus::Overlap, manifest.first, manifest.last)?;
            }
        }
        Ok(())
    }

    /// Records something of a range, unless it is recorded already.
    pub(super) fn mark(&mut self, status: RangeStatus, first: i64, last: i64) -> Result<()> {
        let marker = RangeMarker::new(status, first, last);
        if self.markers.insert(marker) {
            marker.write(&*self.store, &self.log)?;
        }
        Ok(())
    }
}

/// What the manifest says; one that a crash has left out is written now, from the segment.
fn load(store: &dyn Store, log: &LogId, name: &Name) -> Result<Manifest> {
    if let Some(manifest) = inventory::manifest(store, log, name)? {
        return Ok(manifest);
    }
    let counted = Reader::open(store, log, name).and_then(Reader::manifest);
    let counted = counted.with_context(|| damaged(log, name))?;
    let text = counted.text(&name.file(log));
    let path = format!("{}{MANIFEST_SUFFIX}", name.path(log));
    store.replace(&path, text.as_bytes())?;
    Ok(counted)
}

/// What to do about a segment that can't be read.
pub(super) fn damaged(log: &LogId, name: &Name) -> String {
    format!(
        "{}: damaged; move it aside with --verify --quarantine, then send the topic again",
        name.file(log)
    )
}
