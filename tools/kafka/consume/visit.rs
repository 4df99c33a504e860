//! What becomes of each message: a record handed out, the end of its partition, or an error.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ops::ControlFlow;

use super::message::{HeaderSpace, error_text, with_record};
use super::reader::{PartitionState, TopicState};
use super::{ConsumeError, Item};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;

/// One call of [`Reader::read`], as the callback sees it.
pub(super) struct Visit<'r, F> {
    pub(super) rk: *mut ffi::rd_kafka_t,
    pub(super) topics: &'r mut Vec<TopicState>,
    /// The index of the topic of the message before: the next one is likely of the same.
    pub(super) current: usize,
    pub(super) stop_time_ms: Option<i64>,
    pub(super) wants_headers: bool,
    pub(super) headers: &'r mut HeaderSpace,
    pub(super) taken: usize,
    pub(super) ended: Vec<(usize, i32)>,
    pub(super) failed: Option<ConsumeError>,
    pub(super) stopped: bool,
    pub(super) take: F,
}

/// librdkafka calls this for each message.
///
/// # Safety
/// `opaque` is the [`Visit`] of the call that serves the queue.
pub(super) unsafe extern "C" fn on_message<F>(
    message: *mut ffi::rd_kafka_message_t,
    opaque: *mut c_void,
) where
    F: FnMut(Item<'_>) -> ControlFlow<()>,
{
    // SAFETY: `Reader::read` passes its `Visit`, of which it has no other borrow during the call; the message is live.
    unsafe {
        let visit = &mut *opaque.cast::<Visit<'_, F>>();
        if visit.stopped {
            return;
        }
        if visit.message(message).is_break() {
            visit.stopped = true;
            // What the queue still holds goes back to it.
            ffi::rd_kafka_yield(visit.rk);
        }
    }
}

impl<F> Visit<'_, F>
where
    F: FnMut(Item<'_>) -> ControlFlow<()>,
{
    /// # Safety
    /// `message` is live.
    unsafe fn message(&mut self, message: *const ffi::rd_kafka_message_t) -> ControlFlow<()> {
        // SAFETY: the caller's promise.
        let (error, rkt, partition, offset) = unsafe {
            (
                ffi::message_error(message),
                (*message).rkt,
                (*message).partition,
                (*message).offset,
            )
        };
        if !self.find_topic(rkt) {
            // SAFETY: the message is live.
            return self.fail_whole(error, &unsafe { error_text(message) });
        }
        let topic = &self.topics[self.current];
        let state = topic.partitions.get(partition as usize);
        let Some(PartitionState {
            end,
            is_done: false,
        }) = state.and_then(Option::as_ref)
        else {
            return ControlFlow::Continue(());
        };
        match (error, *end) {
            // SAFETY: the message is live and holds a record.
            (code::NONE, end) => unsafe { self.record(message, end) },
            // The last records before a bound may be gone by compaction, or be transaction markers.
            (code::PARTITION_EOF, Some(end)) if offset >= end => self.finish(partition, offset),
            (code::PARTITION_EOF, _) => (self.take)(Item::End {
                topic: &topic.name,
                partition,
                offset,
            }),
            (other, _) => {
                self.failed = Some(ConsumeError::Partition {
                    topic: topic.name.clone(),
                    partition,
                    // SAFETY: the message is live.
                    error: KafkaError::new(other, unsafe { error_text(message) }),
                });
                ControlFlow::Break(())
            }
        }
    }

    /// Hands a record of the current topic out, unless its partition's bound is before it.
    ///
    /// # Safety
    /// `message` is live and holds a record.
    unsafe fn record(
        &mut self,
        message: *const ffi::rd_kafka_message_t,
        end: Option<i64>,
    ) -> ControlFlow<()> {
        // SAFETY: the caller's promise.
        let (partition, offset) = unsafe { ((*message).partition, (*message).offset) };
        let is_late = self.stop_time_ms.is_some_and(|stop_ms| {
            // SAFETY: the message is live; the type of the timestamp is not asked for.
            unsafe { ffi::rd_kafka_message_timestamp(message, std::ptr::null_mut()) >= stop_ms }
        });
        if is_late || end.is_some_and(|end| offset >= end) {
            return self.finish(partition, offset);
        }
        self.taken += 1;
        let name = self.topics[self.current].name.as_str();
        // SAFETY: the message is live and holds a record.
        let flow = unsafe {
            with_record(message, name, self.wants_headers, self.headers, |record| {
                (self.take)(Item::Record(record))
            })
        };
        if flow.is_continue() && end == Some(offset + 1) {
            return self.finish(partition, offset + 1);
        }
        flow
    }

    /// A partition of the current topic has reached its bound; it is stopped after the call that serves the queue.
    fn finish(&mut self, partition: i32, offset: i64) -> ControlFlow<()> {
        let topic = &mut self.topics[self.current];
        if let Some(state) = &mut topic.partitions[partition as usize] {
            state.is_done = true;
        }
        self.ended.push((self.current, partition));
        (self.take)(Item::End {
            topic: &topic.name,
            partition,
            offset,
        })
    }

    /// Makes `current` the topic of a message.
    fn find_topic(&mut self, rkt: *mut ffi::rd_kafka_topic_t) -> bool {
        if self
            .topics
            .get(self.current)
            .is_some_and(|topic| topic.handle.as_ptr() == rkt)
        {
            return true;
        }
        let found = self
            .topics
            .iter()
            .position(|topic| topic.handle.as_ptr() == rkt);
        self.current = found.unwrap_or(self.current);
        found.is_some()
    }

    /// An error that belongs to no partition.
    fn fail_whole(&mut self, error: i32, reason: &str) -> ControlFlow<()> {
        if error == code::NONE {
            return ControlFlow::Continue(());
        }
        self.failed = Some(ConsumeError::Failed(KafkaError::new(error, reason)));
        ControlFlow::Break(())
    }
}
