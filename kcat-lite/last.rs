//! `-C --last N`: the newest records of all partitions, by their times.
//!
//! The last N offsets of each partition are read. Where they hold fewer
//! records, because compaction took some, markers stand between, or they have
//! other keys, earlier ones are read too, unless all of them are older than
//! what was found.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::ops::ControlFlow;

use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::consume::{Item, ReadRequest, Start};
use tools::kafka::types::TopicPartition;
use tools::kafka::{Client, Options, Role};
use tools::record::{Header, Record, TimestampType};

use crate::config::Consume;
use crate::consume::read_request;
use crate::output::Writer;

/// How many times more is read where the last offsets held too few records.
const MORE: u64 = 16;
/// How long an idle reader waits before it looks at signals.
const IDLE_MS: i32 = 100;

/// Reads, and writes the newest `count` records, the oldest of them first.
pub(crate) fn run(config: &Consume, count: u64, signals: &Signals) -> anyhow::Result<Exit> {
    let mut options = config.options.clone();
    let mut request = ReadRequest {
        stop_at_end: true,
        ..read_request(config)
    };
    config.engine.tune(&mut options, &request);
    let client = Client::new(&options, Role::Consumer)?;
    let mut writer = Writer::new(&config.output)?;
    let mut tail = count;
    let newest = loop {
        request.start = Start::Tail(i64::try_from(tail).unwrap_or(i64::MAX));
        let mut newest = Newest::new(count);
        let is_whole = collect(
            config,
            &client,
            &options,
            &request,
            &writer,
            &mut newest,
            signals,
        )?;
        if signals.caught().is_some() {
            return Ok(signals.end_of_reader());
        }
        if is_whole {
            break newest;
        }
        tail = tail.saturating_mul(MORE);
    };
    for kept in newest.in_order() {
        kept.with_record(|record| writer.put(record))?;
        writer.flush_if_due(signals)?;
    }
    writer.flush(signals)?;
    writer.say_what_was_odd(options.verbosity < 0);
    Ok(writer.exit())
}

/// Reads what is wanted; says whether nothing before it can be among the newest.
fn collect(
    config: &Consume,
    client: &Client,
    options: &Options,
    request: &ReadRequest,
    writer: &Writer,
    newest: &mut Newest,
    signals: &Signals,
) -> anyhow::Result<bool> {
    let interrupted = || signals.caught().is_some();
    let mut reader = match config.engine.start(client, options, request, &interrupted) {
        Err(_) if interrupted() => return Ok(true),
        other => other?,
    };
    let mut take = |item: Item<'_>| {
        if let Item::Record(record) = item
            && !writer.has_other_key(record)
        {
            newest.take(record);
        }
        match signals.caught() {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    };
    while !reader.is_done() && !interrupted() {
        match reader.read(IDLE_MS, &mut take) {
            Ok(_) => {}
            Err(error) if config.output.keep_trying => message(&error),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reader
        .partly_read()
        .iter()
        .all(|place| newest.is_covered(place)))
}

/// When and where a record was written: the order of the output.
type Age = (i64, String, i32, i64);

/// The newest records so far.
struct Newest {
    count: usize,
    /// The oldest on top.
    kept: BinaryHeap<Reverse<Kept>>,
    /// Of each partition: how many records came, and the time of the first.
    seen: HashMap<TopicPartition, (u64, i64)>,
}

impl Newest {
    fn new(count: u64) -> Newest {
        Newest {
            count: usize::try_from(count).unwrap_or(usize::MAX),
            kept: BinaryHeap::new(),
            seen: HashMap::new(),
        }
    }

    fn take(&mut self, record: &Record<'_>) {
        let age = age(record);
        let seen = self
            .seen
            .entry((age.1.clone(), age.2))
            .or_insert((0, age.0));
        seen.0 += 1;
        if self.kept.len() < self.count {
            self.kept.push(Reverse(Kept::new(age, record)));
        } else if self.kept.peek().is_some_and(|oldest| oldest.0.age < age) {
            self.kept.pop();
            self.kept.push(Reverse(Kept::new(age, record)));
        }
    }

    /// Whether nothing before what came of this partition can be among the newest, if it is in the order of time.
    fn is_covered(&self, place: &TopicPartition) -> bool {
        let Some((seen, first_ms)) = self.seen.get(place) else {
            return false;
        };
        let is_full = self.kept.len() >= self.count;
        let oldest_ms = self.kept.peek().map(|oldest| oldest.0.age.0);
        *seen >= self.count as u64 || (is_full && oldest_ms.is_some_and(|ms| *first_ms <= ms))
    }

    fn in_order(self) -> Vec<Kept> {
        let kept = self.kept.into_sorted_vec().into_iter().rev();
        kept.map(|Reverse(kept)| kept).collect()
    }
}

fn age(record: &Record<'_>) -> Age {
    (
        record.timestamp_ms.unwrap_or(-1),
        record.topic.unwrap_or_default().to_owned(),
        record.partition.unwrap_or(-1),
        record.offset.unwrap_or(-1),
    )
}

/// A record that outlives the answer it came in.
struct Kept {
    age: Age,
    timestamp_type: TimestampType,
    has_timestamp: bool,
    broker: Option<i32>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Kept {
    fn new(age: Age, record: &Record<'_>) -> Kept {
        let headers = record.headers.iter();
        let headers = headers.map(|h| (h.name.to_owned(), h.value.map(<[u8]>::to_owned)));
        Kept {
            age,
            timestamp_type: record.timestamp_type,
            has_timestamp: record.timestamp_ms.is_some(),
            broker: record.broker,
            key: record.key.map(<[u8]>::to_owned),
            value: record.value.map(<[u8]>::to_owned),
            headers: headers.collect(),
        }
    }

    fn with_record<T>(&self, take: impl FnOnce(&Record<'_>) -> T) -> T {
        let (timestamp_ms, topic, partition, offset) = &self.age;
        let headers: Vec<Header<'_>> = self
            .headers
            .iter()
            .map(|(name, value)| Header {
                name,
                value: value.as_deref(),
            })
            .collect();
        take(&Record {
            topic: Some(topic),
            partition: Some(*partition),
            offset: Some(*offset),
            timestamp_ms: self.has_timestamp.then_some(*timestamp_ms),
            timestamp_type: self.timestamp_type,
            broker: self.broker,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
        })
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Kept) -> bool {
        self.age == other.age
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Kept) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Kept) -> std::cmp::Ordering {
        self.age.cmp(&other.age)
    }
}

#[cfg(test)]
mod tests {
    use super::{Newest, Record};

    fn record(partition: i32, offset: i64, timestamp_ms: i64) -> Record<'static> {
        Record {
            topic: Some("t"),
            partition: Some(partition),
            offset: Some(offset),
            timestamp_ms: Some(timestamp_ms),
            ..Record::default()
        }
    }

    fn times(newest: Newest) -> Vec<i64> {
        newest.in_order().iter().map(|kept| kept.age.0).collect()
    }

    #[test]
    fn the_newest_of_all_partitions_are_kept_in_the_order_of_their_times() {
        let mut newest = Newest::new(3);
        for (partition, offset, ms) in [(0, 7, 10), (0, 8, 30), (1, 2, 20), (1, 3, 5), (2, 0, 40)] {
            newest.take(&record(partition, offset, ms));
        }
        assert_eq!(times(newest), [20, 30, 40]);
    }

    #[test]
    fn earlier_records_are_read_only_where_they_may_be_among_the_newest() {
        let mut newest = Newest::new(2);
        newest.take(&record(0, 8, 30));
        newest.take(&record(0, 9, 40));
        newest.take(&record(1, 5, 10));
        newest.take(&record(2, 5, 50));
        let place = |partition| ("t".to_owned(), partition);
        assert!(newest.is_covered(&place(0)), "as many as are wanted");
        assert!(newest.is_covered(&place(1)), "older than what is kept");
        assert!(!newest.is_covered(&place(2)), "the one before may be newer");
        assert!(!newest.is_covered(&place(3)), "nothing was seen");
    }
}
