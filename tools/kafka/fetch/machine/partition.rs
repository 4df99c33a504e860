//! One partition: where to read on, and whom to ask for it.

use std::time::Instant;

use crate::kafka::batch::Batches;
use crate::kafka::cluster;

use super::super::settings::Reset;

/// A partition that is read.
#[derive(Clone, Debug)]
pub(in crate::kafka::fetch) struct Partition {
    pub(in crate::kafka::fetch) topic: usize,
    pub(in crate::kafka::fetch) id: i32,
    /// Where to read on.
    pub(super) position: Position,
    /// The offset before which reading stops.
    pub(in crate::kafka::fetch) end: Option<i64>,
    pub(super) leader: Option<i32>,
    /// -1 where the brokers don't say.
    pub(super) leader_epoch: i32,
    /// The broker to ask instead of the leader, and until when.
    pub(super) replica: Option<(i32, Instant)>,
    pub(super) max_bytes: i32,
    /// The request that asks for it.
    pub(super) asked: Option<u64>,
    pub(super) hold_until: Option<Instant>,
    pub(super) failures: u32,
    /// The offset at which the user was last told that there is no more.
    pub(super) told_end: Option<i64>,
    pub(super) is_over: bool,
}

/// Where to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// At this offset; the epoch is that of the batch before it, -1 where that is not known.
    At { offset: i64, epoch: i32 },
    /// Where this policy says, as soon as that was looked up; with the offset that is out of range.
    Unknown(Reset, Option<i64>),
}

/// One partition of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka::fetch) struct AskRow {
    pub(in crate::kafka::fetch) partition: usize,
    pub(in crate::kafka::fetch) topic: usize,
    pub(in crate::kafka::fetch) id: i32,
    pub(in crate::kafka::fetch) offset: i64,
    pub(in crate::kafka::fetch) leader_epoch: i32,
    pub(in crate::kafka::fetch) last_epoch: i32,
    pub(in crate::kafka::fetch) max_bytes: i32,
}

impl Partition {
    /// Whom to ask for it, and what; `None` where there is nothing to ask now.
    pub(super) fn ask(&mut self, index: usize, now: Instant) -> Option<(i32, AskRow)> {
        if self.is_over || self.asked.is_some() || self.hold_until.is_some_and(|at| now < at) {
            return None;
        }
        let Position::At { offset, epoch } = self.position else {
            return None;
        };
        // All that is wanted was sent, and is on its way to the user.
        if self.end.is_some_and(|end| offset >= end) {
            return None;
        }
        self.hold_until = None;
        if self.replica.is_some_and(|(_, until)| now >= until) {
            self.replica = None;
        }
        let broker = self.replica.map(|(broker, _)| broker).or(self.leader)?;
        let row = AskRow {
            partition: index,
            topic: self.topic,
            id: self.id,
            offset,
            leader_epoch: self.leader_epoch,
            last_epoch: epoch,
            max_bytes: self.max_bytes,
        };
        Some((broker, row))
    }

    /// Moves the position behind the batches that came, and tells it.
    pub(super) fn go_on(&mut self, records: &[u8], most_bytes: i32) -> i64 {
        let Position::At {
            mut offset,
            mut epoch,
        } = self.position
        else {
            return -1;
        };
        let mut batches = Batches::new(records);
        let mut found_any = false;
        // What is wrong with a batch is told when it is handed out.
        for batch in batches.by_ref().flatten() {
            found_any = true;
            offset = offset.max(batch.next_offset());
            epoch = batch.leader_epoch;
        }
        let cut_bytes = i32::try_from(batches.cut_bytes()).unwrap_or(i32::MAX);
        if !found_any && cut_bytes > 0 {
            // Old brokers cut even the first batch; what is asked for must hold it.
            self.max_bytes = self
                .max_bytes
                .saturating_mul(2)
                .max(cut_bytes)
                .min(most_bytes);
        }
        self.position = Position::At { offset, epoch };
        offset
    }

    /// Goes back to the leader, if `broker` was asked in its place.
    pub(super) fn leave_replica(&mut self, broker: i32) -> bool {
        let was_replica = self.replica.is_some_and(|(replica, _)| replica == broker);
        if was_replica {
            self.replica = None;
        }
        was_replica
    }

    /// Takes in who leads it; true means that this is not settled.
    pub(super) fn learn(&mut self, row: &cluster::Partition) -> bool {
        let epoch = row.leader_epoch.unwrap_or(-1);
        let Some(leader) = row.leader else {
            return true;
        };
        // A broker that is behind tells what was before.
        if epoch < self.leader_epoch {
            return true;
        }
        if self.leader == Some(leader) && self.leader_epoch == epoch {
            return false;
        }
        (self.leader, self.leader_epoch) = (Some(leader), epoch);
        // Whoever was asked does not matter any more; a late answer is not taken.
        self.asked = None;
        self.replica = None;
        self.hold_until = None;
        self.failures = 0;
        false
    }
}
