//! The records of one partition in order, each once, from segments that may overlap and may be damaged.

use anyhow::{Context, Result, bail, ensure};
use tools::record::{Decoded, Decoder, Record};

use super::Reader;
use super::inventory::Segment;
use super::segment::{format, sha256, stored};
use crate::segment::{Codec, Layout, LogId, Manifest};
use crate::store::Store;

/// What can't be read of a segment. The records before it were handed over.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The segment's path, and what is wrong.
    pub(crate) error: anyhow::Error,
    /// The first and the last offset that may be missing for it; the last is not always known.
    pub(crate) missing: Option<(i64, Option<i64>)>,
}

impl Damage {
    /// `read` is the last offset that was handed over.
    fn new(log: &LogId, segment: &Segment, read: Option<i64>, error: anyhow::Error) -> Damage {
        let first = read.map_or(segment.name.first, |read| read + 1);
        let last = segment.content.as_ref().ok().map(|content| content.last);
        let is_complete = last.is_some_and(|last| last < first);
        Damage {
            error: error.context(segment.name.path(log)),
            missing: (*log != LogId::Lines && !is_complete).then_some((first, last)),
        }
    }
}

/// What takes records: the record, its line as it stands in the segment, and the segment's layout.
pub(crate) type Take<'a> = dyn FnMut(&Record<'_>, &[u8], Layout) -> Result<()> + 'a;

/// What hears of damage; an error ends the reading, else it goes on behind the damaged segment.
pub(crate) type TakeDamage<'a> = dyn FnMut(Damage) -> Result<()> + 'a;

/// Hands over the records of `segments`, which are sorted by their first offset: in order, each offset once.
///
/// Nothing is handed over whose checksum was not verified: that of its frame
/// or, without compression, that of the whole segment.
pub(crate) fn merge(
    store: &dyn Store,
    log: &LogId,
    segments: &[&Segment],
    take: &mut Take<'_>,
    damaged: &mut TakeDamage<'_>,
) -> Result<()> {
    let mut rest = segments;
    while !rest.is_empty() {
        // Two writers of lines at once take the same number: they are two segments all the same.
        let length = if *log == LogId::Lines {
            1
        } else {
            group_len(rest)
        };
        let (group, behind) = rest.split_at(length);
        match group {
            [one] => read_one(store, log, one, take, damaged)?,
            many => read_many(store, log, many, take, damaged)?,
        }
        rest = behind;
    }
    Ok(())
}

/// How many segments at the front overlap each other, directly or by others; one at least.
fn group_len(segments: &[&Segment]) -> usize {
    let last_of = |segment: &Segment| {
        segment
            .content
            .as_ref()
            .map_or(segment.name.first, |it| it.last)
    };
    let mut last = last_of(segments[0]);
    for (at, segment) in segments.iter().enumerate().skip(1) {
        if segment.name.first > last {
            return at;
        }
        last = last.max(last_of(segment));
    }
    segments.len()
}

fn open(store: &dyn Store, log: &LogId, segment: &Segment) -> Result<Reader> {
    if segment.name.codec == Codec::None
        && let Some(manifest) = &segment.manifest
    {
        check(&sha256(stored(store, log, &segment.name)?)?, manifest)?;
    }
    Reader::open(store, log, &segment.name)
}

fn check(sha256: &str, manifest: &Manifest) -> Result<()> {
    ensure!(
        sha256 == manifest.sha256,
        "the checksum is not the manifest's"
    );
    Ok(())
}

/// Reads the rest, and says whether it is what the manifest says.
fn finish(reader: Reader, segment: &Segment) -> Result<()> {
    let counted = reader.manifest()?;
    match &segment.manifest {
        Some(manifest) => check(&counted.sha256, manifest),
        None => Ok(()),
    }
}

fn read_one(
    store: &dyn Store,
    log: &LogId,
    segment: &Segment,
    take: &mut Take<'_>,
    damaged: &mut TakeDamage<'_>,
) -> Result<()> {
    let mut read = None;
    let mut reader = match open(store, log, segment) {
        Ok(reader) => reader,
        Err(error) => return damaged(Damage::new(log, segment, read, error)),
    };
    let finished = loop {
        match reader.next() {
            Ok(Some((record, line))) => {
                let record = record.record();
                take(&record, line, segment.name.layout)?;
                read = record.offset.or(read);
            }
            Ok(None) => break finish(reader, segment),
            Err(error) => break Err(error),
        }
    };
    finished.or_else(|error| damaged(Damage::new(log, segment, read, error)))
}

/// A segment that is read beside others, and its next record.
struct MergeCursor<'a> {
    segment: &'a Segment,
    reader: Option<Reader>,
    head: Option<(i64, Vec<u8>)>,
    read: Option<i64>,
}

impl MergeCursor<'_> {
    /// Reads the next record, and at the end looks whether this was all of the segment.
    fn advance(&mut self, log: &LogId, damaged: &mut TakeDamage<'_>) -> Result<()> {
        self.head = None;
        let Some(mut reader) = self.reader.take() else {
            return Ok(());
        };
        let finished = match reader.next() {
            Ok(Some((record, line))) => {
                let offset = record.record().offset.unwrap_or(-1);
                self.head = Some((offset, line.to_vec()));
                self.read = Some(offset);
                self.reader = Some(reader);
                return Ok(());
            }
            Ok(None) => finish(reader, self.segment),
            Err(error) => Err(error),
        };
        finished.or_else(|error| damaged(Damage::new(log, self.segment, self.read, error)))
    }
}

fn read_many(
    store: &dyn Store,
    log: &LogId,
    segments: &[&Segment],
    take: &mut Take<'_>,
    damaged: &mut TakeDamage<'_>,
) -> Result<()> {
    let mut cursors = Vec::new();
    for &segment in segments {
        let reader = match open(store, log, segment) {
            Ok(reader) => Some(reader),
            Err(error) => {
                damaged(Damage::new(log, segment, None, error))?;
                None
            }
        };
        let mut cursor = MergeCursor {
            segment,
            reader,
            head: None,
            read: None,
        };
        cursor.advance(log, damaged)?;
        cursors.push(cursor);
    }
    let mut emitted = None;
    loop {
        let heads = cursors.iter().enumerate();
        let heads = heads.filter_map(|(at, cursor)| Some((cursor.head.as_ref()?.0, at)));
        let Some((offset, at)) = heads.min() else {
            return Ok(());
        };
        let cursor = &mut cursors[at];
        let line = cursor.head.take().map(|(_, line)| line).unwrap_or_default();
        if emitted.is_none_or(|emitted| offset > emitted) {
            emitted = Some(offset);
            take_line(&line, cursor.segment.name.layout, take)?;
        }
        cursor.advance(log, damaged)?;
    }
}

fn take_line(line: &[u8], layout: Layout, take: &mut Take<'_>) -> Result<()> {
    let mut decoder = Decoder::new(format(layout).context("a format")?)?;
    match decoder.decode(line, true)? {
        Decoded::Record { record, .. } => take(&record.record(), line, layout),
        Decoded::Skipped { .. } | Decoded::Incomplete => bail!("a line is empty"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_of(ranges: &[(i64, i64)]) -> usize {
        let segments: Vec<Segment> = ranges
            .iter()
            .map(|&(first, last)| Segment::of(first, last, None))
            .collect();
        group_len(&segments.iter().collect::<Vec<_>>())
    }

    #[test]
    fn segments_that_overlap_are_read_together() {
        let ranges = [(0, 9), (5, 30), (10, 12), (31, 40)];
        assert_eq!(group_of(&ranges), 3);
        assert_eq!(group_of(&ranges[3..]), 1);
        assert_eq!(group_of(&[(0, 4), (5, 9)]), 1);
    }
}
