//! One look at the cluster: groups, then what they have committed, then where the logs end, then what is unread.
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
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tools::cli::names::Selection;
use tools::kafka::Client;
use tools::kafka::client::ContactError;
use tools::kafka::cluster::{CommitTimes, Metadata, QueryBudget, Topics, metadata_over};
use tools::kafka::wire::Wire;

use crate::lag::{self, Lag, LagNote, ReaderIsolation, Unread};
use crate::limits::{Limit, LimitLine, UnknownRule};
use crate::row::{Group, Row};
use group_partitions::{CommittedOffset, GroupPartition};
use logs::Logs;
use sizes::Sizes;

/// What to look at.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) groups: Selection,
    pub(crate) topics: Selection,
    /// States that count, in lower case; none is all.
    pub(crate) states: Vec<String>,
    /// Whether a selection may fit nothing.
    pub(crate) allow_empty: bool,
    /// Whether limits are checked: then it matters that nothing is missing.
    pub(crate) is_check: bool,
    /// What was said of what is not known.
    pub(crate) unknown: UnknownRule,
    /// The lines of all files of limits.
    pub(crate) lines: Vec<LimitLine>,
    pub(crate) reader: ReaderIsolation,
    /// Whether to look for the first unread records.
    pub(crate) wants_time: bool,
    /// Whether to ask for all partitions of the topics, read by a group or not.
    pub(crate) wants_all_logs: bool,
    /// For how long a topic may be silent.
    pub(crate) stale: Limit,
    /// For how long a group without members is taken to read a topic after its last commit there.
    pub(crate) active_ms: Option<i64>,
    /// How far back to ask for the ends, for a rate from one look.
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
    /// What the topics take on the brokers' disks.
    pub(crate) sizes: Sizes,
    /// Questions that were not answered, but for those of rows.
    pub(crate) failures: Vec<Failure>,
}

/// How a look ends that found no limit exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// All of it.
    Complete,
    /// All of it, and something that a limit is on can't be told.
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
                FailureKind::MayBeHidden if !scope.is_check => {}
                FailureKind::NothingThere if scope.unknown == UnknownRule::Fail => {
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
    /// What it was about.
    pub(crate) part: QueryKind,
    /// What went wrong.
    pub(crate) kind: FailureKind,
    /// What there is to say.
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
    /// Brokers and topics.
    Cluster,
    /// Groups and their members.
    Groups,
    /// Committed offsets, starts and ends.
    Offsets,
    /// Times of records.
    Times,
    /// The sizes of the logs.
    LogDirs,
}

impl QueryKind {
    /// Every part with its name.
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
    let mut wire = Wire::new(client);
    let mut metadata = metadata_over(&mut wire, Topics::All, interrupted)?;
    let budget = QueryBudget::new(client.first_contact(), interrupted);
    let mut budget = budget.among(in_order_of_asking(&metadata));
    let mut failures = Vec::new();
    let finding = groups::find(
        &mut wire,
        &metadata,
        scope,
        &mut known.groups,
        &mut budget,
        &mut failures,
    );
    let found = &finding.found;
    let positions = group_partitions::ask(&mut wire, found, &metadata, &mut budget);
    let hidden = authorization::look_up(
        &mut wire,
        &mut metadata,
        scope,
        &group_partitions::topics_of(found, &positions),
        &mut budget,
        &mut failures,
    );
    let (mut group_partitions, groups_alone) =
        group_partitions::all(found, positions, &metadata, scope);
    active::retain(
        &mut wire,
        &metadata,
        scope,
        (found, &mut group_partitions),
        &mut known.commit_times,
        &mut budget,
        &mut failures,
    );
    selection::check(
        scope,
        &finding,
        &metadata,
        &hidden,
        (&group_partitions, &groups_alone),
        &mut failures,
    );
    retain_read_topics(&mut metadata, &group_partitions, scope);
    let mut logs = Logs::ask(
        &mut wire,
        &metadata,
        &group_partitions,
        hidden,
        scope,
        &mut budget,
    )?;
    let (taken_ms, taken) = (now_ms(), Instant::now());
    failures.extend(unanswered_logs(&logs, &group_partitions));
    let mut sizes = Sizes::default();
    if scope.wants_all_logs {
        logs.ask_oldest(&mut wire, &metadata, &mut budget)?;
        sizes = sizes::ask(&mut wire, &metadata, scope, &mut budget, &mut failures);
    }
    logs.ask_written(&mut wire, &metadata, scope, taken_ms, &mut budget)?;
    let unread = times::ask(
        &mut wire,
        &metadata,
        &group_partitions,
        &logs,
        scope,
        taken_ms,
        &mut budget,
    );
    let mut rows: Vec<Row> = group_partitions
        .into_iter()
        .zip(unread)
        .map(|(group_partition, unread)| {
            row(group_partition, &logs, &unread, scope.reader, taken_ms)
        })
        .collect();
    logs::mark_stale(
        &mut wire,
        &metadata,
        &mut rows,
        scope,
        taken_ms,
        &mut budget,
    )?;
    rows.extend(groups_alone);
    if interrupted() {
        return Err(ContactError::Interrupted);
    }
    metadata
        .topics
        .retain(|topic| scope.topics.takes(&topic.name));
    Ok(Snapshot {
        taken: Some(taken),
        metadata,
        groups: finding.found.into_iter().map(|found| found.group).collect(),
        rows,
        logs,
        sizes,
        failures,
    })
}

/// Partitions that no group reads and whose leader did not answer, by its reason; the others have rows that say so.
fn unanswered_logs(logs: &Logs, group_partitions: &[GroupPartition]) -> Vec<Failure> {
    let read: HashSet<(&str, i32)> = group_partitions
        .iter()
        .map(|one| (&*one.topic, one.partition))
        .collect();
    let mut by_reason: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (topic, partition, error) in logs.unanswered() {
        if !read.contains(&(topic, partition)) {
            let first = || (0, format!("{topic} [{partition}]"));
            by_reason.entry(error.to_string()).or_insert_with(first).0 += 1;
        }
    }
    let by_reason = by_reason.into_iter();
    let failure = |(reason, (count, first))| {
        QueryKind::Offsets.failed(format!("{}: {reason}", and_more(first, count)))
    };
    by_reason.map(failure).collect()
}

/// The first of so many, in words.
pub(crate) fn and_more(first: String, count: usize) -> String {
    match count {
        1 => first,
        count => format!("{first} and {} more", count - 1),
    }
}

/// Groups that are chosen choose the topics of which metrics are exported: those that they read.
fn retain_read_topics(metadata: &mut Metadata, group_partitions: &[GroupPartition], scope: &Scope) {
    if scope.wants_all_logs && (scope.groups.is_chosen() || !scope.states.is_empty()) {
        let read: BTreeSet<&str> = group_partitions.iter().map(|one| &*one.topic).collect();
        let topics = &mut metadata.topics;
        topics.retain(|topic| read.contains(topic.name.as_str()));
    }
}

/// All brokers, the one that has just answered first.
fn in_order_of_asking(metadata: &Metadata) -> Vec<i32> {
    let mut ids = metadata.broker_ids();
    ids.sort_by_key(|id| *id != metadata.origin.0);
    ids
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

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}
