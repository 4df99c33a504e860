//! Rates, sums, and what is said about what is not known.

use super::*;

const NOW_MS: i64 = 1_795_373_046_123;
const HOUR_MS: i64 = 3_600_000;

fn context(what_if: &[WhatIf]) -> Context<'_> {
    Context {
        now_ms: NOW_MS,
        window_ms: HOUR_MS,
        what_if,
    }
}

fn message(offset: i64, age_ms: i64) -> Message {
    Message::new(offset, NOW_MS - age_ms)
}

/// 1000 records of 100 bytes, 720 of them in the last hour.
fn state() -> PartitionState {
    PartitionState {
        topic: "orders".to_owned(),
        partition: Some(3),
        leader: Some(1),
        replica_count: 2,
        bounds: Ok(LogBounds {
            log_start: 100,
            end: 1100,
            oldest: Some(message(100, 5 * HOUR_MS)),
            newest: Some(message(1099, 500)),
            window_start: Some(380),
            ..LogBounds::default()
        }),
        bytes: Ok(100_000),
        settings: Ok(Settings {
            retention_ms: Some(24 * HOUR_MS),
            retention_bytes: Some(720_000),
            segment_ms: 24 * HOUR_MS,
            segment_bytes: 36_000,
            ..Settings::defaults()
        }),
        notes: Vec::new(),
    }
}

#[test]
fn what_claims_to_be_from_the_future_has_no_age() {
    let mut state = state();
    let bounds = state.bounds.as_mut().expect("an extent");
    bounds.oldest = Some(message(100, -HOUR_MS));
    bounds.newest = Some(message(1099, -2 * HOUR_MS));
    let row = Row::new(&state, context(&[]));
    assert_eq!((row.age_ms(NOW_MS), row.stale_ms(NOW_MS)), (None, None));
    for expected in [
        "age not known: the oldest is 1h in the future",
        "the newest is 2h in the future",
        "rate not known: all messages have a future timestamp",
    ] {
        assert!(
            row.notes.iter().any(|note| note == expected),
            "{:?}",
            row.notes
        );
    }
    // A message without a future timestamp says how stale it is, how fast it grows and when retention takes it.
    let bounds = state.bounds.as_mut().expect("an extent");
    bounds.past = PastMessages {
        oldest: Some(message(101, 5 * HOUR_MS)),
        newest: Some(message(1098, 600)),
    };
    state.settings.as_mut().expect("known").retention_bytes = None;
    let row = Row::new(&state, context(&[]));
    assert_eq!(
        (row.age_ms(NOW_MS), row.stale_ms(NOW_MS)),
        (None, Some(600))
    );
    assert_eq!(row.rate_records, Some(0.2));
    let full_in_ms = row.forecast.expect("settings are known").full_in_ms;
    assert_eq!(full_in_ms, Some(19 * HOUR_MS));
}

#[test]
fn a_row_says_how_old_how_fast_and_how_long() {
    let row = Row::new(&state(), context(&[]));
    assert_eq!(row.age_ms(NOW_MS), Some(5 * HOUR_MS));
    assert_eq!(row.stale_ms(NOW_MS), Some(500));
    assert_eq!(row.records, Some(1000));
    assert_eq!(row.rate_records, Some(0.2));
    assert_eq!(row.rate_bytes, Some(20.0));
    // 720,000 bytes are 10 h at 20 bytes a second; a segment fills in half an hour.
    let forecast = row.forecast.expect("settings are known");
    assert_eq!(forecast.limited_by, Some(LimitedBy::Size));
    assert_eq!(forecast.keeps_min_ms, Some(10 * HOUR_MS));
    assert_eq!(
        forecast.keeps_max_ms,
        Some(10 * HOUR_MS + HOUR_MS / 2 + 300_000)
    );
    assert!(row.notes.is_empty(), "{:?}", row.notes);
}

#[test]
fn other_settings_and_another_rate_change_the_forecast_and_the_row() {
    let what_if = ["rate=x2".parse(), "retention.bytes=-1".parse()].map(|c| c.expect("a change"));
    let row = Row::new(&state(), context(&what_if));
    assert_eq!(row.rate_bytes, Some(40.0));
    assert_eq!(row.settings.expect("known").retention_bytes, None);
    assert_eq!(
        row.forecast.expect("known").limited_by,
        Some(LimitedBy::Time)
    );
}

#[test]
fn the_rate_of_a_young_log_is_that_of_its_life() {
    let mut young = state();
    young.bounds = Ok(LogBounds {
        end: 61,
        oldest: Some(message(0, 600_000)),
        newest: Some(message(60, 0)),
        window_start: Some(0),
        ..LogBounds::default()
    });
    let row = Row::new(&young, context(&[]));
    assert_eq!(row.rate_records, Some(0.1));
    assert_eq!(row.notes, ["rate of 10m only"]);
    // One message says nothing of a rate but that there is no second one.
    let mut one = young.clone();
    one.bounds.as_mut().expect("known").end = 1;
    assert_eq!(Row::new(&one, context(&[])).rate_records, Some(0.0));
    let mut ahead = young;
    ahead.bounds.as_mut().expect("known").oldest = Some(message(0, -60_000));
    assert_eq!(Row::new(&ahead, context(&[])).rate_records, None);
}

#[test]
fn what_is_not_known_is_told() {
    let mut hidden = state();
    hidden.bytes = Err(KafkaError::new(31, "Broker: Cluster authorization failed"));
    let row = Row::new(&hidden, context(&[]));
    assert_eq!((row.bytes, row.rate_bytes), (None, None));
    assert_eq!(
        row.notes,
        [
            "bytes not known: Cluster authorization failed",
            "retention.bytes may bind: its rate is not known"
        ]
    );
    let mut gone = state();
    gone.bounds = Err(KafkaError::new(5, "Broker: Leader not available"));
    let row = Row::new(&gone, context(&[]));
    assert_eq!(row.failure.as_deref(), Some("Leader not available"));
    assert_eq!(row.records, None);
    let mut empty = state();
    empty.bounds = Ok(LogBounds {
        log_start: 7,
        end: 7,
        window_start: Some(7),
        ..LogBounds::default()
    });
    let row = Row::new(&empty, context(&[]));
    assert_eq!(row.notes, ["empty: all was deleted"]);
    assert_eq!((row.records, row.rate_bytes), (Some(0), Some(0.0)));
}

#[test]
fn a_topic_has_the_sums_of_its_partitions_or_says_that_one_is_missing() {
    let one = Row::new(&state(), context(&[]));
    let mut other = state();
    other.partition = Some(4);
    other.bounds.as_mut().expect("known").oldest = Some(message(100, 9 * HOUR_MS));
    let other = Row::new(&other, context(&[]));
    let sum = Row::sum(&[one.clone(), other.clone()]);
    assert_eq!(sum.age_ms(NOW_MS), Some(9 * HOUR_MS));
    assert_eq!((sum.records, sum.bytes), (Some(2000), Some(200_000)));
    assert_eq!(sum.rate_bytes, Some(40.0));
    assert_eq!(
        sum.forecast.expect("known").keeps_min_ms,
        Some(10 * HOUR_MS)
    );
    assert_eq!(sum.partition_count, 2);
    // The one that is not known may be the first to be full.
    let mut hidden = state();
    hidden.bytes = Err(KafkaError::new(31, "Broker: Cluster authorization failed"));
    let sum = Row::sum(&[one.clone(), Row::new(&hidden, context(&[]))]);
    let forecast = sum.forecast.expect("settings are known");
    assert_eq!((forecast.limited_by, forecast.full_in_ms), (None, None));
    let mut gone = state();
    gone.bounds = Err(KafkaError::new(5, "Broker: Leader not available"));
    let sum = Row::sum(&[one, other, Row::new(&gone, context(&[]))]);
    assert_eq!((sum.records, sum.bytes, sum.forecast), (None, None, None));
    assert_eq!(
        sum.failure.as_deref(),
        Some("1 of 3 partitions: Leader not available")
    );
}
