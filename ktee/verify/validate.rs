//! What the segments of one partition say together, with what is recorded of it. Pure.

use std::cmp::Ordering;

use crate::coverage::{Coverage, Ranges};
use crate::head::OffsetSpan;
use crate::segment::{Manifest, Name, RangeMarker};

/// So many details are told.
const DETAILS: usize = 3;

#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) name: Name,
    pub(super) file: String,
    pub(super) has_manifest: bool,
    /// What the manifest says, if it can be read.
    pub(super) manifest: Option<Manifest>,
    /// What the segment says, or what is wrong with it.
    pub(super) counted: Result<Manifest, String>,
}

/// What is known of a partition besides its segments.
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionMetadata {
    /// First offsets of manifests without segments, and what they say.
    pub(super) lost: Vec<(i64, Option<Manifest>)>,
    pub(super) markers: Vec<RangeMarker>,
    pub(super) span: Option<OffsetSpan>,
    /// Records before this time may have been deleted with their segments.
    pub(super) expires_before_ms: Option<i64>,
    pub(super) is_lines: bool,
}

/// What there is to say of a partition.
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionReport {
    pub(super) segments: u64,
    /// Records, each once.
    pub(super) records: u64,
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    pub(super) times_ms: Option<(i64, i64)>,
    /// What existed and is not there.
    pub(super) missing: Vec<(i64, i64)>,
    /// What the topic had deleted before it was backed up, until that is accepted.
    pub(super) expired: Vec<(i64, i64)>,
    /// Offsets that two segments span.
    pub(super) overlaps: Vec<(i64, i64)>,
    pub(super) duplicates: u64,
    pub(super) damaged: u64,
    /// Segments that are to be moved aside.
    pub(super) damaged_segments: Vec<Name>,
    /// Offsets that are no records.
    absent: i64,
    /// Segments whose manifest is missing, as a crash may leave the last one.
    without_manifest: u64,
    details: Vec<String>,
    is_lines: bool,
}

impl PartitionReport {
    /// Whether nothing is missing and nothing damaged.
    pub(super) fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.expired.is_empty() && self.damaged == 0
    }

    /// Something is wrong with a segment.
    pub(super) fn damage(&mut self, what: String, segment: Option<&Name>) {
        self.damaged += 1;
        self.details.push(what);
        self.damaged_segments.extend(segment.cloned());
    }

    pub(super) fn note(&self) -> String {
        let mut notes: Vec<String> = Vec::new();
        let told = |ranges: &[(i64, i64)]| ranges.len().min(DETAILS);
        for (first, last) in self.missing.iter().take(DETAILS) {
            notes.push(if self.is_lines {
                format!("segments {first} to {last} are missing")
            } else {
                format!("offsets {first} to {last} are missing, cause unknown")
            });
        }
        for (first, last) in self.expired.iter().take(DETAILS) {
            notes.push(format!(
                "offsets {first} to {last} were deleted from the topic before they were backed up"
            ));
        }
        notes.extend(self.details.iter().take(DETAILS).cloned());
        let more = self.missing.len() + self.expired.len() + self.details.len()
            - told(&self.missing)
            - told(&self.expired)
            - self.details.len().min(DETAILS);
        if more > 0 {
            notes.push(format!("{more} more"));
        }
        if self.absent > 0 {
            notes.push(format!("{} offsets are no records", self.absent));
        }
        if self.without_manifest > 0 {
            notes.push(format!("{} without manifest", self.without_manifest));
        }
        notes.join("; ")
    }

    /// Takes in one segment by itself; says what range it has.
    fn add(&mut self, segment: &Segment) -> Option<Manifest> {
        let file = &segment.file;
        if !segment.has_manifest {
            self.without_manifest += 1;
        } else if segment.manifest.is_none() {
            self.damage(format!("{file}: the manifest can't be read"), None);
        }
        let counted = match &segment.counted {
            Ok(counted) => counted,
            Err(what) => {
                self.damage(format!("{file}: {what}"), Some(&segment.name));
                return None;
            }
        };
        let wrong = if counted.first != segment.name.first || counted.records == 0 {
            Some("it does not begin as its name says")
        } else {
            segment
                .manifest
                .as_ref()
                .and_then(|manifest| contradiction(manifest, counted))
        };
        if let Some(wrong) = wrong {
            self.damage(format!("{file}: {wrong}"), Some(&segment.name));
            return None;
        }
        self.records += counted.records;
        self.times_ms = match (self.times_ms, counted.times_ms) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        // What was before it only the manifest knows.
        Some(segment.manifest.clone().unwrap_or_else(|| counted.clone()))
    }
}

fn contradiction(manifest: &Manifest, counted: &Manifest) -> Option<&'static str> {
    if manifest.sha256 != counted.sha256 {
        Some("the checksum is not the manifest's")
    } else if (manifest.records, manifest.last) != (counted.records, counted.last) {
        Some("the counts are not the manifest's")
    } else if manifest.digests.is_some() && manifest.digests != counted.digests {
        Some("the records' checksum is not the manifest's")
    } else {
        None
    }
}

/// Validates segments, sorted by their first offset, with what else is known of their partition.
pub(super) fn validate(segments: &[Segment], metadata: &PartitionMetadata) -> PartitionReport {
    let mut report = PartitionReport {
        segments: segments.len() as u64,
        is_lines: metadata.is_lines,
        ..PartitionReport::default()
    };
    let mut good = Vec::new();
    let mut coverage = Coverage::default();
    // What is damaged is told as that, and not as missing too.
    let mut damaged = Ranges::default();
    for segment in segments {
        match report.add(segment) {
            Some(manifest) => {
                coverage.add_segment(&manifest);
                good.push(manifest);
            }
            None => match &segment.manifest {
                Some(manifest) => damaged.insert(manifest.first, manifest.last),
                None => damaged.insert(segment.name.first, segment.name.first),
            },
        }
    }
    for (first, manifest) in &metadata.lost {
        let last = manifest.as_ref().map_or(*first, |manifest| manifest.last);
        coverage.add_span(*first, last);
    }
    if let Some(span) = metadata.span {
        coverage.add_span(span.first, span.last);
    }
    for marker in &metadata.markers {
        coverage.add_range(marker.status, marker.first, marker.last);
    }
    report.first = coverage.stored.iter().next().map(|(first, _)| first);
    report.last = coverage.stored.iter().last().map(|(_, last)| last);
    report.overlaps = overlaps(&good);
    if metadata.is_lines {
        // Numbers of segments leave nothing out, and nothing is known of what was before the first.
        report.missing = missing_numbers(segments);
        return report;
    }
    let missing = coverage.missing().without(&damaged);
    report.missing = missing
        .iter()
        .filter(|range| !may_be_absent(*range, &good, metadata))
        .collect();
    report.expired = coverage.expired().without(&damaged).iter().collect();
    report.absent = coverage.absent_count(&good);
    report
}

fn missing_numbers(segments: &[Segment]) -> Vec<(i64, i64)> {
    let pairs = segments.windows(2);
    let gaps = pairs.map(|pair| (pair[0].name.first + 1, pair[1].name.first - 1));
    gaps.filter(|(first, last)| first <= last).collect()
}

/// Whether all records of a missing range are so old that the bucket itself may have deleted them.
fn may_be_absent(
    (first, last): (i64, i64),
    good: &[Manifest],
    metadata: &PartitionMetadata,
) -> bool {
    let Some(before_ms) = metadata.expires_before_ms else {
        return false;
    };
    let next = good.iter().find(|manifest| manifest.first > last);
    let newest_ms = match next {
        Some(next)
            if next
                .after
                .is_some_and(|after| first <= after && after <= last) =>
        {
            next.after_ms
        }
        Some(next) => next.times_ms.map(|(earliest, _)| earliest),
        None => metadata.span.and_then(|span| span.newest_ms),
    };
    newest_ms.is_some_and(|ms| ms < before_ms)
}

/// What the segments before one have in common with it.
fn overlaps(good: &[Manifest]) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    let mut end: Option<i64> = None;
    for manifest in good {
        if let Some(end) = end
            && manifest.first.cmp(&end) != Ordering::Greater
        {
            found.push((manifest.first, manifest.last.min(end)));
        }
        end = end.max(Some(manifest.last));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Codec, Layout, RangeStatus};

    fn manifest(first: i64, last: i64, records: u64, after: Option<i64>) -> Manifest {
        Manifest {
            first,
            last,
            records,
            after,
            after_ms: after,
            times_ms: Some((first, last)),
            sha256: "0".repeat(64),
            ..Manifest::default()
        }
    }

    fn whole(first: i64, last: i64, after: Option<i64>) -> Segment {
        of(manifest(first, last, (last - first + 1) as u64, after))
    }

    fn of(manifest: Manifest) -> Segment {
        Segment {
            name: Name {
                first: manifest.first,
                time_ms: None,
                layout: Layout::Tsv,
                codec: Codec::None,
            },
            file: manifest.first.to_string(),
            has_manifest: true,
            manifest: Some(manifest.clone()),
            counted: Ok(manifest),
        }
    }

    fn missing(segments: &[Segment], metadata: &PartitionMetadata) -> Vec<(i64, i64)> {
        validate(segments, metadata).missing
    }

    #[test]
    fn a_segment_that_is_gone_is_missing() {
        let (a, b, c) = (
            whole(5, 9, None),
            whole(10, 19, Some(9)),
            whole(20, 29, Some(19)),
        );
        let nothing = PartitionMetadata::default();
        assert_eq!(missing(&[a.clone(), b, c.clone()], &nothing), []);
        assert_eq!(missing(&[a.clone(), c], &nothing), [(10, 19)]);
        let metadata = PartitionMetadata {
            lost: vec![(10, Some(manifest(10, 19, 10, Some(9))))],
            ..PartitionMetadata::default()
        };
        assert_eq!(missing(std::slice::from_ref(&a), &metadata), [(10, 19)]);
        let metadata = PartitionMetadata {
            span: Some(OffsetSpan {
                first: 0,
                last: 29,
                newest_ms: Some(29),
            }),
            ..PartitionMetadata::default()
        };
        assert_eq!(missing(&[a], &metadata), [(0, 4), (10, 29)]);
        assert_eq!(missing(&[], &metadata), [(0, 29)]);
    }

    #[test]
    fn offsets_that_a_run_passed_are_no_records() {
        let gappy = of(manifest(10, 19, 7, Some(5)));
        let report = validate(&[whole(0, 5, None), gappy], &PartitionMetadata::default());
        assert!(report.is_whole());
        assert_eq!(report.note(), "7 offsets are no records");
        let apart = [whole(0, 5, None), whole(10, 19, None)];
        let report = validate(&apart, &PartitionMetadata::default());
        assert_eq!(report.note(), "offsets 6 to 9 are missing, cause unknown");
        let metadata = PartitionMetadata {
            markers: vec![RangeMarker {
                status: RangeStatus::Expired,
                first: 6,
                last: 9,
            }],
            ..PartitionMetadata::default()
        };
        let report = validate(&apart, &metadata);
        assert!(!report.is_whole() && report.missing.is_empty());
        assert!(report.note().contains("deleted from the topic"));
    }

    #[test]
    fn an_overlap_is_nothing_missing() {
        let segments = [whole(0, 9, None), whole(5, 20, None), whole(8, 9, None)];
        let report = validate(&segments, &PartitionMetadata::default());
        assert_eq!(report.overlaps, [(5, 9), (8, 9)]);
        assert!(report.is_whole());
    }

    #[test]
    fn damage_is_told_once_and_counted() {
        let mut torn = whole(0, 9, None);
        torn.counted = Err("unexpected end".to_owned());
        let mut other = whole(10, 19, Some(9));
        other.counted = Ok(Manifest {
            sha256: "1".repeat(64),
            ..manifest(10, 19, 10, None)
        });
        let report = validate(&[torn, other], &PartitionMetadata::default());
        assert_eq!((report.damaged, report.missing.len()), (2, 0));
        assert_eq!(report.damaged_segments.len(), 2);
        assert!(!report.is_whole());
        assert_eq!(
            report.note(),
            "0: unexpected end; 10: the checksum is not the manifest's"
        );
    }

    #[test]
    fn a_number_that_is_missing_among_lines_is_missing() {
        let metadata = PartitionMetadata {
            is_lines: true,
            ..PartitionMetadata::default()
        };
        let report = validate(&[whole(0, 0, None), whole(3, 3, None)], &metadata);
        assert_eq!(report.note(), "segments 1 to 2 are missing");
    }

    #[test]
    fn only_what_is_old_enough_may_have_been_deleted_by_the_bucket() {
        let segments = [whole(20, 29, Some(19)), whole(40, 49, Some(39))];
        let metadata = |before_ms| PartitionMetadata {
            span: Some(OffsetSpan {
                first: 0,
                last: 49,
                newest_ms: None,
            }),
            expires_before_ms: Some(before_ms),
            ..PartitionMetadata::default()
        };
        assert_eq!(missing(&segments, &metadata(19)), [(0, 19), (30, 39)]);
        assert_eq!(missing(&segments, &metadata(20)), [(30, 39)]);
        assert_eq!(missing(&segments, &metadata(40)), []);
    }
}
