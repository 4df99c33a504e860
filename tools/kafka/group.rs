//! A member of a consumer group: the partitions that the group gives it, their records, and commits.
//!
//! A member commits only the positions that its caller hands in, because only
//! the caller knows what was dealt with. When the group takes partitions away,
//! [`Member::poll`] says so first, so that the caller can commit; then
//! [`Member::release`] lets them go.
//!
//! librdkafka is the member: it joins, sends heartbeats, rebalances and commits. The records are read by `reader`.

mod begin;
mod commit;
mod ends;
mod handle;
mod leave;
mod member;
mod message_reader;
mod outage;
mod reader;
mod rebalance;
mod start;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use member::{Member, Polled, tune};

use super::admin::Isolation;
use super::client::ContactError;
use super::consume::{ConsumeError, Start};
use super::error::{KafkaError, code, is_connection_failure, is_coordinator_change};
use super::types::TopicPartition;

/// Whether a signal asks to end; every wait of a member looks at it.
pub type Interrupt = Arc<dyn Fn() -> bool + Send + Sync>;

/// For each topic and partition the offset of the next record to be read.
pub type Positions = BTreeMap<TopicPartition, i64>;

/// How to be a member.
#[derive(Clone, Debug)]
pub struct Membership {
    pub group: String,
    /// Names, or `^regex`, which the group settles anew as topics come and go.
    pub topics: Vec<String>,
    /// Overrides the committed offset of a partition when it is assigned for the first time.
    pub start: Option<Start>,
    /// Whether, and where, partitions stop.
    pub stop: Stop,
    /// `isolation.level`: whether the end is the high watermark or the last stable offset.
    pub isolation: Isolation,
    /// Whether records are handed out with their headers, which costs.
    pub wants_headers: bool,
    /// Whether the user says by `auto.offset.reset` where a partition without a commit begins.
    pub is_reset_set: bool,
    /// Whether librdkafka reads the records: slower, but also message formats v0 and v1.
    pub uses_librdkafka: bool,
    /// An outage that is longer ends the member.
    pub give_up: Option<Duration>,
}

/// Where the partitions of a member stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Never,
    /// At the end, as it was when the partition was assigned: [`Member::is_done`].
    AtOwnEnd,
    /// At the end, as it was for the whole group's topics when the member joined: [`Member::behind`].
    AtGroupEnd,
}

/// Why a member can't go on.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    #[error(transparent)]
    Contact(#[from] ContactError),
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    #[error("group {group}: {error}")]
    Refused { group: String, error: KafkaError },
    #[error("group {group}: its coordinator did not answer within {seconds} s{cause}")]
    NoCoordinator {
        group: String,
        seconds: u64,
        cause: String,
    },
    /// The cluster was away for longer than the user wants to wait.
    #[error("group {group}: no contact with the cluster for {seconds} s (--give-up){cause}")]
    GaveUp {
        group: String,
        seconds: u64,
        cause: String,
    },
    /// The group has a position that the log does not reach.
    #[error(
        "{topic} [{partition}]: group {group} has committed offset {offset}, and the log ends at {next}: \
         say auto.offset.reset=earliest or latest"
    )]
    BeyondEnd {
        group: String,
        topic: String,
        partition: i32,
        offset: i64,
        next: i64,
    },
    /// The group has given the partitions to others before the commit; what was not committed comes again.
    #[error("group {group}: positions not committed: the group has given the partitions away")]
    Lost { group: String },
    #[error("group {group}: positions not committed: {error}")]
    NotCommitted { group: String, error: KafkaError },
}

/// Codes of a cluster that is away, or whose coordinator moves: the same request may be answered later.
fn is_outage(code: i32) -> bool {
    is_coordinator_change(code)
        || is_connection_failure(code)
        || matches!(
            code,
            code::WAIT_COORDINATOR | code::ALL_BROKERS_DOWN | code::RESOLVE
        )
}
