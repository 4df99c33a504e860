//! A segment whose records are stored in part: those are compared, the others become segments of their own.

use std::collections::BTreeSet;

use anyhow::Result;

use super::content::{self, SegmentRecords};
use super::index::{StoredSegment, Target};
use super::publish::{Published, Publisher, Segment, SegmentInfo};
use crate::segment::Tally;
use crate::segment::codec::Compressor;

impl Publisher {
    /// Compares what is stored and stores the rest; false where another writer was quicker.
    ///
    /// If the segment `is_sorted`, there are no records between two of it.
    pub(super) fn merge(
        &self,
        target: &Target,
        segment: &mut Segment,
        stored: &[StoredSegment],
        is_sorted: bool,
        published: &mut Published,
    ) -> Result<bool> {
        let content = content::read(&mut segment.temp, &segment.name)?;
        let mut rest: BTreeSet<i64> = content.keys().copied().collect();
        content::compare(&*self.store, target, stored, &content, &mut |offset| {
            rest.remove(&offset);
        })?;
        for group in groups(&rest, stored, is_sorted) {
            let mut part = self.pack(target, &content, &group, segment)?;
            if is_sorted {
                let before = content.range(..group[0]).next_back();
                part.manifest.after = before.map(|(offset, _)| *offset).or(segment.manifest.after);
            }
            if !self.create(target, &mut part, published)? {
                return Ok(false);
            }
        }
        published.known_records = segment.manifest.records - published.stored_records;
        if is_sorted {
            claim_gaps(target, segment, &content, stored)?;
        }
        Ok(true)
    }

    /// A segment of these records.
    fn pack(
        &self,
        target: &Target,
        content: &SegmentRecords,
        offsets: &[i64],
        whole: &Segment,
    ) -> Result<Segment> {
        let mut tally = Tally::default();
        tally.manifest.after_ms = whole.manifest.after_ms;
        let mut lines = Vec::new();
        for offset in offsets {
            let line = &content[offset];
            lines.extend_from_slice(&line.text);
            tally.add(*offset, line.time_ms, line.text.len());
        }
        tally.digest(&lines);
        let mut writer = self.begin(target, self.codec)?;
        writer.add(&lines, &mut Compressor::new(self.codec)?)?;
        let info = SegmentInfo {
            tally,
            ..SegmentInfo::default()
        };
        Ok(Segment::new(writer, &info, self.layout))
    }
}

/// Records the gaps between records of which nothing is known.
fn claim_gaps(
    target: &Target,
    segment: &Segment,
    content: &SegmentRecords,
    stored: &[StoredSegment],
) -> Result<()> {
    target.index().claim_before(&segment.manifest)?;
    let mut before: Option<i64> = None;
    for &offset in content.keys() {
        if let Some(before) = before.filter(|before| before + 1 < offset) {
            let is_inside = stored
                .iter()
                .any(|stored| stored.manifest.first <= before && offset <= stored.manifest.last);
            if !is_inside {
                target.index().claim(before + 1, offset - 1)?;
            }
        }
        before = Some(offset);
    }
    Ok(())
}

/// The offsets that are to be stored, a group for each segment: no group goes beyond the end of a stored segment,
/// and none leaves out offsets that the run did not pass.
fn groups(rest: &BTreeSet<i64>, stored: &[StoredSegment], is_sorted: bool) -> Vec<Vec<i64>> {
    let mut groups: Vec<Vec<i64>> = Vec::new();
    let mut before: Option<i64> = None;
    for &offset in rest {
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
        groups(&offsets.iter().copied().collect(), stored, is_sorted)
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
