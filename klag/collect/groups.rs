//! Which groups there are, of those that are wanted, and who is in them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tools::kafka::cluster::commits::OFFSETS_TOPIC;
use tools::kafka::cluster::groups::{GroupListing, offsets_partition};
use tools::kafka::cluster::members::GroupDescription;
use tools::kafka::cluster::{
    GroupKind, Metadata, QueryBudget, committed, coordinators, describe_groups, list_groups,
};
use tools::kafka::error::{KafkaError, code};
use tools::kafka::wire::Wire;

use super::{Failure, FailureKind, GroupNames, QueryKind, Scope};
use crate::lag::LagNote;
use crate::row::Group;

/// A group, or why nothing is known of it.
#[derive(Debug)]
pub(super) struct DescribedGroup {
    pub(super) group: Arc<Group>,
    pub(super) kind: GroupKind,
    /// Its members, or why they were not told.
    pub(super) description: Result<GroupDescription, KafkaError>,
    /// Why nothing can be asked about it.
    pub(super) error: Option<LagNote>,
}

impl DescribedGroup {
    fn new(
        listed: &GroupListing,
        description: Result<GroupDescription, KafkaError>,
    ) -> DescribedGroup {
        let described = description.as_ref().ok();
        let members = described.map(|description| description.members.len());
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

/// The wanted groups by name. Brokers that don't list theirs are among the failures.
pub(super) fn find(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    scope: &Scope,
    known: &mut GroupNames,
    budget: &mut QueryBudget<'_>,
    failures: &mut Vec<Failure>,
) -> FoundGroups {
    let brokers = metadata.broker_ids();
    let mut listing = list_groups(wire, &brokers, budget);
    let cannot_list = listing
        .errors
        .iter()
        .all(|(_, e)| e.code == code::UNSUPPORTED_FEATURE)
        && !listing.errors.is_empty();
    let named = scope.groups.plain_names();
    if !(cannot_list && named.is_some()) {
        failures.extend(listing.errors.iter().map(|(broker, error)| {
            QueryKind::Groups.failed(format!(
                "the groups of broker {broker} can't be listed: {error}"
            ))
        }));
    }
    let leaderless = leaderless(metadata);
    if let (Some(partitions), None) = (in_words(&leaderless), &named) {
        failures.push(QueryKind::Groups.failed(format!(
            "{OFFSETS_TOPIC} {partitions} no leader: their groups can't be asked for"
        )));
    }
    let everyone = listing.groups.iter();
    let everyone: Vec<String> = everyone.map(|group| group.name.clone()).collect();
    let named = named.unwrap_or_default();
    listing.groups.retain(|group| {
        let is_named = named.contains(&group.name);
        scope.groups.takes(&group.name) && (group.reads_topics || is_named)
    });
    let listed: BTreeSet<&str> = listing.groups.iter().map(|g| g.name.as_str()).collect();
    let count = partition_count(metadata);
    let is_leaderless =
        |name: &str| offsets_partition(name, count).is_some_and(|p| leaderless.contains(&p));
    let mut unlisted: Vec<String> = named;
    let missed = known
        .iter()
        .filter(|name| is_leaderless(name) && scope.groups.takes(name));
    unlisted.extend(missed.cloned());
    unlisted.retain(|name| !listed.contains(name.as_str()));
    unlisted.sort_unstable();
    unlisted.dedup();

    let silent: Vec<i32> = listing.errors.iter().map(|(broker, _)| *broker).collect();
    let mut absent = Vec::new();
    let (lost, to_find): (Vec<String>, Vec<String>) =
        unlisted.into_iter().partition(|name| is_leaderless(name));
    for name in lost {
        let partition = offsets_partition(&name, count).unwrap_or(0);
        let reason = format!("no coordinator: {OFFSETS_TOPIC} [{partition}] has no leader");
        absent.push(DescribedGroup::absent(&name, LagNote::Unanswered(reason)));
    }
    let coordinators = coordinators(wire, &to_find, budget);
    let mut unlisted = Vec::new();
    for (name, coordinator) in to_find.into_iter().zip(coordinators) {
        let reason = match coordinator {
            Ok(broker) if cannot_list => {
                listing.groups.push(GroupListing {
                    name,
                    kind: GroupKind::Classic,
                    state: None,
                    coordinator: broker,
                    reads_topics: true,
                });
                continue;
            }
            Ok(broker) if silent.contains(&broker) => {
                format!("its coordinator, broker {broker}, does not answer")
            }
            Ok(broker) => {
                unlisted.push((name, broker));
                continue;
            }
            Err(error) => format!("no coordinator: {error}"),
        };
        absent.push(DescribedGroup::absent(&name, LagNote::Unanswered(reason)));
    }
    for (name, found) in list_again(wire, metadata, unlisted, budget) {
        match found {
            Ok(Some(group)) => listing.groups.push(group),
            Ok(None) if scope.allow_empty => {}
            Ok(None) => {
                let reason = "there is no such group";
                let failure = format!("group {name}: {reason}");
                failures.push(QueryKind::Groups.failed_by(FailureKind::Unmatched, failure));
                let note = LagNote::Gone(reason.to_owned());
                absent.push(DescribedGroup::absent(&name, note));
            }
            Err(error) => {
                let reason = format!("whether there is such a group is not known: {error}");
                absent.push(DescribedGroup::absent(&name, LagNote::Unanswered(reason)));
            }
        }
    }
    remember(known, &listing.groups, &is_leaderless);
    let mut found = describe(wire, &listing.groups, cannot_list, budget);
    found.extend(absent);
    retain_states(&mut found, scope, failures);
    found.sort_by(|a, b| a.group.name.cmp(&b.group.name));
    failures.extend(found.iter().filter_map(|found| {
        let error = found.description.as_ref().err()?;
        let name = &found.group.name;
        Some(QueryKind::Groups.failed(format!("the members of group {name} are not told: {error}")))
    }));
    FoundGroups {
        found,
        listed: everyone,
    }
}

/// Looks once more for groups that no broker listed, after their coordinators have answered for them.
///
/// A broker that is about to take over a group neither lists it nor answers for it yet.
fn list_again(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    unlisted: Vec<(String, i32)>,
    budget: &mut QueryBudget<'_>,
) -> Vec<(String, Result<Option<GroupListing>, KafkaError>)> {
    if unlisted.is_empty() {
        return Vec::new();
    }
    let named = unlisted
        .iter()
        .map(|(name, broker)| (name.as_str(), *broker));
    let answers = committed(wire, &named.collect::<Vec<_>>(), metadata, budget);
    let listing = list_groups(wire, &metadata.broker_ids(), budget);
    let found = |name: &str| {
        listing
            .groups
            .iter()
            .find(|group| group.name == name)
            .cloned()
    };
    let failed = listing.errors.first().map(|(_, error)| error.clone());
    let unlisted = unlisted.into_iter().zip(answers);
    unlisted
        .map(|((name, _), answer)| {
            let found = match (found(&name), answer, &failed) {
                (None, Err(error), _) => Err(error),
                (None, Ok(_), Some(error)) => Err(error.clone()),
                (found, ..) => Ok(found),
            };
            (name, found)
        })
        .collect()
}

/// Leaves out groups in other states than those that are asked for, if any are.
fn retain_states(found: &mut Vec<DescribedGroup>, scope: &Scope, failures: &mut Vec<Failure>) {
    if scope.states.is_empty() {
        return;
    }
    let state_of =
        |found: &DescribedGroup| found.group.state.as_deref().map(str::to_ascii_lowercase);
    let states: BTreeSet<String> = found.iter().filter_map(state_of).collect();
    for state in scope.states.iter().filter(|state| !states.contains(*state)) {
        if !scope.allow_empty {
            let reason = format!("no group is in the state {state}");
            failures.push(QueryKind::Groups.failed_by(FailureKind::Unmatched, reason));
        }
    }
    // A group of which nothing is known is in no state, and is still not seen.
    found.retain(|found| match state_of(found) {
        Some(state) => scope.states.contains(&state),
        None => found.error.is_some(),
    });
}

/// A group that is gone is forgotten, one whose coordinator is gone is not.
fn remember(known: &mut GroupNames, listed: &[GroupListing], is_leaderless: &dyn Fn(&str) -> bool) {
    known.retain(|name| is_leaderless(name));
    known.extend(listed.iter().map(|group| group.name.clone()));
}

/// Asks who is in the groups that have somebody in them.
fn describe(
    wire: &mut Wire<'_>,
    groups: &[GroupListing],
    cannot_describe: bool,
    budget: &mut QueryBudget<'_>,
) -> Vec<DescribedGroup> {
    let is_empty = |group: &GroupListing| {
        let state = group.state.as_deref();
        cannot_describe || matches!(state, Some("Empty" | "Dead"))
    };
    let asked: Vec<(&str, GroupKind, i32)> = groups
        .iter()
        .filter(|group| !is_empty(group))
        .map(|group| (group.name.as_str(), group.kind, group.coordinator))
        .collect();
    let answers = describe_groups(wire, &asked, budget);
    let mut described: HashMap<&str, _> =
        asked.iter().map(|(name, ..)| *name).zip(answers).collect();
    groups
        .iter()
        .map(|group| {
            let nobody = || Ok(GroupDescription::default());
            let description = described.remove(group.name.as_str());
            let mut found = DescribedGroup::new(group, description.unwrap_or_else(nobody));
            if cannot_describe {
                let mut unknown = (*found.group).clone();
                unknown.members = None;
                found.group = Arc::new(unknown);
            }
            found
        })
        .collect()
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

    #[test]
    fn a_group_is_missed_while_its_coordinator_is() {
        let mut known: GroupNames = ["gone", "headless"].map(str::to_owned).into();
        let listed = GroupListing {
            name: "new".to_owned(),
            kind: GroupKind::Classic,
            state: None,
            coordinator: 1,
            reads_topics: true,
        };
        remember(&mut known, &[listed], &|name| name == "headless");
        assert_eq!(known, ["headless", "new"].map(str::to_owned).into());
    }

    #[test]
    fn partitions_without_a_leader_are_named() {
        assert_eq!(in_words(&[]), None);
        assert_eq!(in_words(&[3]).as_deref(), Some("[3] has"));
        assert_eq!(in_words(&[3, 7]).as_deref(), Some("[3, 7] have"));
    }
}
