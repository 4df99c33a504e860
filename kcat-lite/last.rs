//! `--last N`: the newest records of all partitions, by their times.
//!
//! The last N offsets of each partition are read. If they hold fewer records
//! (compaction, transaction markers, other keys), earlier offsets are read too,
//! unless all of them are older than the records found.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::consume::{Item, ReadRequest, Start};
use tools::kafka::types::TopicPartition;
use tools::kafka::{Client, Options, Role};
use tools::record::{Header, Record, TimestampType};

use crate::config::Consume;
use crate::consume::read_request;
use crate::contact::{ContactWatch, SilenceLimit};
use crate::engine::Engine;
use crate::output::Writer;

/// How many times more offsets to read if the last ones held too few records.
const GROWTH_FACTOR: u64 = 16;
/// How often an idle loop looks at signals.
const IDLE_MS: i32 = 100;

/// Writes the newest `count` records, the oldest of them first.
pub(crate) fn run(config: &Consume, count: u64, signals: &Signals) -> anyhow::Result<Exit> {
    let mut writer = Writer::new(&config.output)?;
    let search = Search {
        engine: config.engine,
        options: &config.options,
        request: read_request(config),
        count,
        keeps_trying: config.output.keep_trying,
        limit: SilenceLimit::give_up(config.give_up),
        is_wanted: &|record| !writer.has_other_key(record),
    };
    let Some(newest) = search.run(signals)? else {
        return Ok(signals.end_of_reader());
    };
    let written = newest.into_iter().try_for_each(|kept| {
        kept.with_record(|record| writer.put(record))?;
        writer.flush_if_due(signals)?;
        anyhow::Ok(())
    });
    // The records before one that can't be written are good.
    writer.flush(signals)?;
    written?;
    writer.report_oddities(config.options.verbosity < 0);
    Ok(writer.exit())
}

/// A search for the newest records.
pub(crate) struct Search<'a> {
    pub(crate) engine: Engine,
    pub(crate) options: &'a Options,
    /// Which partitions.
    pub(crate) request: ReadRequest,
    pub(crate) count: u64,
    /// Whether to go on after errors.
    pub(crate) keeps_trying: bool,
    /// How long the cluster may be away.
    pub(crate) limit: Option<SilenceLimit>,
    pub(crate) is_wanted: &'a dyn Fn(&Record<'_>) -> bool,
}

impl Search<'_> {
    /// The records, the oldest first; `None` if a signal came before they were found.
    pub(crate) fn run(mut self, signals: &Signals) -> anyhow::Result<Option<Vec<OwnedRecord>>> {
        let mut options = self.options.clone();
        self.request.stop_at_end = true;
        self.engine.tune(&mut options, &self.request);
        let client = Client::new(&options, Role::Consumer)?;
        let mut tail = self.count;
        loop {
            self.request.start = Start::Tail(i64::try_from(tail).unwrap_or(i64::MAX));
            let mut newest = NewestRecords::new(self.count);
            let is_whole = self.collect(&client, &options, &mut newest, signals)?;
            if signals.caught().is_some() {
                return Ok(None);
            }
            if is_whole {
                return Ok(Some(newest.in_order()));
            }
            tail = tail.saturating_mul(GROWTH_FACTOR);
        }
    }

    /// Reads what the request asks for; returns whether no earlier record can be among the newest.
    fn collect(
        &self,
        client: &Client,
        options: &Options,
        newest: &mut NewestRecords,
        signals: &Signals,
    ) -> anyhow::Result<bool> {
        let interrupted = || signals.caught().is_some();
        let started = self
            .engine
            .start(client, options, &self.request, &interrupted);
        let mut reader = match started {
            Err(_) if interrupted() => return Ok(true),
            other => other?,
        };
        let watch = ContactWatch::new(client, &self.request, self.limit, &interrupted);
        let mut contact = match watch {
            Err(_) if interrupted() => return Ok(true),
            other => other?,
        };
        let mut take = |item: Item<'_>| {
            if let Item::Record(record) = item
                && (self.is_wanted)(record)
            {
                newest.add(record);
            }
            match signals.caught() {
                None => ControlFlow::Continue(()),
                Some(_) => ControlFlow::Break(()),
            }
        };
        while !reader.is_done() && !interrupted() {
            match reader.read(IDLE_MS, &mut take) {
                Ok(_) => {}
                Err(error) if self.keeps_trying => message(&error),
                Err(error) => return Err(error.into()),
            }
            contact.check(&interrupted)?;
        }
        Ok(reader
            .partly_read()
            .iter()
            .all(|partition| newest.is_complete_for(partition)))
    }
}

/// Timestamp, topic, partition, offset: the order of the output.
type SortKey = (i64, String, i32, i64);

/// The newest records so far.
struct NewestRecords {
    count: usize,
    kept: BTreeMap<SortKey, OwnedRecord>,
    /// For each partition the number of records read, and the timestamp of the first.
    seen: HashMap<TopicPartition, (u64, i64)>,
}

impl NewestRecords {
    fn new(count: u64) -> NewestRecords {
        NewestRecords {
            count: usize::try_from(count).unwrap_or(usize::MAX),
            kept: BTreeMap::new(),
            seen: HashMap::new(),
        }
    }

    fn add(&mut self, record: &Record<'_>) {
        let sort_key = sort_key(record);
        let seen = self
            .seen
            .entry((sort_key.1.clone(), sort_key.2))
            .or_insert((0, sort_key.0));
        seen.0 += 1;
        if self.kept.len() >= self.count {
            let oldest = self.kept.first_key_value();
            if oldest.is_some_and(|(oldest, _)| *oldest >= sort_key) {
                return;
            }
            self.kept.pop_first();
        }
        let kept = OwnedRecord::new(sort_key.clone(), record);
        self.kept.insert(sort_key, kept);
    }

    /// Whether no earlier record of this partition can be among the newest, if its timestamps ascend.
    fn is_complete_for(&self, partition: &TopicPartition) -> bool {
        let Some((seen, first_ms)) = self.seen.get(partition) else {
            return false;
        };
        let is_full = self.kept.len() >= self.count;
        let oldest_ms = self.kept.first_key_value().map(|(oldest, _)| oldest.0);
        *seen >= self.count as u64 || (is_full && oldest_ms.is_some_and(|ms| *first_ms <= ms))
    }

    fn in_order(self) -> Vec<OwnedRecord> {
        self.kept.into_values().collect()
    }
}

fn sort_key(record: &Record<'_>) -> SortKey {
    (
        record.timestamp_ms.unwrap_or(-1),
        record.topic.unwrap_or_default().to_owned(),
        record.partition.unwrap_or(-1),
        record.offset.unwrap_or(-1),
    )
}

/// An owned copy of a record.
pub(crate) struct OwnedRecord {
    sort_key: SortKey,
    timestamp_type: TimestampType,
    has_timestamp: bool,
    broker: Option<i32>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl OwnedRecord {
    fn new(sort_key: SortKey, record: &Record<'_>) -> OwnedRecord {
        let headers = record.headers.iter();
        let headers = headers.map(|h| (h.name.to_owned(), h.value.map(<[u8]>::to_owned)));
        OwnedRecord {
            sort_key,
            timestamp_type: record.timestamp_type,
            has_timestamp: record.timestamp_ms.is_some(),
            broker: record.broker,
            key: record.key.map(<[u8]>::to_owned),
            value: record.value.map(<[u8]>::to_owned),
            headers: headers.collect(),
        }
    }

    pub(crate) fn with_record<T>(&self, take: impl FnOnce(&Record<'_>) -> T) -> T {
        let (timestamp_ms, topic, partition, offset) = &self.sort_key;
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
            ..Record::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{NewestRecords, Record};

    fn record(partition: i32, offset: i64, timestamp_ms: i64) -> Record<'static> {
        Record {
            topic: Some("t"),
            partition: Some(partition),
            offset: Some(offset),
            timestamp_ms: Some(timestamp_ms),
            ..Record::default()
        }
    }

    fn times(newest: NewestRecords) -> Vec<i64> {
        newest
            .in_order()
            .iter()
            .map(|kept| kept.sort_key.0)
            .collect()
    }

    #[test]
    fn the_newest_of_all_partitions_are_kept_in_the_order_of_their_times() {
        let mut newest = NewestRecords::new(3);
        for (partition, offset, ms) in [(0, 7, 10), (0, 8, 30), (1, 2, 20), (1, 3, 5), (2, 0, 40)] {
            newest.add(&record(partition, offset, ms));
        }
        assert_eq!(times(newest), [20, 30, 40]);
    }

    #[test]
    fn earlier_records_are_read_only_where_they_may_be_among_the_newest() {
        let mut newest = NewestRecords::new(2);
        newest.add(&record(0, 8, 30));
        newest.add(&record(0, 9, 40));
        newest.add(&record(1, 5, 10));
        newest.add(&record(2, 5, 50));
        let partition = |partition| ("t".to_owned(), partition);
        assert!(
            newest.is_complete_for(&partition(0)),
            "as many as are wanted"
        );
        assert!(
            newest.is_complete_for(&partition(1)),
            "older than what is kept"
        );
        assert!(
            !newest.is_complete_for(&partition(2)),
            "the one before may be newer"
        );
        assert!(!newest.is_complete_for(&partition(3)), "nothing was seen");
    }
}
