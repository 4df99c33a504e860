//! How far a group is behind in one partition: a pure function of what the cluster answered.
//!
//! The rules, in the order in which they decide:
//!
//! 1. No answer from the partition's leader: nothing is known.
//! 2. Nothing was ever committed: where the group begins is its reader's
//!    `auto.offset.reset`, so the lag is unknown, and all that is kept is its upper bound;
//!    where there is no record, it is 0.
//! 3. Committed beyond the end: the topic was recreated or truncated, so the lag is unknown.
//! 4. What was deleted before it was read is lost, and reading goes on at the log start.
//! 5. A reader of committed records gets no further than the last stable offset; the
//!    rest is blocked. A commit above that offset shows a reader that does not wait.
//! 6. What is behind are records: where the first one not yet read is known, control
//!    records, aborted ones and what compaction took are not counted before it.

use std::fmt;

use crate::rates::Rate;
use tools::units::{age_ms, count, format_duration_ms, is_in_future};

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) start: i64,
    /// The high watermark: one past the last record that every in-sync replica has.
    pub(crate) end: i64,
    /// The last stable offset: no record of an open transaction is below.
    pub(crate) stable: i64,
}

/// What the group's readers wait for (`isolation.level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReaderIsolation {
    /// Not said: taken to wait for transactions unless its commits show that it does not.
    Presumed,
    Committed,
    Uncommitted,
}

/// The first record not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    NotAsked,
    /// Here, and of this time (milliseconds since 1970, where the record has one).
    At {
        offset: i64,
        timestamp_ms: Option<i64>,
    },
    /// There is none that may be read; the time is that of the first one held back, where there is one.
    Nothing {
        blocked_ms: Option<i64>,
    },
    /// It could not be found out, for this reason.
    Failed(String),
}

/// How far behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the columns are called so")]
pub(crate) struct Lag {
    pub(crate) lag: Option<i64>,
    pub(crate) lost: Option<i64>,
    pub(crate) blocked: Option<i64>,
    /// The age of the first message not yet read, milliseconds.
    pub(crate) time_lag_ms: Option<i64>,
    pub(crate) notes: Vec<LagNote>,
}

/// Why something is unknown or not what it seems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LagNote {
    /// A question about it was not answered.
    Unanswered(String),
    /// The question for the time of its records was not answered.
    TimeUnanswered(String),
    /// It was answered that there is nothing to know.
    Gone(String),
    /// Nothing committed; the lag is at most this.
    NeverCommitted {
        at_most: i64,
    },
    /// Nothing committed, and all records were deleted: nobody knows whether they were read.
    NeverRead,
    /// The committed offset lies behind the end.
    BeyondEnd {
        committed: i64,
        end: i64,
    },
    Lost(i64),
    /// Held back by open transactions, the oldest of which has been open for this time.
    Blocked {
        messages: i64,
        age_ms: Option<i64>,
    },
    Timeless,
    /// The first unread record has a future timestamp.
    Future {
        by_ms: i64,
    },
    /// Partitions of a total whose lag is not known.
    UnknownPartitions(u32),
    /// Partitions of a total whose lag is known and its time is not.
    UnknownTimes(u32),
    /// Why a rate is not known.
    UnknownRate(Rate, String),
    /// Partitions of a total of which that is not known.
    UnknownRates(Rate, u32),
    /// All records were deleted, and with them when the last one was written.
    NewestDeleted,
    Over(String),
}

impl LagNote {
    /// What was asked and not answered, where that is what it says.
    pub(crate) fn unanswered(&self) -> Option<String> {
        match self {
            LagNote::Unanswered(reason) => Some(reason.clone()),
            LagNote::TimeUnanswered(_) => Some(self.to_string()),
            _ => None,
        }
    }
}

impl fmt::Display for LagNote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions = |n: u32| count(n.into(), "partition");
        match self {
            LagNote::Unanswered(reason) | LagNote::Gone(reason) | LagNote::Over(reason) => {
                out.write_str(reason)
            }
            LagNote::TimeUnanswered(reason) => write!(out, "time unknown: {reason}"),
            LagNote::NeverCommitted { at_most } => {
                write!(out, "never committed, at most {at_most} behind")
            }
            LagNote::NeverRead => {
                out.write_str("never committed, and what was deleted may not have been read")
            }
            LagNote::BeyondEnd { committed, end } => {
                write!(out, "committed {committed} is beyond the end {end}")
            }
            LagNote::Lost(messages) => write!(out, "{messages} deleted before they were read"),
            LagNote::Blocked { messages, age_ms } => {
                write!(out, "{messages} blocked by an open transaction")?;
                match age_ms {
                    Some(age_ms) => write!(out, " for {}", format_duration_ms(*age_ms)),
                    None => Ok(()),
                }
            }
            LagNote::Timeless => out.write_str("the first unread record has no time"),
            LagNote::Future { by_ms } => write!(
                out,
                "the first unread record is {} in the future",
                format_duration_ms(*by_ms)
            ),
            LagNote::UnknownPartitions(n) => write!(out, "{} unknown", partitions(*n)),
            LagNote::UnknownTimes(n) => write!(out, "time lag of {} unknown", partitions(*n)),
            LagNote::UnknownRate(rate, reason) => {
                write!(out, "{} rate unknown: {reason}", rate.name())
            }
            LagNote::UnknownRates(rate, n) => {
                write!(out, "{} rate of {} unknown", rate.name(), partitions(*n))
            }
            LagNote::NewestDeleted => {
                out.write_str("when something was last produced is unknown: all was deleted")
            }
        }
    }
}

/// One past the last record that this reader gets.
pub(crate) fn reader_end(log: Log, committed: i64, reader: ReaderIsolation) -> i64 {
    let waits = match reader {
        ReaderIsolation::Uncommitted => false,
        ReaderIsolation::Committed => true,
        ReaderIsolation::Presumed => committed <= log.stable,
    };
    if waits { log.stable } else { log.end }
}

/// How far behind a commit is, as the rules above have it; `now_ms` is the time of the answers.
pub(crate) fn lag(
    committed: Option<i64>,
    log: Log,
    reader: ReaderIsolation,
    unread: &Unread,
    now_ms: i64,
) -> Lag {
    let Some(committed) = committed else {
        let at_most = (log.end - log.start).max(0);
        if at_most == 0 {
            return never_written(log, unread);
        }
        return Lag {
            notes: vec![LagNote::NeverCommitted { at_most }],
            ..Lag::default()
        };
    };
    if committed > log.end {
        let end = log.end;
        return Lag {
            notes: vec![LagNote::BeyondEnd { committed, end }],
            ..Lag::default()
        };
    }
    let from = committed.max(log.start);
    let lost = from - committed;
    let end = reader_end(log, committed, reader);
    let blocked = if end == log.end {
        0
    } else {
        log.end - from.max(end)
    };
    let offsets = (end - from).max(0);
    let lag = match unread {
        Unread::At { offset, .. } => (end - (*offset).max(from)).clamp(0, offsets),
        Unread::Nothing { .. } => 0,
        Unread::NotAsked | Unread::Failed(_) => offsets,
    };
    let mut notes = Vec::new();
    if lost > 0 {
        notes.push(LagNote::Lost(lost));
    }
    let time_lag_ms = age_of(unread, offsets + blocked, now_ms, &mut notes);
    if blocked > 0 {
        let age_ms = match unread {
            Unread::Nothing { blocked_ms } => blocked_ms.and_then(|ms| age_ms(ms, now_ms)),
            _ => None,
        };
        let messages = blocked;
        notes.push(LagNote::Blocked { messages, age_ms });
    }
    Lag {
        lag: Some(lag),
        lost: Some(lost),
        blocked: Some(blocked),
        time_lag_ms,
        notes,
    }
}

/// Nothing was committed, and there is nothing to read.
fn never_written(log: Log, unread: &Unread) -> Lag {
    let was_deleted = log.start > 0;
    Lag {
        lag: Some(0),
        lost: (!was_deleted).then_some(0),
        blocked: Some(0),
        time_lag_ms: (*unread != Unread::NotAsked).then_some(0),
        notes: was_deleted
            .then_some(LagNote::NeverRead)
            .into_iter()
            .collect(),
    }
}

/// How far a share group is behind: the broker counts, because records are acknowledged one by one.
///
/// `first` is the first record not yet dealt with, `counted` what the broker says is still to be delivered;
/// it says neither of a partition that was never read, nor the second before version 1 of its answer.
pub(crate) fn share_lag(
    first: Option<i64>,
    counted: Option<i64>,
    log: Log,
    unread: &Unread,
    now_ms: i64,
) -> Lag {
    let Some(first) = first else {
        return lag(None, log, ReaderIsolation::Presumed, unread, now_ms);
    };
    let Some(counted) = counted else {
        let reason = "the broker does not report a share group's lag".to_owned();
        return Lag {
            notes: vec![LagNote::Gone(reason)],
            ..Lag::default()
        };
    };
    let mut notes = Vec::new();
    let lost = (log.start - first).max(0);
    if lost > 0 {
        notes.push(LagNote::Lost(lost));
    }
    let time_lag_ms = age_of(unread, counted, now_ms, &mut notes);
    Lag {
        lag: Some(counted),
        lost: Some(lost),
        blocked: Some(0),
        time_lag_ms,
        notes,
    }
}

/// All was read, and nothing is held back.
const NONE_LEFT: Unread = Unread::Nothing { blocked_ms: None };

/// The age of the first unread record, where `behind` messages are.
fn age_of(unread: &Unread, behind: i64, now_ms: i64, notes: &mut Vec<LagNote>) -> Option<i64> {
    let timestamp_ms = match unread {
        Unread::NotAsked => return None,
        unread if behind == 0 || *unread == NONE_LEFT => return Some(0),
        Unread::At { timestamp_ms, .. }
        | Unread::Nothing {
            blocked_ms: timestamp_ms,
        } => *timestamp_ms,
        Unread::Failed(reason) => {
            notes.push(LagNote::TimeUnanswered(reason.clone()));
            return None;
        }
    };
    let Some(timestamp_ms) = timestamp_ms else {
        notes.push(LagNote::Timeless);
        return None;
    };
    if is_in_future(timestamp_ms, now_ms) {
        let by_ms = timestamp_ms.saturating_sub(now_ms);
        notes.push(LagNote::Future { by_ms });
    }
    age_ms(timestamp_ms, now_ms)
}

#[cfg(test)]
mod tests;
