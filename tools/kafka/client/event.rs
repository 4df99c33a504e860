//! Events of a librdkafka queue.
#![allow(unsafe_code)]

use crate::kafka::error::KafkaError;
use crate::kafka::ffi;

/// One event of a queue; freed when dropped.
pub(crate) struct Event {
    ptr: *mut ffi::rd_kafka_event_t,
}

impl Event {
    /// The next event of `queue`; blocks for at most `timeout_ms`.
    ///
    /// # Safety
    /// `queue` is live.
    pub(crate) unsafe fn poll(queue: *mut ffi::rd_kafka_queue_t, timeout_ms: i32) -> Option<Event> {
        // SAFETY: the caller's promise.
        let ptr = unsafe { ffi::rd_kafka_queue_poll(queue, timeout_ms) };
        (!ptr.is_null()).then_some(Event { ptr })
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rd_kafka_event_t {
        self.ptr
    }

    /// One of the `RD_KAFKA_EVENT_*` constants.
    pub(crate) fn kind(&self) -> i32 {
        // SAFETY: the event is live.
        unsafe { ffi::rd_kafka_event_type(self.ptr) }
    }

    /// The error of an error event; `None` for other kinds.
    pub(crate) fn error(&self) -> Option<KafkaError> {
        if self.kind() != ffi::RD_KAFKA_EVENT_ERROR {
            return None;
        }
        // SAFETY: the event is live and an error; its text lives as long.
        unsafe {
            let code = ffi::event_error(self.ptr);
            let reason = ffi::text(ffi::rd_kafka_event_error_string(self.ptr));
            Some(KafkaError::new(code, reason))
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_event_destroy(self.ptr) }
    }
}
