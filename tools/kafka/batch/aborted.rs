//! Which batches a reader of committed records does not see.

use super::{Batch, BatchError, Marker};

/// The aborted transactions of one partition, as its batches go by in order (as in Java's `CompletedFetch`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbortedTransactions {
    /// Producer id and first offset of those that begin later, the last one first.
    pending: Vec<(i64, i64)>,
    /// The producers whose current transaction was aborted.
    active: Vec<i64>,
}

impl AbortedTransactions {
    /// From the producer id and first offset of each.
    pub fn new(mut transactions: Vec<(i64, i64)>) -> AbortedTransactions {
        transactions.sort_unstable_by_key(|&(_, first_offset)| std::cmp::Reverse(first_offset));
        AbortedTransactions {
            pending: transactions,
            active: Vec::new(),
        }
    }

    /// Whether the batch is hidden: it holds control records, or its transaction was aborted.
    pub fn hides(&mut self, batch: &Batch<'_>) -> Result<bool, BatchError> {
        while let Some((producer_id, _)) = self
            .pending
            .pop_if(|&mut (_, first_offset)| first_offset <= batch.last_offset)
        {
            self.active.push(producer_id);
        }
        if !batch.is_transactional() {
            return Ok(batch.is_control());
        }
        let producer = self.active.iter().position(|&id| id == batch.producer_id);
        if let Some(producer) = producer
            && batch.is_control()
            && batch.marker()? == Marker::Abort
        {
            self.active.swap_remove(producer);
        }
        Ok(producer.is_some() || batch.is_control())
    }
}
