//! librdkafka's handle of a topic.
#![allow(unsafe_code)]

use std::ptr;
use std::time::{Duration, Instant};

use super::client::{Client, is_no_answer};
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

/// How long one question may take: signals are checked between two.
const ASK_MS: i32 = 200;
/// How long a question that failed at once is not asked again.
const RETRY: Duration = Duration::from_millis(20);

/// Has librdkafka ask for the topics that it has handles of, so that it knows their leaders when it starts to read:
/// else it would find out after 500 ms. Ends with the time for the first contact; what goes wrong shows when it reads.
pub(crate) fn learn_leaders(client: &Client, interrupted: &dyn Fn() -> bool) {
    let begun = Instant::now();
    while !ask_leaders(client) && !interrupted() && begun.elapsed() < client.first_contact() {
        std::thread::sleep(RETRY);
    }
}

/// Asks once; says whether a broker answered.
fn ask_leaders(client: &Client) -> bool {
    let mut answer: *const ffi::rd_kafka_metadata = ptr::null();
    // SAFETY: the handle is live; an answer is ours and destroyed unread.
    unsafe {
        let failed = ffi::metadata(client.as_ptr(), 0, ptr::null_mut(), &raw mut answer, ASK_MS);
        if failed == code::NONE {
            ffi::rd_kafka_metadata_destroy(answer);
        }
        !is_no_answer(failed)
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_topic_destroy(self.ptr) }
    }
}
