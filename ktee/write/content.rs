//! The records of one segment in memory, and whether the backup has the same ones.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use tools::record::{Decoded, Decoder, Record};

use super::index::{StoredSegment, Target, damaged};
use crate::read::inventory;
use crate::read::segment::format;
use crate::segment::{Layout, Name};
use crate::store::{Store, TempSegment};

/// Records, by offset.
pub(super) struct SegmentRecords {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: BTreeMap<i64, Range<usize>>,
    pub(super) layout: Layout,
}

impl SegmentRecords {
    /// Reads a temporary file back. A record that is in it twice has to be the same.
    pub(super) fn read(temp: &mut TempSegment, name: &Name) -> Result<SegmentRecords> {
        let mut file = temp.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        name.codec.reader(file).read_to_end(&mut bytes)?;
        let mut content = SegmentRecords {
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
                // A second decoder, because each record borrows from its own.
                let (a, b) = (&content.bytes[before], &content.bytes[line]);
                let is_same = a == b
                    || with_record(&mut decoder, a, |a| {
                        with_record(&mut content.decoder()?, b, |b| is_same_record(a, b))
                    })??;
                ensure!(
                    is_same,
                    "offset {offset} is two different records of the input"
                );
            }
        }
        Ok(content)
    }

    pub(super) fn decoder(&self) -> Result<Decoder> {
        Ok(Decoder::new(format(self.layout).context("a format")?)?)
    }

    /// The line of a record that is here.
    pub(super) fn line(&self, offset: i64) -> &[u8] {
        &self.bytes[self.lines[&offset].clone()]
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
            let mut reader =
                inventory::open(store, &target.log, &segment.name).with_context(about)?;
            while let Some((record, line)) = reader.next().with_context(about)? {
                let record = record.record();
                let offset = record.offset.unwrap_or(-1);
                if Some(offset) > last {
                    break;
                }
                if !self.lines.contains_key(&offset) {
                    continue;
                }
                let own = self.line(offset);
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
