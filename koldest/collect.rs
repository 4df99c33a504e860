//! Asks the cluster: every leader for its partitions, side by side, in a thread of its own.
//!
//! A broker that hangs delays its own answers only, and not beyond the time
//! that the first contact may take; its partitions then say so.

mod assemble;
mod windows;

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use tools::cli::watch::now_ms;
use tools::kafka::admin::configs::BrokerConfigs;
use tools::kafka::admin::metadata::Broker;
use tools::kafka::admin::{
    LogDir, Metadata, QueryBudget, Topic, Topics, configs, log_dirs, may_list_topics, metadata,
};
use tools::kafka::client::ContactError;
use tools::kafka::error::code;
use tools::kafka::wire::Wire;
use tools::kafka::{Client, KafkaError};

use crate::config::Scope;
use crate::leader::{LeaderClient, NonEmptyLog};
use crate::partition_state::{LogBounds, PartitionState};
use crate::verify;
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
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Snapshot> {
        let names = scope.topics.plain_names();
        let topics = names.as_deref().map_or(Topics::All, Topics::Named);
        let mut cluster = metadata(client, topics, interrupted)?;
        let now_ms = now_ms();
        let is_named = names.is_some();
        let is_visible = is_named || scope.internal;
        cluster
            .topics
            .retain(|topic| is_visible || !topic.is_internal);
        let excludes_all = scope.topics.excludes_all(&names_of(&cluster));
        cluster
            .topics
            .retain(|topic| scope.topics.takes(&topic.name));
        let is_missing = |topic: &Topic| topic.error.as_ref().is_some_and(KafkaError::is_no_topic);
        cluster.topics.retain(|topic| !is_missing(topic));
        let unmatched = scope.topics.unmet(&names_of(&cluster));
        let hidden = hidden_topics(client, &cluster, scope, interrupted)?;
        let mut partitions = initial_states(&cluster);
        let by_leader = by_leader(&partitions, |_| true);
        let since_ms = now_ms.saturating_sub(scope.window_ms);
        let query = ClusterQuery {
            client,
            now_ms,
            since_ms,
            interrupted,
        };
        let (dirs, settings) = query.ask_all(&cluster, &by_leader, &mut partitions, scope.disks);
        for _ in 1..ROUNDS {
            let again = retriable_by_leader(&partitions);
            if again.is_empty() || interrupted() {
                break;
            }
            let all: Vec<String> = cluster.topics.iter().map(|t| t.name.clone()).collect();
            cluster = metadata(client, Topics::Named(&all), interrupted)?;
            renew_leaders(&mut partitions, &cluster);
            query.ask_bounds(&cluster, &retriable_by_leader(&partitions), &mut partitions);
        }
        put_bytes(&mut partitions, &dirs);
        if let Some(max_age_ms) = scope.max_age_ms {
            query.ask_earliest(&cluster, &mut partitions, max_age_ms);
        }
        if interrupted() {
            return Err(ContactError::Interrupted.into());
        }
        let absent_brokers = absent_brokers(&cluster);
        put_settings(&mut partitions, &settings);
        let brokers = cluster.brokers.into_iter().map(|broker| {
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

/// The beginnings of names of which not all topics may be listed.
fn hidden_topics(
    client: &Client,
    cluster: &Metadata,
    scope: &Scope,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<String>> {
    let mut hidden = Vec::new();
    if cluster.is_mock() {
        return Ok(hidden);
    }
    let mut ids: Vec<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
    ids.sort_by_key(|id| *id != cluster.origin.0);
    let mut budget = QueryBudget::new(client.first_contact(), interrupted).among(ids);
    let mut wire = Wire::new(client);
    for prefix in scope.topics.listed_prefixes() {
        if !may_list_topics(&mut wire, &prefix, &mut budget)? {
            hidden.push(prefix);
        }
    }
    Ok(hidden)
}

/// A row for each partition before anybody was asked about it.
fn initial_states(cluster: &Metadata) -> Vec<PartitionState> {
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
    for topic in &cluster.topics {
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

/// The partitions that `picks` takes, by their leaders.
fn by_leader(partitions: &[PartitionState], picks: impl Fn(&PartitionState) -> bool) -> ByLeader {
    let mut by_leader = ByLeader::new();
    for (index, state) in partitions.iter().enumerate() {
        if let Some(leader) = state.leader.filter(|_| picks(state)) {
            by_leader.entry(leader).or_default().push(index);
        }
    }
    by_leader
}

/// What may well be answered if it is asked once more.
fn retriable_by_leader(partitions: &[PartitionState]) -> ByLeader {
    by_leader(partitions, |state| {
        let error = state.bounds.as_ref().err();
        error.is_some_and(|error| {
            matches!(
                error.code,
                code::NOT_LEADER | code::FENCED_LEADER_EPOCH | code::OFFSET_OUT_OF_RANGE
            )
        })
    })
}

fn renew_leaders(partitions: &mut [PartitionState], cluster: &Metadata) {
    for state in partitions.iter_mut().filter(|state| state.bounds.is_err()) {
        let topic = cluster.topic(&state.topic);
        let partition = topic
            .zip(state.partition)
            .and_then(|(topic, id)| topic.partition(id));
        state.leader = partition.and_then(|partition| partition.leader);
    }
}

/// How the brokers are asked.
struct ClusterQuery<'a> {
    client: &'a Client,
    now_ms: i64,
    since_ms: i64,
    interrupted: &'a (dyn Fn() -> bool + Sync),
}

type Dirs = HashMap<i32, Result<Vec<LogDir>, KafkaError>>;
type Configs = HashMap<i32, Result<BrokerConfigs, KafkaError>>;

impl ClusterQuery<'_> {
    fn budget(&self) -> QueryBudget<'_> {
        QueryBudget::new(self.client.first_contact(), self.interrupted)
    }

    /// Extents, disks and settings, all at once.
    fn ask_all(
        &self,
        cluster: &Metadata,
        by_leader: &ByLeader,
        partitions: &mut [PartitionState],
        all_dirs: bool,
    ) -> (Dirs, Configs) {
        let dirs = dirs_of(cluster, by_leader, partitions, all_dirs);
        let asked = configs_of(by_leader, partitions);
        std::thread::scope(|scope| {
            let dirs = scope.spawn(move || {
                let brokers: Vec<i32> = dirs.iter().map(|asked| asked.broker).collect();
                let mut wire = Wire::new(self.client);
                let answers = log_dirs(&mut wire, dirs, &mut self.budget());
                brokers.into_iter().zip(answers).collect::<Dirs>()
            });
            let settings = scope.spawn(move || {
                let mut wire = Wire::new(self.client);
                let answers = configs(&mut wire, &asked, &mut self.budget());
                let brokers = asked.iter().map(|asked| asked.broker);
                brokers.zip(answers).collect::<Configs>()
            });
            self.ask_bounds(cluster, by_leader, partitions);
            let dirs = dirs.join().unwrap_or_default();
            (dirs, settings.join().unwrap_or_default())
        })
    }

    /// Every leader for what its partitions hold.
    fn ask_bounds(
        &self,
        cluster: &Metadata,
        by_leader: &ByLeader,
        partitions: &mut [PartitionState],
    ) {
        let shared: &[PartitionState] = partitions;
        let answers: Vec<(usize, Result<LogBounds, KafkaError>)> = std::thread::scope(|scope| {
            let threads: Vec<_> = by_leader
                .iter()
                .map(|(&broker, indices)| {
                    scope.spawn(move || {
                        let asked: Vec<&PartitionState> =
                            indices.iter().map(|&at| &shared[at]).collect();
                        let answers = self.ask_leader(cluster, broker, &asked);
                        indices.iter().copied().zip(answers).collect::<Vec<_>>()
                    })
                })
                .collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.flatten().flatten().collect()
        });
        for (index, bounds) in answers {
            partitions[index].bounds = bounds;
        }
    }

    /// One leader for what `asked` hold, an answer for each.
    fn ask_leader(
        &self,
        cluster: &Metadata,
        broker: i32,
        asked: &[&PartitionState],
    ) -> Vec<Result<LogBounds, KafkaError>> {
        let (mut wire, mut budget) = (Wire::new(self.client), self.budget());
        let mut leader = LeaderClient {
            wire: &mut wire,
            cluster,
            broker,
            budget: &mut budget,
        };
        let questions = asked.iter();
        let questions = questions.flat_map(|state| SPECS.map(|spec| state.query(spec)));
        let found = match leader.offsets(&questions.collect::<Vec<_>>()) {
            Ok(found) => found,
            Err(error) => {
                let error = KafkaError::new(code::TRANSPORT, error.to_string());
                return asked.iter().map(|_| Err(error.clone())).collect();
            }
        };
        let mut bounds_by_index: Vec<_> = found.chunks(SPECS.len()).map(bounds).collect();
        self.ask_windows(&mut leader, asked, &mut bounds_by_index);
        let mut open = Vec::new();
        let mut indices = Vec::new();
        for (index, (state, bounds)) in asked.iter().zip(&mut bounds_by_index).enumerate() {
            let Ok(bounds) = bounds else { continue };
            if bounds.log_start >= bounds.end {
                continue;
            }
            indices.push(index);
            open.push(NonEmptyLog {
                topic: &state.topic,
                partition: state.partition.unwrap_or(-1),
                bounds: std::mem::take(bounds),
                error: None,
            });
        }
        verify::verify(&mut leader, &mut open, self.now_ms);
        for (index, state) in indices.into_iter().zip(open) {
            bounds_by_index[index] = state.error.map_or(Ok(state.bounds), Err);
        }
        bounds_by_index
    }
}
