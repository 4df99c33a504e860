//! Drives an [`Accumulator`] over the wire in a thread of its own: sends its requests and passes it the responses.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, MetadataRequest,
    ProduceRequest, ProducerId,
};
use kafka_protocol::protocol::StrBytes;

use super::accumulator::transaction::TransactionPlan;
use super::accumulator::{self, Accumulator, ProducePlan};
use super::request;
use super::settings::ProduceSettings;
use super::transaction::COORDINATOR_VERSIONS;
use crate::kafka::admin::groups::{CoordinatorType, coordinator_of, find_coordinator};
use crate::kafka::admin::metadata::{Metadata, OLDEST, metadata_request};
use crate::kafka::client::Client;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::{
    CorrelationId, RawResponse, RequestLimits, RequestResult, Target, Waker, Wire,
};

/// How long to wait for metadata or a producer id before another broker is asked.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait for the coordinator of transactions before it is looked up again.
const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may wait for a connection that broke just now.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How often connections are checked while batches wait for one; it doubles up to the second.
const CONNECT_POLL_INTERVAL: Duration = Duration::from_millis(2);
const LONGEST_CONNECT_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The longest wait, after which timeouts are checked.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// What the producer and its thread share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Something has its result.
    progress: Condvar,
}

pub(super) struct State {
    pub(super) accumulator: Accumulator,
    /// Whether the thread waits, so that it has to be woken.
    pub(super) is_waiting: bool,
    /// Whether to forget the requests in flight.
    pub(super) is_purging: bool,
    pub(super) is_closing: bool,
}

impl Shared {
    pub(super) fn new(accumulator: Accumulator) -> Shared {
        Shared {
            state: Mutex::new(State {
                accumulator,
                is_waiting: false,
                is_purging: false,
                is_closing: false,
            }),
            progress: Condvar::new(),
        }
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has its result, at most `limit`.
    pub(super) fn wait<'s>(
        &'s self,
        state: MutexGuard<'s, State>,
        limit: Duration,
    ) -> MutexGuard<'s, State> {
        let waited = self.progress.wait_timeout(state, limit);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

enum Pending {
    Produce(ProducePlan),
    Metadata,
    ProducerId,
    Coordinator,
    /// Topic and partition of what is added to the transaction.
    Partitions(Vec<(usize, usize)>),
}

struct Driver<'c> {
    shared: Arc<Shared>,
    wire: Wire<'c>,
    settings: ProduceSettings,
    in_flight: HashMap<CorrelationId, Pending>,
    names: Vec<StrBytes>,
    connect_poll_interval: Duration,
}

/// Runs until [`State::is_closing`]; `started` gets what wakes it.
pub(super) fn run(shared: Arc<Shared>, client: &Client, started: &dyn Fn(Waker)) {
    let wire = Wire::new(client);
    started(wire.waker());
    let settings = shared.lock().accumulator.settings.clone();
    let mut driver = Driver {
        shared,
        wire,
        settings,
        in_flight: HashMap::new(),
        names: Vec::new(),
        connect_poll_interval: CONNECT_POLL_INTERVAL,
    };
    while let Some(until) = driver.send() {
        let mut next = driver.wire.next_or_wake(until);
        driver.shared.lock().is_waiting = false;
        while let Some(result) = next {
            driver.handle_result(result);
            next = driver.wire.next_or_wake(Instant::now());
        }
    }
}

impl Driver<'_> {
    /// Sends what is due; returns the time of the next step, or `None` at the end.
    fn send(&mut self) -> Option<Instant> {
        let shared = Arc::clone(&self.shared);
        loop {
            let now = Instant::now();
            let mut state = shared.lock();
            if state.is_closing {
                return None;
            }
            if std::mem::take(&mut state.is_purging) {
                self.purge(&mut state, now);
            }
            let accumulator = &mut state.accumulator;
            let mut is_connected = |broker| self.wire.is_connected(broker);
            let plans = accumulator.plan(now, &mut is_connected);
            let failed = accumulator.report.totals.failed;
            accumulator.expire(now);
            if accumulator.report.totals.failed > failed {
                shared.progress.notify_all();
            }
            for name in accumulator.topic_names_from(self.names.len()) {
                self.names.push(StrBytes::from_string(name.to_owned()));
            }
            let wants_metadata = accumulator.wants_metadata(now);
            if wants_metadata {
                accumulator.metadata_requested();
            }
            let wants_producer_id = accumulator.wants_producer_id(now);
            if wants_producer_id {
                accumulator.producer_id_requested();
            }
            let transaction = accumulator.plan_transaction(now);
            let until = self.next_step(accumulator, now);
            state.is_waiting = plans.is_empty();
            drop(state);
            if wants_metadata {
                self.send_metadata(now);
            }
            if wants_producer_id {
                self.send_producer_id(now);
            }
            if let Some(plan) = transaction {
                self.send_transaction(plan, now);
            }
            if plans.is_empty() {
                return Some(until);
            }
            for plan in plans {
                self.send_produce(plan, now);
            }
        }
    }

    fn next_step(&mut self, accumulator: &Accumulator, now: Instant) -> Instant {
        let mut until = now + LONGEST_WAIT;
        if accumulator.awaits_connection {
            until = now + self.connect_poll_interval;
            self.connect_poll_interval =
                (self.connect_poll_interval * 2).min(LONGEST_CONNECT_POLL_INTERVAL);
        } else {
            self.connect_poll_interval = CONNECT_POLL_INTERVAL;
        }
        accumulator.next_wake(now).map_or(until, |at| at.min(until))
    }

    fn send_metadata(&mut self, now: Instant) {
        let names: Vec<String> = self.names.iter().map(ToString::to_string).collect();
        let build = move |_| metadata_request(Some(&names), true);
        let versions = OLDEST..=i16::MAX;
        let deadline = now + QUERY_TIMEOUT;
        let id = self
            .wire
            .send_within(Target::Any, deadline, versions, build);
        self.in_flight.insert(id, Pending::Metadata);
    }

    fn send_producer_id(&mut self, now: Instant) {
        let id = self
            .wire
            .send_within(Target::Any, now + QUERY_TIMEOUT, 0..=4, |_| {
                InitProducerIdRequest::default()
                    .with_transactional_id(None)
                    .with_transaction_timeout_ms(i32::MAX)
                    .with_producer_id(ProducerId(-1))
                    .with_producer_epoch(-1)
            });
        self.in_flight.insert(id, Pending::ProducerId);
    }

    fn send_transaction(&mut self, plan: TransactionPlan, now: Instant) {
        let transactional_id = self.settings.transactional_id.clone().unwrap_or_default();
        let (id, pending) = match plan {
            TransactionPlan::FindCoordinator => {
                let deadline = now + QUERY_TIMEOUT;
                let versions = COORDINATOR_VERSIONS;
                let build = move |version| {
                    find_coordinator(CoordinatorType::Transaction, &transactional_id, version)
                };
                let id = self
                    .wire
                    .send_within(Target::Any, deadline, versions, build);
                (id, Pending::Coordinator)
            }
            TransactionPlan::AddPartitions {
                coordinator,
                producer,
                partitions,
            } => {
                let request =
                    request::add_partitions(&transactional_id, producer, &partitions, &self.names);
                let limits = RequestLimits {
                    deadline: now + COORDINATOR_TIMEOUT,
                    connect_by: now + QUERY_TIMEOUT,
                    versions: 0..=3,
                };
                let target = Target::Broker(coordinator);
                let id = self.wire.send_limited(target, limits, move |_| request);
                (id, Pending::Partitions(partitions))
            }
        };
        self.in_flight.insert(id, pending);
    }

    fn send_produce(&mut self, mut plan: ProducePlan, now: Instant) {
        let parts = match request::encode(&mut plan, &self.settings, &self.names) {
            Ok(parts) => parts,
            Err(error) => {
                let reason = format!("the records can't be compressed: {error}");
                let error = KafkaError::new(code::INVALID_ARG, reason);
                let mut state = self.shared.lock();
                return state.accumulator.handle_failure(plan, &error, now);
            }
        };
        let limits = RequestLimits {
            deadline: plan.deadline,
            connect_by: now + CONNECT_TIMEOUT,
            versions: request::versions(self.settings.codec),
        };
        let target = Target::Broker(plan.broker);
        let has_response = self.settings.acks != 0;
        let id = self
            .wire
            .send_encoded::<ProduceRequest>(target, limits, has_response, parts);
        self.in_flight.insert(id, Pending::Produce(plan));
    }

    fn handle_result(&mut self, RequestResult { id, result }: RequestResult) {
        let Some(pending) = self.in_flight.remove(&id) else {
            return;
        };
        let now = Instant::now();
        match pending {
            Pending::Produce(plan) => self.handle_produce(plan, result, now),
            Pending::Coordinator => {
                let response = result.and_then(RawResponse::decode::<FindCoordinatorRequest>);
                let found = response.and_then(|response| coordinator_of(&response));
                self.shared.lock().accumulator.coordinator_found(found, now);
            }
            Pending::Partitions(partitions) => {
                let response = result.and_then(RawResponse::decode::<AddPartitionsToTxnRequest>);
                let result = response.map(|response| request::added(&response));
                let mut state = self.shared.lock();
                state.accumulator.partitions_added(partitions, result, now);
            }
            Pending::Metadata => {
                let metadata = result.and_then(RawResponse::decode::<MetadataRequest>);
                let metadata = metadata.map(Metadata::from_response);
                let accumulator = &mut self.shared.lock().accumulator;
                match metadata {
                    Ok(metadata) => accumulator.metadata_received(&metadata, now),
                    Err(_) => accumulator.metadata_failed(now),
                }
            }
            Pending::ProducerId => {
                let response = result.and_then(RawResponse::decode::<InitProducerIdRequest>);
                let producer = response.and_then(|response| {
                    KafkaError::check(response.error_code).map(|()| accumulator::ProducerId {
                        id: response.producer_id.0,
                        epoch: response.producer_epoch,
                    })
                });
                let mut state = self.shared.lock();
                state.accumulator.handle_producer_id(producer, now);
            }
        }
        self.shared.progress.notify_all();
    }

    fn handle_produce(
        &mut self,
        plan: ProducePlan,
        result: Result<RawResponse, KafkaError>,
        now: Instant,
    ) {
        let result = match result {
            Err(error) if error.code == code::NONE => {
                return self.shared.lock().accumulator.handle_sent(plan, now);
            }
            other => other.and_then(RawResponse::decode::<ProduceRequest>),
        };
        let result = result.map(request::result);
        let accumulator = &mut self.shared.lock().accumulator;
        match result {
            Ok(result) => accumulator.handle_response(plan, result, now),
            Err(error) => accumulator.handle_failure(plan, &error, now),
        }
    }

    /// Fails what is in flight; its responses are ignored.
    fn purge(&mut self, state: &mut State, now: Instant) {
        let error = KafkaError::of(code::PURGE_INFLIGHT);
        let is_produce = |pending: &Pending| matches!(pending, Pending::Produce(_));
        let ids: Vec<CorrelationId> = self
            .in_flight
            .iter()
            .filter(|(_, pending)| is_produce(pending))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(Pending::Produce(plan)) = self.in_flight.remove(&id) {
                state.accumulator.handle_failure(plan, &error, now);
            }
        }
        self.shared.progress.notify_all();
    }
}
