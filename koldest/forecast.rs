//! How much history a partition's settings keep at a steady rate. Pure.
//!
//! The rule is the broker's (`UnifiedLog.deleteOldSegments`): at every check
//! the oldest segment is deleted, and the next one, as long as
//!
//! - the log without it would still have `retention.bytes`, or
//! - its largest timestamp is older than `retention.ms`; the active segment goes this way too.
//!
//! So a message stays until its whole segment may go: the last message of a
//! segment at least as long as the limit says, the first one as much longer as
//! its segment took to fill, and until the broker looks.

mod what_if;

pub(crate) use what_if::{WhatIf, apply};

/// What a topic's settings say of keeping its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Whether `cleanup.policy` has `delete`.
    pub(crate) deletes: bool,
    /// Whether `cleanup.policy` has `compact`.
    pub(crate) compacts: bool,
    /// `retention.ms`; none is for ever.
    pub(crate) retention_ms: Option<i64>,
    /// `retention.bytes`, of one partition; none is without a limit.
    pub(crate) retention_bytes: Option<u64>,
    /// `segment.ms`: a segment's last message is at most this much younger than its first.
    pub(crate) segment_ms: i64,
    /// `segment.bytes`: no segment is larger.
    pub(crate) segment_bytes: u64,
    /// `log.retention.check.interval.ms` of the broker: how often it looks.
    pub(crate) check_interval_ms: i64,
    /// `file.delete.delay.ms`: how long a deleted segment still takes its place on the disk.
    pub(crate) delete_delay_ms: i64,
    /// Whether older segments are moved to another storage (`remote.storage.enable`).
    pub(crate) tiered: bool,
}

/// What limits the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitedBy {
    /// `retention.ms`.
    Time,
    /// `retention.bytes`.
    Size,
    /// Nothing: messages are kept for ever.
    None,
    /// Compaction: the last message of every key is kept for ever.
    Compact,
}

impl LimitedBy {
    /// As the report has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LimitedBy::Time => "time",
            LimitedBy::Size => "size",
            LimitedBy::None => "none",
            LimitedBy::Compact => "compact",
        }
    }
}

/// The log as it is now, and how it grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Log {
    /// Bytes a second that are written, where that is known.
    pub(crate) rate_bytes: Option<f64>,
    /// Bytes that it has, where that is known.
    pub(crate) bytes: Option<u64>,
    /// The age of its oldest message; none where it has no message.
    pub(crate) age_ms: Option<i64>,
}

/// What will be kept if the rate stays as it is; none of it is known where nothing limits it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// What limits the history; none where that depends on a rate that is not known.
    pub(crate) limited_by: Option<LimitedBy>,
    /// Every message is kept for at least this long.
    pub(crate) keeps_min_ms: Option<i64>,
    /// No message is kept for longer.
    pub(crate) keeps_max_ms: Option<i64>,
    /// How long until the limit is reached for the first time; 0 where it is.
    pub(crate) full_in_ms: Option<i64>,
}

impl Settings {
    /// Kafka's defaults.
    #[cfg(test)]
    pub(crate) fn defaults() -> Settings {
        const WEEK_MS: i64 = 7 * 86_400_000;
        Settings {
            deletes: true,
            compacts: false,
            retention_ms: Some(WEEK_MS),
            retention_bytes: None,
            segment_ms: WEEK_MS,
            segment_bytes: 1 << 30,
            check_interval_ms: 300_000,
            delete_delay_ms: 60_000,
            tiered: false,
        }
    }

    /// By how much longer than a segment's last message its first one is kept, at this rate.
    fn surplus_ms(&self, rate_bytes: Option<f64>) -> i64 {
        let fills_in_ms = ms_for(self.segment_bytes, rate_bytes);
        let span_ms = self.segment_ms.min(fills_in_ms.unwrap_or(i64::MAX));
        span_ms.saturating_add(self.check_interval_ms)
    }
}

/// How long `bytes` take to be written; none at a rate that is not known or 0.
fn ms_for(bytes: u64, rate_bytes: Option<f64>) -> Option<i64> {
    let rate = rate_bytes.filter(|rate| *rate > 0.0)?;
    Some((bytes as f64 / rate * 1000.0) as i64)
}

/// What `settings` keep of `log` at its rate.
pub(crate) fn forecast(settings: &Settings, log: &Log) -> Forecast {
    if !settings.deletes {
        let limited_by = if settings.compacts {
            LimitedBy::Compact
        } else {
            LimitedBy::None
        };
        return Forecast {
            limited_by: Some(limited_by),
            ..Forecast::default()
        };
    }
    // Bytes of a tiered log are only those that have not been moved yet.
    let log = Log {
        rate_bytes: log.rate_bytes.filter(|_| !settings.tiered),
        bytes: log.bytes.filter(|_| !settings.tiered),
        ..*log
    };
    let by_time_ms = settings.retention_ms;
    let by_size_ms = settings
        .retention_bytes
        .and_then(|limit| ms_for(limit, log.rate_bytes));
    let is_size_open = settings.retention_bytes.is_some() && log.rate_bytes.is_none();
    let surplus_ms = settings.surplus_ms(log.rate_bytes);
    let limit_ms = match (by_time_ms, by_size_ms) {
        (Some(time), Some(size)) => Some(time.min(size)),
        (time, size) => time.or(size),
    };
    let limited_by = match (by_time_ms, by_size_ms) {
        _ if is_size_open => None,
        (Some(time), Some(size)) if size < time => Some(LimitedBy::Size),
        (Some(_), _) => Some(LimitedBy::Time),
        (None, Some(_)) => Some(LimitedBy::Size),
        (None, None) => Some(LimitedBy::None),
    };
    Forecast {
        limited_by,
        keeps_min_ms: limit_ms.filter(|_| !is_size_open),
        keeps_max_ms: limit_ms.map(|limit| limit.saturating_add(surplus_ms)),
        full_in_ms: full_in_ms(settings, &log).filter(|_| !is_size_open),
    }
}

/// How long until the oldest message is `retention.ms` old or the log has `retention.bytes`, whichever is first.
fn full_in_ms(settings: &Settings, log: &Log) -> Option<i64> {
    let by_time_ms = match (settings.retention_ms, log.age_ms) {
        (Some(limit), Some(age)) => Some(limit.saturating_sub(age)),
        (Some(limit), None) if log.rate_bytes > Some(0.0) => Some(limit),
        _ => None,
    };
    let by_size_ms = settings.retention_bytes.and_then(|limit| {
        let free = limit.saturating_sub(log.bytes?);
        if free == 0 {
            return Some(0);
        }
        ms_for(free, log.rate_bytes)
    });
    let first = match (by_time_ms, by_size_ms) {
        (Some(time), Some(size)) => time.min(size),
        (time, size) => time.or(size)?,
    };
    Some(first.max(0))
}

/// What it takes to keep a length of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequiredRetention {
    /// The smallest `retention.bytes`.
    pub(crate) retention_bytes: u64,
    /// The most that a replica then takes on its disk, segments that are about to be removed included.
    pub(crate) disk_bytes: u64,
}

/// What it takes to keep every message for `hold_ms` at this rate, with `retention.ms` set to it.
pub(crate) fn required_retention(
    settings: &Settings,
    rate_bytes: f64,
    hold_ms: i64,
) -> RequiredRetention {
    let bytes_of = |ms: i64| (rate_bytes * ms as f64 / 1000.0).ceil() as u64;
    let longest_ms = hold_ms
        .saturating_add(settings.surplus_ms(Some(rate_bytes)))
        .saturating_add(settings.delete_delay_ms);
    RequiredRetention {
        retention_bytes: bytes_of(hold_ms),
        disk_bytes: bytes_of(longest_ms),
    }
}

/// A replica on a disk: it grows until its retention takes away as much as comes in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ReplicaGrowth {
    /// Bytes a second.
    pub(crate) rate_bytes: f64,
    /// By how many bytes it can still grow; none is without a limit.
    pub(crate) remaining_bytes: Option<f64>,
}

impl ReplicaGrowth {
    /// How a log of `bytes` grows under `settings`.
    pub(crate) fn new(settings: &Settings, rate_bytes: f64, bytes: u64) -> ReplicaGrowth {
        let log = Log {
            rate_bytes: Some(rate_bytes),
            ..Log::default()
        };
        let longest_ms = forecast(settings, &log).keeps_max_ms;
        let remaining_bytes = longest_ms.map(|ms| {
            let most = rate_bytes * ms.saturating_add(settings.delete_delay_ms) as f64 / 1000.0;
            (most - bytes as f64).max(0.0)
        });
        ReplicaGrowth {
            rate_bytes,
            remaining_bytes,
        }
    }
}

/// How long until `free_bytes` are taken by all `growths` together; none where they never are.
pub(crate) fn disk_full_in_ms(free_bytes: u64, growths: &[ReplicaGrowth]) -> Option<i64> {
    // Every replica stops growing at a time of its own; between two of these times the disk fills steadily.
    let mut stops: Vec<(f64, f64)> = Vec::new();
    let mut rate = 0.0;
    for growth in growths.iter().filter(|growth| growth.rate_bytes > 0.0) {
        rate += growth.rate_bytes;
        if let Some(room) = growth.remaining_bytes {
            stops.push((room / growth.rate_bytes, growth.rate_bytes));
        }
    }
    stops.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut now, mut free) = (0.0, free_bytes as f64);
    for (stop, stopped_rate) in stops {
        let filled = rate * (stop - now);
        if filled >= free {
            break;
        }
        free -= filled;
        rate -= stopped_rate;
        now = stop;
    }
    // What is left of a sum of floats after all of it was taken away is no rate.
    let is_growing = rate > 1e-6;
    (is_growing || free <= 0.0).then(|| ((now + free.max(0.0) / rate) * 1000.0) as i64)
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
