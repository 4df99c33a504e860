//! One queue for the messages of many partitions: records, ends of partitions, errors.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ops::ControlFlow;

use super::message::{HeaderBuffer, error_text, with_record};
use super::{ConsumeError, Item};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::topic::TopicHandle;
use crate::kafka::{Client, ffi};

pub(crate) struct PartitionState {
    /// The offset before which reading stops.
    pub(crate) end: Option<i64>,
    pub(crate) is_done: bool,
    /// Whether it was read to its end at least once.
    pub(crate) was_at_end: bool,
}

pub(crate) struct TopicState {
    pub(crate) name: String,
    /// By partition number; `None` if it is not read.
    pub(crate) partitions: Vec<Option<PartitionState>>,
    pub(crate) handle: TopicHandle,
}

pub(crate) struct MessageQueue {
    pub(crate) topics: Vec<TopicState>,
    queue: *mut ffi::rd_kafka_queue_t,
    /// A partition ends before its first record at or after this time.
    pub(crate) stop_time_ms: Option<i64>,
    wants_headers: bool,
    headers: HeaderBuffer,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for MessageQueue {}

pub(crate) struct PollResult {
    pub(crate) records: usize,
    /// The partitions that reached their bound, with the index of the topic.
    pub(crate) ended: Vec<(usize, i32)>,
    pub(crate) failed: Option<ConsumeError>,
}

impl MessageQueue {
    /// To be dropped before `client`.
    pub(crate) fn new(client: &Client, wants_headers: bool) -> MessageQueue {
        MessageQueue {
            topics: Vec::new(),
            // SAFETY: the handle is live; `drop` destroys the queue.
            queue: unsafe { ffi::rd_kafka_queue_new(client.as_ptr()) },
            stop_time_ms: None,
            wants_headers,
            headers: HeaderBuffer::default(),
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rd_kafka_queue_t {
        self.queue
    }

    /// Waits at most `timeout_ms` for messages and calls `take` with them in order.
    ///
    /// `Break` ends the call; the rest of the messages stays for the next.
    pub(crate) fn poll<F>(&mut self, client: &Client, timeout_ms: i32, take: F) -> PollResult
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        let mut call = PollCall {
            rk: client.as_ptr(),
            topics: &mut self.topics,
            current: 0,
            stop_time_ms: self.stop_time_ms,
            wants_headers: self.wants_headers,
            headers: &mut self.headers,
            result: PollResult {
                records: 0,
                ended: Vec::new(),
                failed: None,
            },
            stopped: false,
            take,
        };
        // SAFETY: the queue is live and holds only messages of partitions; the
        // callback gets `call`, which lives for the call, on this thread.
        unsafe {
            ffi::rd_kafka_consume_callback_queue(
                self.queue,
                timeout_ms,
                Some(on_message::<F>),
                std::ptr::from_mut(&mut call).cast(),
            );
        }
        call.result
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        // SAFETY: live, ours, and nobody reads from it any more.
        unsafe { ffi::rd_kafka_queue_destroy(self.queue) }
    }
}

/// One call of [`MessageQueue::poll`], as the callback sees it.
struct PollCall<'r, F> {
    rk: *mut ffi::rd_kafka_t,
    topics: &'r mut Vec<TopicState>,
    /// The index of the last message's topic: the next is likely of the same.
    current: usize,
    stop_time_ms: Option<i64>,
    wants_headers: bool,
    headers: &'r mut HeaderBuffer,
    result: PollResult,
    stopped: bool,
    take: F,
}

/// librdkafka calls this for each message.
///
/// # Safety
/// `opaque` is the [`PollCall`] of the call that serves the queue.
unsafe extern "C" fn on_message<F>(message: *mut ffi::rd_kafka_message_t, opaque: *mut c_void)
where
    F: FnMut(Item<'_>) -> ControlFlow<()>,
{
    // SAFETY: `MessageQueue::poll` passes its `PollCall`, of which it has no other borrow during the call; the message is live.
    unsafe {
        let call = &mut *opaque.cast::<PollCall<'_, F>>();
        if call.stopped {
            return;
        }
        if call.message(message).is_break() {
            call.stopped = true;
            // librdkafka puts the remaining messages back.
            ffi::rd_kafka_yield(call.rk);
        }
    }
}

impl<F> PollCall<'_, F>
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
            return self.fail(error, &unsafe { error_text(message, "", partition) });
        }
        let topic = &self.topics[self.current];
        let state = topic.partitions.get(partition as usize);
        let Some(PartitionState {
            end,
            is_done: false,
            ..
        }) = state.and_then(Option::as_ref)
        else {
            return ControlFlow::Continue(());
        };
        match (error, *end) {
            // SAFETY: the message is live and holds a record.
            (code::NONE, end) => unsafe { self.record(message, end) },
            // The last offsets before a bound may be compacted or transaction markers.
            (code::PARTITION_EOF, Some(end)) if offset >= end => self.finish(partition, offset),
            (code::PARTITION_EOF, _) => self.reach_end(partition, offset),
            (other, _) => {
                self.result.failed = Some(ConsumeError::Partition {
                    topic: topic.name.clone(),
                    partition,
                    // SAFETY: the message is live.
                    error: KafkaError::new(other, unsafe {
                        error_text(message, &topic.name, partition)
                    }),
                });
                ControlFlow::Break(())
            }
        }
    }

    /// Passes on a record of the current topic, unless it is beyond its partition's bound.
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
            // SAFETY: the message is live; the type of the timestamp is not requested.
            unsafe { ffi::rd_kafka_message_timestamp(message, std::ptr::null_mut()) >= stop_ms }
        });
        if is_late || end.is_some_and(|end| offset >= end) {
            return self.finish(partition, offset);
        }
        self.result.records += 1;
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

    /// A partition of the current topic has reached its bound; the caller of `poll` stops it.
    fn finish(&mut self, partition: i32, offset: i64) -> ControlFlow<()> {
        let topic = &mut self.topics[self.current];
        if let Some(state) = &mut topic.partitions[partition as usize] {
            state.is_done = true;
        }
        self.result.ended.push((self.current, partition));
        (self.take)(Item::End {
            topic: &topic.name,
            partition,
            offset,
        })
    }

    /// A partition of the current topic was read to its end; more may follow.
    fn reach_end(&mut self, partition: i32, offset: i64) -> ControlFlow<()> {
        let topic = &mut self.topics[self.current];
        if let Some(state) = &mut topic.partitions[partition as usize] {
            state.was_at_end = true;
        }
        (self.take)(Item::End {
            topic: &topic.name,
            partition,
            offset,
        })
    }

    /// Sets `current` to the topic of a message.
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

    fn fail(&mut self, error: i32, reason: &str) -> ControlFlow<()> {
        if error == code::NONE {
            return ControlFlow::Continue(());
        }
        self.result.failed = Some(ConsumeError::Failed(KafkaError::new(error, reason)));
        ControlFlow::Break(())
    }
}
