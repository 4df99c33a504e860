//! Where partitions begin and end, and what was produced since when.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tools::kafka::KafkaError;
use tools::kafka::admin::{
    Isolation, LogSpan, Metadata, OffsetQuery, OffsetSpec, Topic, count_after, first_since,
    offsets::ListedOffset, offsets_over,
};
use tools::kafka::client::ContactError;
use tools::kafka::error::code;
use tools::units::CLOCK_TOLERANCE_MS;

use super::ClusterQuery;
use super::authorization::HiddenTopics;
use super::group_partitions::GroupPartition;
use crate::lag::{LagNote, Log};
use crate::row::Row;

type Key = (Arc<str>, i32);

/// Where each partition begins and ends, or why that is not known.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    ends: HashMap<Key, Result<Log, KafkaError>>,
    /// How many messages were written in the window that a rate is over.
    written: HashMap<Key, i64>,
    /// When the first record that is kept was written.
    oldest_ms: HashMap<Key, i64>,
    /// Topics of which the cluster says nothing but why.
    hidden: HiddenTopics,
}

impl Logs {
    /// Asks for the partitions of `group_partitions`, or all of the topics where the scope says so.
    pub(super) fn ask(
        query: &mut ClusterQuery<'_>,
        group_partitions: &[GroupPartition],
        hidden: HiddenTopics,
    ) -> Result<Logs, ContactError> {
        let existing = existing_partitions(&query.metadata);
        let read = group_partitions.iter();
        let read = read.map(|one| (Arc::clone(&one.topic), one.partition));
        let mut keys: HashSet<Key> = read
            .filter(|(topic, id)| existing.contains(&(&**topic, *id)))
            .collect();
        if query.scope.wants_all_logs {
            let topics = query.metadata.topics.iter();
            for topic in topics.filter(|topic| query.scope.topics.takes(&topic.name)) {
                keys.extend(keys_of(topic));
            }
        }
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_unstable();
        // The end is asked for last in this order; where answers cross, the larger number is the end.
        let specs = [
            OffsetSpec::Earliest,
            OffsetSpec::LastStable,
            OffsetSpec::HighWatermark,
        ];
        let answers = query.ask_each(&keys, &specs)?;
        let answers = answers.chunks(specs.len());
        let ends = keys.into_iter().zip(answers);
        let ends = ends.map(|(key, answers)| (key, log(answers))).collect();
        Ok(Logs {
            ends,
            hidden,
            ..Logs::default()
        })
    }

    /// Asks when the first record of every partition was written, for metrics.
    pub(super) fn ask_oldest(&mut self, query: &mut ClusterQuery<'_>) -> Result<(), ContactError> {
        let keys = self.answered();
        let answers = query.ask_each(&keys, &[OffsetSpec::Time(0)])?;
        let times = keys.into_iter().zip(answers);
        self.oldest_ms = times
            .filter_map(|(key, answer)| Some((key, answer.ok()?.timestamp_ms?)))
            .collect();
        Ok(())
    }

    /// When the first record that is kept was written, where that was asked for and told.
    pub(crate) fn oldest_ms(&self, topic: &Arc<str>, partition: i32) -> Option<i64> {
        let key = (Arc::clone(topic), partition);
        self.oldest_ms.get(&key).copied()
    }

    fn answered(&self) -> Vec<Key> {
        let answered = self.ends.iter().filter(|(_, log)| log.is_ok());
        answered.map(|(key, _)| key.clone()).collect()
    }

    /// The log of a partition, or what there is to say instead.
    pub(super) fn of(&self, topic: &Arc<str>, partition: i32) -> Result<Log, LagNote> {
        let key = (Arc::clone(topic), partition);
        match (self.ends.get(&key), self.hidden.get(&**topic)) {
            (Some(Ok(log)), _) => Ok(*log),
            (Some(Err(error)), _) | (None, Some(error)) if !is_gone(error) => {
                Err(LagNote::Unanswered(error.refusal()))
            }
            // What exists was asked for.
            (Some(Err(_)) | None, _) => {
                let reason = "there is no such partition any more";
                Err(LagNote::Gone(reason.to_owned()))
            }
        }
    }

    /// The partitions that were asked for in vain, and why, in no order.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = (&Arc<str>, i32, &KafkaError)> {
        self.ends.iter().filter_map(|((topic, partition), log)| {
            let error = log.as_ref().err().filter(|error| !is_gone(error))?;
            Some((topic, *partition, error))
        })
    }

    /// All partitions that were asked for, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Result<Log, KafkaError>)> {
        self.ends.iter()
    }

    /// How many messages were written to a partition in the window, where it was asked for and told.
    pub(crate) fn written(&self, topic: &Arc<str>, partition: i32) -> Option<i64> {
        let key = (Arc::clone(topic), partition);
        self.written.get(&key).copied()
    }

    /// Asks what was written a while ago and since, if a rate from one look is wanted.
    ///
    /// Messages that are dated ahead are in no window. They are counted by reading, where there are any.
    pub(super) fn ask_written(
        &mut self,
        query: &mut ClusterQuery<'_>,
        now_ms: i64,
    ) -> Result<(), ContactError> {
        let Some(window_ms) = query.scope.rate_window_ms else {
            return Ok(());
        };
        let (since_ms, until_ms) = (now_ms - window_ms, now_ms + CLOCK_TOLERANCE_MS);
        let keys = self.answered();
        let specs = [
            OffsetSpec::Time(since_ms.max(0)),
            OffsetSpec::Time(until_ms + 1),
        ];
        let answers = query.ask_each(&keys, &specs)?;
        let (mut unclear, mut with_ahead) = (Vec::new(), Vec::new());
        for (key, answer) in keys.into_iter().zip(answers.chunks(specs.len())) {
            let Some(Ok(Log { end, .. })) = self.ends.get(&key) else {
                continue;
            };
            let [Ok(since), Ok(ahead)] = answer else {
                continue;
            };
            let span = |from: i64| LogSpan {
                topic: Arc::clone(&key.0),
                partition: key.1,
                from,
                until: *end,
            };
            let first = since.offset.unwrap_or(*end);
            if since.timestamp_ms > Some(until_ms) {
                unclear.push(span(first));
            } else if ahead.offset.is_some_and(|ahead| ahead < *end) {
                with_ahead.push(span(first));
            } else {
                self.written.insert(key, (*end - first).max(0));
            }
        }
        let window = (since_ms, until_ms);
        let found = query.first_since(&unclear, window);
        for (span, first) in unclear.into_iter().zip(found) {
            if let Ok(Some(from)) = first {
                with_ahead.push(LogSpan { from, ..span });
            }
        }
        let (wire, budget) = (&mut query.wire, &mut query.budget);
        let counts = count_after(wire, &with_ahead, until_ms, &query.metadata, budget);
        for (span, count) in with_ahead.into_iter().zip(counts) {
            if let Ok(Some(count)) = count {
                let written = span.until - span.from - count;
                self.written
                    .insert((span.topic, span.partition), written.max(0));
            }
        }
        Ok(())
    }
}

impl ClusterQuery<'_> {
    /// Marks the rows of topics to which nothing was produced for longer than the limit.
    pub(super) fn mark_stale(&mut self, rows: &mut [Row], now_ms: i64) -> Result<(), ContactError> {
        let limit = &self.scope.stale;
        if !limit.is_some() {
            return Ok(());
        }
        let key = |row: &Row| {
            let limit_ms = limit.of(row.group_name(), row.topic_name())?;
            Some((row.topic.clone()?, limit_ms))
        };
        let mut silent: HashMap<(Arc<str>, i64), Result<bool, KafkaError>> = HashMap::new();
        silent.extend(rows.iter().filter_map(key).map(|key| (key, Ok(false))));
        for ((topic, limit_ms), is_silent) in &mut silent {
            if let Some(found) = self.metadata.topic(topic) {
                let keys: Vec<Key> = keys_of(found).collect();
                *is_silent = self.has_none_since(&keys, now_ms - *limit_ms, now_ms)?;
            }
        }
        for row in rows {
            let Some(key) = key(row) else { continue };
            match &silent[&key] {
                Ok(true) => row.stale_ms = Some(key.1),
                Ok(false) => {}
                Err(error) => {
                    let reason = format!("newest record unknown: {error}");
                    row.lag.notes.push(LagNote::Unanswered(reason));
                }
            }
        }
        Ok(())
    }

    /// Whether none of the partitions has a record since `since_ms` that is not dated ahead.
    fn has_none_since(
        &mut self,
        keys: &[Key],
        since_ms: i64,
        now_ms: i64,
    ) -> Result<Result<bool, KafkaError>, ContactError> {
        let latest_ms = now_ms.saturating_add(CLOCK_TOLERANCE_MS);
        let specs = [OffsetSpec::Time(since_ms.max(0)), OffsetSpec::Latest];
        let answers = self.ask_each(keys, &specs)?;
        let mut behind_ahead = Vec::new();
        let mut has_none = Ok(true);
        for (key, answers) in keys.iter().zip(answers.chunks_exact(2)) {
            match (&answers[0], &answers[1]) {
                (Err(error), _) | (_, Err(error)) => has_none = Err(error.clone()),
                (Ok(first), Ok(end)) => match first.offset {
                    None => {}
                    Some(from) if first.timestamp_ms > Some(latest_ms) => {
                        behind_ahead.push(LogSpan {
                            topic: Arc::clone(&key.0),
                            partition: key.1,
                            from,
                            until: end.offset.unwrap_or(from),
                        });
                    }
                    Some(_) => return Ok(Ok(false)),
                },
            }
        }
        for first in self.first_since(&behind_ahead, (since_ms, latest_ms)) {
            match first {
                Ok(None) => {}
                Ok(Some(_)) => return Ok(Ok(false)),
                Err(error) => has_none = Err(error),
            }
        }
        Ok(has_none)
    }

    fn first_since(
        &mut self,
        spans: &[LogSpan],
        window: (i64, i64),
    ) -> Vec<Result<Option<i64>, KafkaError>> {
        let (wire, budget) = (&mut self.wire, &mut self.budget);
        first_since(wire, spans, window, &self.metadata, budget)
    }

    /// Asks each partition for each thing; the answers of one partition stand together.
    fn ask_each(&mut self, keys: &[Key], specs: &[OffsetSpec]) -> Result<Answers, ContactError> {
        let question = |(topic, partition): &Key, spec| OffsetQuery {
            topic: topic.to_string(),
            partition: *partition,
            spec,
        };
        let questions = keys
            .iter()
            .flat_map(|key| specs.iter().map(move |&spec| question(key, spec)));
        let questions: Vec<OffsetQuery> = questions.collect();
        let (wire, budget) = (&mut self.wire, &mut self.budget);
        let isolation = Isolation::ReadUncommitted;
        offsets_over(wire, &self.metadata, &questions, isolation, budget)
    }
}

fn keys_of(topic: &Topic) -> impl Iterator<Item = Key> {
    let name: Arc<str> = topic.name.as_str().into();
    let ids = topic.partitions.iter().map(|partition| partition.id);
    ids.map(move |id| (Arc::clone(&name), id))
}

fn existing_partitions(metadata: &Metadata) -> HashSet<(&str, i32)> {
    let topics = metadata.topics.iter();
    topics
        .flat_map(|topic| topic.partitions.iter().map(|p| (topic.name.as_str(), p.id)))
        .collect()
}

fn is_gone(error: &KafkaError) -> bool {
    matches!(
        error.code,
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC | code::UNKNOWN_PARTITION
    )
}

type Answers = Vec<Result<ListedOffset, KafkaError>>;

/// Start, last stable offset and end; the first error where there is one.
fn log(answers: &[Result<ListedOffset, KafkaError>]) -> Result<Log, KafkaError> {
    let offset = |index: usize| match &answers[index] {
        Ok(found) => Ok(found.offset.unwrap_or(0)),
        Err(error) => Err(error.clone()),
    };
    let (start, stable, end) = (offset(0)?, offset(1)?, offset(2)?);
    // They were asked for side by side, while records came.
    let end = end.max(stable);
    Ok(Log {
        start,
        end,
        stable: stable.max(start),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(offset: i64) -> ListedOffset {
        ListedOffset {
            offset: Some(offset),
            timestamp_ms: None,
            leader_epoch: None,
        }
    }

    #[test]
    fn answers_that_cross_make_a_log() {
        let of = |start, stable, end| log(&[start, stable, end].map(|offset| Ok(found(offset))));
        let log = |start, stable, end| Log { start, end, stable };
        assert_eq!(of(5, 10, 20), Ok(log(5, 10, 20)));
        assert_eq!(of(5, 21, 20), Ok(log(5, 21, 21)));
        let error = KafkaError::of(code::NOT_LEADER);
        let answers = [Ok(found(1)), Err(error.clone()), Ok(found(2))];
        assert_eq!(super::log(&answers), Err(error));
    }
}
