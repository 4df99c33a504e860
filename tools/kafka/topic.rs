//! librdkafka's handle of a topic.
#![allow(unsafe_code)]

use std::ptr;

use super::client::Client;
use super::error::KafkaError;
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

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_topic_destroy(self.ptr) }
    }
}
