//! Passes records to the accumulator, and reports what became of them.

use std::sync::mpsc;
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::accumulator::{Accumulator, Appended, Now};
use super::driver::{self, Shared, State};
use super::settings::{self, ProduceSettings};
use super::{Enqueued, Failure, TICK_MS, TopicId, Totals, Undelivered, may_be_created_yet};
use crate::kafka::admin::metadata::{Metadata, OLDEST, metadata_request};
use crate::kafka::client::{Client, ContactError, Role};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::options::Options;
use crate::kafka::wire::{Waker, Wire};
use crate::record::Record;

/// How many records may share one reading of the clock, unless the producer was polled in between.
const RECORDS_PER_TIME: u32 = 64;
/// How long to wait for the requests in flight to be forgotten.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends records and keeps count of what became of them.
pub struct Producer {
    shared: Arc<Shared>,
    // Wakes a queue of the client.
    waker: Waker,
    thread: Option<JoinHandle<()>>,
    pub(super) client: Arc<Client>,
    /// The last reading of the clock, and how many records may still have it.
    now: Now,
    now_left: u32,
    /// How many records were delivered when the producer was polled last.
    delivered: u64,
    /// Whether the outage was reported.
    is_outage_reported: bool,
}

impl Producer {
    /// A producer with safe defaults for what the user did not set.
    pub fn new(options: &Options) -> Result<Producer, ContactError> {
        let mut options = options.clone();
        settings::tune(&mut options);
        let client = Client::new(&settings::client_options(&options)?, Role::Producer)?;
        let client = Arc::new(client);
        let settings = ProduceSettings::of(&client, &options);
        let shared = Arc::new(Shared::new(Accumulator::new(settings)));
        let (sender, receiver) = mpsc::channel();
        let driven = (Arc::clone(&shared), Arc::clone(&client));
        let thread = std::thread::Builder::new().name("produce".to_owned());
        let thread = thread.spawn(move || {
            driver::run(driven.0, &driven.1, &|waker| {
                let _ = sender.send(waker);
            });
        });
        let failed = |error: String| ContactError::Refused(format!("no thread: {error}"));
        let thread = thread.map_err(|error| failed(error.to_string()))?;
        let waker = receiver.recv().map_err(|error| failed(error.to_string()))?;
        Ok(Producer {
            shared,
            waker,
            thread: Some(thread),
            client,
            now: time(),
            now_left: 0,
            delivered: 0,
            is_outage_reported: false,
        })
    }

    /// The coordinator of the transactional.id, if it is known.
    pub(super) fn coordinator(&self) -> Option<i32> {
        let state = self.lock();
        state
            .accumulator
            .transaction
            .as_ref()
            .and_then(|it| it.coordinator)
    }

    pub(super) fn set_coordinator(&self, coordinator: Option<i32>) {
        if let Some(transaction) = &mut self.lock().accumulator.transaction {
            transaction.coordinator = coordinator;
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// Lets the thread look at what has changed.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let is_waiting = std::mem::take(&mut state.is_waiting);
        drop(state);
        if is_waiting {
            self.waker.wake();
        }
    }

    /// The handle of a topic, created at its first use.
    pub fn topic(&self, name: &str) -> TopicId {
        let mut state = self.lock();
        let id = TopicId(state.accumulator.topic(name));
        self.wake(state);
        id
    }

    /// Makes the first contact, and asks for `topic` if there is one.
    ///
    /// A missing topic is looked up again until the time for the first contact is
    /// over, because a broker that creates topics needs a moment.
    pub fn contact(
        &self,
        topic: Option<TopicId>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), ContactError> {
        let name = topic.map(|id| self.lock().accumulator.topic_name(id.0).to_owned());
        let names: Vec<String> = name.iter().cloned().collect();
        let started = Instant::now();
        let deadline = started + self.client.first_contact();
        let mut is_reported = false;
        let mut wire = Wire::new(&self.client);
        loop {
            let names = names.clone();
            let build = move |_| metadata_request(Some(&names), true);
            let response = match wire.retry_until_contact(OLDEST..=i16::MAX, interrupted, build) {
                Ok((response, _)) => response,
                // Another connection has reached the cluster: wait as after any outage.
                Err(ContactError::Unreachable { .. }) if self.client.has_seen_cluster() => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let metadata = Metadata::from_response(response);
            let mut state = self.lock();
            let now = Instant::now();
            state.accumulator.update_metadata(&metadata, now);
            self.wake(state);
            let name = name.as_deref().unwrap_or_default();
            let row = metadata.topic(name);
            let Some(error) = row.and_then(|row| row.error.as_ref()) else {
                return Ok(());
            };
            if !may_be_created_yet(error.code) || now >= deadline {
                let reason = format!("topic {name}: {error}");
                return Err(ContactError::Answered(KafkaError::new(error.code, reason)));
            }
            if interrupted() {
                return Err(ContactError::Interrupted);
            }
            if !is_reported && started.elapsed() >= Duration::from_secs(1) {
                is_reported = true;
                log::warn!("waiting for topic {name} to be created: {error}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Adds a record to the batch of its partition; `opaque` is what it is reported by.
    ///
    /// The record's own topic and partition are ignored; its timestamp, key,
    /// value and headers are sent. Without a partition the partitioner chooses.
    #[inline]
    pub fn send(
        &mut self,
        topic: TopicId,
        partition: Option<i32>,
        record: &Record<'_>,
        opaque: u64,
    ) -> Enqueued {
        if self.now_left == 0 {
            self.now = time();
            self.now_left = RECORDS_PER_TIME;
        }
        self.now_left -= 1;
        let mut state = self.shared.lock();
        let accumulator = &mut state.accumulator;
        match accumulator.append(topic.0, partition, record, opaque, self.now) {
            Appended::Done => Enqueued::Done,
            Appended::Wake => {
                self.wake(state);
                Enqueued::Done
            }
            Appended::Full => {
                self.wake(state);
                Enqueued::QueueFull
            }
        }
    }

    /// Looks what became of the records, waiting at most `timeout_ms` for the first result.
    pub fn poll(&mut self, timeout_ms: i32) {
        self.now_left = 0;
        let mut state = self.shared.lock();
        if timeout_ms > 0 {
            let limit = Duration::from_millis(timeout_ms.unsigned_abs().into());
            state = self.shared.wait(state, limit);
        }
        let delivered = state.accumulator.report.totals.delivered;
        drop(state);
        if delivered > self.delivered {
            self.delivered = delivered;
            self.is_outage_reported = false;
        }
        let mut has_failed = false;
        while let Some(event) = self.client.poll(0) {
            has_failed |= self.client.note(&event).is_some();
        }
        // The error of an advertised address may have come before the answer of the first contact.
        if has_failed || timeout_ms > 0 && self.delivered == 0 {
            self.report_outage();
        }
    }

    /// Reports each outage once, since it may last long.
    fn report_outage(&mut self) {
        if self.is_outage_reported {
            return;
        }
        let is_first = self.delivered == 0;
        let Some(cause) = self.client.cause() else {
            return;
        };
        if is_first && self.client.has_unreachable_advertised_address() {
            log::warn!("{cause}; still trying");
        } else if !is_first && self.client.all_brokers_down() {
            log::warn!("no broker can be reached ({cause}); still trying");
        } else {
            return;
        }
        self.is_outage_reported = true;
    }

    /// Keeps the opaque of each record delivered from now on, for [`Producer::take_delivered`].
    pub fn keep_delivered(&self) {
        self.lock()
            .accumulator
            .report
            .delivered
            .get_or_insert_default();
    }

    /// Calls `take` with the opaque of each record delivered since the last call, in no order.
    pub fn take_delivered(&self, take: &mut dyn FnMut(u64)) {
        let kept = self
            .lock()
            .accumulator
            .report
            .delivered
            .as_mut()
            .map(std::mem::take);
        for opaques in kept.iter().flatten() {
            opaques.iter().for_each(&mut *take);
        }
    }

    /// Keeps each record that fails from now on, for [`Producer::take_undelivered`].
    pub fn keep_undelivered(&self) {
        self.lock()
            .accumulator
            .report
            .undelivered
            .get_or_insert_default();
    }

    /// The records that failed since the last call, those of a partition in their order.
    pub fn take_undelivered(&self) -> Vec<Undelivered> {
        let mut state = self.lock();
        let kept = state.accumulator.report.undelivered.as_mut();
        kept.map(std::mem::take).unwrap_or_default()
    }

    /// Accepted records that were neither delivered nor have failed.
    pub fn in_flight(&self) -> u64 {
        self.lock().accumulator.outstanding()
    }

    /// Waits until every accepted record was delivered or has failed (message.timeout.ms bounds that).
    ///
    /// `waiting` is called now and then, for progress; it returns false to purge the rest.
    pub fn finish(&mut self, waiting: &mut dyn FnMut(Totals) -> bool) -> Totals {
        while self.flush() {
            if !waiting(self.totals()) {
                self.purge();
            }
        }
        self.totals()
    }

    /// Sends without waiting for linger.ms, and waits a moment for results; false once nothing is in flight.
    ///
    /// One step of [`Producer::finish`], for a caller that has something to do in between.
    pub fn flush(&mut self) -> bool {
        let mut state = self.lock();
        if state.accumulator.outstanding() == 0 {
            drop(state);
            self.poll(0);
            return false;
        }
        state.accumulator.close_open_batches();
        self.wake(state);
        self.poll(TICK_MS);
        true
    }

    /// Purges what is queued or in flight; each such record counts as failed.
    pub fn purge(&mut self) {
        let mut state = self.lock();
        let error = KafkaError::of(code::PURGE_QUEUE);
        state.accumulator.purge(&error);
        state.is_purging = true;
        self.wake(state);
        let until = Instant::now() + PURGE_TIMEOUT;
        while self.in_flight() > 0 && Instant::now() < until {
            self.poll(TICK_MS);
        }
    }

    /// The totals so far. A record that is being retried is still in flight.
    pub fn totals(&self) -> Totals {
        self.lock().accumulator.report.totals
    }

    /// The first failures.
    pub fn failures(&self) -> Vec<Failure> {
        self.lock().accumulator.report.failures.clone()
    }

    /// The error that ended this producer (it was fenced, say), if there is one.
    pub fn fatal_error(&self) -> Option<KafkaError> {
        self.lock().accumulator.fatal().cloned()
    }

    /// The fatal error, where records were purged because of it and no failure names it.
    pub fn unreported_fatal_error(&self) -> Option<KafkaError> {
        let is_unreported = self.totals().failed > 0 && self.failures().is_empty();
        is_unreported.then(|| self.fatal_error()).flatten()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let mut state = self.lock();
        state.is_closing = true;
        self.wake(state);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn time() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    Now {
        instant: Instant::now(),
        wall_ms: wall.map_or(0, |wall| wall.as_millis() as i64),
    }
}
