//! The messages of many partitions on one queue: records handed out, ends of partitions, errors.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ops::ControlFlow;

use super::message::{HeaderSpace, error_text, with_record};
use super::{ConsumeError, Item};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::topic::TopicHandle;
use crate::kafka::{Client, ffi};

/// How far one partition is to be read.
pub(crate) struct PartitionState {
    /// The offset before which reading stops.
    pub(crate) end: Option<i64>,
    pub(crate) is_done: bool,
    /// Whether all that there was has been read.
    pub(crate) was_at_end: bool,
}

/// A topic with those of its partitions that are read.
pub(crate) struct TopicState {
    pub(crate) name: String,
    /// By partition number; `None` is not read.
    pub(crate) partitions: Vec<Option<PartitionState>>,
    pub(crate) handle: TopicHandle,
}

/// One queue, with the topics that may send to it.
pub(crate) struct Inbox {
    pub(crate) topics: Vec<TopicState>,
    queue: *mut ffi::rd_kafka_queue_t,
    /// A partition ends before its first record at or after this time.
    pub(crate) stop_time_ms: Option<i64>,
    wants_headers: bool,
    headers: HeaderSpace,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for Inbox {}

/// What one call of [`Inbox::serve`] did.
pub(crate) struct Served {
    /// How many records were handed out.
    pub(crate) records: usize,
    /// The partitions that reached their bound, each with its topic's index.
    pub(crate) ended: Vec<(usize, i32)>,
    /// Why it ended early.
    pub(crate) failed: Option<ConsumeError>,
}

impl Inbox {
    /// An empty queue, to be dropped before `client` is.
    pub(crate) fn new(client: &Client, wants_headers: bool) -> Inbox {
        Inbox {
            topics: Vec::new(),
            // SAFETY: the handle is live; the queue is given back in `drop`.
            queue: unsafe { ffi::rd_kafka_queue_new(client.as_ptr()) },
            stop_time_ms: None,
            wants_headers,
            headers: HeaderSpace::default(),
        }
    }

    pub(crate) fn queue(&self) -> *mut ffi::rd_kafka_queue_t {
        self.queue
    }

    /// Hands what has arrived to `take`, in order, after waiting for it at most `timeout_ms`.
    ///
    /// `Break` ends the call; what has arrived stays for the next.
    pub(crate) fn serve<F>(&mut self, client: &Client, timeout_ms: i32, take: F) -> Served
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        let mut visit = Visit {
            rk: client.as_ptr(),
            topics: &mut self.topics,
            current: 0,
            stop_time_ms: self.stop_time_ms,
            wants_headers: self.wants_headers,
            headers: &mut self.headers,
            served: Served {
                records: 0,
                ended: Vec::new(),
                failed: None,
            },
            stopped: false,
            take,
        };
        // SAFETY: the queue is live and holds only what partitions send; the
        // callback gets `visit`, which lives for the call, on this thread.
        unsafe {
            ffi::rd_kafka_consume_callback_queue(
                self.queue,
                timeout_ms,
                Some(on_message::<F>),
                std::ptr::from_mut(&mut visit).cast(),
            );
        }
        visit.served
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // SAFETY: live, ours, and nobody reads from it any more.
        unsafe { ffi::rd_kafka_queue_destroy(self.queue) }
    }
}

/// One call of [`Inbox::serve`], as the callback sees it.
struct Visit<'r, F> {
    rk: *mut ffi::rd_kafka_t,
    topics: &'r mut Vec<TopicState>,
    /// The index of the topic of the message before: the next one is likely of the same.
    current: usize,
    stop_time_ms: Option<i64>,
    wants_headers: bool,
    headers: &'r mut HeaderSpace,
    served: Served,
    stopped: bool,
    take: F,
}

/// librdkafka calls this for each message.
///
/// # Safety
/// `opaque` is the [`Visit`] of the call that serves the queue.
unsafe extern "C" fn on_message<F>(message: *mut ffi::rd_kafka_message_t, opaque: *mut c_void)
where
    F: FnMut(Item<'_>) -> ControlFlow<()>,
{
    // SAFETY: `Inbox::serve` passes its `Visit`, of which it has no other borrow during the call; the message is live.
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
            return self.fail_whole(error, &unsafe { error_text(message, "", partition) });
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
            // The last records before a bound may be gone by compaction, or be transaction markers.
            (code::PARTITION_EOF, Some(end)) if offset >= end => self.finish(partition, offset),
            (code::PARTITION_EOF, _) => self.reach_end(partition, offset),
            (other, _) => {
                self.served.failed = Some(ConsumeError::Partition {
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
        self.served.records += 1;
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
        self.served.ended.push((self.current, partition));
        (self.take)(Item::End {
            topic: &topic.name,
            partition,
            offset,
        })
    }

    /// Everything that there is of a partition of the current topic was read, and more may come.
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
        self.served.failed = Some(ConsumeError::Failed(KafkaError::new(error, reason)));
        ControlFlow::Break(())
    }
}
