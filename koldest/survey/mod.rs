//! Asks the cluster: every leader for its partitions, side by side, in a thread of its own.
//!
//! A broker that hangs delays its own answers only, and not beyond the time
//! that the first contact may take; its partitions then say so.

mod assemble;
mod windows;

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tools::kafka::client::ContactError;
use tools::kafka::cluster::configs::Answered;
use tools::kafka::cluster::metadata::Broker;
use tools::kafka::cluster::{
    Isolation, LogDir, Metadata, Patience, Question, Topic, Topics, configs, log_dirs,
    may_list_topics, metadata, offsets_over,
};
use tools::kafka::error::code;
use tools::kafka::wire::Wire;
use tools::kafka::{Client, KafkaError};

use crate::config::Wanted;
use crate::ends::{self, Leader, Open};
use crate::facts::{Extent, Facts};
use assemble::{SPECS, configs_of, dirs_of, extent, put_bytes, put_settings};

/// Everything that the cluster said.
pub(crate) struct Survey {
    /// When it was asked, milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// A row for each partition, by topic and number, and one for each topic that can't be looked at.
    pub(crate) facts: Vec<Facts>,
    /// The brokers that are up, with their disks, or why those are not known.
    pub(crate) brokers: Vec<(Broker, Result<Vec<LogDir>, KafkaError>)>,
    /// Names and patterns that fit no topic.
    pub(crate) unmet: Vec<String>,
    /// What topics begin with of which there may be some that this user is not shown.
    pub(crate) hidden: Vec<String>,
}

/// Partitions of a leader by their places among all facts.
type Led = BTreeMap<i32, Vec<usize>>;

/// How often a partition is asked again whose leader moved, or whose log was cut, while it was asked.
const ROUNDS: usize = 3;

impl Survey {
    /// Asks the cluster all that is `wanted`.
    ///
    /// # Errors
    /// Nobody answered at all, or a signal came.
    pub(crate) fn take(
        client: &Client,
        wanted: &Wanted,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Survey> {
        let names = wanted.topics.plain_names();
        let topics = names.as_deref().map_or(Topics::All, Topics::Named);
        let mut cluster = metadata(client, topics, interrupted)?;
        let now_ms = now_ms();
        let is_named = names.is_some();
        cluster.topics.retain(|topic| {
            let is_visible = is_named || wanted.internal || !topic.is_internal;
            is_visible && wanted.topics.takes(&topic.name)
        });
        cluster.topics.retain(|topic| !is_missing(topic));
        let existing: Vec<&str> = cluster.topics.iter().map(|t| t.name.as_str()).collect();
        let unmet = wanted.topics.unmet(&existing);
        let hidden = hidden_topics(client, &cluster, wanted, interrupted)?;
        let mut facts = open_facts(&cluster);
        let led = led(&facts, |_| true);
        let since_ms = now_ms.saturating_sub(wanted.window_ms);
        let asker = Asker {
            client,
            now_ms,
            since_ms,
            interrupted,
        };
        let (dirs, settings) = asker.ask_all(&cluster, &led, &mut facts, wanted.disks);
        for _ in 1..ROUNDS {
            let again = led_again(&facts);
            if again.is_empty() || interrupted() {
                break;
            }
            let all: Vec<String> = cluster.topics.iter().map(|t| t.name.clone()).collect();
            cluster = metadata(client, Topics::Named(&all), interrupted)?;
            renew_leaders(&mut facts, &cluster);
            asker.ask_extents(&cluster, &led_again(&facts), &mut facts);
        }
        if interrupted() {
            return Err(ContactError::Interrupted.into());
        }
        put_settings(&mut facts, &settings);
        put_bytes(&mut facts, &dirs);
        let brokers = cluster.brokers.into_iter().map(|broker| {
            let known = dirs.get(&broker.id).cloned();
            let unasked = || Err(KafkaError::of(code::TIMED_OUT));
            (broker, known.unwrap_or_else(unasked))
        });
        Ok(Survey {
            now_ms,
            facts,
            brokers: brokers.collect(),
            unmet,
            hidden,
        })
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}

/// Whether it was asked for by its name, and there is none.
fn is_missing(topic: &Topic) -> bool {
    let error = topic.error.as_ref();
    error.is_some_and(|error| {
        matches!(
            error.code,
            code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC | code::INVALID_TOPIC
        )
    })
}

/// The beginnings of names of which not all topics may be listed.
fn hidden_topics(
    client: &Client,
    cluster: &Metadata,
    wanted: &Wanted,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<String>> {
    let mut hidden = Vec::new();
    if cluster.is_mock() {
        return Ok(hidden);
    }
    let mut ids: Vec<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
    ids.sort_by_key(|id| *id != cluster.origin.0);
    let mut patience = Patience::new(client.first_contact(), interrupted).among(ids);
    let mut wire = Wire::new(client);
    for prefix in wanted.topics.listed_prefixes() {
        if !may_list_topics(&mut wire, &prefix, &mut patience)? {
            hidden.push(prefix);
        }
    }
    Ok(hidden)
}

/// A row for each partition before anybody was asked about it.
fn open_facts(cluster: &Metadata) -> Vec<Facts> {
    let mut facts = Vec::new();
    let unknown = || KafkaError::of(code::TIMED_OUT);
    let row = |topic: &Topic, partition, leader, replica_count, error: KafkaError| Facts {
        topic: topic.name.clone(),
        partition,
        leader,
        replica_count,
        extent: Err(error.clone()),
        bytes: Err(error.clone()),
        settings: Err(error),
        notes: Vec::new(),
    };
    for topic in &cluster.topics {
        if let Some(error) = &topic.error {
            facts.push(row(topic, None, None, 0, error.clone()));
        }
        for partition in &topic.partitions {
            let leaderless = || {
                let error = partition.error.clone();
                error.unwrap_or_else(|| KafkaError::of(code::LEADER_NOT_AVAILABLE))
            };
            let error = partition.leader.map_or_else(leaderless, |_| unknown());
            let replicas = partition.replicas.len();
            facts.push(row(
                topic,
                Some(partition.id),
                partition.leader,
                replicas,
                error,
            ));
        }
    }
    facts
}

/// The partitions that `picks` takes, by their leaders.
fn led(facts: &[Facts], picks: impl Fn(&Facts) -> bool) -> Led {
    let mut led = Led::new();
    for (index, one) in facts.iter().enumerate() {
        if let Some(leader) = one.leader.filter(|_| picks(one)) {
            led.entry(leader).or_default().push(index);
        }
    }
    led
}

/// What may well be answered if it is asked once more.
fn led_again(facts: &[Facts]) -> Led {
    led(facts, |one| {
        let error = one.extent.as_ref().err();
        error.is_some_and(|error| {
            matches!(
                error.code,
                code::NOT_LEADER | code::FENCED_LEADER_EPOCH | code::OFFSET_OUT_OF_RANGE
            )
        })
    })
}

fn renew_leaders(facts: &mut [Facts], cluster: &Metadata) {
    for one in facts.iter_mut().filter(|one| one.extent.is_err()) {
        let topic = cluster.topic(&one.topic);
        let partition = topic
            .zip(one.partition)
            .and_then(|(topic, id)| topic.partition(id));
        one.leader = partition.and_then(|partition| partition.leader);
    }
}

/// How the brokers are asked.
struct Asker<'a> {
    client: &'a Client,
    now_ms: i64,
    since_ms: i64,
    interrupted: &'a (dyn Fn() -> bool + Sync),
}

type Dirs = HashMap<i32, Result<Vec<LogDir>, KafkaError>>;
type Configs = HashMap<i32, Result<Answered, KafkaError>>;

impl Asker<'_> {
    fn patience(&self) -> Patience<'_> {
        Patience::new(self.client.first_contact(), self.interrupted)
    }

    /// Extents, disks and settings, all at once.
    fn ask_all(
        &self,
        cluster: &Metadata,
        led: &Led,
        facts: &mut [Facts],
        all_dirs: bool,
    ) -> (Dirs, Configs) {
        let dirs = dirs_of(cluster, led, facts, all_dirs);
        let asked = configs_of(led, facts);
        std::thread::scope(|scope| {
            let dirs = scope.spawn(move || {
                let brokers: Vec<i32> = dirs.iter().map(|asked| asked.broker).collect();
                let mut wire = Wire::new(self.client);
                let answers = log_dirs(&mut wire, dirs, &mut self.patience());
                brokers.into_iter().zip(answers).collect::<Dirs>()
            });
            let settings = scope.spawn(move || {
                let mut wire = Wire::new(self.client);
                let answers = configs(&mut wire, &asked, &mut self.patience());
                let brokers = asked.iter().map(|asked| asked.broker);
                brokers.zip(answers).collect::<Configs>()
            });
            self.ask_extents(cluster, led, facts);
            let dirs = dirs.join().unwrap_or_default();
            (dirs, settings.join().unwrap_or_default())
        })
    }

    /// Every leader for what its partitions hold.
    fn ask_extents(&self, cluster: &Metadata, led: &Led, facts: &mut [Facts]) {
        let shared: &[Facts] = facts;
        let answers: Vec<(usize, Result<Extent, KafkaError>)> = std::thread::scope(|scope| {
            let threads: Vec<_> = led
                .iter()
                .map(|(&broker, places)| {
                    scope.spawn(move || {
                        let asked: Vec<&Facts> = places.iter().map(|&at| &shared[at]).collect();
                        let answers = self.ask_leader(cluster, broker, &asked);
                        places.iter().copied().zip(answers).collect::<Vec<_>>()
                    })
                })
                .collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.flatten().flatten().collect()
        });
        for (index, extent) in answers {
            facts[index].extent = extent;
        }
    }

    /// One leader for what `asked` hold, an answer for each.
    fn ask_leader(
        &self,
        cluster: &Metadata,
        broker: i32,
        asked: &[&Facts],
    ) -> Vec<Result<Extent, KafkaError>> {
        let mut wire = Wire::new(self.client);
        let mut patience = self.patience();
        let questions: Vec<Question> = asked
            .iter()
            .flat_map(|one| {
                SPECS.map(|spec| Question {
                    topic: one.topic.clone(),
                    partition: one.partition.unwrap_or(-1),
                    spec,
                })
            })
            .collect();
        let found = offsets_over(
            &mut wire,
            cluster,
            &questions,
            Isolation::ReadUncommitted,
            &mut patience,
        );
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let error = KafkaError::new(code::TRANSPORT, error.to_string());
                return asked.iter().map(|_| Err(error.clone())).collect();
            }
        };
        let mut extents: Vec<_> = found.chunks(SPECS.len()).map(extent).collect();
        self.ask_windows(&mut wire, cluster, asked, &mut extents, &mut patience);
        let mut open = Vec::new();
        let mut places = Vec::new();
        for (index, (one, extent)) in asked.iter().zip(&mut extents).enumerate() {
            let Ok(extent) = extent else { continue };
            if extent.log_start >= extent.end {
                continue;
            }
            places.push(index);
            open.push(Open {
                topic: &one.topic,
                partition: one.partition.unwrap_or(-1),
                extent: std::mem::take(extent),
                error: None,
            });
        }
        let mut leader = Leader {
            wire: &mut wire,
            cluster,
            broker,
            patience: &mut patience,
        };
        ends::make_sure(&mut leader, &mut open, self.now_ms);
        for (index, one) in places.into_iter().zip(open) {
            extents[index] = one.error.map_or(Ok(one.extent), Err);
        }
        extents
    }
}
