//! One partition of a backup that is being written: the segment that is open, and where the next record lies.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Result;
use tools::ack::ReadStart;
use tools::cli::now_ms;
use tools::record::Record;

use super::index::{Region, StoredSegment, Target};
use super::publish::Segment;
use super::settings::Encoding;
use crate::read::segment::Digester;
use crate::segment::{Codec, Cut, Layout, Manifest, Name};

/// A partition, or the lines that have none.
pub(super) struct Partition {
    pub(super) target: Arc<Target>,
    /// Where the last record was; none where no run has begun.
    pub(super) region: Option<Region>,
    pub(super) open: Option<OpenSegment>,
    /// The run has read every record up to this offset; none where it does not know that.
    pub(super) after: Option<i64>,
    /// The time of the newest record of this run.
    newest_ms: Option<i64>,
}

/// A segment that gets records.
pub(super) struct OpenSegment {
    pub(super) name: Name,
    /// What the pool has of it.
    pub(super) segment: Arc<Mutex<Option<Segment>>>,
    /// Lines that the pool has not been given yet.
    pub(super) block: Vec<u8>,
    pub(super) records: Records,
    pub(super) opened: Instant,
}

/// The records of a segment, as far as their lines do not say it.
#[derive(Default)]
pub(super) struct Records {
    pub(super) manifest: Manifest,
    /// Whether an offset came after a higher one, so that nothing is known of those between.
    pub(super) is_unsorted: bool,
    /// What the source calls them; first and last of each range.
    pub(super) tags: Vec<(u64, u64)>,
}

impl Partition {
    pub(super) fn new(target: Target) -> Partition {
        Partition {
            target: Arc::new(target),
            region: None,
            open: None,
            after: None,
            newest_ms: None,
        }
    }

    /// The segment that has the last record, if it was stored before.
    #[inline]
    pub(super) fn stored(&self) -> Option<&StoredSegment> {
        self.region.as_ref()?.stored.as_ref()
    }

    /// Bytes that the pool has not been given yet.
    #[inline]
    pub(super) fn pending_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.block.len())
    }

    /// Adds a record to the open segment, and opens one first if there is none; says how many bytes it took.
    #[inline]
    pub(super) fn add(
        &mut self,
        record: &Record<'_>,
        offset: i64,
        line: &[u8],
        tag: Option<u64>,
        encoding: &mut Encoding,
    ) -> Result<usize> {
        let is_known = self.stored().is_some();
        let open = self.open.get_or_insert_with(|| OpenSegment {
            name: Name {
                first: offset,
                time_ms: (encoding.layout == Layout::Text).then(now_ms),
                layout: encoding.layout,
                // What is known is kept as it is until it has been compared.
                codec: if is_known {
                    Codec::None
                } else {
                    encoding.codec
                },
            },
            segment: Arc::default(),
            block: Vec::new(),
            records: Records {
                manifest: Manifest {
                    // Nothing is known of what lies before a record that comes late.
                    after: self.after.filter(|after| *after < offset),
                    after_ms: self.newest_ms,
                    ..Manifest::default()
                },
                ..Records::default()
            },
            opened: Instant::now(),
        });
        let (before, records) = (open.block.len(), &mut open.records);
        encoding.write(record, line, &mut open.block)?;
        let bytes = open.block.len() - before;
        if self.after.is_some_and(|after| offset <= after) && records.manifest.records > 0 {
            records.is_unsorted = true;
        }
        if let Some(tag) = tag {
            match records.tags.last_mut() {
                Some((_, last)) if *last + 1 == tag => *last = tag,
                _ => records.tags.push((tag, tag)),
            }
        }
        records.manifest.add(offset, record.timestamp_ms, bytes);
        self.after = Some(offset);
        self.newest_ms = self.newest_ms.max(record.timestamp_ms);
        Ok(bytes)
    }

    /// Whether the open segment is whole behind a record of this offset.
    #[inline]
    pub(super) fn is_due(&self, cut: &Cut, offset: i64) -> bool {
        let Some(open) = &self.open else {
            return false;
        };
        match self.stored() {
            None => cut.is_due(&open.records.manifest),
            // Compared as a whole, if it passes as a whole.
            Some(StoredSegment { manifest, .. }) => {
                offset == manifest.last
                    || open.records.manifest.bytes > manifest.bytes.max(cut.bytes)
            }
        }
    }

    /// Finds out where `offset` lies. A record at which the run enters a stored segment is compared at once, so that a
    /// recreated topic is found before anything of it is stored.
    pub(super) fn enter(&mut self, record: &Record<'_>, offset: i64) -> Result<()> {
        let region = self.target.index().locate(offset)?;
        if let Some(stored) = &region.stored
            && self.stored().is_none()
        {
            let digest = Digester::new()?.digest(record)?;
            let first = stored.manifest.digests.map(|(_, first)| first);
            if stored.manifest.first != offset || first != Some(digest) {
                let mut own = BTreeMap::from([(offset, digest)]);
                let stored = std::slice::from_ref(stored);
                self.target.compare(stored, &mut own)?;
            }
        }
        self.region = Some(region);
        Ok(())
    }

    /// The first record of a run is at `offset`: there is none between the position from which the source reads and it.
    pub(super) fn start_run(&mut self, start: Option<&ReadStart>, offset: i64) -> Result<()> {
        let from = start.and_then(|start| start.from);
        // Where the backup has nothing before, it begins here.
        if let Some(from) = from.filter(|from| *from <= offset)
            && self.target.index().last_before(from)?.is_some()
        {
            self.after = Some(from - 1);
        }
        Ok(())
    }
}
