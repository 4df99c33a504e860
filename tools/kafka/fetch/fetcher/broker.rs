//! The state of one broker: its request in flight, its throttling, its failures.

use std::time::{Duration, Instant};

use super::{Fetcher, is_retriable};
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::{KafkaError, code};

/// The longest pause for a throttle; Kafka's quotas ask for a few seconds at most.
const MAX_THROTTLE: Duration = Duration::from_secs(30);
/// A throttle this long is reported.
const REPORTED_THROTTLE: Duration = Duration::from_secs(2);
/// How long to avoid a replica after it failed.
const REPLICA_AVOIDANCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Broker {
    /// The request in flight, and when it was sent.
    pub(super) request: Option<(u64, Instant)>,
    pub(super) paused_until: Option<Instant>,
    failures: u32,
    /// Whether a malformed response was reported.
    is_failure_reported: bool,
    is_throttle_reported: bool,
}

impl Broker {
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.request.is_none() && self.paused_until.is_none_or(|until| now >= until)
    }

    fn release(&mut self, request: u64) {
        if self.request.is_some_and(|(sent, _)| sent == request) {
            self.request = None;
        }
    }
}

impl Fetcher {
    pub(super) fn broker_responded(
        &mut self,
        broker: i32,
        request: u64,
        throttle_ms: i32,
        now: Instant,
    ) {
        let state = self.brokers.entry(broker).or_default();
        state.release(request);
        state.failures = 0;
        state.is_failure_reported = false;
        let throttle = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
        if throttle.is_zero() {
            state.is_throttle_reported = false;
            return;
        }
        let pause = throttle.min(MAX_THROTTLE);
        state.paused_until = Some(now + pause);
        if throttle >= REPORTED_THROTTLE
            && !std::mem::replace(&mut state.is_throttle_reported, true)
        {
            log::warn!(
                "broker {broker} throttles this client for {} s (a quota of the cluster); it is asked again in {} s",
                throttle.as_secs(),
                pause.as_secs()
            );
        }
    }

    /// A request failed as a whole.
    pub(crate) fn handle_failure(
        &mut self,
        broker: i32,
        request: u64,
        error: &KafkaError,
        now: Instant,
    ) {
        let partitions = self.release_partitions(request);
        let state = self.brokers.entry(broker).or_default();
        state.release(request);
        state.failures += 1;
        state.paused_until = Some(now + self.settings.backoff_after(state.failures));
        let is_reported = state.is_failure_reported;
        self.refresh.is_needed = true;
        self.leave_replicas(broker, error, now);
        match error.code {
            code::TOO_LARGE_ANSWER => match partitions[..] {
                [only] => self.fail_too_large(only),
                _ => self.is_single_partition = true,
            },
            // The request is retried; report it once until a response can be parsed.
            code::BAD_MESSAGE if is_reported => {}
            code::BAD_MESSAGE => {
                self.brokers.entry(broker).or_default().is_failure_reported = true;
                self.errors.push(ConsumeError::Failed(error.clone()));
            }
            code if is_retriable(code) => {}
            _ => self.errors.push(ConsumeError::Failed(error.clone())),
        }
    }

    /// Reads the partitions of a failed replica from their leaders.
    fn leave_replicas(&mut self, replica: i32, error: &KafkaError, now: Instant) {
        let mut is_any = false;
        for partition in &mut self.partitions {
            if partition.leave_replica(replica) {
                partition.avoided_replica = Some((replica, now + REPLICA_AVOIDANCE));
                is_any = true;
            }
        }
        if is_any {
            log::warn!("reading from the leaders instead of the replica in client.rack: {error}");
        }
    }

    /// The response for one partition alone was too large.
    fn fail_too_large(&mut self, index: usize) {
        let limit = self.settings.receive_max_bytes;
        let offset = self.partitions[index].position.offset();
        let offset = offset.map_or("?".to_owned(), |offset| offset.to_string());
        let reason = format!(
            "the record batch at offset {offset} is larger than receive.message.max.bytes={limit}; raise it with -X receive.message.max.bytes=BYTES"
        );
        self.is_single_partition = false;
        self.fail_partition(index, KafkaError::new(code::TOO_LARGE_ANSWER, reason));
    }
}
