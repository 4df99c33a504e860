//! From a record to the open batch of its partition.

use std::time::Instant;

use super::batch::OpenBatch;
use super::failures::unknown_partition;
use super::{Accumulator, Appended, FREE_BUFFERS, LEAST_FREE_BYTES, Now};
use crate::kafka::batch::record_size_limit;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::produce::settings::ProduceSettings;
use crate::kafka::produce::undelivered::Undelivered;
use crate::record::Record;

impl Accumulator {
    /// Adds a record to the open batch of its partition.
    #[inline]
    pub(in crate::kafka::produce) fn append(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        record: &Record<'_>,
        opaque: u64,
        now: Now,
    ) -> Appended {
        let size = record_size_limit(record.key, record.value, record.headers);
        let is_refused = size > self.settings.max_record_bytes
            || self.fatal.is_some()
            || self.has_failed_transaction();
        if is_refused || self.memory + size > self.settings.queue_bytes {
            return self.append_refused(topic, partition, record, opaque, size);
        }
        let count = self.topics[topic].partitioner.count();
        if count == 0 || self.outstanding() >= self.settings.queue_records {
            return self.append_later(topic, partition, record, opaque, now);
        }
        let partition = match partition {
            Some(partition) if (0..count as i32).contains(&partition) => partition as usize,
            Some(partition) => {
                self.report.totals.accepted += 1;
                let error = unknown_partition(partition, count);
                self.fail_record(topic, Some(partition), record, opaque, &error);
                return Appended::Done;
            }
            None => self.choose_partition(topic, record.key, size, now.instant),
        };
        self.report.totals.accepted += 1;
        let timestamp_ms = record.timestamp_ms.unwrap_or(now.wall_ms);
        let at = (topic, partition);
        if self.append_to(at, record, timestamp_ms, opaque, size, now.instant) {
            Appended::Wake
        } else {
            Appended::Done
        }
    }

    /// A record that has no place just now, or never.
    #[cold]
    pub(super) fn append_refused(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        record: &Record<'_>,
        opaque: u64,
        size: usize,
    ) -> Appended {
        let error = if let Some(fatal) = &self.fatal {
            KafkaError::new(code::PURGE_QUEUE, fatal.to_string())
        } else if self.has_failed_transaction() {
            KafkaError::of(code::PURGE_QUEUE)
        } else if size > self.settings.max_record_bytes {
            KafkaError::of(code::MESSAGE_TOO_LARGE)
        } else if size > self.settings.queue_bytes {
            let kbytes = self.settings.queue_bytes / 1024;
            let reason = format!(
                "the record is larger than the queue, {kbytes} KiB; -X queue.buffering.max.kbytes=N makes it larger"
            );
            KafkaError::new(code::MESSAGE_TOO_LARGE, reason)
        } else {
            self.close_open_batches();
            return Appended::Full;
        };
        self.report.totals.accepted += 1;
        self.fail_record(topic, partition, record, opaque, &error);
        Appended::Done
    }

    /// A record of a topic whose partitions are not known yet, or one too many.
    #[cold]
    pub(super) fn append_later(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        record: &Record<'_>,
        opaque: u64,
        now: Now,
    ) -> Appended {
        if self.outstanding() >= self.settings.queue_records {
            self.close_open_batches();
            return Appended::Full;
        }
        self.report.totals.accepted += 1;
        let topic = &mut self.topics[topic];
        let timestamp_ms = record.timestamp_ms.or(Some(now.wall_ms));
        let record = Record {
            timestamp_ms,
            ..*record
        };
        // Whatever fails it says why.
        let error = KafkaError::new(code::UNKNOWN_TOPIC_OR_PARTITION, String::new());
        let name = topic.name.clone();
        let record = Undelivered::refused(&record, opaque, name, partition, error);
        self.memory += record.size();
        topic.waiting.push_back((now.instant, record));
        self.refresh.is_needed = true;
        Appended::Wake
    }

    /// The partition of a record for which none is said.
    #[inline]
    pub(super) fn choose_partition(
        &mut self,
        topic: usize,
        key: Option<&[u8]>,
        size: usize,
        now: Instant,
    ) -> usize {
        let topic = &mut self.topics[topic];
        if let Some(partition) = topic.partitioner.of_key(key) {
            return partition as usize;
        }
        if let Some(sticky) = topic.partitioner.sticky(now) {
            let open = &topic.partitions[sticky as usize].open;
            let limit = topic.partitions[sticky as usize].batch_bytes;
            let has_room = |open: &OpenBatch| has_room(open, size, limit, &self.settings);
            if open.as_ref().is_none_or(has_room) {
                return sticky as usize;
            }
            topic.close_open(sticky as usize);
        }
        let partitions = &topic.partitions;
        let has_leader = |n: u32| partitions[n as usize].leader.is_some();
        topic.partitioner.choose(&self.settings, now, has_leader) as usize
    }

    /// Returns whether a batch was completed or begun.
    #[inline]
    pub(super) fn append_to(
        &mut self,
        (topic, partition): (usize, usize),
        record: &Record<'_>,
        timestamp_ms: i64,
        opaque: u64,
        size: usize,
        now: Instant,
    ) -> bool {
        let state = &mut self.topics[topic].partitions[partition];
        let limit = state.batch_bytes;
        let is_full = |open: &OpenBatch| !has_room(open, size, limit, &self.settings);
        let is_new = state.open.as_ref().is_none_or(is_full);
        if is_new {
            self.memory += state.begin_batch(self.free_buffers.pop(), now);
        }
        if let Some(open) = &mut state.open {
            let before = open.records.size();
            open.records
                .append(timestamp_ms, record.key, record.value, record.headers);
            self.memory += open.records.size() - before;
            self.memory += open.opaques.push(opaque);
            state.next_record += 1;
        }
        if is_new {
            self.activate(topic, partition);
        }
        is_new
    }

    /// Lists a partition with records.
    pub(super) fn activate(&mut self, topic: usize, partition: usize) {
        let state = &mut self.topics[topic].partitions[partition];
        if !std::mem::replace(&mut state.is_active, true) {
            self.active.push((topic, partition));
        }
    }

    /// Sends all batches without waiting for more records.
    pub(in crate::kafka::produce) fn close_open_batches(&mut self) {
        for &(topic, partition) in &self.active {
            self.topics[topic].close_open(partition);
        }
    }

    /// Frees the memory of a batch that has its result.
    pub(super) fn release(&mut self, batch_memory: usize, buffer: Vec<u8>) {
        self.memory -= batch_memory;
        let is_large = buffer.capacity() >= LEAST_FREE_BYTES;
        if is_large && self.free_buffers.len() < FREE_BUFFERS {
            self.free_buffers.push(buffer);
        }
    }
}

#[inline]
fn has_room(open: &OpenBatch, size: usize, limit: usize, settings: &ProduceSettings) -> bool {
    open.records.size() + size <= limit && open.records.count() < settings.batch_records
}
