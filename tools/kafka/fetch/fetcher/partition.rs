//! The state of one partition: its position, its leader, and what it waits for.

use std::time::Instant;

use crate::kafka::admin;

use super::super::settings::ResetPolicy;

#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) topic: usize,
    pub(crate) id: i32,
    pub(super) position: Position,
    /// The offset before which reading stops.
    pub(crate) end: Option<i64>,
    pub(super) leader: Option<i32>,
    /// -1 if unknown.
    pub(super) leader_epoch: i32,
    /// The replica to read from instead of the leader, and until when.
    pub(super) replica: Option<(i32, Instant)>,
    pub(super) max_bytes: i32,
    /// The request in flight that fetches it.
    pub(super) in_flight: Option<u64>,
    pub(super) paused_until: Option<Instant>,
    pub(super) failures: u32,
    /// The offset at which the end was last reported.
    pub(super) eof_reported_at: Option<i64>,
    /// A replica that failed, not to be used until then.
    pub(super) avoided_replica: Option<(i32, Instant)>,
    /// The offset at which a damaged batch was fetched again, with the batches after it.
    pub(super) retried_larger_at: Option<i64>,
    /// The log was truncated, perhaps before the bound.
    pub(super) was_truncated: bool,
    /// Since when the metadata have an older epoch than before.
    pub(super) stale_epoch_since: Option<Instant>,
    /// Since when no response has arrived, and whether that was reported.
    pub(super) stalled_since: Option<Instant>,
    pub(super) is_stall_reported: bool,
    pub(super) is_finished: bool,
    /// Not to be fetched, as long as the caller has no room for its records.
    pub(super) is_paused: bool,
    /// The group has assigned it to another member; finished as well.
    pub(super) is_released: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// The next fetch offset, and the epoch of the batch before it, -1 if unknown.
    At { offset: i64, epoch: i32 },
    /// To be reset by this policy; with the offset that is out of range.
    AwaitingReset(ResetPolicy, Option<i64>),
}

impl Position {
    pub(super) fn offset(self) -> Option<i64> {
        match self {
            Position::At { offset, .. } => Some(offset),
            Position::AwaitingReset(..) => None,
        }
    }
}

/// What to request of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionPlan {
    pub(crate) partition: usize,
    pub(crate) topic: usize,
    pub(crate) id: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) last_epoch: i32,
    pub(crate) max_bytes: i32,
}

impl Partition {
    pub(super) fn new(
        topic: usize,
        id: i32,
        position: Position,
        end: Option<i64>,
        max_bytes: i32,
    ) -> Partition {
        Partition {
            topic,
            id,
            position,
            end,
            leader: None,
            leader_epoch: -1,
            replica: None,
            max_bytes,
            in_flight: None,
            paused_until: None,
            failures: 0,
            eof_reported_at: None,
            avoided_replica: None,
            retried_larger_at: None,
            was_truncated: false,
            stale_epoch_since: None,
            stalled_since: None,
            is_stall_reported: false,
            is_finished: false,
            is_paused: false,
            is_released: false,
        }
    }

    /// The broker to fetch from, and what; `None` if nothing can be fetched now.
    pub(super) fn plan(&mut self, index: usize, now: Instant) -> Option<(i32, PartitionPlan)> {
        if self.is_finished
            || self.is_paused
            || self.in_flight.is_some()
            || self.paused_until.is_some_and(|at| now < at)
        {
            return None;
        }
        let Position::At { offset, epoch } = self.position else {
            return None;
        };
        // Everything up to the bound was received.
        if self.end.is_some_and(|end| offset >= end) {
            return None;
        }
        self.paused_until = None;
        if self.replica.is_some_and(|(_, until)| now >= until) {
            self.replica = None;
        }
        if self.avoided_replica.is_some_and(|(_, until)| now >= until) {
            self.avoided_replica = None;
        }
        let broker = self.replica.map(|(broker, _)| broker).or(self.leader)?;
        let plan = PartitionPlan {
            partition: index,
            topic: self.topic,
            id: self.id,
            offset,
            leader_epoch: self.leader_epoch,
            last_epoch: epoch,
            max_bytes: self.max_bytes,
        };
        Some((broker, plan))
    }

    /// Falls back to the leader if `broker` is the replica.
    pub(super) fn leave_replica(&mut self, broker: i32) -> bool {
        let was_replica = self.replica.is_some_and(|(replica, _)| replica == broker);
        if was_replica {
            self.replica = None;
        }
        was_replica
    }

    /// True if the leader is still unknown or stale.
    pub(super) fn update_leader(&mut self, metadata: &admin::Partition, now: Instant) -> bool {
        let epoch = metadata.leader_epoch.unwrap_or(-1);
        let Some(leader) = metadata.leader else {
            return true;
        };
        // The broker's metadata are outdated.
        if epoch < self.leader_epoch {
            self.stale_epoch_since.get_or_insert(now);
            return true;
        }
        self.stale_epoch_since = None;
        if self.leader == Some(leader) && self.leader_epoch == epoch {
            return false;
        }
        (self.leader, self.leader_epoch) = (Some(leader), epoch);
        // A late response of the old leader is ignored.
        self.in_flight = None;
        self.replica = None;
        self.paused_until = None;
        self.failures = 0;
        false
    }
}
