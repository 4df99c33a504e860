//! Everything that talks to a cluster; hides librdkafka and all `unsafe` behind safe types.
//!
//! - [`options`]: properties from the command line, the environment and files, one validated set.
//! - [`client`]: a librdkafka handle, its log, and why it can't reach anybody.
//! - [`batch`]: record batches, parsed where they lie.
//! - [`consume`]: assigned partitions to records.
//! - [`fetch`]: assigned partitions to records, over requests of our own.
//! - [`cluster`]: metadata and offsets, plain rows.
//! - [`group`]: a member of a consumer group: records, rebalances, commits.
//! - [`mock`]: a throw-away cluster in this process.
//! - [`library`]: which librdkafka this is.
//! - [`produce`]: records to delivery reports.
//! - [`admin`]: topics made, settings read, positions committed for others.
//! - [`wire`]: any request of the protocol over librdkafka's connections.
//! - [`error`]: an error code of Kafka or librdkafka with its text.

pub mod admin;
pub mod batch;
mod certificate;
pub mod client;
pub mod cluster;
pub mod consume;
pub mod error;
pub mod fetch;
mod ffi;
pub mod group;
pub mod library;
pub mod mock;
pub mod options;
mod partitions;
pub mod produce;
mod token;
mod topic;
pub mod wire;

pub use client::{Client, Role};
pub use error::KafkaError;
pub use options::Options;
pub use produce::Producer;
