//! The group and the logs before anything is committed, and the reasons not to commit.

use std::collections::HashMap;

use tools::kafka::admin::groups::GroupListing;
use tools::kafka::admin::members::MemberDescription;
use tools::kafka::admin::offsets::offsets_over;
use tools::kafka::admin::{
    GroupKind, Isolation, Metadata, OffsetQuery, OffsetSpec, QueryBudget, Topics, committed,
    coordinators, describe_groups, list_groups, metadata_over, share_offsets,
};
use tools::kafka::client::ContactError;
use tools::kafka::error::{KafkaError, code};
use tools::kafka::wire::Wire;

use super::lines::Line;
use crate::admin_query::MAX_NAMED;
use crate::config::Commit;

/// The log start and the high watermark.
type LogBounds = Result<(i64, i64), KafkaError>;

/// The state of the cluster, in the order of the lines.
pub(super) struct Snapshot {
    /// Classic for a group that does not exist yet.
    pub(super) kind: GroupKind,
    pub(super) brokers: Vec<i32>,
    /// What the group has committed.
    pub(super) old: Vec<Option<i64>>,
    exists: bool,
    members: Vec<MemberDescription>,
    /// How many partitions each topic has; an error if it can't be used.
    topics: HashMap<String, Result<usize, KafkaError>>,
    bounds: Vec<LogBounds>,
}

impl Snapshot {
    /// Asks the cluster.
    pub(super) fn take(
        wire: &mut Wire<'_>,
        config: &Commit,
        lines: &[Line],
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Snapshot, ContactError> {
        let mut names: Vec<String> = lines.iter().map(|line| line.topic.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let metadata = metadata_over(wire, Topics::Named(&names), interrupted)?;
        let mut budget = QueryBudget::new(wire.client().first_contact(), interrupted);
        budget = budget.among(metadata.broker_ids());
        let state = GroupState::of(wire, &config.group, &metadata, &mut budget);
        let state = state.map_err(|error| {
            if interrupted() {
                return ContactError::Interrupted;
            }
            let reason = format!("group {}: {error}", config.group);
            ContactError::Answered(KafkaError::new(error.code, reason))
        })?;
        let bounds = log_bounds(wire, &metadata, lines, &mut budget)?;
        let old = lines.iter().map(|line| {
            let topic = state.positions.get(&line.topic)?;
            topic.get(&line.partition).copied()
        });
        let topics = names.into_iter().map(|name| {
            let count = partition_count(&metadata, &name);
            (name, count)
        });
        Ok(Snapshot {
            kind: state.kind,
            brokers: metadata.broker_ids(),
            old: old.collect(),
            exists: state.exists,
            members: state.members,
            topics: topics.collect(),
            bounds,
        })
    }

    /// Why nothing may be committed.
    pub(super) fn refusals(&self, config: &Commit, lines: &[Line]) -> Vec<String> {
        let group = &config.group;
        if !self.members.is_empty() {
            return vec![self.refusal_of_members(group)];
        }
        if config.deletes && !self.exists {
            return vec![format!("there is no group {group}")];
        }
        if self.kind == GroupKind::Share && config.metadata.is_some() {
            return vec![format!(
                "group {group} is a share group, which stores no --metadata"
            )];
        }
        let mut reasons = Vec::new();
        for (line, bounds) in lines.iter().zip(&self.bounds) {
            if let Err(reason) = self.check(config, line, bounds) {
                let Line {
                    number,
                    topic,
                    partition,
                    ..
                } = line;
                reasons.push(format!("line {number}: {topic} [{partition}]: {reason}"));
            }
        }
        if self.kind == GroupKind::Share && config.deletes {
            reasons.extend(self.partly_deleted(lines));
        }
        reasons
    }

    fn refusal_of_members(&self, group: &str) -> String {
        let shown = self.members.iter().take(MAX_NAMED);
        let shown: Vec<String> = shown
            .map(|member| format!("{} at {}", member.client, member.host))
            .collect();
        let more = match self.members.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let members = match self.members.len() {
            1 => "a member".to_owned(),
            count => format!("{count} members"),
        };
        let hint = if self.kind == GroupKind::Share {
            ""
        } else {
            "; a member with a group.instance.id stays for session.timeout.ms after its end"
        };
        format!(
            "group {group} has {members} ({}{more}), and its positions can be set only while it has none{hint}",
            shown.join(", ")
        )
    }

    fn check(&self, config: &Commit, line: &Line, bounds: &LogBounds) -> Result<(), String> {
        match self.topics.get(&line.topic) {
            Some(Ok(count)) if line.partition as usize >= *count => {
                return Err(format!("there is no such partition; the topic has {count}"));
            }
            Some(Err(error)) => return Err(error.to_string()),
            _ => {}
        }
        let Some(offset) = line.offset.filter(|_| !config.force) else {
            return Ok(());
        };
        match bounds {
            Ok((first, next)) if (*first..=*next).contains(&offset) => Ok(()),
            Ok((first, next)) => Err(format!(
                "offset {offset} is not in the log, which is {first} to {next}; --force commits it all the same"
            )),
            Err(error) => Err(format!(
                "the log's bounds are not known: {error}; --force commits without them"
            )),
        }
    }

    /// A share group's positions are deleted for a whole topic.
    fn partly_deleted(&self, lines: &[Line]) -> Vec<String> {
        let mut named: HashMap<&str, usize> = HashMap::new();
        for line in lines {
            *named.entry(&line.topic).or_default() += 1;
        }
        let mut reasons: Vec<String> = named
            .into_iter()
            .filter(|(topic, named)| matches!(self.topics.get(*topic), Some(Ok(count)) if count != named))
            .map(|(topic, _)| {
                format!("topic {topic}: a share group's positions are deleted for all partitions of a topic; name all of them")
            })
            .collect();
        reasons.sort_unstable();
        reasons
    }
}

fn partition_count(metadata: &Metadata, topic: &str) -> Result<usize, KafkaError> {
    let row = metadata.topic(topic);
    let row = row.ok_or_else(|| KafkaError::of(code::UNKNOWN_TOPIC))?;
    match &row.error {
        Some(error) => Err(error.clone()),
        None => Ok(row.partitions.len()),
    }
}

/// A group before its positions are changed.
struct GroupState {
    kind: GroupKind,
    exists: bool,
    members: Vec<MemberDescription>,
    /// By topic and partition.
    positions: HashMap<String, HashMap<i32, i64>>,
}

impl GroupState {
    fn of(
        wire: &mut Wire<'_>,
        group: &str,
        metadata: &Metadata,
        budget: &mut QueryBudget<'_>,
    ) -> Result<GroupState, KafkaError> {
        let coordinator = first(coordinators(wire, &[group.to_owned()], budget))?;
        let listing = listed(wire, group, coordinator, metadata, budget)?;
        let kind = listing
            .as_ref()
            .map_or(GroupKind::Classic, |listing| listing.kind);
        let members = match &listing {
            Some(_) => first(describe_groups(wire, &[(group, kind, coordinator)], budget))?.members,
            None => Vec::new(),
        };
        let mut positions: HashMap<String, HashMap<i32, i64>> = HashMap::new();
        if kind == GroupKind::Share {
            for row in first(share_offsets(wire, &[(group, coordinator)], budget))? {
                let topic = positions.entry(row.topic.to_string()).or_default();
                topic.extend(row.start.map(|start| (row.partition, start)));
            }
        } else {
            for row in first(committed(wire, &[(group, coordinator)], metadata, budget))? {
                let known = row.partitions.into_iter();
                let known = known.filter_map(|(partition, offset)| Some((partition, offset.ok()?)));
                positions
                    .entry(row.topic.to_string())
                    .or_default()
                    .extend(known);
            }
        }
        Ok(GroupState {
            kind,
            exists: listing.is_some() || !positions.is_empty(),
            members,
            positions,
        })
    }
}

/// The group as its coordinator lists it; `None` if it does not exist, or on the mock cluster, which lists none.
fn listed(
    wire: &mut Wire<'_>,
    group: &str,
    coordinator: i32,
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
) -> Result<Option<GroupListing>, KafkaError> {
    if metadata.is_mock() {
        return Ok(None);
    }
    let mut result = list_groups(wire, &[coordinator], budget);
    if let Some((_, error)) = result.errors.pop() {
        return Err(error);
    }
    Ok(result.groups.into_iter().find(|row| row.name == group))
}

/// The answer about the one thing that was asked for.
fn first<T>(answers: Vec<Result<T, KafkaError>>) -> Result<T, KafkaError> {
    let answer = answers.into_iter().next();
    answer.unwrap_or_else(|| Err(KafkaError::of(code::TIMED_OUT)))
}

fn log_bounds(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    lines: &[Line],
    budget: &mut QueryBudget<'_>,
) -> Result<Vec<LogBounds>, ContactError> {
    if lines.iter().all(|line| line.offset.is_none()) {
        return Ok(lines.iter().map(|_| Ok((0, 0))).collect());
    }
    let query = |line: &Line, spec| OffsetQuery {
        topic: line.topic.clone(),
        partition: line.partition,
        spec,
    };
    let specs = [OffsetSpec::Earliest, OffsetSpec::HighWatermark];
    let queries = lines
        .iter()
        .flat_map(|line| specs.map(|spec| query(line, spec)));
    let queries: Vec<OffsetQuery> = queries.collect();
    let isolation = Isolation::ReadUncommitted;
    let answers = offsets_over(wire, metadata, &queries, isolation, budget)?;
    let pairs = answers.chunks(2).map(|pair| match pair {
        [Ok(first), Ok(next)] => Ok((
            first.offset.unwrap_or_default(),
            next.offset.unwrap_or_default(),
        )),
        [Err(error), _] | [_, Err(error)] => Err(error.clone()),
        _ => Ok((0, 0)),
    });
    Ok(pairs.collect())
}
