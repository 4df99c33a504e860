//! Where the partitions of an assignment are read from.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::begin::{Begin, LogPosition, begin, log_position};
use super::{GroupError, Member, Positions};
use crate::ack::ReadStart;
use crate::kafka::cluster::{OffsetQuery, OffsetSpec};
use crate::kafka::consume::Start;
use crate::kafka::ffi;
use crate::kafka::types::TopicPartition;

/// Where partitions are read from that do not go on at what is committed.
#[derive(Default)]
pub(super) struct StartOffsets {
    /// An offset, or one of librdkafka's names for one.
    pub(super) offsets: HashMap<TopicPartition, i64>,
    /// What is new to the group, with the offset where it begins: to be committed at once.
    pub(super) new: Positions,
}

impl Member {
    /// Settles where the partitions of an assignment are read from; `None` after a signal.
    pub(super) fn starts(
        &self,
        places: &[TopicPartition],
    ) -> Result<Option<StartOffsets>, GroupError> {
        let mut starts = StartOffsets::default();
        let mut open = Vec::new();
        for place in places {
            match self.overriding_start(place) {
                Some(offset) => drop(starts.offsets.insert(place.clone(), offset)),
                None => open.push(place.clone()),
            }
        }
        if open.is_empty() || self.membership.is_reset_set {
            return Ok(Some(starts));
        }
        let Some(committed) = self.ask_committed(&open, None)? else {
            return Ok(None);
        };
        let mut questions = Vec::new();
        let mut ask = |place: &TopicPartition, spec| {
            let (topic, partition) = place.clone();
            questions.push(OffsetQuery {
                topic,
                partition,
                spec,
            });
        };
        for place in &open {
            let is_committed = committed.get(place).copied().flatten().is_some();
            match begin(&self.at_join, &place.0, place.1) {
                Begin::End if !is_committed => ask(place, OffsetSpec::Latest),
                _ => {
                    ask(place, OffsetSpec::Earliest);
                    ask(place, OffsetSpec::HighWatermark);
                }
            }
        }
        let Some(answers) = self.ask_offsets(&questions, self.membership.isolation)? else {
            return Ok(None);
        };
        let mut log: BTreeMap<TopicPartition, Log> = BTreeMap::new();
        for (question, answer) in questions.iter().zip(answers) {
            let place = (question.topic.clone(), question.partition);
            let log = log.entry(place).or_default();
            match question.spec {
                OffsetSpec::Earliest => log.first = answer,
                _ => log.next = answer,
            }
        }
        let mut new_topics = BTreeSet::new();
        for place in &open {
            let log = log.remove(place).unwrap_or_default();
            match committed.get(place).copied().flatten() {
                Some(offset) => self.resume_at_commit(place, offset, log, &mut starts)?,
                None => self.begin_new(place, log, &mut starts, &mut new_topics),
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

    /// Where partitions that were just assigned are read from, and where their logs start, as far as that can be known.
    pub fn read_starts(&self, places: &[TopicPartition]) -> Vec<ReadStart> {
        let may_begin_elsewhere = !matches!(
            self.membership.start,
            None | Some(Start::Stored | Start::Beginning)
        );
        let committed = self.ask_committed(places, Some(self.handle.client.first_contact()));
        let committed = committed.ok().flatten().unwrap_or_default();
        let question = |(topic, partition): &TopicPartition| OffsetQuery {
            topic: topic.clone(),
            partition: *partition,
            spec: OffsetSpec::Earliest,
        };
        let questions: Vec<OffsetQuery> = places.iter().map(question).collect();
        let log_starts = self.ask_offsets(&questions, self.membership.isolation);
        let log_starts = log_starts.ok().flatten().unwrap_or_default();
        let reset = self.handle.client.property("auto.offset.reset");
        // A position whose records are deleted may go on at the end, too.
        let goes_on_at_start = !self.membership.is_reset_set
            || matches!(
                reset.as_deref(),
                Some("earliest" | "beginning" | "smallest")
            );
        let rows = places.iter().zip(log_starts);
        let starts = rows.filter_map(|(place, log_start)| {
            let log_start = log_start?;
            let from = match committed.get(place).copied().flatten() {
                Some(offset) if offset >= log_start => Some(offset),
                _ => Some(log_start).filter(|_| goes_on_at_start),
            };
            Some(ReadStart {
                topic: place.0.clone(),
                partition: place.1,
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
    fn overriding_start(&self, place: &TopicPartition) -> Option<i64> {
        let start = self.membership.start?;
        if self.seen.contains(place) {
            return None;
        }
        let is_younger = self
            .at_join
            .get(&place.0)
            .is_none_or(|known| place.1 >= known.partitions);
        Some(match start {
            // All of it came after this member joined.
            Start::End | Start::Tail(_) if is_younger => ffi::RD_KAFKA_OFFSET_BEGINNING.into(),
            Start::Beginning => ffi::RD_KAFKA_OFFSET_BEGINNING.into(),
            Start::End => ffi::RD_KAFKA_OFFSET_END.into(),
            Start::At(offset) => offset,
            Start::Tail(count) => i64::from(ffi::RD_KAFKA_OFFSET_TAIL_BASE) - count,
            // Times are asked for elsewhere.
            Start::Stored | Start::Time(_) => return None,
        })
    }

    /// A partition with a commit goes on there, or at what is left.
    fn resume_at_commit(
        &self,
        place: &TopicPartition,
        committed: i64,
        log: Log,
        starts: &mut StartOffsets,
    ) -> Result<(), GroupError> {
        let (Some(first), Some(next)) = (log.first, log.next) else {
            return Ok(());
        };
        match log_position(committed, first, next) {
            LogPosition::Inside => Ok(()),
            LogPosition::Below => {
                log::warn!(
                    "{} [{}]: records {committed} to {} were deleted before group {} had read them",
                    place.0,
                    place.1,
                    first - 1,
                    self.membership.group
                );
                starts.offsets.insert(place.clone(), first);
                Ok(())
            }
            LogPosition::Above => Err(GroupError::BeyondEnd {
                group: self.membership.group.clone(),
                topic: place.0.clone(),
                partition: place.1,
                offset: committed,
                next,
            }),
        }
    }

    /// A partition without a commit begins at its end, or at its beginning if it is younger than the group.
    fn begin_new(
        &self,
        place: &TopicPartition,
        log: Log,
        starts: &mut StartOffsets,
        new_topics: &mut BTreeSet<String>,
    ) {
        let offset = match begin(&self.at_join, &place.0, place.1) {
            Begin::End => {
                if log.next.is_some_and(|next| next > 0) {
                    new_topics.insert(place.0.clone());
                }
                log.next
            }
            Begin::Beginning => {
                if log.first < log.next {
                    log::warn!(
                        "{} [{}]: was added after group {} began; it is read from its beginning",
                        place.0,
                        place.1,
                        self.membership.group
                    );
                }
                log.first
            }
        };
        if let Some(offset) = offset {
            starts.offsets.insert(place.clone(), offset);
            starts.new.insert(place.clone(), offset);
        }
    }
}

/// The bounds of a partition's log, as far as they were asked for.
#[derive(Clone, Copy, Default)]
struct Log {
    first: Option<i64>,
    next: Option<i64>,
}
