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

use super::create_topic::check;
use super::metadata::topic_name;
use super::query_budget::ANY_VERSION;
use super::{GroupKind, QueryBudget, coordinators};
use crate::kafka::error::{KafkaError, code, is_connection_failure, is_coordinator_change};
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
/// `TIMED_OUT_QUEUE` is the error of a position that no broker was asked to change; after every other failure of a
/// connection it may be changed.
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
            .unwrap_or(Err(KafkaError::of(code::TIMED_OUT)))
            .map_err(unsent);
        for chunk in open.chunks(most.max(1)) {
            let chunk_positions: Vec<&NewPosition> = chunk.iter().map(|&i| &positions[i]).collect();
            let answer = coordinator.clone().and_then(|coordinator| {
                if let Some(error) = budget.unresponsive().get(&coordinator) {
                    return Err(unsent(error.clone()));
                }
                let mut exchange = Exchange {
                    change,
                    coordinator,
                    wire: &mut *wire,
                    budget: &mut *budget,
                };
                exchange.request(&chunk_positions)
            });
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

/// A failed connection as the reason for which a request was not sent.
fn unsent(mut error: KafkaError) -> KafkaError {
    if is_connection_failure(error.code) {
        error.code = code::TIMED_OUT_QUEUE;
    }
    error
}

/// The broker's result for each partition; for all of a topic where the partition is `None`.
struct Answer(HashMap<(String, Option<i32>), Result<(), KafkaError>>);

impl Answer {
    /// `partitions_of` gives a topic's name and partitions, `row` a partition's number, error code and reason.
    fn of_partitions<T, P>(
        topics: &[T],
        partitions_of: impl Fn(&T) -> (&TopicName, &[P]),
        row: impl Fn(&P) -> (i32, i16, Option<StrBytes>),
    ) -> Answer {
        let mut results = HashMap::new();
        for topic in topics {
            let (name, partitions) = partitions_of(topic);
            for (partition, code, reason) in partitions.iter().map(&row) {
                results.insert((name.to_string(), Some(partition)), check(code, reason));
            }
        }
        Answer(results)
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

/// Requests to the coordinator.
struct Exchange<'e, 'w, 'b> {
    change: &'e PositionChange<'e>,
    coordinator: i32,
    wire: &'e mut Wire<'w>,
    budget: &'e mut QueryBudget<'b>,
}

impl Exchange<'_, '_, '_> {
    fn request(&mut self, positions: &[&NewPosition]) -> Result<Answer, KafkaError> {
        match (self.change.kind, self.change.deletes) {
            (GroupKind::Share, false) => self.alter_share(positions),
            (GroupKind::Share, true) => self.delete_share(positions),
            (_, false) => self.commit(positions),
            (_, true) => self.delete(positions),
        }
    }

    fn group_id(&self) -> GroupId {
        GroupId(StrBytes::from_string(self.change.group.to_owned()))
    }

    fn commit(&mut self, positions: &[&NewPosition]) -> Result<Answer, KafkaError> {
        let metadata = StrBytes::from_string(self.change.metadata.to_owned());
        let partition = |position: &NewPosition| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(position.partition)
                .with_committed_offset(position.offset.unwrap_or(-1))
                .with_committed_metadata(Some(metadata.clone()))
        };
        let topic = |name, partitions| {
            OffsetCommitRequestTopic::default()
                .with_name(name)
                .with_partitions(partitions)
        };
        // Without a generation and a member it is an administrator's commit.
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(by_topic(positions, partition, topic));
        let response = self.send(COMMIT_VERSIONS, request)?;
        Ok(Answer::of_partitions(
            &response.topics,
            |topic| (&topic.name, &topic.partitions),
            |row| (row.partition_index, row.error_code, None),
        ))
    }

    fn delete(&mut self, positions: &[&NewPosition]) -> Result<Answer, KafkaError> {
        let partition = |position: &NewPosition| {
            OffsetDeleteRequestPartition::default().with_partition_index(position.partition)
        };
        let topic = |name, partitions| {
            OffsetDeleteRequestTopic::default()
                .with_name(name)
                .with_partitions(partitions)
        };
        let request = OffsetDeleteRequest::default()
            .with_group_id(self.group_id())
            .with_topics(by_topic(positions, partition, topic));
        let response = self.send(ANY_VERSION, request)?;
        check(response.error_code, None)?;
        Ok(Answer::of_partitions(
            &response.topics,
            |topic| (&topic.name, &topic.partitions),
            |row| (row.partition_index, row.error_code, None),
        ))
    }

    fn alter_share(&mut self, positions: &[&NewPosition]) -> Result<Answer, KafkaError> {
        let partition = |position: &NewPosition| {
            AlterShareGroupOffsetsRequestPartition::default()
                .with_partition_index(position.partition)
                .with_start_offset(position.offset.unwrap_or(-1))
        };
        let topic = |name, partitions| {
            AlterShareGroupOffsetsRequestTopic::default()
                .with_topic_name(name)
                .with_partitions(partitions)
        };
        let request = AlterShareGroupOffsetsRequest::default()
            .with_group_id(self.group_id())
            .with_topics(by_topic(positions, partition, topic));
        let response = self.send(ANY_VERSION, request)?;
        check(response.error_code, response.error_message)?;
        Ok(Answer::of_partitions(
            &response.responses,
            |topic| (&topic.topic_name, &topic.partitions),
            |row| {
                let reason = row.error_message.clone();
                (row.partition_index, row.error_code, reason)
            },
        ))
    }

    /// All partitions of the topics.
    fn delete_share(&mut self, positions: &[&NewPosition]) -> Result<Answer, KafkaError> {
        let topic =
            |name, _: Vec<()>| DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(name);
        let request = DeleteShareGroupOffsetsRequest::default()
            .with_group_id(self.group_id())
            .with_topics(by_topic(positions, |_| (), topic));
        let response = self.send(ANY_VERSION, request)?;
        check(response.error_code, response.error_message)?;
        let results = response.responses.into_iter().map(|topic| {
            let result = check(topic.error_code, topic.error_message);
            ((topic.topic_name.to_string(), None), result)
        });
        Ok(Answer(results.collect()))
    }

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

/// The topics of a request, each of its name and its partitions.
fn by_topic<P, T>(
    positions: &[&NewPosition],
    partition: impl Fn(&NewPosition) -> P,
    topic: impl Fn(TopicName, Vec<P>) -> T,
) -> Vec<T> {
    let mut topics: BTreeMap<&str, Vec<P>> = BTreeMap::new();
    for position in positions {
        let partitions = topics.entry(&position.topic).or_default();
        partitions.push(partition(position));
    }
    let topics = topics.into_iter();
    topics
        .map(|(name, partitions)| topic(topic_name(name), partitions))
        .collect()
}
