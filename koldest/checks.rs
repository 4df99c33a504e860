//! The limits of a check, and whether a partition keeps them. Pure.
//!
//! A partition that holds less than `--min-age` is *young* if nothing was ever
//! deleted from it: it holds all that was written to it. Otherwise it is
//! *short*, but for one that may have lost nothing that was younger than the
//! limit: it is empty, or hardly anything is written to it and its settings
//! keep more. Whether that was retention or somebody who deletes, nobody knows.

use tools::units::format_duration_ms;

use crate::partition_state::{Message, PartitionState};

/// What must hold; none is not checked.
#[allow(clippy::struct_field_names)] // A unit is last in every name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `--min-age`.
    pub(crate) min_age_ms: Option<i64>,
    /// `--max-age`.
    pub(crate) max_age_ms: Option<i64>,
    /// `--max-stale`.
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

    /// What is wrong with a partition, and what of it can't be told.
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
            } else if let Some(earliest) = bounds.earliest.filter(is_old) {
                exceeded.push(format!(
                    "keeps messages for more than {}, as at offset {}",
                    shown(limit),
                    earliest.offset
                ));
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
                NewestTime::Unknown => {
                    unknown.push(
                        "how stale it is is not known: the newest is in the future".to_owned(),
                    );
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

/// The time of the newest message that is not dated ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewestTime {
    /// There is no message.
    None,
    /// This, in milliseconds since 1970.
    At(i64),
    /// There are messages, and all that were looked at are dated ahead.
    Unknown,
}

impl NewestTime {
    /// Of the newest message of all, and of those that are not dated ahead.
    pub(crate) fn of(newest: Option<Message>, past: Option<Message>) -> NewestTime {
        match (newest, past.and_then(|past| past.time_ms)) {
            (_, Some(time_ms)) => NewestTime::At(time_ms),
            (
                Some(Message {
                    time_ms: Some(_), ..
                }),
                None,
            ) => NewestTime::Unknown,
            (_, None) => NewestTime::None,
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
mod tests {
    use super::*;
    use crate::forecast::Settings;
    use crate::partition_state::LogBounds;

    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 24 * HOUR_MS;
    const NOW_MS: i64 = 1_795_373_046_123;

    fn partition(log_start: i64, end: i64, oldest: Option<(i64, i64)>) -> PartitionState {
        let oldest = oldest.map(|(offset, age_ms)| Message::new(offset, NOW_MS - age_ms));
        PartitionState {
            topic: "t".to_owned(),
            partition: Some(0),
            leader: Some(1),
            replica_count: 1,
            bounds: Ok(LogBounds {
                log_start,
                end,
                oldest,
                ..LogBounds::default()
            }),
            bytes: Ok(1000),
            settings: Ok(Settings {
                deletes: true,
                compacts: false,
                retention_ms: Some(7 * DAY_MS),
                retention_bytes: None,
                segment_ms: 7 * DAY_MS,
                segment_bytes: 1 << 30,
                check_interval_ms: 300_000,
                delete_delay_ms: 60_000,
                tiered: false,
            }),
            notes: Vec::new(),
        }
    }

    fn held_of(partition: &PartitionState) -> History {
        history(partition, 7 * DAY_MS, NOW_MS)
    }

    #[test]
    fn history_is_enough_or_the_log_is_young_or_it_is_short() {
        assert_eq!(
            held_of(&partition(5, 1000, Some((5, 8 * DAY_MS)))),
            History::Enough
        );
        assert_eq!(
            held_of(&partition(0, 1000, Some((0, DAY_MS)))),
            History::Young
        );
        assert_eq!(held_of(&partition(0, 0, None)), History::Young);
        assert_eq!(
            held_of(&partition(5, 1000, Some((5, DAY_MS)))),
            History::Short
        );
        // Exactly as much is enough.
        assert_eq!(
            held_of(&partition(5, 9, Some((5, 7 * DAY_MS)))),
            History::Enough
        );
    }

    #[test]
    fn whether_a_quiet_or_emptied_log_is_short_is_not_known_if_its_settings_keep_more() {
        // One message a day: the one before the oldest may well be older than a week.
        let quiet = partition(5, 12, Some((5, 7 * DAY_MS - HOUR_MS)));
        assert_eq!(held_of(&quiet), History::Unclear);
        assert_eq!(
            held_of(&partition(5, 6, Some((5, DAY_MS)))),
            History::Unclear
        );
        assert_eq!(held_of(&partition(5, 5, None)), History::Unclear);
        let limits = Limits {
            min_age_ms: Some(7 * DAY_MS),
            ..Limits::default()
        };
        let result = limits.check(&quiet, NewestTime::At(NOW_MS), NOW_MS);
        assert_eq!((result.exceeded.len(), result.unknown.len()), (0, 1));
        let mut small = quiet.clone();
        small.settings.as_mut().expect("known").retention_bytes = Some(1000);
        assert_eq!(held_of(&small), History::Short);
        let mut brief = quiet.clone();
        brief.settings.as_mut().expect("known").retention_ms = Some(DAY_MS);
        assert_eq!(held_of(&brief), History::Short);
        let mut hidden = quiet;
        hidden.settings = Err(tools::kafka::KafkaError::new(29, "hidden"));
        assert_eq!(held_of(&hidden), History::Short);
    }

    #[test]
    fn compaction_takes_messages_and_leaves_the_log_start() {
        let mut compacted = partition(0, 1000, Some((0, DAY_MS)));
        compacted.settings.as_mut().expect("known").compacts = true;
        assert_eq!(held_of(&compacted), History::Young);
        let mut compacted = partition(0, 1000, Some((400, DAY_MS)));
        compacted.settings.as_mut().expect("known").compacts = true;
        assert_eq!(held_of(&compacted), History::Short);
        // All of it, tombstones included, or nobody knows whether it is compacted.
        let mut emptied = partition(0, 1000, None);
        emptied.settings.as_mut().expect("known").compacts = true;
        assert_eq!(held_of(&emptied), History::Unclear);
        compacted.settings = Err(tools::kafka::KafkaError::new(29, "hidden"));
        assert_eq!(held_of(&compacted), History::Unclear);
        // Without compaction, markers of transactions may come first.
        assert_eq!(
            held_of(&partition(0, 1000, Some((400, DAY_MS)))),
            History::Young
        );
    }

    #[test]
    fn every_limit_says_what_exceeds_it() {
        let limits = Limits {
            min_age_ms: Some(7 * DAY_MS),
            max_age_ms: Some(DAY_MS),
            max_stale_ms: Some(HOUR_MS),
        };
        let short = partition(5, 1000, Some((6, 2 * DAY_MS)));
        assert_eq!(
            limits
                .check(&short, NewestTime::At(NOW_MS - 2 * HOUR_MS), NOW_MS)
                .exceeded,
            [
                "holds less than 7d and messages before offset 6 were deleted",
                "keeps messages for more than 1d",
                "no message for more than 1h",
            ]
        );
        let good = partition(0, 9, Some((0, DAY_MS)));
        assert_eq!(
            limits.check(&good, NewestTime::At(NOW_MS - HOUR_MS), NOW_MS),
            CheckResult::default()
        );
        // One that is old lies behind one that is not.
        let mut mixed = good.clone();
        mixed.bounds.as_mut().expect("known").earliest = Some(Message::new(7, NOW_MS - 2 * DAY_MS));
        assert_eq!(
            limits
                .check(&mixed, NewestTime::At(NOW_MS), NOW_MS)
                .exceeded,
            ["keeps messages for more than 1d, as at offset 7"]
        );
        // An empty partition keeps nothing too long, and nothing comes in.
        let empty = partition(0, 0, None);
        assert_eq!(
            limits.check(&empty, NewestTime::None, NOW_MS).exceeded,
            ["no message for more than 1h"]
        );
    }

    #[test]
    fn what_is_dated_ahead_is_judged_by_the_others_or_unknown() {
        let limits = Limits {
            min_age_ms: Some(7 * DAY_MS),
            max_age_ms: Some(30 * DAY_MS),
            max_stale_ms: Some(HOUR_MS),
        };
        let mut ahead = partition(5, 1000, Some((5, -365 * DAY_MS)));
        let result = limits.check(&ahead, NewestTime::Unknown, NOW_MS);
        assert!(result.exceeded.is_empty(), "{result:?}");
        assert_eq!(
            result.unknown,
            [
                "its age is not known: the oldest is in the future",
                "how stale it is is not known: the newest is in the future",
            ]
        );
        let bounds = ahead.bounds.as_mut().expect("known");
        bounds.past.oldest = Some(Message::new(6, NOW_MS - 60 * DAY_MS));
        let result = limits.check(&ahead, NewestTime::At(NOW_MS), NOW_MS);
        assert_eq!(result.exceeded, ["keeps messages for more than 30d"]);
        assert!(result.unknown.is_empty(), "{result:?}");
    }

    #[test]
    fn the_newest_is_the_newest_that_is_not_ahead() {
        let message = Message::new(1, 5);
        assert_eq!(NewestTime::of(None, None), NewestTime::None);
        assert_eq!(
            NewestTime::of(Some(Message::new(2, 9)), Some(message)),
            NewestTime::At(5)
        );
        assert_eq!(NewestTime::of(Some(message), None), NewestTime::Unknown);
        // A message without a time is as good as none.
        assert_eq!(
            NewestTime::of(Some(Message::new(2, -1)), None),
            NewestTime::None
        );
    }
}
