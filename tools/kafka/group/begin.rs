//! Where a member begins to read a partition when the user does not say it.
//!
//! Committed offset: start there. None: start at the beginning if the
//! partition is newer than the group, else at the end. A start at the end is
//! committed at once, so a partition without a commit is a new one.

use std::collections::BTreeMap;

use crate::kafka::types::TopicPartition;

/// What was known of a topic when this member joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TopicAtJoin {
    /// The number after its last partition's.
    pub(super) partitions: i32,
    /// Whether the group had a commit for any of its partitions.
    pub(super) has_commits: bool,
}

/// What was known of all topics when this member joined, by name.
pub(super) type TopicsAtJoin = BTreeMap<String, TopicAtJoin>;

/// Whether a partition without a commit begins at its end: it was there before the group, which is new to its topic.
/// Otherwise the topic or the partition is younger than this member, or the group has read others of the topic before.
pub(super) fn begins_at_end(topics: &TopicsAtJoin, (topic, partition): &TopicPartition) -> bool {
    let known = topics.get(topic);
    known.is_some_and(|known| !known.has_commits && *partition < known.partitions)
}

/// Where to go on after a commit, in a log of offsets from `first` to before `next`; `None` if it ends before the commit.
pub(super) fn resume(committed: i64, first: i64, next: i64) -> Option<i64> {
    (committed <= next).then_some(committed.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(partitions: i32, has_commits: bool) -> TopicsAtJoin {
        let known = TopicAtJoin {
            partitions,
            has_commits,
        };
        [("t".to_owned(), known)].into()
    }

    fn partition(number: i32) -> TopicPartition {
        ("t".to_owned(), number)
    }

    #[test]
    fn a_new_group_begins_at_the_end_of_what_was_there_when_it_joined() {
        let new = topics(2, false);
        assert!(begins_at_end(&new, &partition(0)));
        assert!(begins_at_end(&new, &partition(1)));
        // It was added while the member ran.
        assert!(!begins_at_end(&new, &partition(2)));
    }

    #[test]
    fn a_group_with_commits_reads_what_was_added_from_its_beginning() {
        let old = topics(3, true);
        for number in [0, 2, 3] {
            assert!(!begins_at_end(&old, &partition(number)));
        }
    }

    #[test]
    fn a_topic_that_is_younger_than_the_member_is_read_from_its_beginning() {
        assert!(!begins_at_end(&topics(2, false), &("u".to_owned(), 0)));
    }

    #[test]
    fn both_ends_of_the_log_can_be_read_from() {
        assert_eq!(resume(5, 5, 9), Some(5));
        assert_eq!(resume(9, 5, 9), Some(9));
        assert_eq!(resume(0, 0, 0), Some(0));
        assert_eq!(resume(4, 5, 9), Some(5));
        assert_eq!(resume(10, 5, 9), None);
    }
}
