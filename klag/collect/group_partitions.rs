//! The partitions that each group reads: where it committed, what its members own, and the rest of those topics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tools::cli::names::{Name, Selection};
use tools::kafka::KafkaError;
use tools::kafka::admin::members::MemberDescription;
use tools::kafka::admin::{self, GroupKind, Metadata, SharePosition, committed, share_offsets};

use super::groups::DescribedGroup;
use super::{ClusterQuery, Scope};
use crate::lag::LagNote;
use crate::row::{AssignedMember, Group, Row};

/// One partition of a group's.
#[derive(Debug)]
pub(super) struct GroupPartition {
    pub(super) group: Arc<Group>,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) owner: Option<Arc<AssignedMember>>,
    pub(super) committed: CommittedOffset,
}

/// How far the group says it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CommittedOffset {
    /// The next offset that it reads; none if it never said.
    At(Option<i64>),
    /// A share group's first record not yet dealt with, and how many are left.
    Share {
        first: Option<i64>,
        lag: Option<i64>,
    },
    /// The cluster did not say.
    Failed(String),
}

impl CommittedOffset {
    /// The offset, where there is one.
    pub(super) fn offset(&self) -> Option<i64> {
        match self {
            CommittedOffset::At(offset) => *offset,
            CommittedOffset::Share { first, .. } => *first,
            CommittedOffset::Failed(_) => None,
        }
    }
}

/// What the coordinators answered about a group.
pub(super) enum FetchedOffsets {
    Commits(Result<Vec<admin::TopicCommits>, KafkaError>),
    Shares(Result<Vec<SharePosition>, KafkaError>),
}

impl ClusterQuery<'_> {
    /// Asks how far the groups have come, in their order.
    pub(super) fn ask_positions(
        &mut self,
        found: &[DescribedGroup],
    ) -> Vec<Option<FetchedOffsets>> {
        let (mut shares, mut commits) = (Vec::new(), Vec::new());
        for (index, found) in found.iter().enumerate() {
            let Some(coordinator) = found.group.coordinator else {
                continue;
            };
            let list = match found.kind {
                GroupKind::Share => &mut shares,
                _ => &mut commits,
            };
            list.push((index, (found.group.name.as_str(), coordinator)));
        }
        let (commit_indices, commits): (Vec<usize>, Vec<_>) = commits.into_iter().unzip();
        let (share_indices, shares): (Vec<usize>, Vec<_>) = shares.into_iter().unzip();
        let mut positions: Vec<Option<FetchedOffsets>> = found.iter().map(|_| None).collect();
        let commits = committed(&mut self.wire, &commits, &self.metadata, &mut self.budget);
        for (index, answer) in commit_indices.into_iter().zip(commits) {
            positions[index] = Some(FetchedOffsets::Commits(answer));
        }
        let shares = share_offsets(&mut self.wire, &shares, &mut self.budget);
        for (index, answer) in share_indices.into_iter().zip(shares) {
            positions[index] = Some(FetchedOffsets::Shares(answer));
        }
        positions
    }
}

/// The topics in which groups have committed or own something.
pub(super) fn topics_of(
    found: &[DescribedGroup],
    positions: &[Option<FetchedOffsets>],
) -> BTreeSet<Arc<str>> {
    let mut topics = BTreeSet::new();
    for positions in positions.iter().flatten() {
        match positions {
            FetchedOffsets::Commits(Ok(commits)) => {
                topics.extend(commits.iter().map(|commit| Arc::clone(&commit.topic)));
            }
            FetchedOffsets::Shares(Ok(shares)) => {
                topics.extend(shares.iter().map(|share| Arc::clone(&share.topic)));
            }
            FetchedOffsets::Commits(Err(_)) | FetchedOffsets::Shares(Err(_)) => {}
        }
    }
    for description in found
        .iter()
        .filter_map(|found| found.description.as_ref().ok())
    {
        let owned = description
            .members
            .iter()
            .flat_map(|member| &member.partitions);
        topics.extend(owned.map(|(topic, _)| Arc::clone(topic)));
    }
    topics
}

/// All partitions of all groups, in the order of their names; and a row for each group that has none.
pub(super) fn all(
    found: &[DescribedGroup],
    positions: Vec<Option<FetchedOffsets>>,
    metadata: &Metadata,
    scope: &Scope,
) -> (Vec<GroupPartition>, Vec<Row>) {
    let partitions: HashMap<&str, Vec<i32>> = metadata
        .topics
        .iter()
        .map(|topic| {
            let ids = topic.partitions.iter().map(|partition| partition.id);
            (topic.name.as_str(), ids.collect())
        })
        .collect();
    let mut group_partitions = Vec::new();
    let mut rows = Vec::new();
    for (found, positions) in found.iter().zip(positions) {
        let before = group_partitions.len();
        let failure = add_group(
            found,
            positions,
            &partitions,
            &scope.topics,
            &mut group_partitions,
        );
        if group_partitions.len() == before {
            rows.extend(row_without_partitions(found, failure.as_ref(), scope));
        }
    }
    (group_partitions, rows)
}

/// Why a group has no partition to show; nothing where it only reads other topics than those asked for,
/// unless it was named, and so was the topic.
fn row_without_partitions(
    found: &DescribedGroup,
    failure: Option<&KafkaError>,
    scope: &Scope,
) -> Option<Row> {
    let unanswered = failure.or(found.description.as_ref().err());
    let unanswered = unanswered.map(|error| LagNote::Unanswered(error.to_string()));
    let note = match found.error.clone().or(unanswered) {
        Some(note) => note,
        None if scope.topics.takes_all() => {
            LagNote::Gone("nothing committed, nothing assigned".to_owned())
        }
        None if !scope.allow_empty
            && is_named(&scope.groups, &found.group.name)
            && is_single(&scope.topics) =>
        {
            LagNote::Gone("neither offsets nor members in this topic".to_owned())
        }
        None => return None,
    };
    let only_topic = scope
        .topics
        .wanted()
        .first()
        .filter(|_| is_single(&scope.topics));
    Some(Row {
        group: Some(Arc::clone(&found.group)),
        topic: only_topic.map(|topic| topic.to_string().into()),
        lag: super::unknown(note),
        ..Row::default()
    })
}

/// Whether it was asked for by this name, and not by a pattern.
fn is_named(selection: &Selection, name: &str) -> bool {
    let mut wanted = selection.wanted().iter();
    wanted.any(|wanted| matches!(wanted, Name::Plain(plain) if plain == name))
}

/// Whether one name was asked for and nothing else.
fn is_single(selection: &Selection) -> bool {
    matches!(selection.wanted(), [Name::Plain(_)])
}

type Slots = BTreeMap<i32, (CommittedOffset, Option<Arc<AssignedMember>>)>;

/// Adds the partitions of a group; why its commits are not known comes back.
fn add_group(
    found: &DescribedGroup,
    positions: Option<FetchedOffsets>,
    partitions: &HashMap<&str, Vec<i32>>,
    wanted: &Selection,
    group_partitions: &mut Vec<GroupPartition>,
) -> Option<KafkaError> {
    let mut topics: BTreeMap<Arc<str>, Slots> = BTreeMap::new();
    let is_share = found.kind == GroupKind::Share;
    let never = || {
        if is_share {
            let (first, lag) = (None, None);
            CommittedOffset::Share { first, lag }
        } else {
            CommittedOffset::At(None)
        }
    };
    let failure = add_positions(positions, &mut topics);
    // What is not known of the group as a whole is not known of any of its partitions.
    let unknown = || match &failure {
        Some(error) => CommittedOffset::Failed(error.to_string()),
        None => never(),
    };
    if let Ok(description) = &found.description {
        // A Streams task has the same number in all of its topics, of which some may have fewer partitions.
        let exists = |topic: &str, partition: i32| {
            let ids = partitions.get(topic);
            found.kind != GroupKind::Streams || ids.is_none_or(|ids| ids.contains(&partition))
        };
        add_owners(&description.members, &exists, &unknown, &mut topics);
    }
    for (topic, slots) in &mut topics {
        let rest = partitions.get(&**topic).into_iter().flatten();
        for partition in rest.filter(|_| !is_share) {
            slots.entry(*partition).or_insert_with(|| (unknown(), None));
        }
    }
    topics.retain(|topic, _| wanted.takes(topic));
    for (topic, slots) in topics {
        for (partition, (committed, owner)) in slots {
            group_partitions.push(GroupPartition {
                group: Arc::clone(&found.group),
                topic: Arc::clone(&topic),
                partition,
                owner,
                committed,
            });
        }
    }
    failure
}

fn add_positions(
    positions: Option<FetchedOffsets>,
    topics: &mut BTreeMap<Arc<str>, Slots>,
) -> Option<KafkaError> {
    match positions {
        None => None,
        Some(FetchedOffsets::Commits(Err(error)) | FetchedOffsets::Shares(Err(error))) => {
            Some(error)
        }
        Some(FetchedOffsets::Commits(Ok(commits))) => {
            for commit in commits {
                let slots = topics.entry(commit.topic).or_default();
                for (partition, offset) in commit.partitions {
                    let committed = match offset {
                        Ok(offset) => CommittedOffset::At(Some(offset)),
                        Err(error) => CommittedOffset::Failed(error.to_string()),
                    };
                    slots.insert(partition, (committed, None));
                }
            }
            None
        }
        Some(FetchedOffsets::Shares(Ok(shares))) => {
            for share in shares {
                let committed = match share.error {
                    None => CommittedOffset::Share {
                        first: share.start,
                        lag: share.lag,
                    },
                    Some(error) => CommittedOffset::Failed(error.to_string()),
                };
                let slots = topics.entry(share.topic).or_default();
                slots.insert(share.partition, (committed, None));
            }
            None
        }
    }
}

/// Whoever owns a partition alone is named in its row.
fn add_owners(
    members: &[MemberDescription],
    exists: &dyn Fn(&str, i32) -> bool,
    never: &dyn Fn() -> CommittedOffset,
    topics: &mut BTreeMap<Arc<str>, Slots>,
) {
    let mut owners: BTreeMap<(&Arc<str>, i32), Vec<&MemberDescription>> = BTreeMap::new();
    for member in members {
        for (topic, partitions) in &member.partitions {
            for partition in partitions.iter().filter(|id| exists(topic, **id)) {
                owners.entry((topic, *partition)).or_default().push(member);
            }
        }
    }
    let mut shared: HashMap<&str, Arc<AssignedMember>> = HashMap::new();
    for ((topic, partition), members) in owners {
        let slots = topics.entry(Arc::clone(topic)).or_default();
        let slot = slots.entry(partition).or_insert_with(|| (never(), None));
        let [member] = members[..] else { continue };
        let owner = shared.entry(&member.id).or_insert_with(|| {
            Arc::new(AssignedMember {
                member: member.id.clone(),
                client: member.client.clone(),
                host: member.host.clone(),
            })
        });
        slot.1 = Some(Arc::clone(owner));
    }
}

#[cfg(test)]
mod tests {
    use tools::kafka::admin::members::GroupDescription;

    use super::*;

    #[test]
    fn a_streams_task_reads_only_the_partitions_that_a_topic_has() {
        let member = MemberDescription {
            id: "m".to_owned(),
            partitions: vec![("wide".into(), vec![0, 1]), ("narrow".into(), vec![0, 1])],
            ..MemberDescription::default()
        };
        let description = GroupDescription {
            state: "Stable".to_owned(),
            members: vec![member],
        };
        let partitions = HashMap::from([("wide", vec![0, 1]), ("narrow", vec![0])]);
        let seen = |kind| {
            let found = DescribedGroup {
                group: Arc::default(),
                kind,
                description: Ok(description.clone()),
                error: None,
            };
            let mut group_partitions = Vec::new();
            let failure = add_group(
                &found,
                None,
                &partitions,
                &Selection::default(),
                &mut group_partitions,
            );
            assert_eq!(failure, None);
            let group_partition = |group_partition: &GroupPartition| {
                format!("{}-{}", group_partition.topic, group_partition.partition)
            };
            group_partitions
                .iter()
                .map(group_partition)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(seen(GroupKind::Streams), "narrow-0 wide-0 wide-1");
        // Of another group it is said that the partition is gone.
        assert_eq!(seen(GroupKind::Consumer), "narrow-0 narrow-1 wide-0 wide-1");
    }
}
