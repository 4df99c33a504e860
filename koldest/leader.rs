//! One broker, and the partitions that it leads whose first and newest message are looked for.

use tools::kafka::KafkaError;
use tools::kafka::admin::{
    Isolation, ListedOffset, Metadata, OffsetQuery, PartitionBatches, PeekPosition, QueryBudget,
    offsets_over, peek,
};
use tools::kafka::batch::BatchError;
use tools::kafka::client::ContactError;
use tools::kafka::error::code;
use tools::kafka::wire::Wire;

use crate::partition_state::LogBounds;

/// A partition whose log has something between its ends.
pub(crate) struct NonEmptyLog<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    /// What is known of it; its first and newest message as `ListOffsets` tells them, if it does.
    pub(crate) bounds: LogBounds,
    /// Why the partition can't be told after all.
    pub(crate) error: Option<KafkaError>,
}

/// The broker that leads them all, and how it is asked.
pub(crate) struct LeaderClient<'a, 'c> {
    pub(crate) wire: &'a mut Wire<'c>,
    pub(crate) cluster: &'a Metadata,
    pub(crate) broker: i32,
    pub(crate) budget: &'a mut QueryBudget<'c>,
}

impl LeaderClient<'_, '_> {
    /// Offsets of all records.
    pub(crate) fn offsets(
        &mut self,
        questions: &[OffsetQuery],
    ) -> Result<Vec<Result<ListedOffset, KafkaError>>, ContactError> {
        let isolation = Isolation::ReadUncommitted;
        offsets_over(self.wire, self.cluster, questions, isolation, self.budget)
    }

    /// What lies at these places, of committed records.
    pub(crate) fn peek(
        &mut self,
        lists: &[Vec<PeekPosition<'_>>],
    ) -> Vec<Vec<Result<PartitionBatches, KafkaError>>> {
        peek(
            self.wire,
            self.broker,
            lists,
            Isolation::ReadCommitted,
            self.budget,
        )
    }
}

impl NonEmptyLog<'_> {
    /// Where to read in it.
    pub(crate) fn place(&self, offset: i64, limit_bytes: i32) -> PeekPosition<'_> {
        PeekPosition {
            topic: self.topic,
            partition: self.partition,
            offset,
            limit_bytes,
        }
    }

    /// Notes why it can't be told; without the permission to read, what is known without reading stays.
    pub(crate) fn fail(&mut self, error: KafkaError) {
        let both = self.bounds.oldest.is_some() && self.bounds.newest.is_some();
        if error.code == code::TOPIC_AUTHORIZATION_FAILED && both {
            self.bounds.notes.push(
                "no permission to read: a marker of a transaction may pass for a message"
                    .to_owned(),
            );
        } else {
            self.error = Some(error);
        }
    }

    /// The newest message as the broker tells it, where it is one that the log still has.
    pub(crate) fn listed_newest(&self) -> Option<i64> {
        let offset = self.bounds.newest?.offset;
        (self.bounds.log_start..self.bounds.end)
            .contains(&offset)
            .then_some(offset)
    }
}

/// A batch's own trouble, as that of its partition.
pub(crate) fn unreadable(error: &BatchError) -> KafkaError {
    KafkaError::new(code::BAD_MESSAGE, error.reason())
}
