//! What the segments of one partition say together. Pure.
//!
//! A hole is where a segment is missing that the next one knew of, whose
//! manifest is still there, or where two runs have left out offsets of a topic
//! that otherwise has them all. Offsets that are missing within a run are not
//! holes: compaction removed them, or they are transaction markers; where a
//! topic has such gaps, those between two runs are taken for the same.

use crate::segment::Manifest;

/// So many details are told.
const DETAILS: usize = 3;

/// A segment that was read.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) file: String,
    pub(super) first: i64,
    pub(super) has_manifest: bool,
    /// What the manifest says, if it can be read.
    pub(super) manifest: Option<Manifest>,
    /// What the segment says, or what is wrong with it.
    pub(super) counted: Result<Manifest, String>,
}

/// What there is to say of a partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    pub(super) segments: u64,
    pub(super) records: u64,
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    pub(super) times_ms: Option<(i64, i64)>,
    /// First and last offset of each.
    pub(super) holes: Vec<(i64, i64)>,
    /// Offsets that two segments span.
    pub(super) overlaps: Vec<(i64, i64)>,
    pub(super) doubles: u64,
    pub(super) damaged: u64,
    /// Offsets that are no records, as far as it can be known.
    gap_offsets: i64,
    /// Segments whose manifest is missing, as a crash may leave the last one.
    without_manifest: u64,
    details: Vec<String>,
}

impl Verdict {
    /// Whether nothing is missing and nothing damaged.
    pub(super) fn is_whole(&self) -> bool {
        self.holes.is_empty() && self.damaged == 0
    }

    /// Something is wrong with a segment.
    pub(super) fn damage(&mut self, what: String) {
        self.damaged += 1;
        self.details.push(what);
    }

    /// In words.
    pub(super) fn note(&self, is_lines: bool) -> String {
        let mut notes: Vec<String> = Vec::new();
        for (first, last) in self.holes.iter().take(DETAILS) {
            let what = if is_lines { "segments" } else { "offsets" };
            notes.push(format!("{what} {first} to {last} are missing"));
        }
        notes.extend(self.details.iter().take(DETAILS).cloned());
        let told = self.holes.len().min(DETAILS) + self.details.len().min(DETAILS);
        let more = self.holes.len() + self.details.len() - told;
        if more > 0 {
            notes.push(format!("{more} more"));
        }
        if self.gap_offsets > 0 {
            notes.push(format!("{} offsets are no records", self.gap_offsets));
        }
        if self.without_manifest > 0 {
            notes.push(format!("{} without manifest", self.without_manifest));
        }
        notes.join("; ")
    }
}

/// Judges segments, sorted by their first offset, and those of which only the manifest is left.
pub(super) fn judge(
    segments: &[Checked],
    lost: &[(i64, Option<Manifest>)],
    is_lines: bool,
) -> Verdict {
    let mut verdict = Verdict {
        segments: segments.len() as u64,
        ..Verdict::default()
    };
    for (first, manifest) in lost {
        let end = manifest.as_ref().map_or(*first, |manifest| manifest.last);
        verdict.holes.push((*first, end));
    }
    for segment in segments {
        add(&mut verdict, segment);
    }
    if is_lines {
        judge_numbers(&mut verdict, segments);
    } else {
        judge_offsets(&mut verdict, segments);
    }
    verdict.holes.sort_unstable();
    verdict.holes.dedup();
    verdict
}

/// Takes in one segment by itself.
fn add(verdict: &mut Verdict, segment: &Checked) {
    if !segment.has_manifest {
        verdict.without_manifest += 1;
    } else if segment.manifest.is_none() {
        verdict.damage(format!("{}: the manifest can't be read", segment.file));
    }
    let counted = match &segment.counted {
        Ok(counted) => counted,
        Err(what) => {
            // The error names the file's path where it has one.
            return verdict.damage(format!("{}: {what}", segment.file));
        }
    };
    verdict.records += counted.records;
    verdict.first = Some(
        verdict
            .first
            .map_or(counted.first, |first| first.min(counted.first)),
    );
    verdict.last = Some(
        verdict
            .last
            .map_or(counted.last, |last| last.max(counted.last)),
    );
    verdict.times_ms = match (verdict.times_ms, counted.times_ms) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (a, b) => a.or(b),
    };
    if counted.first != segment.first || counted.records == 0 {
        return verdict.damage(format!(
            "{}: it does not begin as its name says",
            segment.file
        ));
    }
    if let Some(manifest) = &segment.manifest {
        if manifest.sha256 != counted.sha256 {
            verdict.damage(format!(
                "{}: the checksum is not the manifest's",
                segment.file
            ));
        } else if (manifest.records, manifest.last) != (counted.records, counted.last) {
            verdict.damage(format!(
                "{}: the counts are not the manifest's",
                segment.file
            ));
        }
    }
}

/// Numbers of line segments leave nothing out.
fn judge_numbers(verdict: &mut Verdict, segments: &[Checked]) {
    for pair in segments.windows(2) {
        if pair[1].first > pair[0].first + 1 {
            verdict.holes.push((pair[0].first + 1, pair[1].first - 1));
        }
    }
}

fn judge_offsets(verdict: &mut Verdict, segments: &[Checked]) {
    let mut stored: Option<i64> = None;
    // Gaps between two runs, which may be holes.
    let mut seams = Vec::new();
    for segment in segments {
        let (first, last) = range(segment);
        if let Ok(counted) = &segment.counted {
            verdict.gap_offsets += counted.last - counted.first + 1 - counted.records as i64;
        }
        // A segment that does not say what was before it may be the first of a run.
        let after = segment
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.after);
        let is_seam = segment
            .manifest
            .as_ref()
            .is_none_or(|manifest| manifest.is_seam);
        if let Some(after) = after.filter(|after| stored.is_none_or(|stored| stored < *after)) {
            // Where the backup once began, nothing needs to be before it.
            let from = stored.map_or(after, |stored| stored + 1);
            verdict.holes.push((from, after));
        }
        if let Some(stored) = stored {
            let known = stored.max(after.unwrap_or(stored));
            if first <= stored {
                verdict.overlaps.push((first, last.min(stored)));
            } else if first > known + 1 && is_seam {
                seams.push((known + 1, first - 1));
            } else {
                verdict.gap_offsets += first - known - 1;
            }
        }
        stored = Some(stored.map_or(last, |stored| stored.max(last)));
    }
    if verdict.gap_offsets > 0 {
        verdict.gap_offsets += seams.iter().map(|(from, to)| to - from + 1).sum::<i64>();
    } else {
        verdict.holes.append(&mut seams);
    }
}

fn range(segment: &Checked) -> (i64, i64) {
    match (&segment.counted, &segment.manifest) {
        (Ok(facts), _) | (Err(_), Some(facts)) => (facts.first, facts.last),
        (Err(_), None) => (segment.first, segment.first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(first: i64, last: i64, records: u64, after: Option<i64>, is_seam: bool) -> Manifest {
        Manifest {
            first,
            last,
            records,
            after,
            is_seam,
            sha256: "0".repeat(64),
            ..Manifest::default()
        }
    }

    fn whole(first: i64, last: i64, after: Option<i64>) -> Checked {
        let facts = facts(first, last, (last - first + 1) as u64, after, false);
        Checked {
            file: first.to_string(),
            first,
            has_manifest: true,
            manifest: Some(facts.clone()),
            counted: Ok(facts),
        }
    }

    fn holes(segments: &[Checked]) -> Vec<(i64, i64)> {
        judge(segments, &[], false).holes
    }

    #[test]
    fn a_segment_that_is_gone_is_a_hole() {
        let (a, b, c) = (
            whole(5, 9, None),
            whole(10, 19, Some(9)),
            whole(20, 29, Some(19)),
        );
        assert_eq!(holes(&[a.clone(), b.clone(), c.clone()]), []);
        assert_eq!(holes(&[a.clone(), c.clone()]), [(10, 19)]);
        assert_eq!(holes(&[b, c]), [(9, 9)]);
        let lost = [(10, Some(facts(10, 19, 10, Some(9), false)))];
        assert_eq!(judge(&[a], &lost, false).holes, [(10, 19)]);
    }

    #[test]
    fn offsets_that_a_run_did_not_see_are_no_hole() {
        let mut gappy = whole(10, 19, Some(5));
        gappy.manifest = Some(facts(10, 19, 7, Some(5), false));
        gappy.counted = Ok(facts(10, 19, 7, Some(5), false));
        let verdict = judge(&[whole(0, 5, None), gappy.clone()], &[], false);
        assert_eq!((verdict.holes.len(), verdict.gap_offsets), (0, 7));
        assert_eq!(verdict.note(false), "7 offsets are no records");
    }

    #[test]
    fn between_two_runs_a_gap_is_a_hole_unless_the_topic_has_gaps_anyway() {
        let mut later = whole(10, 19, Some(5));
        later.manifest = Some(facts(10, 19, 10, Some(5), true));
        assert_eq!(holes(&[whole(0, 5, None), later.clone()]), [(6, 9)]);
        let mut gappy = whole(0, 5, None);
        gappy.counted = Ok(facts(0, 5, 5, None, false));
        gappy.manifest = Some(facts(0, 5, 5, None, false));
        let verdict = judge(&[gappy, later.clone()], &[], false);
        assert_eq!((verdict.holes.len(), verdict.gap_offsets), (0, 5));
        later.manifest = None;
        later.has_manifest = false;
        assert_eq!(holes(&[whole(0, 5, None), later]), [(6, 9)]);
    }

    #[test]
    fn an_overlap_is_no_hole() {
        let verdict = judge(
            &[whole(0, 9, None), whole(5, 20, None), whole(8, 9, None)],
            &[],
            false,
        );
        assert_eq!(verdict.overlaps, [(5, 9), (8, 9)]);
        assert!(verdict.is_whole());
    }

    #[test]
    fn damage_is_told_once_and_counted() {
        let mut torn = whole(0, 9, None);
        torn.counted = Err("unexpected end".to_owned());
        let mut other = whole(10, 19, Some(9));
        other.counted = Ok(Manifest {
            sha256: "1".repeat(64),
            ..facts(10, 19, 10, None, false)
        });
        let verdict = judge(&[torn, other], &[], false);
        assert_eq!((verdict.damaged, verdict.holes.len()), (2, 0));
        assert!(!verdict.is_whole());
        assert_eq!(
            verdict.note(false),
            "0: unexpected end; 10: the checksum is not the manifest's"
        );
    }

    #[test]
    fn a_number_that_is_missing_among_lines_is_a_hole() {
        let verdict = judge(&[whole(0, 0, None), whole(3, 3, None)], &[], true);
        assert_eq!(verdict.holes, [(1, 2)]);
        assert_eq!(verdict.note(true), "segments 1 to 2 are missing");
    }
}
