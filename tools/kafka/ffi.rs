//! librdkafka's C interface, with error codes as plain integers.
//!
//! The bindings declare `rd_kafka_resp_err_t` as a Rust enum with holes
//! (98, 101-109, ...): a broker that answers with one of those codes would be
//! undefined behaviour. So functions that return a code, and fields that hold
//! one, are read as `i32` through what is declared here.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

pub(crate) use rdkafka::bindings::*;

unsafe extern "C" {
    #[link_name = "rd_kafka_err2str"]
    fn err2str_c(code: c_int) -> *const c_char;
    #[link_name = "rd_kafka_last_error"]
    fn last_error_c() -> c_int;
    #[link_name = "rd_kafka_metadata"]
    pub(crate) fn metadata(
        rk: *mut rd_kafka_t,
        all_topics: c_int,
        only_rkt: *mut rd_kafka_topic_t,
        metadatap: *mut *const rd_kafka_metadata,
        timeout_ms: c_int,
    ) -> c_int;
    #[link_name = "rd_kafka_oauthbearer_set_token"]
    pub(crate) fn oauthbearer_set_token(
        rk: *mut rd_kafka_t,
        token: *const c_char,
        expires_ms: i64,
        principal: *const c_char,
        extensions: *const *const c_char,
        extension_count: usize,
        reason: *mut c_char,
        reason_size: usize,
    ) -> c_int;
    #[link_name = "rd_kafka_oauthbearer_set_token_failure"]
    pub(crate) fn oauthbearer_set_token_failure(
        rk: *mut rd_kafka_t,
        reason: *const c_char,
    ) -> c_int;
    #[link_name = "rd_kafka_event_error"]
    pub(crate) fn event_error(event: *mut rd_kafka_event_t) -> c_int;
    #[link_name = "rd_kafka_error_code"]
    pub(crate) fn error_code(error: *const rd_kafka_error_t) -> c_int;
    #[link_name = "rd_kafka_fatal_error"]
    pub(crate) fn fatal_error(
        rk: *mut rd_kafka_t,
        errstr: *mut c_char,
        errstr_size: usize,
    ) -> c_int;
    #[link_name = "rd_kafka_subscribe"]
    pub(crate) fn subscribe(
        rk: *mut rd_kafka_t,
        topics: *const rd_kafka_topic_partition_list_t,
    ) -> c_int;
    #[link_name = "rd_kafka_assign"]
    pub(crate) fn assign(
        rk: *mut rd_kafka_t,
        partitions: *const rd_kafka_topic_partition_list_t,
    ) -> c_int;
    #[link_name = "rd_kafka_pause_partitions"]
    pub(crate) fn pause_partitions(
        rk: *mut rd_kafka_t,
        partitions: *mut rd_kafka_topic_partition_list_t,
    ) -> c_int;
    #[link_name = "rd_kafka_resume_partitions"]
    pub(crate) fn resume_partitions(
        rk: *mut rd_kafka_t,
        partitions: *mut rd_kafka_topic_partition_list_t,
    ) -> c_int;
    #[link_name = "rd_kafka_committed"]
    pub(crate) fn committed(
        rk: *mut rd_kafka_t,
        partitions: *mut rd_kafka_topic_partition_list_t,
        timeout_ms: c_int,
    ) -> c_int;
    #[link_name = "rd_kafka_commit_queue"]
    pub(crate) fn commit_queue(
        rk: *mut rd_kafka_t,
        offsets: *const rd_kafka_topic_partition_list_t,
        queue: *mut rd_kafka_queue_t,
        callback: *const std::ffi::c_void,
        opaque: *mut std::ffi::c_void,
    ) -> c_int;
    #[link_name = "rd_kafka_message_headers"]
    pub(crate) fn message_headers(
        message: *const rd_kafka_message_t,
        headers: *mut *mut rd_kafka_headers_t,
    ) -> c_int;
    #[link_name = "rd_kafka_header_get_all"]
    pub(crate) fn header_get_all(
        headers: *const rd_kafka_headers_t,
        index: usize,
        name: *mut *const c_char,
        value: *mut *const std::ffi::c_void,
        size: *mut usize,
    ) -> c_int;
}

unsafe extern "C" {
    /// Of the shim: `name` is one that [`header_get_all`] returned.
    fn ku_header_name_size(name: *const c_char) -> usize;
}

/// The name of a header, NUL bytes and all.
///
/// # Safety
/// `name` is what [`header_get_all`] returned, of a list that lives for `'a`.
pub(crate) unsafe fn header_name<'a>(name: *const c_char) -> &'a [u8] {
    // SAFETY: the caller's promise: the name is within a header of librdkafka's, which knows its size.
    unsafe { std::slice::from_raw_parts(name.cast::<u8>(), ku_header_name_size(name)) }
}

/// What librdkafka says of an error code.
pub(crate) fn err2str(code: i32) -> String {
    // SAFETY: librdkafka answers any integer with a static or thread-local NUL-terminated text.
    unsafe { text(err2str_c(code)) }
}

/// The error of the last call on this thread, for the few functions that set one.
pub(crate) fn last_error() -> i32 {
    // SAFETY: reads a thread-local integer.
    unsafe { last_error_c() }
}

/// The error code of a message, read as an integer.
///
/// # Safety
/// `message` points to a live message.
pub(crate) unsafe fn message_error(message: *const rd_kafka_message_t) -> i32 {
    // SAFETY: the caller's promise; a C enum is an `int`, and no enum value is made of it.
    unsafe { std::ptr::addr_of!((*message).err).cast::<i32>().read() }
}

/// A C string as text, empty for NULL.
///
/// # Safety
/// `chars` is NULL or NUL-terminated.
pub(crate) unsafe fn text(chars: *const c_char) -> String {
    if chars.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(chars) }
        .to_string_lossy()
        .into_owned()
}

/// The text that a function left in an error buffer of ours.
pub(crate) fn buffer_text(buffer: &[u8]) -> String {
    let end = buffer.iter().position(|&b| b == 0).unwrap_or(buffer.len());
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}

/// Takes an error object apart and frees it; `None` for NULL, which is success.
///
/// # Safety
/// `error` is NULL or ours.
pub(crate) unsafe fn take_error(error: *mut rd_kafka_error_t) -> Option<super::error::KafkaError> {
    if error.is_null() {
        return None;
    }
    // SAFETY: live until it is destroyed in the last line.
    unsafe {
        let taken =
            super::error::KafkaError::new(error_code(error), text(rd_kafka_error_string(error)));
        rd_kafka_error_destroy(error);
        Some(taken)
    }
}
