//! What this user is not shown: topics and groups that it may not describe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tools::cli::names::may_be_hidden;
use tools::kafka::KafkaError;
use tools::kafka::admin::commits::OFFSETS_TOPIC;
use tools::kafka::admin::{
    denied_topics, is_internal, lacks_coordinator, may_list_groups, may_list_topics, named_topics,
};

use super::logs::Logs;
use super::sizes::Sizes;
use super::{ClusterQuery, Failure, FailureKind, QueryKind};

/// Topics that the cluster did not list, and what it says when it is asked for them by name.
pub(super) type HiddenTopics = BTreeMap<String, KafkaError>;

impl ClusterQuery<'_> {
    /// Asks for what the lists leave out: topics that were named or that a group reads, by name, and whether there may
    /// be others. A topic that is there after all joins the metadata.
    pub(super) fn look_up_hidden(&mut self, read: &BTreeSet<Arc<str>>) -> HiddenTopics {
        let mut hidden = HiddenTopics::new();
        if self.metadata.is_mock() {
            return hidden;
        }
        let has_groups = !read.is_empty();
        let topics = &self.scope.topics;
        let read = read.iter().map(ToString::to_string);
        let wanted = read.filter(|topic| topics.takes(topic));
        let plain = topics.plain_names().unwrap_or_default();
        let mut names: BTreeSet<String> = plain.into_iter().chain(wanted).collect();
        names.retain(|name| self.metadata.topic(name).is_none());
        let names: Vec<String> = names.into_iter().collect();
        let found = if names.is_empty() {
            Ok(Vec::new())
        } else {
            named_topics(&mut self.wire, &names, &mut self.budget)
        };
        match found {
            Ok(topics) => {
                for topic in topics {
                    match topic.error.clone() {
                        Some(error) => drop(hidden.insert(topic.name, error)),
                        None => self.metadata.topics.push(topic),
                    }
                }
                self.metadata.topics.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Err(error) => hidden.extend(names.into_iter().map(|name| (name, error.clone()))),
        }
        for (topic, error) in hidden.iter().filter(|(_, error)| !error.is_no_topic()) {
            let reason = format!("topic {topic}: {}", error.refusal("describe"));
            self.fail(QueryKind::Cluster, reason);
        }
        for prefix in self.scope.groups.listed_prefixes() {
            // Before there are groups, the question would create __consumer_offsets.
            if has_groups && self.metadata.topic(OFFSETS_TOPIC).is_none() {
                self.check_coordinators(&prefix);
            }
            let may_list = may_list_groups(&mut self.wire, &prefix, &mut self.budget);
            self.add_hidden(QueryKind::Groups, "groups", &prefix, may_list);
        }
        for prefix in self.scope.topics.listed_prefixes() {
            let may_list = may_list_topics(&mut self.wire, &prefix, &mut self.budget);
            self.add_hidden(QueryKind::Cluster, "topics", &prefix, may_list);
        }
        hidden
    }

    /// Adds that groups may be missing because their coordinator is gone.
    fn check_coordinators(&mut self, prefix: &str) {
        let reason = match lacks_coordinator(&mut self.wire, prefix, &mut self.budget) {
            Ok(false) => return,
            Ok(true) => "groups whose coordinator is gone are not listed".to_owned(),
            Err(error) => format!("whether all groups are listed is not known: {error}"),
        };
        self.fail(QueryKind::Groups, reason);
    }

    /// Adds the topics that no list has and that brokers have logs of: a rule denies just these.
    pub(super) fn check_unlisted(&mut self, sizes: &Sizes, logs: &Logs) {
        // Where not even the names may be listed, the failures have that already.
        let is_hidden = |failure: &Failure| {
            failure.kind == FailureKind::MayBeHidden && failure.part == QueryKind::Cluster
        };
        if self.failures.iter().any(is_hidden) {
            return;
        }
        let topics = sizes.keys().map(|(topic, _)| topic.as_str());
        let topics: BTreeSet<&str> = topics
            .filter(|topic| self.metadata.topic(topic).is_none() && !self.left_out.contains(*topic))
            .filter(|topic| !is_internal(topic) && !logs.is_hidden(topic))
            .collect();
        let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
        match denied_topics(&mut self.wire, &topics, &mut self.budget) {
            Ok(denied) => self.failures.extend(denied.into_iter().map(|topic| {
                let reason = format!(
                    "topic {}: not authorised to describe it: groups may read it",
                    topic.name
                );
                QueryKind::Cluster.failed_by(FailureKind::MayBeHidden, reason)
            })),
            Err(error) => self.fail(
                QueryKind::Cluster,
                format!("whether all topics are listed is not known: {error}"),
            ),
        }
    }

    /// Adds that groups or topics may be missing in the lists that were asked for.
    fn add_hidden(
        &mut self,
        part: QueryKind,
        what: &str,
        prefix: &str,
        may_list: Result<bool, KafkaError>,
    ) {
        self.failures.push(match may_list {
            Ok(true) => return,
            Ok(false) => part.failed_by(FailureKind::MayBeHidden, may_be_hidden(what, prefix)),
            Err(error) => part.failed(format!(
                "whether all {what} are listed is not known: {error}"
            )),
        });
    }
}
