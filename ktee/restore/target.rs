//! A topic that is restored: what is there, what is made, and what it holds in the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tools::kafka::KafkaError;
use tools::kafka::admin::{commit_offsets, create_topic};
use tools::kafka::cluster::{
    Isolation, Metadata, Patience, Question, Spec, Topics, coordinators, metadata_over, offsets,
    topic_settings,
};
use tools::kafka::wire::Wire;

use super::Partitions;
use crate::recorded::Recorded;

/// The settings that keep what is restored; the first is taken back by what is printed at the end.
const KEEPS_ALL: [(&str, &str); 3] = [
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    ("message.timestamp.type", "CreateTime"),
];
/// A setting without which large records would be refused.
const MAX_MESSAGE_BYTES: &str = "max.message.bytes";

/// A topic that is restored.
pub(super) struct Target {
    pub(super) topic: String,
    pub(super) partitions: Partitions,
    pub(super) recorded: Recorded,
    /// Whether it is not there yet.
    is_new: bool,
    /// The broker that makes topics.
    controller: Option<i32>,
    /// The end of each partition before.
    ends: BTreeMap<i32, i64>,
    /// Records sent, by partition.
    pub(super) sent: BTreeMap<i32, i64>,
    /// How many restored records each group has read, by partition.
    pub(super) translated: BTreeMap<i32, Vec<(String, i64)>>,
}

/// Asks what is there; refuses what would not keep the records as they are, unless `force`.
pub(super) fn inspect(
    targets: &mut [Target],
    wire: &mut Wire<'_>,
    force: bool,
    interrupted: &dyn Fn() -> bool,
) -> Result<()> {
    let names: Vec<String> = targets.iter().map(|target| target.topic.clone()).collect();
    let metadata = metadata_over(wire, Topics::Named(&names), interrupted)?;
    for target in targets {
        target.controller = metadata.any_broker();
        let known = metadata.topic(&target.topic);
        target.is_new = known.is_none_or(|topic| {
            topic
                .error
                .as_ref()
                .is_some_and(|error| is_unknown(error.code))
        });
        if target.is_new {
            continue;
        }
        let inspected = target.inspect(wire, &metadata, force, interrupted);
        inspected.with_context(|| format!("topic {}", target.topic))?;
    }
    Ok(())
}

fn is_unknown(error: i32) -> bool {
    use tools::kafka::error::code;
    matches!(
        error,
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC
    )
}

impl Target {
    pub(super) fn new(topic: String, partitions: Partitions, recorded: Recorded) -> Target {
        Target {
            topic,
            partitions,
            recorded,
            is_new: true,
            controller: None,
            ends: BTreeMap::new(),
            sent: BTreeMap::new(),
            translated: BTreeMap::new(),
        }
    }

    /// How many partitions it takes.
    fn partitions(&self) -> i32 {
        let highest = self
            .partitions
            .last_key_value()
            .map_or(0, |(partition, _)| *partition);
        self.recorded.partitions.unwrap_or(1).max(highest + 1)
    }

    fn inspect(
        &mut self,
        wire: &mut Wire<'_>,
        metadata: &Metadata,
        force: bool,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        let known = metadata.topic(&self.topic).context("no answer")?;
        if let Some(error) = &known.error {
            return Err(error.clone().into());
        }
        let highest = self
            .partitions
            .last_key_value()
            .map_or(0, |(partition, _)| *partition);
        ensure!(
            known.partitions.len() as i32 > highest,
            "it has {} partitions, and the backup has records of partition {highest}",
            known.partitions.len()
        );
        self.ends = self.ask_ends(wire, interrupted)?;
        if force {
            return Ok(());
        }
        let deadline = Instant::now() + wire.client().first_contact();
        let broker = self.controller.context("no broker is up")?;
        let settings = topic_settings(wire, broker, &self.topic, deadline, interrupted)?;
        let setting = |name: &str| {
            let found = settings.iter().find(|setting| setting.name == name);
            found.map_or("", |setting| setting.value.as_str())
        };
        let retention = setting("retention.ms");
        if retention != "-1" && setting("cleanup.policy").contains("delete") {
            bail!(
                "it is there with retention.ms={retention}, which would delete records with their old times; \
                 set it to -1 first, or say --force"
            );
        }
        if setting("message.timestamp.type") == "LogAppendTime" {
            bail!(
                "it is there with message.timestamp.type=LogAppendTime, which would give records new times; --force takes that"
            );
        }
        if self.ends.values().any(|end| *end > 0) {
            bail!("it is there and has had records; --force adds to them");
        }
        Ok(())
    }

    fn ask_ends(
        &self,
        wire: &mut Wire<'_>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<BTreeMap<i32, i64>> {
        let questions = self.partitions.keys().map(|&partition| Question {
            topic: self.topic.clone(),
            partition,
            spec: Spec::Latest,
        });
        let questions: Vec<Question> = questions.collect();
        let client = wire.client();
        let answers = offsets(client, &questions, Isolation::ReadUncommitted, interrupted)?;
        let mut ends = BTreeMap::new();
        for (question, answer) in questions.iter().zip(answers) {
            let found = answer.with_context(|| format!("partition {}", question.partition))?;
            ends.insert(question.partition, found.offset.unwrap_or(0));
        }
        Ok(ends)
    }

    /// Makes the topic, if it is not there.
    pub(super) fn create(
        &mut self,
        wire: &mut Wire<'_>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        if !self.is_new {
            return Ok(());
        }
        let mut settings = KEEPS_ALL.to_vec();
        let large = self
            .recorded
            .settings
            .iter()
            .find(|(name, _)| name == MAX_MESSAGE_BYTES);
        settings.extend(large.map(|(name, value)| (name.as_str(), value.as_str())));
        let deadline = Instant::now() + wire.client().first_contact().max(Duration::from_secs(10));
        create_topic(
            wire,
            self.controller.context("no broker is up")?,
            &self.topic,
            self.partitions(),
            &settings,
            deadline,
            interrupted,
        )
        .with_context(|| format!("cannot make topic {}", self.topic))
    }

    /// Recorded settings that the topic was not made with; NULL where it had none of its own.
    pub(super) fn settings_to_apply(&self) -> Vec<(String, Option<String>)> {
        if !self.is_new {
            return Vec::new();
        }
        let recorded = &self.recorded.settings;
        let mut settings: Vec<(String, Option<String>)> = recorded
            .iter()
            .filter(|(name, value)| {
                name != MAX_MESSAGE_BYTES && !KEEPS_ALL.contains(&(name.as_str(), value.as_str()))
            })
            .map(|(name, value)| (name.clone(), Some(value.clone())))
            .collect();
        for (name, _) in KEEPS_ALL {
            if !recorded.iter().any(|(known, _)| known == name) {
                settings.push((name.to_owned(), None));
            }
        }
        settings
    }

    /// Whether each partition has grown by what was sent, and by nothing else.
    pub(super) fn check_ends(
        &self,
        wire: &mut Wire<'_>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        let ends = self.ask_ends(wire, interrupted)?;
        for (partition, sent) in &self.sent {
            let before = self.ends.get(partition).copied().unwrap_or(0);
            let after = ends.get(partition).copied().unwrap_or(0);
            ensure!(
                after - before == *sent,
                "{} [{partition}]: {sent} records were restored and the partition has grown by {}: somebody else writes to it",
                self.topic,
                after - before
            );
        }
        Ok(())
    }

    /// Commits for each group what it had read.
    pub(super) fn commit_groups(
        &self,
        wire: &mut Wire<'_>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        let mut commits: BTreeMap<&str, Vec<(i32, i64)>> = BTreeMap::new();
        for (partition, groups) in &self.translated {
            let before = self.ends.get(partition).copied().unwrap_or(0);
            for (group, records) in groups {
                commits
                    .entry(group)
                    .or_default()
                    .push((*partition, before + records));
            }
        }
        let names: Vec<String> = commits.keys().map(|group| (*group).to_owned()).collect();
        let mut patience = Patience::new(
            wire.client().first_contact().max(Duration::from_secs(10)),
            interrupted,
        );
        // A group that is new here has a coordinator that is just being chosen.
        for attempt in 0.. {
            let found = coordinators(wire, &names, &mut patience);
            let failed = self.commit_at(wire, found, &commits, interrupted);
            match failed {
                Err((error, _)) if is_passing(error.code) && patience.pause(attempt) => {}
                Err((error, group)) => {
                    return Err(anyhow!(
                        "offsets of group {group} in topic {}: {error}",
                        self.topic
                    ));
                }
                Ok(()) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Commits at the coordinators that were found; the first failure with its group. What was committed may be again.
    fn commit_at(
        &self,
        wire: &mut Wire<'_>,
        found: Vec<Result<i32, KafkaError>>,
        commits: &BTreeMap<&str, Vec<(i32, i64)>>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), (KafkaError, String)> {
        for ((group, offsets), coordinator) in commits.iter().zip(found) {
            let deadline = Instant::now() + Duration::from_secs(10);
            let committed = coordinator.and_then(|broker| {
                commit_offsets(
                    wire,
                    broker,
                    group,
                    &self.topic,
                    offsets,
                    deadline,
                    interrupted,
                )
            });
            committed.map_err(|error| (error, (*group).to_owned()))?;
        }
        Ok(())
    }
}

/// Whether the coordinator is only not ready yet.
fn is_passing(error: i32) -> bool {
    use tools::kafka::error::code;
    matches!(
        error,
        code::NOT_COORDINATOR
            | code::COORDINATOR_NOT_AVAILABLE
            | code::COORDINATOR_LOAD_IN_PROGRESS
    )
}
