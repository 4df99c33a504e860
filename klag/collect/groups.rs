//! Which groups there are, of those that are wanted, and who is in them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tools::kafka::admin::commits::OFFSETS_TOPIC;
use tools::kafka::admin::groups::{GroupListing, ListGroupsResult, offsets_partition};
use tools::kafka::admin::members::GroupDescription;
use tools::kafka::admin::{
    GroupKind, Metadata, committed, coordinators, describe_groups, list_groups,
};
use tools::kafka::error::{KafkaError, code};

use super::{ClusterQuery, FailureKind, GroupNames, QueryKind};
use crate::lag::LagNote;
use crate::row::Group;

/// A group, or why nothing is known of it.
#[derive(Debug)]
pub(super) struct DescribedGroup {
    pub(super) group: Arc<Group>,
    pub(super) kind: GroupKind,
    /// Its members, or why they are not known.
    pub(super) description: Result<GroupDescription, KafkaError>,
    /// Why nothing can be asked about it.
    pub(super) error: Option<LagNote>,
}

impl DescribedGroup {
    fn new(
        listed: &GroupListing,
        description: Result<GroupDescription, KafkaError>,
        cannot_describe: bool,
    ) -> DescribedGroup {
        let described = description.as_ref().ok();
        let members = described.filter(|_| !cannot_describe);
        let members = members.map(|description| description.members.len());
        let state = described.map(|description| description.state.clone());
        let state = state.filter(|state| !state.is_empty());
        let group = Group {
            name: listed.name.clone(),
            state: state.or_else(|| listed.state.clone()),
            kind: Some(listed.kind.name().to_owned()),
            members,
            coordinator: Some(listed.coordinator),
        };
        DescribedGroup {
            group: Arc::new(group),
            kind: listed.kind,
            description,
            error: None,
        }
    }

    fn absent(name: &str, reason: LagNote) -> DescribedGroup {
        let group = Group {
            name: name.to_owned(),
            ..Group::default()
        };
        DescribedGroup {
            group: Arc::new(group),
            kind: GroupKind::Classic,
            description: Ok(GroupDescription::default()),
            error: Some(reason),
        }
    }
}

/// What there is of groups.
pub(super) struct FoundGroups {
    /// The wanted ones, by name.
    pub(super) found: Vec<DescribedGroup>,
    /// The names of all that were listed, wanted or not.
    pub(super) listed: Vec<String>,
}

impl ClusterQuery<'_> {
    /// The wanted groups by name. Brokers that don't list theirs are among the failures.
    pub(super) fn find_groups(&mut self, known: &mut GroupNames) -> FoundGroups {
        let brokers = self.metadata.broker_ids();
        let mut listing = list_groups(&mut self.wire, &brokers, &mut self.budget);
        let is_unable = |(_, error): &(i32, KafkaError)| error.code == code::UNSUPPORTED_FEATURE;
        let cannot_list = !listing.errors.is_empty() && listing.errors.iter().all(is_unable);
        let named = self.scope.groups.plain_names();
        if !(cannot_list && named.is_some()) {
            for (broker, error) in &listing.errors {
                let reason = format!("the groups of broker {broker} can't be listed: {error}");
                self.fail(QueryKind::Groups, reason);
            }
        }
        let leaderless = leaderless(&self.metadata);
        if let (Some(partitions), None) = (in_words(&leaderless), &named) {
            let reason =
                format!("{OFFSETS_TOPIC} {partitions} no leader: their groups can't be asked for");
            self.fail(QueryKind::Groups, reason);
        }
        let everyone = listing.groups.iter().map(|group| group.name.clone());
        let everyone: Vec<String> = everyone.collect();
        let named = named.unwrap_or_default();
        let wanted = &self.scope.groups;
        listing.groups.retain(|group| {
            wanted.takes(&group.name) && (group.reads_topics || named.contains(&group.name))
        });
        let count = partition_count(&self.metadata);
        let is_leaderless =
            |name: &str| offsets_partition(name, count).is_some_and(|p| leaderless.contains(&p));
        let missed = known.iter();
        let missed = missed.filter(|name| is_leaderless(name) && wanted.takes(name));
        let mut unlisted: BTreeSet<String> = missed.cloned().chain(named).collect();
        for group in &listing.groups {
            unlisted.remove(&group.name);
        }
        let absent = self.look_for(unlisted, &mut listing, cannot_list, &is_leaderless);
        remember(known, &listing.groups, &is_leaderless);
        let mut found = self.describe(&listing.groups, cannot_list);
        found.extend(absent);
        self.retain_states(&mut found);
        found.sort_by(|a, b| a.group.name.cmp(&b.group.name));
        for found in &found {
            if let Err(error) = &found.description {
                let name = &found.group.name;
                let reason = format!("the members of group {name} are unknown: {error}");
                self.fail(QueryKind::Groups, reason);
            }
        }
        FoundGroups {
            found,
            listed: everyone,
        }
    }

    /// Looks for groups that no broker has listed: those that are there join `listing`, and why others are not comes back.
    fn look_for(
        &mut self,
        names: BTreeSet<String>,
        listing: &mut ListGroupsResult,
        cannot_list: bool,
        is_leaderless: &dyn Fn(&str) -> bool,
    ) -> Vec<DescribedGroup> {
        let mut absent = Vec::new();
        let unanswered =
            |name: &str, reason| DescribedGroup::absent(name, LagNote::Unanswered(reason));
        let (lost, to_find): (Vec<String>, Vec<String>) =
            names.into_iter().partition(|name| is_leaderless(name));
        for name in lost {
            let count = partition_count(&self.metadata);
            let partition = offsets_partition(&name, count).unwrap_or(0);
            let reason = format!("no coordinator: {OFFSETS_TOPIC} [{partition}] has no leader");
            absent.push(unanswered(&name, reason));
        }
        let coordinators = coordinators(&mut self.wire, &to_find, &mut self.budget);
        let mut unlisted = Vec::new();
        for (name, coordinator) in to_find.into_iter().zip(coordinators) {
            let is_silent = |id| listing.errors.iter().any(|(silent, _)| *silent == id);
            match coordinator {
                Ok(broker) if cannot_list => listing.groups.push(GroupListing {
                    name,
                    kind: GroupKind::Classic,
                    state: None,
                    coordinator: broker,
                    reads_topics: true,
                }),
                Ok(broker) if is_silent(broker) => {
                    let reason = format!("its coordinator, broker {broker}, does not answer");
                    absent.push(unanswered(&name, reason));
                }
                Ok(broker) => unlisted.push((name, broker)),
                Err(error) => absent.push(unanswered(&name, format!("no coordinator: {error}"))),
            }
        }
        for (name, found) in self.list_again(unlisted) {
            match found {
                Ok(Some(group)) => listing.groups.push(group),
                Ok(None) if self.scope.allow_empty => {}
                Ok(None) => {
                    let reason = "there is no such group".to_owned();
                    self.fail_unmatched(format!("group {name}: {reason}"));
                    absent.push(DescribedGroup::absent(&name, LagNote::Gone(reason)));
                }
                Err(error) => {
                    let reason = format!("whether there is such a group is not known: {error}");
                    absent.push(unanswered(&name, reason));
                }
            }
        }
        absent
    }

    fn fail_unmatched(&mut self, reason: String) {
        let failure = QueryKind::Groups.failed_by(FailureKind::Unmatched, reason);
        self.failures.push(failure);
    }

    /// Looks once more for groups that no broker listed, after their coordinators have answered for them.
    ///
    /// A broker that is about to take over a group neither lists it nor answers for it yet.
    fn list_again(
        &mut self,
        unlisted: Vec<(String, i32)>,
    ) -> Vec<(String, Result<Option<GroupListing>, KafkaError>)> {
        if unlisted.is_empty() {
            return Vec::new();
        }
        let named = unlisted.iter();
        let named: Vec<_> = named.map(|(name, id)| (name.as_str(), *id)).collect();
        let answers = committed(&mut self.wire, &named, &self.metadata, &mut self.budget);
        let brokers = self.metadata.broker_ids();
        let listing = list_groups(&mut self.wire, &brokers, &mut self.budget);
        let unlisted = unlisted.into_iter().zip(answers);
        let found = unlisted.map(|((name, _), answer)| {
            let found = find_in(&listing, &name, answer.map(drop));
            (name, found)
        });
        found.collect()
    }

    /// Leaves out groups in other states than those that are asked for, if any are.
    fn retain_states(&mut self, found: &mut Vec<DescribedGroup>) {
        let scope = self.scope;
        if scope.states.is_empty() {
            return;
        }
        let state_of =
            |found: &DescribedGroup| found.group.state.as_deref().map(str::to_ascii_lowercase);
        let states: BTreeSet<String> = found.iter().filter_map(state_of).collect();
        for state in scope.states.iter().filter(|state| !states.contains(*state)) {
            if !scope.allow_empty {
                self.fail_unmatched(format!("no group is in the state {state}"));
            }
        }
        // A group of which nothing is known is in no state, and is still not seen.
        found.retain(|found| match state_of(found) {
            Some(state) => scope.states.contains(&state),
            None => found.error.is_some(),
        });
    }

    /// Asks who is in the groups that have somebody in them.
    fn describe(&mut self, groups: &[GroupListing], cannot_describe: bool) -> Vec<DescribedGroup> {
        let is_empty = |group: &GroupListing| {
            let state = group.state.as_deref();
            cannot_describe || matches!(state, Some("Empty" | "Dead"))
        };
        let asked: Vec<(&str, GroupKind, i32)> = groups
            .iter()
            .filter(|group| !is_empty(group))
            .map(|group| (group.name.as_str(), group.kind, group.coordinator))
            .collect();
        let answers = describe_groups(&mut self.wire, &asked, &mut self.budget);
        let mut described: HashMap<&str, _> =
            asked.iter().map(|(name, ..)| *name).zip(answers).collect();
        let describe = |group: &GroupListing| {
            let nobody = || Ok(GroupDescription::default());
            let description = described.remove(group.name.as_str());
            DescribedGroup::new(group, description.unwrap_or_else(nobody), cannot_describe)
        };
        groups.iter().map(describe).collect()
    }
}

/// The group of this name; none only if its coordinator has answered for it, and every broker has listed its groups.
fn find_in(
    listing: &ListGroupsResult,
    name: &str,
    coordinator: Result<(), KafkaError>,
) -> Result<Option<GroupListing>, KafkaError> {
    if let Some(group) = listing.groups.iter().find(|group| group.name == name) {
        return Ok(Some(group.clone()));
    }
    coordinator?;
    let failed = listing.errors.first();
    failed.map_or(Ok(None), |(_, error)| Err(error.clone()))
}

/// A group that is gone is forgotten, one whose coordinator is gone is not.
fn remember(known: &mut GroupNames, listed: &[GroupListing], is_leaderless: &dyn Fn(&str) -> bool) {
    known.retain(|name| is_leaderless(name));
    known.extend(listed.iter().map(|group| group.name.clone()));
}

/// How many partitions the offsets topic has, as far as it may be seen.
pub(super) fn partition_count(metadata: &Metadata) -> usize {
    let topic = metadata.topic(OFFSETS_TOPIC);
    topic.map_or(0, |topic| topic.partitions.len())
}

/// The partitions of the offsets topic that nobody leads.
fn leaderless(metadata: &Metadata) -> Vec<i32> {
    let topic = metadata.topic(OFFSETS_TOPIC);
    let partitions = topic.iter().flat_map(|topic| &topic.partitions);
    partitions
        .filter(|partition| partition.leader.is_none())
        .map(|partition| partition.id)
        .collect()
}

/// `[3] has`, `[3, 7] have`; nothing for none.
fn in_words(partitions: &[i32]) -> Option<String> {
    let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
    match names.len() {
        0 => None,
        1 => Some(format!("[{}] has", names[0])),
        _ => Some(format!("[{}] have", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str) -> GroupListing {
        GroupListing {
            name: name.to_owned(),
            kind: GroupKind::Classic,
            state: None,
            coordinator: 1,
            reads_topics: true,
        }
    }

    #[test]
    fn a_group_is_missing_only_if_its_coordinator_and_every_list_were_seen() {
        let moving = KafkaError::of(code::NOT_COORDINATOR);
        let listing = |errors| ListGroupsResult {
            groups: vec![listed("here")],
            errors,
        };
        let all = listing(Vec::new());
        assert_eq!(find_in(&all, "here", Ok(())), Ok(Some(listed("here"))));
        assert_eq!(find_in(&all, "gone", Ok(())), Ok(None));
        let unanswered = find_in(&all, "gone", Err(moving.clone()));
        assert_eq!(unanswered, Err(moving.clone()));
        let partial = listing(vec![(2, moving.clone())]);
        assert_eq!(find_in(&partial, "gone", Ok(())), Err(moving));
    }

    #[test]
    fn a_group_is_missed_while_its_coordinator_is() {
        let mut known: GroupNames = ["gone", "no-coordinator"].map(str::to_owned).into();
        remember(&mut known, &[listed("new")], &|name| {
            name == "no-coordinator"
        });
        assert_eq!(known, ["no-coordinator", "new"].map(str::to_owned).into());
    }

    #[test]
    fn partitions_without_a_leader_are_named() {
        assert_eq!(in_words(&[]), None);
        assert_eq!(in_words(&[3]).as_deref(), Some("[3] has"));
        assert_eq!(in_words(&[3, 7]).as_deref(), Some("[3, 7] have"));
    }
}
