//! A segment that is whole becomes part of the backup: the one place that handles overlap with what is stored.
//!
//! Records that the backup has are compared, the others are stored, whoever
//! wrote the former and whatever the reader of the input expected. Another
//! writer may store the same records at the same time: only one of two can
//! create a name, and the other one looks again.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};
use tools::record::{Decoded, Decoder, Encoder, Record};

use super::index::{Index, Stored, damaged};
use crate::read::inventory;
use crate::read::segment::{format, hex};
use crate::segment::codec::Compressor;
use crate::segment::{Codec, Fact, Layout, Manifest, Name, Place, Tally};
use crate::store::{Created, Store, TempSegment};

/// A segment that gets its records.
pub(super) struct Growing {
    pub(super) target: Arc<Target>,
    pub(super) codec: Codec,
    temp: Option<TempSegment>,
    sha256: Sha256,
    stored_bytes: u64,
}

impl Growing {
    pub(super) fn new(target: Arc<Target>, codec: Codec) -> Growing {
        Growing {
            target,
            codec,
            temp: None,
            sha256: Sha256::new(),
            stored_bytes: 0,
        }
    }

    /// What it is so far; afterwards it is empty.
    pub(super) fn take(&mut self) -> Growing {
        let empty = Growing::new(Arc::clone(&self.target), self.codec);
        std::mem::replace(self, empty)
    }
}

/// One partition as the threads see it.
pub(super) struct Target {
    pub(super) place: Arc<Place>,
    index: Mutex<Index>,
    line: Mutex<Line>,
}

/// Segments that are whole, in the order in which they were begun, one after the other: two writers that go on from the
/// same end then always want the same name next, and only one of them gets it.
#[derive(Default)]
struct Line {
    /// The number of the next one.
    next: u64,
    /// Those that can't be stored before the ones in front of them; none for those that are not wanted any more.
    waiting: BTreeMap<u64, Option<(Growing, Finished)>>,
    is_busy: bool,
}

impl Target {
    pub(super) fn open(store: &Arc<dyn Store>, place: Place) -> Result<Target> {
        let place = Arc::new(place);
        Ok(Target {
            index: Mutex::new(Index::open(store, &place)?),
            place,
            line: Mutex::default(),
        })
    }

    /// Puts a segment into the line, and stores those whose turn it is, unless another thread is at it.
    pub(super) fn store_in_order(
        &self,
        number: u64,
        whole: Option<(Growing, Finished)>,
        store: &mut dyn FnMut(Growing, Finished),
    ) {
        let line = || self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line().waiting.insert(number, whole);
        loop {
            let mut now = line();
            if now.is_busy {
                return;
            }
            let next = now.next;
            let Some(whole) = now.waiting.remove(&next) else {
                return;
            };
            now.next += 1;
            now.is_busy = true;
            drop(now);
            if let Some((growing, finished)) = whole {
                store(growing, finished);
            }
            line().is_busy = false;
        }
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the reader of the input knows of a segment that is whole.
pub(super) struct Finished {
    pub(super) tally: Tally,
    /// When the first line came; lines only.
    pub(super) time_ms: Option<i64>,
    /// Whether offsets only ascend, so that there are no records of those between.
    pub(super) is_sorted: bool,
    /// What the source calls these records; first and last of each range.
    pub(super) receipts: Vec<(u64, u64)>,
}

/// What became of it: all its records are durable.
pub(super) struct Published {
    pub(super) place: Arc<Place>,
    /// Its first and last offset, and the time of its newest record.
    pub(super) span: (i64, i64),
    pub(super) newest_ms: Option<i64>,
    pub(super) receipts: Vec<(u64, u64)>,
    /// Records that were stored.
    pub(super) stored_records: u64,
    /// Records that the backup had, and that are the same.
    pub(super) known_records: u64,
}

/// Stores segments.
pub(super) struct Publisher {
    pub(super) store: Arc<dyn Store>,
    pub(super) codec: Codec,
    pub(super) layout: Layout,
}

impl Publisher {
    /// Adds records to a segment that is not whole yet.
    pub(super) fn add(
        &self,
        growing: &mut Growing,
        block: &[u8],
        compressor: &mut Compressor,
    ) -> Result<()> {
        let place = &growing.target.place;
        let temp = match &mut growing.temp {
            Some(temp) => temp,
            none => none.insert(self.store.temp_segment(&place.folder())?),
        };
        let frame = compressor.compress(block).context("cannot compress")?;
        growing.sha256.update(frame);
        growing.stored_bytes += frame.len() as u64;
        let written = temp.file.write_all(frame);
        written.with_context(|| format!("cannot write a segment of {place}"))
    }

    /// Makes the records of a segment durable.
    pub(super) fn publish(&self, growing: Growing, finished: Finished) -> Result<Published> {
        let target = Arc::clone(&growing.target);
        let codec = growing.codec;
        let mut manifest = finished.tally.manifest();
        manifest.stored_bytes = growing.stored_bytes;
        manifest.sha256 = hex(&growing.sha256.finalize());
        let mut segment = Segment {
            name: Name {
                first: manifest.first,
                time_ms: finished.time_ms,
                layout: self.layout,
                codec,
            },
            manifest,
            temp: growing.temp.context("a segment without records")?,
        };
        let mut published = Published {
            place: Arc::clone(&target.place),
            span: (segment.manifest.first, segment.manifest.last),
            newest_ms: segment.manifest.times_ms.map(|(_, latest)| latest),
            receipts: finished.receipts,
            stored_records: 0,
            known_records: 0,
        };
        if *target.place == Place::Lines {
            self.store_lines(&target.place, &mut segment)?;
            published.stored_records = segment.manifest.records;
            return Ok(published);
        }
        let (first, last) = (segment.manifest.first, segment.manifest.last);
        let is_ready = finished.is_sorted && codec == self.codec;
        for attempt in 0.. {
            // Another writer of this folder sees all of it or nothing.
            let _lock = self.store.lock(&target.place.folder())?;
            let stored = {
                let mut index = target.index();
                index.refresh(first)?;
                index.covering(first, last)?
            };
            match &stored[..] {
                [] if is_ready => {
                    if self.create(&target, &mut segment)? {
                        published.stored_records = segment.manifest.records;
                        return Ok(published);
                    }
                }
                [one] if finished.is_sorted && is_same(&one.manifest, &segment.manifest) => {
                    published.known_records = segment.manifest.records;
                    claim_before(&target, &segment.manifest)?;
                    return Ok(published);
                }
                several => {
                    let merge = Merge {
                        publisher: self,
                        target: &target,
                        is_sorted: finished.is_sorted,
                    };
                    if merge.run(&mut segment, several, &mut published)? {
                        return Ok(published);
                    }
                }
            }
            if attempt > 100 {
                bail!(
                    "{} is there and is not listed",
                    segment.name.path(&target.place)
                );
            }
        }
        Err(anyhow!("given up"))
    }

    /// Lines have no place in an order: the next free number is as good as any.
    fn store_lines(&self, place: &Place, segment: &mut Segment) -> Result<()> {
        let Segment {
            name,
            manifest,
            temp,
        } = segment;
        while self.store.create(&name.path(place), temp, manifest)? == Created::Exists {
            name.first += 1;
            (manifest.first, manifest.last) = (name.first, name.first);
        }
        Ok(())
    }

    /// Creates a segment of records that are not stored; false where another writer has its name.
    fn create(&self, target: &Target, segment: &mut Segment) -> Result<bool> {
        let (first, last) = (segment.manifest.first, segment.manifest.last);
        let note_overlaps = |others: &[Stored]| -> Result<()> {
            if others.is_empty() {
                return Ok(());
            }
            let mut index = target.index();
            index.note(Fact::Overlap, first, last)?;
            for other in others {
                index.note(Fact::Overlap, other.manifest.first, other.manifest.last)?;
            }
            Ok(())
        };
        // Inside a segment that has left offsets out: both ends are said before it is there.
        let known = target.index().covering(first, last)?;
        note_overlaps(&known)?;
        let path = segment.name.path(&target.place);
        let created = self
            .store
            .create(&path, &mut segment.temp, &segment.manifest)?;
        if created == Created::Exists {
            return Ok(false);
        }
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
            // Another writer was as quick. The records are there twice now, and have to be the same.
            note_overlaps(&others)?;
            let records = Content::read(&mut segment.temp, &segment.name)?;
            records.compare(&self.store, target, &others, &mut |_| {})?;
        }
        Ok(true)
    }
}

/// A segment as a temporary file.
struct Segment {
    name: Name,
    manifest: Manifest,
    temp: TempSegment,
}

fn is_same(a: &Manifest, b: &Manifest) -> bool {
    a.digests.is_some()
        && (a.first, a.last, a.records, a.digests) == (b.first, b.last, b.records, b.digests)
}

/// Records that there is nothing between the record before and this segment, unless that is known.
fn claim_before(target: &Target, manifest: &Manifest) -> Result<()> {
    match manifest.after {
        Some(after) => claim(target, after.saturating_add(1), manifest.first - 1),
        None => Ok(()),
    }
}

/// Records that there are no records of these offsets, unless that is known.
pub(super) fn claim(target: &Target, first: i64, last: i64) -> Result<()> {
    if first > last {
        return Ok(());
    }
    let mut index = target.index();
    if index
        .coverage(first, last)?
        .unclaimed(first, last)
        .is_empty()
    {
        return Ok(());
    }
    index.note(Fact::Absent, first, last)
}

/// Records in memory, by offset.
struct Content {
    bytes: Vec<u8>,
    lines: BTreeMap<i64, Range<usize>>,
    layout: Layout,
}

impl Content {
    /// Reads a temporary file back. A record that is in it twice has to be the same.
    fn read(temp: &mut TempSegment, name: &Name) -> Result<Content> {
        let mut file = temp.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        name.codec.reader(file).read_to_end(&mut bytes)?;
        let mut content = Content {
            lines: BTreeMap::new(),
            layout: name.layout,
            bytes,
        };
        let mut decoder = content.decoder()?;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &content.bytes) {
            let line = start..end + 1;
            start = end + 1;
            let offset = with_record(&mut decoder, &content.bytes[line.clone()], |record| {
                record.offset.context("a record without an offset")
            })??;
            if let Some(before) = content.lines.insert(offset, line.clone()) {
                let is_same =
                    same_lines(&mut decoder, &content.bytes[before], &content.bytes[line])?;
                ensure!(
                    is_same,
                    "offset {offset} is two different records of the input"
                );
            }
        }
        Ok(content)
    }

    fn decoder(&self) -> Result<Decoder> {
        Ok(Decoder::new(format(self.layout).context("a format")?)?)
    }

    /// Compares with segments that are stored, and hands over the offsets of records that are in both.
    fn compare(
        &self,
        store: &Arc<dyn Store>,
        target: &Target,
        stored: &[Stored],
        take: &mut dyn FnMut(i64),
    ) -> Result<()> {
        let mut decoder = self.decoder()?;
        let end = self
            .lines
            .last_key_value()
            .map_or(i64::MIN, |(last, _)| *last);
        for segment in stored {
            let about = || damaged(&target.place, &segment.name);
            let mut reader =
                inventory::open(&**store, &target.place, &segment.name).with_context(about)?;
            while let Some((record, line)) = reader.next().with_context(about)? {
                let record = record.record();
                let offset = record.offset.unwrap_or(-1);
                if offset > end {
                    break;
                }
                let Some(own) = self.lines.get(&offset) else {
                    continue;
                };
                let own = &self.bytes[own.clone()];
                let is_same = own == line
                    || with_record(&mut decoder, own, |own| is_same_record(own, &record))?;
                if !is_same {
                    bail!(differs(target, segment, offset));
                }
                take(offset);
            }
        }
        Ok(())
    }
}

/// The message of a record that is another one than the backup has.
pub(super) fn differs(target: &Target, stored: &Stored, offset: i64) -> anyhow::Error {
    anyhow!(
        "{}: offset {offset} is another record than in the backup, {}; a recreated topic needs a backup of its own, \
         and a segment that --verify finds damaged is moved aside with --verify --quarantine",
        target.place,
        stored.name.file(&target.place)
    )
}

fn with_record<T>(
    decoder: &mut Decoder,
    line: &[u8],
    look: impl FnOnce(&Record<'_>) -> T,
) -> Result<T> {
    match decoder.decode(line, true)? {
        Decoded::Record { record, .. } => Ok(look(&record.record())),
        Decoded::Skipped { .. } | Decoded::Incomplete => bail!("an empty line"),
    }
}

fn same_lines(decoder: &mut Decoder, a: &[u8], b: &[u8]) -> Result<bool> {
    if a == b {
        return Ok(true);
    }
    let mut encoder = Encoder::new(format(Layout::Tsv).context("a format")?);
    let mut texts = [Vec::new(), Vec::new()];
    for (line, text) in [a, b].into_iter().zip(&mut texts) {
        with_record(decoder, line, |record| encoder.encode(record, text))??;
    }
    Ok(texts[0] == texts[1])
}

/// Whether two records of one offset are the same.
pub(super) fn is_same_record(a: &Record<'_>, b: &Record<'_>) -> bool {
    a.timestamp_ms == b.timestamp_ms
        && a.key == b.key
        && a.value == b.value
        && a.headers == b.headers
}

/// A segment whose records are stored in part.
struct Merge<'a> {
    publisher: &'a Publisher,
    target: &'a Target,
    is_sorted: bool,
}

impl Merge<'_> {
    /// Compares what is stored and stores the rest; false where another writer was quicker.
    fn run(
        &self,
        segment: &mut Segment,
        stored: &[Stored],
        published: &mut Published,
    ) -> Result<bool> {
        let content = Content::read(&mut segment.temp, &segment.name)?;
        let mut rest = content.lines.clone();
        content.compare(&self.publisher.store, self.target, stored, &mut |offset| {
            rest.remove(&offset);
        })?;
        for group in groups(&rest, stored, self.is_sorted) {
            let mut part = self.pack(&content, &group, segment)?;
            if self.is_sorted {
                let before = content.lines.range(..group[0]).next_back();
                part.manifest.after = before.map(|(offset, _)| *offset).or(segment.manifest.after);
            }
            if !self.publisher.create(self.target, &mut part)? {
                return Ok(false);
            }
            published.stored_records += part.manifest.records;
        }
        published.known_records = segment.manifest.records - published.stored_records;
        if self.is_sorted {
            self.claim_gaps(segment, &content, stored)?;
        }
        Ok(true)
    }

    /// A segment of these records.
    fn pack(&self, content: &Content, offsets: &[i64], whole: &Segment) -> Result<Segment> {
        let mut tally = Tally::default();
        tally.after_ms = whole.manifest.after_ms;
        let mut decoder = content.decoder()?;
        let mut encoder = Encoder::new(format(Layout::Tsv).context("a format")?);
        let (mut lines, mut text) = (Vec::new(), Vec::new());
        for offset in offsets {
            let line = &content.bytes[content.lines[offset].clone()];
            lines.extend_from_slice(line);
            text.clear();
            let time_ms = with_record(&mut decoder, line, |record| {
                if content.layout == Layout::Json {
                    encoder.encode(record, &mut text)?;
                }
                anyhow::Ok(record.timestamp_ms)
            })??;
            tally.add(*offset, time_ms, line.len());
            tally.digest(if text.is_empty() { line } else { &text });
        }
        let codec = self.publisher.codec;
        let mut compressor = Compressor::new(codec)?;
        let frame = compressor.compress(&lines)?;
        let folder = self.target.place.folder();
        let mut temp = self.publisher.store.temp_segment(&folder)?;
        temp.file.write_all(frame)?;
        Ok(Segment {
            name: Name {
                first: tally.first,
                codec,
                ..whole.name.clone()
            },
            manifest: Manifest {
                stored_bytes: frame.len() as u64,
                sha256: hex(&Sha256::digest(frame)),
                ..tally.manifest()
            },
            temp,
        })
    }

    /// Records the gaps between records of which nothing is known.
    fn claim_gaps(&self, segment: &Segment, content: &Content, stored: &[Stored]) -> Result<()> {
        claim_before(self.target, &segment.manifest)?;
        let mut before: Option<i64> = None;
        for &offset in content.lines.keys() {
            if let Some(before) = before.filter(|before| before + 1 < offset) {
                let is_inside = stored.iter().any(|stored| {
                    stored.manifest.first <= before && offset <= stored.manifest.last
                });
                if !is_inside {
                    claim(self.target, before + 1, offset - 1)?;
                }
            }
            before = Some(offset);
        }
        Ok(())
    }
}

/// The offsets that are to be stored, a group for each segment: no group goes beyond the end of a stored segment,
/// and none leaves out offsets that the run did not pass.
fn groups(rest: &BTreeMap<i64, Range<usize>>, stored: &[Stored], is_sorted: bool) -> Vec<Vec<i64>> {
    let mut groups: Vec<Vec<i64>> = Vec::new();
    let mut before: Option<i64> = None;
    for &offset in rest.keys() {
        let goes_on = before.is_some_and(|before| {
            let is_apart = stored.iter().any(|stored| {
                let (first, last) = (stored.manifest.first, stored.manifest.last);
                (before < first && first < offset) || (before < last && last < offset)
            });
            (is_sorted || before + 1 == offset) && !is_apart
        });
        match groups.last_mut() {
            Some(group) if goes_on => group.push(offset),
            _ => groups.push(vec![offset]),
        }
        before = Some(offset);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(first: i64, last: i64) -> Stored {
        Stored {
            name: Name {
                first,
                time_ms: None,
                layout: Layout::Tsv,
                codec: Codec::None,
            },
            manifest: Arc::new(Manifest {
                first,
                last,
                ..Manifest::default()
            }),
        }
    }

    fn grouped(offsets: &[i64], stored: &[Stored], is_sorted: bool) -> Vec<Vec<i64>> {
        let rest = offsets.iter().map(|offset| (*offset, 0..0)).collect();
        groups(&rest, stored, is_sorted)
    }

    #[test]
    fn a_new_segment_ends_where_a_stored_one_begins_and_ends() {
        let all = [stored(10, 19), stored(30, 39)];
        assert_eq!(
            grouped(&[8, 9, 20, 21, 25, 40], &all, true),
            [vec![8, 9], vec![20, 21, 25], vec![40]]
        );
        // In a segment that left offsets out.
        assert_eq!(grouped(&[11, 13, 17], &all, true), [vec![11, 13, 17]]);
    }

    #[test]
    fn records_out_of_order_claim_nothing_between_them() {
        assert_eq!(grouped(&[1, 2, 4], &[], false), [vec![1, 2], vec![4]]);
    }
}
