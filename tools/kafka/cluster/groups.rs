//! The groups of a cluster: which there are, who coordinates them, who is in them.
//!
//! Every broker lists the groups that it coordinates (`ListGroups`), so only a
//! group that was named and is not listed has to be looked for (`FindCoordinator`).
//! Members come from the request of the group's type: `DescribeGroups` (classic),
//! `ConsumerGroupDescribe` (KIP-848), `ShareGroupDescribe` (KIP-932), `StreamsGroupDescribe` (KIP-1071).

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use kafka_protocol::messages::consumer_group_describe_response as consumer;
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response as classic;
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::find_coordinator_response::FindCoordinatorResponse;
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::share_group_describe_request::ShareGroupDescribeRequest;
use kafka_protocol::messages::share_group_describe_response as share;
use kafka_protocol::protocol::{Request, StrBytes};

use super::assignment::assigned;
use super::patience::{ANY_VERSION, Patience};
use super::streams::StreamsGroupsRequest;
use super::streams_answer::Group as StreamsGroup;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::{To, Wire};

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
    const ALL: [GroupKind; 4] = [
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
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: GroupKind,
    /// Its state in the broker's words; brokers before 2.6 don't tell.
    pub state: Option<String>,
    /// Who lists it.
    pub coordinator: i32,
    /// Whether its members are consumers: not so for workers of Kafka Connect and the like, which commit nothing.
    pub reads_topics: bool,
}

/// All groups that could be listed.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The groups, by name.
    pub groups: Vec<Listed>,
    /// The brokers that did not tell, and why.
    pub errors: Vec<(i32, KafkaError)>,
}

/// Asks `brokers` for their groups.
pub fn list_groups(wire: &mut Wire<'_>, brokers: &[i32], patience: &mut Patience<'_>) -> Listing {
    let requests = brokers
        .iter()
        .map(|&id| (id, |_| ListGroupsRequest::default()));
    let answers = patience.gather::<ListGroupsRequest, _>(wire, &ANY_VERSION, requests.collect());
    let mut listing = Listing::default();
    for (&broker, answer) in brokers.iter().zip(answers) {
        match answer.and_then(|answer| checked(answer.error_code).map(|()| answer.groups)) {
            Ok(groups) => listing
                .groups
                .extend(groups.into_iter().map(|group| listed(&group, broker))),
            Err(error) => listing.errors.push((broker, error)),
        }
    }
    listing.groups.sort_by(|a, b| a.name.cmp(&b.name));
    // A coordinator that moves may be listed by both brokers for a moment.
    listing.groups.dedup_by(|a, b| a.name == b.name);
    listing
}

fn listed(group: &ListedGroup, coordinator: i32) -> Listed {
    let state = group.group_state.to_string();
    // A group that only commits has no protocol.
    let reads_topics = matches!(
        group.protocol_type.as_str(),
        "" | "consumer" | "share" | "streams"
    );
    Listed {
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
    patience: &mut Patience<'_>,
) -> Vec<Result<i32, KafkaError>> {
    let mut answers: Vec<Result<i32, KafkaError>> = groups
        .iter()
        .map(|_| Err(KafkaError::of(code::TIMED_OUT)))
        .collect();
    let mut open: Vec<usize> = (0..groups.len()).collect();
    for attempt in 0.. {
        let requests = open.iter().map(|&index| {
            let name = StrBytes::from_string(groups[index].clone());
            (To::Any, ANY_VERSION, move |version| {
                find_request(name, version)
            })
        });
        let replies = wire.gather::<FindCoordinatorRequest, _>(
            requests,
            patience.deadline(),
            patience.interrupted(),
        );
        for (&index, reply) in open.iter().zip(replies) {
            answers[index] = reply.and_then(|reply| found(&reply));
        }
        open.retain(|&index| is_passing(&answers[index]) || is_broken(&answers[index]));
        if open.is_empty() || !patience.pause(attempt) {
            break;
        }
    }
    answers
}

/// Whether the connection broke: that to one of the bootstrap list does as soon as the brokers' numbers are known.
fn is_broken<T>(answer: &Result<T, KafkaError>) -> bool {
    let error = answer.as_ref().err();
    error.is_some_and(|error| error.code == code::TRANSPORT)
}

fn find_request(name: StrBytes, version: i16) -> FindCoordinatorRequest {
    if version >= 4 {
        FindCoordinatorRequest::default().with_coordinator_keys(vec![name])
    } else {
        FindCoordinatorRequest::default().with_key(name)
    }
}

fn found(reply: &FindCoordinatorResponse) -> Result<i32, KafkaError> {
    match reply.coordinators.first() {
        Some(one) => checked(one.error_code).map(|()| one.node_id.0),
        None => checked(reply.error_code).map(|()| reply.node_id.0),
    }
}

/// Whether a coordinator is about to be there.
fn is_passing<T>(answer: &Result<T, KafkaError>) -> bool {
    answer.as_ref().is_err_and(|error| {
        matches!(
            error.code,
            code::COORDINATOR_LOAD_IN_PROGRESS
                | code::COORDINATOR_NOT_AVAILABLE
                | code::NOT_COORDINATOR
        )
    })
}

/// Who is in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its state in the broker's words.
    pub state: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its id, which the group gave it.
    pub id: String,
    /// Its client.id.
    pub client: String,
    /// The address that its broker sees, without the slash that brokers put in front.
    pub host: String,
    /// What it owns.
    pub partitions: Vec<(Arc<str>, Vec<i32>)>,
}

/// The most groups in one request; an answer has all members of all of them.
const GROUPS_A_REQUEST: usize = 200;

/// Members of `groups`, each of them with its type and coordinator; in their order.
pub fn describe_groups(
    wire: &mut Wire<'_>,
    groups: &[(&str, GroupKind, i32)],
    patience: &mut Patience<'_>,
) -> Vec<Result<Description, KafkaError>> {
    let mut answers: Vec<Result<Description, KafkaError>> =
        groups.iter().map(|_| Ok(Description::default())).collect();
    for kind in GroupKind::ALL {
        let mut by_broker: HashMap<i32, Vec<usize>> = HashMap::new();
        for (index, (_, _, broker)) in groups.iter().enumerate().filter(|(_, g)| g.1 == kind) {
            by_broker.entry(*broker).or_default().push(index);
        }
        let mut chunks: Vec<(i32, Vec<usize>)> = Vec::new();
        for (broker, indices) in by_broker {
            let parts = indices.chunks(GROUPS_A_REQUEST);
            chunks.extend(parts.map(|part| (broker, part.to_vec())));
        }
        if chunks.is_empty() {
            continue;
        }
        let names = |chunk: &[usize]| -> Vec<StrBytes> {
            let name = |&index: &usize| StrBytes::from_string(groups[index].0.to_owned());
            chunk.iter().map(name).collect()
        };
        let asked: Vec<(i32, Vec<StrBytes>)> = chunks
            .iter()
            .map(|(broker, chunk)| (*broker, names(chunk)))
            .collect();
        let replies = match kind {
            GroupKind::Classic => ask_classic(wire, asked, patience),
            GroupKind::Consumer => ask_consumer(wire, asked, patience),
            GroupKind::Share => ask_share(wire, asked, patience),
            GroupKind::Streams => ask_streams(wire, asked, patience),
        };
        for ((_, chunk), reply) in chunks.iter().zip(replies) {
            place(&mut answers, groups, chunk, reply);
        }
    }
    answers
}

type Described = Vec<(String, Result<Description, KafkaError>)>;

/// Puts each group of a reply in its place; the broker promises no order.
fn place(
    answers: &mut [Result<Description, KafkaError>],
    groups: &[(&str, GroupKind, i32)],
    chunk: &[usize],
    reply: Result<Described, KafkaError>,
) {
    match reply {
        Ok(described) => {
            let mut by_name: HashMap<String, _> = described.into_iter().collect();
            for &index in chunk {
                let missing = || Err(KafkaError::of(code::GROUP_ID_NOT_FOUND));
                answers[index] = by_name.remove(groups[index].0).unwrap_or_else(missing);
            }
        }
        Err(error) => {
            for &index in chunk {
                answers[index] = Err(error.clone());
            }
        }
    }
}

/// Asks each broker for the groups that it coordinates; `describe` reads an answer.
fn ask<R, B>(
    wire: &mut Wire<'_>,
    asked: Vec<(i32, Vec<StrBytes>)>,
    patience: &mut Patience<'_>,
    request: impl Fn(Vec<GroupId>) -> B,
    describe: impl Fn(R::Response) -> Described,
) -> Vec<Result<Described, KafkaError>>
where
    R: Request,
    B: FnOnce(i16) -> R + 'static,
{
    let requests = asked.into_iter().map(|(broker, names)| {
        let names = names.into_iter().map(GroupId).collect();
        (broker, request(names))
    });
    let replies = patience.gather::<R, _>(wire, &ANY_VERSION, requests.collect());
    let replies = replies.into_iter();
    replies.map(|reply| reply.map(&describe)).collect()
}

fn ask_classic(
    wire: &mut Wire<'_>,
    asked: Vec<(i32, Vec<StrBytes>)>,
    patience: &mut Patience<'_>,
) -> Vec<Result<Described, KafkaError>> {
    let request = |names| move |_| DescribeGroupsRequest::default().with_groups(names);
    ask(wire, asked, patience, request, |reply| {
        let groups = reply.groups.into_iter();
        let group = |group: classic::DescribedGroup| {
            let is_consumer = group.protocol_type.as_str() == "consumer";
            let members = group.members.into_iter().map(|member| {
                let partitions = if is_consumer {
                    assigned(&member.member_assignment)
                } else {
                    Vec::new()
                };
                owner(
                    &member.member_id,
                    &member.client_id,
                    &member.client_host,
                    partitions,
                )
            });
            described(
                &group.group_id,
                &group.group_state,
                group.error_code,
                members,
            )
        };
        groups.map(group).collect()
    })
}

fn ask_consumer(
    wire: &mut Wire<'_>,
    asked: Vec<(i32, Vec<StrBytes>)>,
    patience: &mut Patience<'_>,
) -> Vec<Result<Described, KafkaError>> {
    let request = |names| move |_| ConsumerGroupDescribeRequest::default().with_group_ids(names);
    ask(wire, asked, patience, request, |reply| {
        let groups = reply.groups.into_iter();
        let group = |group: consumer::DescribedGroup| {
            let members = group.members.into_iter().map(|member| {
                let topics = member.assignment.topic_partitions.into_iter();
                let partitions =
                    topics.map(|topic| (topic.topic_name.as_str().into(), topic.partitions));
                owner(
                    &member.member_id,
                    &member.client_id,
                    &member.client_host,
                    partitions.collect(),
                )
            });
            described(
                &group.group_id,
                &group.group_state,
                group.error_code,
                members,
            )
        };
        groups.map(group).collect()
    })
}

fn ask_share(
    wire: &mut Wire<'_>,
    asked: Vec<(i32, Vec<StrBytes>)>,
    patience: &mut Patience<'_>,
) -> Vec<Result<Described, KafkaError>> {
    let request = |names| move |_| ShareGroupDescribeRequest::default().with_group_ids(names);
    ask(wire, asked, patience, request, |reply| {
        let groups = reply.groups.into_iter();
        let group = |group: share::DescribedGroup| {
            let members = group.members.into_iter().map(|member| {
                let topics = member.assignment.topic_partitions.into_iter();
                let partitions =
                    topics.map(|topic| (topic.topic_name.as_str().into(), topic.partitions));
                owner(
                    &member.member_id,
                    &member.client_id,
                    &member.client_host,
                    partitions.collect(),
                )
            });
            described(
                &group.group_id,
                &group.group_state,
                group.error_code,
                members,
            )
        };
        groups.map(group).collect()
    })
}

fn ask_streams(
    wire: &mut Wire<'_>,
    asked: Vec<(i32, Vec<StrBytes>)>,
    patience: &mut Patience<'_>,
) -> Vec<Result<Described, KafkaError>> {
    let request = |names: Vec<GroupId>| {
        let groups = names.iter().map(|name| name.to_string()).collect();
        move |_| StreamsGroupsRequest { groups }
    };
    ask(wire, asked, patience, request, |reply| {
        let groups = reply.groups.iter();
        let group = |group: &StreamsGroup| {
            let members = group.members.iter().map(|member| {
                let partitions = member.partitions(&group.sources);
                owner(&member.id, &member.client, &member.host, partitions)
            });
            described(&group.id, &group.state, group.error_code, members)
        };
        groups.map(group).collect()
    })
}

fn owner(id: &str, client: &str, host: &str, partitions: Vec<(Arc<str>, Vec<i32>)>) -> Member {
    Member {
        id: id.to_owned(),
        client: client.to_owned(),
        host: host.strip_prefix('/').unwrap_or(host).to_owned(),
        partitions,
    }
}

/// A group's name, and who is in it unless the broker can't say.
fn described(
    name: &str,
    state: &str,
    error_code: i16,
    members: impl Iterator<Item = Member>,
) -> (String, Result<Description, KafkaError>) {
    let result = checked(error_code).map(|()| Description {
        state: state.to_owned(),
        members: members.collect(),
    });
    (name.to_owned(), result)
}

/// A response's error code as a result.
pub(super) fn checked(error_code: i16) -> Result<(), KafkaError> {
    match i32::from(error_code) {
        code::NONE => Ok(()),
        error_code => Err(KafkaError::of(error_code)),
    }
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
    fn a_type_that_is_not_told_is_classic() {
        assert_eq!(GroupKind::of(""), GroupKind::Classic);
        assert_eq!(GroupKind::of("Consumer"), GroupKind::Consumer);
        assert_eq!(GroupKind::of("share").name(), "share");
    }
}
