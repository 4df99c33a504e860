//! Delivers the records of a response to the visitor: none twice, none aborted, none beyond the bound.

use std::ops::ControlFlow;

use super::fetcher::{CompletedFetch, DamagedBatch};
use super::{RecordVisitor, ValuesSource};
use crate::kafka::batch::{
    Batch, BatchDecoder, BatchError, Batches, RawRecord, RawRecordVisitor, Values,
};
use crate::kafka::consume::message::reuse;
use crate::record::{Header, Record, TimestampType};

/// Which records of a partition to deliver, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeliveryRules<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) broker: i32,
    /// The offset before which reading stops; `i64::MAX` if there is none.
    pub(super) end: i64,
    /// Reading stops before the first record at or after this time; `i64::MAX` if there is none.
    pub(super) stop_time_ms: i64,
    pub(super) wants_headers: bool,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveryEnd {
    Complete,
    /// The visitor stopped; the rest stays in the fetch.
    Stopped,
    /// At this offset.
    ReachedBound(i64),
}

/// Delivers records and reuses its memory.
pub(super) struct Delivery {
    decoder: BatchDecoder,
    headers: Vec<Header<'static>>,
    pub(super) records: usize,
}

impl Delivery {
    pub(super) fn new(limit_bytes: usize) -> Delivery {
        Delivery {
            decoder: BatchDecoder::new(limit_bytes),
            headers: Vec::new(),
            records: 0,
        }
    }

    /// Delivers the records of `fetch`, whose bytes are in `body`; the rest stays in the fetch.
    pub(super) fn deliver(
        &mut self,
        body: &[u8],
        fetch: &mut CompletedFetch,
        rules: &DeliveryRules<'_>,
        visitor: &mut impl RecordVisitor,
    ) -> Result<DeliveryEnd, DamagedBatch> {
        let mut batches = Batches::new(&body[fetch.batches.bytes.clone()]);
        while let Some(batch) = batches.next() {
            let batch_end = fetch.batches.bytes.end - batches.rest().len();
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    fetch.batches.bytes.start = fetch.batches.bytes.end;
                    return Err(DamagedBatch {
                        offset: fetch.from,
                        error,
                        can_skip: false,
                    });
                }
            };
            if batch.base_offset >= rules.end {
                return Ok(DeliveryEnd::ReachedBound(rules.end));
            }
            match self.deliver_batch(&batch, fetch, rules, visitor) {
                Ok(DeliveryEnd::Complete) => {}
                Ok(other) => return Ok(other),
                Err(error) => {
                    let offset = fetch.from.max(batch.base_offset);
                    fetch.batches.bytes.start = batch_end;
                    fetch.from = fetch.from.max(batch.next_offset());
                    return Err(DamagedBatch {
                        offset,
                        error,
                        can_skip: true,
                    });
                }
            }
            fetch.batches.bytes.start = batch_end;
            fetch.from = fetch.from.max(batch.next_offset());
        }
        // A damaged batch beyond the bound does not matter.
        let damaged = fetch.batches.damaged.as_ref();
        let is_bound = fetch.batches.next >= rules.end;
        if is_bound && damaged.is_none_or(|batch| batch.offset >= rules.end) {
            return Ok(DeliveryEnd::ReachedBound(rules.end));
        }
        fetch.take_damaged().map_or(Ok(DeliveryEnd::Complete), Err)
    }

    fn deliver_batch(
        &mut self,
        batch: &Batch<'_>,
        fetch: &mut CompletedFetch,
        rules: &DeliveryRules<'_>,
        visitor: &mut impl RecordVisitor,
    ) -> Result<DeliveryEnd, BatchError> {
        if batch.next_offset() <= fetch.from {
            return Ok(DeliveryEnd::Complete);
        }
        if fetch.aborted.hides(batch)? {
            return Ok(DeliveryEnd::Complete);
        }
        let common = Record {
            topic: Some(rules.topic),
            partition: Some(rules.partition),
            broker: Some(rules.broker),
            timestamp_type: if batch.is_log_append_time() {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            },
            ..Record::default()
        };
        let mut batch_visitor = BatchVisitor {
            common,
            rules,
            next: &mut fetch.from,
            visitor,
            headers: &mut self.headers,
            records: &mut self.records,
            bound: None,
            is_malformed: false,
        };
        let flow = self.decoder.visit(batch, &mut batch_visitor)?;
        match batch_visitor.bound {
            Some(offset) => Ok(DeliveryEnd::ReachedBound(offset)),
            None if batch_visitor.is_malformed => Err(BatchError::Record {
                index: (fetch.from - 1 - batch.base_offset) as i32,
                problem: "its headers do not add up",
            }),
            None if flow.is_break() => Ok(DeliveryEnd::Stopped),
            None => Ok(DeliveryEnd::Complete),
        }
    }
}

/// Passes the records of one batch to the visitor.
struct BatchVisitor<'h, T> {
    /// The fields that all records of the batch have in common.
    common: Record<'h>,
    rules: &'h DeliveryRules<'h>,
    /// The next offset of the partition.
    next: &'h mut i64,
    visitor: &'h mut T,
    headers: &'h mut Vec<Header<'static>>,
    records: &'h mut usize,
    /// The offset at which the bound was reached.
    bound: Option<i64>,
    is_malformed: bool,
}

impl<T: RecordVisitor> RawRecordVisitor for BatchVisitor<'_, T> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of the loop over records")]
    fn values(&mut self, values: &mut Values<'_, '_>) {
        let rules = self.rules;
        // Records that may be beyond a bound are checked one by one.
        if values.batch().last_offset >= rules.end || rules.stop_time_ms != i64::MAX {
            return;
        }
        values.not_before(*self.next);
        let first_offset = values.next_offset();
        let source = ValuesSource {
            topic: rules.topic,
            partition: rules.partition,
            first_offset: values.batch().is_dense().then_some(first_offset),
        };
        let taken = self.visitor.values(source, values);
        if taken > 0 {
            *self.next = values.next_offset();
            *self.records += taken;
        }
    }

    fn record(&mut self, raw: RawRecord<'_>) -> ControlFlow<()> {
        let rules = self.rules;
        if raw.offset < *self.next {
            return ControlFlow::Continue(());
        }
        if raw.offset >= rules.end || raw.timestamp_ms >= rules.stop_time_ms {
            self.bound = Some(raw.offset.min(rules.end));
            return ControlFlow::Break(());
        }
        *self.next = raw.offset + 1;
        *self.records += 1;
        let record = Record {
            offset: Some(raw.offset),
            timestamp_ms: (raw.timestamp_ms >= 0).then_some(raw.timestamp_ms),
            key: raw.key,
            value: raw.value,
            ..self.common
        };
        let mut list = Vec::new();
        if rules.wants_headers && !raw.headers.is_empty() {
            list = reuse(std::mem::take(self.headers));
            if !raw.headers.read(&mut list) {
                self.is_malformed = true;
                return ControlFlow::Break(());
            }
        }
        let flow = self.visitor.record(&Record {
            headers: &list,
            ..record
        });
        if list.capacity() > 0 {
            *self.headers = reuse(list);
        }
        flow
    }
}
