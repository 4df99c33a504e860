//! From the batches of a response to the records that were acquired.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::RecordPosition;
use super::request::{AckRange, Acknowledgement};
use super::response::{AcquiredRange, PartitionResponse};
use crate::kafka::batch::{Batch, BatchDecoder, BatchError, Batches};
use crate::record::{Header, Record, TimestampType};

/// A record that is locked for this member.
#[derive(Clone, Copy, Debug)]
pub struct AcquiredRecord<'a> {
    pub position: &'a RecordPosition,
    pub record: Record<'a>,
    /// How often it was delivered, this time included.
    pub delivery_count: i16,
}

/// A partition's response can't be read any further.
#[derive(Debug)]
pub(super) struct UnreadableRecords {
    pub(super) offset: i64,
    pub(super) error: BatchError,
}

/// Parses responses and reuses its memory.
pub(super) struct RecordParser {
    decoder: BatchDecoder,
    wants_headers: bool,
}

impl RecordParser {
    pub(super) fn new(limit_bytes: usize, wants_headers: bool) -> RecordParser {
        RecordParser {
            decoder: BatchDecoder::new(limit_bytes),
            wants_headers,
        }
    }

    /// Calls `visit` with each acquired record, and returns the acknowledgements of acquired offsets without one.
    ///
    /// Those before the end of the last whole batch do not exist (compaction, transaction markers). Later ones were
    /// cut off, and are released.
    pub(super) fn parse(
        &mut self,
        partition: &PartitionResponse,
        topic: &Arc<str>,
        broker: i32,
        visit: &mut dyn FnMut(AcquiredRecord<'_>),
    ) -> Result<Vec<AckRange>, UnreadableRecords> {
        let mut visited = Vec::new();
        let mut end = i64::MIN;
        for batch in Batches::new(&partition.records) {
            let unreadable = |error| UnreadableRecords {
                offset: end.max(partition.acquired.first().map_or(0, |range| range.first)),
                error,
            };
            let batch = batch.map_err(unreadable)?;
            end = batch.next_offset();
            let ranges = &partition.acquired;
            let is_acquired = ranges
                .iter()
                .any(|range| range.first < end && range.last >= batch.base_offset);
            if !is_acquired || batch.is_control() {
                continue;
            }
            let unreadable = |error| UnreadableRecords {
                offset: batch.base_offset,
                error,
            };
            batch.check().map_err(unreadable)?;
            self.visit_batch(&batch, partition, topic, broker, visit, &mut visited)
                .map_err(unreadable)?;
        }
        let missing = missing(&partition.acquired, &visited);
        Ok(missing
            .into_iter()
            .flat_map(|(first, last)| acknowledge_missing(first, last, end))
            .collect())
    }

    fn visit_batch(
        &mut self,
        batch: &Batch<'_>,
        partition: &PartitionResponse,
        topic: &Arc<str>,
        broker: i32,
        visit: &mut dyn FnMut(AcquiredRecord<'_>),
        visited: &mut Vec<i64>,
    ) -> Result<(), BatchError> {
        let mut position = RecordPosition {
            topic: Arc::clone(topic),
            id: partition.id,
            offset: 0,
        };
        let timestamp_type = if batch.is_log_append_time() {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        };
        let wants_headers = self.wants_headers;
        let mut malformed = None;
        let mut index = 0;
        let acquired = partition.acquired.iter();
        let last = acquired.map(|range| range.last).max();
        let _ = self.decoder.records(batch, |raw| {
            index += 1;
            if Some(raw.offset) > last {
                return ControlFlow::Break(());
            }
            let Some(range) = range_of(&partition.acquired, raw.offset) else {
                return ControlFlow::Continue(());
            };
            let mut headers: Vec<Header<'_>> = Vec::new();
            if wants_headers && !raw.headers.is_empty() && !raw.headers.read(&mut headers) {
                malformed = Some(index - 1);
                return ControlFlow::Break(());
            }
            visited.push(raw.offset);
            position.offset = raw.offset;
            let record = Record {
                topic: Some(topic),
                partition: Some(partition.id.1),
                offset: Some(raw.offset),
                timestamp_ms: (raw.timestamp_ms >= 0).then_some(raw.timestamp_ms),
                timestamp_type,
                broker: Some(broker),
                key: raw.key,
                value: raw.value,
                headers: &headers,
                delivery_count: Some(range.delivery_count),
                ..Record::default()
            };
            visit(AcquiredRecord {
                position: &position,
                record,
                delivery_count: range.delivery_count,
            });
            ControlFlow::Continue(())
        })?;
        match malformed {
            Some(index) => Err(BatchError::Record {
                index,
                problem: "its headers do not add up",
            }),
            None => Ok(()),
        }
    }
}

fn range_of(acquired: &[AcquiredRange], offset: i64) -> Option<&AcquiredRange> {
    acquired
        .iter()
        .find(|range| (range.first..=range.last).contains(&offset))
}

/// The acquired offsets that were not visited, as ranges; `visited` is in order.
fn missing(acquired: &[AcquiredRange], visited: &[i64]) -> Vec<(i64, i64)> {
    let mut missing = Vec::new();
    for range in acquired {
        let from = visited.partition_point(|&offset| offset < range.first);
        let mut next = range.first;
        for &offset in visited[from..].iter().take_while(|&&o| o <= range.last) {
            if offset > next {
                missing.push((next, offset - 1));
            }
            next = offset + 1;
        }
        if next <= range.last {
            missing.push((next, range.last));
        }
    }
    missing
}

/// A gap up to `end`; what lies behind it was not received.
fn acknowledge_missing(first: i64, last: i64, end: i64) -> impl Iterator<Item = AckRange> {
    let gap = (first < end).then_some(AckRange {
        first,
        last: last.min(end - 1),
        kind: Acknowledgement::Gap,
    });
    let cut = (last >= end).then_some(AckRange {
        first: first.max(end),
        last,
        kind: Acknowledgement::Release,
    });
    gap.into_iter().chain(cut)
}
