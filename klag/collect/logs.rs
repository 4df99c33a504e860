//! Where partitions begin and end, and what was produced since when.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tools::kafka::KafkaError;
use tools::kafka::admin::{
    Isolation, ListedOffset, LogSpan, Metadata, OffsetQuery, OffsetSpec, Topic, count_after,
    first_in_window, offsets_over,
};
use tools::kafka::client::ContactError;
use tools::kafka::error::code;
use tools::units::CLOCK_TOLERANCE_MS;

use super::ClusterQuery;
use super::authorization::HiddenTopics;
use super::group_partitions::GroupPartition;
use crate::lag::{LagNote, Log};
use crate::row::{Row, Silence};

type Key = (Arc<str>, i32);

/// Where each partition begins and ends, or why that is not known.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    ends: HashMap<Key, Result<Log, KafkaError>>,
    /// How many messages were written in the window that a rate is over, or why that is not known.
    written: HashMap<Key, Result<i64, String>>,
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

    /// When the first record that is kept was written, where that was asked for and answered.
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
                Err(LagNote::Unanswered(error.refusal("describe")))
            }
            // What exists was asked for.
            (Some(Err(_)) | None, _) => {
                let reason = "there is no such partition any more";
                Err(LagNote::Gone(reason.to_owned()))
            }
        }
    }

    /// Whether the cluster was asked for this topic and says nothing of it but why.
    pub(super) fn is_hidden(&self, topic: &str) -> bool {
        self.hidden.contains_key(topic)
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

    /// How many messages were written to a partition in the window, or why that is not known, where it was asked for.
    pub(crate) fn written(&self, topic: &Arc<str>, partition: i32) -> Option<&Result<i64, String>> {
        self.written.get(&(Arc::clone(topic), partition))
    }

    /// Asks what was written a while ago and since, if a rate from one snapshot is wanted.
    ///
    /// Messages with a future timestamp are in no window. They are counted by reading, where there are any.
    pub(super) fn ask_written(
        &mut self,
        query: &mut ClusterQuery<'_>,
        now_ms: i64,
    ) -> Result<(), ContactError> {
        let Some(window_ms) = query.scope.rate_window_ms else {
            return Ok(());
        };
        let (since_ms, until_ms) = (now_ms - window_ms, now_ms + CLOCK_TOLERANCE_MS);
        let span = |(key, log): (&Key, &Result<Log, KafkaError>)| {
            let log = log.as_ref().ok()?;
            Some(LogSpan {
                topic: Arc::clone(&key.0),
                partition: key.1,
                from: log.start,
                until: log.end,
            })
        };
        let spans: Vec<LogSpan> = self.ends.iter().filter_map(span).collect();
        let keys: Vec<Key> = spans.iter().map(key_of).collect();
        let ahead = query.ask_each(&keys, &[OffsetSpec::Time(until_ms + 1)])?;
        let found = query.first_in_window(&spans, (since_ms, until_ms))?;
        let mut with_ahead = Vec::new();
        for ((span, ahead), first) in spans.into_iter().zip(ahead).zip(found) {
            let end = span.until;
            let written = match (first, ahead) {
                (Ok(Some(from)), Ok(ahead)) if ahead.offset.is_some_and(|at| at < end) => {
                    with_ahead.push(LogSpan { from, ..span });
                    continue;
                }
                (Ok(None), Ok(ahead)) if ahead.offset.is_some_and(|at| at < end) => {
                    Err("all records have a future timestamp".to_owned())
                }
                (Ok(first), Ok(_)) => Ok((end - first.unwrap_or(end)).max(0)),
                (Err(error), _) | (_, Err(error)) => Err(error.refusal("read")),
            };
            self.written.insert(key_of(&span), written);
        }
        let (wire, budget) = (&mut query.wire, &mut query.budget);
        let counts = count_after(wire, &with_ahead, until_ms, &query.metadata, budget);
        for (span, count) in with_ahead.into_iter().zip(counts) {
            let written = match count {
                Ok(Some(count)) => Ok((span.until - span.from - count).max(0)),
                Ok(None) => Err("there are too many records with a future timestamp".to_owned()),
                Err(error) => Err(error.refusal("read")),
            };
            self.written.insert(key_of(&span), written);
        }
        Ok(())
    }
}

impl ClusterQuery<'_> {
    /// Marks the rows of topics to which nothing was produced for longer than the limit.
    pub(super) fn mark_stale(&mut self, rows: &mut [Row], now_ms: i64) -> Result<(), ContactError> {
        let limit = &self.scope.limits.stale;
        if !limit.is_some() {
            return Ok(());
        }
        let key = |row: &Row| {
            let limit_ms = limit.of(row.group_name(), row.topic_name())?;
            Some((row.topic.clone()?, limit_ms))
        };
        let mut found: HashMap<(Arc<str>, i64), Result<Silence, KafkaError>> = HashMap::new();
        let keys = rows.iter().filter_map(key);
        found.extend(keys.map(|key| (key, Ok(Silence::None))));
        for ((topic, limit_ms), silence) in &mut found {
            if let Some(found) = self.metadata.topic(topic) {
                let keys: Vec<Key> = keys_of(found).collect();
                *silence = self.silence(&keys, *limit_ms, now_ms)?;
            }
        }
        for row in rows {
            let Some(key) = key(row) else { continue };
            match &found[&key] {
                Ok(silence) => {
                    row.silence = *silence;
                    let is_unknown = *silence == Silence::Unknown;
                    row.lag
                        .notes
                        .extend(is_unknown.then_some(LagNote::NewestDeleted));
                }
                Err(error) => {
                    let reason = format!("newest record unknown: {}", error.refusal("read"));
                    row.lag.notes.push(LagNote::Unanswered(reason));
                }
            }
        }
        Ok(())
    }

    /// Whether none of the partitions has a record of the last `limit_ms`, without a future timestamp.
    fn silence(
        &mut self,
        keys: &[Key],
        limit_ms: i64,
        now_ms: i64,
    ) -> Result<Result<Silence, KafkaError>, ContactError> {
        let answers = self.ask_each(keys, &[OffsetSpec::Earliest, OffsetSpec::Latest])?;
        let mut spans = Vec::new();
        let mut silence = Ok(Silence::LongerThan { limit_ms });
        for (key, answers) in keys.iter().zip(answers.chunks_exact(2)) {
            let (start, end) = match answers {
                [Ok(start), Ok(end)] => (start.offset.unwrap_or(0), end.offset.unwrap_or(0)),
                [Err(error), _] | [_, Err(error)] => {
                    silence = Err(error.clone());
                    continue;
                }
                _ => continue,
            };
            if start >= end && end > 0 {
                silence = silence.map(|_| Silence::Unknown);
            }
            spans.push(LogSpan {
                topic: Arc::clone(&key.0),
                partition: key.1,
                from: start,
                until: end,
            });
        }
        let latest_ms = now_ms.saturating_add(CLOCK_TOLERANCE_MS);
        for first in self.first_in_window(&spans, (now_ms - limit_ms, latest_ms))? {
            match first {
                Ok(None) => {}
                Ok(Some(_)) => return Ok(Ok(Silence::None)),
                Err(error) => silence = Err(error),
            }
        }
        Ok(silence)
    }

    fn first_in_window(
        &mut self,
        spans: &[LogSpan],
        window: (i64, i64),
    ) -> Result<Vec<Result<Option<i64>, KafkaError>>, ContactError> {
        let (wire, budget) = (&mut self.wire, &mut self.budget);
        first_in_window(wire, spans, window, &self.metadata, budget)
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

fn key_of(span: &LogSpan) -> Key {
    (Arc::clone(&span.topic), span.partition)
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
