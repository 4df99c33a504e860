//! Delivery reports: counts acknowledged records, and fails or retries the others.

use std::ffi::c_void;
use std::ptr;

use super::{Producer, Undelivered};
use crate::kafka::client::Event;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;

impl Producer {
    /// Counts the event's delivery reports; returns the records to retry in batches of their own.
    pub(super) fn handle_reports(&mut self, event: &Event) -> Vec<Undelivered> {
        let mut retried = Vec::new();
        let mut batch: [*const ffi::rd_kafka_message_t; 256] = [ptr::null(); 256];
        loop {
            // SAFETY: the event is a delivery report and outlives the messages it lends.
            let count = unsafe {
                ffi::rd_kafka_event_message_array(event.as_ptr(), batch.as_mut_ptr(), batch.len())
            };
            if count == 0 {
                return retried;
            }
            for &message in &batch[..count] {
                // SAFETY: lent by the event, see above.
                let error = unsafe { ffi::message_error(message) };
                if error == code::NONE {
                    self.totals.delivered += 1;
                    if let Some(delivered) = &mut self.delivered {
                        // SAFETY: as above; the opaque that the record was sent with.
                        delivered.push(unsafe { (*message)._private } as u64);
                    }
                } else {
                    // SAFETY: as above.
                    unsafe { self.handle_failure(message, error, &mut retried) };
                }
            }
            self.outage = None;
        }
    }

    /// # Safety
    /// `message` is a live delivery report.
    #[cold]
    unsafe fn handle_failure(
        &mut self,
        message: *const ffi::rd_kafka_message_t,
        error: i32,
        retried: &mut Vec<Undelivered>,
    ) {
        // SAFETY: the caller's promise.
        let record = unsafe { copy(message, KafkaError::of(error)) };
        let may_succeed_alone = matches!(error, code::MESSAGE_TOO_LARGE | code::GAPLESS_GUARANTEE);
        if may_succeed_alone && !self.is_retrier && !self.is_transactional {
            retried.push(record);
        } else {
            self.mark_failed(record);
        }
    }
}

/// # Safety
/// `message` is a live delivery report.
unsafe fn copy(message: *const ffi::rd_kafka_message_t, error: KafkaError) -> Undelivered {
    let bytes = |data: *const c_void, size: usize| {
        // SAFETY: librdkafka's pointer is NULL or has `size` bytes.
        (!data.is_null())
            .then(|| unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) }.to_vec())
    };
    // SAFETY: the caller's promise; every pointer read here belongs to the message.
    unsafe {
        let mut list = ptr::null_mut();
        let mut headers = Vec::new();
        if ffi::message_headers(message, &raw mut list) == code::NONE {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            while ffi::header_get_all(
                list,
                headers.len(),
                &raw mut name,
                &raw mut value,
                &raw mut size,
            ) == code::NONE
            {
                headers.push((ffi::header_name(name).to_vec(), bytes(value, size)));
            }
        }
        let partition = (*message).partition;
        let status = ffi::rd_kafka_message_status(message);
        Undelivered {
            opaque: (*message)._private as u64,
            topic: ffi::text(ffi::rd_kafka_topic_name((*message).rkt)),
            error,
            may_be_stored: status != ffi::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED,
            partition: (partition >= 0).then_some(partition),
            timestamp_ms: Some(timestamp_ms(message)),
            key: bytes((*message).key, (*message).key_len),
            value: bytes((*message).payload, (*message).len),
            headers,
        }
    }
}

/// The time that a record was sent with; librdkafka's clock where it had none.
///
/// `rd_kafka_message_timestamp` answers -1 for every message with an error (`rdkafka_msg.c`), whatever its time, so the
/// error is cleared during the call.
///
/// # Safety
/// `message` is a live delivery report, which no other thread reads meanwhile.
unsafe fn timestamp_ms(message: *const ffi::rd_kafka_message_t) -> i64 {
    let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the caller's promise. The message is in librdkafka's own memory, which was never read-only, and the event
    // that lends it belongs to this thread; the field is an integer, and has its value again before anybody reads it.
    unsafe {
        let error = ptr::addr_of!((*message).err).cast_mut().cast::<i32>();
        let code = error.replace(code::NONE);
        let timestamp_ms = ffi::rd_kafka_message_timestamp(message, &raw mut kind);
        error.write(code);
        timestamp_ms
    }
}
