//! Asks the cluster: every leader for its partitions, side by side.
//!
//! A broker that hangs is waited for once, and not beyond the time that the
//! first contact may take; its partitions then say so.

mod assemble;
mod windows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use tools::cli::now_ms;
use tools::kafka::admin::configs::BrokerConfigs;
use tools::kafka::admin::metadata::Broker;
use tools::kafka::admin::{
    Isolation, ListedOffset, LogDir, Metadata, OffsetQuery, QueryBudget, Topic, Topics, configs,
    denied_topics, is_internal, log_dirs, may_list_topics, metadata_over, offsets_over,
};
use tools::kafka::client::ContactError;
use tools::kafka::error::code;
use tools::kafka::wire::Wire;
use tools::kafka::{Client, KafkaError};

use crate::config::Scope;
use crate::partition_state::PartitionState;
use crate::verify::verify;
use assemble::{SPECS, bounds, configs_of, dirs_of, put_bytes, put_settings};

/// Everything that the cluster said.
pub(crate) struct Snapshot {
    /// When it was asked, milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// A row for each partition, by topic and number, and one for each topic that can't be looked at.
    pub(crate) partitions: Vec<PartitionState>,
    /// The brokers that are up, with their disks, or why those are not known.
    pub(crate) brokers: Vec<(Broker, Result<Vec<LogDir>, KafkaError>)>,
    /// Brokers that are to have replicas, how many, and that the cluster has not now.
    pub(crate) absent_brokers: BTreeMap<i32, usize>,
    /// Names and patterns that fit no topic.
    pub(crate) unmatched: Vec<String>,
    /// Whether there are topics and every one is excluded.
    pub(crate) excludes_all: bool,
    /// What topics begin with of which there may be some that this user is not shown.
    pub(crate) hidden: Vec<String>,
}

fn names_of(cluster: &Metadata) -> Vec<&str> {
    let topics = cluster.topics.iter();
    topics.map(|topic| topic.name.as_str()).collect()
}

/// Partitions of a leader by their indices among all partitions.
type ByLeader = BTreeMap<i32, Vec<usize>>;

/// How often a partition is asked again whose leader moved, or whose log was cut, while it was asked.
const ROUNDS: usize = 3;

impl Snapshot {
    /// Asks the cluster for all that `scope` names.
    ///
    /// # Errors
    /// Nobody answered at all, or a signal came.
    pub(crate) fn take(
        client: &Client,
        scope: &Scope,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Snapshot> {
        let names = scope.topics.plain_names();
        let topics = names.as_deref().map_or(Topics::All, Topics::Named);
        let mut wire = Wire::new(client);
        let mut cluster = metadata_over(&mut wire, topics, interrupted)?;
        let known: BTreeSet<String> = cluster.topics.iter().map(|t| t.name.clone()).collect();
        let is_named = names.is_some();
        let is_visible = is_named || scope.internal;
        cluster
            .topics
            .retain(|topic| is_visible || !topic.is_internal);
        let excludes_all = scope.topics.excludes_all(&names_of(&cluster));
        let is_missing = |topic: &Topic| topic.error.as_ref().is_some_and(KafkaError::is_no_topic);
        cluster
            .topics
            .retain(|topic| scope.topics.takes(&topic.name) && !is_missing(topic));
        let unmatched = scope.topics.unmatched(&names_of(&cluster));
        let mut partitions = states_of(&cluster.topics);
        let budget = QueryBudget::new(client.first_contact(), interrupted);
        let now_ms = now_ms();
        let mut query = ClusterQuery {
            wire,
            budget: budget.among(brokers_of(&cluster)),
            cluster,
            now_ms,
            since_ms: now_ms.saturating_sub(scope.window_ms),
        };
        let hidden = query.hidden_prefixes(scope)?;
        query.ask_bounds(&mut partitions)?;
        query.ask_settings(&mut partitions);
        // Of what is not named, the disks tell whether there is more than is shown.
        let dirs = query.ask_dirs(&partitions, !is_named);
        put_bytes(&mut partitions, &dirs);
        if !is_named {
            let on_disks = topics_on(&dirs, |topic| {
                let is_visible = scope.internal || !is_internal(topic);
                is_visible && scope.topics.takes(topic) && !known.contains(topic)
            });
            let denied = denied_topics(&mut query.wire, &on_disks, &mut query.budget)?;
            partitions.extend(states_of(&denied));
        }
        if let Some(max_age_ms) = scope.max_age_ms {
            query.ask_earliest(&mut partitions, max_age_ms);
        }
        if interrupted() {
            return Err(ContactError::Interrupted.into());
        }
        let absent_brokers = absent_brokers(&query.cluster);
        let brokers = query.cluster.brokers.into_iter().map(|broker| {
            let known = dirs.get(&broker.id).cloned();
            let unasked = || Err(KafkaError::of(code::TIMED_OUT));
            (broker, known.unwrap_or_else(unasked))
        });
        Ok(Snapshot {
            now_ms,
            partitions,
            brokers: brokers.collect(),
            absent_brokers,
            unmatched,
            excludes_all,
            hidden,
        })
    }
}

/// Brokers that replicas are on and that are none of the cluster's: dead ones, which it fences.
fn absent_brokers(cluster: &Metadata) -> BTreeMap<i32, usize> {
    let known = cluster.broker_ids();
    let mut absent = BTreeMap::new();
    let partitions = cluster.topics.iter().flat_map(|topic| &topic.partitions);
    for id in partitions.flat_map(|partition| &partition.replicas) {
        if !known.contains(id) {
            *absent.entry(*id).or_default() += 1;
        }
    }
    absent
}

/// All brokers, the one that has just answered first.
fn brokers_of(cluster: &Metadata) -> Vec<i32> {
    let mut ids = cluster.broker_ids();
    ids.sort_by_key(|id| *id != cluster.origin.0);
    ids
}

/// The topics that brokers have on their disks, as far as they are wanted.
fn topics_on(dirs: &Dirs, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let replicas = dirs.values().flatten().flatten();
    let topics = replicas.flat_map(|dir| &dir.replicas);
    let topics = topics.map(|replica| replica.topic.as_str());
    let topics: BTreeSet<&str> = topics.filter(|topic| is_wanted(topic)).collect();
    topics.into_iter().map(str::to_owned).collect()
}

/// A row for each partition before anybody was asked about it.
fn states_of(topics: &[Topic]) -> Vec<PartitionState> {
    let mut partitions = Vec::new();
    let unknown = || KafkaError::of(code::TIMED_OUT);
    let row = |topic: &Topic, partition, leader, replica_count, error: KafkaError| PartitionState {
        topic: topic.name.clone(),
        partition,
        leader,
        replica_count,
        bounds: Err(error.clone()),
        bytes: Err(error.clone()),
        settings: Err(error),
        notes: Vec::new(),
    };
    for topic in topics {
        if let Some(error) = &topic.error {
            partitions.push(row(topic, None, None, 0, error.clone()));
        }
        for partition in &topic.partitions {
            let leaderless = || {
                let error = partition.error.clone();
                error.unwrap_or_else(|| KafkaError::of(code::LEADER_NOT_AVAILABLE))
            };
            let error = partition.leader.map_or_else(leaderless, |_| unknown());
            let replicas = partition.replicas.len();
            partitions.push(row(
                topic,
                Some(partition.id),
                partition.leader,
                replicas,
                error,
            ));
        }
    }
    partitions
}

/// The partitions of each leader, by their indices.
fn by_leader(partitions: &[PartitionState]) -> ByLeader {
    let mut by_leader = ByLeader::new();
    for (index, state) in partitions.iter().enumerate() {
        if let Some(leader) = state.leader {
            by_leader.entry(leader).or_default().push(index);
        }
    }
    by_leader
}

/// What may well be answered if it is asked once more: its leader moved, or its log was cut.
fn is_retriable(state: &PartitionState) -> bool {
    let error = state.bounds.as_ref().err();
    error.is_some_and(|error| {
        matches!(
            error.code,
            code::NOT_LEADER | code::FENCED_LEADER_EPOCH | code::OFFSET_OUT_OF_RANGE
        )
    })
}

/// The questions of one snapshot.
pub(crate) struct ClusterQuery<'a> {
    pub(crate) wire: Wire<'a>,
    pub(crate) cluster: Metadata,
    pub(crate) budget: QueryBudget<'a>,
    pub(crate) now_ms: i64,
    since_ms: i64,
}

type Dirs = HashMap<i32, Result<Vec<LogDir>, KafkaError>>;
type Configs = HashMap<i32, Result<BrokerConfigs, KafkaError>>;

impl ClusterQuery<'_> {
    /// The beginnings of names of which not all topics may be listed.
    fn hidden_prefixes(&mut self, scope: &Scope) -> Result<Vec<String>, KafkaError> {
        let mut hidden = Vec::new();
        if self.cluster.is_mock() {
            return Ok(hidden);
        }
        for prefix in scope.topics.listed_prefixes() {
            if !may_list_topics(&mut self.wire, &prefix, &mut self.budget)? {
                hidden.push(prefix);
            }
        }
        Ok(hidden)
    }

    /// Every leader for what its partitions hold.
    fn ask_bounds(&mut self, partitions: &mut [PartitionState]) -> Result<(), ContactError> {
        let led = |(index, state): (usize, &PartitionState)| state.leader.map(|_| index);
        let mut asked: Vec<usize> = partitions.iter().enumerate().filter_map(led).collect();
        for round in 1..=ROUNDS {
            let questions = asked.iter();
            let questions = questions.flat_map(|&at| SPECS.map(|spec| partitions[at].query(spec)));
            let found = self.offsets(&questions.collect::<Vec<_>>())?;
            for (&index, answers) in asked.iter().zip(found.chunks(SPECS.len())) {
                partitions[index].bounds = bounds(answers);
            }
            self.ask_windows(partitions, &asked)?;
            verify(self, partitions, &asked);
            asked.retain(|&index| is_retriable(&partitions[index]));
            if asked.is_empty() || round == ROUNDS {
                break;
            }
            let all: Vec<String> = self.cluster.topics.iter().map(|t| t.name.clone()).collect();
            let topics = Topics::Named(&all);
            self.cluster = metadata_over(&mut self.wire, topics, self.budget.interrupted())?;
            for &index in &asked {
                let state = &mut partitions[index];
                let number = state.partition.unwrap_or(-1);
                state.leader = self.cluster.leader(&state.topic, number).ok();
            }
        }
        Ok(())
    }

    /// Offsets of all records.
    fn offsets(
        &mut self,
        questions: &[OffsetQuery],
    ) -> Result<Vec<Result<ListedOffset, KafkaError>>, ContactError> {
        let (wire, budget) = (&mut self.wire, &mut self.budget);
        let isolation = Isolation::ReadUncommitted;
        offsets_over(wire, &self.cluster, questions, isolation, budget)
    }

    fn ask_settings(&mut self, partitions: &mut [PartitionState]) {
        let asked = configs_of(&by_leader(partitions), partitions);
        let answers = configs(&mut self.wire, &asked, &mut self.budget);
        let brokers = asked.iter().map(|asked| asked.broker);
        let answers: Configs = brokers.zip(answers).collect();
        put_settings(partitions, &answers);
    }

    fn ask_dirs(&mut self, partitions: &[PartitionState], all: bool) -> Dirs {
        let asked = dirs_of(&self.cluster, &by_leader(partitions), partitions, all);
        let brokers: Vec<i32> = asked.iter().map(|asked| asked.broker).collect();
        let answers = log_dirs(&mut self.wire, asked, &mut self.budget);
        brokers.into_iter().zip(answers).collect()
    }
}
