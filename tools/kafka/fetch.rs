//! Reads partitions over [`wire`](super::wire), with Fetch requests of its own and record batches parsed in place.
//!
//! It does what librdkafka's consumer does for its callers: leader changes,
//! epochs, truncation, broker restarts, offsets out of range, throttling,
//! preferred replicas, aborted transactions, back-pressure. librdkafka's consumer
//! ([`consume`](super::consume)) takes the same [`ReadRequest`] and returns the
//! same [`Item`]s; the tests compare the two.
//!
//! - `fetcher`: positions, what to request next, and how a response changes them. Pure.
//! - `request`: the Fetch request; `response`: the Fetch response, parsed in place. Pure.
//! - `delivery`: from its batches to the visited records. Pure.
//! - `settings`: the properties that concern reading.
//! - `offset_lookup`: the log offsets of partitions whose position is to be reset. Pure.
//! - `consumer`: drives all that.

mod consumer;
mod delivery;
mod fetcher;
mod offset_lookup;
mod request;
mod response;
mod settings;
#[cfg(test)]
mod tests;

pub use super::consume::{ConsumeError, Item, ReadRequest, Start};
pub use consumer::FetchConsumer;
pub use fetcher::StartPosition;
pub use settings::tune;

use std::ops::ControlFlow;

use super::primitives;
use crate::record::Record;

/// Which records the values of [`RecordVisitor::values`] are of.
#[derive(Clone, Copy, Debug)]
pub struct ValuesSource<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// The offset of the first, if no offset is missing between the records.
    pub first_offset: Option<i64>,
}

/// Receives records. Any closure that takes [`Item`]s is one.
pub trait RecordVisitor {
    /// Called before each record; a visitor that needs only the values may consume them here, and returns their number.
    ///
    /// For speed: most of the work on a small record is building it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of the loop over records")]
    fn values<'v>(
        &mut self,
        _source: ValuesSource<'_>,
        _values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
    ) -> usize {
        0
    }

    /// A record whose value [`RecordVisitor::values`] has not consumed; `Break` stops.
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()>;

    /// The end of a partition, as [`Item::End`].
    fn end(&mut self, topic: &str, partition: i32, offset: i64) -> ControlFlow<()>;
}

impl<F> RecordVisitor for F
where
    F: FnMut(Item<'_>) -> ControlFlow<()>,
{
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        self(Item::Record(record))
    }

    fn end(&mut self, topic: &str, partition: i32, offset: i64) -> ControlFlow<()> {
        self(Item::End {
            topic,
            partition,
            offset,
        })
    }
}
