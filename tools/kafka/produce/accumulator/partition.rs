//! One partition: its open batch, the batches that wait, and when the next one is sent.

use std::collections::VecDeque;
use std::time::Instant;

use super::batch::{Batch, Opaques, OpenBatch};
use super::sequences::{ProducerId, Sequences};
use crate::kafka::batch::RecordBatch;
use crate::kafka::produce::settings::ProduceSettings;

/// The least size that a batch is limited to because the broker refuses larger ones.
const MIN_BATCH_BYTES: usize = 1024;

pub(super) struct Partition {
    pub(super) leader: Option<i32>,
    pub(super) leader_epoch: Option<i32>,
    pub(super) open: Option<OpenBatch>,
    /// In order; without those in flight.
    pub(super) queue: VecDeque<Batch>,
    /// The number of batches in flight.
    pub(super) in_flight: usize,
    pub(super) sequences: Sequences,
    pub(super) paused_until: Option<Instant>,
    failures: u32,
    /// The most bytes of a batch, as far as the broker takes them.
    pub(super) batch_bytes: usize,
    /// The size of the last batch.
    pub(super) last_bytes: usize,
    /// The number of the next record.
    pub(super) next_record: u64,
    /// Whether the accumulator's list of partitions with records has it.
    pub(super) is_active: bool,
}

impl Partition {
    pub(super) fn new(settings: &ProduceSettings) -> Partition {
        Partition {
            leader: None,
            leader_epoch: None,
            open: None,
            queue: VecDeque::new(),
            in_flight: 0,
            sequences: Sequences::default(),
            paused_until: None,
            failures: 0,
            batch_bytes: settings.batch_bytes,
            last_bytes: 0,
            next_record: 0,
            is_active: false,
        }
    }

    pub(super) fn has_records(&self) -> bool {
        self.open.is_some() || !self.queue.is_empty()
    }

    /// Whether a batch is complete or old enough.
    pub(super) fn is_due(&self, settings: &ProduceSettings, now: Instant) -> bool {
        !self.queue.is_empty() || self.linger_end(settings).is_some_and(|end| now >= end)
    }

    pub(super) fn linger_end(&self, settings: &ProduceSettings) -> Option<Instant> {
        self.open
            .as_ref()
            .map(|open| open.created + settings.linger)
    }

    /// Whether a batch may be sent beside those in flight.
    pub(super) fn is_free(&self, settings: &ProduceSettings, now: Instant) -> bool {
        if self.paused_until.is_some_and(|until| now < until) {
            return false;
        }
        match self.in_flight {
            0 => true,
            // A retry would overtake what follows.
            _ if !settings.is_idempotent => false,
            in_flight => in_flight < settings.max_in_flight && self.sequences.may_pipeline(now),
        }
    }

    /// The next batch to send, numbered for `producer`.
    pub(super) fn take_batch(&mut self, producer: Option<ProducerId>) -> Option<Batch> {
        if self.queue.is_empty() {
            self.close_open();
        }
        if let Some(producer) = producer.filter(|_| self.in_flight == 0) {
            self.sequences.reassign(&mut self.queue, producer);
        }
        let mut batch = self.queue.pop_front()?;
        if producer.is_some() {
            self.sequences.stamp(&mut batch);
        }
        batch.attempts += 1;
        self.in_flight += 1;
        Some(batch)
    }

    /// Closes the open batch and begins another, in this memory if there is any. Returns the bytes of the new one.
    #[inline(never)]
    pub(super) fn begin_batch(&mut self, memory: Option<Vec<u8>>, now: Instant) -> usize {
        self.close_open();
        // It is mostly as large as the one before.
        let memory = memory.unwrap_or_else(|| Vec::with_capacity(self.last_bytes));
        let records = RecordBatch::new(memory);
        let bytes = records.size();
        self.open = Some(OpenBatch {
            records,
            opaques: Opaques::default(),
            first: self.next_record,
            created: now,
        });
        bytes
    }

    pub(super) fn close_open(&mut self) {
        if let Some(open) = self.open.take() {
            self.last_bytes = open.records.size();
            self.queue.push_back(open.close());
        }
    }

    /// Puts batches back into the queue, in order.
    pub(super) fn put_back(&mut self, batches: impl IntoIterator<Item = Batch>) {
        for batch in batches {
            let at = self
                .queue
                .partition_point(|other| other.first < batch.first);
            self.queue.insert(at, batch);
        }
        self.sequences.require_renumbering();
    }

    /// Waits before the next attempt, longer after each failure in a row.
    pub(super) fn back_off(&mut self, settings: &ProduceSettings, now: Instant) {
        self.failures += 1;
        self.paused_until = Some(now + settings.backoff_after(self.failures));
    }

    pub(super) fn succeeded(&mut self, batch: &Batch, now: Instant) {
        self.failures = 0;
        self.paused_until = None;
        self.sequences.acknowledged(batch, now);
    }

    /// The broker refused a whole batch of this size.
    pub(super) fn limit_batches(&mut self, refused_bytes: usize) {
        let half = (refused_bytes / 2).max(MIN_BATCH_BYTES);
        self.batch_bytes = self.batch_bytes.min(half);
    }
}
