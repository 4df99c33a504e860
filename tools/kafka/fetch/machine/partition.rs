//! One partition: where to read on, and whom to ask for it.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use crate::kafka::batch::{Batch, BatchError, Batches};
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
    /// A replica that failed, not to be asked until then.
    pub(super) avoided: Option<(i32, Instant)>,
    /// Where a damaged batch was asked for again, together with what follows it.
    pub(super) asked_more_at: Option<i64>,
    /// The log was truncated: its bound may not be there any more.
    pub(super) was_cut: bool,
    /// Since when the brokers tell an epoch before the one that was read.
    pub(super) older_since: Option<Instant>,
    /// Since when nothing has come, and whether that was reported.
    pub(super) silent_since: Option<Instant>,
    pub(super) is_silence_said: bool,
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

/// What of an answer is checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checks {
    pub(super) crcs: bool,
    /// The most bytes of an answer.
    pub(super) most_bytes: i32,
}

/// A batch that is not what was written.
#[derive(Debug)]
pub(in crate::kafka::fetch) struct Damage {
    /// The first offset that can't be read.
    pub(in crate::kafka::fetch) offset: i64,
    pub(in crate::kafka::fetch) error: BatchError,
    /// Whether it is known where the next batch begins.
    pub(in crate::kafka::fetch) is_passable: bool,
}

/// Sound batches, and the damaged one that ends them.
#[derive(Debug)]
pub(in crate::kafka::fetch) struct Stretch {
    /// Where in the answer they are.
    pub(in crate::kafka::fetch) records: Range<usize>,
    /// Where reading goes on.
    pub(in crate::kafka::fetch) next: i64,
    pub(in crate::kafka::fetch) damage: Option<Damage>,
}

impl Stretch {
    pub(in crate::kafka::fetch) fn sound(records: Range<usize>, next: i64) -> Stretch {
        Stretch {
            records,
            next,
            damage: None,
        }
    }
}

/// What is wrong with a batch that is read at `offset`, of a log that ends at `high`; the checksum does not cover its base offset.
fn fault(
    batch: &Batch<'_>,
    offset: i64,
    high: i64,
    following: Option<i64>,
    checks: Checks,
) -> Option<BatchError> {
    if checks.crcs
        && let Err(error) = batch.check()
    {
        return Some(error);
    }
    let next = batch.next_offset();
    let is_behind_log = high >= 0 && next > high;
    let overlaps = following.is_some_and(|following| following < next && following > offset);
    (is_behind_log || overlaps).then_some(BatchError::Record {
        index: 0,
        problem: "the offsets of the batch do not fit the log",
    })
}

/// Where a damaged batch ends, if its fields agree about that: the records of a batch are numbered without gaps.
fn agreed_next(batch: &Batch<'_>, offset: i64, high: i64) -> Option<i64> {
    let next = batch.next_offset();
    let is_in_log = next > offset && (high < 0 || next <= high);
    (batch.base_offset <= offset && batch.is_dense() && is_in_log).then_some(next)
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
        if self.avoided.is_some_and(|(_, until)| now >= until) {
            self.avoided = None;
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

    /// Moves the position behind the batches that came, and gives them in stretches: a damaged batch ends one.
    pub(super) fn go_on(
        &mut self,
        body: &[u8],
        records: Range<usize>,
        high: i64,
        checks: Checks,
    ) -> VecDeque<Stretch> {
        let Position::At {
            mut offset,
            mut epoch,
        } = self.position
        else {
            return VecDeque::new();
        };
        let mut stretches = VecDeque::new();
        let mut batches = Batches::new(&body[records.clone()]);
        let (mut start, mut at) = (records.start, records.start);
        let mut found_any = false;
        // What is wrong with a head that can't be parsed is told when it is handed out.
        while let Some(Ok(batch)) = batches.next() {
            found_any = true;
            let behind = records.end - batches.rest().len();
            let size = behind - at;
            let following = batches.clone().next().and_then(Result::ok);
            let following = following.map(|batch| batch.base_offset);
            let Some(error) = fault(&batch, offset, high, following, checks) else {
                (offset, epoch) = (offset.max(batch.next_offset()), batch.leader_epoch);
                at = behind;
                continue;
            };
            // Nothing of a damaged batch is believed: what follows it says where to go on.
            let next = following.filter(|&next| next > offset && (high < 0 || next < high));
            let next = next.or_else(|| agreed_next(&batch, offset, high));
            if next.is_none() && self.asks_for_more(offset, size, checks.most_bytes) {
                stretches.push_back(Stretch::sound(start..at, offset));
                self.position = Position::At { offset, epoch };
                return stretches;
            }
            let damage = Damage {
                offset,
                error,
                is_passable: next.is_some(),
            };
            offset = next.unwrap_or(offset);
            stretches.push_back(Stretch {
                records: start..at,
                next: offset,
                damage: Some(damage),
            });
            (start, at) = (behind, behind);
        }
        let cut_bytes = i32::try_from(batches.cut_bytes()).unwrap_or(i32::MAX);
        if !found_any && cut_bytes > 0 {
            // Old brokers cut even the first batch; what is asked for must hold it.
            self.raise_max_bytes(cut_bytes, checks.most_bytes);
        }
        self.position = Position::At { offset, epoch };
        stretches.push_back(Stretch::sound(start..records.end, offset));
        stretches
    }

    fn raise_max_bytes(&mut self, least: i32, most: i32) {
        self.max_bytes = self.max_bytes.saturating_mul(2).max(least).min(most);
    }

    /// Whether it helps to ask once more, with room for what follows a damaged batch.
    fn asks_for_more(&mut self, offset: i64, size: usize, most: i32) -> bool {
        if self.asked_more_at == Some(offset) || self.max_bytes >= most {
            return false;
        }
        self.asked_more_at = Some(offset);
        let least = i32::try_from(size).unwrap_or(i32::MAX).saturating_mul(2);
        self.raise_max_bytes(least, most);
        true
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
    pub(super) fn learn(&mut self, row: &cluster::Partition, now: Instant) -> bool {
        let epoch = row.leader_epoch.unwrap_or(-1);
        let Some(leader) = row.leader else {
            return true;
        };
        // A broker that is behind tells what was before.
        if epoch < self.leader_epoch {
            self.older_since.get_or_insert(now);
            return true;
        }
        self.older_since = None;
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
