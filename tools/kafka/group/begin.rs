//! Where a member begins to read a partition when the user does not say it.
//!
//! A partition that the group has a commit for goes on there. Without one the
//! question is whether the partition existed when the group began: if it did
//! not, none of its records has been read, and it is read from its beginning;
//! if it did, the group is new to it and begins at its end. A member that
//! begins at an end commits that position at once, so that afterwards a
//! partition without a commit is one that was added.

use std::collections::BTreeMap;

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

/// Where a partition without a commit is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// It was added after the group began.
    Beginning,
    /// The group is new to its topic.
    End,
}

/// Where a partition without a commit begins.
pub(super) fn begin(topics: &TopicsAtJoin, topic: &str, partition: i32) -> Begin {
    match topics.get(topic) {
        Some(known) if !known.has_commits && partition < known.partitions => Begin::End,
        // The topic or the partition is younger than this member, or the group has read others of the topic before.
        _ => Begin::Beginning,
    }
}

/// How a committed position lies to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogPosition {
    /// It can be read from.
    Inside,
    /// Records between it and the log's start are gone.
    Below,
    /// The log ends before it.
    Above,
}

/// Where `committed` lies to a log of offsets from `first` to before `next`.
pub(super) fn log_position(committed: i64, first: i64, next: i64) -> LogPosition {
    if committed < first {
        LogPosition::Below
    } else if committed > next {
        LogPosition::Above
    } else {
        LogPosition::Inside
    }
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

    #[test]
    fn a_new_group_begins_at_the_end_of_what_was_there_when_it_joined() {
        let new = topics(2, false);
        assert_eq!(begin(&new, "t", 0), Begin::End);
        assert_eq!(begin(&new, "t", 1), Begin::End);
        // It was added while the member ran.
        assert_eq!(begin(&new, "t", 2), Begin::Beginning);
    }

    #[test]
    fn a_group_with_commits_reads_what_was_added_from_its_beginning() {
        let old = topics(3, true);
        for partition in [0, 2, 3] {
            assert_eq!(begin(&old, "t", partition), Begin::Beginning);
        }
    }

    #[test]
    fn a_topic_that_is_younger_than_the_member_is_read_from_its_beginning() {
        assert_eq!(begin(&topics(2, false), "u", 0), Begin::Beginning);
    }

    #[test]
    fn both_ends_of_the_log_can_be_read_from() {
        assert_eq!(log_position(5, 5, 9), LogPosition::Inside);
        assert_eq!(log_position(9, 5, 9), LogPosition::Inside);
        assert_eq!(log_position(0, 0, 0), LogPosition::Inside);
        assert_eq!(log_position(4, 5, 9), LogPosition::Below);
        assert_eq!(log_position(10, 5, 9), LogPosition::Above);
    }
}
