//! librdkafka's list of partitions: what it is asked about, and what it answers.
#![allow(unsafe_code)]

use std::ffi::CString;

use super::error::{KafkaError, code};
use super::ffi;

/// One partition of a list, copied out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// 0 where there is none.
    pub(crate) error: i32,
}

/// A list that is ours; freed when dropped.
pub(crate) struct PartitionList {
    ptr: *mut ffi::rd_kafka_topic_partition_list_t,
}

impl PartitionList {
    pub(crate) fn new() -> PartitionList {
        // SAFETY: allocates; librdkafka ends the process when it can't.
        let ptr = unsafe { ffi::rd_kafka_topic_partition_list_new(8) };
        PartitionList { ptr }
    }

    /// Adds a partition with what `offset` means to the call that the list is for.
    pub(crate) fn add(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), KafkaError> {
        let name = topic_name(topic)?;
        // SAFETY: the list is live; the name is copied.
        unsafe {
            let entry = ffi::rd_kafka_topic_partition_list_add(self.ptr, name.as_ptr(), partition);
            (*entry).offset = offset;
        }
        Ok(())
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rd_kafka_topic_partition_list_t {
        self.ptr
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_topic_partition_list_destroy(self.ptr) }
    }
}

/// A topic's name as librdkafka takes it.
pub(crate) fn topic_name(topic: &str) -> Result<CString, KafkaError> {
    CString::new(topic)
        .map_err(|_| KafkaError::new(code::UNKNOWN_TOPIC, "a topic's name can't hold a NUL byte"))
}

/// All of a list that belongs to librdkafka.
///
/// # Safety
/// `list` is NULL or live.
pub(crate) unsafe fn entries(list: *const ffi::rd_kafka_topic_partition_list_t) -> Vec<Entry> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller's promise; `cnt` entries are there. The code is read as an integer, no enum value is made of it.
    unsafe {
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        let entries = (0..count).map(|index| {
            let partition = (*list).elems.add(index);
            Entry {
                topic: ffi::text((*partition).topic),
                partition: (*partition).partition,
                offset: (*partition).offset,
                error: std::ptr::addr_of!((*partition).err).cast::<i32>().read(),
            }
        });
        entries.collect()
    }
}
