//! What is stored of one partition while it is written: its listing, and manifests as they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow};

use crate::coverage::Coverage;
use crate::read::{Inventory, Reader, inventory};
use crate::segment::name::MANIFEST_SUFFIX;
use crate::segment::{LogId, Manifest, Name, RangeMarker, RangeStatus};
use crate::store::Store;

/// A partition, or the lines that have none, as the main thread and the pool share it.
pub(super) struct Target {
    pub(super) log: Arc<LogId>,
    index: Mutex<Index>,
}

impl Target {
    pub(super) fn open(store: &Arc<dyn Store>, log: LogId) -> Result<Target> {
        let log = Arc::new(log);
        Ok(Target {
            index: Mutex::new(Index::open(store, &log)?),
            log,
        })
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The message of a record that is another one than the backup has.
    pub(super) fn differs(&self, stored: &StoredSegment, offset: i64) -> anyhow::Error {
        anyhow!(
            "{}: offset {offset} is another record than in the backup, {}; a recreated topic needs a backup of its own, \
             and a segment that --verify finds damaged is moved aside with --verify --quarantine",
            self.log,
            stored.name.file(&self.log)
        )
    }
}

#[derive(Clone, Debug)]
pub(super) struct StoredSegment {
    pub(super) name: Name,
    pub(super) manifest: Arc<Manifest>,
}

/// Where offsets lie, from `first` to `last`: in a segment, or in none.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) stored: Option<StoredSegment>,
}

impl Region {
    #[inline]
    pub(super) fn contains(&self, offset: i64) -> bool {
        self.first <= offset && offset <= self.last
    }
}

/// The segments of one partition, in the order of their first offsets.
///
/// The listing has first offsets only. Segments do not overlap, so the one
/// that begins before an offset, and its manifest, say whether the offset is
/// stored. The few that do overlap have a marker whose name has both ends.
pub(super) struct Index {
    store: Arc<dyn Store>,
    log: Arc<LogId>,
    /// Each with its manifest, once that was needed.
    segments: BTreeMap<Name, Option<Arc<Manifest>>>,
    markers: Vec<RangeMarker>,
}

impl Index {
    pub(super) fn open(store: &Arc<dyn Store>, log: &Arc<LogId>) -> Result<Index> {
        let mut index = Index {
            store: Arc::clone(store),
            log: Arc::clone(log),
            segments: BTreeMap::new(),
            markers: Vec::new(),
        };
        index.list_again()?;
        Ok(index)
    }

    /// Lists again from the last segment before `offset` on: another writer may have stored something.
    pub(super) fn refresh(&mut self, offset: i64) -> Result<()> {
        let entries = match self.first_before(offset) {
            None => self.store.list(&self.log.folder())?,
            Some(first) => {
                let behind = Name::behind(&self.log, first);
                self.store.list_behind(&self.log.folder(), &behind)?
            }
        };
        let listed = Inventory::of_log(&entries, &self.log).segments;
        if listed.iter().all(|name| self.segments.contains_key(name)) {
            return Ok(());
        }
        // Another writer is at work: its markers, which say what overlaps, sort elsewhere.
        self.list_again()
    }

    /// Lists the whole partition again.
    pub(super) fn list_again(&mut self) -> Result<()> {
        let listed = Inventory::list_log(&*self.store, &self.log)?;
        for name in listed.segments {
            self.segments.entry(name).or_default();
        }
        for marker in listed.markers {
            if !self.markers.contains(&marker) {
                self.markers.push(marker);
            }
        }
        Ok(())
    }

    /// Takes in a segment that has just been stored.
    pub(super) fn insert(&mut self, name: &Name, manifest: &Manifest) {
        let manifest = Arc::new(manifest.clone());
        self.segments.insert(name.clone(), Some(manifest));
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

    /// The overlaps that are recorded.
    fn overlaps(&self) -> impl Iterator<Item = &RangeMarker> {
        let markers = self.markers.iter();
        markers.filter(|marker| marker.status == RangeStatus::Overlap)
    }

    /// The segments that have offsets from `first` to `last` in their ranges.
    pub(super) fn covering(&mut self, first: i64, last: i64) -> Result<Vec<StoredSegment>> {
        let overlapping = self.overlaps();
        let overlapping = overlapping.filter(|it| it.first < first && it.last >= first);
        let mut begin: BTreeSet<i64> = overlapping.map(|it| it.first).collect();
        begin.extend(self.first_before(first));
        let from = begin.first().map_or(first, |from| *from);
        let mut found = Vec::new();
        let behind = Name::least(last.saturating_add(1));
        for (name, manifest) in self.segments.range_mut(Name::least(from)..behind) {
            if name.first < first && !begin.contains(&name.first) {
                continue;
            }
            let manifest = match manifest {
                Some(known) => known,
                none => none.insert(Arc::new(load(&*self.store, &self.log, name)?)),
            };
            if manifest.last >= first && manifest.first <= last {
                found.push(StoredSegment {
                    name: name.clone(),
                    manifest: Arc::clone(manifest),
                });
            }
        }
        Ok(found)
    }

    /// In what `offset` lies, and how far that goes on.
    pub(super) fn locate(&mut self, offset: i64) -> Result<Region> {
        let found = self.covering(offset, offset)?;
        if let Some(stored) = found.into_iter().max_by_key(|stored| stored.manifest.last) {
            return Ok(Region {
                first: stored.manifest.first,
                last: stored.manifest.last,
                stored: Some(stored),
            });
        }
        let next = self.first_from(offset).map_or(i64::MAX, |next| next - 1);
        let before = self.last_before(offset)?;
        Ok(Region {
            first: before.map_or(i64::MIN, |before| before + 1),
            last: next,
            stored: None,
        })
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

    /// The last offset before `offset`, which no segment has, that one has.
    pub(super) fn last_before(&mut self, offset: i64) -> Result<Option<i64>> {
        let Some(first) = self.first_before(offset) else {
            return Ok(None);
        };
        let found = self.covering(first, first)?;
        let last = found.iter().map(|stored| stored.manifest.last).max();
        let overlapping = self.overlaps().filter(|marker| {
            marker.last < offset && self.first_from(marker.first) == Some(marker.first)
        });
        Ok(last.max(overlapping.map(|marker| marker.last).max()))
    }

    /// From where to where there are segments, as far as their manifests have been needed.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        let segments = self.segments.iter();
        let last = segments.map(|(name, it)| it.as_ref().map_or(name.first, |it| it.last));
        Some((self.segments.first_key_value()?.0.first, last.max()?))
    }

    /// Records that these offsets have no records, unless that is known.
    pub(super) fn claim(&mut self, first: i64, last: i64) -> Result<()> {
        let is_new = first <= last
            && !self
                .coverage(first, last)?
                .unclaimed(first, last)
                .is_empty();
        if is_new {
            self.mark(RangeStatus::Absent, first, last)?;
        }
        Ok(())
    }

    /// Records that there is nothing between the record before and this segment, unless that is known.
    pub(super) fn claim_before(&mut self, manifest: &Manifest) -> Result<()> {
        match manifest.after {
            Some(after) => self.claim(after.saturating_add(1), manifest.first - 1),
            None => Ok(()),
        }
    }

    /// Records that a segment and others lie in one range.
    pub(super) fn mark_overlaps(&mut self, own: &Manifest, others: &[StoredSegment]) -> Result<()> {
        for other in others {
            self.mark(RangeStatus::Overlap, own.first, own.last)?;
            self.mark(
                RangeStatus::Overlap,
                other.manifest.first,
                other.manifest.last,
            )?;
        }
        Ok(())
    }

    /// Records something of a range, unless it is recorded already.
    pub(super) fn mark(&mut self, status: RangeStatus, first: i64, last: i64) -> Result<()> {
        let marker = RangeMarker {
            status,
            first,
            last,
        };
        if self.markers.contains(&marker) {
            return Ok(());
        }
        marker.write(&*self.store, &self.log)?;
        self.markers.push(marker);
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
