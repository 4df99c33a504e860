//! What is recorded of a range of offsets besides its records: `absent+FIRST+LAST.note` beside the segments.

use tools::cli::now_ms;

use super::LogId;
use crate::store::Store;

/// The end of a marker's name.
const MARKER_SUFFIX: &str = ".note";

/// What is recorded of a range of offsets, besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RangeStatus {
    /// There are no records of these offsets: a run has passed them.
    Absent,
    /// The topic had deleted these before they were backed up.
    Expired,
    /// That they are lost was accepted.
    Accepted,
    /// These were removed from the backup on purpose.
    Pruned,
    /// A segment has this range, and others lie in it.
    Overlap,
}

/// A status and its range: a small file whose name says it all, beside the segments of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RangeMarker {
    pub(crate) status: RangeStatus,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl RangeMarker {
    const NAMES: [(&'static str, RangeStatus); 5] = [
        ("absent", RangeStatus::Absent),
        ("expired", RangeStatus::Expired),
        ("accepted", RangeStatus::Accepted),
        ("pruned", RangeStatus::Pruned),
        ("overlap", RangeStatus::Overlap),
    ];

    pub(crate) fn new(status: RangeStatus, first: i64, last: i64) -> RangeMarker {
        RangeMarker {
            status,
            first,
            last,
        }
    }

    pub(crate) fn path(&self, log: &LogId) -> String {
        let found = RangeMarker::NAMES
            .iter()
            .find(|(_, status)| *status == self.status);
        let name = found.map_or("", |(name, _)| name);
        let folder = log.folder();
        format!(
            "{folder}/{name}+{:020}+{:020}{MARKER_SUFFIX}",
            self.first, self.last
        )
    }

    /// Writes it, with the time.
    pub(crate) fn write(&self, store: &dyn Store, log: &LogId) -> anyhow::Result<()> {
        let text = format!("noticed\t{}\n", tools::units::format_time_ms(now_ms()));
        store.replace(&self.path(log), text.as_bytes())
    }

    /// Reads the name of a file.
    pub(crate) fn parse(file: &str) -> Option<RangeMarker> {
        let mut words = file.strip_suffix(MARKER_SUFFIX)?.split('+');
        let name = words.next()?;
        let (_, status) = *RangeMarker::NAMES
            .iter()
            .find(|(known, _)| *known == name)?;
        let mut number = || tools::units::parse_whole(words.next()?).ok();
        Some(RangeMarker::new(status, number()?, number()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;

    #[test]
    fn a_note_is_read_back_and_no_segment() {
        let log = LogId::partition("absent", 7).expect("a legal name");
        let marker = RangeMarker::new(RangeStatus::Expired, 7, 19);
        let path = marker.path(&log);
        let (_, file) = path.rsplit_once('/').expect("a folder");
        assert_eq!(RangeMarker::parse(file), Some(marker));
        assert_eq!(Name::parse(file, &log), None);
    }
}
