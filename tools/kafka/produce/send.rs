//! Puts a record into librdkafka's queue.

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;

use crate::kafka::client::Client;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;
use crate::kafka::topic::TopicHandle;
use crate::record::Record;

/// Replaces the timestamp 0, which librdkafka takes for "now", until the record is in the queue (`shim.c`).
const TIMESTAMP_0: i64 = i64::MIN;

/// A topic that this producer has a handle for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicId(usize);

/// librdkafka's topic handles; they must be destroyed before the client.
#[derive(Default)]
pub(super) struct Topics {
    topics: Vec<KnownTopic>,
    ids: HashMap<String, TopicId>,
}

struct KnownTopic {
    handle: TopicHandle,
    name: String,
}

impl Topics {
    pub(super) fn id(&mut self, client: &Client, name: &str) -> Result<TopicId, KafkaError> {
        if let Some(&id) = self.ids.get(name) {
            return Ok(id);
        }
        let handle = TopicHandle::new(client, name)?;
        let id = TopicId(self.topics.len());
        self.topics.push(KnownTopic {
            handle,
            name: name.to_owned(),
        });
        self.ids.insert(name.to_owned(), id);
        Ok(id)
    }

    pub(super) fn handle(&self, id: TopicId) -> *mut ffi::rd_kafka_topic_t {
        self.topics[id.0].handle.as_ptr()
    }

    pub(super) fn name(&self, id: TopicId) -> String {
        self.topics[id.0].name.clone()
    }

    /// Requests metadata of `topic`, or of the cluster only; fails with the topic's own error.
    pub(super) fn ask(
        client: &Client,
        topic: Option<*mut ffi::rd_kafka_topic_t>,
        timeout_ms: i32,
    ) -> Result<(), KafkaError> {
        let mut metadata: *const ffi::rd_kafka_metadata = ptr::null();
        let topic = topic.unwrap_or(ptr::null_mut());
        // SAFETY: the client is live, the topic one of its handles or NULL; the answer is read before it is destroyed.
        unsafe {
            let error = ffi::metadata(client.as_ptr(), 0, topic, &raw mut metadata, timeout_ms);
            if error != code::NONE {
                return Err(KafkaError::of(error));
            }
            let mut error = code::NONE;
            if !topic.is_null() && (*metadata).topic_cnt == 1 {
                error = ptr::addr_of!((*(*metadata).topics).err)
                    .cast::<i32>()
                    .read();
            }
            ffi::rd_kafka_metadata_destroy(metadata);
            match error {
                code::NONE => Ok(()),
                error => Err(KafkaError::new(
                    error,
                    format!(
                        "topic {}: {}",
                        ffi::text(ffi::rd_kafka_topic_name(topic)),
                        KafkaError::of(error)
                    ),
                )),
            }
        }
    }

    #[inline]
    pub(super) fn send(
        &self,
        client: &Client,
        topic: TopicId,
        partition: Option<i32>,
        record: &Record<'_>,
        opaque: u64,
    ) -> Result<(), KafkaError> {
        let rkt = self.handle(topic);
        if record.headers.is_empty() && record.timestamp_ms.is_none() {
            return send_plain(rkt, partition, record, opaque);
        }
        send_with_headers(client, rkt, partition, record, opaque)
    }
}

/// NULL for an absent field, and never NULL for an empty one.
fn pointer(field: Option<&[u8]>) -> (*mut c_void, usize) {
    field.map_or((ptr::null_mut(), 0), |bytes| {
        (bytes.as_ptr().cast_mut().cast(), bytes.len())
    })
}

fn send_plain(
    rkt: *mut ffi::rd_kafka_topic_t,
    partition: Option<i32>,
    record: &Record<'_>,
    opaque: u64,
) -> Result<(), KafkaError> {
    let (value, value_bytes) = pointer(record.value);
    let (key, key_bytes) = pointer(record.key);
    // SAFETY: the topic is live; key and value are copied before the call returns.
    let result = unsafe {
        ffi::rd_kafka_produce(
            rkt,
            partition.unwrap_or(ffi::RD_KAFKA_PARTITION_UA),
            ffi::RD_KAFKA_MSG_F_COPY,
            value,
            value_bytes,
            key,
            key_bytes,
            opaque as *mut c_void,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(KafkaError::of(ffi::last_error())),
    }
}

/// As [`send_plain`], with headers and timestamp, which need the slower call.
fn send_with_headers(
    client: &Client,
    rkt: *mut ffi::rd_kafka_topic_t,
    partition: Option<i32>,
    record: &Record<'_>,
    opaque: u64,
) -> Result<(), KafkaError> {
    use ffi::rd_kafka_vtype_t::{
        RD_KAFKA_VTYPE_HEADERS, RD_KAFKA_VTYPE_KEY, RD_KAFKA_VTYPE_MSGFLAGS, RD_KAFKA_VTYPE_OPAQUE,
        RD_KAFKA_VTYPE_PARTITION, RD_KAFKA_VTYPE_RKT, RD_KAFKA_VTYPE_TIMESTAMP,
        RD_KAFKA_VTYPE_VALUE,
    };
    type Value = ffi::rd_kafka_vu_s__bindgen_ty_1;
    let bytes = |field: Option<&[u8]>| {
        let (ptr, size) = pointer(field);
        Value {
            mem: ffi::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size },
        }
    };
    let entry = |vtype, u| ffi::rd_kafka_vu_t { vtype, u };
    let timestamp_ms = match record.timestamp_ms {
        // The shim turns this into 0.
        Some(0) => TIMESTAMP_0,
        Some(TIMESTAMP_0) => {
            let reason = "the timestamp is too far in the past to be sent";
            return Err(KafkaError::new(code::INVALID_ARG, reason));
        }
        given => given.unwrap_or(0),
    };
    let headers = copy_headers(record)?;
    let partition = partition.unwrap_or(ffi::RD_KAFKA_PARTITION_UA);
    let fields = [
        entry(RD_KAFKA_VTYPE_RKT, Value { rkt }),
        entry(RD_KAFKA_VTYPE_PARTITION, Value { i32_: partition }),
        entry(
            RD_KAFKA_VTYPE_MSGFLAGS,
            Value {
                i: ffi::RD_KAFKA_MSG_F_COPY,
            },
        ),
        entry(RD_KAFKA_VTYPE_VALUE, bytes(record.value)),
        entry(RD_KAFKA_VTYPE_KEY, bytes(record.key)),
        entry(RD_KAFKA_VTYPE_TIMESTAMP, Value { i64_: timestamp_ms }),
        entry(
            RD_KAFKA_VTYPE_OPAQUE,
            Value {
                ptr: opaque as *mut c_void,
            },
        ),
        entry(RD_KAFKA_VTYPE_HEADERS, Value { headers }),
    ];
    // Headers are last, so that a shorter count omits them.
    let count = fields.len() - usize::from(headers.is_null());
    // SAFETY: everything pointed to lives through the call; key and value are
    // copied, and the headers are librdkafka's if it accepts the record.
    unsafe {
        let error = ffi::take_error(ffi::rd_kafka_produceva(
            client.as_ptr(),
            fields.as_ptr(),
            count,
        ));
        match error {
            None => Ok(()),
            Some(error) => {
                if !headers.is_null() {
                    ffi::rd_kafka_headers_destroy(headers);
                }
                Err(error)
            }
        }
    }
}

/// librdkafka's copy of the headers; NULL where there are none.
fn copy_headers(record: &Record<'_>) -> Result<*mut ffi::rd_kafka_headers_t, KafkaError> {
    if record.headers.is_empty() {
        return Ok(ptr::null_mut());
    }
    // SAFETY: name and value are copied by each call; the list is freed on failure.
    unsafe {
        let headers = ffi::rd_kafka_headers_new(record.headers.len());
        for header in record.headers {
            let (value, value_bytes) = pointer(header.value);
            let name = header.name;
            let added = ffi::header_add(
                headers,
                name.as_ptr().cast(),
                name.len() as isize,
                value,
                value_bytes as isize,
            );
            if added != code::NONE {
                ffi::rd_kafka_headers_destroy(headers);
                return Err(KafkaError::of(added));
            }
        }
        Ok(headers)
    }
}
