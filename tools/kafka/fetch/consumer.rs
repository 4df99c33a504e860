//! Drives a [`Fetcher`] over the wire: sends its requests, passes it the responses, delivers their records.

mod requests;

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::RecordVisitor;
use super::delivery::{Delivery, DeliveryEnd, DeliveryRules};
use super::fetcher::{CompletedFetch, DamagedBatch, Fetcher, StartPosition};
use super::offset_lookup::OffsetLookup;
use super::settings::FetchSettings;
use crate::kafka::client::Client;
use crate::kafka::consume::committed::committed_offsets;
use crate::kafka::consume::offset_range::{self, StartLookup, TopicRanges};
use crate::kafka::consume::{ConsumeError, ReadRequest, Start};
use crate::kafka::options::Options;
use crate::kafka::types::TopicPartition;
use crate::kafka::wire::{CorrelationId, RawResponse, Wire};
use requests::PendingRequest;

pub struct FetchConsumer<'c> {
    wire: Wire<'c>,
    settings: FetchSettings,
    fetcher: Fetcher,
    delivery: Delivery,
    in_flight: HashMap<CorrelationId, PendingRequest>,
    lookups: HashMap<u64, OffsetLookup>,
    current: Option<CurrentResponse>,
    stop_time_ms: i64,
    wants_headers: bool,
    expected_records: Option<u64>,
    partly_read: Vec<TopicPartition>,
}

/// A response that is being delivered.
struct CurrentResponse {
    response: RawResponse,
    fetches: VecDeque<CompletedFetch>,
}

impl<'c> FetchConsumer<'c> {
    /// Finds the partitions, looks up their ranges and starts reading.
    ///
    /// `client` is a consumer created from `options`, which were [tuned](super::tune).
    pub fn start(
        client: &'c Client,
        options: &Options,
        request: &ReadRequest,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<FetchConsumer<'c>, ConsumeError> {
        let mut wire = Wire::new(client);
        let (metadata, topics) =
            offset_range::resolve(&mut wire, request, StartLookup::Eager, interrupted)?;
        let commits = match request.start {
            Start::Stored => {
                let partitions = topics.iter().flat_map(|topic| {
                    let ids = topic.ranges.iter().map(|range| range.partition);
                    ids.map(|id| (topic.name.clone(), id))
                });
                let partitions: Vec<TopicPartition> = partitions.collect();
                committed_offsets(client, &partitions, interrupted)?
            }
            _ => HashMap::new(),
        };
        let settings = FetchSettings::of(client, options);
        let follows_new_partitions =
            !request.stop_at_end && request.partition.is_none() && request.key_partition.is_none();
        let mut fetcher = Fetcher::new(settings.clone(), follows_new_partitions, Instant::now());
        for topic in &topics {
            add_topic(&mut fetcher, topic, &commits);
        }
        fetcher.update_metadata(&metadata, Instant::now());
        let mut consumer = FetchConsumer {
            stop_time_ms: request.stop_time_ms.unwrap_or(i64::MAX),
            wants_headers: request.wants_headers,
            expected_records: offset_range::expected_records(&topics),
            partly_read: offset_range::partly_read(&topics),
            ..FetchConsumer::new(wire, settings, fetcher)
        };
        consumer.send();
        Ok(consumer)
    }

    /// A consumer without partitions: a group [assigns](FetchConsumer::assign) and [releases](FetchConsumer::release) them.
    pub fn for_group(
        client: Arc<Client>,
        options: &Options,
        wants_headers: bool,
    ) -> FetchConsumer<'static> {
        let settings = FetchSettings::of(&client, options);
        let fetcher = Fetcher::new(settings.clone(), false, Instant::now());
        FetchConsumer {
            wants_headers,
            ..FetchConsumer::new(Wire::shared(client), settings, fetcher)
        }
    }

    fn new(wire: Wire<'c>, settings: FetchSettings, fetcher: Fetcher) -> FetchConsumer<'c> {
        FetchConsumer {
            fetcher,
            delivery: Delivery::new(settings.receive_max_bytes as usize),
            settings,
            in_flight: HashMap::new(),
            lookups: HashMap::new(),
            current: None,
            stop_time_ms: i64::MAX,
            wants_headers: false,
            expected_records: None,
            partly_read: Vec::new(),
            wire,
        }
    }

    /// Reads a partition from now on, up to `end`.
    pub fn assign(
        &mut self,
        (topic, partition): &TopicPartition,
        start: StartPosition,
        end: Option<i64>,
    ) {
        self.fetcher.assign(topic, *partition, start, end);
    }

    /// Stops reading a partition; its records that have arrived are dropped.
    pub fn release(&mut self, (topic, partition): &TopicPartition) {
        if let Some(index) = self.fetcher.release(topic, *partition) {
            self.drop_arrived(index);
        }
    }

    /// Stops reading a partition for now; [`FetchConsumer::resume`] continues at `offset`, the next one to be delivered.
    pub fn pause(&mut self, (topic, partition): &TopicPartition, offset: i64) {
        if let Some(index) = self.fetcher.pause(topic, *partition, offset) {
            self.drop_arrived(index);
        }
    }

    /// Reads a paused partition again.
    pub fn resume(&mut self, (topic, partition): &TopicPartition) {
        self.fetcher.unpause(topic, *partition);
    }

    /// Whether every partition that has more to read is paused.
    pub fn is_paused(&self) -> bool {
        self.fetcher.is_paused()
    }

    fn drop_arrived(&mut self, index: usize) {
        if let Some(current) = &mut self.current {
            current.fetches.retain(|fetch| fetch.partition != index);
        }
    }

    /// The partitions that are read, also those at their bound.
    pub fn assigned(&self) -> Vec<TopicPartition> {
        self.fetcher.assigned().collect()
    }

    /// Whether every partition was read to its bound.
    pub fn is_done(&self) -> bool {
        self.fetcher.is_done()
    }

    /// Whether every partition was read to its end at least once.
    pub fn was_at_ends(&self) -> bool {
        self.current.is_none() && self.fetcher.was_at_ends()
    }

    /// The number of offsets between the starts and the bounds, if all are known.
    pub fn expected_records(&self) -> Option<u64> {
        self.expected_records
    }

    /// The partitions that are known to have records before the start.
    pub fn partly_read(&self) -> &[TopicPartition] {
        &self.partly_read
    }

    /// Waits at most `timeout_ms` for records, calls `visitor` with them in order, and returns their number.
    ///
    /// `Break` ends the call; the rest of the records stays for the next. After
    /// an error the next call continues with the partitions that can still be read.
    pub fn read(
        &mut self,
        timeout_ms: i32,
        visitor: &mut impl RecordVisitor,
    ) -> Result<usize, ConsumeError> {
        if self.current.is_none() {
            let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
            self.receive(Duration::from_millis(timeout_ms))?;
        }
        self.delivery.records = 0;
        while let Some((index, offset)) = self.fetcher.next_at_bound() {
            self.fetcher.finish(index);
            let (topic, partition) = self.fetcher.topic_partition(index);
            if visitor.end(topic, partition, offset).is_break() {
                return Ok(0);
            }
        }
        let Some(mut current) = self.current.take() else {
            return Ok(0);
        };
        while let Some(fetch) = current.fetches.front_mut() {
            match self.deliver(&current.response, fetch, visitor) {
                Ok(ControlFlow::Continue(())) => {
                    current.fetches.pop_front();
                }
                Ok(ControlFlow::Break(())) => {
                    self.current = Some(current);
                    return Ok(self.delivery.records);
                }
                Err(batch) => {
                    let error = self.fail_batch(fetch.partition, batch);
                    self.current = Some(current);
                    return Err(error);
                }
            }
        }
        Ok(self.delivery.records)
    }

    /// Reports a batch; its partition continues after it, if the next offset is known.
    fn fail_batch(&mut self, index: usize, batch: DamagedBatch) -> ConsumeError {
        let (topic, partition) = self.fetcher.topic_partition(index);
        let topic = topic.to_owned();
        if !batch.can_skip {
            self.fetcher.finish(index);
        }
        ConsumeError::Batch {
            topic,
            partition,
            offset: batch.offset,
            error: batch.error,
        }
    }

    fn deliver(
        &mut self,
        response: &RawResponse,
        fetch: &mut CompletedFetch,
        visitor: &mut impl RecordVisitor,
    ) -> Result<ControlFlow<()>, DamagedBatch> {
        let index = fetch.partition;
        if self.fetcher.is_finished(index) {
            return Ok(ControlFlow::Continue(()));
        }
        let (topic, partition) = self.fetcher.topic_partition(index);
        let end = self.fetcher.partitions[index].end;
        let rules = DeliveryRules {
            topic,
            partition,
            broker: response.broker(),
            end: end.unwrap_or(i64::MAX),
            stop_time_ms: self.stop_time_ms,
            wants_headers: self.wants_headers,
        };
        let delivered = self
            .delivery
            .deliver(response.body(), fetch, &rules, visitor)?;
        let offset = match delivered {
            DeliveryEnd::Stopped => return Ok(ControlFlow::Break(())),
            DeliveryEnd::ReachedBound(offset) => offset,
            DeliveryEnd::Complete if fetch.is_eof && end.is_none() => fetch.batches.next,
            DeliveryEnd::Complete => return Ok(ControlFlow::Continue(())),
        };
        // Report the end once, also if the visitor stops here.
        fetch.is_eof = false;
        let flow = visitor.end(topic, partition, offset);
        if matches!(delivered, DeliveryEnd::ReachedBound(_)) {
            self.fetcher.finish(index);
        }
        Ok(flow)
    }

    /// Waits until there is something to deliver.
    fn receive(&mut self, wait: Duration) -> Result<(), ConsumeError> {
        let until = Instant::now() + wait;
        loop {
            self.send();
            if let Some(error) = self.fetcher.next_error() {
                return Err(error);
            }
            if self.fetcher.is_done() || self.fetcher.has_reports() {
                return Ok(());
            }
            let now = Instant::now();
            let wake = self.fetcher.next_wake(now).unwrap_or(until).min(until);
            if let Some(result) = self.wire.next(wake) {
                self.handle_result(result);
                if self.current.is_some() {
                    // Send the next request before this response is delivered.
                    self.send();
                    return Ok(());
                }
                continue;
            }
            let client = self.wire.client();
            self.fetcher
                .report_stalls(Instant::now(), || client.cause());
            if Instant::now() >= until {
                return Ok(());
            }
            if self.wire.in_flight_count() == 0 {
                // Every partition is paused.
                std::thread::sleep(wake.saturating_duration_since(Instant::now()));
            }
        }
    }
}

fn add_topic(fetcher: &mut Fetcher, topic: &TopicRanges, commits: &HashMap<TopicPartition, i64>) {
    let index = fetcher.add_topic(&topic.name);
    for range in &topic.ranges {
        let key = (topic.name.clone(), range.partition);
        let known = (range.start >= 0).then_some(range.start);
        let start = commits.get(&key).copied().or(known);
        // A start after the end may be out of range, or the partition empty.
        let is_after = |end| start.is_some_and(|start| start > end);
        if let Some(start) = start
            && (range.out_of_range.is_some() || range.end.is_some_and(is_after))
        {
            fetcher.add_out_of_range(index, range.partition, start, range.end);
            continue;
        }
        let partition = fetcher.add(index, range.partition, start, range.end);
        if range.end.is_some_and(|end| end == 0 || start == Some(end)) {
            fetcher.finish(partition);
        }
    }
}
