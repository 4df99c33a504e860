//! What this user is not shown: topics and groups that it may not describe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tools::kafka::KafkaError;
use tools::kafka::cluster::{
    Metadata, QueryBudget, may_list_groups, may_list_topics, named_topics,
};
use tools::kafka::error::code;
use tools::kafka::wire::Wire;

use super::{Failure, FailureKind, QueryKind, Scope};

/// Topics that the cluster did not list, and what it says when it is asked for them by name.
pub(super) type HiddenTopics = BTreeMap<String, KafkaError>;

/// Asks for what the lists leave out: topics that were named or that a group reads, by name, and whether there may
/// be others. A topic that is there after all joins `metadata`.
pub(super) fn look_up(
    wire: &mut Wire<'_>,
    metadata: &mut Metadata,
    scope: &Scope,
    read: &BTreeSet<Arc<str>>,
    budget: &mut QueryBudget<'_>,
    failures: &mut Vec<Failure>,
) -> HiddenTopics {
    if metadata.is_mock() {
        return HiddenTopics::new();
    }
    let plain = scope.topics.plain_names().unwrap_or_default();
    let read = read.iter().map(ToString::to_string);
    let wanted = read.filter(|topic| scope.topics.takes(topic));
    let mut names: BTreeSet<String> = plain.into_iter().chain(wanted).collect();
    names.retain(|name| metadata.topic(name).is_none());
    let mut hidden = HiddenTopics::new();
    if !names.is_empty() {
        let names: Vec<String> = names.into_iter().collect();
        match named_topics(wire, &names, budget) {
            Ok(topics) => {
                for topic in topics {
                    match topic.error.clone() {
                        Some(error) => drop(hidden.insert(topic.name, error)),
                        None => metadata.topics.push(topic),
                    }
                }
                metadata.topics.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Err(error) => hidden.extend(names.into_iter().map(|name| (name, error.clone()))),
        }
    }
    for (topic, error) in hidden.iter().filter(|(_, error)| !is_missing(error)) {
        let reason = format!("topic {topic}: {}", refusal(error));
        failures.push(QueryKind::Cluster.failed(reason));
    }
    look_for_others(wire, scope, budget, failures);
    hidden
}

/// Whether groups and topics may be missing in the lists that were asked for.
fn look_for_others(
    wire: &mut Wire<'_>,
    scope: &Scope,
    budget: &mut QueryBudget<'_>,
    failures: &mut Vec<Failure>,
) {
    let hides = |part: QueryKind, what: &str, prefix: &str| {
        let which = match prefix {
            "" => format!("all {what}s"),
            prefix => format!("all {what}s whose names begin with {prefix}"),
        };
        let reason =
            format!("not authorised to describe {which}: there may be others than are shown");
        part.failed_by(FailureKind::MayBeHidden, reason)
    };
    for prefix in scope.groups.listed_prefixes() {
        match may_list_groups(wire, &prefix, budget) {
            Ok(true) => {}
            Ok(false) => failures.push(hides(QueryKind::Groups, "group", &prefix)),
            Err(error) => {
                let reason = format!("whether all groups are listed is not known: {error}");
                failures.push(QueryKind::Groups.failed(reason));
            }
        }
    }
    for prefix in scope.topics.listed_prefixes() {
        match may_list_topics(wire, &prefix, budget) {
            Ok(true) => {}
            Ok(false) => failures.push(hides(QueryKind::Cluster, "topic", &prefix)),
            Err(error) => {
                let reason = format!("whether all topics are listed is not known: {error}");
                failures.push(QueryKind::Cluster.failed(reason));
            }
        }
    }
}

/// Whether it says that there is no such topic.
pub(super) fn is_missing(error: &KafkaError) -> bool {
    matches!(
        error.code,
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC | code::INVALID_TOPIC
    )
}

/// An error in words, where it is that something is not allowed.
pub(super) fn refusal(error: &KafkaError) -> String {
    match error.code {
        code::TOPIC_AUTHORIZATION_FAILED => format!("not authorised to describe it ({error})"),
        _ => error.to_string(),
    }
}
