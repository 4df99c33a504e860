//! Who is in the groups of a cluster, and what each member owns.
//!
//! Members come from the request of the group's type: `DescribeGroups` (classic),
//! `ConsumerGroupDescribe` (KIP-848), `ShareGroupDescribe` (KIP-932), `StreamsGroupDescribe` (KIP-1071).

use std::sync::Arc;

use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use kafka_protocol::messages::consumer_group_describe_response as consumer;
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response as classic;
use kafka_protocol::messages::share_group_describe_request::ShareGroupDescribeRequest;
use kafka_protocol::messages::share_group_describe_response as share;
use kafka_protocol::protocol::{Request, StrBytes};

use super::assignment::assigned;
use super::groups::{
    GROUPS_A_REQUEST, GroupKind, NamedGroups, ask_coordinators, chunks_by_broker, place_by_name,
};
use super::query_budget::{ANY_VERSION, QueryBudget};
use super::streams::StreamsGroupsRequest;
use super::streams_response::Group as StreamsGroup;
use crate::kafka::error::KafkaError;
use crate::kafka::wire::Wire;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its state in the broker's words.
    pub state: String,
    pub members: Vec<MemberDescription>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id, which the group gave it.
    pub id: String,
    pub client: String,
    /// The address that its broker sees, without the slash that brokers put in front.
    pub host: String,
    /// What it owns.
    pub partitions: Vec<(Arc<str>, Vec<i32>)>,
}

/// Members of `groups`, each of them with its type and coordinator; in their order.
pub fn describe_groups(
    wire: &mut Wire<'_>,
    groups: &[(&str, GroupKind, i32)],
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<GroupDescription, KafkaError>> {
    let names: Vec<(&str, i32)> = groups.iter().map(|group| (group.0, group.2)).collect();
    ask_coordinators(wire, &names, budget, |wire, open, budget| {
        let group = |&(index, broker): &(usize, i32)| (groups[index].0, groups[index].1, broker);
        let open: Vec<(&str, GroupKind, i32)> = open.iter().map(group).collect();
        describe_once(wire, &open, budget)
    })
}

fn describe_once(
    wire: &mut Wire<'_>,
    groups: &[(&str, GroupKind, i32)],
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<GroupDescription, KafkaError>> {
    let mut answers: Vec<Result<GroupDescription, KafkaError>> = groups
        .iter()
        .map(|_| Ok(GroupDescription::default()))
        .collect();
    for kind in GroupKind::ALL {
        let of_kind = groups
            .iter()
            .enumerate()
            .filter(|(_, group)| group.1 == kind);
        let coordinators = of_kind.map(|(index, group)| (index, group.2));
        let chunks = chunks_by_broker(coordinators, GROUPS_A_REQUEST);
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
            GroupKind::Classic => ask_classic(wire, asked, budget),
            GroupKind::Consumer => ask_consumer(wire, asked, budget),
            GroupKind::Share => ask_share(wire, asked, budget),
            GroupKind::Streams => ask_streams(wire, asked, budget),
        };
        for ((_, chunk), reply) in chunks.iter().zip(replies) {
            place_by_name(&mut answers, chunk, |index| groups[index].0, reply);
        }
    }
    answers
}

type Described = NamedGroups<GroupDescription>;

/// Asks each broker for the groups that it coordinates; `describe` reads an answer.
fn ask<R, B>(
    wire: &mut Wire<'_>,
    asked: Vec<(i32, Vec<StrBytes>)>,
    budget: &mut QueryBudget<'_>,
    request: impl Fn(Vec<GroupId>) -> B,
    describe: impl Fn(R::Response) -> Described,
) -> Vec<Result<Described, KafkaError>>
where
    R: Request,
    B: FnOnce(i16) -> R + Clone + 'static,
{
    let requests = asked.into_iter().map(|(broker, names)| {
        let names = names.into_iter().map(GroupId).collect();
        (broker, request(names))
    });
    let replies = budget.fan_out::<R, _>(wire, &ANY_VERSION, requests.collect());
    let replies = replies.into_iter();
    replies.map(|reply| reply.map(&describe)).collect()
}

fn ask_classic(
    wire: &mut Wire<'_>,
    asked: Vec<(i32, Vec<StrBytes>)>,
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Described, KafkaError>> {
    let request = |names| move |_| DescribeGroupsRequest::default().with_groups(names);
    ask(wire, asked, budget, request, |reply| {
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

/// What brokers answer of groups whose members they assign is of one shape, in a type for each.
macro_rules! ask_assigned {
    ($name:ident, $request:ident, $group:path) => {
        fn $name(
            wire: &mut Wire<'_>,
            asked: Vec<(i32, Vec<StrBytes>)>,
            budget: &mut QueryBudget<'_>,
        ) -> Vec<Result<Described, KafkaError>> {
            let request = |names| move |_| $request::default().with_group_ids(names);
            ask(wire, asked, budget, request, |reply| {
                let groups = reply.groups.into_iter();
                let group = |group: $group| {
                    let members = group.members.into_iter().map(|member| {
                        let topics = member.assignment.topic_partitions.into_iter();
                        let partitions = topics
                            .map(|topic| (topic.topic_name.as_str().into(), topic.partitions));
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
    };
}
ask_assigned!(
    ask_consumer,
    ConsumerGroupDescribeRequest,
    consumer::DescribedGroup
);
ask_assigned!(ask_share, ShareGroupDescribeRequest, share::DescribedGroup);

fn ask_streams(
    wire: &mut Wire<'_>,
    asked: Vec<(i32, Vec<StrBytes>)>,
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Described, KafkaError>> {
    let request = |names: Vec<GroupId>| {
        let groups = names.iter().map(|name| name.to_string()).collect();
        move |_| StreamsGroupsRequest { groups }
    };
    ask(wire, asked, budget, request, |reply| {
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

fn owner(
    id: &str,
    client: &str,
    host: &str,
    partitions: Vec<(Arc<str>, Vec<i32>)>,
) -> MemberDescription {
    MemberDescription {
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
    members: impl Iterator<Item = MemberDescription>,
) -> (String, Result<GroupDescription, KafkaError>) {
    let result = KafkaError::check(error_code).map(|()| GroupDescription {
        state: state.to_owned(),
        members: members.collect(),
    });
    (name.to_owned(), result)
}
