//! Names, patterns, states and limits that select nothing: a check must not be green because a name is misspelt.

use std::collections::BTreeSet;

use tools::cli::names::Name;

use super::authorization::HiddenTopics;
use super::group_partitions::GroupPartition;
use super::groups::FoundGroups;
use super::{ClusterQuery, Failure, FailureKind, QueryKind, Scope};
use crate::limits::LimitLine;
use crate::row::Row;

/// What was seen, as far as a selection is about it.
struct SelectionCheck<'a> {
    scope: &'a Scope,
    /// All groups that were listed.
    listed: Vec<&'a str>,
    /// The wanted groups of which something is known.
    groups: Vec<&'a str>,
    topics: Vec<&'a str>,
    hidden: &'a HiddenTopics,
    /// The partitions' groups and topics.
    group_partitions: BTreeSet<(&'a str, &'a str)>,
}

impl ClusterQuery<'_> {
    /// Adds what selects nothing to the failures, unless that is allowed.
    pub(super) fn check_selection(
        &mut self,
        finding: &FoundGroups,
        hidden: &HiddenTopics,
        group_partitions: &[GroupPartition],
        alone: &[Row],
    ) {
        if self.scope.allow_empty {
            return;
        }
        let known = finding.found.iter().filter(|found| found.error.is_none());
        let topics = self.metadata.topics.iter();
        let pairs = group_partitions.iter();
        let selection = SelectionCheck {
            scope: self.scope,
            listed: finding.listed.iter().map(String::as_str).collect(),
            groups: known.map(|found| found.group.name.as_str()).collect(),
            topics: topics.map(|topic| topic.name.as_str()).collect(),
            hidden,
            group_partitions: pairs.map(|p| (&*p.group.name, &*p.topic)).collect(),
        };
        let is_partial = alone.iter().any(Row::has_unanswered)
            || self.failures.iter().any(|failure| {
                let kinds = [FailureKind::Unanswered, FailureKind::Unmatched];
                kinds.contains(&failure.kind)
            });
        let before = self.failures.len();
        selection.check_names(&mut self.failures);
        selection.check_lines(&mut self.failures);
        // Where something was not answered, what is missing may be there.
        if !is_partial && self.failures.len() == before {
            selection.check_partitions(&mut self.failures);
        }
        if !is_partial && self.failures.len() == before {
            selection.check_limits(alone, &mut self.failures);
        }
    }
}

impl SelectionCheck<'_> {
    /// Groups and topics that do not exist.
    fn check_names(&self, failures: &mut Vec<Failure>) {
        let before = failures.len();
        let mut missing = |part: QueryKind, reason: String| {
            failures.push(part.failed_by(FailureKind::Unmatched, reason));
        };
        for name in self.scope.topics.wanted() {
            let is_hidden = |topic: &str| {
                let error = self.hidden.get(topic);
                error.is_some_and(|error| !error.is_no_topic())
            };
            let is_refused = matches!(name, Name::Plain(plain) if is_hidden(plain));
            if !is_refused && !self.topics.iter().any(|topic| name.matches(topic)) {
                let reason = match name {
                    Name::Plain(name) => format!("there is no topic {name}"),
                    Name::Pattern(pattern) => format!("no topic matches {pattern}"),
                };
                missing(QueryKind::Cluster, reason);
            }
        }
        let taken = |name: &str| self.scope.groups.takes(name);
        for name in self.scope.groups.wanted() {
            // A group that was named and is not there has a row that says so.
            let is_pattern = matches!(name, Name::Pattern(_));
            let mut groups = self.listed.iter().chain(&self.groups);
            if is_pattern && !groups.any(|group| name.matches(group) && taken(group)) {
                missing(QueryKind::Groups, format!("no group matches {name}"));
            }
        }
        let exclusions = [
            (QueryKind::Groups, "group", &self.scope.groups, &self.listed),
            (
                QueryKind::Cluster,
                "topic",
                &self.scope.topics,
                &self.topics,
            ),
        ];
        for (part, what, selection, existing) in exclusions {
            if failures.len() == before && selection.excludes_all(existing) {
                let reason = format!("every {what} is excluded");
                failures.push(part.failed_by(FailureKind::Unmatched, reason));
            }
        }
    }

    /// Groups that have nothing in the topics, and topics that no group has anything in.
    fn check_partitions(&self, failures: &mut Vec<Failure>) {
        let scope = self.scope;
        let names_topics = !scope.topics.wanted().is_empty();
        let mut nothing = |reason: String| {
            failures.push(QueryKind::Offsets.failed_by(FailureKind::NothingThere, reason));
        };
        let in_words = |names: &[Name]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            names.join(", ")
        };
        let (groups, topics) = (scope.groups.wanted(), scope.topics.wanted());
        let nothing_there = self.nothing_there();
        if names_topics && !groups.is_empty() && self.group_partitions.is_empty() {
            nothing(format!(
                "{} has {nothing_there} in {}",
                in_words(groups),
                in_words(topics)
            ));
            return;
        }
        for group in groups {
            let mut pairs = self.group_partitions.iter();
            if !pairs.any(|(name, _)| group.matches(name)) {
                let place = if names_topics { " in these topics" } else { "" };
                nothing(format!("{group} has {nothing_there}{place}"));
            }
        }
        // Metrics are about topics that nobody reads, too.
        for topic in topics.iter().filter(|_| !scope.wants_all_logs) {
            let mut pairs = self.group_partitions.iter();
            if !pairs.any(|(_, name)| topic.matches(name)) {
                nothing(format!("{} in {topic}", self.no_group()));
            }
        }
    }

    /// Limits that apply to nothing that was seen: they were not checked.
    fn check_limits(&self, alone: &[Row], failures: &mut Vec<Failure>) {
        let groups_alone = alone.iter().map(|row| (row.group_name(), row.topic_name()));
        let seen: Vec<(&str, &str)> = (self.group_partitions.iter().copied())
            .chain(groups_alone)
            .collect();
        for (option, limit) in self.scope.limits.all() {
            let is_applied = seen
                .iter()
                .any(|(group, topic)| limit.of(group, topic).is_some());
            if limit.is_some() && !is_applied {
                let reason = format!(
                    "{option} checks nothing: {} where it applies",
                    self.no_group()
                );
                failures.push(QueryKind::Offsets.failed_by(FailureKind::Unmatched, reason));
            }
        }
    }

    /// What is so where nothing is in the report.
    fn no_group(&self) -> &'static str {
        match self.scope.active_ms {
            None => "no group has offsets or members",
            Some(_) => "no group is active",
        }
    }

    /// What a group lacks that is not in the report.
    fn nothing_there(&self) -> &'static str {
        match self.scope.active_ms {
            None => "neither offsets nor members",
            Some(_) => "neither members nor commits within --active",
        }
    }

    /// Lines of limits that are about nothing.
    fn check_lines(&self, failures: &mut Vec<Failure>) {
        for line in self.scope.limits.lines() {
            if let Some(what) = self.fault_of(line) {
                let reason = format!("{}: {what}", line.location);
                failures.push(QueryKind::Offsets.failed_by(FailureKind::Unmatched, reason));
            }
        }
    }

    /// Why a line is about nothing; none where it is about something, or about what was not asked for.
    fn fault_of(&self, line: &LimitLine) -> Option<String> {
        let all = self.listed.iter().chain(&self.groups).copied();
        let groups: Vec<&str> = all.filter(|group| line.matches_group(group)).collect();
        let topics = self.topics.iter().copied();
        let topics: Vec<&str> = topics.filter(|topic| line.matches_topic(topic)).collect();
        let name = |name: &Option<Name>| name.as_ref().map_or("*".to_owned(), Name::to_string);
        if groups.is_empty() {
            return Some(format!("no group matches {}", name(&line.group)));
        }
        if topics.is_empty() {
            return Some(format!("no topic matches {}", name(&line.topic)));
        }
        let is_asked_for = groups.iter().any(|group| self.scope.groups.takes(group))
            && topics.iter().any(|topic| self.scope.topics.takes(topic));
        let mut group_partitions = self.group_partitions.iter();
        if !is_asked_for || group_partitions.any(|(group, topic)| line.matches(group, topic)) {
            return None;
        }
        Some(format!(
            "{} has {} in {}",
            name(&line.group),
            self.nothing_there(),
            name(&line.topic)
        ))
    }
}
