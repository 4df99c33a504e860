//! Durations: `90s`, `1.5h`, `2d12h`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// A duration with its units: `250ms`, `90s`, `1.5h`, `7d`, `2d12h`, `1w`.
///
/// A day is 24 hours and a week is 7 days; months and years, which have no
/// fixed length, are refused, and so is a bare number, because some programs
/// take it for seconds and others for milliseconds.
///
/// # Errors
/// A sentence that shows what a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = |why: &str| {
        format!("{text:?} is not a duration{why} (write it as 250ms, 90s, 1.5h, 2d12h or 1w)")
    };
    if text.parse::<f64>().is_ok() {
        return Err(refused(", its unit is missing"));
    }
    let span: Span = text.parse().map_err(|_| refused(""))?;
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| refused(""))?;
    Duration::try_from(signed).map_err(|_| refused(", it is negative"))
}

/// The two largest units of a duration, as `2d12h`, `4m5s`, `1.25s` or `250ms`;
/// what is smaller is cut off. [`parse_duration`] reads it back.
pub fn format_duration_ms(ms: i64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let sign = if ms < 0 { "-" } else { "" };
    let pair = |length: u64, unit: u64, name: &str, next: u64, next_name: &str| {
        let (large, small) = (length / unit, length % unit / next);
        match small {
            0 => format!("{sign}{large}{name}"),
            _ => format!("{sign}{large}{name}{small}{next_name}"),
        }
    };
    match ms.unsigned_abs() {
        ms @ 0..SECOND => format!("{sign}{ms}ms"),
        ms @ SECOND..MINUTE => {
            let seconds = format!("{}.{:03}", ms / SECOND, ms % SECOND);
            let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
            format!("{sign}{seconds}s")
        }
        ms @ MINUTE..HOUR => pair(ms, MINUTE, "m", SECOND, "s"),
        ms @ HOUR..DAY => pair(ms, HOUR, "h", MINUTE, "m"),
        ms => pair(ms, DAY, "d", HOUR, "h"),
    }
}
