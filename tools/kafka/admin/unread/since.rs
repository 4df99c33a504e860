//! The first record since a time, where records with a future timestamp lie between.
//!
//! `ListOffsets` finds the first record at or after a time, and a record with
//! a future timestamp is after every time: where it returns one, the offset is
//! found by bisection, which reads a record at a time and passes over those
//! with a future timestamp. It is exact where the other times rise along the log.

use std::sync::Arc;

use super::{Position, first_unread};
use crate::kafka::admin::metadata::Metadata;
use crate::kafka::admin::offsets::{
    Isolation, ListedOffset, OffsetQuery, OffsetSpec, offsets_over,
};
use crate::kafka::admin::query_budget::QueryBudget;
use crate::kafka::admin::spans::{LogSpan, read_spans};
use crate::kafka::batch::RawRecord;
use crate::kafka::client::ContactError;
use crate::kafka::error::KafkaError;
use crate::kafka::wire::Wire;

/// The first offset in each span whose record is dated from `since_ms` to `until_ms`; in their order.
///
/// None where there is no such record. Where a record is dated later, it requires READ on the topic.
pub fn first_in_window(
    wire: &mut Wire<'_>,
    spans: &[LogSpan],
    (since_ms, until_ms): (i64, i64),
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
) -> Result<Vec<Result<Option<i64>, KafkaError>>, ContactError> {
    let question = |span: &LogSpan| OffsetQuery {
        topic: span.topic.to_string(),
        partition: span.partition,
        spec: OffsetSpec::Time(since_ms.max(0)),
    };
    let questions: Vec<OffsetQuery> = spans.iter().map(question).collect();
    let isolation = Isolation::ReadUncommitted;
    let found = offsets_over(wire, metadata, &questions, isolation, budget)?;
    let (mut behind_later, mut open) = (Vec::new(), Vec::new());
    let mut answers = Vec::with_capacity(spans.len());
    for (index, (span, found)) in spans.iter().zip(found).enumerate() {
        if let Ok(ListedOffset {
            offset: Some(from),
            timestamp_ms,
            ..
        }) = found
            && timestamp_ms > Some(until_ms)
        {
            behind_later.push(index);
            open.push(LogSpan {
                from,
                ..span.clone()
            });
        }
        answers.push(found.map(|found| found.offset));
    }
    let found = first_since(wire, &open, (since_ms, until_ms), metadata, budget);
    for (index, found) in behind_later.into_iter().zip(found) {
        answers[index] = found;
    }
    Ok(answers)
}

/// The same, by reading alone.
fn first_since(
    wire: &mut Wire<'_>,
    spans: &[LogSpan],
    (since_ms, until_ms): (i64, i64),
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Option<i64>, KafkaError>> {
    let mut searches: Vec<OffsetSearch> = spans
        .iter()
        .map(|span| OffsetSearch::new(span.from, span.until))
        .collect();
    loop {
        let open: Vec<(usize, i64)> = searches
            .iter()
            .enumerate()
            .filter_map(|(index, search)| Some((index, search.next()?)))
            .collect();
        if open.is_empty() || (budget.interrupted())() {
            break;
        }
        let position = |&(index, offset): &(usize, i64)| Position {
            topic: Arc::clone(&spans[index].topic),
            partition: spans[index].partition,
            offset,
            until: spans[index].until,
            isolation: Isolation::ReadUncommitted,
            not_after_ms: Some(until_ms),
        };
        let positions: Vec<Position> = open.iter().map(position).collect();
        let answers = first_unread(wire, &positions, metadata, budget);
        for ((index, _), answer) in open.into_iter().zip(answers) {
            let answer = answer.map(|found| {
                found.map(|record| {
                    let is_since = record.timestamp_ms.is_some_and(|time| time >= since_ms);
                    (record.offset, is_since)
                })
            });
            searches[index].take(answer);
        }
    }
    searches
        .into_iter()
        .map(OffsetSearch::into_answer)
        .collect()
}

/// The most offsets of a span that are read whole.
pub const MOST_OFFSETS: i64 = 100_000;

/// How many messages of each span are dated after `until_ms`; none for a span of more than 100,000 offsets.
///
/// Requires READ on the topics.
pub fn count_after(
    wire: &mut Wire<'_>,
    spans: &[LogSpan],
    until_ms: i64,
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Option<i64>, KafkaError>> {
    let take = |count: &mut i64, record: &RawRecord<'_>| {
        *count += i64::from(record.timestamp_ms > until_ms);
    };
    fold_short(wire, spans, metadata, budget, take)
}

/// Offset and time of the message with the earliest time in each span; none for a span of more than 100,000 offsets,
/// or of messages without a time.
///
/// Requires READ on the topics.
pub fn earliest_in(
    wire: &mut Wire<'_>,
    spans: &[LogSpan],
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Option<(i64, i64)>, KafkaError>> {
    let take = |earliest: &mut Option<(i64, i64)>, record: &RawRecord<'_>| {
        let has_time = record.timestamp_ms != -1;
        if has_time && earliest.is_none_or(|(_, time)| record.timestamp_ms < time) {
            *earliest = Some((record.offset, record.timestamp_ms));
        }
    };
    let found = fold_short(wire, spans, metadata, budget, take);
    found
        .into_iter()
        .map(|found| found.map(Option::flatten))
        .collect()
}

/// Offset and time of the last message of those with the latest time in each span, of committed ones that are dated
/// `latest_ms` at most.
///
/// Requires READ on the topics.
pub fn newest_in(
    wire: &mut Wire<'_>,
    spans: &[LogSpan],
    latest_ms: i64,
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Option<(i64, i64)>, KafkaError>> {
    let mut newest = vec![None; spans.len()];
    let mut take = |index: usize, record: &RawRecord<'_>| {
        let known: &mut Option<(i64, i64)> = &mut newest[index];
        let is_newer = known.is_none_or(|(_, time)| record.timestamp_ms >= time);
        if is_newer && record.timestamp_ms <= latest_ms {
            *known = Some((record.offset, record.timestamp_ms));
        }
    };
    let isolation = Isolation::ReadCommitted;
    let answers = read_spans(wire, metadata, spans, isolation, budget, &mut take);
    let found = answers.into_iter().zip(newest);
    found
        .map(|(answer, newest)| answer.map(|()| newest))
        .collect()
}

/// What `take` makes of all messages of each span; none for a span of more than 100,000 offsets.
fn fold_short<T: Default>(
    wire: &mut Wire<'_>,
    spans: &[LogSpan],
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
    take: impl Fn(&mut T, &RawRecord<'_>),
) -> Vec<Result<Option<T>, KafkaError>> {
    let is_short = |span: &LogSpan| span.until - span.from <= MOST_OFFSETS;
    let short = spans.iter().filter(|span| is_short(span)).cloned();
    let short: Vec<LogSpan> = short.collect();
    let mut folded: Vec<T> = short.iter().map(|_| T::default()).collect();
    let mut take = |index: usize, record: &RawRecord<'_>| take(&mut folded[index], record);
    let isolation = Isolation::ReadUncommitted;
    let answers = read_spans(wire, metadata, &short, isolation, budget, &mut take);
    let mut found = answers.into_iter().zip(folded);
    let mut next = |span| {
        let (answer, folded) = is_short(span).then(|| found.next()).flatten()?;
        Some(answer.map(|()| folded))
    };
    spans.iter().map(|span| next(span).transpose()).collect()
}

/// The bisection of one span.
#[derive(Debug)]
struct OffsetSearch {
    /// No record before it is wanted.
    low: i64,
    /// From here on there is nothing but what is known.
    high: i64,
    found: Option<i64>,
    error: Option<KafkaError>,
}

impl OffsetSearch {
    fn new(from: i64, until: i64) -> OffsetSearch {
        OffsetSearch {
            low: from,
            high: until,
            found: None,
            error: None,
        }
    }

    /// The offset from which the next record is to be read.
    fn next(&self) -> Option<i64> {
        let is_open = self.error.is_none() && self.low < self.high;
        is_open.then(|| self.low + (self.high - self.low) / 2)
    }

    /// Takes the first record from there on that counts, and whether it is since the time.
    fn take(&mut self, answer: Result<Option<(i64, bool)>, KafkaError>) {
        let Some(asked) = self.next() else { return };
        match answer {
            Ok(Some((offset, false))) => self.low = offset + 1,
            Ok(Some((offset, true))) => {
                self.found = Some(offset);
                self.high = asked;
            }
            Ok(None) => self.high = asked,
            Err(error) => self.error = Some(error),
        }
    }

    fn into_answer(self) -> Result<Option<i64>, KafkaError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.found),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_record_since_a_time_is_found_whatever_has_a_future_timestamp(
            steps in proptest::collection::vec((0..3i64, proptest::bool::weighted(0.3)), 0..60),
            since in 0..60i64, from in 0..60i64,
        ) {
            // None has a future timestamp.
            let mut time = 0;
            let log: Vec<Option<i64>> = steps
                .iter()
                .map(|(step, is_ahead)| {
                    time += step;
                    (!is_ahead).then_some(time)
                })
                .collect();
            let from = from.min(log.len() as i64);
            let first = |offset: i64, since: i64| {
                let counted = log.iter().enumerate().skip(offset as usize);
                let mut counted = counted.filter_map(|(at, time)| Some((at as i64, (*time)?)));
                counted.find(|(_, time)| *time >= since)
            };
            let mut search = OffsetSearch::new(from, log.len() as i64);
            let mut rounds = 0;
            while let Some(offset) = search.next() {
                rounds += 1;
                prop_assert!(rounds < 20);
                search.take(Ok(first(offset, 0).map(|(at, time)| (at, time >= since))));
            }
            prop_assert_eq!(search.into_answer(), Ok(first(from, since).map(|(at, _)| at)));
        }
    }
}
