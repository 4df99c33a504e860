//! Records to delivery reports: what was accepted, what the brokers acknowledged, what failed and why.
//!
//! A record is accepted when it is in librdkafka's queue, and delivered when
//! every in-sync replica has it (acks=all, idempotence on, so that a retry
//! doubles nothing). [`Producer::finish`] returns when each accepted record
//! has been one or the other.
//!
//! librdkafka fails a whole batch when the broker finds it too large, though
//! only one record may be. Such a batch is taken apart here: each record is
//! sent again in a batch of its own, so that only the one that is too large
//! fails.
#![allow(unsafe_code)]

mod report;
mod rescue;
mod send;
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

/// How many failures are kept in words; the others are counted.
const FAILURES_KEPT: usize = 5;
/// A poll that waits shows signals and progress this often.
const TICK_MS: i32 = 50;
/// The reports of what was taken back are there at once; more than this is not waited for.
const PURGE: Duration = Duration::from_secs(5);

/// What became of the records so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records handed in, refused ones included.
    pub accepted: u64,
    /// Records that the brokers acknowledged.
    pub delivered: u64,
    /// Records that were given up.
    pub failed: u64,
}

/// One record that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number that the caller gave it: a line of its input, say.
    pub origin: u64,
    /// The topic it was for.
    pub topic: String,
    /// Why.
    pub error: KafkaError,
}

/// Whether a record found room in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Accepted, or refused for good and counted as failed.
    Done,
    /// The queue is full: [`Producer::poll`], then send it again.
    Full,
}

/// Sends records and keeps count of what became of them.
pub struct Producer {
    // Handles of topics go before the client that they belong to.
    topics: Topics,
    client: Client,
    totals: Totals,
    failures: Vec<Failure>,
    /// The producer that sends records of batches that were too large, each in a batch of its own.
    rescuer: Option<Box<Producer>>,
    options: Options,
    is_rescuer: bool,
    /// What a rescuer has no room for yet.
    backlog: VecDeque<Undelivered>,
    is_transactional: bool,
    /// When the transaction that is open was begun.
    begun: Option<Instant>,
    /// What was delivered since it was last asked for, by the numbers that the records were given.
    delivered: Option<Vec<u64>>,
    /// The records that were given up since they were last asked for.
    undelivered: Option<Vec<Undelivered>>,
    /// The reason that was told last for being without a broker.
    outage: Option<String>,
}

impl Producer {
    /// A producer with the safe settings wherever the user says nothing else.
    pub fn new(options: &Options) -> Result<Producer, ContactError> {
        let mut options = options.clone();
        set_defaults(&mut options);
        Producer::with(options, false)
    }

    fn with(options: Options, is_rescuer: bool) -> Result<Producer, ContactError> {
        Ok(Producer {
            topics: Topics::default(),
            client: Client::new(&options, Role::Producer)?,
            totals: Totals::default(),
            failures: Vec::new(),
            rescuer: None,
            is_transactional: options.get("transactional.id").is_some(),
            begun: None,
            options,
            is_rescuer,
            backlog: VecDeque::new(),
            delivered: None,
            undelivered: None,
            outage: None,
        })
    }

    /// Makes the first contact, and asks for `topic` if there is one.
    ///
    /// A topic that does not exist is asked for until the time for the first
    /// contact is over, because a broker that creates topics needs a moment.
    pub fn contact(
        &mut self,
        topic: Option<TopicId>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), ContactError> {
        let name = topic.map(|id| self.topics.name(id));
        let topic = topic.map(|id| self.topics.handle(id));
        let started = Instant::now();
        let deadline = started + self.client.first_contact();
        let mut is_said = false;
        loop {
            let answer = self.client.ask_first(interrupted, |timeout_ms| {
                Topics::ask(&self.client, topic, timeout_ms)
            });
            match answer {
                Err(ContactError::Answered(error))
                    if may_still_appear(error.code) && Instant::now() < deadline =>
                {
                    if interrupted() {
                        return Err(ContactError::Interrupted);
                    }
                    if !is_said && started.elapsed() >= Duration::from_secs(1) {
                        is_said = true;
                        let name = name.as_deref().unwrap_or_default();
                        log::warn!("waiting for topic {name} to be made: {error}");
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                // Another connection has reached the cluster: this one waits as it does after any outage.
                Err(ContactError::Unreachable { .. }) if self.client.has_seen_cluster() => {
                    return Ok(());
                }
                other => return other,
            }
        }
    }

    /// A record that does not fit into the empty queue is too large for it.
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

    /// The handle for a topic, made at its first use.
    pub fn topic(&mut self, name: &str) -> Result<TopicId, KafkaError> {
        self.topics.id(&self.client, name)
    }

    /// Hands a record to the queue. `origin` is what a [`Failure`] will name it by.
    ///
    /// The record's own topic and partition count for nothing; its timestamp,
    /// key, value and headers are sent. Without a partition the partitioner
    /// chooses.
    #[inline]
    pub fn send(
        &mut self,
        topic: TopicId,
        partition: Option<i32>,
        record: &Record<'_>,
        origin: u64,
    ) -> Sent {
        match self
            .topics
            .send(&self.client, topic, partition, record, origin)
        {
            Ok(()) => {
                self.totals.accepted += 1;
                Sent::Done
            }
            Err(error) if error.code == code::QUEUE_FULL && self.in_flight() > 0 => Sent::Full,
            Err(error) => {
                self.totals.accepted += 1;
                let error = self.explain_full(error);
                let topic = self.topics.name(topic);
                self.give_up(Undelivered::refused(
                    record, origin, topic, partition, error,
                ));
                Sent::Done
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
        if let Some(rescuer) = &mut self.rescuer {
            rescuer.poll(0);
        }
    }

    fn serve(&mut self, event: &Event) {
        if event.kind() == ffi::RD_KAFKA_EVENT_DR {
            let rescued = self.take_reports(event);
            self.rescue(rescued);
        } else if let Some(error) = self.client.note(event) {
            self.tell_outage(&error);
        }
    }

    /// Says once for each outage that there is no broker, since waiting may be long.
    fn tell_outage(&mut self, error: &KafkaError) {
        if self.outage.is_some() {
            return;
        }
        let is_first = self.totals.delivered == 0;
        let cause = || self.client.cause().unwrap_or_else(|| error.to_string());
        let cause = if is_first && self.client.has_wrong_address() {
            let cause = cause();
            log::warn!("{cause}; still trying");
            cause
        } else if !is_first && self.client.is_cut_off() {
            let cause = cause();
            log::warn!("no broker can be reached ({cause}); still trying");
            cause
        } else {
            return;
        };
        self.outage = Some(cause);
    }

    fn give_up(&mut self, record: Undelivered) {
        self.totals.failed += 1;
        // What was taken back failed for a reason that is told apart.
        let is_taken_back = matches!(record.error.code, code::PURGE_QUEUE | code::PURGE_INFLIGHT);
        if !is_taken_back && self.failures.len() < FAILURES_KEPT {
            self.failures.push(Failure {
                origin: record.number,
                topic: record.topic.clone(),
                error: record.error.clone(),
            });
        }
        if let Some(kept) = &mut self.undelivered {
            kept.push(record);
        }
    }

    /// Keeps the number of each record that is delivered from now on, for [`Producer::take_delivered`].
    pub fn keep_delivered(&mut self) {
        self.delivered.get_or_insert_default();
        if let Some(rescuer) = &mut self.rescuer {
            rescuer.keep_delivered();
        }
    }

    /// Hands the numbers of the records that were delivered since the last call to `take`, in no order.
    pub fn take_delivered(&mut self, take: &mut dyn FnMut(u64)) {
        for number in self.delivered.iter_mut().flat_map(|kept| kept.drain(..)) {
            take(number);
        }
        if let Some(rescuer) = &mut self.rescuer {
            rescuer.take_delivered(take);
        }
    }

    /// Keeps each record that is given up from now on, for [`Producer::take_undelivered`].
    ///
    /// A name of a header ends at its first NUL byte: librdkafka tells no more of it.
    pub fn keep_undelivered(&mut self) {
        self.undelivered.get_or_insert_default();
        if let Some(rescuer) = &mut self.rescuer {
            rescuer.keep_undelivered();
        }
    }

    /// Hands over the records that were given up since the last call, those of a partition in their order.
    pub fn take_undelivered(&mut self) -> Vec<Undelivered> {
        let kept = self.undelivered.as_mut();
        let mut taken = kept.map(std::mem::take).unwrap_or_default();
        if let Some(rescuer) = &mut self.rescuer {
            taken.append(&mut rescuer.take_undelivered());
        }
        taken
    }

    /// Accepted records whose fate is open.
    pub fn in_flight(&self) -> u64 {
        // SAFETY: the handle is live.
        let queued = unsafe { ffi::rd_kafka_outq_len(self.client.as_ptr()) };
        // Events that wait to be served are in the queue's length as well.
        u64::try_from(queued).unwrap_or(0)
            + self.backlog.len() as u64
            + self
                .rescuer
                .as_ref()
                .map_or(0, |rescuer| rescuer.in_flight())
    }

    /// Waits until every accepted record was delivered or given up (message.timeout.ms bounds that).
    ///
    /// `waiting` is called now and then, for progress; it returns false to give up what is left.
    pub fn finish(&mut self, waiting: &mut dyn FnMut(Totals) -> bool) -> Totals {
        while self.flush() {
            if !waiting(self.totals()) {
                self.purge();
            }
        }
        self.totals()
    }

    /// Sends what linger.ms would hold back, and serves reports for a moment; false once nothing is under way any more.
    ///
    /// [`Producer::finish`] for a caller that has something to do between.
    pub fn flush(&mut self) -> bool {
        if self.in_flight() == 0 {
            self.poll(0);
            return false;
        }
        // SAFETY: the handle is live. One millisecond of flushing sends
        // what linger.ms would hold back; reports are served below.
        unsafe { ffi::flush(self.client.as_ptr(), 1) };
        self.poll(TICK_MS);
        true
    }

    /// Takes back what is queued or under way; each such record is counted as failed.
    pub fn purge(&mut self) {
        let flags = ffi::RD_KAFKA_PURGE_F_QUEUE | ffi::RD_KAFKA_PURGE_F_INFLIGHT;
        // SAFETY: the handle is live.
        unsafe { ffi::purge(self.client.as_ptr(), flags) };
        for record in std::mem::take(&mut self.backlog) {
            let error = KafkaError::of(code::PURGE_QUEUE);
            self.give_up(Undelivered { error, ..record });
        }
        let until = Instant::now() + PURGE;
        while self.in_flight() > 0 && Instant::now() < until {
            self.poll(TICK_MS);
            if let Some(rescuer) = &mut self.rescuer {
                rescuer.purge();
            }
        }
        self.poll(0);
    }

    /// What became of the records so far. A record that is being rescued is still open.
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals;
        if let Some(rescuer) = &self.rescuer {
            let rescued = rescuer.totals();
            totals.delivered += rescued.delivered;
            totals.failed += rescued.failed;
        }
        totals
    }

    /// The first failures, in words.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        let rescued = self
            .rescuer
            .iter()
            .flat_map(|rescuer| rescuer.failures.iter());
        self.failures.iter().chain(rescued).take(FAILURES_KEPT)
    }

    /// The error that ends the producer's life (a fenced producer, say), if there is one.
    pub fn fatal_error(&self) -> Option<KafkaError> {
        let mut reason = [0u8; 512];
        // SAFETY: the handle is live and the buffer's size is told.
        let code = unsafe {
            ffi::fatal_error(
                self.client.as_ptr(),
                reason.as_mut_ptr().cast(),
                reason.len(),
            )
        };
        (code != 0).then(|| {
            let mut text = ffi::buffer_text(&reason);
            // A broker gives a producer its id if it may write to any topic at all (KIP-679).
            if code == code::CLUSTER_AUTHORIZATION_FAILED {
                text += "; this user may write to no topic";
            }
            KafkaError::new(code, text)
        })
    }

    /// Why records were taken back of which no failure tells: what ended the producer's life.
    pub fn untold_error(&self) -> Option<KafkaError> {
        let is_untold = self.totals().failed > 0 && self.failures().next().is_none();
        is_untold.then(|| self.fatal_error()).flatten()
    }

    /// What librdkafka saw go wrong last, if anything.
    pub fn cause(&self) -> Option<String> {
        self.client.cause()
    }
}

fn may_still_appear(code: i32) -> bool {
    const LEADER_NOT_AVAILABLE: i32 = 5;
    matches!(
        code,
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC | LEADER_NOT_AVAILABLE
    )
}

fn set_defaults(options: &mut Options) {
    // As Java places keys; librdkafka's own default places them elsewhere.
    options.set_default("partitioner", "murmur2_random");
    // The topic and the broker say what is too large, and say so for each record.
    options.set_default("message.max.bytes", "1000000000");
    // A bound for memory; librdkafka's default of 1 GiB is none.
    options.set_default("queue.buffering.max.kbytes", "131072");
    if is_fit_for_idempotence(options) {
        options.set_default("enable.idempotence", "true");
    }
}

/// Whether nothing that the user says forbids idempotence (librdkafka's CONFIGURATION.md, `enable.idempotence`).
fn is_fit_for_idempotence(options: &Options) -> bool {
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
