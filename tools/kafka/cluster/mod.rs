//! What a cluster answers when it is asked: plain rows, no type of librdkafka's in sight.
//!
//! - [`commits`]: when groups committed last.
//! - [`mod@committed`]: how far groups have read, many groups at once.
//! - [`mod@configs`]: settings of topics and brokers.
//! - [`groups`]: which groups there are, and who coordinates them.
//! - [`mod@log_dirs`]: bytes of every replica, and the brokers' disks.
//! - [`members`]: who is in a group, and what each member owns.
//! - [`mod@metadata`]: brokers, topics, partitions; the first contact of every program that asks.
//! - [`mod@offsets`]: earliest, latest, and by time, for many partitions at once.
//! - [`patience`]: how long all of it may take.
//! - [`mod@pieces`]: what lies at an offset of many partitions at once.
//! - [`rights`]: whether what is listed is all that there is.
//! - [`share`]: how far share groups have come.
//! - [`unread`]: the first record that a reader has not seen yet.

mod assignment;
pub mod commits;
pub mod committed;
pub mod configs;
pub mod groups;
mod handmade;
pub mod log_dirs;
pub mod members;
pub mod metadata;
pub mod offsets;
pub mod patience;
pub mod pieces;
pub mod rights;
pub mod share;
mod share_answer;
mod spans;
mod streams;
mod streams_answer;
pub mod unread;

use super::primitives;
pub use commits::CommitTimes;
pub use committed::{Committed, committed};
pub use configs::{ConfigsOf, Resource, Setting, configs, topic_settings};
pub use groups::{GroupKind, coordinator_answers, coordinators, list_groups};
pub use log_dirs::{DirsOf, LogDir, Replica, log_dirs};
pub use members::describe_groups;
pub use metadata::{Metadata, Partition, Topic, Topics, metadata, metadata_over};
pub use offsets::{Found, Isolation, Question, Spec, offsets, offsets_over};
pub use patience::Patience;
pub use pieces::{Met, Piece, Place, pieces};
pub use rights::{may_list_groups, may_list_topics, named_topics};
pub use share::{SharePosition, share_offsets};
pub use spans::LogSpan;
pub use unread::{FirstRecord, Position, count_after, first_since, first_unread, times_of};
