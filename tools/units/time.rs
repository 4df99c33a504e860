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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_MS: i64 = 1_795_373_046_123;

    #[test]
    fn every_way_to_say_a_time_is_understood() {
        for (text, ms) in [
            ("now", NOW_MS),
            ("now-2h", NOW_MS - 7_200_000),
            ("now-2d12h", NOW_MS - 216_000_000),
            ("now+90s", NOW_MS + 90_000),
            ("2026-11-22T18:44:06.123Z", NOW_MS),
            ("2026-11-22T18:44:06.123", NOW_MS),
            ("2026-11-22 18:44:06.123", NOW_MS),
            ("2026-11-22T19:44:06.123+01:00", NOW_MS),
            ("2026-11-22T18:44:06Z", NOW_MS - 123),
            ("2026-11-22T18:44", NOW_MS - 6_123),
            ("2026-11-22", NOW_MS - 67_446_123),
            ("1795373046123", NOW_MS),
            ("0", 0),
            ("-1000", -1000),
        ] {
            assert_eq!(parse_time(text, NOW_MS), Ok(ms), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for text in [
            "",
            "-",
            "nowadays",
            "now2h",
            "yesterday",
            "2026-13-01",
            "2026-11-22T25:00",
            "12x",
            "1.5",
        ] {
            assert_eq!(
                parse_time(text, NOW_MS),
                Err(format!("{text:?} is not a time {EXAMPLES}"))
            );
        }
        assert!(
            parse_time("now-5", NOW_MS).is_err_and(|reason| reason.contains("unit is missing"))
        );
        assert_eq!(
            parse_time("now-1s", i64::MIN),
            Err("\"now-1s\" is out of range".into())
        );
        assert!(parse_time("9223372036854775808", NOW_MS).is_err());
    }

    #[test]
    fn times_are_iso_8601_in_utc() {
        assert_eq!(format_time_ms(NOW_MS), "2026-11-22T18:44:06.123Z");
        assert_eq!(format_time_ms(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format_time_ms(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_time_ms(i64::MAX), i64::MAX.to_string());
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(ms: i64, recent_ms in -62_167_219_200_000..253_402_207_200_000i64) {
            prop_assert_eq!(parse_instant_ms(&format_time_ms(ms)), Ok(ms));
            prop_assert_eq!(parse_instant_ms(&format_time_ms(recent_ms)), Ok(recent_ms));
            prop_assert_eq!(format_time_ms(recent_ms).len(), 24);
        }
    }
}
