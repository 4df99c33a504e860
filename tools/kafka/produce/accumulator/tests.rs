//! The accumulator against a model of a broker, and cases by literals.

mod broker;
mod cases;
mod transaction;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::kafka::admin::{self, Metadata};
use crate::kafka::batch::Codec;
use crate::kafka::error::code;
use crate::partition::KafkaPartitioner;
use crate::record::Record;
use broker::ModelBroker;

fn settings() -> ProduceSettings {
    ProduceSettings {
        acks: -1,
        is_idempotent: true,
        transactional_id: None,
        transaction_timeout: Duration::from_secs(60),
        codec: Codec::None,
        compression_level: -1,
        linger: Duration::from_millis(5),
        batch_bytes: 1000,
        batch_records: 10,
        max_record_bytes: 1_000_000,
        max_in_flight: 5,
        queue_bytes: 1_000_000,
        queue_records: u64::MAX,
        retries: i32::MAX as u32,
        backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        delivery_timeout: Some(Duration::from_secs(300)),
        ack_timeout_ms: 30_000,
        request_timeout: Duration::from_secs(60),
        topic_timeout: Duration::from_secs(30),
        refresh_interval: Some(Duration::from_secs(300)),
        partitioner: Some(KafkaPartitioner::Murmur2Random),
        sticky_linger: Duration::from_millis(10),
        is_gapless: false,
    }
}

/// A cluster of two brokers; the leader of partition n is broker n % 2, plus `shift`.
fn metadata(topic: &str, partitions: i32, shift: i32) -> Metadata {
    let partition = |id| admin::Partition {
        id,
        leader: Some((id + shift) % 2),
        ..admin::Partition::default()
    };
    Metadata {
        topics: vec![admin::Topic {
            name: topic.to_owned(),
            partitions: (0..partitions).map(partition).collect(),
            ..admin::Topic::default()
        }],
        ..Metadata::default()
    }
}

fn unknown_topic(topic: &str, code: i32) -> Metadata {
    Metadata {
        topics: vec![admin::Topic {
            name: topic.to_owned(),
            error: Some(KafkaError::of(code)),
            ..admin::Topic::default()
        }],
        ..Metadata::default()
    }
}

/// The same error for each partition, and the records that are refused; nothing is stored.
fn response(plan: &ProducePlan, error: i32, records: &[(i32, Option<String>)]) -> ProduceResult {
    let partitions = plan.batches.iter().map(|planned| PartitionResult {
        topic: "t".to_owned(),
        partition: planned.partition as i32,
        error,
        message: None,
        records: records.to_vec(),
    });
    ProduceResult {
        partitions: partitions.collect(),
        throttle_ms: 0,
    }
}

/// An accumulator with a clock of its own.
struct Trial {
    accumulator: Accumulator,
    now: Instant,
    topic: usize,
    next: u64,
}

impl Trial {
    /// Topic `t` of this many partitions, with a producer id.
    fn new(settings: ProduceSettings, partitions: i32) -> Trial {
        let mut trial = Trial::unknown(settings);
        trial
            .accumulator
            .metadata_received(&metadata("t", partitions, 0), trial.now);
        trial
    }

    /// Topic `t`, whose metadata are not known yet.
    fn unknown(settings: ProduceSettings) -> Trial {
        let now = Instant::now();
        let mut accumulator = Accumulator::new(settings);
        let topic = accumulator.topic("t");
        if accumulator.wants_producer_id(now) {
            accumulator.producer_id_requested();
            accumulator.handle_producer_id(Ok(ProducerId { id: 7, epoch: 0 }), now);
        }
        accumulator.metadata_requested();
        Trial {
            accumulator,
            now,
            topic,
            next: 0,
        }
    }

    /// Appends a record whose opaque is its number.
    fn append(&mut self, partition: Option<i32>, value: &str) -> Appended {
        let record = Record {
            value: Some(value.as_bytes()),
            ..Record::default()
        };
        let now = Now {
            instant: self.now,
            wall_ms: 1,
        };
        let appended = self
            .accumulator
            .append(self.topic, partition, &record, self.next, now);
        self.next += u64::from(appended != Appended::Full);
        appended
    }

    /// The requests that are due when lingering has ended.
    fn plan(&mut self) -> Vec<ProducePlan> {
        self.accumulator.close_open_batches();
        let mut all = Vec::new();
        loop {
            let plans = self.accumulator.plan(self.now, &mut |_| true);
            if plans.is_empty() {
                return all;
            }
            all.extend(plans);
        }
    }

    /// A broker responds to a request.
    fn answer(&mut self, plan: ProducePlan, result: ProduceResult) {
        self.accumulator.handle_response(plan, result, self.now);
    }

    fn advance(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.accumulator.expire(self.now);
    }

    fn totals(&self) -> (u64, u64, u64) {
        let totals = &self.accumulator.report.totals;
        (totals.accepted, totals.delivered, totals.failed)
    }
}

/// What happens to the requests in flight at a broker.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// The first request is refused with this code, and nothing of it is stored.
    Refused(i32),
    /// The first request is stored, and answered with this code.
    Ambiguous(i32),
    /// The connection breaks after the broker has stored this many of the requests.
    Lost(usize),
    /// The leaders move.
    Moved,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => prop_oneof![
            Just(code::NOT_ENOUGH_REPLICAS),
            Just(code::NOT_LEADER),
            Just(code::UNKNOWN_TOPIC_OR_PARTITION),
            Just(code::LEADER_NOT_AVAILABLE),
        ].prop_map(Fault::Refused),
        1 => prop_oneof![
            Just(code::REQUEST_TIMED_OUT),
            Just(code::NOT_ENOUGH_REPLICAS_AFTER_APPEND),
            Just(code::NOT_LEADER),
        ].prop_map(Fault::Ambiguous),
        1 => (0..4usize).prop_map(Fault::Lost),
        1 => Just(Fault::Moved),
    ]
}

/// A record's partition and the bytes of its value; some are larger than the broker takes.
fn records() -> impl Strategy<Value = Vec<(i32, usize)>> {
    let size = prop_oneof![10 => 0..40usize, 1 => 390..420usize, 1 => Just(1500)];
    proptest::collection::vec((0..3i32, size), 1..120)
}

/// Sends all records through faults; returns what each partition has stored, and the numbers of the failed records.
fn send_all(
    settings: ProduceSettings,
    records: &[(i32, usize)],
    faults: &[Fault],
) -> (Vec<Vec<u64>>, Vec<u64>) {
    let mut trial = Trial::new(settings, 3);
    trial.accumulator.report.undelivered = Some(Vec::new());
    let mut broker = ModelBroker::new(400);
    let mut in_flight: VecDeque<ProducePlan> = VecDeque::new();
    let mut faults = faults.iter().copied();
    let mut records = records.iter().enumerate();
    let mut shift = 0;
    for step in 0..20_000 {
        for (number, &(partition, size)) in records.by_ref().take(7) {
            let value = format!("{number} {}", "x".repeat(size));
            assert_ne!(trial.append(Some(partition), &value), Appended::Full);
        }
        in_flight.extend(trial.plan());
        if trial.accumulator.outstanding() == 0 && records.len() == 0 {
            let stored = broker.values(3).into_iter();
            let undelivered = trial.accumulator.report.undelivered.take();
            let failed = undelivered.unwrap_or_default();
            assert_eq!(trial.accumulator.memory, 0);
            return (
                stored.collect(),
                failed.iter().map(|record| record.opaque).collect(),
            );
        }
        trial.advance(20);
        let fault = faults.next().unwrap_or(Fault::None);
        if let Fault::Moved = fault {
            shift += 1;
            trial
                .accumulator
                .update_metadata(&metadata("t", 3, shift), trial.now);
        }
        if let Fault::Lost(stored) = fault {
            for (number, mut plan) in in_flight.drain(..).enumerate() {
                if number < stored {
                    broker.handle(&mut plan);
                }
                let error = KafkaError::of(code::TRANSPORT);
                trial.accumulator.handle_failure(plan, &error, trial.now);
            }
        } else if let Some(mut plan) = in_flight.pop_front() {
            let result = match fault {
                Fault::Refused(error) => response(&plan, error, &[]),
                Fault::Ambiguous(error) => {
                    let result = broker.handle(&mut plan);
                    ModelBroker::say(result, error)
                }
                _ => broker.handle(&mut plan),
            };
            trial.answer(plan, result);
        }
        assert!(step < 19_999, "it does not end: {:?}", trial.totals());
    }
    unreachable!()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever fails, each partition has its records once and in order; only those that are too large fail.
    #[test]
    fn every_record_is_stored_once_and_in_order(
        records in records(), faults in proptest::collection::vec(fault(), 0..60)
    ) {
        let (stored, mut failed) = send_all(settings(), &records, &faults);
        let mut too_large = Vec::new();
        for (partition, stored) in stored.into_iter().enumerate() {
            let mut expected = Vec::new();
            for (number, &(of, size)) in records.iter().enumerate() {
                if of as usize != partition {
                    continue;
                }
                if ModelBroker::takes(number, size, 400) {
                    expected.push(number as u64);
                } else {
                    too_large.push(number as u64);
                }
            }
            prop_assert_eq!(stored, expected, "partition {}", partition);
        }
        too_large.sort_unstable();
        failed.sort_unstable();
        prop_assert_eq!(failed, too_large);
    }

    /// Without sequence numbers a retry may store a batch again; nothing is lost, and the first copies are in order.
    #[test]
    fn without_idempotence_nothing_is_lost_and_the_order_is_kept(
        records in records(), faults in proptest::collection::vec(fault(), 0..60)
    ) {
        let settings = ProduceSettings { is_idempotent: false, ..settings() };
        let (stored, _) = send_all(settings, &records, &faults);
        for (partition, stored) in stored.into_iter().enumerate() {
            let mut first = Vec::new();
            for number in stored {
                if first.last().is_none_or(|last| number > *last) {
                    first.push(number);
                } else {
                    prop_assert!(first.contains(&number));
                }
            }
            let expected = records.iter().enumerate().filter(|(number, (of, size))| {
                *of as usize == partition && ModelBroker::takes(*number, *size, 400)
            });
            let expected: Vec<u64> = expected.map(|(number, _)| number as u64).collect();
            prop_assert_eq!(first, expected);
        }
    }
}
