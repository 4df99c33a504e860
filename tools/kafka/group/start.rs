//! Where the partitions of an assignment are read from.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::begin::{begins_at_end, resume};
use super::{GroupError, Member, Positions};
use crate::ack::ReadStart;
use crate::kafka::admin::{OffsetQuery, OffsetSpec};
use crate::kafka::consume::Start;
use crate::kafka::fetch::StartPosition;
use crate::kafka::types::TopicPartition;

/// Where the partitions of an assignment are read from.
#[derive(Default)]
pub(super) struct StartOffsets {
    positions: HashMap<TopicPartition, StartPosition>,
    /// What is new to the group, with the offset where it begins: to be committed at once.
    pub(super) new: Positions,
}

impl StartOffsets {
    pub(super) fn start(&self, topic_partition: &TopicPartition) -> StartPosition {
        let known = self.positions.get(topic_partition).copied();
        known.unwrap_or(StartPosition::Reset)
    }

    fn set(&mut self, topic_partition: &TopicPartition, start: StartPosition) {
        self.positions.insert(topic_partition.clone(), start);
    }
}

impl Member {
    /// Settles where the partitions of an assignment are read from; `None` after a signal.
    pub(super) fn starts(
        &self,
        topic_partitions: &[TopicPartition],
    ) -> Result<Option<StartOffsets>, GroupError> {
        let mut starts = StartOffsets::default();
        let mut open = Vec::new();
        let mut tails = Vec::new();
        for topic_partition in topic_partitions {
            match self.overriding_start(topic_partition) {
                Some(Start::Beginning) => starts.set(topic_partition, StartPosition::Beginning),
                Some(Start::End) => starts.set(topic_partition, StartPosition::End),
                Some(Start::At(offset)) => starts.set(topic_partition, StartPosition::At(offset)),
                Some(Start::Tail(count)) => tails.push((topic_partition, count)),
                // Times are asked for elsewhere.
                None | Some(Start::Stored | Start::Time(_)) => open.push(topic_partition.clone()),
            }
        }
        if self.start_tails(&tails, &mut starts)?.is_none() {
            return Ok(None);
        }
        if open.is_empty() {
            return Ok(Some(starts));
        }
        let Some(committed) = self.ask_committed(&open, None)? else {
            return Ok(None);
        };
        if self.membership.is_reset_set {
            for (topic_partition, offset) in committed {
                if let Some(offset) = offset {
                    starts.set(&topic_partition, StartPosition::At(offset));
                }
            }
            return Ok(Some(starts));
        }
        let mut questions = Vec::new();
        for topic_partition in &open {
            let is_committed = committed.get(topic_partition).copied().flatten().is_some();
            let specs = if is_committed || !begins_at_end(&self.at_join, topic_partition) {
                &[OffsetSpec::Earliest, OffsetSpec::HighWatermark][..]
            } else {
                &[OffsetSpec::Latest][..]
            };
            let specs = specs.iter();
            questions.extend(specs.map(|spec| OffsetQuery::new(topic_partition, *spec)));
        }
        let Some(mut logs) = self.ask_logs(&questions)? else {
            return Ok(None);
        };
        let mut new_topics = BTreeSet::new();
        for topic_partition in &open {
            let log = logs.remove(topic_partition).unwrap_or_default();
            match committed.get(topic_partition).copied().flatten() {
                Some(offset) => self.resume_at_commit(topic_partition, offset, log, &mut starts)?,
                None => self.begin_new(topic_partition, log, &mut starts, &mut new_topics),
            }
        }
        for topic in new_topics {
            log::warn!(
                "group {} has no position in {topic}: it begins at the end, with what comes from now on \
                 (-X auto.offset.reset=earliest begins at the beginning)",
                self.membership.group
            );
        }
        Ok(Some(starts))
    }

    /// The last records of partitions; `None` after a signal.
    fn start_tails(
        &self,
        tails: &[(&TopicPartition, i64)],
        starts: &mut StartOffsets,
    ) -> Result<Option<()>, GroupError> {
        let specs = [OffsetSpec::Earliest, OffsetSpec::Latest];
        let questions = tails.iter().flat_map(|&(topic_partition, _)| {
            specs.map(|spec| OffsetQuery::new(topic_partition, spec))
        });
        let Some(logs) = self.ask_logs(&questions.collect::<Vec<_>>())? else {
            return Ok(None);
        };
        for &(topic_partition, count) in tails {
            let log = logs.get(topic_partition).copied().unwrap_or_default();
            let first = log.first.unwrap_or(0);
            let start = log.next.unwrap_or(0).saturating_sub(count).max(first);
            starts.set(topic_partition, StartPosition::At(start));
        }
        Ok(Some(()))
    }

    /// The log offsets that were asked for; `None` after a signal.
    fn ask_logs(
        &self,
        questions: &[OffsetQuery],
    ) -> Result<Option<BTreeMap<TopicPartition, Log>>, GroupError> {
        let Some(answers) = self.ask_offsets(questions, self.membership.isolation)? else {
            return Ok(None);
        };
        let mut logs: BTreeMap<TopicPartition, Log> = BTreeMap::new();
        for (question, answer) in questions.iter().zip(answers) {
            let topic_partition = (question.topic.clone(), question.partition);
            let log = logs.entry(topic_partition).or_default();
            match question.spec {
                OffsetSpec::Earliest => log.first = answer,
                _ => log.next = answer,
            }
        }
        Ok(Some(logs))
    }

    /// Where partitions that were just assigned are read from, and where their logs start, as far as that can be known.
    pub fn read_starts(&self, topic_partitions: &[TopicPartition]) -> Vec<ReadStart> {
        let may_begin_elsewhere = !matches!(
            self.membership.start,
            None | Some(Start::Stored | Start::Beginning)
        );
        let committed =
            self.ask_committed(topic_partitions, Some(self.handle.client.first_contact()));
        let committed = committed.ok().flatten().unwrap_or_default();
        let questions = topic_partitions
            .iter()
            .map(|topic_partition| OffsetQuery::new(topic_partition, OffsetSpec::Earliest));
        let questions: Vec<OffsetQuery> = questions.collect();
        let log_starts = self.ask_offsets(&questions, self.membership.isolation);
        let log_starts = log_starts.ok().flatten().unwrap_or_default();
        let reset = self.handle.client.property("auto.offset.reset");
        // A position whose records are deleted may go on at the end, too.
        let goes_on_at_start = !self.membership.is_reset_set
            || matches!(
                reset.as_deref(),
                Some("earliest" | "beginning" | "smallest")
            );
        let rows = topic_partitions.iter().zip(log_starts);
        let starts = rows.filter_map(|(topic_partition, log_start)| {
            let log_start = log_start?;
            let from = match committed.get(topic_partition).copied().flatten() {
                Some(offset) if offset >= log_start => Some(offset),
                _ => Some(log_start).filter(|_| goes_on_at_start),
            };
            Some(ReadStart {
                topic: topic_partition.0.clone(),
                partition: topic_partition.1,
                from: from.filter(|_| !may_begin_elsewhere),
                log_start,
            })
        });
        starts.collect()
    }

    /// How many partitions the topics had when this member joined.
    pub fn partition_counts(&self) -> Vec<(String, i32)> {
        let topics = self.at_join.iter();
        topics
            .map(|(topic, known)| (topic.clone(), known.partitions))
            .collect()
    }

    /// What `-o` says of a partition that is assigned for the first time.
    fn overriding_start(&self, topic_partition: &TopicPartition) -> Option<Start> {
        let is_first = !self.seen.contains(topic_partition);
        let start = self.membership.start.filter(|_| is_first)?;
        let known = self.at_join.get(&topic_partition.0);
        let is_younger = known.is_none_or(|known| topic_partition.1 >= known.partitions);
        Some(match start {
            // All of it came after this member joined.
            Start::End | Start::Tail(_) if is_younger => Start::Beginning,
            start => start,
        })
    }

    /// A partition with a commit goes on there, or at what is left.
    fn resume_at_commit(
        &self,
        topic_partition: &TopicPartition,
        committed: i64,
        log: Log,
        starts: &mut StartOffsets,
    ) -> Result<(), GroupError> {
        let (Some(first), Some(next)) = (log.first, log.next) else {
            starts.set(topic_partition, StartPosition::At(committed));
            return Ok(());
        };
        let group = &self.membership.group;
        let (topic, partition) = topic_partition;
        let Some(offset) = resume(committed, first, next) else {
            return Err(GroupError::BeyondEnd {
                group: group.clone(),
                topic: topic.clone(),
                partition: *partition,
                offset: committed,
                next,
            });
        };
        if offset > committed {
            let last = first - 1;
            log::warn!(
                "{topic} [{partition}]: records {committed} to {last} were deleted before group {group} had read them"
            );
        }
        starts.set(topic_partition, StartPosition::At(offset));
        Ok(())
    }

    /// A partition without a commit begins at its end, or at its beginning if it is younger than the group.
    fn begin_new(
        &self,
        topic_partition: &TopicPartition,
        log: Log,
        starts: &mut StartOffsets,
        new_topics: &mut BTreeSet<String>,
    ) {
        let (topic, partition) = topic_partition;
        let offset = if begins_at_end(&self.at_join, topic_partition) {
            if log.next.is_some_and(|next| next > 0) {
                new_topics.insert(topic.clone());
            }
            log.next
        } else {
            if log.first < log.next {
                let group = &self.membership.group;
                log::warn!(
                    "{topic} [{partition}]: was added after group {group} began; it is read from its beginning"
                );
            }
            log.first
        };
        if let Some(offset) = offset {
            starts.set(topic_partition, StartPosition::At(offset));
            starts.new.insert(topic_partition.clone(), offset);
        }
    }
}

/// The bounds of a partition's log, as far as they were asked for.
#[derive(Clone, Copy, Default)]
struct Log {
    first: Option<i64>,
    next: Option<i64>,
}
