//! The batches of one partition in a response: what is intact, what is damaged, and the offset after them.

use std::collections::VecDeque;
use std::ops::Range;

use super::partition::{Partition, Position};
use crate::kafka::batch::{AbortedTransactions, Batch, BatchError, Batches};

/// The batches of one partition in a response, to be delivered.
#[derive(Debug)]
pub(crate) struct CompletedFetch {
    pub(crate) partition: usize,
    /// The next offset to deliver.
    pub(crate) from: i64,
    pub(crate) batches: BatchRange,
    /// The batches after that, each range after a damaged batch.
    pub(crate) remaining: VecDeque<BatchRange>,
    /// Empty if uncommitted records are read.
    pub(crate) aborted: AbortedTransactions,
    /// Whether the end is to be reported after the last batch.
    pub(crate) is_eof: bool,
}

impl CompletedFetch {
    /// Removes the damaged batch that ends the current range, and continues after it.
    pub(crate) fn take_damaged(&mut self) -> Option<DamagedBatch> {
        let damaged = self.batches.damaged.take()?;
        if let Some(batches) = self.remaining.pop_front() {
            self.from = self.from.max(self.batches.next);
            self.batches = batches;
        }
        Some(damaged)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Checks {
    pub(super) crcs: bool,
    /// The most bytes of a response.
    pub(super) most_bytes: i32,
}

/// A batch that fails its checks or can't be read.
#[derive(Debug)]
pub(crate) struct DamagedBatch {
    /// The first offset that can't be read.
    pub(crate) offset: i64,
    pub(crate) error: BatchError,
    /// Whether the offset after it is known; the fetch continues there.
    pub(crate) can_skip: bool,
}

/// Consecutive intact batches, and the damaged one that ends them.
#[derive(Debug)]
pub(crate) struct BatchRange {
    /// Their bytes in the response.
    pub(crate) bytes: Range<usize>,
    /// The offset after them.
    pub(crate) next: i64,
    pub(crate) damaged: Option<DamagedBatch>,
}

impl BatchRange {
    pub(crate) fn intact(bytes: Range<usize>, next: i64) -> BatchRange {
        BatchRange {
            bytes,
            next,
            damaged: None,
        }
    }
}

/// What is wrong with a batch fetched at `offset`. The checksum does not cover its base offset, so that is compared
/// with the high watermark and with the batch that follows.
fn defect(
    batch: &Batch<'_>,
    offset: i64,
    high: i64,
    following: Option<i64>,
    checks: Checks,
) -> Option<BatchError> {
    if checks.crcs
        && let Err(error) = batch.check()
    {
        return Some(error);
    }
    let next = batch.next_offset();
    let is_beyond_log = high >= 0 && next > high;
    let overlaps = following.is_some_and(|following| following < next && following > offset);
    (is_beyond_log || overlaps).then_some(BatchError::Record {
        index: 0,
        problem: "the offsets of the batch do not fit the log",
    })
}

/// The offset after a damaged batch, if its offsets and record count agree.
fn trusted_next_offset(batch: &Batch<'_>, offset: i64, high: i64) -> Option<i64> {
    let next = batch.next_offset();
    let is_in_log = next > offset && (high < 0 || next <= high);
    (batch.base_offset <= offset && batch.is_dense() && is_in_log).then_some(next)
}

impl Partition {
    /// Moves the position past the received batches and returns them; a damaged batch ends each range but the last.
    pub(super) fn advance(
        &mut self,
        body: &[u8],
        records: Range<usize>,
        high: i64,
        checks: Checks,
    ) -> VecDeque<BatchRange> {
        let Position::At {
            mut offset,
            mut epoch,
        } = self.position
        else {
            return VecDeque::new();
        };
        let mut ranges = VecDeque::new();
        let mut batches = Batches::new(&body[records.clone()]);
        let (mut start, mut at) = (records.start, records.start);
        let mut found_any = false;
        // A header that can't be parsed is reported at delivery.
        while let Some(Ok(batch)) = batches.next() {
            found_any = true;
            let batch_end = records.end - batches.rest().len();
            let size = batch_end - at;
            let following = batches.clone().next().and_then(Result::ok);
            let following = following.map(|batch| batch.base_offset);
            let Some(error) = defect(&batch, offset, high, following, checks) else {
                (offset, epoch) = (offset.max(batch.next_offset()), batch.leader_epoch);
                at = batch_end;
                continue;
            };
            // Trust the batch that follows rather than the damaged one.
            let next = following.filter(|&next| next > offset && (high < 0 || next < high));
            let next = next.or_else(|| trusted_next_offset(&batch, offset, high));
            if next.is_none() && self.retries_larger(offset, size, checks.most_bytes) {
                ranges.push_back(BatchRange::intact(start..at, offset));
                self.position = Position::At { offset, epoch };
                return ranges;
            }
            let damaged = DamagedBatch {
                offset,
                error,
                can_skip: next.is_some(),
            };
            offset = next.unwrap_or(offset);
            ranges.push_back(BatchRange {
                bytes: start..at,
                next: offset,
                damaged: Some(damaged),
            });
            (start, at) = (batch_end, batch_end);
        }
        let cut_bytes = i32::try_from(batches.cut_bytes()).unwrap_or(i32::MAX);
        if !found_any && cut_bytes > 0 {
            // Old brokers cut even the first batch: ask for all of it.
            self.raise_max_bytes(cut_bytes, checks.most_bytes);
        }
        self.position = Position::At { offset, epoch };
        ranges.push_back(BatchRange::intact(start..records.end, offset));
        ranges
    }

    fn raise_max_bytes(&mut self, least: i32, most: i32) {
        self.max_bytes = self.max_bytes.saturating_mul(2).max(least).min(most);
    }

    /// Whether to fetch once more with a larger limit, to receive the batch after a damaged one.
    fn retries_larger(&mut self, offset: i64, size: usize, most: i32) -> bool {
        if self.retried_larger_at == Some(offset) || self.max_bytes >= most {
            return false;
        }
        self.retried_larger_at = Some(offset);
        let least = i32::try_from(size).unwrap_or(i32::MAX).saturating_mul(2);
        self.raise_max_bytes(least, most);
        true
    }
}
