//! What is recorded of a range of offsets besides its records: `absent+FIRST+LAST.note` beside the segments.

use super::Place;
use crate::cli::now_ms;
use crate::store::Store;

/// The end of a note's name.
const NOTE_SUFFIX: &str = ".note";

/// What is recorded of a range of offsets, besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
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

/// A fact and its range: a small file whose name says it all, beside the segments of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) fact: Fact,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Note {
    const NAMES: [(&'static str, Fact); 5] = [
        ("absent", Fact::Absent),
        ("expired", Fact::Expired),
        ("accepted", Fact::Accepted),
        ("pruned", Fact::Pruned),
        ("overlap", Fact::Overlap),
    ];

    /// The path within the backup.
    pub(crate) fn path(&self, place: &Place) -> String {
        let found = Note::NAMES.iter().find(|(_, fact)| *fact == self.fact);
        let name = found.map_or("", |(name, _)| name);
        let folder = place.folder();
        format!(
            "{folder}/{name}+{:020}+{:020}{NOTE_SUFFIX}",
            self.first, self.last
        )
    }

    /// Writes it, with the time.
    pub(crate) fn write(&self, store: &dyn Store, place: &Place) -> anyhow::Result<()> {
        let text = format!("noticed\t{}\n", tools::units::format_time_ms(now_ms()));
        store.replace(&self.path(place), text.as_bytes())
    }

    /// Reads the name of a file.
    pub(crate) fn parse(file: &str) -> Option<Note> {
        let mut words = file.strip_suffix(NOTE_SUFFIX)?.split('+');
        let name = words.next()?;
        let (_, fact) = *Note::NAMES.iter().find(|(known, _)| *known == name)?;
        let mut number = || tools::units::parse_whole(words.next()?).ok();
        Some(Note {
            fact,
            first: number()?,
            last: number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;

    #[test]
    fn a_note_is_read_back_and_no_segment() {
        let place = Place::partition("absent", 7).expect("a legal name");
        let note = Note {
            fact: Fact::Expired,
            first: 7,
            last: 19,
        };
        let path = note.path(&place);
        let (_, file) = path.rsplit_once('/').expect("a folder");
        assert_eq!(Note::parse(file), Some(note));
        assert_eq!(Name::parse(file, &place), None);
    }
}
