//! What a cluster answers when it is asked: plain rows, no type of librdkafka's in sight.
//!
//! - [`mod@metadata`]: brokers, topics, partitions; the first contact of every program that asks.
//! - [`mod@offsets`]: earliest, latest, and by time, for many partitions at once.

pub mod metadata;
pub mod offsets;

pub use metadata::{Metadata, Partition, Topic, Topics, metadata, metadata_over};
pub use offsets::{Found, Isolation, Question, Spec, offsets, offsets_over};
