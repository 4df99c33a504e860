//! One partition of a backup that is being written: the segment that is open, and where the next record lies.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use tools::ack::ReadStart;
use tools::record::{Encoder, Record};

use super::content::{Line, SegmentRecords, compare};
use super::index::{Region, StoredSegment, Target};
use super::publish::SegmentInfo;
use crate::cli::now_ms;
use crate::read::segment::Digester;
use crate::segment::cut::digest_of;
use crate::segment::{Codec, Cut, Manifest, Tally};
use crate::store::Store;

/// A partition, or the lines that have none.
pub(super) struct Partition {
    pub(super) target: Arc<Target>,
    /// Where the last record was.
    pub(super) region: Option<Region>,
    pub(super) open: Option<OpenSegment>,
    /// The offset before which the run has passed all that is there.
    pub(super) after: Option<i64>,
    is_forgotten: bool,
    /// The time of the newest record of this run.
    newest_ms: Option<i64>,
}

/// A segment that gets records.
pub(super) struct OpenSegment {
    pub(super) codec: Codec,
    /// What is known of it so far.
    pub(super) content: SegmentInfo,
    /// Records that the pool has not been given yet.
    pub(super) block: Vec<u8>,
    pub(super) opened: Instant,
}

impl OpenSegment {
    fn new(codec: Codec, tally: Tally) -> OpenSegment {
        OpenSegment {
            codec,
            content: SegmentInfo {
                tally,
                ..SegmentInfo::default()
            },
            block: Vec::new(),
            opened: Instant::now(),
        }
    }

    /// Takes the block, and adds it to the checksum.
    pub(super) fn take_block(&mut self) -> Vec<u8> {
        if !self.block.is_empty() {
            self.content.tally.digest(&self.block);
        }
        std::mem::take(&mut self.block)
    }
}

impl Partition {
    pub(super) fn new(target: Target, after: Option<i64>) -> Partition {
        Partition {
            target: Arc::new(target),
            region: None,
            open: None,
            after,
            is_forgotten: false,
            newest_ms: None,
        }
    }

    /// Forgets what the run knows of it; returns the segment that is open.
    pub(super) fn forget(&mut self) -> Option<OpenSegment> {
        self.region = None;
        self.after = None;
        self.is_forgotten = true;
        self.open.take()
    }

    /// Whether the last record lies in a stored segment.
    pub(super) fn is_known(&self) -> bool {
        self.region.as_ref().is_some_and(|it| it.stored.is_some())
    }

    #[inline]
    pub(super) fn is_in_region(&self, offset: i64) -> bool {
        self.region
            .as_ref()
            .is_some_and(|region| region.contains(offset))
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
        let codec = encoding.codec;
        let is_known = self.open.is_none() && self.is_known();
        let open = self.open.get_or_insert_with(|| {
            // What is known is kept as it is until it has been compared.
            let codec = if is_known { Codec::None } else { codec };
            let mut tally = Tally::default();
            // Nothing is known of what lies before a record that comes late.
            tally.manifest.after = self.after.filter(|after| *after < offset);
            tally.manifest.after_ms = self.newest_ms;
            OpenSegment::new(codec, tally)
        });
        let content = &mut open.content;
        if self.after.is_some_and(|after| offset <= after) && content.tally.manifest.records > 0 {
            content.is_unsorted = true;
        }
        if let Some(tag) = tag {
            match content.tags.last_mut() {
                Some((_, last)) if *last + 1 == tag => *last = tag,
                _ => content.tags.push((tag, tag)),
            }
        }
        let before = open.block.len();
        encoding.write(record, line, &mut open.block)?;
        let bytes = open.block.len() - before;
        open.content.tally.add(offset, record.timestamp_ms, bytes);
        self.after = Some(offset);
        self.newest_ms = self.newest_ms.max(record.timestamp_ms);
        Ok(bytes)
    }

    /// Adds whole lines that have no position, as many as the open segment has room for; says how many bytes those were.
    pub(super) fn add_lines(
        &mut self,
        lines: &[u8],
        tag: Option<u64>,
        cut: &Cut,
        codec: Codec,
    ) -> usize {
        let number = self.after.map_or(0, |last| last + 1);
        let open = self.open.get_or_insert_with(|| {
            self.after = Some(number);
            let mut open = OpenSegment::new(codec, Tally::of_number(number));
            open.content.time_ms = Some(now_ms());
            open
        });
        let content = &mut open.content;
        let end = lines_end(cut, &content.tally.manifest, lines);
        open.block.extend_from_slice(&lines[..end]);
        content.tally.manifest.bytes += end as u64;
        content.tally.manifest.records += memchr::memchr_iter(b'\n', &lines[..end]).count() as u64;
        content.tags.extend(tag.map(|tag| (tag, tag)));
        end
    }

    /// Whether the open segment is whole behind a record of this offset.
    #[inline]
    pub(super) fn is_due(&self, cut: &Cut, offset: i64) -> bool {
        let Some(open) = &self.open else {
            return false;
        };
        match self.region.as_ref().and_then(|it| it.stored.as_ref()) {
            None => cut.is_due(&open.content.tally),
            // Compared as a whole, if it passes as a whole.
            Some(StoredSegment { manifest, .. }) => {
                offset == manifest.last
                    || open.content.tally.manifest.bytes > manifest.bytes.max(cut.bytes)
            }
        }
    }

    /// Finds out where `offset` lies. A record at which the run enters a stored segment is compared at once, so that a
    /// recreated topic is found before anything of it is stored.
    pub(super) fn enter(
        &mut self,
        store: &dyn Store,
        record: &Record<'_>,
        offset: i64,
        line_digest: impl FnOnce() -> Result<u64>,
    ) -> Result<()> {
        if std::mem::take(&mut self.is_forgotten) {
            // Another member of the group may have stored something meanwhile.
            self.target.index().list_again()?;
        }
        let was_stored = self.is_known();
        let region = self.target.index().locate(offset)?;
        if let Some(stored) = region.stored.as_ref().filter(|_| !was_stored) {
            let first = stored.manifest.digests.map(|(_, first)| first);
            let is_first = stored.manifest.first == offset;
            let is_same = is_first && first == Some(line_digest()?);
            if !is_same {
                let digest = Digester::new()?.digest(record)?;
                let line = Line {
                    digest,
                    ..Line::default()
                };
                let own = SegmentRecords::from([(offset, line)]);
                let stored = std::slice::from_ref(stored);
                compare(store, &self.target, stored, &own, &mut |_| {})?;
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

/// How many of these whole lines still belong into the segment that is open; one at least.
fn lines_end(cut: &Cut, open: &Manifest, lines: &[u8]) -> usize {
    let room = cut.bytes.saturating_sub(open.bytes).max(1) as usize;
    let mut end = match lines.get(room - 1..) {
        // The line that reaches the limit is the last one.
        Some(tail) => room - 1 + memchr::memchr(b'\n', tail).map_or(tail.len(), |at| at + 1),
        None => lines.len(),
    };
    if let Some(records) = cut.records {
        let left = records.saturating_sub(open.records).max(1) as usize;
        if let Some(at) = memchr::memchr_iter(b'\n', lines).nth(left - 1) {
            end = end.min(at + 1);
        }
    }
    end
}

/// How records become lines of a segment.
pub(super) struct Encoding {
    /// None where the lines of the input are those of a segment.
    pub(super) encoder: Option<Encoder>,
    pub(super) codec: Codec,
}

impl Encoding {
    #[inline]
    fn write(&mut self, record: &Record<'_>, line: &[u8], block: &mut Vec<u8>) -> Result<()> {
        if let Some(encoder) = &mut self.encoder {
            return Ok(encoder.encode(record, block)?);
        }
        block.extend_from_slice(line);
        if line.last() != Some(&b'\n') {
            block.push(b'\n');
        }
        Ok(())
    }

    /// The checksum of a record alone.
    pub(super) fn digest(&mut self, record: &Record<'_>, line: &[u8]) -> Result<u64> {
        let mut text = Vec::new();
        self.write(record, line, &mut text)?;
        Ok(digest_of(&text))
    }
}
