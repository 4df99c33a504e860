//! Where each partition begins and ends, settled before the first record is read.

use std::collections::HashMap;

use super::topics::{self, Found, Topic};
use super::{ConsumeError, Place, Wanted};
use crate::kafka::cluster::offsets::offsets_over;
use crate::kafka::cluster::{self, Isolation, Metadata, Patience, Question, Spec, offsets};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::Wire;
use crate::kafka::{Client, ffi};

/// Where a partition is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest record.
    Beginning,
    /// Only what comes from now on.
    End,
    /// The group's committed offset.
    Stored,
    /// This offset.
    At(i64),
    /// This many offsets before the end, but not before the beginning.
    Tail(i64),
    /// The first record at or after this time, milliseconds since 1970.
    Time(i64),
}

/// One partition with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) partition: i32,
    /// An offset, or one of librdkafka's names for one.
    pub(crate) start: i64,
    /// The offset before which reading stops.
    pub(crate) end: Option<i64>,
    /// About how many records there are, where that is known.
    pub(crate) expected_records: Option<u64>,
    /// The log's first offset and its high watermark, where the start is a number outside of them.
    pub(crate) out_of_range: Option<(i64, i64)>,
    /// Whether the log is known to have records before the start.
    pub(crate) has_earlier: bool,
}

/// A topic with the spans to read of it.
pub(super) struct Plan {
    pub(super) topic: Topic,
    pub(super) spans: Vec<Span>,
}

/// An offset of each place; none where no record is at or after a time.
type Offsets = HashMap<Place, Option<i64>>;

/// The answers that the plan of a partition depends on; those not asked for are empty.
#[derive(Default)]
struct Known {
    first: Offsets,
    end: Offsets,
    high: Offsets,
    start_time: Offsets,
    stop_time: Offsets,
}

/// Asks the cluster what it takes, and settles each partition's bounds; for librdkafka to read.
pub(super) fn plan(
    client: &Client,
    wanted: &Wanted,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Plan>, ConsumeError> {
    let mut wire = Wire::new(client);
    let (metadata, found) = topics::resolve(&mut wire, &wanted.topics, interrupted)?;
    let spans = settle(
        &mut wire,
        &metadata,
        wanted,
        &found,
        Beginning::LeftOpen,
        interrupted,
    )?;
    let topics = topics::with_handles(client, found)?;
    let plans = topics.into_iter().zip(spans);
    Ok(plans.map(|(topic, spans)| Plan { topic, spans }).collect())
}

/// The partitions that have records before those that are read.
pub(crate) fn partly_read<'a>(
    topics: impl Iterator<Item = (&'a str, &'a Vec<Span>)>,
) -> Vec<Place> {
    let places = topics.flat_map(|(topic, spans)| {
        let partly = spans.iter().filter(|span| span.has_earlier);
        partly.map(move |span| (topic.to_owned(), span.partition))
    });
    places.collect()
}

/// Whether the oldest offset is looked up where nothing but reading needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// librdkafka looks it up itself.
    LeftOpen,
    /// A number is needed.
    LookedUp,
}

/// Settles the bounds of each topic's partitions, or of the one that is wanted.
pub(crate) fn settle(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    wanted: &Wanted,
    topics: &[Found],
    beginning: Beginning,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Vec<Span>>, ConsumeError> {
    let mut places: Vec<Vec<Place>> = Vec::new();
    for topic in topics {
        let by_key = wanted.placed.as_ref().and_then(|placed| {
            let count = u32::try_from(topic.partitions.len()).ok()?;
            placed.partition(count).ok()
        });
        let chosen = wanted.partition.or(by_key);
        let is_wanted = |id: &&i32| chosen.is_none_or(|chosen| chosen == **id);
        let ids = topic.partitions.iter().filter(is_wanted);
        let own: Vec<Place> = ids.map(|&id| (topic.name.clone(), id)).collect();
        if let (Some(partition), true) = (chosen, own.is_empty()) {
            return Err(ConsumeError::NoPartition {
                topic: topic.name.clone(),
                partition,
                count: topic.partitions.len(),
            });
        }
        places.push(own);
    }
    let all: Vec<&Place> = places.iter().flatten().collect();
    let known = ask(wire, metadata, wanted, &all, beginning, interrupted)?;
    let spans = |own: &Vec<Place>| {
        own.iter()
            .map(|place| span(wanted, &known, place))
            .collect()
    };
    Ok(places.iter().map(spans).collect())
}

/// Asks for all that is needed at once.
fn ask(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    wanted: &Wanted,
    places: &[&Place],
    beginning: Beginning,
    interrupted: &dyn Fn() -> bool,
) -> Result<Known, ConsumeError> {
    let start = wanted.start;
    let checks_range = matches!(start, Start::At(_));
    let is_tail = matches!(start, Start::Tail(_));
    let times_from = match start {
        Start::Time(ms) => Some(ms),
        _ => None,
    };
    let is_looked_up = start == Start::Beginning && beginning == Beginning::LookedUp;
    let needs_end = wanted.stop_at_end || is_tail || start == Start::End || times_from.is_some();
    let needs_first = wanted.stop_at_end || is_tail || checks_range || is_looked_up;
    // Times before 1970 would be taken for ListOffsets' special values.
    let time = |time_ms: Option<i64>| Spec::Time(time_ms.unwrap_or(0).max(0));
    let specs = [
        (needs_first, Spec::Earliest),
        (needs_end, Spec::Latest),
        (checks_range, Spec::HighWatermark),
        (times_from.is_some(), time(times_from)),
        (wanted.stop_time_ms.is_some(), time(wanted.stop_time_ms)),
    ];
    let needed = specs.iter().filter(|(is_needed, _)| *is_needed);
    let question = |spec: Spec| {
        let question = move |place: &&Place| Question {
            topic: place.0.clone(),
            partition: place.1,
            spec,
        };
        places.iter().map(question)
    };
    let questions: Vec<Question> = needed.flat_map(|(_, spec)| question(*spec)).collect();
    let mut patience = Patience::new(wire.client().first_contact(), interrupted);
    let level = wanted.isolation;
    let answers = offsets_over(wire, metadata, &questions, level, &mut patience)?;
    let mut answers = answers.into_iter();
    let mut list = |is_needed: bool| -> Result<Offsets, ConsumeError> {
        let own = places.iter().take(if is_needed { places.len() } else { 0 });
        let row = |place: &&Place| row(place, answers.next());
        own.map(row).collect()
    };
    Ok(Known {
        first: list(specs[0].0)?,
        end: list(specs[1].0)?,
        high: list(specs[2].0)?,
        start_time: list(specs[3].0)?,
        stop_time: list(specs[4].0)?,
    })
}

type Answered = Option<Result<cluster::offsets::Found, KafkaError>>;

fn row(place: &Place, answer: Answered) -> Result<(Place, Option<i64>), ConsumeError> {
    let unanswered = || Err(KafkaError::of(code::TIMED_OUT));
    let found = answer.unwrap_or_else(unanswered).map_err(|error| {
        let (topic, partition) = place.clone();
        ConsumeError::Partition {
            topic,
            partition,
            error,
        }
    })?;
    Ok((place.clone(), found.offset))
}

/// One offset of each place.
pub(crate) fn list_offsets(
    client: &Client,
    places: &[Place],
    spec: Spec,
    isolation: Isolation,
    interrupted: &dyn Fn() -> bool,
) -> Result<HashMap<Place, Option<i64>>, ConsumeError> {
    let question = |(topic, partition): &Place| Question {
        topic: topic.clone(),
        partition: *partition,
        spec,
    };
    let questions: Vec<Question> = places.iter().map(question).collect();
    let answers = offsets(client, &questions, isolation, interrupted)?;
    let rows = places.iter().zip(answers);
    rows.map(|(place, answer)| row(place, Some(answer)))
        .collect()
}

/// The bounds of one partition, from what is known of it.
fn span(wanted: &Wanted, known: &Known, place: &Place) -> Span {
    let of = |offsets: &Offsets| offsets.get(place).copied().flatten();
    let first = of(&known.first);
    let end = of(&known.end);
    let start = match wanted.start {
        Start::Beginning => first.unwrap_or(i64::from(ffi::RD_KAFKA_OFFSET_BEGINNING)),
        Start::Stored => i64::from(ffi::RD_KAFKA_OFFSET_STORED),
        Start::End => end.unwrap_or(i64::from(ffi::RD_KAFKA_OFFSET_END)),
        Start::Tail(count) => end
            .unwrap_or(0)
            .saturating_sub(count)
            .max(first.unwrap_or(0)),
        Start::Time(_) => of(&known.start_time)
            .or(end)
            .unwrap_or(i64::from(ffi::RD_KAFKA_OFFSET_END)),
        Start::At(offset) => offset,
    };
    let out_of_range = match (wanted.start, first, of(&known.high)) {
        (Start::At(offset), Some(first), Some(high)) => {
            (!(first..=high).contains(&offset)).then_some((first, high))
        }
        _ => None,
    };
    let stop_at_end = end.filter(|_| wanted.stop_at_end);
    let stop_at_time = of(&known.stop_time);
    let stop = match (stop_at_end, stop_at_time) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Span {
        partition: place.1,
        start,
        end: stop,
        expected_records: stop
            .filter(|_| start >= 0)
            .map(|stop| stop.saturating_sub(start).max(0) as u64),
        out_of_range,
        has_earlier: first.is_some_and(|first| first < start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (&str, i32) = ("t", 3);

    fn at(offset: impl Into<Option<i64>>) -> Offsets {
        HashMap::from([((PLACE.0.to_owned(), PLACE.1), offset.into())])
    }

    fn settled(wanted: &Wanted, known: &Known) -> Span {
        span(wanted, known, &(PLACE.0.to_owned(), PLACE.1))
    }

    fn bounds(wanted: &Wanted, known: &Known) -> (i64, Option<i64>) {
        let span = settled(wanted, known);
        (span.start, span.end)
    }

    fn known() -> Known {
        Known {
            first: at(10),
            end: at(20),
            high: at(25),
            ..Known::default()
        }
    }

    #[test]
    fn a_tail_is_clamped_to_the_log_start() {
        let wanted = |count| Wanted {
            start: Start::Tail(count),
            stop_at_end: true,
            ..Wanted::default()
        };
        assert_eq!(bounds(&wanted(3), &known()), (17, Some(20)));
        assert_eq!(bounds(&wanted(99), &known()), (10, Some(20)));
    }

    #[test]
    fn an_offset_out_of_range_is_known_with_the_range() {
        let range = |offset| {
            let wanted = Wanted {
                start: Start::At(offset),
                ..Wanted::default()
            };
            settled(&wanted, &known()).out_of_range
        };
        for offset in [10, 20, 25] {
            assert_eq!(range(offset), None, "{offset}");
        }
        for offset in [0, 9, 26, i64::MAX] {
            assert_eq!(range(offset), Some((10, 25)), "{offset}");
        }
    }

    #[test]
    fn a_time_after_the_last_record_is_the_end() {
        let wanted = Wanted {
            start: Start::Time(5),
            stop_time_ms: Some(6),
            ..Wanted::default()
        };
        let by_time = |start: Option<i64>, stop: Option<i64>| Known {
            start_time: at(start),
            stop_time: at(stop),
            ..known()
        };
        assert_eq!(bounds(&wanted, &by_time(None, None)), (20, None));
        assert_eq!(
            bounds(&wanted, &by_time(Some(12), Some(15))),
            (12, Some(15))
        );
    }
}
