//! Everything that talks to a cluster; hides librdkafka and all `unsafe` behind safe types.
//!
//! Access to a cluster:
//! - [`types`]: a topic's partition.
//! - [`options`]: properties from the command line, the environment and files, one validated set.
//! - [`client`]: a librdkafka handle, its log, and why it can't reach anybody;
//!   `certificate`: why TLS failed; `diagnosis`: which property mends a connection; `probe`: what listens at an address; `token`: OAUTHBEARER's tokens, `oidc`: from a token endpoint.
//! - [`wire`]: any request of the protocol over librdkafka's connections.
//! - `primitives`: parses the protocol's primitive types from untrusted bytes.
//! - [`error`]: an error code of Kafka or librdkafka with its text.
//!
//! Records:
//! - [`fetch`]: reads partitions with Fetch requests of its own; [`batch`]: record batches, parsed in place.
//! - [`consume`]: reads partitions with librdkafka's consumer.
//! - [`group`]: a member of a consumer group: records, rebalances, commits.
//! - [`share`]: a member of a share group: locked records, acknowledged one by one.
//! - [`produce`]: records to acknowledgements, with Produce requests of its own.
//! - [`outage`]: how long a reader's cluster has been away.
//!
//! Questions and answers:
//! - [`admin`]: topics, offsets, groups, settings, sizes as plain rows; creates topics, changes groups' positions.
//!
//! librdkafka itself:
//! - [`process`]: standard descriptors of this process, and what its children get.
//! - [`mock`]: its throw-away cluster in this process; [`library`]: which librdkafka this is.
//! - `ffi`: its C functions with plain error codes; `topic`, `partitions`: its handles and lists.

pub mod admin;
pub mod batch;
mod certificate;
pub mod client;
pub mod consume;
mod diagnosis;
pub mod error;
pub mod fetch;
mod ffi;
pub mod group;
pub mod library;
pub mod mock;
#[cfg(feature = "oidc")]
mod oidc;
pub mod options;
pub mod outage;
mod partitions;
mod primitives;
mod probe;
pub mod process;
pub mod produce;
pub mod share;
mod token;
mod topic;
pub mod types;
pub mod wire;

pub use client::{Client, Role};
pub use error::KafkaError;
pub use options::Options;
pub use produce::Producer;
