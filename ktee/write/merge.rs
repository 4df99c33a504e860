//! A segment whose records are stored in part: those are compared, the others become segments of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Seek;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use super::index::{StoredSegment, Target, damaged};
use super::publish::{Published, Segment};
use crate::read::Reader;
use crate::read::segment::{Digester, format};
use crate::segment::codec::Compressor;
use crate::segment::{Manifest, Name};

/// A record as the segment has it.
pub(super) struct Line {
    text: Vec<u8>,
    time_ms: Option<i64>,
}

/// What there is of records, by their offsets.
type ByOffset<T> = BTreeMap<i64, T>;

impl Target {
    /// Compares records, by their checksums, with segments that are stored; takes out those that are in both.
    pub(super) fn compare(&self, stored: &[StoredSegment], own: &mut ByOffset<u64>) -> Result<()> {
        let mut digester = Digester::new()?;
        // A record that is stored twice has to be the same in both.
        let mut found = BTreeSet::new();
        for StoredSegment { name, .. } in stored {
            let about = || damaged(&self.log, name);
            let mut reader = Reader::open(&*self.store, &self.log, name).with_context(about)?;
            while let Some((record, _)) = reader.next().with_context(about)? {
                let record = record.record();
                let offset = record.offset.unwrap_or(-1);
                if own.last_key_value().is_none_or(|(last, _)| offset > *last) {
                    break;
                }
                let Some(digest) = own.get(&offset) else {
                    continue;
                };
                if *digest != digester.digest(&record)? {
                    bail!(
                        "{}: offset {offset} is another record than in the backup, {}; a recreated topic needs a backup of \
                         its own, and a segment that --verify finds damaged is moved aside with --verify --quarantine",
                        self.log,
                        name.file(&self.log)
                    );
                }
                found.insert(offset);
            }
        }
        own.retain(|offset, _| !found.contains(offset));
        Ok(())
    }
}

impl Segment {
    /// Reads the file back: lines and their checksums. A record that is in it twice has to be the same.
    pub(super) fn lines(&self) -> Result<(ByOffset<Line>, ByOffset<u64>)> {
        let mut file = self.temp.file.try_clone()?;
        file.rewind()?;
        let format = format(self.name.layout);
        let mut reader = Reader::of_file(Box::new(file), self.name.codec, format)?;
        let (mut lines, mut digests) = (BTreeMap::new(), BTreeMap::new());
        let mut digester = Digester::new()?;
        while let Some((record, text)) = reader.next()? {
            let record = record.record();
            let offset = record.offset.context("a record without an offset")?;
            let line = Line {
                text: text.to_vec(),
                time_ms: record.timestamp_ms,
            };
            lines.insert(offset, line);
            let digest = digester.digest(&record)?;
            ensure!(
                digests.insert(offset, digest).is_none_or(|it| it == digest),
                "offset {offset} is two different records of the input"
            );
        }
        Ok((lines, digests))
    }

    /// Compares what is stored and stores the rest; false where another writer was quicker.
    pub(super) fn merge(
        &self,
        stored: &[StoredSegment],
        compressor: &mut Compressor,
        published: &mut Published,
    ) -> Result<bool> {
        let target = &self.target;
        let (lines, mut rest) = self.lines()?;
        target.compare(stored, &mut rest)?;
        while let Some((&first, _)) = rest.first_key_value() {
            // A new segment ends where a stored one begins or ends, and leaves out no offset that the run did not pass.
            let region = target.index().locate(first)?;
            let mut end = region.offsets.end().saturating_add(1);
            if !self.is_sorted {
                let in_order = (first..end).zip(rest.keys()).take_while(|(a, b)| a == *b);
                end = first + in_order.count() as i64;
            }
            let behind = rest.split_off(&end);
            let mut part = self.part(rest.keys().map(|at| (*at, &lines[at])), compressor)?;
            if self.is_sorted {
                let before = || lines.range(..first);
                let last = before().next_back().map(|(offset, _)| *offset);
                let newest_ms = before().filter_map(|(_, line)| line.time_ms).max();
                part.manifest.after = last.or(self.manifest.after);
                part.manifest.after_ms = newest_ms.max(self.manifest.after_ms);
            }
            if !part.create(published)? {
                return Ok(false);
            }
            rest = behind;
        }
        if self.is_sorted {
            for (before, next) in lines.keys().zip(lines.keys().skip(1)) {
                target.index().claim(before + 1, next - 1)?;
            }
        }
        Ok(true)
    }

    /// A segment of these records.
    fn part<'l>(
        &self,
        lines: impl Iterator<Item = (i64, &'l Line)>,
        compressor: &mut Compressor,
    ) -> Result<Segment> {
        let name = Name {
            codec: compressor.codec,
            ..self.name
        };
        let mut part = Segment::begin(Arc::clone(&self.target), name)?;
        let (mut records, mut block) = (Manifest::default(), Vec::new());
        records.after_ms = self.manifest.after_ms;
        for (offset, line) in lines {
            block.extend_from_slice(&line.text);
            records.add(offset, line.time_ms, line.text.len());
        }
        part.add(&block, compressor)?;
        part.finish(records);
        Ok(part)
    }
}
