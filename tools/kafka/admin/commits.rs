//! When groups committed last.
//!
//! No request returns it: `OffsetFetch` has offsets and no times. The coordinators write every commit to
//! the topic `__consumer_offsets`, where the time of the record is the time of the commit. `ListOffsets` finds where
//! the records since a time begin, so that only these are read.

use std::collections::HashMap;

use super::metadata::Metadata;
use super::offsets::{Isolation, OffsetQuery, OffsetSpec, offsets_over};
use super::primitives::PrimitiveReader;
use super::query_budget::QueryBudget;
use super::spans::{LogSpan, read_spans};
use crate::kafka::batch::RawRecord;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::Wire;

/// The topic to which coordinators write what their groups commit.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The times of the last commits, which the next look goes on from.
#[derive(Debug, Default)]
pub struct CommitTimes {
    /// Where reading goes on in each partition of the offsets topic.
    next_offsets: HashMap<i32, i64>,
    /// For each group the time of its last commit in each topic.
    last_ms: HashMap<String, HashMap<String, i64>>,
}

impl CommitTimes {
    /// When `group` committed last in `topic`, if it did within the time that was last read.
    pub fn last_ms(&self, group: &str, topic: &str) -> Option<i64> {
        self.last_ms.get(group)?.get(topic).copied()
    }

    /// Reads the commits since `since_ms` from these partitions of the offsets topic; returns which of them could not be
    /// read to their end, and why. Requires READ on that topic.
    pub fn update(
        &mut self,
        wire: &mut Wire<'_>,
        metadata: &Metadata,
        partitions: impl Iterator<Item = i32>,
        since_ms: i64,
        budget: &mut QueryBudget<'_>,
    ) -> Vec<(i32, KafkaError)> {
        for topics in self.last_ms.values_mut() {
            topics.retain(|_, last_ms| *last_ms >= since_ms);
        }
        self.last_ms.retain(|_, topics| !topics.is_empty());
        let mut failed = Vec::new();
        let spans = self.spans(wire, metadata, partitions, since_ms, budget, &mut failed);
        // Also what a transaction has not committed shows that the group is at work.
        let isolation = Isolation::ReadUncommitted;
        let mut take = |_: usize, record: &RawRecord<'_>| {
            // A record without a value says that the offset was deleted.
            if let (Some(key), Some(_)) = (record.key, record.value)
                && record.timestamp_ms >= since_ms
                && let Some((group, topic)) = group_and_topic(key)
            {
                self.note(group, topic, record.timestamp_ms);
            }
        };
        let answers = read_spans(wire, metadata, &spans, isolation, budget, &mut take);
        for (span, answer) in spans.into_iter().zip(answers) {
            match answer {
                Ok(()) => drop(self.next_offsets.insert(span.partition, span.until)),
                Err(error) => failed.push((span.partition, error)),
            }
        }
        failed
    }

    /// What there is to read.
    fn spans(
        &self,
        wire: &mut Wire<'_>,
        metadata: &Metadata,
        partitions: impl Iterator<Item = i32>,
        since_ms: i64,
        budget: &mut QueryBudget<'_>,
        failed: &mut Vec<(i32, KafkaError)>,
    ) -> Vec<LogSpan> {
        let question = |partition| {
            [OffsetSpec::Time(since_ms.max(0)), OffsetSpec::HighWatermark].map(|spec| OffsetQuery {
                topic: OFFSETS_TOPIC.to_owned(),
                partition,
                spec,
            })
        };
        let questions: Vec<OffsetQuery> = partitions.flat_map(question).collect();
        let isolation = Isolation::ReadUncommitted;
        let answers = offsets_over(wire, metadata, &questions, isolation, budget);
        let answers = answers.unwrap_or_else(|error| {
            let error = KafkaError::new(code::TRANSPORT, error.to_string());
            questions.iter().map(|_| Err(error.clone())).collect()
        });
        let mut spans = Vec::new();
        for (asked, found) in questions.chunks(2).zip(answers.chunks(2)) {
            let partition = asked[0].partition;
            let (since, end) = match (&found[0], &found[1]) {
                (Ok(since), Ok(end)) => (since.offset, end.offset.unwrap_or(0)),
                (Err(error), _) | (_, Err(error)) => {
                    failed.push((partition, error.clone()));
                    continue;
                }
            };
            let since = since.unwrap_or(end);
            let read = self.next_offsets.get(&partition).copied();
            // A log that ends before what was read was cut.
            let read = read.filter(|read| *read <= end).unwrap_or(0);
            spans.push(LogSpan {
                topic: OFFSETS_TOPIC.into(),
                partition,
                from: read.max(since),
                until: end,
            });
        }
        spans
    }

    fn note(&mut self, group: &str, topic: &str, time_ms: i64) {
        if let Some(topics) = self.last_ms.get_mut(group) {
            if let Some(last_ms) = topics.get_mut(topic) {
                *last_ms = time_ms.max(*last_ms);
            } else {
                topics.insert(topic.to_owned(), time_ms);
            }
        } else {
            let topics = HashMap::from([(topic.to_owned(), time_ms)]);
            self.last_ms.insert(group.to_owned(), topics);
        }
    }
}

/// The group and the topic of a commit's key (`OffsetCommitKey.json`); none for a record about something else.
fn group_and_topic(key: &[u8]) -> Option<(&str, &str)> {
    let mut key = PrimitiveReader(key);
    matches!(key.i16()?, 0 | 1).then_some(())?;
    let (group, topic) = (key.text()?, key.text()?);
    key.i32().map(|_partition| (group, topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keys_of_commits_name_a_group_and_a_topic() {
        let key = |version: u8| {
            [
                &[0, version, 0, 1],
                &b"g"[..],
                &[0, 2],
                b"to",
                &[0, 0, 0, 7],
            ]
            .concat()
        };
        assert_eq!(group_and_topic(&key(0)), Some(("g", "to")));
        assert_eq!(group_and_topic(&key(1)), Some(("g", "to")));
        // GroupMetadataKey, and those of the newer protocol.
        assert_eq!(group_and_topic(&key(2)), None);
        assert_eq!(group_and_topic(&key(3)), None);
        assert_eq!(group_and_topic(&key(1)[..10]), None);
    }

    #[test]
    fn the_last_commit_of_each_topic_counts() {
        let mut times = CommitTimes::default();
        for (group, topic, time_ms) in [("g", "a", 5), ("g", "a", 3), ("g", "b", 4), ("h", "a", 9)]
        {
            times.note(group, topic, time_ms);
        }
        assert_eq!(times.last_ms("g", "a"), Some(5));
        assert_eq!(times.last_ms("g", "b"), Some(4));
        assert_eq!(times.last_ms("h", "b"), None);
    }
}
