//! A segment that is whole becomes part of the backup: the one place that handles overlap with what is stored.
//!
//! Records that the backup has are compared, the others are stored, whoever
//! wrote the former and whatever the reader of the input expected. Another
//! writer may store the same records at the same time: only one of two can
//! create a name, and the other one looks again.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::index::Target;
use super::partition::Records;
use crate::read::segment::Checksum;
use crate::segment::codec::Compressor;
use crate::segment::{Codec, LinesDigest, LogId, Manifest, Name};
use crate::store::{Created, TempSegment};

/// How often another writer may be met for one segment.
const ATTEMPTS: u32 = 100;

/// A segment as a temporary file.
pub(super) struct Segment {
    pub(super) target: Arc<Target>,
    pub(super) name: Name,
    /// What it holds, once it is whole.
    pub(super) manifest: Manifest,
    /// Whether each offset is higher than the one before, so that there are no records between them.
    pub(super) is_sorted: bool,
    pub(super) temp: TempSegment,
    digest: LinesDigest,
    checksum: Checksum,
}

impl Segment {
    pub(super) fn begin(target: Arc<Target>, name: Name) -> Result<Segment> {
        Ok(Segment {
            temp: target.store.temp_segment(&target.log.folder())?,
            target,
            name,
            manifest: Manifest::default(),
            is_sorted: true,
            digest: LinesDigest::default(),
            checksum: Checksum::default(),
        })
    }

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

    /// Makes the records durable.
    pub(super) fn publish(
        mut self,
        records: Records,
        compressor: &mut Compressor,
    ) -> Result<Published> {
        self.is_sorted = !records.is_unsorted;
        self.finish(records.manifest);
        let mut published = Published {
            tags: records.tags,
            ..Published::default()
        };
        if self.target.log == LogId::Lines {
            self.store_lines()?;
            published.stored_records = self.manifest.records;
            return Ok(published);
        }
        let target = Arc::clone(&self.target);
        let (first, last) = (self.manifest.first, self.manifest.last);
        for _ in 0..ATTEMPTS {
            // Another writer of this folder sees all of it or nothing.
            let _lock = target.store.lock(&target.log.folder())?;
            let stored = target.index().covering_now(first, last)?;
            let is_done = match &stored[..] {
                [] if self.is_sorted && self.name.codec == compressor.codec => {
                    self.create(&mut published)?
                }
                [one] if self.is_sorted && self.is(&one.manifest) => true,
                several => self.merge(several, compressor, &mut published)?,
            };
            if is_done {
                if let Some(after) = self.manifest.after.filter(|_| self.is_sorted) {
                    target.index().claim(after + 1, first - 1)?;
                }
                published.known_records = self.manifest.records - published.stored_records;
                return Ok(published);
            }
        }
        bail!("{} is there and is not listed", self.name.path(&target.log));
    }

    /// Lines have no order: the next free number is as good as any.
    fn store_lines(&mut self) -> Result<()> {
        let span = self.target.index().span();
        for number in span.map_or(0, |span| span.last + 1).. {
            self.name.first = number;
            (self.manifest.first, self.manifest.last) = (number, number);
            if self.store_as_named()? {
                break;
            }
        }
        Ok(())
    }

    /// Stores it under its name; false where another writer has that.
    fn store_as_named(&mut self) -> Result<bool> {
        let Target { store, log, .. } = &*self.target;
        let path = self.name.path(log);
        if store.create(&path, &mut self.temp, &self.manifest)? == Created::Exists {
            return Ok(false);
        }
        self.target.index().insert(&self.name, &self.manifest);
        Ok(true)
    }

    /// Stores records of which none is stored; false where another writer has the name.
    pub(super) fn create(&mut self, published: &mut Published) -> Result<bool> {
        let target = Arc::clone(&self.target);
        let (first, last) = (self.manifest.first, self.manifest.last);
        // Inside a segment that has left offsets out: record both ends before it appears.
        let known = target.index().covering(first, last)?;
        target.index().mark_overlaps(&self.manifest, &known)?;
        if !self.store_as_named()? {
            return Ok(false);
        }
        published.stored_records += self.manifest.records;
        let mut others = target.index().covering_now(first, last)?;
        others.retain(|other| other.name != self.name && !known.contains(other));
        if !others.is_empty() {
            // Another writer was as quick. What both have stored has to be the same.
            target.index().mark_overlaps(&self.manifest, &others)?;
            let (_, mut own) = self.lines()?;
            target.compare(&others, &mut own)?;
            published.duplicate_records += self.manifest.records - own.len() as u64;
        }
        Ok(true)
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
    /// Records that another writer stored at the same moment, so that they are stored twice.
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
