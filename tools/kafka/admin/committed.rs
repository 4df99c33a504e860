//! The offsets that groups have committed: many groups in one request to each coordinator.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::groups::{GROUPS_A_REQUEST, chunks_by_broker, coordinators, not_in_answer};
use super::metadata::Metadata;
use super::query_budget::QueryBudget;
use crate::kafka::error::{KafkaError, code, is_coordinator_change};
use crate::kafka::wire::Wire;

/// What a group has committed in one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicCommits {
    /// The topic's name, shared by all groups.
    pub topic: Arc<str>,
    /// Each partition's number and offset.
    pub partitions: Vec<(i32, Result<i64, KafkaError>)>,
}

/// From this version on a request names many groups (KIP-709).
const MANY_GROUPS: i16 = 8;
/// From this version on it may name no topic, which means all of them.
const ALL_TOPICS: i16 = 2;

/// A topic's name with each partition's number, offset and error code.
type AnsweredTopic = (TopicName, Vec<(i32, i64, i16)>);
type Answers = Vec<Option<Result<Vec<TopicCommits>, KafkaError>>>;

/// What each of `groups` has committed, by its name and its coordinator; in their order.
///
/// Partitions without a commit are left out. A group whose coordinator has
/// just moved is looked for and asked again. `metadata` is only for the mock
/// cluster, which does not say what it has unless each partition is named.
pub fn committed(
    wire: &mut Wire<'_>,
    groups: &[(&str, i32)],
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Vec<TopicCommits>, KafkaError>> {
    let named = metadata.is_mock().then(|| topics_of(metadata));
    let mut query = CommittedQuery {
        groups,
        named,
        brokers: groups.iter().map(|(_, broker)| *broker).collect(),
        answers: groups.iter().map(|_| None).collect(),
        topics: HashSet::new(),
    };
    let mut open: Vec<usize> = (0..groups.len()).collect();
    let mut old_brokers: HashSet<i32> = HashSet::new();
    for attempt in 0.. {
        query.ask(wire, &open, &mut old_brokers, budget);
        open.retain(|&index| query.wants_asking(index));
        if open.is_empty() || !budget.pause_for_coordinator(attempt) {
            break;
        }
        query.find_again(wire, &open, budget);
    }
    let answers = query.answers.into_iter().zip(groups);
    answers
        .map(|(answer, (name, _))| answer.unwrap_or_else(|| Err(not_in_answer(name))))
        .collect()
}

struct CommittedQuery<'a> {
    groups: &'a [(&'a str, i32)],
    /// The partitions to ask for; `None` is all that have a commit.
    named: Option<Vec<OffsetFetchRequestTopic>>,
    brokers: Vec<i32>,
    answers: Answers,
    /// Every topic's name once.
    topics: HashSet<Arc<str>>,
}

impl CommittedQuery<'_> {
    /// Asks for the groups of `open`: many together, or one by one where a broker knows no better.
    fn ask(
        &mut self,
        wire: &mut Wire<'_>,
        open: &[usize],
        old_brokers: &mut HashSet<i32>,
        budget: &mut QueryBudget<'_>,
    ) {
        let names_all = self.named.is_some();
        let is_old = |index: &usize| names_all || old_brokers.contains(&self.brokers[*index]);
        let (single, together): (Vec<usize>, Vec<usize>) = open.iter().partition(|i| is_old(i));
        let mut again = Vec::new();
        for (indices, size, versions) in [
            (together, GROUPS_A_REQUEST, MANY_GROUPS..=i16::MAX),
            (single, 1, ALL_TOPICS..=MANY_GROUPS - 1),
        ] {
            let coordinators = indices.iter().map(|&index| (index, self.brokers[index]));
            let chunks = chunks_by_broker(coordinators, size);
            let requests = chunks.iter().map(|(broker, chunk)| {
                let name = |&index: &usize| StrBytes::from_string(self.groups[index].0.to_owned());
                let names: Vec<GroupId> = chunk.iter().map(|i| name(i).into()).collect();
                let topics = self.named.clone();
                (*broker, move |version| request(names, topics, version))
            });
            let requests = requests.collect();
            let replies = budget.fan_out::<OffsetFetchRequest, _>(wire, &versions, requests);
            for ((broker, chunk), reply) in chunks.into_iter().zip(replies) {
                match reply {
                    Ok(reply) => self.take(&chunk, reply),
                    Err(error) if size > 1 && error.code == code::UNSUPPORTED_FEATURE => {
                        old_brokers.insert(broker);
                        again.extend(chunk);
                    }
                    Err(error) => {
                        for index in chunk {
                            self.answers[index] = Some(Err(error.clone()));
                        }
                    }
                }
            }
        }
        if !again.is_empty() {
            self.ask(wire, &again, old_brokers, budget);
        }
    }

    fn take(&mut self, chunk: &[usize], reply: OffsetFetchResponse) {
        if let (&[index], true) = (chunk, reply.groups.is_empty()) {
            let topics = reply.topics.into_iter().map(|topic| {
                let partitions = topic.partitions.into_iter().map(|partition| {
                    let offset = partition.committed_offset;
                    (partition.partition_index, offset, partition.error_code)
                });
                (topic.name, partitions.collect())
            });
            let topics: Vec<_> = topics.collect();
            let taken = KafkaError::check(reply.error_code).map(|()| self.commits(topics));
            self.answers[index] = Some(taken);
            return;
        }
        let index_of_group: HashMap<&str, usize> =
            chunk.iter().map(|&i| (self.groups[i].0, i)).collect();
        for group in reply.groups {
            let Some(&index) = index_of_group.get(group.group_id.as_str()) else {
                continue;
            };
            let topics = group.topics.into_iter().map(|topic| {
                let partitions = topic.partitions.into_iter().map(|partition| {
                    let offset = partition.committed_offset;
                    (partition.partition_index, offset, partition.error_code)
                });
                (topic.name, partitions.collect())
            });
            let topics: Vec<_> = topics.collect();
            let taken = KafkaError::check(group.error_code).map(|()| self.commits(topics));
            self.answers[index] = Some(taken);
        }
    }

    fn commits(&mut self, topics: Vec<AnsweredTopic>) -> Vec<TopicCommits> {
        let mut commits = Vec::with_capacity(topics.len());
        for (name, partitions) in topics {
            let partitions: Vec<_> = partitions
                .into_iter()
                .filter(|(_, offset, error)| *offset >= 0 || *error != 0)
                .map(|(id, offset, error)| (id, KafkaError::check(error).map(|()| offset)))
                .collect();
            if !partitions.is_empty() {
                let topic = self.intern(&name);
                commits.push(TopicCommits { topic, partitions });
            }
        }
        commits
    }

    fn intern(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.topics.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.topics.insert(Arc::clone(&name));
        name
    }

    fn wants_asking(&self, index: usize) -> bool {
        matches!(&self.answers[index], Some(Err(error)) if is_coordinator_change(error.code))
    }

    fn find_again(&mut self, wire: &mut Wire<'_>, open: &[usize], budget: &mut QueryBudget<'_>) {
        let names: Vec<String> = open.iter().map(|&i| self.groups[i].0.to_owned()).collect();
        for (&index, found) in open.iter().zip(coordinators(wire, &names, budget)) {
            if let Ok(broker) = found {
                self.brokers[index] = broker;
            }
        }
    }
}

fn request(
    groups: Vec<GroupId>,
    named: Option<Vec<OffsetFetchRequestTopic>>,
    version: i16,
) -> OffsetFetchRequest {
    if version < MANY_GROUPS {
        let first = groups.into_iter().next().unwrap_or_default();
        let request = OffsetFetchRequest::default().with_group_id(first);
        return request.with_topics(named);
    }
    let groups = groups.into_iter().map(|id| {
        let group = OffsetFetchRequestGroup::default().with_group_id(id);
        group.with_topics(None)
    });
    OffsetFetchRequest::default().with_groups(groups.collect())
}

/// Every partition that there is.
fn topics_of(metadata: &Metadata) -> Vec<OffsetFetchRequestTopic> {
    let topics = metadata.topics.iter().map(|topic| {
        let name = StrBytes::from_string(topic.name.clone());
        OffsetFetchRequestTopic::default()
            .with_name(name.into())
            .with_partition_indexes(topic.partitions.iter().map(|p| p.id).collect())
    });
    topics.collect()
}
