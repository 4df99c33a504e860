//! A topic that is restored: what is there, what is made, and what it holds in the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tools::kafka::admin::positions::{NewPosition, PositionChange, change_positions};
use tools::kafka::admin::{
    GroupKind, Isolation, Metadata, NewTopic, OffsetQuery, OffsetSpec, QueryBudget, Topics,
    create_topic, metadata_over, offsets, topic_settings,
};
use tools::kafka::error::code;
use tools::kafka::wire::Wire;
use tools::kafka::{Client, KafkaError, Options};

use super::compare::{Compared, Comparison};
use super::settings::{self, Pair};
use crate::config::Restore;
use crate::metadata::TopicMetadata;
use crate::read::{Selection, StoredLog};
use crate::store::Store;

/// What looking at a topic takes.
pub(super) struct Restoring<'a> {
    /// A consumer, tuned for reading.
    pub(super) client: &'a Client,
    pub(super) options: &'a Options,
    pub(super) store: &'a dyn Store,
    pub(super) config: &'a Restore,
    pub(super) interrupted: &'a dyn Fn() -> bool,
}

pub(super) struct Target {
    pub(super) topic: String,
    pub(super) recorded: TopicMetadata,
    /// Those with records in the backup, and those in which a group has committed.
    pub(super) partitions: BTreeMap<i32, TargetPartition>,
    /// Whether it is not there yet.
    is_new: bool,
    /// The settings that it has of its own.
    own: Vec<Pair>,
    /// The broker that makes topics.
    controller: Option<i32>,
}

#[derive(Default)]
pub(super) struct TargetPartition {
    /// What the backup has.
    pub(super) stored: Option<StoredLog>,
    /// Its end before.
    end: i64,
    /// How many records of the backup it had before.
    pub(super) present: i64,
    pub(super) sent: i64,
    /// How many restored records each group has read.
    pub(super) translated: Vec<(String, i64)>,
}

/// Asks what is there; refuses what would not keep the records as they are, unless forced. Changes nothing.
pub(super) fn inspect(
    targets: &mut [Target],
    wire: &mut Wire<'_>,
    restoring: &Restoring<'_>,
) -> Result<()> {
    let names: Vec<String> = targets.iter().map(|target| target.topic.clone()).collect();
    let metadata = metadata_over(wire, Topics::Named(&names), restoring.interrupted)?;
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
            target.try_to_create(wire, restoring.interrupted)?;
        } else {
            let inspected = target.inspect(wire, &metadata, restoring);
            inspected.with_context(|| format!("topic {}", target.topic))?;
        }
    }
    Ok(())
}

fn is_unknown(error: i32) -> bool {
    matches!(
        error,
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC
    )
}

impl Target {
    pub(super) fn new(
        topic: String,
        stored: Vec<(i32, StoredLog)>,
        recorded: TopicMetadata,
        selection: &Selection,
    ) -> Target {
        let mut partitions: BTreeMap<i32, TargetPartition> = BTreeMap::new();
        for (_, number, _) in &recorded.groups {
            if selection.partitions.is_empty() || selection.partitions.contains(number) {
                partitions.entry(*number).or_default();
            }
        }
        for (number, stored) in stored {
            partitions.entry(number).or_default().stored = Some(stored);
        }
        Target {
            topic,
            recorded,
            partitions,
            is_new: true,
            own: Vec::new(),
            controller: None,
        }
    }

    /// What the backup has of it.
    pub(super) fn stored(&self) -> impl Iterator<Item = &StoredLog> {
        self.partitions.values().filter_map(|it| it.stored.as_ref())
    }

    /// Whether nothing of it was restored, now or before.
    pub(super) fn is_empty(&self) -> bool {
        self.partitions.values().all(|it| it.sent + it.present == 0)
    }

    fn partition_count(&self) -> i32 {
        let highest = self
            .partitions
            .last_key_value()
            .map_or(0, |(number, _)| *number);
        self.recorded.partitions.unwrap_or(1).max(highest + 1)
    }

    fn inspect(
        &mut self,
        wire: &mut Wire<'_>,
        metadata: &Metadata,
        restoring: &Restoring<'_>,
    ) -> Result<()> {
        let force = restoring.config.force;
        let known = metadata.topic(&self.topic).context("no answer")?;
        if let Some(error) = &known.error {
            return Err(error.clone().into());
        }
        let count = known.partitions.len() as i32;
        let has_records = |stored: &StoredLog| !stored.segments.is_empty();
        let mut partitions = self.partitions.iter();
        let highest = partitions.rfind(|(_, it)| it.stored.as_ref().is_some_and(has_records));
        let highest = highest.map_or(0, |(number, _)| *number);
        ensure!(
            count > highest,
            "it has {count} partitions, and the backup has records of partition {highest}"
        );
        self.partitions.retain(|number, _| *number < count);
        let deadline = Instant::now() + wire.client().first_contact();
        let broker = self.controller.context("no broker is up")?;
        match topic_settings(wire, broker, &self.topic, deadline, restoring.interrupted) {
            Ok(found) => {
                if let Some(why) = settings::refusal(&found).filter(|_| !force) {
                    bail!(why);
                }
                let own = found.into_iter().filter(|setting| setting.is_own);
                self.own = own.map(|setting| (setting.name, setting.value)).collect();
            }
            // Then all recorded settings are reported at the end.
            Err(_) if force => {}
            Err(error) => {
                return Err(error).with_context(|| format!("settings of topic {}", self.topic));
            }
        }
        let ends = self.ask(wire, OffsetSpec::Latest, restoring.interrupted)?;
        let starts = self.ask(wire, OffsetSpec::Earliest, restoring.interrupted)?;
        for (&number, partition) in &mut self.partitions {
            partition.end = ends.get(&number).copied().unwrap_or(0);
            if partition.end == 0 {
                continue;
            }
            let start = starts.get(&number).copied().unwrap_or(-1);
            let compared = if start == 0 {
                compare(&self.topic, number, partition.stored.as_ref(), restoring)?
            } else {
                Err(format!("its records before offset {start} were deleted"))
            };
            match compared {
                Ok(present) => partition.present = present,
                Err(_) if force => {}
                Err(difference) => bail!(
                    "it is there, and partition {number} does not begin as the backup does: {difference}; \
                     --force adds to it"
                ),
            }
        }
        Ok(())
    }

    fn ask(
        &self,
        wire: &mut Wire<'_>,
        spec: OffsetSpec,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<BTreeMap<i32, i64>> {
        let questions = self.partitions.keys().map(|&partition| OffsetQuery {
            topic: self.topic.clone(),
            partition,
            spec,
        });
        let questions: Vec<OffsetQuery> = questions.collect();
        let client = wire.client();
        let answers = offsets(client, &questions, Isolation::ReadUncommitted, interrupted)?;
        let mut found = BTreeMap::new();
        for (question, answer) in questions.iter().zip(answers) {
            let answer = answer.with_context(|| format!("partition {}", question.partition))?;
            found.insert(question.partition, answer.offset.unwrap_or(0));
        }
        Ok(found)
    }

    /// Asks whether the topic could be made, and finds the settings that this cluster takes.
    fn try_to_create(&mut self, wire: &mut Wire<'_>, interrupted: &dyn Fn() -> bool) -> Result<()> {
        let mut refused = Ok(());
        for settings in settings::to_make(&self.recorded) {
            self.own = settings;
            refused = self.make(wire, true, interrupted);
            match &refused {
                Err(error) if error.code == code::INVALID_CONFIG => {}
                _ => break,
            }
        }
        refused.with_context(|| format!("cannot make topic {}", self.topic))
    }

    pub(super) fn create(
        &mut self,
        wire: &mut Wire<'_>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        if !self.is_new {
            return Ok(());
        }
        self.make(wire, false, interrupted)
            .with_context(|| format!("cannot make topic {}", self.topic))
    }

    fn make(
        &self,
        wire: &mut Wire<'_>,
        is_trial: bool,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), KafkaError> {
        let deadline = Instant::now() + wire.client().first_contact().max(Duration::from_secs(10));
        let topic = NewTopic {
            name: &self.topic,
            partitions: self.partition_count(),
            settings: &self.own,
        };
        let no_broker = || KafkaError::new(code::TIMED_OUT, "no broker is up");
        let broker = self.controller.ok_or_else(no_broker)?;
        create_topic(wire, broker, &topic, is_trial, deadline, interrupted)
    }

    /// Recorded settings that the topic does not have; NULL where it had none of its own.
    pub(super) fn settings_to_apply(&self) -> Vec<(String, Option<String>)> {
        settings::to_apply(&self.recorded, &self.own)
    }

    /// Whether each partition has grown by what was sent, and by nothing else.
    pub(super) fn check_ends(
        &self,
        wire: &mut Wire<'_>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        let ends = self.ask(wire, OffsetSpec::Latest, interrupted)?;
        for (number, partition) in &self.partitions {
            let after = ends.get(number).copied().unwrap_or(0);
            let (sent, grown) = (partition.sent, after - partition.end);
            ensure!(
                grown == sent,
                "{} [{number}]: {sent} records were restored and the partition has grown by {grown}: somebody else writes to it",
                self.topic,
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
        for (number, partition) in &self.partitions {
            let before = partition.end - partition.present;
            for (group, records) in &partition.translated {
                commits
                    .entry(group)
                    .or_default()
                    .push((*number, before + records));
            }
        }
        let mut budget = QueryBudget::new(
            wire.client().first_contact().max(Duration::from_secs(10)),
            interrupted,
        );
        for (group, offsets) in commits {
            let change = PositionChange {
                group,
                kind: GroupKind::Classic,
                metadata: "",
                deletes: false,
            };
            let positions = offsets.into_iter().map(|(partition, offset)| NewPosition {
                topic: self.topic.clone(),
                partition,
                offset: Some(offset),
            });
            let positions: Vec<NewPosition> = positions.collect();
            let results = change_positions(wire, &change, &positions, &mut budget);
            if let Some(error) = results.into_iter().find_map(Result::err) {
                bail!("offsets of group {group} in topic {}: {error}", self.topic);
            }
        }
        Ok(())
    }
}

/// How many records of the backup a partition has, if those are all that it has; else what it has instead.
fn compare(
    topic: &str,
    number: i32,
    stored: Option<&StoredLog>,
    restoring: &Restoring<'_>,
) -> Result<Result<i64, String>> {
    let (client, options) = (restoring.client, restoring.options);
    let mut comparison = Comparison::start(client, options, topic, number, restoring.interrupted)?;
    let selection = &restoring.config.source.selection;
    let read = match stored {
        Some(stored) => selection.read(
            restoring.store,
            stored,
            &mut |record, _, _| comparison.compare(record),
            // What can't be read was not sent before either.
            &mut |_| Ok(()),
        ),
        None => Ok(()),
    };
    match read {
        Err(error) if error.is::<Compared>() => {}
        Err(error) => return Err(error),
        Ok(()) => comparison.finish()?,
    }
    Ok(comparison.difference.map_or(Ok(comparison.same), Err))
}
