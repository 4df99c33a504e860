//! Points in time, to the millisecond, as Kafka keeps them.

use jiff::civil;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use super::{parse_duration, parse_whole};

const EXAMPLES: &str = "(a time is now-2h, \"2 hours ago\", \"yesterday 15:00\", 2026-11-22, 2026-11-22T18:44:06Z, @SECONDS, \
                        or milliseconds since 1970)";

/// A time given on a command line, as milliseconds since 1970-01-01 UTC.
///
/// `now`, `now-2h`, `now+90s` and `2 hours ago`, with a duration as
/// [`parse_duration`] takes it; `today`, `yesterday` or `tomorrow`, alone for
/// the first instant of that day or with a time of day after it; or an
/// absolute time as [`parse_instant_ms`] takes it. A time without a zone is
/// UTC, not local time, so that a script does the same on every machine.
pub fn parse_time(text: &str, now_ms: i64) -> Result<i64, String> {
    if let Some(shift) = text.strip_prefix("now") {
        let (is_later, length) = match shift.chars().next() {
            None => return Ok(now_ms),
            Some('-') => (false, &shift[1..]),
            Some('+') => (true, &shift[1..]),
            Some(_) => return Err(not_a_time(text)),
        };
        return shifted(text, now_ms, is_later, length);
    }
    if let Some(length) = text.strip_suffix("ago") {
        return shifted(text, now_ms, false, length.trim_end());
    }
    for (day, days) in [("today", 0), ("yesterday", -1), ("tomorrow", 1)] {
        if let Some(time) = text.strip_prefix(day) {
            return on_day(days, time, now_ms).ok_or_else(|| not_a_time(text));
        }
    }
    parse_instant_ms(text)
}

/// An absolute time, as milliseconds since 1970-01-01 UTC.
///
/// ISO 8601 with or without fractions, a date alone being its first instant;
/// `@` and seconds since 1970; or milliseconds since 1970, which may be
/// negative. A bare number of ten digits is refused: it is today's time in
/// seconds, or a day of early 1970 in milliseconds.
pub fn parse_instant_ms(text: &str) -> Result<i64, String> {
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds_to_ms(seconds).ok_or_else(|| not_a_time(text));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if digits.len() == 10 {
            return Err(format!(
                "{text} has ten digits, as seconds have: write @{text} for seconds, or milliseconds since 1970"
            ));
        }
        return parse_whole(text).map_err(|_| not_a_time(text));
    }
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<Zoned>().map(|zoned| zoned.timestamp()))
        .or_else(|_| utc(text))
        .map(Timestamp::as_millisecond)
        .map_err(|_| not_a_time(text))
}

fn not_a_time(text: &str) -> String {
    format!("{text:?} is not a time {EXAMPLES}")
}

fn shifted(text: &str, now_ms: i64, is_later: bool, length: &str) -> Result<i64, String> {
    let length = parse_duration(length)?;
    let shift_ms = i64::try_from(length.as_millis()).ok();
    let sign = if is_later { 1 } else { -1 };
    let moved = shift_ms.and_then(|ms| now_ms.checked_add(sign * ms));
    moved.ok_or_else(|| format!("{text:?} is out of range"))
}

/// `time` on the day that is `days` after today, in the time's own zone.
fn on_day(days: i64, time: &str, now_ms: i64) -> Option<i64> {
    let time = match time.chars().next() {
        None => "00:00",
        Some(' ' | 'T' | 't') => time[1..].trim_start(),
        Some(_) => return None,
    };
    let now = Timestamp::from_millisecond(now_ms).ok()?;
    let text = format!("{}T{time}", now.to_zoned(TimeZone::UTC).date());
    let pieces = Pieces::parse(&text).ok()?;
    let offset = pieces.to_numeric_offset().map(TimeZone::fixed);
    let named = pieces.to_time_zone().ok()?;
    let zone = named.or(offset).unwrap_or(TimeZone::UTC);
    let today = now.to_zoned(zone.clone()).date();
    let day = today.checked_add(days.days()).ok()?;
    let time = day.to_datetime(pieces.time()?).to_zoned(zone).ok()?;
    Some(time.timestamp().as_millisecond())
}

/// Seconds since 1970 with or without a fraction, as `date +%s` prints them.
fn seconds_to_ms(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let whole_ms = parse_whole::<i64>(whole).ok()?.checked_mul(1000)?;
    let ms = whole_ms.checked_add(sign * thousandths)?;
    // Milliseconds after an @ are outside of the calendar.
    (is_fraction && Timestamp::from_millisecond(ms).is_ok()).then_some(ms)
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
    fn every_form_of_a_time_is_parsed() {
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
            ("2026-11-22T19:44:06.123+01:00[Europe/Paris]", NOW_MS),
            ("0", 0),
            ("-1000", -1000),
            ("999999999", 999_999_999),
            ("17000000000", 17_000_000_000),
            ("@1795373046.123", NOW_MS),
            ("@1795373046.1239", NOW_MS),
            ("@1700000000", 1_700_000_000_000),
            ("@0", 0),
            ("@-0.5", -500),
            ("@-1.25", -1250),
            ("2 hours ago", NOW_MS - 7_200_000),
            ("2h ago", NOW_MS - 7_200_000),
            ("1 day 12 hours ago", NOW_MS - 129_600_000),
            ("1.5h ago", NOW_MS - 5_400_000),
            ("today", NOW_MS - 67_446_123),
            ("yesterday", NOW_MS - 153_846_123),
            ("yesterday 15:00", NOW_MS - 99_846_123),
            ("yesterday 15:00:00.123", NOW_MS - 99_846_000),
            ("yesterdayT15:00", NOW_MS - 99_846_123),
            ("yesterday 15:00Z", NOW_MS - 99_846_123),
            ("yesterday 16:00+01:00", NOW_MS - 99_846_123),
            ("yesterday 16:00[Europe/Paris]", NOW_MS - 99_846_123),
            ("tomorrow 00:00", NOW_MS + 18_953_877),
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
            "yesterdays",
            "yesterday 25:00",
            "yesterday noon",
            "yesterday 15:00 ",
            "2026-13-01",
            "2026-11-22T25:00",
            "12x",
            "1.5",
            "1700000000.5",
            "@",
            "@1.",
            "@.5",
            "@+1",
            "@1700000000000",
            "@99999999999999999999",
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
    fn ten_digits_are_refused_because_they_are_seconds() {
        for text in ["1700000000", "-1700000000", "0000000000"] {
            assert_eq!(
                parse_time(text, NOW_MS),
                Err(format!(
                    "{text} has ten digits, as seconds have: write @{text} for seconds, or milliseconds since 1970"
                ))
            );
        }
        for text in ["2 months ago", "5 ago", "ago", "-2h ago"] {
            let refused = parse_time(text, NOW_MS);
            assert!(
                refused.is_err_and(|reason| reason.contains("is not a duration")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_day_is_that_of_the_zone_that_is_named() {
        // 23:30 UTC of the 21st is 01:30 of the 22nd two hours further east.
        let late_ms = parse_instant_ms("2026-11-21T23:30").expect("a time");
        let of = |text: &str| parse_time(text, late_ms).map(format_time_ms);
        assert_eq!(of("today 12:00").as_deref(), Ok("2026-11-21T12:00:00.000Z"));
        assert_eq!(
            of("today 12:00+02:00").as_deref(),
            Ok("2026-11-22T10:00:00.000Z")
        );
        assert_eq!(
            of("yesterday 12:00+02:00").as_deref(),
            Ok("2026-11-21T10:00:00.000Z")
        );
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
        fn a_printed_time_is_read_back(ms: i64, recent_ms in -62_167_219_200_000..253_402_207_200_000i64) {
            prop_assert_eq!(parse_instant_ms(&format_time_ms(ms)), Ok(ms));
            prop_assert_eq!(parse_instant_ms(&format_time_ms(recent_ms)), Ok(recent_ms));
            prop_assert_eq!(format_time_ms(recent_ms).len(), 24);
        }
    }
}
