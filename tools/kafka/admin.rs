//! Queries a cluster and changes it: plain rows, no type of librdkafka's in sight.
//!
//! - [`commits`]: when groups committed last.
//! - [`mod@committed`]: how far groups have read, many groups at once.
//! - [`mod@configs`]: settings of topics and brokers.
//! - `create_topic`: creates a topic.
//! - [`groups`]: which groups there are, and who coordinates them.
//! - [`mod@log_dirs`]: bytes of every replica, and the brokers' disks.
//! - [`members`]: who is in a group, and what each member owns.
//! - [`mod@metadata`]: brokers, topics, partitions; the first contact of every program that asks.
//! - [`mod@offsets`]: earliest, latest, and by time, for many partitions at once.
//! - [`positions`]: changes a group's positions from outside.
//! - [`query_budget`]: how long all of it may take.
//! - [`mod@peek`]: what lies at an offset of many partitions at once.
//! - [`authorization`]: whether what is listed is all that there is.
//! - [`share`]: how far share groups have come.
//! - [`unread`]: the first record that a reader has not seen yet.

mod assignment;
pub mod authorization;
pub mod commits;
pub mod committed;
pub mod configs;
mod create_topic;
pub mod groups;
pub(super) mod handmade;
pub mod log_dirs;
pub mod members;
pub mod metadata;
pub mod offsets;
pub mod peek;
pub mod positions;
pub mod query_budget;
pub mod share;
mod share_response;
mod spans;
mod streams;
mod streams_response;
pub mod unread;

use super::primitives;
pub use authorization::{denied_topics, may_list_groups, may_list_topics, named_topics};
pub use commits::CommitTimes;
pub use committed::{TopicCommits, committed};
pub use configs::{ConfigEntry, ConfigResource, ConfigsQuery, configs, topic_settings};
pub use create_topic::{NewTopic, create_topic};
pub use groups::{GroupKind, coordinator_answers, coordinators, lacks_coordinator, list_groups};
pub use log_dirs::{LogDir, LogDirsQuery, Replica, log_dirs};
pub use members::describe_groups;
pub use metadata::{Metadata, Partition, Topic, Topics, is_internal, metadata, metadata_over};
pub use offsets::{Isolation, ListedOffset, OffsetQuery, OffsetSpec, offsets, offsets_over};
pub use peek::{PartitionBatches, PeekPosition, ScanSummary, peek};
pub use query_budget::QueryBudget;
pub use share::{SharePosition, share_offsets};
pub use spans::LogSpan;
pub use unread::{
    FirstRecord, MOST_OFFSETS, Position, count_after, earliest_in, first_in_window, first_unread,
    newest_in,
};
