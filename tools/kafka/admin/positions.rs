//! The positions of a group, changed by somebody who is not a member: the broker refuses that while there is one.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use kafka_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, GroupId, OffsetCommitRequest,
    OffsetDeleteRequest, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};

use super::create_topic::{check, topic_name};
use super::query_budget::ANY_VERSION;
use super::{GroupKind, QueryBudget, coordinators};
use crate::kafka::error::{KafkaError, code, is_coordinator_change};
use crate::kafka::wire::Wire;

/// What a group's position in a partition is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPosition {
    pub topic: String,
    pub partition: i32,
    /// `None` deletes it.
    pub offset: Option<i64>,
}

/// Which group, and what is stored with its positions.
pub struct PositionChange<'a> {
    pub group: &'a str,
    pub kind: GroupKind,
    /// The text beside each offset; share groups have none.
    pub metadata: &'a str,
    /// In all of `positions` or in none the offset is `None`.
    pub deletes: bool,
}

/// Up to v9 a topic has its name, then its id.
const COMMIT_VERSIONS: RangeInclusive<i16> = 2..=9;
/// The coordinator writes a request as one batch, which has to fit into `max.message.bytes` of its topic.
const BATCH_BYTES: usize = 500_000;
/// A position in that batch: names of the longest, and some numbers.
const POSITION_BYTES: usize = 600;

/// Changes `positions`, each of another partition; gives a result for each, in their order.
///
/// A coordinator that is moving is looked for again until the time is over. To change a position twice does no harm.
pub fn change_positions(
    wire: &mut Wire<'_>,
    change: &PositionChange<'_>,
    positions: &[NewPosition],
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<(), KafkaError>> {
    let unanswered = || Err(KafkaError::of(code::TIMED_OUT));
    let mut results: Vec<Result<(), KafkaError>> = positions.iter().map(|_| unanswered()).collect();
    let mut open: Vec<usize> = (0..positions.len()).collect();
    let most = BATCH_BYTES / (POSITION_BYTES + change.metadata.len());
    for attempt in 0.. {
        let found = coordinators(wire, &[change.group.to_owned()], budget);
        let coordinator = found
            .into_iter()
            .next()
            .unwrap_or(Err(KafkaError::of(code::TIMED_OUT)));
        for chunk in open.chunks(most.max(1)) {
            let chunk_positions: Vec<&NewPosition> = chunk.iter().map(|&i| &positions[i]).collect();
            let answer = coordinator.clone();
            let answer = answer.and_then(|id| change.ask(wire, id, &chunk_positions, budget));
            for &index in chunk {
                let position = &positions[index];
                results[index] = match &answer {
                    Ok(answer) => answer.of(position),
                    Err(error) => Err(error.clone()),
                };
            }
        }
        let is_moving = |result: &Result<(), KafkaError>| {
            result
                .as_ref()
                .is_err_and(|error| is_coordinator_change(error.code))
        };
        open.retain(|&index| is_moving(&results[index]));
        if open.is_empty() || !budget.pause_for_coordinator(attempt) {
            break;
        }
    }
    results
}

/// The broker's result for each partition; for all of a topic where the partition is `None`.
#[derive(Default)]
struct Answer(HashMap<(String, Option<i32>), Result<(), KafkaError>>);

impl Answer {
    fn add(
        &mut self,
        topic: &TopicName,
        partition: Option<i32>,
        code: i16,
        reason: Option<StrBytes>,
    ) {
        let key = (topic.to_string(), partition);
        self.0.insert(key, check(code, reason));
    }

    fn of(&self, position: &NewPosition) -> Result<(), KafkaError> {
        let result = |partition| self.0.get(&(position.topic.clone(), partition)).cloned();
        let result = result(Some(position.partition)).or_else(|| result(None));
        let missing = || {
            Err(KafkaError::new(
                code::BAD_MESSAGE,
                "the broker's answer has nothing about it",
            ))
        };
        result.unwrap_or_else(missing)
    }
}

impl PositionChange<'_> {
    fn ask(
        &self,
        wire: &mut Wire<'_>,
        coordinator: i32,
        positions: &[&NewPosition],
        budget: &mut QueryBudget<'_>,
    ) -> Result<Answer, KafkaError> {
        let mut topics: BTreeMap<&str, Vec<&NewPosition>> = BTreeMap::new();
        for position in positions {
            topics.entry(&position.topic).or_default().push(position);
        }
        let mut exchange = Exchange {
            wire,
            coordinator,
            budget,
        };
        match (self.kind, self.deletes) {
            (GroupKind::Share, false) => self.alter_share(topics, &mut exchange),
            (GroupKind::Share, true) => self.delete_share(topics, &mut exchange),
            (_, false) => self.commit(topics, &mut exchange),
            (_, true) => self.delete(topics, &mut exchange),
        }
    }

    fn group_id(&self) -> GroupId {
        GroupId(StrBytes::from_string(self.group.to_owned()))
    }

    fn commit(
        &self,
        topics: Topics<'_>,
        exchange: &mut Exchange<'_, '_, '_>,
    ) -> Result<Answer, KafkaError> {
        let metadata = StrBytes::from_string(self.metadata.to_owned());
        let topics = topics.into_iter().map(|(name, positions)| {
            let partitions = positions.into_iter().map(|position| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(position.partition)
                    .with_committed_offset(position.offset.unwrap_or(-1))
                    .with_committed_metadata(Some(metadata.clone()))
            });
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions.collect())
        });
        // Without a generation and a member it is an administrator's commit.
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics.collect());
        let mut answer = Answer::default();
        for topic in exchange.send(COMMIT_VERSIONS, request)?.topics {
            for row in topic.partitions {
                answer.add(&topic.name, Some(row.partition_index), row.error_code, None);
            }
        }
        Ok(answer)
    }

    fn delete(
        &self,
        topics: Topics<'_>,
        exchange: &mut Exchange<'_, '_, '_>,
    ) -> Result<Answer, KafkaError> {
        let topics = topics.into_iter().map(|(name, positions)| {
            let partitions = positions.into_iter().map(|position| {
                OffsetDeleteRequestPartition::default().with_partition_index(position.partition)
            });
            OffsetDeleteRequestTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions.collect())
        });
        let request = OffsetDeleteRequest::default()
            .with_group_id(self.group_id())
            .with_topics(topics.collect());
        let response = exchange.send(ANY_VERSION, request)?;
        check(response.error_code, None)?;
        let mut answer = Answer::default();
        for topic in response.topics {
            for row in topic.partitions {
                answer.add(&topic.name, Some(row.partition_index), row.error_code, None);
            }
        }
        Ok(answer)
    }

    fn alter_share(
        &self,
        topics: Topics<'_>,
        exchange: &mut Exchange<'_, '_, '_>,
    ) -> Result<Answer, KafkaError> {
        let topics = topics.into_iter().map(|(name, positions)| {
            let partitions = positions.into_iter().map(|position| {
                AlterShareGroupOffsetsRequestPartition::default()
                    .with_partition_index(position.partition)
                    .with_start_offset(position.offset.unwrap_or(-1))
            });
            AlterShareGroupOffsetsRequestTopic::default()
                .with_topic_name(topic_name(name))
                .with_partitions(partitions.collect())
        });
        let request = AlterShareGroupOffsetsRequest::default()
            .with_group_id(self.group_id())
            .with_topics(topics.collect());
        let response = exchange.send(ANY_VERSION, request)?;
        check(response.error_code, response.error_message)?;
        let mut answer = Answer::default();
        for topic in response.responses {
            for row in topic.partitions {
                let (id, code) = (row.partition_index, row.error_code);
                answer.add(&topic.topic_name, Some(id), code, row.error_message);
            }
        }
        Ok(answer)
    }

    /// All partitions of the topics.
    fn delete_share(
        &self,
        topics: Topics<'_>,
        exchange: &mut Exchange<'_, '_, '_>,
    ) -> Result<Answer, KafkaError> {
        let topics = topics.into_keys().map(|name| {
            DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic_name(name))
        });
        let request = DeleteShareGroupOffsetsRequest::default()
            .with_group_id(self.group_id())
            .with_topics(topics.collect());
        let response = exchange.send(ANY_VERSION, request)?;
        check(response.error_code, response.error_message)?;
        let mut answer = Answer::default();
        for topic in response.responses {
            answer.add(
                &topic.topic_name,
                None,
                topic.error_code,
                topic.error_message,
            );
        }
        Ok(answer)
    }
}

type Topics<'a> = BTreeMap<&'a str, Vec<&'a NewPosition>>;

/// One request to the coordinator.
struct Exchange<'e, 'w, 'b> {
    wire: &'e mut Wire<'w>,
    coordinator: i32,
    budget: &'e mut QueryBudget<'b>,
}

impl Exchange<'_, '_, '_> {
    fn send<R: Request + Clone + 'static>(
        &mut self,
        versions: RangeInclusive<i16>,
        request: R,
    ) -> Result<R::Response, KafkaError> {
        let requests = vec![(self.coordinator, move |_| request)];
        let answers = self.budget.fan_out::<R, _>(self.wire, &versions, requests);
        let answer = answers.into_iter().next();
        answer.unwrap_or_else(|| Err(KafkaError::of(code::TIMED_OUT)))
    }
}
