//! Durations: `90s`, `1.5h`, `2d12h`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// A duration with its units: `250ms`, `90s`, `1.5h`, `7d`, `2d12h`, `1w`.
///
/// A day is 24 hours and a week is 7 days. Months and years have no fixed
/// length and are refused. A bare number is refused too: some programs take it
/// for seconds, others for milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = |why: &str| {
        format!("{text:?} is not a duration{why} (write it as 250ms, 90s, 1.5h, 2d12h or 1w)")
    };
    if text.parse::<f64>().is_ok() {
        return Err(refused(", its unit is missing"));
    }
    if let Some(duration) = sum(text) {
        return Ok(duration);
    }
    let span: Span = text.parse().map_err(|_| refused(""))?;
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| refused(""))?;
    Duration::try_from(signed).map_err(|_| refused(", it is negative"))
}

/// As [`parse_duration`], above 0.
pub fn parse_positive_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() {
        return Err("a time above 0 is expected".to_owned());
    }
    Ok(duration)
}

/// The sum of numbers with the usual units and decimals; `None` is left to jiff, which knows more units.
fn sum(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total_us = 0u64;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let after_unit = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(after_unit.unwrap_or(after.len()));
        let unit_us = match unit {
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "w" => 604_800_000_000,
            _ => return None,
        };
        total_us = total_us.checked_add(decimal(number, unit_us)?)?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty()).then_some(Duration::from_micros(total_us))
}

/// `number` units, rounded down.
fn decimal(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 18 {
        return None;
    }
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit);
    let part = u64::try_from(part / 10u128.pow(fraction.len() as u32)).ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(part)
}

/// The two largest units of a duration, as `2d12h`, `4m5s`, `1.25s` or `250ms`;
/// the rest is cut off. [`parse_duration`] reads it back, up to 10,000 years.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(text: &str) -> Result<u128, String> {
        parse_duration(text).map(|duration| duration.as_millis())
    }

    #[test]
    fn units_add_up() {
        for (text, expected) in [
            ("0s", 0),
            ("250ms", 250),
            ("90s", 90_000),
            ("1.5h", 5_400_000),
            ("10m", 600_000),
            ("7d", 604_800_000),
            ("1w", 604_800_000),
            ("2d12h", 216_000_000),
            ("1h30m", 5_400_000),
            ("1d 2h", 93_600_000),
            ("1.5d", 129_600_000),
            ("0.5w", 302_400_000),
            ("1.5d12h", 172_800_000),
            ("2.25s", 2_250),
            ("0.001s", 1),
            ("90 s", 90_000),
            ("2hours", 7_200_000),
        ] {
            assert_eq!(ms(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_ambiguous_duration_is_refused() {
        for text in [
            "",
            "d",
            "1x",
            "7d!",
            "1mo",
            "1y",
            "-7d",
            "7d ago",
            "1.5x",
            "1.d",
            ".5d",
            "5m 3",
            "five minutes",
        ] {
            assert!(ms(text).is_err(), "{text}: {:?}", ms(text));
        }
        for text in ["90", "1.5", "-1"] {
            assert_eq!(
                ms(text),
                Err(format!(
                    "{text:?} is not a duration, its unit is missing (write it as 250ms, 90s, 1.5h, 2d12h or 1w)"
                ))
            );
        }
    }

    #[test]
    fn nothing_is_no_length_of_time() {
        assert!(parse_positive_duration("0s").is_err() && parse_positive_duration("0.0d").is_err());
        assert_eq!(parse_positive_duration("1ms"), parse_duration("1ms"));
    }

    #[test]
    fn the_two_largest_units_are_shown() {
        for (ms, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (1_250, "1.25s"),
            (59_999, "59.999s"),
            (60_000, "1m"),
            (245_900, "4m5s"),
            (5_400_000, "1h30m"),
            (86_400_000, "1d"),
            (216_059_000, "2d12h"),
            (-1_500, "-1.5s"),
        ] {
            assert_eq!(format_duration_ms(ms), text);
        }
        assert_eq!(format_duration_ms(i64::MIN), "-106751991167d7h");
    }

    proptest! {
        #[test]
        fn a_duration_is_read_back_to_its_precision(shown_ms in 0..10_000_000_000i64) {
            let text = format_duration_ms(shown_ms);
            let read_ms = ms(&text).map(|ms| ms as i64);
            let precision_ms = match shown_ms {
                0..60_000 => 1,
                60_000..3_600_000 => 1_000,
                3_600_000..86_400_000 => 60_000,
                _ => 3_600_000,
            };
            prop_assert_eq!(read_ms, Ok(shown_ms / precision_ms * precision_ms));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.a-z ]{0,12}") {
            let _ = ms(&text);
        }
    }
}
