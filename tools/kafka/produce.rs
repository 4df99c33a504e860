//! Records to delivery reports: what was accepted, what the brokers acknowledged, what failed and why.
//!
//! A record is accepted when it is in librdkafka's queue, and delivered when
//! every in-sync replica has it (acks=all; idempotence is on, so that a retry
//! duplicates nothing). [`Producer::finish`] returns when each accepted record
//! was delivered or has failed.
//!
//! librdkafka fails a whole batch when the broker finds it too large, though
//! only one record may be. `split_and_retry` sends each record of such a batch
//! again in a batch of its own, so that only the one that is too large fails.
#![allow(unsafe_code)]

mod report;
mod send;
mod split_and_retry;
mod transaction;
mod undelivered;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::client::{Client, ContactError, Event, Role};
use super::error::{KafkaError, code};
use super::ffi;
use super::options::Options;
use crate::record::Record;
use send::Topics;

pub use send::TopicId;
pub use undelivered::Undelivered;

/// The first failures are kept with their reasons; the others are only counted.
const FAILURES_KEPT: usize = 5;
/// How often a blocking poll looks at signals and shows progress.
const TICK_MS: i32 = 50;
/// How long to wait for the delivery reports of purged records, which arrive at once.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many records were accepted, delivered, failed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records passed to [`Producer::send`], refused ones included.
    pub accepted: u64,
    /// Records that the brokers acknowledged.
    pub delivered: u64,
    /// Records that failed for good.
    pub failed: u64,
}

/// One record that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the caller passed to [`Producer::send`]: a line number or an offset.
    pub opaque: u64,
    pub topic: String,
    pub error: KafkaError,
}

/// Whether a record was put into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// Accepted, or refused for good and counted as failed.
    Done,
    /// The queue is full: [`Producer::poll`], then send it again.
    QueueFull,
}

/// Sends records and keeps count of what became of them.
pub struct Producer {
    // Handles of topics go before the client that they belong to.
    topics: Topics,
    client: Client,
    totals: Totals,
    failures: Vec<Failure>,
    /// The producer that sends records of batches that were too large, each in a batch of its own.
    retrier: Option<Box<Producer>>,
    options: Options,
    is_retrier: bool,
    /// The records that did not fit into the retry producer's queue yet.
    backlog: VecDeque<Undelivered>,
    is_transactional: bool,
    /// When the open transaction was begun.
    transaction_begun_at: Option<Instant>,
    /// The opaques of the records delivered since [`Producer::take_delivered`] was called last.
    delivered: Option<Vec<u64>>,
    /// The records that failed since [`Producer::take_undelivered`] was called last.
    undelivered: Option<Vec<Undelivered>>,
    /// The cause of the outage that was reported last.
    outage: Option<String>,
}

impl Producer {
    /// A producer with safe defaults for what the user did not set.
    pub fn new(options: &Options) -> Result<Producer, ContactError> {
        let mut options = options.clone();
        set_defaults(&mut options);
        Producer::with(options, false)
    }

    fn with(options: Options, is_retrier: bool) -> Result<Producer, ContactError> {
        Ok(Producer {
            topics: Topics::default(),
            client: Client::new(&options, Role::Producer)?,
            totals: Totals::default(),
            failures: Vec::new(),
            retrier: None,
            is_transactional: options.get("transactional.id").is_some(),
            transaction_begun_at: None,
            options,
            is_retrier,
            backlog: VecDeque::new(),
            delivered: None,
            undelivered: None,
            outage: None,
        })
    }

    /// Makes the first contact, and asks for `topic` if there is one.
    ///
    /// A missing topic is looked up again until the time for the first contact is
    /// over, because a broker that creates topics needs a moment.
    pub fn contact(
        &mut self,
        topic: Option<TopicId>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), ContactError> {
        let name = topic.map(|id| self.topics.name(id));
        let topic = topic.map(|id| self.topics.handle(id));
        let started = Instant::now();
        let deadline = started + self.client.first_contact();
        let mut is_reported = false;
        loop {
            let answer = self.client.retry_until_contact(interrupted, |timeout_ms| {
                Topics::ask(&self.client, topic, timeout_ms)
            });
            match answer {
                Err(ContactError::Answered(error))
                    if may_be_created_yet(error.code) && Instant::now() < deadline =>
                {
                    if interrupted() {
                        return Err(ContactError::Interrupted);
                    }
                    if !is_reported && started.elapsed() >= Duration::from_secs(1) {
                        is_reported = true;
                        let name = name.as_deref().unwrap_or_default();
                        log::warn!("waiting for topic {name} to be created: {error}");
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                // Another connection has reached the cluster: wait as after any outage.
                Err(ContactError::Unreachable { .. }) if self.client.has_seen_cluster() => {
                    return Ok(());
                }
                other => return other,
            }
        }
    }

    /// A record that does not fit into an empty queue is too large for it.
    fn explain_full(&self, error: KafkaError) -> KafkaError {
        if error.code != code::QUEUE_FULL {
            return error;
        }
        let name = "queue.buffering.max.kbytes";
        let kbytes = self.client.property(name).unwrap_or_default();
        let reason = format!(
            "the record is larger than the queue, {kbytes} KiB; -X {name}=N makes it larger"
        );
        KafkaError::new(code::MESSAGE_TOO_LARGE, reason)
    }

    /// The handle of a topic, created at its first use.
    pub fn topic(&mut self, name: &str) -> Result<TopicId, KafkaError> {
        self.topics.id(&self.client, name)
    }

    /// Puts a record into the queue. Its delivery report returns `opaque`.
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
        match self
            .topics
            .send(&self.client, topic, partition, record, opaque)
        {
            Ok(()) => {
                self.totals.accepted += 1;
                Enqueued::Done
            }
            Err(error) if error.code == code::QUEUE_FULL && self.in_flight() > 0 => {
                Enqueued::QueueFull
            }
            Err(error) => {
                self.totals.accepted += 1;
                let error = self.explain_full(error);
                let topic = self.topics.name(topic);
                self.mark_failed(Undelivered::refused(
                    record, opaque, topic, partition, error,
                ));
                Enqueued::Done
            }
        }
    }

    /// Serves delivery reports, waiting at most `timeout_ms` for the first.
    pub fn poll(&mut self, timeout_ms: i32) {
        let mut next = self.client.poll(timeout_ms);
        while let Some(event) = next {
            self.serve(&event);
            next = self.client.poll(0);
        }
        self.send_backlog();
        if let Some(retrier) = &mut self.retrier {
            retrier.poll(0);
        }
    }

    fn serve(&mut self, event: &Event) {
        if event.kind() == ffi::RD_KAFKA_EVENT_DR {
            let retried = self.handle_reports(event);
            self.split_and_retry(retried);
        } else if let Some(error) = self.client.note(event) {
            self.report_outage(&error);
        }
    }

    /// Reports each outage once, since it may last long.
    fn report_outage(&mut self, error: &KafkaError) {
        if self.outage.is_some() {
            return;
        }
        let is_first = self.totals.delivered == 0;
        let cause = || self.client.cause().unwrap_or_else(|| error.to_string());
        let cause = if is_first && self.client.has_unreachable_advertised_address() {
            let cause = cause();
            log::warn!("{cause}; still trying");
            cause
        } else if !is_first && self.client.all_brokers_down() {
            let cause = cause();
            log::warn!("no broker can be reached ({cause}); still trying");
            cause
        } else {
            return;
        };
        self.outage = Some(cause);
    }

    fn mark_failed(&mut self, record: Undelivered) {
        self.totals.failed += 1;
        // Purged records failed for a reason that is reported separately.
        let is_purged = matches!(record.error.code, code::PURGE_QUEUE | code::PURGE_INFLIGHT);
        if !is_purged && self.failures.len() < FAILURES_KEPT {
            self.failures.push(Failure {
                opaque: record.opaque,
                topic: record.topic.clone(),
                error: record.error.clone(),
            });
        }
        if let Some(kept) = &mut self.undelivered {
            kept.push(record);
        }
    }

    /// Keeps the opaque of each record delivered from now on, for [`Producer::take_delivered`].
    pub fn keep_delivered(&mut self) {
        self.delivered.get_or_insert_default();
        if let Some(retrier) = &mut self.retrier {
            retrier.keep_delivered();
        }
    }

    /// Calls `take` with the opaque of each record delivered since the last call, in no order.
    pub fn take_delivered(&mut self, take: &mut dyn FnMut(u64)) {
        for opaque in self.delivered.iter_mut().flat_map(|kept| kept.drain(..)) {
            take(opaque);
        }
        if let Some(retrier) = &mut self.retrier {
            retrier.take_delivered(take);
        }
    }

    /// Keeps each record that fails from now on, for [`Producer::take_undelivered`].
    ///
    /// A header's name ends at its first NUL byte: librdkafka returns no more of it.
    pub fn keep_undelivered(&mut self) {
        self.undelivered.get_or_insert_default();
        if let Some(retrier) = &mut self.retrier {
            retrier.keep_undelivered();
        }
    }

    /// The records that failed since the last call, those of a partition in their order.
    pub fn take_undelivered(&mut self) -> Vec<Undelivered> {
        let kept = self.undelivered.as_mut();
        let mut taken = kept.map(std::mem::take).unwrap_or_default();
        if let Some(retrier) = &mut self.retrier {
            taken.append(&mut retrier.take_undelivered());
        }
        taken
    }

    /// Accepted records without a delivery report.
    pub fn in_flight(&self) -> u64 {
        // SAFETY: the handle is live.
        let queued = unsafe { ffi::rd_kafka_outq_len(self.client.as_ptr()) };
        // The queue's length includes events that were not polled yet.
        u64::try_from(queued).unwrap_or(0)
            + self.backlog.len() as u64
            + self
                .retrier
                .as_ref()
                .map_or(0, |retrier| retrier.in_flight())
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

    /// Sends without waiting for linger.ms, and serves delivery reports for a moment; false once nothing is in flight.
    ///
    /// One step of [`Producer::finish`], for a caller that has something to do in between.
    pub fn flush(&mut self) -> bool {
        if self.in_flight() == 0 {
            self.poll(0);
            return false;
        }
        // SAFETY: the handle is live. One millisecond of flushing ends
        // linger.ms; delivery reports are served below.
        unsafe { ffi::flush(self.client.as_ptr(), 1) };
        self.poll(TICK_MS);
        true
    }

    /// Purges what is queued or in flight; each such record counts as failed.
    pub fn purge(&mut self) {
        let flags = ffi::RD_KAFKA_PURGE_F_QUEUE | ffi::RD_KAFKA_PURGE_F_INFLIGHT;
        // SAFETY: the handle is live.
        unsafe { ffi::purge(self.client.as_ptr(), flags) };
        for record in std::mem::take(&mut self.backlog) {
            let error = KafkaError::of(code::PURGE_QUEUE);
            self.mark_failed(Undelivered { error, ..record });
        }
        let until = Instant::now() + PURGE_TIMEOUT;
        while self.in_flight() > 0 && Instant::now() < until {
            self.poll(TICK_MS);
            if let Some(retrier) = &mut self.retrier {
                retrier.purge();
            }
        }
        self.poll(0);
    }

    /// The totals so far. A record that is being retried is still in flight.
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals;
        if let Some(retrier) = &self.retrier {
            let retried = retrier.totals();
            totals.delivered += retried.delivered;
            totals.failed += retried.failed;
        }
        totals
    }

    /// The first failures.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        let retried = self
            .retrier
            .iter()
            .flat_map(|retrier| retrier.failures.iter());
        self.failures.iter().chain(retried).take(FAILURES_KEPT)
    }

    /// The error that ended this producer (it was fenced, say), if there is one.
    pub fn fatal_error(&self) -> Option<KafkaError> {
        let mut reason = [0u8; 512];
        // SAFETY: the handle is live; the buffer is as long as its size says.
        let code = unsafe {
            ffi::fatal_error(
                self.client.as_ptr(),
                reason.as_mut_ptr().cast(),
                reason.len(),
            )
        };
        (code != 0).then(|| {
            let mut text = ffi::buffer_text(&reason);
            // A broker assigns a producer id only to a user that may write to some topic (KIP-679).
            if code == code::CLUSTER_AUTHORIZATION_FAILED {
                text += "; this user may write to no topic";
            }
            KafkaError::new(code, text)
        })
    }

    /// The fatal error, where records were purged because of it and no failure names it.
    pub fn unreported_fatal_error(&self) -> Option<KafkaError> {
        let is_unreported = self.totals().failed > 0 && self.failures().next().is_none();
        is_unreported.then(|| self.fatal_error()).flatten()
    }

    /// The last error that librdkafka reported, if any.
    pub fn cause(&self) -> Option<String> {
        self.client.cause()
    }
}

fn may_be_created_yet(code: i32) -> bool {
    matches!(
        code,
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC | code::LEADER_NOT_AVAILABLE
    )
}

fn set_defaults(options: &mut Options) {
    // As Java places keys; librdkafka's own default places them elsewhere.
    options.set_default("partitioner", "murmur2_random");
    // The topic and the broker decide what is too large, for each record.
    options.set_default("message.max.bytes", "1000000000");
    // Bounds memory; librdkafka's default of 1 GiB hardly does.
    options.set_default("queue.buffering.max.kbytes", "131072");
    if allows_idempotence(options) {
        options.set_default("enable.idempotence", "true");
    }
}

/// Whether no property that the user set forbids idempotence (librdkafka's CONFIGURATION.md, `enable.idempotence`).
fn allows_idempotence(options: &Options) -> bool {
    let number = |name: &str| {
        options
            .get(name)
            .and_then(|value| value.parse::<i64>().ok())
    };
    matches!(options.get("acks"), None | Some("-1" | "all"))
        && number("max.in.flight.requests.per.connection").is_none_or(|n| n <= 5)
        && number("retries").is_none_or(|n| n > 0)
        && options
            .get("queuing.strategy")
            .is_none_or(|strategy| strategy == "fifo")
}

#[cfg(test)]
mod tests {
    use super::{Options, set_defaults};

    fn idempotence_with(property: &str) -> Option<String> {
        let mut options = Options::default();
        options
            .add_typed([&property.to_owned()].into_iter())
            .expect("valid");
        set_defaults(&mut options);
        options.get("enable.idempotence").map(str::to_owned)
    }

    #[test]
    fn idempotence_is_on_unless_the_user_asks_for_what_forbids_it() {
        assert_eq!(idempotence_with("linger.ms=1").as_deref(), Some("true"));
        assert_eq!(idempotence_with("acks=all").as_deref(), Some("true"));
        assert_eq!(idempotence_with("acks=1"), None);
        assert_eq!(idempotence_with("max.in.flight=6"), None);
        assert_eq!(idempotence_with("retries=0"), None);
        assert_eq!(
            idempotence_with("enable.idempotence=false").as_deref(),
            Some("false")
        );
    }
}
