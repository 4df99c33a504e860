//! Times, durations and UUIDs as ISO text, and back.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use super::logical::{Logical, Unit};

const NANOS_PER_DAY: i64 = 86_400_000_000_000;
const EPOCH: Date = Date::constant(1970, 1, 1);

/// `None` if the number is out of the years that ISO 8601 writes with four digits; it stays a number then.
pub(super) fn text_of_number(logical: Logical, number: i64) -> Option<String> {
    let nanos = |unit: Unit| i128::from(number) * unit.nanos();
    match logical {
        Logical::Date => {
            let days = SignedDuration::from_secs(number.checked_mul(86_400)?);
            Some(EPOCH.checked_add(days).ok()?.to_string())
        }
        Logical::TimeMillis => time_of_day(number.checked_mul(1_000_000)?),
        Logical::TimeMicros => time_of_day(number.checked_mul(1_000)?),
        Logical::Timestamp(unit) => {
            let time = Timestamp::from_nanosecond(nanos(unit)).ok()?;
            Some(time.to_string())
        }
        Logical::LocalTimestamp(unit) => {
            let since = SignedDuration::from_nanos_i128(nanos(unit));
            let time = EPOCH
                .to_datetime(Time::midnight())
                .checked_add(since)
                .ok()?;
            Some(time.to_string())
        }
        Logical::Decimal { .. } | Logical::Uuid | Logical::Duration => None,
    }
}

fn time_of_day(nanos: i64) -> Option<String> {
    if !(0..NANOS_PER_DAY).contains(&nanos) {
        return None;
    }
    let since = SignedDuration::from_nanos(nanos);
    Some(Time::midnight().checked_add(since).ok()?.to_string())
}

/// The number of a text, or why there is none.
pub(super) fn number_of_text(logical: Logical, text: &str) -> Result<i64, String> {
    let wrong = |error: jiff::Error| format!("{text:?} is no {logical}: {error}");
    let midnight = || EPOCH.to_datetime(Time::midnight());
    match logical {
        Logical::Date => {
            let date: Date = text.parse().map_err(wrong)?;
            Ok(date.duration_since(EPOCH).as_hours() / 24)
        }
        Logical::TimeMillis => parts(time(text).map_err(wrong)?, Unit::Millis, text),
        Logical::TimeMicros => parts(time(text).map_err(wrong)?, Unit::Micros, text),
        Logical::Timestamp(unit) => {
            let time: Timestamp = text.parse().map_err(wrong)?;
            parts(time.as_nanosecond(), unit, text)
        }
        Logical::LocalTimestamp(unit) => {
            let time: DateTime = text.parse().map_err(wrong)?;
            parts(time.duration_since(midnight()).as_nanos(), unit, text)
        }
        Logical::Decimal { .. } | Logical::Uuid | Logical::Duration => {
            Err(format!("{text:?} is no {logical}"))
        }
    }
}

fn time(text: &str) -> Result<i128, jiff::Error> {
    let time: Time = text.parse()?;
    Ok(time.duration_since(Time::midnight()).as_nanos())
}

fn parts(nanos: i128, unit: Unit, text: &str) -> Result<i64, String> {
    if nanos % unit.nanos() != 0 {
        let unit = match unit {
            Unit::Millis => "milliseconds",
            Unit::Micros => "microseconds",
            Unit::Nanos => "nanoseconds",
        };
        return Err(format!("{text} is finer than {unit}"));
    }
    i64::try_from(nanos / unit.nanos()).map_err(|_| format!("{text} is out of range"))
}

/// A duration is three numbers, little-endian: months, days, milliseconds.
pub(super) fn text_of_bytes(logical: Logical, bytes: &[u8]) -> Option<String> {
    match logical {
        Logical::Uuid => {
            let uuid = uuid::Uuid::from_slice(bytes).ok()?;
            Some(uuid.hyphenated().to_string())
        }
        Logical::Duration => {
            let (numbers, _) = bytes.as_chunks::<4>();
            let &[months, days, ms] = numbers else {
                return None;
            };
            let [months, days, ms] = [months, days, ms].map(u32::from_le_bytes);
            let (seconds, ms) = (ms / 1000, ms % 1000);
            Some(format!("P{months}M{days}DT{seconds}.{ms:03}S"))
        }
        _ => None,
    }
}

/// The bytes of a text, or why there are none.
pub(super) fn bytes_of_text(logical: Logical, text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("{text:?} is no {logical}");
    match logical {
        Logical::Uuid => {
            let uuid = uuid::Uuid::try_parse(text).map_err(|_| wrong())?;
            Ok(uuid.as_bytes().to_vec())
        }
        Logical::Duration => duration(text).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// `P1M2DT3.004S`, as it is written here.
fn duration(text: &str) -> Option<Vec<u8>> {
    let (months, rest) = text.strip_prefix('P')?.split_once('M')?;
    let (days, rest) = rest.split_once("DT")?;
    let (seconds, ms) = rest.strip_suffix('S')?.split_once('.')?;
    if ms.len() != 3 {
        return None;
    }
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok()).flatten()
    };
    let ms = number(seconds)?
        .checked_mul(1000)?
        .checked_add(number(ms)?)?;
    let numbers = [number(months)?, number(days)?, ms];
    Some(numbers.map(u32::to_le_bytes).concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NUMBERS: [Logical; 9] = [
        Logical::Date,
        Logical::TimeMillis,
        Logical::TimeMicros,
        Logical::Timestamp(Unit::Millis),
        Logical::Timestamp(Unit::Micros),
        Logical::Timestamp(Unit::Nanos),
        Logical::LocalTimestamp(Unit::Millis),
        Logical::LocalTimestamp(Unit::Micros),
        Logical::LocalTimestamp(Unit::Nanos),
    ];

    #[test]
    fn times_are_iso_text() {
        let text = |logical, number| text_of_number(logical, number).expect("in range");
        assert_eq!(text(Logical::Date, 19_723), "2024-01-01");
        assert_eq!(text(Logical::Date, -1), "1969-12-31");
        assert_eq!(text(Logical::TimeMillis, 45_296_789), "12:34:56.789");
        let millis = Logical::Timestamp(Unit::Millis);
        assert_eq!(text(millis, 1_700_000_000_001), "2023-11-14T22:13:20.001Z");
        let local = Logical::LocalTimestamp(Unit::Micros);
        assert_eq!(text(local, -1), "1969-12-31T23:59:59.999999");
        assert_eq!(text_of_number(millis, i64::MAX), None);
        assert_eq!(text_of_number(Logical::TimeMillis, -1), None);
        assert!(number_of_text(millis, "2023-11-14T22:13:20.0001Z").is_err());
        assert_eq!(
            number_of_text(millis, "2023-11-14T23:13:20+01:00"),
            Ok(1_700_000_000_000)
        );
    }

    #[test]
    fn durations_and_uuids_come_back() {
        let duration = [1, 0, 0, 0, 2, 0, 0, 0, 188, 11, 0, 0];
        let text = text_of_bytes(Logical::Duration, &duration).expect("12 bytes");
        assert_eq!(text, "P1M2DT3.004S");
        assert_eq!(
            bytes_of_text(Logical::Duration, &text),
            Ok(duration.to_vec())
        );
        let uuid: Vec<u8> = (0..16).collect();
        let text = text_of_bytes(Logical::Uuid, &uuid).expect("16 bytes");
        assert_eq!(bytes_of_text(Logical::Uuid, &text), Ok(uuid));
        assert!(bytes_of_text(Logical::Duration, "P1D").is_err());
    }

    proptest! {
        #[test]
        fn every_number_with_a_text_comes_back(number in any::<i64>(), shift in 0u32..50) {
            for logical in NUMBERS {
                let number = number >> shift;
                if let Some(text) = text_of_number(logical, number) {
                    prop_assert_eq!(number_of_text(logical, &text), Ok(number), "{} {:?}", text, logical);
                }
            }
        }
    }
}
