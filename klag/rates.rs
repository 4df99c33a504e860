//! How fast a partition is written and read, and what that says about its group: pure.

use std::time::Duration;

use crate::lag::LagNote;

/// Offsets of one partition as one group sees them, at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) committed: Option<i64>,
    pub(crate) end: Option<i64>,
    pub(crate) lag: Option<i64>,
}

/// Which rate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    Produce,
    Consume,
}

impl Rate {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Rate::Produce => "produce",
            Rate::Consume => "consume",
        }
    }
}

/// Rates in messages a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) produced: Option<f64>,
    pub(crate) consumed: Option<f64>,
    /// Until nothing is behind, if both rates stay; `None` where that is never.
    pub(crate) catch_up_ms: Option<i64>,
    pub(crate) status: Option<Status>,
}

/// Burrow's words for what two samples show, the worst last.
///
/// Burrow (core/internal/evaluator/caching.go) looks at a window of commits with their times; here the
/// window is two samples, and whether there is a member stands for whether commits still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Nothing is behind, or the lag shrinks.
    Ok,
    /// It reads, and its lag does not shrink.
    Slow,
    /// No record was written to the topic for too long.
    Stale,
    /// Its committed offset went back.
    Rewound,
    /// It has a member, is behind, and its committed offset stands still.
    Stalled,
    /// It has no member, is behind, and its committed offset stands still.
    Stopped,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Slow => "slow",
            Status::Stale => "stale",
            Status::Rewound => "rewound",
            Status::Stalled => "stalled",
            Status::Stopped => "stopped",
        }
    }
}

/// What happened between two samples of a partition, `passed` after one another.
///
/// That time is no difference of two times of day, which somebody may set in between.
pub(crate) fn rates(before: Sample, after: Sample, passed: Duration, has_members: bool) -> Rates {
    if passed.is_zero() {
        return Rates::default();
    }
    let seconds = passed.as_secs_f64();
    // A recreated topic has no rate, and neither has a group that was rewound.
    let rate = |before: Option<i64>, after: Option<i64>| {
        let moved = Some(after? - before?).filter(|moved| *moved >= 0)?;
        Some(moved as f64 / seconds)
    };
    let produced = rate(before.end, after.end);
    let consumed = rate(before.committed, after.committed);
    Rates {
        produced,
        consumed,
        catch_up_ms: catch_up_ms(after.lag, produced, consumed),
        status: status(before, after, has_members),
    }
}

/// What was written in a window; one snapshot does not say how fast it is read.
pub(crate) fn produce_rates(written: Option<i64>, window_ms: i64, after: Sample) -> Rates {
    let before = Sample {
        end: after.end.zip(written).map(|(end, written)| end - written),
        ..Sample::default()
    };
    let window = Duration::from_millis(window_ms.try_into().unwrap_or(0));
    Rates {
        status: (after.lag == Some(0)).then_some(Status::Ok),
        ..rates(before, after, window, false)
    }
}

/// Why a rate of these measurements is not known, where it is not: of what is written, and of what is read.
pub(crate) fn unknown_rates(before: Option<Sample>, after: Sample, found: Rates) -> Vec<LagNote> {
    // Without an end, all that there is to say is why that is not known.
    if after.end.is_none() {
        return Vec::new();
    }
    let unseen = "it was not seen in the first measurement";
    let mut notes = Vec::new();
    if found.produced.is_none() {
        let reason = match before {
            None => unseen,
            Some(_) => "the topic was recreated, or not seen in the first measurement",
        };
        notes.push(LagNote::UnknownRate(Rate::Produce, reason.to_owned()));
    }
    // A group that has nothing to read need not have committed anything.
    let has_nothing_to_read = after.committed.is_none() && after.lag == Some(0);
    if found.consumed.is_none() && !has_nothing_to_read {
        let reason = match (before, after.committed) {
            (_, None) => "nothing is committed",
            (None, _) => unseen,
            (
                Some(Sample {
                    committed: None, ..
                }),
                _,
            ) => "nothing was committed in the first measurement, or that was not seen",
            _ => "the committed offset went back",
        };
        notes.push(LagNote::UnknownRate(Rate::Consume, reason.to_owned()));
    }
    notes
}

/// How long until nothing is left to read, at these rates.
pub(crate) fn catch_up_ms(
    lag: Option<i64>,
    produced: Option<f64>,
    consumed: Option<f64>,
) -> Option<i64> {
    let lag = lag?;
    if lag == 0 {
        return Some(0);
    }
    let gained = consumed? - produced?;
    (gained > 0.0).then(|| (lag as f64 / gained * 1000.0) as i64)
}

fn status(before: Sample, after: Sample, has_members: bool) -> Option<Status> {
    if after.lag? == 0 {
        return Some(Status::Ok);
    }
    let moved = after.committed? - before.committed?;
    Some(match moved {
        ..0 => Status::Rewound,
        0 if has_members => Status::Stalled,
        0 => Status::Stopped,
        _ if after.lag >= before.lag => Status::Slow,
        _ => Status::Ok,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sample(committed: i64, end: i64) -> Sample {
        Sample {
            committed: Some(committed),
            end: Some(end),
            lag: Some(end - committed),
        }
    }

    #[test]
    fn rates_are_a_second_s() {
        let found = rates(sample(100, 1000), sample(300, 1100), 10 * SECOND, true);
        let expected = Rates {
            produced: Some(10.0),
            consumed: Some(20.0),
            catch_up_ms: Some(80_000),
            status: Some(Status::Ok),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn the_status_is_burrow_s() {
        let of = |before, after, has_members| rates(before, after, SECOND, has_members).status;
        let begin = sample(10, 20);
        assert_eq!(of(begin, sample(20, 20), true), Some(Status::Ok));
        assert_eq!(of(begin, sample(12, 20), true), Some(Status::Ok));
        assert_eq!(of(begin, sample(12, 22), true), Some(Status::Slow));
        assert_eq!(of(begin, sample(10, 22), true), Some(Status::Stalled));
        assert_eq!(of(begin, sample(10, 20), false), Some(Status::Stopped));
        assert_eq!(of(begin, sample(5, 22), true), Some(Status::Rewound));
        let unknown = Sample {
            lag: None,
            ..sample(10, 20)
        };
        assert_eq!(of(begin, unknown, true), None);
    }

    #[test]
    fn who_never_catches_up_has_no_time_for_it() {
        let found = rates(sample(0, 10), sample(5, 20), SECOND, true);
        assert_eq!(found.catch_up_ms, None);
        let found = rates(sample(0, 10), sample(10, 10), SECOND, true);
        assert_eq!(found.catch_up_ms, Some(0));
    }

    /// Regression: there was a time to catch up, of rates that are not known.
    #[test]
    fn a_recreated_topic_has_no_rate_and_no_time_to_catch_up() {
        let found = rates(sample(0, 100), sample(0, 10), SECOND, true);
        assert_eq!((found.produced, found.catch_up_ms), (None, None));
        let rewound = rates(sample(50, 100), sample(40, 60), SECOND, true);
        assert_eq!((rewound.consumed, rewound.catch_up_ms), (None, None));
        assert_eq!(
            rates(sample(0, 1), sample(1, 1), Duration::ZERO, true),
            Rates::default()
        );
    }

    /// Regression: what was read had no number and no note either.
    #[test]
    fn every_rate_that_is_not_known_says_why() {
        let never = Sample {
            committed: None,
            ..sample(0, 10)
        };
        let nothing = Sample {
            lag: Some(0),
            ..never
        };
        for (before, after, said) in [
            (sample(1, 10), sample(2, 20), ""),
            (sample(5, 10), sample(2, 10), "consume went back"),
            (never, sample(2, 20), "consume first measurement"),
            (never, never, "consume nothing is committed"),
            (nothing, nothing, ""),
            (sample(1, 10), sample(1, 5), "produce recreated"),
        ] {
            let found = rates(before, after, SECOND, true);
            let notes = unknown_rates(Some(before), after, found);
            let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
            let notes = notes.join("; ");
            assert!(said.split(' ').all(|word| notes.contains(word)), "{notes}");
            assert_eq!(notes.is_empty(), said.is_empty(), "{notes}");
        }
        let unseen = unknown_rates(None, sample(1, 10), Rates::default());
        assert_eq!(unseen.len(), 2, "{unseen:?}");
        assert!(unknown_rates(None, Sample::default(), Rates::default()).is_empty());
    }

    #[test]
    fn one_look_tells_what_is_written() {
        let found = produce_rates(Some(3600), 3_600_000, sample(10, 3700));
        assert_eq!((found.produced, found.consumed), (Some(1.0), None));
        assert_eq!((found.catch_up_ms, found.status), (None, None));
        let idle = produce_rates(Some(0), 3_600_000, sample(10, 10));
        assert_eq!((idle.produced, idle.status), (Some(0.0), Some(Status::Ok)));
    }
}
