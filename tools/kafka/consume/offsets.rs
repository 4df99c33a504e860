//! Offsets asked of the cluster before reading: log start, end, and by time.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::kafka::client::Event;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::partitions::{PartitionList, entry};
use crate::kafka::{Client, ffi};

/// Which transactions count when the end of a partition is asked for (`isolation.level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// The end is the high watermark.
    ReadUncommitted,
    /// The end is the last stable offset.
    ReadCommitted,
}

/// ListOffsets' special timestamp for the log start (KIP-79).
pub(crate) const EARLIEST: i64 = -2;
/// ListOffsets' special timestamp for the end.
pub(crate) const LATEST: i64 = -1;

/// librdkafka merges answers in quadratic time, so one call asks for no more than this.
const PARTITIONS_A_CALL: usize = 1000;

/// Topic and partition.
pub(crate) type Place = (String, i32);

/// The offset of each place at `spec`: [`EARLIEST`], [`LATEST`] or a time in milliseconds, where -1 means "after the last record".
///
/// # Errors
/// Of the first partition that can't be answered; what a repetition may heal
/// (a leader that moves) is `TIMED_OUT`, so that `Client::ask_first` repeats it.
pub(crate) fn list_offsets(
    client: &Client,
    places: &[Place],
    spec: i64,
    isolation: Isolation,
    timeout_ms: i32,
) -> Result<HashMap<Place, i64>, KafkaError> {
    let mut offsets = HashMap::with_capacity(places.len());
    for chunk in places.chunks(PARTITIONS_A_CALL) {
        ask(client, chunk, spec, isolation, timeout_ms, &mut offsets)?;
    }
    match places.iter().find(|place| !offsets.contains_key(place)) {
        None => Ok(offsets),
        Some((topic, partition)) => Err(KafkaError::new(
            code::TIMED_OUT,
            format!("{topic} [{partition}]: no answer about its offsets"),
        )),
    }
}

fn ask(
    client: &Client,
    places: &[Place],
    spec: i64,
    isolation: Isolation,
    timeout_ms: i32,
    offsets: &mut HashMap<Place, i64>,
) -> Result<(), KafkaError> {
    let mut list = PartitionList::new();
    for (topic, partition) in places {
        list.add(topic, *partition, spec)?;
    }
    let level = match isolation {
        Isolation::ReadUncommitted => {
            ffi::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
        }
        Isolation::ReadCommitted => {
            ffi::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
        }
    };
    // SAFETY: handle, list, options and queue are live; librdkafka copies list
    // and options. Both setters are valid for this call, and a time-out out of
    // range would leave the default. The queue outlives the poll.
    let event = unsafe {
        let rk = client.as_ptr();
        let options = ffi::rd_kafka_AdminOptions_new(
            rk,
            ffi::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
        );
        let mut reason = [0u8; 128];
        let _ = ffi::rd_kafka_AdminOptions_set_request_timeout(
            options,
            timeout_ms,
            reason.as_mut_ptr().cast(),
            reason.len(),
        );
        let error = ffi::rd_kafka_AdminOptions_set_isolation_level(options, level);
        if !error.is_null() {
            ffi::rd_kafka_error_destroy(error);
        }
        let queue = ffi::rd_kafka_queue_new(rk);
        ffi::rd_kafka_ListOffsets(rk, list.as_ptr(), options, queue);
        ffi::rd_kafka_AdminOptions_destroy(options);
        let event = wait(queue, timeout_ms);
        ffi::rd_kafka_queue_destroy(queue);
        event
    };
    read_answer(
        &event.ok_or_else(|| KafkaError::of(code::TIMED_OUT))?,
        offsets,
    )
}

/// Waits a little longer than the request may take.
///
/// # Safety
/// `queue` is live.
unsafe fn wait(queue: *mut ffi::rd_kafka_queue_t, timeout_ms: i32) -> Option<Event> {
    let until = Instant::now() + Duration::from_millis(timeout_ms.max(0) as u64 + 200);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // SAFETY: the caller's promise.
        let event = unsafe { Event::poll(queue, left.as_millis() as i32) };
        if event.is_some() || left.is_zero() {
            return event;
        }
    }
}

fn read_answer(event: &Event, offsets: &mut HashMap<Place, i64>) -> Result<(), KafkaError> {
    // SAFETY: the event is live; its answer, if it is one, lives as long.
    unsafe {
        let whole = ffi::event_error(event.as_ptr());
        if whole != code::NONE {
            let reason = ffi::text(ffi::rd_kafka_event_error_string(event.as_ptr()));
            return Err(KafkaError::new(repeatable(whole), reason));
        }
        let result = ffi::rd_kafka_event_ListOffsets_result(event.as_ptr());
        if result.is_null() {
            return Err(KafkaError::of(code::TIMED_OUT));
        }
        let mut count = 0;
        let infos = ffi::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
        for i in 0..count {
            let entry = entry(ffi::rd_kafka_ListOffsetsResultInfo_topic_partition(
                *infos.add(i),
            ));
            if entry.error != code::NONE {
                let words = KafkaError::of(entry.error);
                let reason = format!("{} [{}]: {words}", entry.topic, entry.partition);
                return Err(KafkaError::new(repeatable(entry.error), reason));
            }
            // A broker that did not answer leaves the offset "invalid", without an error.
            if entry.offset >= -1 {
                offsets.insert((entry.topic, entry.partition), entry.offset);
            }
        }
    }
    Ok(())
}

/// LEADER_NOT_AVAILABLE, NOT_LEADER and "no leaders found" pass by themselves.
fn repeatable(error: i32) -> i32 {
    match error {
        code::LEADER_NOT_AVAILABLE | code::NOT_LEADER | code::NO_ENTITY => code::TIMED_OUT,
        other => other,
    }
}
