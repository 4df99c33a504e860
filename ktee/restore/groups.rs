//! How far groups had read, in the offsets of a restored partition. Pure.

use crate::metadata::TopicMetadata;

/// Counts the records before each committed offset of one partition, while they pass.
pub(super) struct Translation {
    /// Old offset and group, by offset; those before `next` are translated.
    open: Vec<(i64, String)>,
    next: usize,
    passed: i64,
    done: Vec<(String, i64)>,
}

impl Translation {
    pub(super) fn new(recorded: &TopicMetadata, partition: i32) -> Translation {
        let groups = recorded.groups.iter().filter(|(_, p, _)| *p == partition);
        let mut open: Vec<(i64, String)> = groups
            .map(|(group, _, offset)| (*offset, group.clone()))
            .collect();
        open.sort_unstable();
        Translation {
            open,
            next: 0,
            passed: 0,
            done: Vec::new(),
        }
    }

    /// A record of this old offset is about to be restored.
    #[inline]
    pub(super) fn pass(&mut self, offset: Option<i64>) {
        while let Some((committed, group)) = self.open.get(self.next)
            && offset.is_some_and(|offset| offset >= *committed)
        {
            self.done.push((group.clone(), self.passed));
            self.next += 1;
        }
        self.passed += 1;
    }

    /// For each group the number of restored records that it had read.
    pub(super) fn finish(mut self) -> Vec<(String, i64)> {
        let rest = self.open.drain(self.next..);
        let passed = self.passed;
        self.done.extend(rest.map(|(_, group)| (group, passed)));
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_offset_becomes_the_number_of_records_before_it() {
        let group = |name: &str, offset| (name.to_owned(), 0, offset);
        let recorded = TopicMetadata {
            groups: vec![
                group("end", 20),
                group("start", 0),
                group("gap", 8),
                group("mid", 11),
                ("other".to_owned(), 1, 5),
            ],
            ..TopicMetadata::default()
        };
        let mut translation = Translation::new(&recorded, 0);
        for offset in [5, 6, 10, 11, 12] {
            translation.pass(Some(offset));
        }
        let translated = translation.finish();
        let expected = [("start", 0), ("gap", 2), ("mid", 3), ("end", 5)];
        assert_eq!(translated, expected.map(|(name, n)| (name.to_owned(), n)));
    }
}
