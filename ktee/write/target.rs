//! One partition as the threads see it.

use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Result, anyhow};

use super::index::{Index, Stored};
use super::pool::{Queue, lock};
use super::publish::Growing;
use crate::segment::{Fact, Manifest, Place};
use crate::store::Store;

/// A partition, or the lines that have none: what is stored of it, and what there is to do for it.
pub(super) struct Target {
    pub(super) place: Arc<Place>,
    index: Mutex<Index>,
    pub(super) queue: Mutex<Queue>,
    /// The segment that gets records; the thread that works off the queue has it locked.
    pub(super) growing: Mutex<Option<Growing>>,
}

impl Target {
    pub(super) fn open(store: &Arc<dyn Store>, place: Place) -> Result<Target> {
        let place = Arc::new(place);
        Ok(Target {
            index: Mutex::new(Index::open(store, &place)?),
            place,
            queue: Mutex::default(),
            growing: Mutex::default(),
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
        index.note(Fact::Absent, first, last)
    }

    /// Records that there is nothing between the record before and this segment, unless that is known.
    pub(super) fn claim_before(&self, manifest: &Manifest) -> Result<()> {
        match manifest.after {
            Some(after) => self.claim(after.saturating_add(1), manifest.first - 1),
            None => Ok(()),
        }
    }

    /// The message of a record that is another one than the backup has.
    pub(super) fn differs(&self, stored: &Stored, offset: i64) -> anyhow::Error {
        anyhow!(
            "{}: offset {offset} is another record than in the backup, {}; a recreated topic needs a backup of its own, \
             and a segment that --verify finds damaged is moved aside with --verify --quarantine",
            self.place,
            stored.name.file(&self.place)
        )
    }
}
