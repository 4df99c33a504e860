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

use super::Options;

/// Sets what reading partitions needs, where the user says nothing else.
pub fn tune(options: &mut Options, wanted: &Wanted) {
    settings::tune(options);
    if wanted.start != Start::Stored {
        // Records that are gone are never passed over in silence.
        options.set_default("auto.offset.reset", "error");
    }
}
