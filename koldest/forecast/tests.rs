//! The forecast beside a log that follows the rule.

use proptest::prelude::*;

use super::simulation::{Segment, Simulated};
use super::*;

const DAY_MS: i64 = 86_400_000;

fn at_rate(rate_bytes: f64) -> Log {
    Log {
        rate_bytes: Some(rate_bytes),
        bytes: Some(0),
        age_ms: Some(0),
    }
}

#[test]
fn a_slow_topic_may_hold_a_whole_segment_more_than_its_retention() {
    // The segment is rolled by time: 7 days of retention keep up to 14 days and a check.
    let slow = forecast(&Settings::defaults(), &at_rate(10.0));
    assert_eq!(slow.limited_by, Some(LimitedBy::Time));
    assert_eq!(slow.keeps_min_ms, Some(7 * DAY_MS));
    assert_eq!(slow.keeps_max_ms, Some(14 * DAY_MS + 300_000));
    // A gibibyte a day: the segment is rolled by size.
    let fast = forecast(&Settings::defaults(), &at_rate((1 << 30) as f64 / 86_400.0));
    assert_eq!(fast.keeps_max_ms, Some(8 * DAY_MS + 300_000));
}

#[test]
fn the_smaller_limit_binds() {
    let limited = Settings {
        retention_bytes: Some(86_400_000),
        segment_bytes: 43_200_000,
        ..Settings::defaults()
    };
    let by_size = forecast(&limited, &at_rate(1000.0));
    assert_eq!(by_size.limited_by, Some(LimitedBy::Size));
    assert_eq!(by_size.keeps_min_ms, Some(DAY_MS));
    assert_eq!(by_size.keeps_max_ms, Some(DAY_MS + DAY_MS / 2 + 300_000));
    assert_eq!(by_size.full_in_ms, Some(DAY_MS));
    let by_time = forecast(&limited, &at_rate(100.0));
    assert_eq!(by_time.limited_by, Some(LimitedBy::Time));
    assert_eq!(by_time.keeps_min_ms, Some(7 * DAY_MS));
    let idle = forecast(&limited, &at_rate(0.0));
    assert_eq!(idle.limited_by, Some(LimitedBy::Time));
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let limited = Settings {
        retention_bytes: Some(1 << 30),
        ..Settings::defaults()
    };
    let unknown = forecast(&limited, &Log::default());
    assert_eq!((unknown.limited_by, unknown.keeps_min_ms), (None, None));
    // Whatever the size does, time is a bound from above.
    assert_eq!(unknown.keeps_max_ms, Some(14 * DAY_MS + 300_000));
    let tiered = Settings {
        tiered: true,
        ..limited
    };
    assert_eq!(forecast(&tiered, &at_rate(1e9)).limited_by, None);
    let unlimited = forecast(&Settings::defaults(), &Log::default());
    assert_eq!(unlimited.keeps_min_ms, Some(7 * DAY_MS));
}

#[test]
fn what_is_never_deleted_has_no_limit() {
    let compacted = Settings {
        deletes: false,
        compacts: true,
        ..Settings::defaults()
    };
    let kept = forecast(&compacted, &at_rate(1.0));
    assert_eq!(
        (kept.limited_by, kept.keeps_max_ms),
        (Some(LimitedBy::Compact), None)
    );
    let unlimited = Settings {
        retention_ms: None,
        ..Settings::defaults()
    };
    let kept = forecast(&unlimited, &at_rate(1.0));
    assert_eq!(
        (kept.limited_by, kept.keeps_max_ms),
        (Some(LimitedBy::None), None)
    );
    let neither = Settings {
        deletes: false,
        ..Settings::defaults()
    };
    assert_eq!(
        forecast(&neither, &at_rate(1.0)).limited_by,
        Some(LimitedBy::None)
    );
    let longest = Settings {
        retention_ms: Some(i64::MAX),
        ..Settings::defaults()
    };
    assert_eq!(
        forecast(&longest, &at_rate(1.0)).keeps_max_ms,
        Some(i64::MAX)
    );
}

#[test]
fn a_disk_fills_until_what_fills_it_is_held_back() {
    let growth = |rate_bytes, remaining_bytes| ReplicaGrowth {
        rate_bytes,
        remaining_bytes,
    };
    assert_eq!(disk_full_in_ms(100, &[]), None);
    assert_eq!(disk_full_in_ms(100, &[growth(10.0, None)]), Some(10_000));
    assert_eq!(disk_full_in_ms(100, &[growth(10.0, Some(99.0))]), None);
    let both = [growth(10.0, Some(50.0)), growth(5.0, None)];
    // 75 in the first 5 s, then 5 a second.
    assert_eq!(disk_full_in_ms(100, &both), Some(10_000));
    assert_eq!(disk_full_in_ms(0, &both), Some(0));
}

/// Settings small enough that a log turns over many times in a short run.
fn any_settings() -> impl Strategy<Value = Settings> {
    let time = prop::option::of(1_000..200_000i64);
    let size = prop::option::of(1_000..500_000u64);
    (
        time,
        size,
        1_000..100_000i64,
        2_000..100_000u64,
        100..20_000i64,
    )
        .prop_filter("something limits it", |(time, size, ..)| {
            time.is_some() || size.is_some()
        })
        .prop_map(
            |(retention_ms, retention_bytes, segment_ms, segment_bytes, check_ms)| Settings {
                retention_ms,
                retention_bytes,
                segment_ms,
                segment_bytes,
                check_interval_ms: check_ms,
                ..Settings::defaults()
            },
        )
}

/// A steady producer: the same number of bytes at the same interval.
#[derive(Clone, Copy, Debug)]
struct Producer {
    every_ms: i64,
    batch_bytes: u64,
}

impl Producer {
    fn rate_bytes(self) -> f64 {
        self.batch_bytes as f64 * 1000.0 / self.every_ms as f64
    }
}

fn any_producer() -> impl Strategy<Value = Producer> {
    (10..2_000i64, 10..2_000u64).prop_map(|(every_ms, batch_bytes)| Producer {
        every_ms,
        batch_bytes,
    })
}

/// Runs until `until_ms`, handing every deleted segment with its time, and the log after every check, to `see`.
fn run(
    settings: &Settings,
    producer: Producer,
    until_ms: i64,
    mut see: impl FnMut(i64, &[Segment], &Simulated),
) {
    let mut log = Simulated::new(settings.clone());
    let mut next_check_ms = settings.check_interval_ms;
    let mut now_ms = 0;
    while now_ms < until_ms {
        while next_check_ms < now_ms {
            let gone = log.check(next_check_ms);
            see(next_check_ms, &gone, &log);
            next_check_ms += settings.check_interval_ms;
        }
        log.append(now_ms, producer.batch_bytes);
        now_ms += producer.every_ms;
    }
}

proptest! {
    #[test]
    fn every_message_is_kept_for_as_long_as_was_said(
        settings in any_settings(),
        producer in any_producer(),
    ) {
        let said = forecast(&settings, &at_rate(producer.rate_bytes()));
        let (min_ms, max_ms) = (said.keeps_min_ms.unwrap(), said.keeps_max_ms.unwrap());
        let (mut shortest_ms, mut longest_ms) = (i64::MAX, 0);
        run(&settings, producer, 4 * max_ms, |now_ms, gone, log| {
            for segment in gone {
                shortest_ms = shortest_ms.min(now_ms - segment.largest_ms);
                longest_ms = longest_ms.max(now_ms - segment.first_ms);
            }
            let oldest = log.oldest_ms().unwrap_or(now_ms);
            // A rate knows nothing of the pause between two batches, in which nothing can push a segment out.
            let most_ms = max_ms + producer.every_ms;
            assert!(now_ms - oldest <= most_ms, "{} > {most_ms}", now_ms - oldest);
        });
        prop_assert!(shortest_ms >= min_ms, "{shortest_ms} < {min_ms}");
        prop_assert!(longest_ms <= max_ms + producer.every_ms, "{longest_ms} > {max_ms}");
        // Both ends are reached, but for what a producer of whole batches and a broker that looks now and then leave open.
        let open_ms = settings.check_interval_ms + 2 * producer.every_ms;
        prop_assert!(shortest_ms <= min_ms + open_ms, "{shortest_ms} is far above {min_ms}");
        let is_steady = producer.every_ms < settings.segment_ms && Some(producer.every_ms) < said.keeps_min_ms;
        if is_steady {
            let last_batch_ms = ms_for(producer.batch_bytes, Some(producer.rate_bytes())).unwrap();
            prop_assert!(
                longest_ms >= max_ms - open_ms - last_batch_ms,
                "{longest_ms} is far below {max_ms}"
            );
        }
    }

    #[test]
    fn a_log_is_not_cut_before_it_was_said_to_be_full(
        settings in any_settings(),
        producer in any_producer(),
        looked_after_ms in 0..200_000i64,
    ) {
        // The forecast is made at one moment, of the log as it is then.
        let mut said: Option<(i64, Forecast)> = None;
        let mut first_cut_ms = None;
        let mut was_cut = false;
        let until_ms = looked_after_ms + 1_500_000;
        run(&settings, producer, until_ms, |now_ms, gone, log| {
            if said.is_none() && now_ms >= looked_after_ms && !was_cut {
                let log = Log {
                    rate_bytes: Some(producer.rate_bytes()),
                    bytes: Some(log.bytes()),
                    age_ms: log.oldest_ms().map(|oldest| now_ms - oldest),
                };
                said = Some((now_ms, forecast(&settings, &log)));
            } else if !gone.is_empty() && first_cut_ms.is_none() {
                first_cut_ms = Some(now_ms);
            }
            was_cut |= !gone.is_empty();
        });
        if let (Some((at_ms, said)), Some(cut_ms)) = (said, first_cut_ms.filter(|_| was_cut)) {
            let full_ms = at_ms + said.full_in_ms.unwrap();
            let surplus_ms = settings.surplus_ms(Some(producer.rate_bytes()));
            // A batch is written at once, a rate is not.
            prop_assert!(cut_ms + producer.every_ms >= full_ms, "cut {cut_ms}, full {full_ms}");
            prop_assert!(
                cut_ms <= full_ms + surplus_ms + 2 * producer.every_ms,
                "cut {cut_ms}, full {full_ms}, surplus {surplus_ms}"
            );
        }
    }

    #[test]
    fn what_was_said_to_be_needed_holds_and_less_does_not(
        settings in any_settings(),
        producer in any_producer(),
        hold_ms in 5_000..100_000i64,
    ) {
        let rate = producer.rate_bytes();
        let needed = required_retention(&settings, rate, hold_ms);
        let shortest = |retention_ms, retention_bytes| {
            let set = Settings { retention_ms, retention_bytes, ..settings.clone() };
            let (mut shortest_ms, mut most_bytes) = (i64::MAX, 0);
            let longest_ms = hold_ms + set.surplus_ms(Some(rate));
            run(&set, producer, 4 * longest_ms, |now_ms, gone, log| {
                let youngest = gone.iter().map(|segment| now_ms - segment.largest_ms).min();
                shortest_ms = shortest_ms.min(youngest.unwrap_or(i64::MAX));
                let deleted: u64 = gone.iter().map(|segment| segment.bytes).sum();
                most_bytes = most_bytes.max(log.bytes() + deleted);
            });
            (shortest_ms, most_bytes)
        };
        let (held_ms, most_bytes) = shortest(Some(hold_ms), Some(needed.retention_bytes));
        prop_assert!(held_ms >= hold_ms, "{held_ms} < {hold_ms}");
        prop_assert!(most_bytes <= needed.disk_bytes + 2 * producer.batch_bytes);
        // With a tenth less something younger is deleted, if the broker looks often enough to show it.
        let looks_often = settings.check_interval_ms + 2 * producer.every_ms < hold_ms / 20;
        if looks_often {
            let (held_ms, _) = shortest(None, Some(needed.retention_bytes * 9 / 10));
            prop_assert!(held_ms < hold_ms, "{held_ms} >= {hold_ms} with a tenth less");
            let (held_ms, _) = shortest(Some(hold_ms * 9 / 10), None);
            prop_assert!(held_ms < hold_ms, "{held_ms} >= {hold_ms} with a tenth less");
        }
    }

    #[test]
    fn a_disk_is_full_when_it_was_said_to_be(
        growths in prop::collection::vec((0.0..1e4f64, prop::option::of(0.0..1e6f64)), 0..8),
        free in 0..1_000_000u64,
    ) {
        let growths: Vec<ReplicaGrowth> = growths
            .into_iter()
            .map(|(rate_bytes, remaining_bytes)| ReplicaGrowth { rate_bytes, remaining_bytes })
            .collect();
        let taken = |seconds: f64| -> f64 {
            let taken = growths.iter().map(|growth| {
                (growth.rate_bytes * seconds).min(growth.remaining_bytes.unwrap_or(f64::MAX))
            });
            taken.sum()
        };
        match disk_full_in_ms(free, &growths) {
            Some(ms) => {
                let seconds = ms as f64 / 1000.0;
                prop_assert!(taken(seconds + 0.002) >= free as f64 - 1.0);
                prop_assert!(taken(seconds - 0.002) <= free as f64 + 1.0);
            }
            None => prop_assert!(taken(1e12) <= free as f64 + 1.0),
        }
    }
}
