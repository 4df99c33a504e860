//! A segment that is whole becomes part of the backup: the one place that handles overlap with what is stored.
//!
//! Records that the backup has are compared, the others are stored, whoever
//! wrote the former and whatever the reader of the input expected. Another
//! writer may store the same records at the same time: only one of two can
//! create a name, and the other one looks again.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};

use super::index::Target;
use super::merge;
use super::partition::Records;
use crate::read::segment::Checksum;
use crate::segment::codec::Compressor;
use crate::segment::{Codec, LinesDigest, LogId, Manifest, Name};
use crate::store::{Created, Store, TempSegment};

/// Another writer is met at most so often for one segment.
const ATTEMPTS: u32 = 100;

/// A segment as a temporary file.
pub(super) struct Segment {
    pub(super) name: Name,
    /// What it holds, once it is whole.
    pub(super) manifest: Manifest,
    pub(super) temp: TempSegment,
    digest: LinesDigest,
    checksum: Checksum,
}

impl Segment {
    /// Adds records, as one frame.
    pub(super) fn add(&mut self, lines: &[u8], compressor: &mut Compressor) -> Result<()> {
        self.digest.add(lines);
        let frame = match self.name.codec {
            Codec::None => lines,
            _ => compressor.compress(lines).context("cannot compress")?,
        };
        self.checksum.add(frame);
        let written = self.temp.file.write_all(frame);
        written.context("cannot write a segment")
    }

    /// It is whole, and these are its records.
    pub(super) fn finish(&mut self, records: Manifest) {
        let checksum = std::mem::take(&mut self.checksum);
        self.name.first = records.first;
        self.manifest = records;
        self.manifest.stored_bytes = checksum.bytes;
        self.manifest.digests = self.digest.finish();
        self.manifest.sha256 = checksum.finish();
    }

    /// Whether a stored segment has the same records.
    fn is(&self, stored: &Manifest) -> bool {
        let own = &self.manifest;
        own.digests.is_some()
            && (own.first, own.last, own.records, own.digests)
                == (stored.first, stored.last, stored.records, stored.digests)
    }
}

/// What became of segments: all their records are durable.
#[derive(Default)]
pub(super) struct Published {
    /// What the source calls these records; first and last of each range.
    pub(super) tags: Vec<(u64, u64)>,
    /// Records that were stored.
    pub(super) stored_records: u64,
    /// Records that the backup had, and that are the same.
    pub(super) known_records: u64,
    /// Records that another writer has stored in the same moment, so that they are stored twice.
    pub(super) duplicate_records: u64,
}

impl Published {
    pub(super) fn add(&mut self, other: Published) {
        self.tags.extend(other.tags);
        self.stored_records += other.stored_records;
        self.known_records += other.known_records;
        self.duplicate_records += other.duplicate_records;
    }
}

pub(super) struct Publisher {
    pub(super) store: Arc<dyn Store>,
    pub(super) codec: Codec,
    /// After the first failure nothing more is stored.
    pub(super) has_failed: AtomicBool,
}

impl Publisher {
    /// Begins a segment.
    pub(super) fn begin(&self, target: &Target, name: Name) -> Result<Segment> {
        Ok(Segment {
            name,
            manifest: Manifest::default(),
            temp: self.store.temp_segment(&target.log.folder())?,
            digest: LinesDigest::default(),
            checksum: Checksum::default(),
        })
    }

    /// Makes the records of a segment durable.
    pub(super) fn publish(
        &self,
        target: &Target,
        mut segment: Segment,
        records: Records,
    ) -> Result<Published> {
        segment.finish(records.manifest);
        let mut published = Published {
            tags: records.tags,
            ..Published::default()
        };
        if target.log == LogId::Lines {
            self.store_lines(target, &mut segment)?;
            published.stored_records = segment.manifest.records;
            return Ok(published);
        }
        let (first, last) = (segment.manifest.first, segment.manifest.last);
        let is_sorted = !records.is_unsorted;
        for _ in 0..ATTEMPTS {
            // Another writer of this folder sees all of it or nothing.
            let _lock = self.store.lock(&target.log.folder())?;
            let stored = target.index().covering_now(first, last)?;
            let is_done = match &stored[..] {
                [] if is_sorted && segment.name.codec == self.codec => {
                    self.create(target, &mut segment, &mut published)?
                }
                [one] if is_sorted && segment.is(&one.manifest) => true,
                several => self.merge(target, &segment, several, is_sorted, &mut published)?,
            };
            if is_done {
                if let Some(after) = segment.manifest.after.filter(|_| is_sorted) {
                    target.index().claim(after + 1, first - 1)?;
                }
                published.known_records = segment.manifest.records - published.stored_records;
                return Ok(published);
            }
        }
        bail!(
            "{} is there and is not listed",
            segment.name.path(&target.log)
        );
    }

    /// Lines have no order: the next free number is as good as any.
    fn store_lines(&self, target: &Target, segment: &mut Segment) -> Result<()> {
        let span = target.index().span();
        let mut number = span.map_or(0, |span| span.last + 1);
        loop {
            segment.name.first = number;
            (segment.manifest.first, segment.manifest.last) = (number, number);
            if self.store_as_named(target, segment)? {
                return Ok(());
            }
            number += 1;
        }
    }

    /// Creates a segment under its name; false where another writer has that.
    fn store_as_named(&self, target: &Target, segment: &mut Segment) -> Result<bool> {
        let path = segment.name.path(&target.log);
        let temp = &mut segment.temp;
        let created = self.store.create(&path, temp, &segment.manifest)?;
        if created == Created::New {
            target.index().insert(&segment.name, &segment.manifest);
        }
        Ok(created == Created::New)
    }

    /// Creates a segment of records that are not stored; false where another writer has its name.
    pub(super) fn create(
        &self,
        target: &Target,
        segment: &mut Segment,
        published: &mut Published,
    ) -> Result<bool> {
        let (first, last) = (segment.manifest.first, segment.manifest.last);
        // Inside a segment that has left offsets out: both ends are said before it is there.
        let known = target.index().covering(first, last)?;
        target.index().mark_overlaps(&segment.manifest, &known)?;
        if !self.store_as_named(target, segment)? {
            return Ok(false);
        }
        published.stored_records += segment.manifest.records;
        let mut others = target.index().covering_now(first, last)?;
        others.retain(|other| {
            other.name != segment.name && !known.iter().any(|known| known.name == other.name)
        });
        if !others.is_empty() {
            // Another writer was as quick. What both have stored has to be the same.
            target.index().mark_overlaps(&segment.manifest, &others)?;
            let mut own = merge::digests(&merge::read(segment)?);
            merge::compare(&*self.store, target, &others, &mut own)?;
            published.duplicate_records += segment.manifest.records - own.len() as u64;
        }
        Ok(true)
    }
}
