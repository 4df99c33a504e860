//! Commits of positions: at most one on its way, so that an older one never overtakes a newer.
#![allow(unsafe_code)]

use std::time::Duration;

use super::{Positions, is_outage};
use crate::kafka::client::Event;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::partitions::{PartitionList, entries};
use crate::kafka::{Client, ffi};

/// How long to wait before a commit that the group was not ready for is repeated.
const RETRY: Duration = Duration::from_millis(50);
/// How often a wait for an answer looks whether it may go on.
const TICK: Duration = Duration::from_millis(50);

/// Sends commits and receives their results.
pub(super) struct Committer {
    queue: *mut ffi::rd_kafka_queue_t,
    in_flight: bool,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for Committer {}

impl Committer {
    /// To be dropped before `client` is.
    pub(super) fn new(client: &Client) -> Committer {
        Committer {
            // SAFETY: the handle is live; the queue is given back in `drop`.
            queue: unsafe { ffi::rd_kafka_queue_new(client.as_ptr()) },
            in_flight: false,
        }
    }

    /// Whether a commit waits for its answer.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight
    }

    /// Sends a commit; none may be on its way.
    pub(super) fn send(
        &mut self,
        client: &Client,
        positions: &Positions,
    ) -> Result<(), KafkaError> {
        let mut list = PartitionList::new();
        for ((topic, partition), offset) in positions {
            list.add(topic, *partition, *offset)?;
        }
        // SAFETY: handle, list and queue are live; the list is copied; the
        // answer comes as an event of our queue, no callback is given.
        let error = unsafe {
            ffi::commit_queue(
                client.as_ptr(),
                list.as_ptr(),
                self.queue,
                std::ptr::null(),
                std::ptr::null_mut(),
            )
        };
        match error {
            code::NONE => {
                self.in_flight = true;
                Ok(())
            }
            other => Err(KafkaError::of(other)),
        }
    }

    /// The answer to the commit on its way, waited for at most `timeout`.
    pub(super) fn answer(&mut self, timeout: Duration) -> Option<Result<(), KafkaError>> {
        if !self.in_flight {
            return None;
        }
        // SAFETY: the queue is live.
        let event = unsafe { Event::poll(self.queue, timeout.as_millis() as i32) }?;
        self.in_flight = false;
        Some(outcome(&event))
    }

    /// Commits and waits for the answer; what may pass is repeated as long as `may_wait`.
    pub(super) fn commit(
        &mut self,
        client: &Client,
        positions: &Positions,
        may_wait: &dyn Fn() -> bool,
    ) -> Result<(), KafkaError> {
        // This commit covers what the one before it has committed.
        let _ = self.wait(may_wait);
        loop {
            if self.in_flight {
                return Err(KafkaError::of(code::TIMED_OUT));
            }
            let sent = self.send(client, positions);
            let answer = sent.and_then(|()| {
                let answer = self.wait(may_wait);
                answer.unwrap_or_else(|| Err(KafkaError::of(code::TIMED_OUT)))
            });
            match answer {
                Err(error) if may_pass(error.code) && may_wait() => std::thread::sleep(RETRY),
                answer => return answer,
            }
        }
    }

    /// The answer to the commit on its way, waited for as long as `may_wait`.
    fn wait(&mut self, may_wait: &dyn Fn() -> bool) -> Option<Result<(), KafkaError>> {
        while self.in_flight {
            if let Some(answer) = self.answer(TICK) {
                return Some(answer);
            }
            if !may_wait() {
                return None;
            }
        }
        None
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_queue_destroy(self.queue) }
    }
}

/// Whether the same commit may be taken later: the cluster comes back, or the member learns of a newer generation.
///
/// What belongs to somebody else by then is not committed: its assignment is lost, which ends the wait.
fn may_pass(error: i32) -> bool {
    is_outage(error)
        || matches!(
            error,
            code::REBALANCE_IN_PROGRESS
                | code::ILLEGAL_GENERATION
                | code::STALE_MEMBER_EPOCH
                | code::UNKNOWN_MEMBER_ID
        )
}

/// A commit's answer: its own error, or that of the first partition with one.
fn outcome(event: &Event) -> Result<(), KafkaError> {
    // SAFETY: the event is live; its list, if it has one, lives as long.
    let (whole, partitions) = unsafe {
        (
            ffi::event_error(event.as_ptr()),
            entries(ffi::rd_kafka_event_topic_partition_list(event.as_ptr())),
        )
    };
    if let Some(failed) = partitions.iter().find(|entry| entry.error != code::NONE) {
        let words = KafkaError::of(failed.error);
        let reason = format!("{} [{}]: {words}", failed.topic, failed.partition);
        return Err(KafkaError::new(failed.error, reason));
    }
    match whole {
        code::NONE | code::NO_OFFSET => Ok(()),
        other => Err(KafkaError::of(other)),
    }
}
