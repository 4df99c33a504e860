//! The cases in which lag is often wrong, as literals, and what holds for every answer.

use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_000_000_000;
const HOUR_MS: i64 = 3_600_000;

fn log(start: i64, stable: i64, end: i64) -> Log {
    Log { start, end, stable }
}

fn unread(offset: i64, age_ms: i64) -> Unread {
    Unread::At {
        offset,
        timestamp_ms: Some(NOW_MS - age_ms),
    }
}

/// lag, lost, blocked, `time_lag_ms` and the notes.
fn values_of(lag: &Lag) -> (Option<i64>, Option<i64>, Option<i64>, Option<i64>, String) {
    let notes: Vec<String> = lag.notes.iter().map(ToString::to_string).collect();
    let numbers = (lag.lag, lag.lost, lag.blocked, lag.time_lag_ms);
    (numbers.0, numbers.1, numbers.2, numbers.3, notes.join("; "))
}

fn of(
    committed: impl Into<Option<i64>>,
    log: Log,
    unread: &Unread,
) -> (Option<i64>, Option<i64>, Option<i64>, Option<i64>, String) {
    let found = lag(
        committed.into(),
        log,
        ReaderIsolation::Presumed,
        unread,
        NOW_MS,
    );
    values_of(&found)
}

fn known(
    lag: i64,
    lost: i64,
    blocked: i64,
    time_lag_ms: impl Into<Option<i64>>,
    notes: &str,
) -> (Option<i64>, Option<i64>, Option<i64>, Option<i64>, String) {
    (
        Some(lag),
        Some(lost),
        Some(blocked),
        time_lag_ms.into(),
        notes.to_owned(),
    )
}

#[test]
fn a_commit_below_the_log_start_has_lost_what_was_deleted() {
    assert_eq!(
        of(10, log(500, 1000, 1000), &Unread::NotAsked),
        known(500, 490, 0, None, "490 deleted before they were read"),
    );
    assert_eq!(
        of(10, log(500, 1000, 1000), &unread(500, HOUR_MS)),
        known(500, 490, 0, HOUR_MS, "490 deleted before they were read"),
    );
}

#[test]
fn a_log_that_was_deleted_whole_leaves_no_lag() {
    let note = "60 deleted before they were read";
    for unread in [
        Unread::NotAsked,
        Unread::Nothing { blocked_ms: None },
        Unread::Failed("refused".to_owned()),
    ] {
        let time_lag_ms = (unread != Unread::NotAsked).then_some(0);
        assert_eq!(
            of(40, log(100, 100, 100), &unread),
            known(0, 60, 0, time_lag_ms, note),
        );
    }
}

#[test]
fn what_compaction_took_is_not_behind() {
    assert_eq!(
        of(100, log(0, 5010, 5010), &unread(4990, 5)),
        known(20, 0, 0, 5, "")
    );
    // Without a look into the log only the offsets are known, which is an upper bound.
    assert_eq!(
        of(100, log(0, 5010, 5010), &Unread::NotAsked),
        known(4910, 0, 0, None, "")
    );
}

#[test]
fn a_topic_made_anew_is_no_negative_lag() {
    let note = "committed 1000 is beyond the end 10".to_owned();
    assert_eq!(
        of(1000, log(0, 10, 10), &Unread::NotAsked),
        (None, None, None, None, note)
    );
}

#[test]
fn a_partition_without_a_commit_is_unknown_with_its_upper_bound() {
    let note = "never committed, at most 100 behind".to_owned();
    assert_eq!(
        of(None, log(0, 100, 100), &Unread::NotAsked),
        (None, None, None, None, note.clone())
    );
    assert_eq!(
        of(None, log(20, 120, 120), &Unread::NotAsked),
        (None, None, None, None, note)
    );
}

#[test]
fn a_partition_without_records_has_no_lag_whatever_was_committed() {
    let nothing = Unread::Nothing { blocked_ms: None };
    assert_eq!(of(None, log(0, 0, 0), &nothing), known(0, 0, 0, 0, ""));
    assert_eq!(
        of(None, log(0, 0, 0), &Unread::NotAsked),
        known(0, 0, 0, None, "")
    );
    // All was deleted; whether somebody had read it nobody knows.
    let note = "never committed, and what was deleted may not have been read".to_owned();
    assert_eq!(
        of(None, log(7, 7, 7), &nothing),
        (Some(0), None, Some(0), Some(0), note)
    );
}

#[test]
fn what_follows_the_last_record_is_not_behind() {
    // 12 transactions of 5 records, the last ones aborted, and each with its mark.
    let nothing = Unread::Nothing { blocked_ms: None };
    assert_eq!(of(72, log(0, 72, 72), &nothing), known(0, 0, 0, 0, ""));
    assert_eq!(of(71, log(0, 72, 72), &nothing), known(0, 0, 0, 0, ""));
    assert_eq!(of(59, log(0, 72, 72), &nothing), known(0, 0, 0, 0, ""));
}

#[test]
fn an_open_transaction_blocks_and_is_no_lag() {
    let waiting = Unread::Nothing {
        blocked_ms: Some(NOW_MS - HOUR_MS),
    };
    assert_eq!(
        of(10, log(0, 10, 111), &waiting),
        known(
            0,
            0,
            101,
            HOUR_MS,
            "101 blocked by an open transaction for 1h"
        )
    );
    assert_eq!(
        of(4, log(0, 10, 111), &unread(4, HOUR_MS)),
        known(6, 0, 101, HOUR_MS, "101 blocked by an open transaction")
    );
}

#[test]
fn a_commit_above_the_last_stable_offset_shows_a_reader_that_does_not_wait() {
    assert_eq!(
        of(50, log(0, 10, 111), &Unread::NotAsked),
        known(61, 0, 0, None, "")
    );
    let of = |reader| {
        let found = lag(Some(5), log(0, 10, 111), reader, &Unread::NotAsked, NOW_MS);
        (found.lag, found.blocked)
    };
    assert_eq!(of(ReaderIsolation::Uncommitted), (Some(106), Some(0)));
    assert_eq!(of(ReaderIsolation::Committed), (Some(5), Some(101)));
    let ahead = lag(
        Some(50),
        log(0, 10, 111),
        ReaderIsolation::Committed,
        &Unread::NotAsked,
        NOW_MS,
    );
    assert_eq!((ahead.lag, ahead.blocked), (Some(0), Some(61)));
}

#[test]
fn an_idle_topic_s_last_record_grows_older() {
    assert_eq!(
        of(9, log(0, 10, 10), &unread(9, HOUR_MS)),
        known(1, 0, 0, HOUR_MS, "")
    );
}

#[test]
fn a_time_that_cannot_be_told_says_why() {
    let timeless = Unread::At {
        offset: 5,
        timestamp_ms: None,
    };
    assert_eq!(
        of(5, log(0, 10, 10), &timeless),
        known(5, 0, 0, None, "the first unread record has no time")
    );
    assert_eq!(
        of(5, log(0, 10, 10), &unread(5, -HOUR_MS)),
        known(5, 0, 0, None, "the first unread record is 1h in the future")
    );
    assert_eq!(
        of(5, log(0, 10, 10), &Unread::Failed("no".to_owned())),
        known(5, 0, 0, None, "time unknown: no")
    );
}

#[test]
fn a_share_group_s_lag_is_the_broker_s() {
    let of = |first, counted, unread: &Unread| {
        values_of(&share_lag(first, counted, log(0, 114, 114), unread, NOW_MS))
    };
    assert_eq!(
        of(Some(0), Some(7), &Unread::NotAsked),
        known(7, 0, 0, None, "")
    );
    assert_eq!(of(Some(0), Some(7), &unread(0, 30)), known(7, 0, 0, 30, ""));
    let never = of(None, None, &Unread::NotAsked);
    assert_eq!(never.0, None);
    assert_eq!(never.4, "never committed, at most 114 behind");
    assert_eq!(of(Some(0), None, &Unread::NotAsked).0, None);
}

proptest! {
    #[test]
    fn no_number_is_negative_and_together_they_reach_the_end(
        start in 0..1000i64, kept in 0..1000i64, held in 0..1000i64, committed in 0..3000i64,
        reader in prop_oneof![Just(ReaderIsolation::Presumed), Just(ReaderIsolation::Committed), Just(ReaderIsolation::Uncommitted)],
    ) {
        let held = held.min(kept);
        let log = log(start, start + kept - held, start + kept);
        let found = lag(Some(committed), log, reader, &Unread::NotAsked, NOW_MS);
        match (found.lag, found.lost, found.blocked) {
            (Some(lag), Some(lost), Some(blocked)) => {
                prop_assert!(lag >= 0 && lost >= 0 && blocked >= 0);
                prop_assert_eq!(committed + lost + lag + blocked, log.end);
            }
            unknown => {
                prop_assert_eq!(unknown, (None, None, None));
                prop_assert!(committed > log.end && !found.notes.is_empty());
            }
        }
    }

    #[test]
    fn a_look_into_the_log_never_adds_lag(
        kept in 1..1000i64, committed in 0..1000i64, skipped in 0..1000i64, age_ms in -3000..1000i64,
    ) {
        let log = log(0, kept, kept);
        let committed = committed.min(kept - 1);
        let offset = (committed + skipped).min(kept - 1);
        let seen = lag(Some(committed), log, ReaderIsolation::Presumed, &unread(offset, age_ms), NOW_MS);
        prop_assert_eq!(seen.lag, Some(kept - offset));
        // Clocks may differ by a second.
        prop_assert_eq!(seen.time_lag_ms, (age_ms >= -1000).then_some(age_ms.max(0)));
    }

    #[test]
    fn what_is_unknown_has_its_reason(
        committed in proptest::option::of(0..2000i64), kept in 0..1000i64,
        unread in prop_oneof![
            Just(Unread::Nothing { blocked_ms: None }),
            Just(Unread::Failed("no".to_owned())),
            Just(Unread::At { offset: 3, timestamp_ms: None }),
        ],
    ) {
        let found = lag(committed, log(0, kept, kept), ReaderIsolation::Presumed, &unread, NOW_MS);
        let is_unknown = found.lag.is_none() || found.time_lag_ms.is_none();
        prop_assert_eq!(is_unknown, !found.notes.is_empty());
    }
}
