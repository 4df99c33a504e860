//! A member of a consumer group: the partitions that the group gives it, their records, and commits.
//!
//! A member commits only the positions that its caller hands in, because only
//! the caller knows what was dealt with. When the group takes partitions away,
//! [`Member::poll`] says so first, so that the caller can commit; then
//! [`Member::release`] lets them go.

mod commit;
mod ends;
mod member;
mod rebalance;

use std::collections::BTreeMap;

pub use member::{Member, Polled, tune};

use super::client::ContactError;
use super::cluster::Isolation;
use super::consume::{ConsumeError, Place, Start};
use super::error::KafkaError;

/// For each topic and partition the offset of the next record to be read.
pub type Positions = BTreeMap<Place, i64>;

/// How to be a member.
#[derive(Clone, Debug)]
pub struct Membership {
    /// `group.id`.
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
}

/// Where the partitions of a member stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nowhere.
    Never,
    /// At the end, as it was when the partition was assigned: [`Member::is_done`].
    AtOwnEnd,
    /// At the end, as it was for the whole group's topics when the member joined: [`Member::behind`].
    AtGroupEnd,
}

/// Why a member can't go on.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// No contact with the cluster.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// A topic or partition can't be read.
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    /// The group, or the cluster, refuses.
    #[error("group {group}: {error}")]
    Refused {
        /// The group.
        group: String,
        /// Why.
        error: KafkaError,
    },
    /// Positions were not committed.
    #[error("group {group}: positions not committed: {error}")]
    NotCommitted {
        /// The group.
        group: String,
        /// Why.
        error: KafkaError,
    },
}
