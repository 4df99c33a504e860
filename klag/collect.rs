//! One snapshot of the cluster: groups, then what they have committed, then where the logs end, then what is unread.
//!
//! In this order, because a consumer that reads on between two questions then
//! shows as less behind than it was, never as ahead of the end.

mod active;
mod authorization;
mod group_partitions;
mod groups;
mod logs;
mod selection;
mod sizes;
mod times;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tools::cli::names::Selection;
use tools::cli::now_ms;
use tools::kafka::Client;
use tools::kafka::admin::{CommitTimes, Metadata, QueryBudget, Topic, Topics, metadata_over};
use tools::kafka::client::ContactError;
use tools::kafka::wire::Wire;

use crate::lag::{self, Lag, LagNote, ReaderIsolation, Unread};
use crate::limits::{Limits, UnknownRule};
use crate::row::{Group, Row};
use group_partitions::{CommittedOffset, GroupPartition};
use logs::Logs;
use sizes::Sizes;

/// What to collect.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) groups: Selection,
    pub(crate) topics: Selection,
    /// States that count, in lower case; none is all.
    pub(crate) states: Vec<String>,
    /// Whether a selection may fit nothing.
    pub(crate) allow_empty: bool,
    /// What is checked, if anything: then it matters that nothing is missing.
    pub(crate) limits: Limits,
    pub(crate) reader: ReaderIsolation,
    /// Whether to look for the first unread records.
    pub(crate) wants_time: bool,
    /// Whether to ask for all partitions of the topics, read by a group or not.
    pub(crate) wants_all_logs: bool,
    /// For how long a group without members is taken to read a topic after its last commit there.
    pub(crate) active_ms: Option<i64>,
    /// How far back to ask for the ends, for a rate from one snapshot.
    pub(crate) rate_window_ms: Option<i64>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// When the ends were asked for.
    pub(crate) taken: Option<Instant>,
    pub(crate) metadata: Metadata,
    pub(crate) groups: Vec<Arc<Group>>,
    pub(crate) rows: Vec<Row>,
    /// Where the partitions begin and end.
    pub(crate) logs: Logs,
    /// What the topics take on the brokers' disks; none where this user may not ask.
    pub(crate) sizes: Option<Sizes>,
    /// Questions that were not answered, but for those of rows.
    pub(crate) failures: Vec<Failure>,
}

/// How a report ends that found no limit exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// All of it.
    Complete,
    /// All of it, and something that a limit applies to is not known.
    Undetermined,
    /// Not all of it.
    Incomplete,
}

impl Snapshot {
    /// Whether all was seen that was asked for.
    pub(crate) fn completeness(&self, scope: &Scope) -> Completeness {
        if self.rows.iter().any(Row::has_unanswered) {
            return Completeness::Incomplete;
        }
        let mut completeness = Completeness::Complete;
        for failure in &self.failures {
            match failure.kind {
                // A report has a remark on it; those of metrics nobody reads.
                FailureKind::MayBeHidden if !scope.limits.is_some() && !scope.wants_all_logs => {}
                FailureKind::NothingThere if scope.limits.unknown == UnknownRule::Fail => {
                    completeness = Completeness::Undetermined;
                }
                _ => return Completeness::Incomplete,
            }
        }
        completeness
    }

    /// How many names, patterns, states and lines of limits fit nothing, or nothing that a group reads.
    pub(crate) fn unmatched(&self) -> usize {
        let kinds = self.failures.iter().map(|failure| failure.kind);
        kinds
            .filter(|kind| matches!(kind, FailureKind::Unmatched | FailureKind::NothingThere))
            .count()
    }

    /// Whether a question of this part was not answered.
    pub(crate) fn has_failed(&self, part: QueryKind) -> bool {
        let is_unanswered = match part {
            QueryKind::Offsets => self.rows.iter().any(Row::is_unanswered),
            QueryKind::Times => self.rows.iter().any(Row::is_time_unanswered),
            QueryKind::Cluster | QueryKind::Groups | QueryKind::LogDirs => false,
        };
        is_unanswered || self.failures.iter().any(|failure| failure.part == part)
    }
}

/// A question that was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) part: QueryKind,
    pub(crate) kind: FailureKind,
    pub(crate) reason: String,
}

/// Why something was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// A question was not answered, or not allowed.
    Unanswered,
    /// What was named does not exist.
    Unmatched,
    /// Group and topic exist, and the group has neither offsets nor members there: they may have expired.
    NothingThere,
    /// Brokers list only what this user may describe, and it may not describe everything that was asked for.
    MayBeHidden,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryKind {
    Cluster,
    Groups,
    /// Committed offsets, starts and ends.
    Offsets,
    Times,
    LogDirs,
}

impl QueryKind {
    pub(crate) const NAMES: [(QueryKind, &'static str); 5] = [
        (QueryKind::Cluster, "cluster"),
        (QueryKind::Groups, "groups"),
        (QueryKind::Offsets, "offsets"),
        (QueryKind::Times, "times"),
        (QueryKind::LogDirs, "log_dirs"),
    ];

    fn failed(self, reason: impl Into<String>) -> Failure {
        self.failed_by(FailureKind::Unanswered, reason)
    }

    fn failed_by(self, kind: FailureKind, reason: impl Into<String>) -> Failure {
        let (part, reason) = (self, reason.into());
        Failure { part, kind, reason }
    }
}

/// What looks before this one have found.
#[derive(Debug, Default)]
pub(crate) struct CollectState {
    groups: GroupNames,
    commit_times: CommitTimes,
}

/// The names of groups that were there once, so that they are missed when their coordinator is.
type GroupNames = BTreeSet<String>;

/// Asks all of it. What is not answered is in its row or among the failures; an error is that nobody answers at all.
pub(crate) fn collect(
    client: &Client,
    scope: &Scope,
    known: &mut CollectState,
    interrupted: &dyn Fn() -> bool,
) -> Result<Snapshot, ContactError> {
    let mut query = ClusterQuery::new(client, scope, interrupted)?;
    let finding = query.find_groups(&mut known.groups);
    let found = &finding.found;
    let positions = query.ask_positions(found);
    let hidden = query.look_up_hidden(&group_partitions::topics_of(found, &positions));
    let (mut group_partitions, groups_alone) =
        group_partitions::all(found, positions, &query.metadata, scope);
    query.retain_active(found, &mut group_partitions, &mut known.commit_times);
    query.check_selection(&finding, &hidden, &group_partitions, &groups_alone);
    query.retain_read_topics(&group_partitions);
    let mut logs = Logs::ask(&mut query, &group_partitions, hidden)?;
    let (taken_ms, taken) = (now_ms(), Instant::now());
    query.add_unanswered(&logs, &group_partitions);
    if scope.wants_all_logs {
        logs.ask_oldest(&mut query)?;
    }
    logs.ask_written(&mut query, taken_ms)?;
    let unread = query.ask_times(&group_partitions, &logs);
    let rows = group_partitions.into_iter().zip(unread);
    let row = |(one, unread)| row(one, &logs, &unread, scope.reader, taken_ms);
    let mut rows: Vec<Row> = rows.map(row).collect();
    query.mark_stale(&mut rows, taken_ms)?;
    rows.extend(groups_alone);
    let mut sizes = query.ask_sizes();
    if let Some(sizes) = &mut sizes {
        query.check_unlisted(sizes, &logs);
        sizes.retain(|(topic, _), _| query.metadata.topic(topic).is_some());
    }
    if interrupted() {
        return Err(ContactError::Interrupted);
    }
    let mut metadata = query.metadata;
    (metadata.topics).retain(|topic| scope.topics.takes(&topic.name));
    Ok(Snapshot {
        taken: Some(taken),
        metadata,
        groups: finding.found.into_iter().map(|found| found.group).collect(),
        rows,
        logs,
        sizes,
        failures: query.failures,
    })
}

/// The questions of one snapshot, and those that were not answered.
struct ClusterQuery<'a> {
    wire: Wire<'a>,
    metadata: Metadata,
    scope: &'a Scope,
    budget: QueryBudget<'a>,
    /// Topics that exist and that no chosen group reads.
    left_out: BTreeSet<String>,
    failures: Vec<Failure>,
}

impl<'a> ClusterQuery<'a> {
    fn new(
        client: &'a Client,
        scope: &'a Scope,
        interrupted: &'a dyn Fn() -> bool,
    ) -> Result<ClusterQuery<'a>, ContactError> {
        let mut wire = Wire::new(client);
        let metadata = metadata_over(&mut wire, Topics::All, interrupted)?;
        // Of all brokers, the one that has just answered first.
        let mut brokers = metadata.broker_ids();
        brokers.sort_by_key(|id| *id != metadata.origin.0);
        Ok(ClusterQuery {
            wire,
            metadata,
            scope,
            budget: QueryBudget::new(client.first_contact(), interrupted).among(brokers),
            left_out: BTreeSet::new(),
            failures: Vec::new(),
        })
    }

    /// Notes a question of this part that was not answered.
    fn fail(&mut self, part: QueryKind, reason: impl Into<String>) {
        self.failures.push(part.failed(reason));
    }

    /// Adds partitions that no group reads and whose leader did not answer, by its reason; others have rows that say so.
    fn add_unanswered(&mut self, logs: &Logs, group_partitions: &[GroupPartition]) {
        let read = group_partitions.iter();
        let read: HashSet<_> = read.map(|one| (&*one.topic, one.partition)).collect();
        let mut by_reason: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (topic, partition, error) in logs.unanswered() {
            if !read.contains(&(&**topic, partition)) {
                let first = || (0, format!("{topic} [{partition}]"));
                by_reason.entry(error.to_string()).or_insert_with(first).0 += 1;
            }
        }
        for (reason, (count, first)) in by_reason {
            let reason = format!("{}: {reason}", and_more(first, count));
            self.fail(QueryKind::Offsets, reason);
        }
    }

    /// Groups that are chosen choose the topics of which metrics are exported: those that they read.
    fn retain_read_topics(&mut self, group_partitions: &[GroupPartition]) {
        let scope = self.scope;
        if scope.wants_all_logs && (scope.groups.is_chosen() || !scope.states.is_empty()) {
            let read: BTreeSet<&str> = group_partitions.iter().map(|one| &*one.topic).collect();
            let left_out = |topic: &mut Topic| !read.contains(topic.name.as_str());
            let left_out = self.metadata.topics.extract_if(.., left_out);
            self.left_out.extend(left_out.map(|topic| topic.name));
        }
    }
}

/// The first names, and how many more there are.
pub(crate) fn and_more(first: String, count: usize) -> String {
    match count {
        1 => first,
        count => format!("{first} and {} more", count - 1),
    }
}

fn row(
    group_partition: GroupPartition,
    logs: &Logs,
    unread: &Unread,
    reader: ReaderIsolation,
    now_ms: i64,
) -> Row {
    let answer = logs.of(&group_partition.topic, group_partition.partition);
    let log = answer.as_ref().ok().copied();
    let lag = match (answer, &group_partition.committed) {
        (_, CommittedOffset::Failed(reason)) => unknown(LagNote::Unanswered(reason.clone())),
        (Err(note), _) => unknown(note),
        (Ok(log), CommittedOffset::At(committed)) => {
            lag::lag(*committed, log, reader, unread, now_ms)
        }
        (Ok(log), CommittedOffset::Share { first, lag }) => {
            lag::share_lag(*first, *lag, log, unread, now_ms)
        }
    };
    Row {
        committed: group_partition.committed.offset(),
        start: log.map(|log| log.start),
        end: log.map(|log| log.end),
        group: Some(group_partition.group),
        topic: Some(group_partition.topic),
        partition: Some(group_partition.partition),
        owner: group_partition.owner,
        lag,
        partitions: 1,
        ..Row::default()
    }
}

fn unknown(note: LagNote) -> Lag {
    Lag {
        notes: vec![note],
        ..Lag::default()
    }
}
