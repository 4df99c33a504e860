//! Reads partitions over [`wire`](super::wire): Fetch requests of our own, record batches parsed where they lie.
//!
//! What librdkafka's consumer does for its callers is done here: leaders that
//! move, epochs, truncation, brokers that restart, offsets out of range,
//! throttling, recommended replicas, aborted transactions, back-pressure.
//! librdkafka's own consumer ([`consume`](super::consume)) takes the same
//! [`Wanted`] and hands out the same [`Item`]s; the tests compare the two.
//!
//! - `machine`: where reading stands, whom to ask for what next. Pure.
//! - `answer`: a Fetch response, read where it lies. Pure.
//! - `deliver`: from its batches to the records that are to be seen. Pure.
//! - `settings`: the user's properties that concern reading.
//! - `reader`: the thin driver of all that.

mod answer;
mod deliver;
mod machine;
mod reader;
mod request;
mod settings;
mod stored;
#[cfg(test)]
mod tests;

pub use super::consume::{ConsumeError, Item, Start, Wanted};
pub use reader::Reader;

use std::ops::ControlFlow;

use super::Options;
use crate::record::Record;

/// Sets what reading partitions needs, where the user says nothing else.
pub fn tune(options: &mut Options) {
    settings::tune(options);
}

/// Takes what reading brings. Any closure that takes [`Item`]s is one.
pub trait Taker {
    /// May take values from the front: those of records of which it wants nothing else. Says how many it took.
    ///
    /// A record is many words, and putting them together is most of the work on a small one.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    fn values<'v>(
        &mut self,
        _values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
    ) -> usize {
        0
    }

    /// A record of which [`Taker::values`] has not taken the value; `Break` means that no more are wanted for now.
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()>;

    /// Everything that there is of a partition was read, as [`Item::End`] says.
    fn end(&mut self, topic: &str, partition: i32, offset: i64) -> ControlFlow<()>;
}

impl<F> Taker for F
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
