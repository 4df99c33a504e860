//! librdkafka's handle of a topic.
#![allow(unsafe_code)]

use std::ptr;
use std::time::Duration;

use super::client::Client;
use super::error::{KafkaError, code};
use super::ffi;
use super::partitions::topic_name;

/// A topic in librdkafka, given back when dropped; it has to go before its client does.
pub(crate) struct TopicHandle {
    ptr: *mut ffi::rd_kafka_topic_t,
}

// SAFETY: librdkafka's topics may be used from any thread.
unsafe impl Send for TopicHandle {}

impl TopicHandle {
    /// The handle of `name`, whether the topic exists or not, with the client's default topic properties.
    pub(crate) fn new(client: &Client, name: &str) -> Result<TopicHandle, KafkaError> {
        let name_c = topic_name(name)?;
        // SAFETY: handle and name are live; without a configuration the client's default one holds.
        let ptr =
            unsafe { ffi::rd_kafka_topic_new(client.as_ptr(), name_c.as_ptr(), ptr::null_mut()) };
        if ptr.is_null() {
            return Err(KafkaError::of(ffi::last_error()));
        }
        Ok(TopicHandle { ptr })
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rd_kafka_topic_t {
        self.ptr
    }
}

/// Has librdkafka ask for the topics that it has handles of, so that it knows their leaders when it starts to read:
/// else it would find out after 500 ms. What goes wrong shows when it reads.
pub(crate) fn learn_leaders(client: &Client, timeout: Duration) {
    let mut answer: *const ffi::rd_kafka_metadata = ptr::null();
    let timeout_ms = timeout.as_millis().min(i32::MAX as u128) as i32;
    // SAFETY: the handle is live; an answer is ours and destroyed unread.
    unsafe {
        let failed = ffi::metadata(
            client.as_ptr(),
            0,
            ptr::null_mut(),
            &raw mut answer,
            timeout_ms,
        );
        if failed == code::NONE {
            ffi::rd_kafka_metadata_destroy(answer);
        }
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_topic_destroy(self.ptr) }
    }
}
