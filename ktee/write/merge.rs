//! A segment whose records are stored in part: those are compared, the others become segments of their own.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result};

use super::content::{SegmentRecords, with_record};
use super::index::StoredSegment;
use super::publish::{Published, Publisher, Segment, SegmentInfo};
use super::target::Target;
use crate::segment::Tally;
use crate::segment::codec::Compressor;

/// A segment beside the stored ones that have some of its offsets.
pub(super) struct Merge<'a> {
    pub(super) publisher: &'a Publisher,
    pub(super) target: &'a Target,
    /// Whether the offsets between two records of it are none.
    pub(super) is_sorted: bool,
}

impl Merge<'_> {
    /// Compares what is stored and stores the rest; false where another writer was quicker.
    pub(super) fn run(
        &self,
        segment: &mut Segment,
        stored: &[StoredSegment],
        published: &mut Published,
    ) -> Result<bool> {
        let content = SegmentRecords::read(&mut segment.temp, &segment.name)?;
        let mut rest = content.lines.clone();
        content.compare(&*self.publisher.store, self.target, stored, &mut |offset| {
            rest.remove(&offset);
        })?;
        for group in groups(&rest, stored, self.is_sorted) {
            let mut part = self.pack(&content, &group, segment)?;
            if self.is_sorted {
                let before = content.lines.range(..group[0]).next_back();
                part.manifest.after = before.map(|(offset, _)| *offset).or(segment.manifest.after);
            }
            if !self.publisher.create(self.target, &mut part, published)? {
                return Ok(false);
            }
        }
        published.known_records = segment.manifest.records - published.stored_records;
        if self.is_sorted {
            self.claim_gaps(segment, &content, stored)?;
        }
        Ok(true)
    }

    /// A segment of these records.
    fn pack(&self, content: &SegmentRecords, offsets: &[i64], whole: &Segment) -> Result<Segment> {
        let mut tally = Tally::default();
        tally.after_ms = whole.manifest.after_ms;
        let mut decoder = content.decoder()?;
        let mut lines = Vec::new();
        for offset in offsets {
            let line = content.line(*offset);
            lines.extend_from_slice(line);
            let time_ms = with_record(&mut decoder, line, |record| record.timestamp_ms)?;
            tally.add(*offset, time_ms, line.len());
            tally.digest(line);
        }
        let (publisher, mut writer) = (self.publisher, None);
        let mut compressor = Compressor::new(publisher.codec)?;
        publisher.add(
            self.target,
            &mut writer,
            publisher.codec,
            &lines,
            &mut compressor,
        )?;
        let info = SegmentInfo {
            tally,
            ..SegmentInfo::default()
        };
        let writer = writer.context("a segment without records")?;
        Ok(Segment::new(writer, &info, publisher.layout))
    }

    /// Records the gaps between records of which nothing is known.
    fn claim_gaps(
        &self,
        segment: &Segment,
        content: &SegmentRecords,
        stored: &[StoredSegment],
    ) -> Result<()> {
        self.target.claim_before(&segment.manifest)?;
        let mut before: Option<i64> = None;
        for &offset in content.lines.keys() {
            if let Some(before) = before.filter(|before| before + 1 < offset) {
                let is_inside = stored.iter().any(|stored| {
                    stored.manifest.first <= before && offset <= stored.manifest.last
                });
                if !is_inside {
                    self.target.claim(before + 1, offset - 1)?;
                }
            }
            before = Some(offset);
        }
        Ok(())
    }
}

/// The offsets that are to be stored, a group for each segment: no group goes beyond the end of a stored segment,
/// and none leaves out offsets that the run did not pass.
fn groups(
    rest: &BTreeMap<i64, Range<usize>>,
    stored: &[StoredSegment],
    is_sorted: bool,
) -> Vec<Vec<i64>> {
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
    use std::sync::Arc;

    use super::*;
    use crate::segment::{Codec, Layout, Manifest, Name};

    fn stored(first: i64, last: i64) -> StoredSegment {
        StoredSegment {
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

    fn grouped(offsets: &[i64], stored: &[StoredSegment], is_sorted: bool) -> Vec<Vec<i64>> {
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
