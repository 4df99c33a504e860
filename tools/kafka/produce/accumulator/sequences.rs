//! The sequence numbers of one partition: a broker stores each batch once and in order (KIP-98, KIP-360).
//!
//! A batch keeps its number until its fate is known: a retry with the same number
//! is stored once. A batch that was certainly not stored gets a new number, which
//! follows that of the last acknowledged one. Where a number would be ambiguous,
//! the partition begins again at 0 under the next epoch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::batch::Batch;

/// Who the brokers take this producer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka::produce) struct ProducerId {
    pub(in crate::kafka::produce) id: i64,
    pub(in crate::kafka::produce) epoch: i16,
}

/// A broker may forget a producer, and does not detect a gap before the first batch that it knows. Until a batch was
/// acknowledged within this time, batches are sent one by one.
const TRUSTED_FOR: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Sequences {
    producer: Option<ProducerId>,
    /// The number of the next batch that has none.
    next: i32,
    /// The number after the last acknowledged batch.
    acked_end: i32,
    acked_at: Option<Instant>,
    /// Whether a batch came back, so that numbers may have to be assigned again.
    is_disturbed: bool,
    /// Whether the broker's next number is unknown: begin under the next epoch.
    needs_bump: bool,
}

impl Sequences {
    /// Whether batches can be sent before the ones in flight are acknowledged.
    pub(super) fn may_pipeline(&self, now: Instant) -> bool {
        let is_trusted = |at| now.saturating_duration_since(at) < TRUSTED_FOR;
        !self.is_disturbed && self.acked_at.is_some_and(is_trusted)
    }

    /// Another broker leads the partition: it may not know this producer.
    pub(super) fn require_first_ack_alone(&mut self) {
        self.acked_at = None;
    }

    /// Assigns the numbers again after a failure. Nothing is in flight. `current` is this producer's id.
    pub(super) fn reassign(&mut self, queue: &mut VecDeque<Batch>, current: ProducerId) {
        if self.producer.is_none() {
            self.restart(current);
            for batch in &mut *queue {
                batch.stamp = None;
            }
        }
        if !self.is_disturbed || queue.front().is_some_and(|batch| batch.may_be_stored) {
            return;
        }
        // The broker has not stored the first one, and so none that follows.
        self.is_disturbed = false;
        for batch in &mut *queue {
            batch.stamp = None;
            batch.may_be_stored = false;
        }
        if std::mem::take(&mut self.needs_bump) {
            match self.producer {
                Some(ProducerId { id, epoch }) if epoch < i16::MAX - 1 => {
                    self.restart(ProducerId {
                        id,
                        epoch: epoch + 1,
                    });
                }
                // No epoch is left: another id.
                _ => self.restart(current),
            }
        }
        self.next = self.acked_end;
    }

    /// Whether `current` is used up and another id is needed.
    pub(super) fn needs_new_id(&self, current: ProducerId) -> bool {
        let is_last =
            |producer: ProducerId| producer.id == current.id && producer.epoch >= i16::MAX - 1;
        self.needs_bump && self.producer.is_some_and(is_last)
    }

    fn restart(&mut self, producer: ProducerId) {
        self.producer = Some(producer);
        self.next = 0;
        self.acked_end = 0;
        self.acked_at = None;
    }

    /// Gives a batch its number, unless it has one.
    pub(super) fn stamp(&mut self, batch: &mut Batch) {
        let Some(producer) = self.producer else {
            return;
        };
        if batch.stamp.is_none() {
            batch.stamp = Some((producer, self.next));
            self.next = after(self.next, batch.count);
        }
    }

    pub(super) fn acknowledged(&mut self, batch: &Batch, now: Instant) {
        self.acked_at = Some(now);
        let Some((producer, sequence)) = batch.stamp else {
            return;
        };
        let end = after(sequence, batch.count);
        // A retried batch may be acknowledged after later ones.
        let is_ahead = (end.wrapping_sub(self.acked_end) & i32::MAX) < i32::MAX / 2;
        if self.producer == Some(producer) && is_ahead {
            self.acked_end = end;
        }
    }

    /// A batch came back and will be sent again.
    pub(super) fn require_renumbering(&mut self) {
        self.is_disturbed = true;
        self.acked_at = None;
    }

    /// Whether the broker refuses a number that it should expect.
    pub(super) fn needs_epoch_bump(&self) -> bool {
        self.needs_bump
    }

    /// The broker refused the number of a batch: it does not expect what was acknowledged before it.
    pub(super) fn refused(&mut self, batch: &Batch) {
        self.require_renumbering();
        let is_expected = |(producer, sequence): (ProducerId, i32)| {
            Some(producer) == self.producer && sequence == self.acked_end
        };
        self.needs_bump |= batch.stamp.is_some_and(is_expected);
    }

    /// A batch was given up. If it may be stored, its numbers must not be used again.
    pub(super) fn given_up(&mut self, batch: &Batch) {
        if batch.stamp.is_some() {
            self.require_renumbering();
            self.needs_bump |= batch.may_be_stored;
        }
    }
}

/// The number after a batch; it wraps to 0.
fn after(sequence: i32, count: u32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) & i64::from(i32::MAX)) as i32
}
