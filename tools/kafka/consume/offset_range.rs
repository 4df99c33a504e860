//! The offsets at which each partition starts and ends, looked up before the first record is read.

use std::collections::HashMap;

use super::committed::committed_offsets;
use super::topics::{self, ResolvedTopic};
use super::{ConsumeError, ReadRequest};
use crate::kafka::admin::offsets::{ListedOffset, offsets_over};
use crate::kafka::admin::{Isolation, Metadata, OffsetQuery, OffsetSpec, QueryBudget, offsets};
use crate::kafka::error::KafkaError;
use crate::kafka::types::TopicPartition;
use crate::kafka::wire::Wire;
use crate::kafka::{Client, ffi};

/// The offset at which each partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Beginning,
    /// Only records that arrive from now on.
    End,
    Stored,
    At(i64),
    /// This many offsets before the end, but not before the log start.
    Tail(i64),
    /// The first record at or after this time, milliseconds since 1970.
    Time(i64),
}

/// The range to read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetRange {
    pub(crate) partition: i32,
    /// An offset, or one of librdkafka's logical offsets.
    pub(crate) start: i64,
    /// The offset before which reading stops.
    pub(crate) end: Option<i64>,
    /// About how many records there are, if known.
    pub(crate) expected_records: Option<u64>,
    /// The log start and the high watermark, if the start is outside of them.
    pub(crate) out_of_range: Option<(i64, i64)>,
    /// Whether the log is known to have records before the start.
    pub(crate) has_earlier: bool,
}

/// A topic with the ranges to read.
pub(crate) struct TopicRanges {
    pub(crate) name: String,
    pub(crate) ranges: Vec<OffsetRange>,
}

/// Whether [`Start::Beginning`] is looked up although nothing but reading needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartLookup {
    /// The consumer looks it up itself.
    Lazy,
    Eager,
}

/// The offsets that a range depends on; `None` if not needed, or if no record is at or after a time.
#[derive(Clone, Copy, Debug, Default)]
struct ListedOffsets {
    log_start: Option<i64>,
    end: Option<i64>,
    high_watermark: Option<i64>,
    start_time: Option<i64>,
    stop_time: Option<i64>,
}

/// Finds the topics of the request, with the ranges to read; the metadata are those of these topics.
pub(crate) fn resolve(
    wire: &mut Wire<'_>,
    request: &ReadRequest,
    lookup: StartLookup,
    interrupted: &dyn Fn() -> bool,
) -> Result<(Metadata, Vec<TopicRanges>), ConsumeError> {
    let (metadata, topics) = topics::resolve(wire, &request.topics, interrupted)?;
    let mut selected: Vec<(String, Vec<i32>)> = Vec::new();
    for topic in topics {
        let ids = selected_partitions(request, &topic)?;
        selected.push((topic.name, ids));
    }
    let partitions = selected.iter().flat_map(|(name, ids)| {
        let key = |&id: &i32| (name.clone(), id);
        ids.iter().map(key)
    });
    let partitions: Vec<TopicPartition> = partitions.collect();
    let mut budget = QueryBudget::new(wire.client().first_contact(), interrupted);
    let listed = look_up(wire, &metadata, request, &partitions, lookup, &mut budget)?;
    let mut listed = listed.into_iter();
    let topics = selected.into_iter().map(|(name, ids)| {
        let own = ids.into_iter().zip(&mut listed);
        let ranges = own
            .map(|(id, listed)| range(request, id, &listed))
            .collect();
        TopicRanges { name, ranges }
    });
    Ok((metadata, topics.collect()))
}

/// Starts each range at the offset that the group has committed; one without a commit keeps its logical start.
pub(crate) fn start_stored(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    topics: &mut [TopicRanges],
    interrupted: &dyn Fn() -> bool,
) -> Result<(), ConsumeError> {
    let keys = topics.iter().flat_map(|topic| {
        let key = |range: &OffsetRange| (topic.name.clone(), range.partition);
        topic.ranges.iter().map(key)
    });
    let keys: Vec<TopicPartition> = keys.collect();
    let commits = committed_offsets(wire.client(), &keys, interrupted)?;
    let specs = [OffsetSpec::Earliest, OffsetSpec::HighWatermark];
    let questions = keys
        .iter()
        .flat_map(|key| specs.map(|spec| OffsetQuery::new(key, spec)));
    let questions: Vec<OffsetQuery> = questions.collect();
    let mut budget = QueryBudget::new(wire.client().first_contact(), interrupted);
    let isolation = Isolation::ReadUncommitted;
    let answers = offsets_over(wire, metadata, &questions, isolation, &mut budget)?;
    let mut bounds = questions.iter().zip(answers);
    let mut bound = || {
        bounds
            .next()
            .map(|(question, answer)| offset(question, answer))
    };
    let ranges = topics.iter_mut().flat_map(|topic| &mut topic.ranges);
    for (key, range) in keys.iter().zip(ranges) {
        let first = bound().transpose()?.flatten().unwrap_or_default();
        let next = bound().transpose()?.flatten().unwrap_or_default();
        if let Some(&start) = commits.get(key) {
            range.start = start;
            range.out_of_range = (!(first..=next).contains(&start)).then_some((first, next));
        }
    }
    Ok(())
}

/// The partitions that have records before the ranges.
pub(crate) fn partly_read(topics: &[TopicRanges]) -> Vec<TopicPartition> {
    let partitions = topics.iter().flat_map(|topic| {
        let partly = topic.ranges.iter().filter(|range| range.has_earlier);
        partly.map(|range| (topic.name.clone(), range.partition))
    });
    partitions.collect()
}

/// How many offsets the ranges have, if all are known.
pub(crate) fn expected_records(topics: &[TopicRanges]) -> Option<u64> {
    let ranges = topics.iter().flat_map(|topic| &topic.ranges);
    ranges.map(|range| range.expected_records).sum()
}

/// The partitions of a topic that are read: all, the one that is asked for, or that of a key.
pub(super) fn selected_partitions(
    request: &ReadRequest,
    topic: &ResolvedTopic,
) -> Result<Vec<i32>, ConsumeError> {
    let count = topic.partitions.len();
    let of_key = request.key_partition.as_ref().and_then(|key| {
        let count = u32::try_from(count).ok()?;
        key.partition(count).ok()
    });
    match request.partition.or(of_key) {
        None => Ok(topic.partitions.clone()),
        Some(partition) if topic.partitions.contains(&partition) => Ok(vec![partition]),
        Some(partition) => Err(ConsumeError::NoPartition {
            topic: topic.name.clone(),
            partition,
            count,
        }),
    }
}

/// Lists all offsets that the request needs, at once.
fn look_up(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    request: &ReadRequest,
    partitions: &[TopicPartition],
    lookup: StartLookup,
    budget: &mut QueryBudget<'_>,
) -> Result<Vec<ListedOffsets>, ConsumeError> {
    let needed = needed_offsets(request, lookup);
    let questions: Vec<OffsetQuery> = needed
        .iter()
        .flat_map(|&(spec, _)| {
            partitions
                .iter()
                .map(move |key| OffsetQuery::new(key, spec))
        })
        .collect();
    let answers = offsets_over(wire, metadata, &questions, request.isolation, budget)?;
    let mut listed = vec![ListedOffsets::default(); partitions.len()];
    let mut answers = questions.iter().zip(answers);
    for (_, field) in needed {
        for (row, (question, answer)) in listed.iter_mut().zip(&mut answers) {
            *field(row) = offset(question, answer)?;
        }
    }
    Ok(listed)
}

/// The offset that a partition answers; its error names the partition.
pub(crate) fn offset(
    question: &OffsetQuery,
    answer: Result<ListedOffset, KafkaError>,
) -> Result<Option<i64>, ConsumeError> {
    let found = answer.map_err(|error| ConsumeError::Partition {
        topic: question.topic.clone(),
        partition: question.partition,
        error,
    })?;
    Ok(found.offset)
}

/// One offset of each partition.
pub(crate) fn list_offsets(
    client: &Client,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
    isolation: Isolation,
    interrupted: &dyn Fn() -> bool,
) -> Result<HashMap<TopicPartition, Option<i64>>, ConsumeError> {
    let questions = partitions.iter().map(|key| OffsetQuery::new(key, spec));
    let questions: Vec<OffsetQuery> = questions.collect();
    let answers = offsets(client, &questions, isolation, interrupted)?;
    let rows = partitions.iter().zip(questions.iter().zip(answers));
    rows.map(|(key, (question, answer))| Ok((key.clone(), offset(question, answer)?)))
        .collect()
}

/// Where an offset is stored.
type ListedField = fn(&mut ListedOffsets) -> &mut Option<i64>;

fn needed_offsets(request: &ReadRequest, lookup: StartLookup) -> Vec<(OffsetSpec, ListedField)> {
    let start = request.start;
    let is_at_offset = matches!(start, Start::At(_));
    let is_tail = matches!(start, Start::Tail(_));
    let start_time_ms = match start {
        Start::Time(ms) => Some(ms),
        _ => None,
    };
    let is_eager = start == Start::Beginning && lookup == StartLookup::Eager;
    let needs_log_start = request.stop_at_end || is_tail || is_at_offset || is_eager;
    let needs_end =
        request.stop_at_end || is_tail || start == Start::End || start_time_ms.is_some();
    let mut needed: Vec<(OffsetSpec, ListedField)> = Vec::new();
    if needs_log_start {
        needed.push((OffsetSpec::Earliest, |listed| &mut listed.log_start));
    }
    if needs_end {
        needed.push((OffsetSpec::Latest, |listed| &mut listed.end));
    }
    if is_at_offset {
        needed.push((OffsetSpec::HighWatermark, |listed| {
            &mut listed.high_watermark
        }));
    }
    // ListOffsets takes negative times for special values.
    if let Some(ms) = start_time_ms {
        needed.push((OffsetSpec::Time(ms.max(0)), |listed| &mut listed.start_time));
    }
    if let Some(ms) = request.stop_time_ms {
        needed.push((OffsetSpec::Time(ms.max(0)), |listed| &mut listed.stop_time));
    }
    needed
}

fn range(request: &ReadRequest, partition: i32, listed: &ListedOffsets) -> OffsetRange {
    let &ListedOffsets { log_start, end, .. } = listed;
    let start = match request.start {
        Start::Beginning => log_start.unwrap_or(i64::from(ffi::RD_KAFKA_OFFSET_BEGINNING)),
        Start::Stored => i64::from(ffi::RD_KAFKA_OFFSET_STORED),
        Start::End => end.unwrap_or(i64::from(ffi::RD_KAFKA_OFFSET_END)),
        Start::Tail(count) => end
            .unwrap_or(0)
            .saturating_sub(count)
            .max(log_start.unwrap_or(0)),
        Start::Time(_) => listed
            .start_time
            .or(end)
            .unwrap_or(i64::from(ffi::RD_KAFKA_OFFSET_END)),
        Start::At(offset) => offset,
    };
    let out_of_range = match (request.start, log_start, listed.high_watermark) {
        (Start::At(offset), Some(first), Some(next)) => {
            (!(first..=next).contains(&offset)).then_some((first, next))
        }
        _ => None,
    };
    let stop_at_end = end.filter(|_| request.stop_at_end);
    let stop = [stop_at_end, listed.stop_time].into_iter().flatten().min();
    OffsetRange {
        partition,
        start,
        end: stop,
        expected_records: stop
            .filter(|_| start >= 0)
            .map(|stop| stop.saturating_sub(start).max(0) as u64),
        out_of_range,
        has_earlier: log_start.is_some_and(|first| first < start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: ListedOffsets = ListedOffsets {
        log_start: Some(10),
        end: Some(20),
        high_watermark: Some(25),
        start_time: None,
        stop_time: None,
    };

    fn bounds(request: &ReadRequest, listed: &ListedOffsets) -> (i64, Option<i64>) {
        let range = range(request, 3, listed);
        (range.start, range.end)
    }

    #[test]
    fn a_tail_is_clamped_to_the_log_start() {
        let request = |count| ReadRequest {
            start: Start::Tail(count),
            stop_at_end: true,
            ..ReadRequest::default()
        };
        assert_eq!(bounds(&request(3), &LISTED), (17, Some(20)));
        assert_eq!(bounds(&request(99), &LISTED), (10, Some(20)));
    }

    #[test]
    fn an_offset_out_of_range_is_known_with_the_range() {
        let out_of_range = |offset| {
            let request = ReadRequest {
                start: Start::At(offset),
                ..ReadRequest::default()
            };
            range(&request, 3, &LISTED).out_of_range
        };
        for offset in [10, 20, 25] {
            assert_eq!(out_of_range(offset), None, "{offset}");
        }
        for offset in [0, 9, 26, i64::MAX] {
            assert_eq!(out_of_range(offset), Some((10, 25)), "{offset}");
        }
    }

    #[test]
    fn a_time_after_the_last_record_is_the_end() {
        let request = ReadRequest {
            start: Start::Time(5),
            stop_time_ms: Some(6),
            ..ReadRequest::default()
        };
        let by_time = |start_time, stop_time| ListedOffsets {
            start_time,
            stop_time,
            ..LISTED
        };
        assert_eq!(bounds(&request, &by_time(None, None)), (20, None));
        let both = by_time(Some(12), Some(15));
        assert_eq!(bounds(&request, &both), (12, Some(15)));
    }
}
