//! What the segments of one partition say together, with what is recorded of it. Pure.

use crate::coverage::{Coverage, Ranges};
use crate::head::OffsetSpan;
use crate::read::StoredLog;
use crate::read::inventory::Segment;
use crate::read::select::RecordStats;
use crate::segment::{LogId, Manifest, Name};

/// How many details of each kind are reported.
const DETAILS: usize = 3;

/// What was found out about a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionReport {
    pub(super) log: LogId,
    pub(super) segments: u64,
    /// Records, each once.
    pub(super) stats: RecordStats,
    /// The first and the last offset.
    pub(super) span: Option<(i64, i64)>,
    /// What existed and is not there.
    pub(crate) missing: Vec<(i64, i64)>,
    /// What the topic had deleted before it was backed up, until that is accepted.
    pub(super) expired: Vec<(i64, i64)>,
    /// Offsets that two segments span.
    pub(super) overlaps: Vec<(i64, i64)>,
    pub(super) duplicates: u64,
    /// What is wrong with segments.
    pub(super) damages: Vec<String>,
    /// Segments that are to be moved aside.
    pub(super) damaged_segments: Vec<Name>,
    /// Offsets that are no records; as long as duplicates are not known, fewer by them.
    pub(super) absent: i64,
    /// Segments whose manifest is missing, as a crash may leave the last one.
    without_manifest: u64,
}

impl PartitionReport {
    /// Whether nothing is missing and nothing damaged.
    pub(super) fn is_whole(&self) -> bool {
        !self.lacks_records() && self.expired.is_empty()
    }

    /// Whether there is something that sending the topic again may mend.
    pub(super) fn lacks_records(&self) -> bool {
        !self.missing.is_empty() || !self.damages.is_empty()
    }

    pub(super) fn note(&self) -> String {
        let missing = self.missing.iter().map(|(first, last)| match self.log {
            LogId::Lines => format!("segments {first} to {last} are missing"),
            LogId::Partition(..) => {
                format!("offsets {first} to {last} are missing, cause unknown")
            }
        });
        let expired = self.expired.iter().map(|(first, last)| {
            format!(
                "offsets {first} to {last} were deleted from the topic before they were backed up"
            )
        });
        let mut notes: Vec<String> = missing.take(DETAILS).chain(expired.take(DETAILS)).collect();
        notes.extend(self.damages.iter().take(DETAILS).cloned());
        let more = self.missing.len() + self.expired.len() + self.damages.len() - notes.len();
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

    /// Takes in what the log's segments are by themselves; returns what is good, and the ranges of what is not.
    fn add_segments<'s>(&mut self, segments: &'s [Segment]) -> (Vec<&'s Manifest>, Ranges) {
        let (mut good, mut damaged) = (Vec::new(), Ranges::default());
        for segment in segments {
            let (name, manifest) = (&segment.name, segment.manifest.as_ref());
            let file = name.file(&self.log);
            if !segment.has_manifest {
                self.without_manifest += 1;
            } else if manifest.is_none() {
                self.damages
                    .push(format!("{file}: the manifest can't be read"));
            }
            let checked = match (&segment.content, manifest) {
                (Ok(counted), Some(manifest)) => check(manifest, counted),
                (Ok(counted), None) => Ok(counted),
                (Err(wrong), _) => Err(wrong.as_str()),
            };
            match checked {
                Ok(known) => {
                    self.stats.add(known.records, known.times_ms);
                    good.push(known);
                }
                Err(wrong) => {
                    self.damages.push(format!("{file}: {wrong}"));
                    self.damaged_segments.push(name.clone());
                    damaged.insert(name.first, manifest.map_or(name.first, |it| it.last));
                }
            }
        }
        (good, damaged)
    }
}

/// Whether a manifest says what was counted; what was before the segment only the manifest knows.
fn check<'m>(manifest: &'m Manifest, counted: &Manifest) -> Result<&'m Manifest, &'static str> {
    let known = Manifest {
        after: manifest.after,
        after_ms: manifest.after_ms,
        starts_run: manifest.starts_run,
        // Version 0.1 had none.
        digests: manifest.digests.and(counted.digests),
        ..counted.clone()
    };
    if manifest.sha256 != known.sha256 {
        Err("the checksum is not the manifest's")
    } else if manifest.digests != known.digests {
        Err("the records' checksum is not the manifest's")
    } else if *manifest != known {
        Err("the counts are not the manifest's")
    } else {
        Ok(manifest)
    }
}

/// Validates a log; `span` is what its head says, and records before `expires_before_ms` may have been deleted with their
/// segments.
pub(super) fn validate(
    stored: &StoredLog,
    span: Option<OffsetSpan>,
    expires_before_ms: Option<i64>,
) -> PartitionReport {
    let mut report = PartitionReport {
        log: stored.log.clone(),
        segments: stored.segments.len() as u64,
        ..PartitionReport::default()
    };
    let (good, damaged) = report.add_segments(&stored.segments);
    report.overlaps = overlaps(&good);
    let mut coverage = Coverage::default();
    for manifest in &good {
        coverage.add_segment(manifest);
    }
    // Of lines the numbers of segments are what offsets are of records; nothing records that old ones were pruned.
    let without_segment = stored.lost.iter().filter(|_| stored.log != LogId::Lines);
    for (first, manifest) in without_segment {
        let last = manifest.as_ref().map_or(*first, |manifest| manifest.last);
        coverage.add_span(*first, last);
    }
    if let Some(span) = span {
        coverage.add_span(span.first, span.last);
    }
    for marker in &stored.markers {
        coverage.add_marker(marker);
    }
    let (first, last) = (coverage.stored.iter().next(), coverage.stored.iter().last());
    report.span = first.zip(last).map(|(first, last)| (first.0, last.1));
    // What is damaged is reported as that, and not as missing too.
    report.missing = coverage.missing().without(&damaged).iter().collect();
    report.expired = coverage.expired().without(&damaged).iter().collect();
    report.absent = coverage.absent_count(report.stats.records);
    if let Some(before_ms) = expires_before_ms {
        let may_be_new = |ms| ms >= before_ms;
        let missing = &mut report.missing;
        missing.retain(|range| newest_ms(*range, &good, span).is_none_or(may_be_new));
    }
    report
}

/// The time of the newest record of a missing range at most, as far as what is behind it says that.
fn newest_ms(
    (first, last): (i64, i64),
    good: &[&Manifest],
    span: Option<OffsetSpan>,
) -> Option<i64> {
    let Some(next) = good.iter().find(|manifest| manifest.first > last) else {
        return span?.newest_ms;
    };
    match next.after {
        Some(after) if first <= after && after <= last => next.after_ms,
        _ => next.times_ms.map(|(earliest, _)| earliest),
    }
}

/// What the segments before one have in common with it.
fn overlaps(good: &[&Manifest]) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    let mut end = i64::MIN;
    for manifest in good {
        if manifest.first <= end {
            found.push((manifest.first, manifest.last.min(end)));
        }
        end = end.max(manifest.last);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(segments: &[Segment]) -> StoredLog {
        StoredLog {
            log: LogId::Partition("t".to_owned(), 0),
            segments: segments.to_vec(),
            lost: Vec::new(),
            markers: Vec::new(),
        }
    }

    fn span(first: i64, last: i64, newest_ms: Option<i64>) -> OffsetSpan {
        OffsetSpan {
            first,
            last,
            newest_ms,
        }
    }

    fn missing(segments: &[Segment], span: Option<OffsetSpan>) -> Vec<(i64, i64)> {
        validate(&log_of(segments), span, None).missing
    }

    #[test]
    fn a_segment_that_is_gone_is_missing() {
        let a = Segment::of(5, 9, None);
        let b = Segment::of(10, 19, Some(9));
        let c = Segment::of(20, 29, Some(19));
        assert_eq!(missing(&[a.clone(), b.clone(), c.clone()], None), []);
        assert_eq!(missing(&[a.clone(), c], None), [(10, 19)]);
        let mut lost = log_of(std::slice::from_ref(&a));
        lost.lost = vec![(10, b.manifest)];
        assert_eq!(validate(&lost, None, None).missing, [(10, 19)]);
        let head = Some(span(0, 29, Some(29)));
        assert_eq!(missing(&[a], head), [(0, 4), (10, 29)]);
        assert_eq!(missing(&[], head), [(0, 29)]);
    }

    #[test]
    fn an_overlap_is_nothing_missing() {
        let segments = [
            Segment::of(0, 9, None),
            Segment::of(5, 20, None),
            Segment::of(8, 9, None),
        ];
        let report = validate(&log_of(&segments), None, None);
        assert_eq!(report.overlaps, [(5, 9), (8, 9)]);
        assert!(report.is_whole());
    }

    #[test]
    fn damage_is_told_once_and_counted() {
        let mut torn = Segment::of(0, 9, None);
        torn.content = Err("unexpected end".to_owned());
        let mut other = Segment::of(10, 19, Some(9));
        other.content.as_mut().expect("it is counted").sha256 = "1".repeat(64);
        let report = validate(&log_of(&[torn, other]), None, None);
        assert_eq!((report.damages.len(), report.missing.len()), (2, 0));
        assert_eq!(report.damaged_segments.len(), 2);
        assert!(!report.is_whole());
        assert_eq!(
            report.note(),
            "t+0+00000000000000000000.tsv: unexpected end; \
             t+0+00000000000000000010.tsv: the checksum is not the manifest's"
        );
    }

    #[test]
    fn a_manifest_that_says_more_or_other_times_than_its_segment_is_damage() {
        let changes: [fn(&mut Manifest); 4] = [
            |manifest| manifest.first = 0,
            |manifest| manifest.last = 99,
            |manifest| manifest.times_ms = Some((10, 11)),
            |manifest| manifest.bytes = 7,
        ];
        for change in changes {
            let mut segment = Segment::of(10, 19, Some(9));
            change(segment.manifest.as_mut().expect("it has one"));
            let report = validate(&log_of(&[segment]), None, None);
            assert_eq!(report.damages.len(), 1, "{}", report.note());
        }
    }

    #[test]
    fn a_number_that_is_missing_among_lines_is_missing() {
        let mut lines = log_of(&[Segment::of(0, 0, None), Segment::of(3, 3, None)]);
        lines.log = LogId::Lines;
        let report = validate(&lines, None, None);
        assert_eq!(report.note(), "segments 1 to 2 are missing");
    }

    #[test]
    fn only_what_is_old_enough_may_have_been_deleted_by_the_bucket() {
        let stored = log_of(&[Segment::of(20, 29, Some(19)), Segment::of(40, 49, Some(39))]);
        let missing =
            |before_ms| validate(&stored, Some(span(0, 49, None)), Some(before_ms)).missing;
        assert_eq!(missing(19), [(0, 19), (30, 39)]);
        assert_eq!(missing(20), [(30, 39)]);
        assert_eq!(missing(40), []);
    }
}
