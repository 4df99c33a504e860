//! One partition as the threads see it.

use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Result, anyhow};

use super::index::{Index, StoredSegment};
use super::pool::lock;
use super::publish::SegmentWriter;
use crate::segment::{LogId, Manifest, RangeStatus};
use crate::store::Store;

/// A partition, or the lines that have none: what is stored of it, and what there is to do for it.
pub(super) struct Target {
    pub(super) log: Arc<LogId>,
    index: Mutex<Index>,
    /// The segment that gets records.
    pub(super) writer: Mutex<Option<SegmentWriter>>,
}

impl Target {
    pub(super) fn open(store: &Arc<dyn Store>, log: LogId) -> Result<Target> {
        let log = Arc::new(log);
        Ok(Target {
            index: Mutex::new(Index::open(store, &log)?),
            log,
            writer: Mutex::default(),
        })
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Records that these offsets have no records, unless that is known.
    pub(super) fn claim(&self, first: i64, last: i64) -> Result<()> {
        if first > last {
            return Ok(());
        }
        let mut index = self.index();
        if index
            .coverage(first, last)?
            .unclaimed(first, last)
            .is_empty()
        {
            return Ok(());
        }
        index.mark(RangeStatus::Absent, first, last)
    }

    /// Records that there is nothing between the record before and this segment, unless that is known.
    pub(super) fn claim_before(&self, manifest: &Manifest) -> Result<()> {
        match manifest.after {
            Some(after) => self.claim(after.saturating_add(1), manifest.first - 1),
            None => Ok(()),
        }
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
