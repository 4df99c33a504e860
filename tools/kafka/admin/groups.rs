//! The groups of a cluster: which there are, and who coordinates them.
//!
//! Every broker lists the groups that it coordinates (`ListGroups`), so only a
//! group that was named and is not listed has to be looked for (`FindCoordinator`).

use std::collections::HashMap;

use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::find_coordinator_response::FindCoordinatorResponse;
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::protocol::StrBytes;

use super::query_budget::{ANY_VERSION, QueryBudget};
use crate::kafka::error::{KafkaError, code, is_coordinator_change};
use crate::kafka::wire::{Target, Wire};

/// With so many names each of 50 partitions, Kafka's default, has one but for one time in 500.
const NAMES_OF_ALL_PARTITIONS: u32 = 500;

/// A group's type, which says what can be asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// Members agree among themselves; also a group that only commits.
    Classic,
    /// The broker assigns (KIP-848).
    Consumer,
    /// Members share partitions and acknowledge record by record (KIP-932).
    Share,
    /// Kafka Streams with the broker's assignment (KIP-1071).
    Streams,
}

impl GroupKind {
    pub(super) const ALL: [GroupKind; 4] = [
        GroupKind::Classic,
        GroupKind::Consumer,
        GroupKind::Share,
        GroupKind::Streams,
    ];

    /// The name that the protocol has for it.
    pub fn name(self) -> &'static str {
        match self {
            GroupKind::Classic => "classic",
            GroupKind::Consumer => "consumer",
            GroupKind::Share => "share",
            GroupKind::Streams => "streams",
        }
    }

    /// By what the broker calls it, which brokers before 3.8 don't; then it is a classic one.
    fn of(name: &str) -> GroupKind {
        match name.to_ascii_lowercase().as_str() {
            "consumer" => GroupKind::Consumer,
            "share" => GroupKind::Share,
            "streams" => GroupKind::Streams,
            _ => GroupKind::Classic,
        }
    }
}

/// A group as the broker that coordinates it lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    pub name: String,
    pub kind: GroupKind,
    /// Its state in the broker's words; brokers before 2.6 don't report it.
    pub state: Option<String>,
    /// Who lists it.
    pub coordinator: i32,
    /// Whether its members are consumers: not so for workers of Kafka Connect and the like, which commit nothing.
    pub reads_topics: bool,
}

/// All groups that could be listed.
#[derive(Clone, Debug, Default)]
pub struct ListGroupsResult {
    pub groups: Vec<GroupListing>,
    /// The brokers that did not answer, and why.
    pub errors: Vec<(i32, KafkaError)>,
}

/// Asks `brokers` for their groups.
pub fn list_groups(
    wire: &mut Wire<'_>,
    brokers: &[i32],
    budget: &mut QueryBudget<'_>,
) -> ListGroupsResult {
    let mut listing = ListGroupsResult::default();
    let mut open = brokers.to_vec();
    for attempt in 0.. {
        listing.errors.retain(|(broker, _)| !open.contains(broker));
        let requests = open.iter();
        let requests = requests.map(|&id| (id, |_| ListGroupsRequest::default()));
        let requests = requests.collect();
        let answers = budget.fan_out::<ListGroupsRequest, _>(wire, &ANY_VERSION, requests);
        let mut loading = Vec::new();
        for (&broker, answer) in open.iter().zip(answers) {
            match answer
                .and_then(|answer| KafkaError::check(answer.error_code).map(|()| answer.groups))
            {
                Ok(groups) => listing
                    .groups
                    .extend(groups.into_iter().map(|group| listed(&group, broker))),
                Err(error) => {
                    loading.extend(is_coordinator_change(error.code).then_some(broker));
                    listing.errors.push((broker, error));
                }
            }
        }
        open = loading;
        if open.is_empty() || !budget.pause_for_coordinator(attempt) {
            break;
        }
    }
    listing.groups.sort_by(|a, b| a.name.cmp(&b.name));
    // A coordinator that moves may be listed by both brokers for a moment.
    listing.groups.dedup_by(|a, b| a.name == b.name);
    listing
}

fn listed(group: &ListedGroup, coordinator: i32) -> GroupListing {
    let state = group.group_state.to_string();
    // A group that only commits has no protocol.
    let reads_topics = matches!(
        group.protocol_type.as_str(),
        "" | "consumer" | "share" | "streams"
    );
    GroupListing {
        name: group.group_id.to_string(),
        kind: GroupKind::of(&group.group_type),
        state: (!state.is_empty()).then_some(state),
        coordinator,
        reads_topics,
    }
}

/// The coordinators of `groups`, in their order.
pub fn coordinators(
    wire: &mut Wire<'_>,
    groups: &[String],
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<i32, KafkaError>> {
    let mut answers: Vec<Result<i32, KafkaError>> = groups
        .iter()
        .map(|_| Err(KafkaError::of(code::TIMED_OUT)))
        .collect();
    let mut open: Vec<usize> = (0..groups.len()).collect();
    for attempt in 0.. {
        let requests = open.iter().map(|&index| {
            let name = groups[index].clone();
            move |version| find_coordinator(CoordinatorType::Group, &name, version)
        });
        let replies = if let Some(broker) = budget.any() {
            let requests = requests.map(|build| (broker, build));
            let requests = requests.collect();
            budget.fan_out::<FindCoordinatorRequest, _>(wire, &ANY_VERSION, requests)
        } else {
            let requests = requests.map(|build| (Target::Any, ANY_VERSION, build));
            let deadline = budget.deadline();
            wire.fan_out::<FindCoordinatorRequest, _>(requests, deadline, budget.interrupted())
        };
        for (&index, reply) in open.iter().zip(replies) {
            answers[index] = reply.and_then(|reply| coordinator_of(&reply));
        }
        let has_others = budget.any().is_some();
        open.retain(|&index| {
            is_coordinator_moving(&answers[index]) || is_broken(&answers[index], has_others)
        });
        if open.is_empty() || !budget.pause_for_coordinator(attempt) {
            break;
        }
    }
    answers
}

/// Whether a coordinator is gone that would list groups whose names begin with `prefix`.
///
/// A broker lists only what it coordinates, and who may not describe __consumer_offsets does not see that a partition of it
/// has no leader. So many names, of groups that need not exist, are spread over all of its partitions.
///
/// # Errors
/// Also that the brokers, those before Kafka 3.0, take only one name in a request (KIP-699).
pub fn lacks_coordinator(
    wire: &mut Wire<'_>,
    prefix: &str,
    budget: &mut QueryBudget<'_>,
) -> Result<bool, KafkaError> {
    let names = (0..NAMES_OF_ALL_PARTITIONS)
        .map(|number| StrBytes::from_string(format!("{prefix}{number}")))
        .collect();
    let build = move |_: i16| {
        FindCoordinatorRequest::default()
            .with_key_type(CoordinatorType::Group as i8)
            .with_coordinator_keys(names)
    };
    let answer = budget.ask_any::<FindCoordinatorRequest, _>(wire, &(4..=i16::MAX), &build)?;
    let is_gone = |one: i16| i32::from(one) == code::COORDINATOR_NOT_AVAILABLE;
    Ok(answer
        .coordinators
        .iter()
        .any(|one| is_gone(one.error_code)))
}

/// Has `ask` ask for `groups`, by name and coordinator, and again for those whose coordinator is moving, until the time is
/// over. `ask` gets the groups' indexes and their coordinators.
pub(super) fn ask_coordinators<T>(
    wire: &mut Wire<'_>,
    groups: &[(&str, i32)],
    budget: &mut QueryBudget<'_>,
    mut ask: impl FnMut(
        &mut Wire<'_>,
        &[(usize, i32)],
        &mut QueryBudget<'_>,
    ) -> Vec<Result<T, KafkaError>>,
) -> Vec<Result<T, KafkaError>> {
    let missing = |(name, _): &(&str, i32)| Err(not_in_answer(name));
    let mut answers: Vec<Result<T, KafkaError>> = groups.iter().map(missing).collect();
    let mut open: Vec<(usize, i32)> = groups.iter().map(|group| group.1).enumerate().collect();
    for attempt in 0.. {
        for (&(index, _), answer) in open.iter().zip(ask(wire, &open, budget)) {
            answers[index] = answer;
        }
        open.retain(|&(index, _)| is_coordinator_moving(&answers[index]));
        if open.is_empty() || !budget.pause_for_coordinator(attempt) {
            break;
        }
        let names: Vec<String> = open
            .iter()
            .map(|&(at, _)| groups[at].0.to_owned())
            .collect();
        for (group, found) in open.iter_mut().zip(coordinators(wire, &names, budget)) {
            group.1 = found.unwrap_or(group.1);
        }
    }
    answers
}

/// The most groups in one request: an answer has all members, or all partitions, of all of them.
pub(super) const GROUPS_A_REQUEST: usize = 200;

/// Each broker's groups, at most `size` together, of groups by their indexes and coordinators.
pub(super) fn chunks_by_broker(
    groups: impl Iterator<Item = (usize, i32)>,
    size: usize,
) -> Vec<(i32, Vec<usize>)> {
    let mut by_broker: HashMap<i32, Vec<usize>> = HashMap::new();
    for (index, broker) in groups {
        by_broker.entry(broker).or_default().push(index);
    }
    let mut chunks = Vec::new();
    for (broker, indices) in by_broker {
        let parts = indices.chunks(size);
        chunks.extend(parts.map(|part| (broker, part.to_vec())));
    }
    chunks
}

/// Groups by their names, each with what the broker says of it.
pub(super) type NamedGroups<T> = Vec<(String, Result<T, KafkaError>)>;

/// Puts each group of a reply in its place; the broker promises no order. `name` is that of the group of an index.
pub(super) fn place_by_name<'g, T>(
    answers: &mut [Result<T, KafkaError>],
    chunk: &[usize],
    name: impl Fn(usize) -> &'g str,
    reply: Result<NamedGroups<T>, KafkaError>,
) {
    match reply {
        Ok(groups) => {
            let mut by_name: HashMap<String, _> = groups.into_iter().collect();
            for &index in chunk {
                let name = name(index);
                let missing = || Err(not_in_answer(name));
                answers[index] = by_name.remove(name).unwrap_or_else(missing);
            }
        }
        Err(error) => {
            for &index in chunk {
                answers[index] = Err(error.clone());
            }
        }
    }
}

/// Whether the coordinator of `group` answers, over a connection that no rebalance holds up.
pub fn coordinator_answers(wire: &mut Wire<'_>, group: &str, budget: &mut QueryBudget<'_>) -> bool {
    let found = coordinators(wire, &[group.to_owned()], budget);
    let Some(Ok(coordinator)) = found.into_iter().next() else {
        return false;
    };
    let name = group.to_owned();
    let request = move |version| find_coordinator(CoordinatorType::Group, &name, version);
    let request = vec![(coordinator, request)];
    let replies = budget.fan_out::<FindCoordinatorRequest, _>(wire, &ANY_VERSION, request);
    replies.iter().all(Result::is_ok)
}

/// Whether the connection broke, as that to one of the bootstrap list does as soon as the brokers' numbers are known,
/// or the broker does not answer and others may.
fn is_broken<T>(answer: &Result<T, KafkaError>, has_others: bool) -> bool {
    let error = answer.as_ref().err();
    error.is_some_and(|error| match error.code {
        code::TRANSPORT => true,
        code::TIMED_OUT => has_others,
        _ => false,
    })
}

/// What a coordinator is asked for: `CoordinatorType` of Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka) enum CoordinatorType {
    Group = 0,
    /// From v1 on.
    Transaction = 1,
}

pub(in crate::kafka) fn find_coordinator(
    kind: CoordinatorType,
    key: &str,
    version: i16,
) -> FindCoordinatorRequest {
    let key = StrBytes::from_string(key.to_owned());
    let request = FindCoordinatorRequest::default().with_key_type(kind as i8);
    if version >= 4 {
        request.with_coordinator_keys(vec![key])
    } else {
        request.with_key(key)
    }
}

pub(in crate::kafka) fn coordinator_of(reply: &FindCoordinatorResponse) -> Result<i32, KafkaError> {
    match reply.coordinators.first() {
        Some(one) => KafkaError::check(one.error_code).map(|()| one.node_id.0),
        None => KafkaError::check(reply.error_code).map(|()| reply.node_id.0),
    }
}

/// Whether a coordinator is about to be there.
fn is_coordinator_moving<T>(answer: &Result<T, KafkaError>) -> bool {
    answer
        .as_ref()
        .is_err_and(|error| is_coordinator_change(error.code))
}

/// A group that the broker was asked for and did not mention.
pub(super) fn not_in_answer(group: &str) -> KafkaError {
    let reason = format!("the broker's answer has nothing about group {group}");
    KafkaError::new(code::BAD_MESSAGE, reason)
}

/// The partition of `__consumer_offsets`, of `count`, whose leader coordinates `group`.
///
/// Kafka's `GroupCoordinatorService.partitionFor`: the magnitude of Java's hash of the name's UTF-16 units,
/// where `Utils.abs` takes the smallest integer, which has none, for 0. (A partitioner masks the sign bit instead.)
pub fn offsets_partition(group: &str, count: usize) -> Option<i32> {
    let hash = group.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    (count > 0).then(|| (hash.checked_abs().unwrap_or(0) as usize % count) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_s_partition_is_java_s() {
        // "klag".hashCode() is 3294535.
        assert_eq!(offsets_partition("klag", 50), Some(35));
        // "groups".hashCode() is -1237460524: a masked sign bit would make it partition 3 of 7.
        assert_eq!(offsets_partition("groups", 7), Some(1_237_460_524 % 7));
        // "polygenelubricants".hashCode() is the smallest integer.
        assert_eq!(offsets_partition("polygenelubricants", 50), Some(0));
        assert_eq!(offsets_partition("a", 0), None);
    }

    #[test]
    fn a_group_without_a_type_is_classic() {
        assert_eq!(GroupKind::of(""), GroupKind::Classic);
        assert_eq!(GroupKind::of("Consumer"), GroupKind::Consumer);
        assert_eq!(GroupKind::of("share").name(), "share");
    }
}
