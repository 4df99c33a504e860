//! Points in time, to the millisecond, as Kafka keeps them.

use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::{parse_duration, parse_whole};

const EXAMPLES: &str =
    "(a time is now, now-2h, 2026-11-22, 2026-11-22T18:44:06Z, or milliseconds since 1970)";

/// A time given on a command line, as milliseconds since 1970-01-01 UTC.
///
/// `now`, `now-2h`, `now+90s` with a duration as [`parse_duration`] takes it;
/// ISO 8601 with or without fractions, a date alone being its first instant;
/// or milliseconds since 1970, which may be negative. A time without a zone
/// is UTC, not local time, so that a script says the same on every machine.
///
/// # Errors
/// A sentence that shows what a time can be.
pub fn parse_time(text: &str, now_ms: i64) -> Result<i64, String> {
    let Some(shift) = text.strip_prefix("now") else {
        return parse_instant_ms(text);
    };
    let sign = match shift.bytes().next() {
        None => return Ok(now_ms),
        Some(b'-') => -1,
        Some(b'+') => 1,
        Some(_) => return Err(format!("{text:?} is not a time {EXAMPLES}")),
    };
    let shift = parse_duration(&shift[1..])?;
    i64::try_from(shift.as_millis())
        .ok()
        .and_then(|shift_ms| now_ms.checked_add(sign * shift_ms))
        .ok_or_else(|| format!("{text:?} is out of range"))
}

/// An absolute time: as [`parse_time`], without `now`.
///
/// # Errors
/// A sentence that shows what a time can be.
pub fn parse_instant_ms(text: &str) -> Result<i64, String> {
    if text
        .strip_prefix('-')
        .unwrap_or(text)
        .bytes()
        .all(|byte| byte.is_ascii_digit())
    {
        return parse_whole(text).map_err(|_| format!("{text:?} is not a time {EXAMPLES}"));
    }
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<Zoned>().map(|zoned| zoned.timestamp()))
        .or_else(|_| utc(text))
        .map(Timestamp::as_millisecond)
        .map_err(|_| format!("{text:?} is not a time {EXAMPLES}"))
}

fn utc(text: &str) -> Result<Timestamp, jiff::Error> {
    let civil: civil::DateTime = text.parse()?;
    Ok(civil.to_zoned(TimeZone::UTC)?.timestamp())
}

/// ISO 8601 in UTC with milliseconds, as `2026-11-22T18:44:06.123Z`.
///
/// Always 24 characters for the years 0 to 9999; milliseconds that no
/// calendar reaches are printed as they are, which [`parse_instant_ms`] reads too.
pub fn format_time_ms(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => ms.to_string(),
    }
}
