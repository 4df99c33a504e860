//! The records of one partition in order, each once, from segments that may overlap and may be damaged.

use anyhow::{Context, Result, anyhow, ensure};
use tools::record::{Decoded, Decoder, Record};

use super::segment::{format, sha256};
use super::{Reader, inventory};
use crate::segment::{Codec, Layout, LogId, Manifest, Name};
use crate::store::Store;

/// A segment with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct ReadSegment {
    pub(crate) name: Name,
    pub(crate) manifest: Manifest,
}

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
    fn new(log: &LogId, segment: &ReadSegment, read: Option<i64>, error: anyhow::Error) -> Damage {
        let first = read.map_or(segment.name.first, |read| read + 1);
        // What was counted because there is no manifest ends where the damage begins.
        let last = Some(segment.manifest.last).filter(|_| !segment.manifest.sha256.is_empty());
        let is_line = *log == LogId::Lines;
        let is_complete = last.is_some_and(|last| last < first);
        Damage {
            error: error.context(segment.name.path(log)),
            missing: (!is_line && !is_complete).then_some((first, last)),
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
    segments: &[ReadSegment],
    take: &mut Take<'_>,
    damaged: &mut TakeDamage<'_>,
) -> Result<()> {
    let mut rest = segments;
    while !rest.is_empty() {
        let (group, behind) = rest.split_at(group_len(rest));
        match group {
            [one] => read_one(store, log, one, take, damaged)?,
            many => read_many(store, log, many, take, damaged)?,
        }
        rest = behind;
    }
    Ok(())
}

/// How many segments at the front overlap each other, directly or by others; one at least.
fn group_len(segments: &[ReadSegment]) -> usize {
    let mut last = segments[0].manifest.last;
    for (at, segment) in segments.iter().enumerate().skip(1) {
        if segment.name.first > last {
            return at;
        }
        last = last.max(segment.manifest.last);
    }
    segments.len()
}

fn open(store: &dyn Store, log: &LogId, segment: &ReadSegment) -> Result<Reader> {
    if segment.name.codec == Codec::None && !segment.manifest.sha256.is_empty() {
        let stored = inventory::stored(store, log, &segment.name)?;
        check(&sha256(stored)?, segment)?;
    }
    inventory::open(store, log, &segment.name)
}

fn check(sha256: &str, segment: &ReadSegment) -> Result<()> {
    ensure!(
        sha256 == segment.manifest.sha256 || segment.manifest.sha256.is_empty(),
        "the checksum is not the manifest's"
    );
    Ok(())
}

/// Whether a record is one of this segment and behind the one that was read before; a file may be another's copy.
fn belongs(
    record: &Record<'_>,
    log: &LogId,
    segment: &ReadSegment,
    read: Option<i64>,
) -> Result<()> {
    let LogId::Partition(topic, partition) = log else {
        return Ok(());
    };
    let is_at_home = record.topic == Some(topic) && record.partition == Some(*partition);
    ensure!(is_at_home, "a record of another partition is in it");
    let offset = record.offset.unwrap_or(-1);
    match read {
        None => ensure!(
            offset == segment.name.first,
            "it does not begin as its name says"
        ),
        Some(read) => ensure!(offset > read, "offset {offset} stands behind {read}"),
    }
    Ok(())
}

fn read_one(
    store: &dyn Store,
    log: &LogId,
    segment: &ReadSegment,
    take: &mut Take<'_>,
    damaged: &mut TakeDamage<'_>,
) -> Result<()> {
    let mut read = None;
    let mut reader = match open(store, log, segment) {
        Ok(reader) => reader,
        Err(error) => return damaged(Damage::new(log, segment, read, error)),
    };
    loop {
        match reader.next() {
            Ok(Some((record, line))) => {
                let record = record.record();
                if let Err(error) = belongs(&record, log, segment, read) {
                    return damaged(Damage::new(log, segment, read, error));
                }
                take(&record, line, segment.name.layout)?;
                read = record.offset.or(read);
            }
            Ok(None) => break,
            Err(error) => return damaged(Damage::new(log, segment, read, error)),
        }
    }
    let checked = reader
        .manifest()
        .and_then(|counted| check(&counted.sha256, segment));
    checked.or_else(|error| damaged(Damage::new(log, segment, read, error)))
}

/// A segment that is read beside others, and its next record.
struct MergeCursor<'a> {
    segment: &'a ReadSegment,
    reader: Option<Reader>,
    head: Option<(i64, Vec<u8>)>,
    read: Option<i64>,
}

impl<'a> MergeCursor<'a> {
    fn open(
        store: &dyn Store,
        log: &LogId,
        segment: &'a ReadSegment,
        damaged: &mut TakeDamage<'_>,
    ) -> Result<MergeCursor<'a>> {
        let mut cursor = MergeCursor {
            segment,
            reader: None,
            head: None,
            read: None,
        };
        match open(store, log, segment) {
            Ok(reader) => cursor.reader = Some(reader),
            Err(error) => damaged(Damage::new(log, segment, None, error))?,
        }
        cursor.advance(log, damaged)?;
        Ok(cursor)
    }

    /// Reads the next record, and at the end looks whether this was all of the segment.
    fn advance(&mut self, log: &LogId, damaged: &mut TakeDamage<'_>) -> Result<()> {
        self.head = None;
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        let failed = match reader.next() {
            Ok(Some((record, line))) => {
                let record = record.record();
                match belongs(&record, log, self.segment, self.read) {
                    Ok(()) => {
                        let offset = record.offset.unwrap_or(-1);
                        self.head = Some((offset, line.to_vec()));
                        self.read = Some(offset);
                        return Ok(());
                    }
                    Err(error) => Some(error),
                }
            }
            Ok(None) => match self.reader.take().map(Reader::manifest) {
                Some(Ok(counted)) => check(&counted.sha256, self.segment).err(),
                Some(Err(error)) => Some(error),
                None => None,
            },
            Err(error) => Some(error),
        };
        self.reader = None;
        match failed {
            Some(error) => damaged(Damage::new(log, self.segment, self.read, error)),
            None => Ok(()),
        }
    }
}

fn read_many(
    store: &dyn Store,
    log: &LogId,
    segments: &[ReadSegment],
    take: &mut Take<'_>,
    damaged: &mut TakeDamage<'_>,
) -> Result<()> {
    let mut open = Vec::new();
    for segment in segments {
        open.push(MergeCursor::open(store, log, segment, damaged)?);
    }
    let mut emitted = None;
    loop {
        let heads = open.iter().enumerate();
        let heads = heads.filter_map(|(at, cursor)| Some((cursor.head.as_ref()?.0, at)));
        let Some((offset, at)) = heads.min() else {
            return Ok(());
        };
        let cursor = &mut open[at];
        let line = cursor.head.take().map(|(_, line)| line).unwrap_or_default();
        if emitted.is_none_or(|emitted| offset > emitted) {
            emitted = Some(offset);
            take_line(&line, cursor.segment, log, take)?;
        }
        cursor.advance(log, damaged)?;
    }
}

fn take_line(line: &[u8], segment: &ReadSegment, log: &LogId, take: &mut Take<'_>) -> Result<()> {
    let layout = segment.name.layout;
    let format = format(layout).context("a format")?;
    let mut decoder = Decoder::new(format)?;
    match decoder.decode(line, true)? {
        Decoded::Record { record, .. } => take(&record.record(), line, layout),
        Decoded::Skipped { .. } | Decoded::Incomplete => {
            Err(anyhow!("{}: a line is empty", segment.name.path(log)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(first: i64, last: i64) -> ReadSegment {
        ReadSegment {
            name: Name {
                first,
                time_ms: None,
                layout: Layout::Tsv,
                codec: Codec::None,
            },
            manifest: Manifest {
                first,
                last,
                ..Manifest::default()
            },
        }
    }

    #[test]
    fn segments_that_overlap_are_read_together() {
        let segments = [
            segment(0, 9),
            segment(5, 30),
            segment(10, 12),
            segment(31, 40),
        ];
        assert_eq!(group_len(&segments), 3);
        assert_eq!(group_len(&segments[3..]), 1);
        assert_eq!(group_len(&[segment(0, 4), segment(5, 9)]), 1);
    }
}
