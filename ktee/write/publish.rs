//! A segment that is whole becomes part of the backup: the one place that handles overlap with what is stored.
//!
//! Records that the backup has are compared, the others are stored, whoever
//! wrote the former and whatever the reader of the input expected. Another
//! writer may store the same records at the same time: only one of two can
//! create a name, and the other one looks again.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::content;
use super::index::Target;
use crate::read::segment::hex;
use crate::segment::codec::Compressor;
use crate::segment::{Codec, Layout, LogId, Manifest, Name, Tally};
use crate::store::{Created, Store, TempSegment};

/// Another writer is met at most so often for one segment.
const ATTEMPTS: u32 = 100;

/// A segment that gets its records.
pub(super) struct SegmentWriter {
    codec: Codec,
    temp: TempSegment,
    sha256: Sha256,
    stored_bytes: u64,
}

impl SegmentWriter {
    /// Adds records, as one frame.
    pub(super) fn add(&mut self, block: &[u8], compressor: &mut Compressor) -> Result<()> {
        let frame = match self.codec {
            Codec::None => block,
            _ => compressor.compress(block).context("cannot compress")?,
        };
        self.sha256.update(frame);
        self.stored_bytes += frame.len() as u64;
        let written = self.temp.file.write_all(frame);
        written.context("cannot write a segment")
    }
}

/// What the reader of the input knows of a segment.
#[derive(Default)]
pub(super) struct SegmentInfo {
    pub(super) tally: Tally,
    /// When the first line came; lines only.
    pub(super) time_ms: Option<i64>,
    /// Whether an offset came after a higher one, so that nothing is known of those between.
    pub(super) is_unsorted: bool,
    /// What the source calls these records; first and last of each range.
    pub(super) tags: Vec<(u64, u64)>,
}

/// What became of a segment: all its records are durable.
pub(super) struct Published {
    pub(super) log: Arc<LogId>,
    /// Its first and last offset, and the time of its newest record.
    pub(super) span: (i64, i64),
    pub(super) newest_ms: Option<i64>,
    pub(super) tags: Vec<(u64, u64)>,
    /// Records that were stored.
    pub(super) stored_records: u64,
    /// Records that the backup had, and that are the same.
    pub(super) known_records: u64,
    /// Records that another writer has stored in the same moment, so that they are stored twice.
    pub(super) duplicate_records: u64,
}

/// A segment as a temporary file.
pub(super) struct Segment {
    pub(super) name: Name,
    pub(super) manifest: Manifest,
    pub(super) temp: TempSegment,
}

impl Segment {
    pub(super) fn new(writer: SegmentWriter, info: &SegmentInfo, layout: Layout) -> Segment {
        let manifest = Manifest {
            stored_bytes: writer.stored_bytes,
            sha256: hex(&writer.sha256.finalize()),
            ..info.tally.finish()
        };
        Segment {
            name: Name {
                first: manifest.first,
                time_ms: info.time_ms,
                layout,
                codec: writer.codec,
            },
            manifest,
            temp: writer.temp,
        }
    }

    /// Whether a stored segment has the same records.
    fn is(&self, stored: &Manifest) -> bool {
        let own = &self.manifest;
        own.digests.is_some()
            && (own.first, own.last, own.records, own.digests)
                == (stored.first, stored.last, stored.records, stored.digests)
    }
}

pub(super) struct Publisher {
    pub(super) store: Arc<dyn Store>,
    pub(super) codec: Codec,
    pub(super) layout: Layout,
}

impl Publisher {
    /// Begins a segment.
    pub(super) fn begin(&self, target: &Target, codec: Codec) -> Result<SegmentWriter> {
        Ok(SegmentWriter {
            codec,
            temp: self.store.temp_segment(&target.log.folder())?,
            sha256: Sha256::new(),
            stored_bytes: 0,
        })
    }

    /// Makes the records of a segment durable.
    pub(super) fn publish(
        &self,
        target: &Target,
        writer: SegmentWriter,
        info: SegmentInfo,
    ) -> Result<Published> {
        let mut segment = Segment::new(writer, &info, self.layout);
        let (first, last) = (segment.manifest.first, segment.manifest.last);
        let mut published = Published {
            log: Arc::clone(&target.log),
            span: (first, last),
            newest_ms: segment.manifest.times_ms.map(|(_, latest)| latest),
            tags: info.tags,
            stored_records: 0,
            known_records: 0,
            duplicate_records: 0,
        };
        if *target.log == LogId::Lines {
            self.store_lines(&target.log, &mut segment)?;
            published.stored_records = segment.manifest.records;
            return Ok(published);
        }
        let is_sorted = !info.is_unsorted;
        for _ in 0..ATTEMPTS {
            // Another writer of this folder sees all of it or nothing.
            let _lock = self.store.lock(&target.log.folder())?;
            let stored = {
                let mut index = target.index();
                index.refresh(first)?;
                index.covering(first, last)?
            };
            let is_done = match &stored[..] {
                [] if is_sorted && segment.name.codec == self.codec => {
                    self.create(target, &mut segment, &mut published)?
                }
                [one] if is_sorted && segment.is(&one.manifest) => {
                    published.known_records = segment.manifest.records;
                    target.index().claim_before(&segment.manifest)?;
                    true
                }
                several => self.merge(target, &mut segment, several, is_sorted, &mut published)?,
            };
            if is_done {
                return Ok(published);
            }
        }
        bail!(
            "{} is there and is not listed",
            segment.name.path(&target.log)
        );
    }

    /// Lines have no order: the next free number is as good as any.
    fn store_lines(&self, log: &LogId, segment: &mut Segment) -> Result<()> {
        let Segment {
            name,
            manifest,
            temp,
        } = segment;
        while self.store.create(&name.path(log), temp, manifest)? == Created::Exists {
            name.first += 1;
            (manifest.first, manifest.last) = (name.first, name.first);
        }
        Ok(())
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
        let path = segment.name.path(&target.log);
        let created = self
            .store
            .create(&path, &mut segment.temp, &segment.manifest)?;
        if created == Created::Exists {
            return Ok(false);
        }
        published.stored_records += segment.manifest.records;
        let mut others = {
            let mut index = target.index();
            index.insert(&segment.name, &segment.manifest);
            index.refresh(first)?;
            index.covering(first, last)?
        };
        others.retain(|other| {
            other.name != segment.name && !known.iter().any(|known| known.name == other.name)
        });
        if !others.is_empty() {
            // Another writer was as quick. What both have stored has to be the same.
            target.index().mark_overlaps(&segment.manifest, &others)?;
            let content = content::read(&mut segment.temp, &segment.name)?;
            content::compare(&*self.store, target, &others, &content, &mut |_| {
                published.duplicate_records += 1;
            })?;
        }
        Ok(true)
    }
}
