//! `--active`: leaves out the topics that a group has left.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tools::cli::now_ms;
use tools::kafka::admin::GroupKind;
use tools::kafka::admin::commits::{CommitTimes, OFFSETS_TOPIC};
use tools::kafka::admin::groups::offsets_partition;

use super::group_partitions::{CommittedOffset, GroupPartition};
use super::groups::{DescribedGroup, partition_count};
use super::{ClusterQuery, QueryKind};

impl ClusterQuery<'_> {
    /// Leaves out the partitions of topics in which their group has no member and has not committed for `--active TIME`.
    ///
    /// What is not known is not left out.
    pub(super) fn retain_active(
        &mut self,
        found: &[DescribedGroup],
        group_partitions: &mut Vec<GroupPartition>,
        times: &mut CommitTimes,
    ) {
        let Some(active_ms) = self.scope.active_ms else {
            return;
        };
        let held = held(found, group_partitions);
        let pair = |one: &GroupPartition| (one.group.name.clone(), Arc::clone(&one.topic));
        let count = partition_count(&self.metadata);
        let open = group_partitions.iter().map(pair);
        let partitions: BTreeMap<String, Option<i32>> = open
            .filter(|pair| !held.contains(pair))
            .map(|(group, _)| {
                let partition = offsets_partition(&group, count);
                (group, partition)
            })
            .collect();
        let asked: BTreeSet<i32> = partitions.values().copied().flatten().collect();
        let failed = times.update(
            &mut self.wire,
            &self.metadata,
            asked.into_iter(),
            now_ms() - active_ms,
            &mut self.budget,
        );
        let mut reasons: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for (partition, error) in &failed {
            let partitions = reasons.entry(error.to_string()).or_default();
            partitions.push(*partition);
        }
        if partitions.values().any(Option::is_none) {
            let reason = "it is not there, or this user may not see it";
            reasons.insert(reason.to_owned(), Vec::new());
        }
        for (reason, partitions) in reasons {
            let partitions = match partitions.as_slice() {
                [] => String::new(),
                partitions => format!(" {partitions:?}"),
            };
            let reason = format!(
                "--active can't read the times of commits in {OFFSETS_TOPIC}{partitions}: {reason}"
            );
            self.fail(QueryKind::Offsets, reason);
        }
        let unread: HashSet<i32> = failed.into_iter().map(|(partition, _)| partition).collect();
        group_partitions.retain(|one| {
            let partition = partitions.get(&one.group.name).copied().flatten();
            held.contains(&pair(one))
                || partition.is_none_or(|partition| unread.contains(&partition))
                || times.last_ms(&one.group.name, &one.topic).is_some()
        });
    }
}

/// Groups and topics that stay whenever the group committed: it has a member there, or that is not known.
fn held(
    found: &[DescribedGroup],
    group_partitions: &[GroupPartition],
) -> HashSet<(String, Arc<str>)> {
    let mut held = HashSet::new();
    let mut whole = HashSet::new();
    for found in found {
        let name = &found.group.name;
        let members = match &found.description {
            Ok(description) if found.group.members.is_some() => &description.members,
            _ => {
                whole.insert(name);
                continue;
            }
        };
        let owned = members.iter().flat_map(|member| &member.partitions);
        let owned: HashSet<_> = owned
            .map(|(topic, _)| (name.clone(), Arc::clone(topic)))
            .collect();
        // While members agree who reads what, nobody owns anything. And acknowledging is not committing.
        let is_between = owned.is_empty() && !members.is_empty();
        if is_between || found.kind == GroupKind::Share {
            whole.insert(name);
        }
        held.extend(owned);
    }
    for group_partition in group_partitions {
        let is_unknown = matches!(group_partition.committed, CommittedOffset::Failed(_));
        if is_unknown || whole.contains(&group_partition.group.name) {
            held.insert((
                group_partition.group.name.clone(),
                Arc::clone(&group_partition.topic),
            ));
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use tools::kafka::KafkaError;
    use tools::kafka::admin::members::{GroupDescription, MemberDescription};

    use super::*;
    use crate::row::Group;

    #[test]
    fn what_a_member_owns_or_may_own_is_held() {
        let owner = |topics: &[&str]| MemberDescription {
            partitions: topics
                .iter()
                .map(|topic| ((*topic).into(), vec![0]))
                .collect(),
            ..MemberDescription::default()
        };
        let group = |members| {
            Arc::new(Group {
                name: "g".to_owned(),
                members,
                ..Group::default()
            })
        };
        let seen = |kind, members: Result<Vec<MemberDescription>, KafkaError>, committed| {
            let group = group(members.as_ref().ok().map(Vec::len));
            let group_partition = |topic: &str| GroupPartition {
                group: Arc::clone(&group),
                topic: topic.into(),
                partition: 0,
                owner: None,
                committed: Clone::clone(&committed),
            };
            let group_partitions = ["a", "b"].map(group_partition);
            let state = "Stable".to_owned();
            let found = DescribedGroup {
                description: members.map(|members| GroupDescription { state, members }),
                group,
                kind,
                error: None,
            };
            let held = held(&[found], &group_partitions);
            let mut topics: Vec<String> = held.iter().map(|(_, topic)| topic.to_string()).collect();
            topics.sort_unstable();
            topics.join(" ")
        };
        let at = CommittedOffset::At(Some(1));
        let classic = GroupKind::Classic;
        assert_eq!(seen(classic, Ok(Vec::new()), at.clone()), "");
        assert_eq!(seen(classic, Ok(vec![owner(&["a"])]), at.clone()), "a");
        assert_eq!(
            seen(classic, Ok(vec![owner(&[])]), at.clone()),
            "a b",
            "a rebalance"
        );
        assert_eq!(seen(classic, Err(KafkaError::of(29)), at.clone()), "a b");
        assert_eq!(seen(GroupKind::Share, Ok(Vec::new()), at), "a b");
        let failed = CommittedOffset::Failed("silent".to_owned());
        assert_eq!(seen(classic, Ok(Vec::new()), failed), "a b");
    }
}
