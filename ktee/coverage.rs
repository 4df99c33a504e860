//! What a backup has of a partition, what it lacks, and why. Pure.
//!
//! A segment holds the range from its first to its last offset. Offsets
//! between two records of one run are claimed: there is no record of them.
//! A range that is stored beats every claim.

mod ranges;

use crate::segment::{Manifest, RangeMarker, RangeStatus};
pub(crate) use ranges::Ranges;

/// What is known of the offsets of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    /// Ranges of segments.
    pub(crate) stored: Ranges,
    /// Claimed to be no records.
    absent: Ranges,
    /// Deleted from the topic before they were backed up.
    expired: Ranges,
    /// Accepted as lost, or removed from the backup on purpose.
    excused: Ranges,
    /// From the first to the last offset that is known to have existed.
    span: Option<(i64, i64)>,
}

impl Coverage {
    pub(crate) fn add_segment(&mut self, manifest: &Manifest) {
        self.stored.insert(manifest.first, manifest.last);
        self.add_span(manifest.first, manifest.last);
        if let Some(after) = manifest.after {
            // This record was seen, whether or not it is still there.
            self.add_span(after, after);
            if !manifest.starts_run {
                self.absent
                    .insert(after.saturating_add(1), manifest.first.saturating_sub(1));
            }
        }
    }

    /// Offsets that existed, as the head or a manifest without its segment says.
    pub(crate) fn add_span(&mut self, first: i64, last: i64) {
        let (from, to) = self.span.unwrap_or((first, last));
        self.span = Some((from.min(first), to.max(last)));
    }

    /// Something that is recorded of a range.
    pub(crate) fn add_marker(&mut self, marker: &RangeMarker) {
        let (first, last) = (marker.first, marker.last);
        match marker.status {
            RangeStatus::Absent => self.absent.insert(first, last),
            RangeStatus::Expired => self.expired.insert(first, last),
            RangeStatus::Accepted | RangeStatus::Pruned => self.excused.insert(first, last),
            RangeStatus::Overlap => {}
        }
    }

    /// What existed and is not there, for no known reason.
    pub(crate) fn missing(&self) -> Ranges {
        let span = self.span.map(|(first, last)| self.unknown(first, last));
        span.unwrap_or_default()
    }

    /// How many offsets are known to be no records: within segments, which have `records` records, and between them.
    pub(crate) fn absent_count(&self, records: u64) -> i64 {
        let length = |(first, last): (i64, i64)| last - first + 1;
        let between = self.absent.clone().without(&self.stored);
        let between: i64 = between.iter().map(length).sum();
        let spanned: i64 = self.stored.iter().map(length).sum();
        between + spanned - records as i64
    }

    /// What retention has deleted before it was backed up, and nobody has accepted.
    pub(crate) fn expired(&self) -> Ranges {
        let expired = self.expired.clone().without(&self.stored);
        expired.without(&self.absent).without(&self.excused)
    }

    /// Of the offsets from `first` to `last`, those that are neither stored nor known to be no records.
    pub(crate) fn unclaimed(&self, first: i64, last: i64) -> Ranges {
        let mut wanted = Ranges::default();
        wanted.insert(first, last);
        wanted.without(&self.stored).without(&self.absent)
    }

    /// Of these, those that are not known to be lost or removed either.
    pub(crate) fn unknown(&self, first: i64, last: i64) -> Ranges {
        let unclaimed = self.unclaimed(first, last);
        unclaimed.without(&self.expired).without(&self.excused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(first: i64, last: i64, after: Option<i64>) -> Manifest {
        Manifest {
            first,
            last,
            after,
            ..Manifest::default()
        }
    }

    fn of(segments: &[Manifest]) -> Coverage {
        let mut coverage = Coverage::default();
        for segment in segments {
            coverage.add_segment(segment);
        }
        coverage
    }

    fn mark(coverage: &mut Coverage, status: RangeStatus, first: i64, last: i64) {
        coverage.add_marker(&RangeMarker::new(status, first, last));
    }

    fn missing(coverage: &Coverage) -> Vec<(i64, i64)> {
        coverage.missing().iter().collect()
    }

    #[test]
    fn a_gap_of_a_run_is_claimed_and_one_between_two_runs_is_not() {
        assert_eq!(
            missing(&of(&[segment(0, 4, None), segment(8, 12, Some(4))])),
            []
        );
        let apart = [segment(0, 4, None), segment(8, 12, None)];
        assert_eq!(missing(&of(&apart)), [(5, 7)]);
        // The version before wrote what it had, and that a run began here.
        let old = Manifest {
            starts_run: true,
            ..segment(8, 12, Some(4))
        };
        assert_eq!(missing(&of(&[segment(0, 4, None), old])), [(5, 7)]);
        let mut claimed = of(&apart);
        mark(&mut claimed, RangeStatus::Absent, 5, 6);
        assert_eq!(missing(&claimed), [(7, 7)]);
    }

    #[test]
    fn what_retention_took_is_told_until_it_is_accepted_and_stored_beats_all() {
        let mut coverage = of(&[segment(0, 4, None), segment(10, 12, None)]);
        mark(&mut coverage, RangeStatus::Expired, 5, 9);
        let expired = |coverage: &Coverage| coverage.expired().iter().collect::<Vec<_>>();
        assert_eq!(missing(&coverage), []);
        assert_eq!(expired(&coverage), [(5, 9)]);
        coverage.add_segment(&segment(5, 6, None));
        assert_eq!(expired(&coverage), [(7, 9)]);
        mark(&mut coverage, RangeStatus::Accepted, 7, 9);
        assert_eq!(expired(&coverage), []);
        assert!(coverage.unknown(0, 12).is_empty());
        assert_eq!(
            coverage.unknown(11, 14).iter().collect::<Vec<_>>(),
            [(13, 14)]
        );
    }
}
