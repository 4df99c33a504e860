//! The records of one segment in memory, and whether the backup has the same ones.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom};

use anyhow::{Context, Result, bail, ensure};

use super::index::{StoredSegment, Target, damaged};
use crate::read::Reader;
use crate::read::segment::{Digester, format};
use crate::segment::Name;
use crate::store::{Store, TempSegment};

/// A record as the segment has it.
#[derive(Default)]
pub(super) struct Line {
    pub(super) text: Vec<u8>,
    pub(super) time_ms: Option<i64>,
    pub(super) digest: u64,
}

/// Records by offset.
pub(super) type SegmentRecords = BTreeMap<i64, Line>;

/// Reads a temporary file back. A record that is in it twice has to be the same.
pub(super) fn read(temp: &mut TempSegment, name: &Name) -> Result<SegmentRecords> {
    let mut file = temp.file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    let mut reader = Reader::of_file(Box::new(file), name.codec, format(name.layout))?;
    let (mut digester, mut records) = (Digester::new()?, SegmentRecords::new());
    while let Some((record, text)) = reader.next()? {
        let record = record.record();
        let offset = record.offset.context("a record without an offset")?;
        let digest = digester.digest(&record)?;
        let line = Line {
            text: text.to_vec(),
            time_ms: record.timestamp_ms,
            digest,
        };
        let before = records.insert(offset, line);
        ensure!(
            before.is_none_or(|before| before.digest == digest),
            "offset {offset} is two different records of the input"
        );
    }
    Ok(records)
}

/// Compares records with segments that are stored; hands over the offsets of those that are in both.
pub(super) fn compare(
    store: &dyn Store,
    target: &Target,
    stored: &[StoredSegment],
    own: &SegmentRecords,
    take: &mut dyn FnMut(i64),
) -> Result<()> {
    let mut digester = Digester::new()?;
    let last = own.last_key_value().map(|(last, _)| *last);
    for segment in stored {
        let about = || damaged(&target.log, &segment.name);
        let mut reader = Reader::open(store, &target.log, &segment.name).with_context(about)?;
        while let Some((record, _)) = reader.next().with_context(about)? {
            let record = record.record();
            let offset = record.offset.unwrap_or(-1);
            if Some(offset) > last {
                break;
            }
            if let Some(own) = own.get(&offset) {
                if own.digest != digester.digest(&record)? {
                    bail!(target.differs(segment, offset));
                }
                take(offset);
            }
        }
    }
    Ok(())
}
