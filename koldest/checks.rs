//! The limits of a check, and whether a partition keeps them. Pure.
//!
//! A partition that holds less than `--min-age` is *young* if nothing was ever
//! deleted from it: it holds all that was written to it. Otherwise it is
//! *short*, but for one that may have lost nothing that was younger than the
//! limit: it is empty, or hardly anything is written to it and its settings
//! keep more. Whether retention deleted its messages or a user is not known.

use tools::units::format_duration_ms;

use crate::partition_state::{Earliest, Message, PartitionState};

/// What must hold; none is not checked.
#[allow(clippy::struct_field_names)] // A unit is last in every name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) min_age_ms: Option<i64>,
    pub(crate) max_age_ms: Option<i64>,
    pub(crate) max_stale_ms: Option<i64>,
}

/// Fewer messages than this may be missing by chance.
const FEW_MESSAGES: f64 = 3.0;

/// How much history there is, beside how much there should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    /// As much as there should be.
    Enough,
    /// Less, because nothing older was ever written.
    Young,
    /// Less, and older messages were deleted.
    Short,
    /// Less, and what was deleted may have been older than that.
    Unclear,
    /// Nobody knows.
    Unknown,
}

impl Limits {
    /// Whether anything is to be checked.
    pub(crate) fn are_any(&self) -> bool {
        *self != Limits::default()
    }

    /// What is wrong with a partition, and what is not known of it.
    ///
    /// `newest` is the newest message that counts: a topic's, where it is judged as a whole.
    pub(crate) fn check(
        &self,
        partition: &PartitionState,
        newest: NewestTime,
        now_ms: i64,
    ) -> CheckResult {
        let (mut exceeded, mut unknown) = (Vec::new(), Vec::new());
        let Ok(bounds) = &partition.bounds else {
            return CheckResult::default();
        };
        let needs_age = self.min_age_ms.is_some() || self.max_age_ms.is_some();
        let oldest = bounds.oldest_past(now_ms);
        if needs_age && bounds.oldest.is_some() {
            match oldest {
                None => {
                    unknown.push("its age is not known: the oldest is in the future".to_owned());
                }
                Some(oldest) if oldest.time_ms.is_none() => {
                    unknown.push("its age is not known: the oldest message has no time".to_owned());
                }
                Some(_) => {}
            }
        }
        let shown = |ms: i64| format_duration_ms(ms);
        if let Some(limit) = self.min_age_ms {
            let holds_less = format!(
                "holds less than {} and messages before offset {} were deleted",
                shown(limit),
                bounds.oldest.map_or(bounds.end, |oldest| oldest.offset)
            );
            match history(partition, limit, now_ms) {
                History::Short => exceeded.push(holds_less),
                History::Unclear => {
                    unknown.push(format!("{holds_less}; they may have been older than that"));
                }
                History::Enough | History::Young | History::Unknown => {}
            }
        }
        if let Some(limit) = self.max_age_ms {
            let is_old = |message: &Message| message.age_ms(now_ms) > Some(limit);
            if oldest.is_some_and(|oldest| is_old(&oldest)) {
                exceeded.push(format!("keeps messages for more than {}", shown(limit)));
            } else {
                match &bounds.earliest {
                    Earliest::Read(Some(earliest)) if is_old(earliest) => exceeded.push(format!(
                        "keeps messages for more than {}, as at offset {}",
                        shown(limit),
                        earliest.offset
                    )),
                    Earliest::TooLong => unknown.push(
                        "whether older messages follow the first is unknown: too much to read"
                            .to_owned(),
                    ),
                    // What was not seen is said of its row.
                    Earliest::NotAsked | Earliest::Read(_) | Earliest::Failed(_) => {}
                }
            }
        }
        if let Some(limit) = self.max_stale_ms {
            let stale = || format!("no message for more than {}", shown(limit));
            match newest {
                NewestTime::None => exceeded.push(stale()),
                NewestTime::At(time) if now_ms.saturating_sub(time) > limit => {
                    exceeded.push(stale());
                }
                NewestTime::At(_) => {}
                NewestTime::Future => {
                    unknown.push(
                        "how stale it is is not known: the newest is in the future".to_owned(),
                    );
                }
                NewestTime::Timeless => {
                    unknown.push("how stale it is is not known: messages have no time".to_owned());
                }
            }
        }
        CheckResult { exceeded, unknown }
    }
}

/// What a check says of a partition or a topic, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckResult {
    /// The limits that it exceeds.
    pub(crate) exceeded: Vec<String>,
    /// The limits of which nobody can tell.
    pub(crate) unknown: Vec<String>,
}

/// The time of the newest message without a future timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewestTime {
    /// There is no message.
    None,
    /// This, in milliseconds since 1970.
    At(i64),
    /// There are messages, and all that were looked at have a future timestamp.
    Future,
    /// There are messages, and they have no time.
    Timeless,
}

impl NewestTime {
    /// Of the newest message of all, and of those without a future timestamp.
    pub(crate) fn of(newest: Option<Message>, past: Option<Message>) -> NewestTime {
        match (newest, past.and_then(|past| past.time_ms)) {
            (_, Some(time_ms)) => NewestTime::At(time_ms),
            (None, None) => NewestTime::None,
            (Some(newest), None) if newest.time_ms.is_none() => NewestTime::Timeless,
            (Some(_), None) => NewestTime::Future,
        }
    }
}

/// Whether a partition holds `min_age_ms` of history, and if not, whether it should.
pub(crate) fn history(partition: &PartitionState, min_age_ms: i64, now_ms: i64) -> History {
    let Ok(bounds) = &partition.bounds else {
        return History::Unknown;
    };
    let oldest = bounds.oldest_past(now_ms);
    let age_ms = match oldest.map(|oldest| oldest.age_ms(now_ms)) {
        Some(Some(age_ms)) => age_ms,
        Some(None) => return History::Unknown,
        None if bounds.oldest.is_some() => return History::Unknown,
        None => 0,
    };
    if age_ms >= min_age_ms {
        return History::Enough;
    }
    // Compaction takes messages and leaves the log start where it is.
    let may_compact = (partition.settings.as_ref()).is_ok_and(|settings| settings.compacts);
    let may_compact = may_compact || partition.settings.is_err();
    let first_offset = match bounds.oldest {
        _ if !may_compact => bounds.log_start,
        Some(oldest) => oldest.offset,
        None => bounds.end,
    };
    if first_offset == 0 {
        return History::Young;
    }
    let is_uncertain =
        bounds.oldest.is_none() || bounds.log_start == 0 && partition.settings.is_err();
    let newer_messages = (bounds.end - bounds.log_start - 1).max(0) as f64;
    let rate = if age_ms > 0 {
        newer_messages / age_ms as f64
    } else {
        newer_messages
    };
    let expected = rate * (min_age_ms - age_ms) as f64;
    if is_uncertain || expected < FEW_MESSAGES && would_keep(partition, min_age_ms) {
        return History::Unclear;
    }
    History::Short
}

/// Whether nothing in the settings could have deleted a message younger than this.
fn would_keep(partition: &PartitionState, min_age_ms: i64) -> bool {
    let Ok(settings) = &partition.settings else {
        return false;
    };
    let by_time = !settings.deletes
        || settings
            .retention_ms
            .is_none_or(|limit| limit >= min_age_ms);
    // A log that is cut by size stays above its limit.
    let by_size = match settings.retention_bytes.filter(|_| settings.deletes) {
        None => true,
        Some(limit) => partition.bytes.as_ref().is_ok_and(|bytes| *bytes < limit),
    };
    by_time && by_size && !settings.compacts
}

#[cfg(test)]
mod tests;
