//! A message of librdkafka as a record, without a copy.
#![allow(unsafe_code)]

use std::ffi::c_void;

use crate::kafka::error::code;
use crate::kafka::ffi;
use crate::record::{Header, Record, TimestampType};

/// The memory of the list of headers, reused for every record.
#[derive(Default)]
pub(crate) struct HeaderBuffer(Vec<Header<'static>>);

/// Calls `take` with the message as a record of `topic`.
///
/// # Safety
/// `message` is live, holds a record (no error), and stays so for the call.
pub(crate) unsafe fn with_record<T>(
    message: *const ffi::rd_kafka_message_t,
    topic: &str,
    wants_headers: bool,
    buffer: &mut HeaderBuffer,
    take: impl FnOnce(&Record<'_>) -> T,
) -> T {
    let mut headers = reuse(std::mem::take(&mut buffer.0));
    // SAFETY: the caller's promise: pointers and lengths belong to the live message.
    let result = unsafe {
        if wants_headers {
            read_headers(message, &mut headers);
        }
        let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let timestamp_ms = ffi::rd_kafka_message_timestamp(message, &raw mut kind);
        let broker = ffi::rd_kafka_message_broker_id(message);
        let record = Record {
            topic: Some(topic),
            partition: Some((*message).partition),
            offset: Some((*message).offset),
            timestamp_ms: (timestamp_ms >= 0).then_some(timestamp_ms),
            timestamp_type: timestamp_type(kind),
            broker: (broker >= 0).then_some(broker),
            key: bytes((*message).key, (*message).key_len),
            value: bytes((*message).payload, (*message).len),
            headers: &headers,
            ..Record::default()
        };
        take(&record)
    };
    buffer.0 = reuse(headers);
    result
}

fn timestamp_type(kind: ffi::rd_kafka_timestamp_type_t) -> TimestampType {
    match kind {
        ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => TimestampType::None,
        ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimestampType::CreateTime,
        ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => {
            TimestampType::LogAppendTime
        }
    }
}

/// The same list, emptied, for borrows of another lifetime; the standard library keeps the allocation.
pub(crate) fn reuse<'b>(mut headers: Vec<Header<'_>>) -> Vec<Header<'b>> {
    headers.clear();
    headers
        .into_iter()
        .map(|_| Header {
            name: b"",
            value: None,
        })
        .collect()
}

/// `None` for NULL, which is not the empty value.
///
/// # Safety
/// `start` is NULL, or points to `length` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// # Safety
/// `message` is live for as long as `headers` borrows from it.
unsafe fn read_headers(message: *const ffi::rd_kafka_message_t, headers: &mut Vec<Header<'_>>) {
    let mut list = std::ptr::null_mut();
    // SAFETY: the caller's promise; the list belongs to the message.
    if unsafe { ffi::message_headers(message, &raw mut list) } != code::NONE {
        return;
    }
    for index in 0.. {
        let mut name = std::ptr::null();
        let mut value = std::ptr::null();
        let mut size = 0;
        // SAFETY: the list is live; an index past the end is answered with an error.
        let header = unsafe {
            let error =
                ffi::header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size);
            if error != code::NONE {
                return;
            }
            Header {
                name: ffi::header_name(name),
                value: bytes(value, size),
            }
        };
        headers.push(header);
    }
}

/// librdkafka's text of an error message, without the topic and partition that it may begin with.
///
/// # Safety
/// `message` is live.
pub(crate) unsafe fn error_text(
    message: *const ffi::rd_kafka_message_t,
    topic: &str,
    partition: i32,
) -> String {
    // SAFETY: the caller's promise.
    let text = unsafe { ffi::text(ffi::rd_kafka_message_errstr(message)) };
    let place = format!("{topic} [{partition}]: ");
    text.strip_prefix(&place)
        .map_or(text.clone(), str::to_owned)
}
