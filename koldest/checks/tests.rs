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
        settings: Ok(Settings::defaults()),
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
    // All of it, tombstones included, or it is not known whether it is compacted.
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
    mixed.bounds.as_mut().expect("known").earliest =
        Earliest::Read(Some(Message::new(7, NOW_MS - 2 * DAY_MS)));
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
fn a_future_timestamp_is_judged_by_the_others_or_unknown() {
    let limits = Limits {
        min_age_ms: Some(7 * DAY_MS),
        max_age_ms: Some(30 * DAY_MS),
        max_stale_ms: Some(HOUR_MS),
    };
    let mut ahead = partition(5, 1000, Some((5, -365 * DAY_MS)));
    let result = limits.check(&ahead, NewestTime::Future, NOW_MS);
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
    assert_eq!(NewestTime::of(Some(message), None), NewestTime::Future);
    assert_eq!(
        NewestTime::of(Some(Message::new(2, -1)), None),
        NewestTime::Timeless
    );
}
