//! A segment whose records are stored in part: those are compared, the others become segments of their own.

use std::collections::BTreeMap;
use std::io::Seek;

use anyhow::{Context, Result, bail, ensure};

use super::index::{StoredSegment, Target, damaged};
use super::publish::{Published, Publisher, Segment};
use crate::read::Reader;
use crate::read::segment::{Digester, format};
use crate::segment::codec::Compressor;
use crate::segment::{Manifest, Name};
use crate::store::Store;

/// A record as the segment has it.
pub(super) struct Line {
    text: Vec<u8>,
    time_ms: Option<i64>,
    digest: u64,
}

/// Reads a temporary file back, by offset. A record that is in it twice has to be the same.
pub(super) fn read(segment: &Segment) -> Result<BTreeMap<i64, Line>> {
    let mut file = segment.temp.file.try_clone()?;
    file.rewind()?;
    let name = &segment.name;
    let mut reader = Reader::of_file(Box::new(file), name.codec, format(name.layout))?;
    let (mut digester, mut lines) = (Digester::new()?, BTreeMap::new());
    while let Some((record, text)) = reader.next()? {
        let record = record.record();
        let offset = record.offset.context("a record without an offset")?;
        let line = Line {
            text: text.to_vec(),
            time_ms: record.timestamp_ms,
            digest: digester.digest(&record)?,
        };
        let digest = line.digest;
        ensure!(
            lines
                .insert(offset, line)
                .is_none_or(|it| it.digest == digest),
            "offset {offset} is two different records of the input"
        );
    }
    Ok(lines)
}

/// The records' checksums.
pub(super) fn digests(lines: &BTreeMap<i64, Line>) -> BTreeMap<i64, u64> {
    lines
        .iter()
        .map(|(offset, line)| (*offset, line.digest))
        .collect()
}

/// Compares records, by their checksums, with segments that are stored; takes out those that are in both.
pub(super) fn compare(
    store: &dyn Store,
    target: &Target,
    stored: &[StoredSegment],
    own: &mut BTreeMap<i64, u64>,
) -> Result<()> {
    let mut digester = Digester::new()?;
    for segment in stored {
        let about = || damaged(&target.log, &segment.name);
        let mut reader = Reader::open(store, &target.log, &segment.name).with_context(about)?;
        while let Some((record, _)) = reader.next().with_context(about)? {
            let record = record.record();
            let offset = record.offset.unwrap_or(-1);
            if own.last_key_value().is_none_or(|(last, _)| offset > *last) {
                break;
            }
            if let Some(digest) = own.remove(&offset)
                && digest != digester.digest(&record)?
            {
                bail!(target.differs(segment, offset));
            }
        }
    }
    Ok(())
}

impl Publisher {
    /// Compares what is stored and stores the rest; false where another writer was quicker.
    ///
    /// If the segment `is_sorted`, there are no records between two of it.
    pub(super) fn merge(
        &self,
        target: &Target,
        segment: &Segment,
        stored: &[StoredSegment],
        is_sorted: bool,
        published: &mut Published,
    ) -> Result<bool> {
        let lines = read(segment)?;
        let mut rest = digests(&lines);
        compare(&*self.store, target, stored, &mut rest)?;
        while let Some((&first, _)) = rest.first_key_value() {
            // A new segment ends where a stored one begins or ends, and leaves out no offset that the run did not pass.
            let mut end = target.index().locate(first)?.last.saturating_add(1);
            if !is_sorted {
                let in_order = (first..end).zip(rest.keys()).take_while(|(a, b)| a == *b);
                end = first + in_order.count() as i64;
            }
            let behind = rest.split_off(&end);
            let mut part = self.pack(target, segment, rest.keys().map(|at| (*at, &lines[at])))?;
            if is_sorted {
                let before = lines.range(..first).next_back();
                part.manifest.after = before.map(|(offset, _)| *offset).or(segment.manifest.after);
            }
            if !self.create(target, &mut part, published)? {
                return Ok(false);
            }
            rest = behind;
        }
        if is_sorted {
            for (before, next) in lines.keys().zip(lines.keys().skip(1)) {
                target.index().claim(before + 1, next - 1)?;
            }
        }
        Ok(true)
    }

    /// A segment of these records of a whole one.
    fn pack<'l>(
        &self,
        target: &Target,
        whole: &Segment,
        lines: impl Iterator<Item = (i64, &'l Line)>,
    ) -> Result<Segment> {
        let name = Name {
            codec: self.codec,
            ..whole.name
        };
        let mut records = Manifest {
            after_ms: whole.manifest.after_ms,
            ..Manifest::default()
        };
        let mut block = Vec::new();
        for (offset, line) in lines {
            block.extend_from_slice(&line.text);
            records.add(offset, line.time_ms, line.text.len());
        }
        let mut part = self.begin(target, name)?;
        part.add(&block, &mut Compressor::new(self.codec)?)?;
        part.finish(records);
        Ok(part)
    }
}
