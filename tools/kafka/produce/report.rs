//! Delivery reports: an acknowledgement becomes a count, a refusal a failure or a second try.

use std::ffi::c_void;
use std::ptr;

use super::Producer;
use crate::kafka::client::Event;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;
use crate::record::{Header, Record};

/// A record of a batch that was too large, copied before librdkafka frees it.
pub(super) struct Rescued {
    pub(super) origin: u64,
    pub(super) topic: String,
    pub(super) partition: Option<i32>,
    timestamp_ms: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Rescued {
    pub(super) fn headers(&self) -> Vec<Header<'_>> {
        self.headers
            .iter()
            .map(|(name, value)| Header {
                name,
                value: value.as_deref(),
            })
            .collect()
    }

    pub(super) fn record<'a>(&'a self, headers: &'a [Header<'a>]) -> Record<'a> {
        Record {
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers,
            ..Record::default()
        }
    }
}

impl Producer {
    /// Counts what the event reports; returns the records that deserve a batch of their own.
    pub(super) fn take_reports(&mut self, event: &Event) -> Vec<Rescued> {
        let mut rescued = Vec::new();
        let mut batch: [*const ffi::rd_kafka_message_t; 256] = [ptr::null(); 256];
        loop {
            // SAFETY: the event is a delivery report and outlives the messages it lends.
            let count = unsafe {
                ffi::rd_kafka_event_message_array(event.as_ptr(), batch.as_mut_ptr(), batch.len())
            };
            if count == 0 {
                return rescued;
            }
            for &message in &batch[..count] {
                // SAFETY: lent by the event, see above.
                let error = unsafe { ffi::message_error(message) };
                if error == code::NONE {
                    self.totals.delivered += 1;
                    if let Some(delivered) = &mut self.delivered {
                        // SAFETY: as above; the number that the record was sent with.
                        delivered.push(unsafe { (*message)._private } as u64);
                    }
                } else {
                    // SAFETY: as above.
                    unsafe { self.take_refusal(message, error, &mut rescued) };
                }
            }
            self.outage = None;
        }
    }

    /// # Safety
    /// `message` is a live delivery report.
    #[cold]
    unsafe fn take_refusal(
        &mut self,
        message: *const ffi::rd_kafka_message_t,
        error: i32,
        rescued: &mut Vec<Rescued>,
    ) {
        // SAFETY: the caller's promise.
        let (record, is_alone) = unsafe { (copy(message), self.is_rescuer) };
        if error == code::MESSAGE_TOO_LARGE && !is_alone && !self.is_transactional {
            rescued.push(record);
        } else {
            self.give_up(record.origin, record.topic, KafkaError::of(error));
        }
    }
}

/// # Safety
/// `message` is a live delivery report.
unsafe fn copy(message: *const ffi::rd_kafka_message_t) -> Rescued {
    let bytes = |data: *const c_void, size: usize| {
        // SAFETY: librdkafka says that `size` bytes are there, unless it is NULL.
        (!data.is_null())
            .then(|| unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) }.to_vec())
    };
    // SAFETY: the caller's promise; every pointer read here belongs to the message.
    unsafe {
        let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let timestamp_ms = ffi::rd_kafka_message_timestamp(message, &raw mut kind);
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
                headers.push((
                    std::ffi::CStr::from_ptr(name).to_bytes().to_vec(),
                    bytes(value, size),
                ));
            }
        }
        let partition = (*message).partition;
        Rescued {
            origin: (*message)._private as u64,
            topic: ffi::text(ffi::rd_kafka_topic_name((*message).rkt)),
            partition: (partition >= 0).then_some(partition),
            timestamp_ms: (timestamp_ms > 0).then_some(timestamp_ms),
            key: bytes((*message).key, (*message).key_len),
            value: bytes((*message).payload, (*message).len),
            headers,
        }
    }
}
