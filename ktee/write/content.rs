//! The records of one segment in memory, and whether the backup has the same ones.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom};

use anyhow::{Context, Result, bail, ensure};
use tools::record::{Decoded, Decoder, Record};

use super::index::{StoredSegment, Target, damaged};
use crate::read::Reader;
use crate::read::segment::format;
use crate::segment::{Layout, Name};
use crate::store::{Store, TempSegment};

/// Lines of records, by offset.
pub(super) struct SegmentRecords {
    pub(super) lines: BTreeMap<i64, Vec<u8>>,
    layout: Layout,
}

impl SegmentRecords {
    /// Reads a temporary file back. A record that is in it twice has to be the same.
    pub(super) fn read(temp: &mut TempSegment, name: &Name) -> Result<SegmentRecords> {
        let mut file = temp.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let mut reader = Reader::of_file(Box::new(file), name.codec, format(name.layout))?;
        let mut records = SegmentRecords {
            lines: BTreeMap::new(),
            layout: name.layout,
        };
        let mut decoder = records.decoder()?;
        while let Some((record, line)) = reader.next()? {
            let record = record.record();
            let offset = record.offset.context("a record without an offset")?;
            if let Some(before) = records.lines.insert(offset, line.to_vec()) {
                let is_same = before == line
                    || with_record(&mut decoder, &before, |it| is_same_record(it, &record))?;
                ensure!(
                    is_same,
                    "offset {offset} is two different records of the input"
                );
            }
        }
        Ok(records)
    }

    pub(super) fn decoder(&self) -> Result<Decoder> {
        Ok(Decoder::new(format(self.layout).context("a format")?)?)
    }

    /// Compares with segments that are stored, and hands over the offsets of records that are in both.
    pub(super) fn compare(
        &self,
        store: &dyn Store,
        target: &Target,
        stored: &[StoredSegment],
        take: &mut dyn FnMut(i64),
    ) -> Result<()> {
        let mut decoder = self.decoder()?;
        let last = self.lines.last_key_value().map(|(last, _)| *last);
        for segment in stored {
            let about = || damaged(&target.log, &segment.name);
            let mut reader = Reader::open(store, &target.log, &segment.name).with_context(about)?;
            while let Some((record, line)) = reader.next().with_context(about)? {
                let record = record.record();
                let offset = record.offset.unwrap_or(-1);
                if Some(offset) > last {
                    break;
                }
                let Some(own) = self.lines.get(&offset) else {
                    continue;
                };
                let is_same = own == line
                    || with_record(&mut decoder, own, |own| is_same_record(own, &record))?;
                if !is_same {
                    bail!(target.differs(segment, offset));
                }
                take(offset);
            }
        }
        Ok(())
    }
}

pub(super) fn with_record<T>(
    decoder: &mut Decoder,
    line: &[u8],
    look: impl FnOnce(&Record<'_>) -> T,
) -> Result<T> {
    match decoder.decode(line, true)? {
        Decoded::Record { record, .. } => Ok(look(&record.record())),
        Decoded::Skipped { .. } | Decoded::Incomplete => bail!("an empty line"),
    }
}

/// Whether two records of one offset are the same.
pub(super) fn is_same_record(a: &Record<'_>, b: &Record<'_>) -> bool {
    a.timestamp_ms == b.timestamp_ms
        && a.key == b.key
        && a.value == b.value
        && a.headers == b.headers
}
