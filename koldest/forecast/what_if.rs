//! `--what-if`: the same forecast with other settings.

use std::str::FromStr;

use tools::units::{parse_duration, parse_size};

use super::Settings;

/// One thing that would be otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WhatIf {
    /// `retention.ms`; none is for ever.
    RetentionMs(Option<i64>),
    /// `retention.bytes`; none is without a limit.
    RetentionBytes(Option<u64>),
    SegmentMs(i64),
    SegmentBytes(u64),
    /// The rate is this many times what it is.
    Rate(f64),
}

const KNOWN: &str = "retention.ms, retention.bytes, segment.ms, segment.bytes, rate=xFACTOR";

impl FromStr for WhatIf {
    type Err = String;

    fn from_str(text: &str) -> Result<WhatIf, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
        match name {
            "retention.ms" if value == "-1" => Ok(WhatIf::RetentionMs(None)),
            "retention.ms" => parse_ms(value).map(|ms| WhatIf::RetentionMs(Some(ms))),
            "retention.bytes" if value == "-1" => Ok(WhatIf::RetentionBytes(None)),
            "retention.bytes" => parse_size(value).map(|bytes| WhatIf::RetentionBytes(Some(bytes))),
            "segment.ms" => match parse_ms(value)? {
                0 => Err(format!("{text}: a time above 0 is expected")),
                ms => Ok(WhatIf::SegmentMs(ms)),
            },
            "segment.bytes" => match parse_size(value)? {
                0 => Err(format!("{text}: a size above 0 is expected")),
                bytes => Ok(WhatIf::SegmentBytes(bytes)),
            },
            "rate" => parse_factor(value).map(WhatIf::Rate),
            _ => Err(format!("{name} is none of {KNOWN}")),
        }
    }
}

/// As Kafka has it, plain milliseconds, or a duration with its unit.
fn parse_ms(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse::<u64>() {
        return i64::try_from(ms).map_err(|_| format!("{text} is too large"));
    }
    let duration = parse_duration(text)?;
    i64::try_from(duration.as_millis()).map_err(|_| format!("{text} is too long"))
}

fn parse_factor(text: &str) -> Result<f64, String> {
    let factor = text
        .strip_prefix('x')
        .and_then(|factor| factor.parse::<f64>().ok())
        .filter(|factor| factor.is_finite() && *factor >= 0.0);
    factor.ok_or_else(|| format!("rate={text} is not rate=xFACTOR, as in rate=x2 or rate=x0.5"))
}

/// Settings and rate with `changes` made, the last one of a kind counting.
pub(crate) fn apply(changes: &[WhatIf], settings: &mut Settings, rates: &mut [&mut Option<f64>]) {
    for change in changes {
        match *change {
            WhatIf::RetentionMs(ms) => settings.retention_ms = ms,
            WhatIf::RetentionBytes(bytes) => settings.retention_bytes = bytes,
            WhatIf::SegmentMs(ms) => settings.segment_ms = ms,
            WhatIf::SegmentBytes(bytes) => settings.segment_bytes = bytes,
            WhatIf::Rate(_) => {}
        }
    }
    let factor = changes.iter().rev().find_map(|change| match change {
        WhatIf::Rate(factor) => Some(*factor),
        _ => None,
    });
    if let Some(factor) = factor {
        for rate in rates {
            **rate = rate.map(|rate| rate * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_as_kafka_names_them_with_values_as_people_write_them() {
        for (text, change) in [
            (
                "retention.ms=604800000",
                WhatIf::RetentionMs(Some(604_800_000)),
            ),
            ("retention.ms=7d", WhatIf::RetentionMs(Some(604_800_000))),
            ("retention.ms=-1", WhatIf::RetentionMs(None)),
            (
                "retention.bytes=100GB",
                WhatIf::RetentionBytes(Some(100_000_000_000)),
            ),
            ("retention.bytes=-1", WhatIf::RetentionBytes(None)),
            ("segment.ms=1h", WhatIf::SegmentMs(3_600_000)),
            ("segment.bytes=64M", WhatIf::SegmentBytes(67_108_864)),
            ("rate=x2", WhatIf::Rate(2.0)),
            ("rate=x0.5", WhatIf::Rate(0.5)),
        ] {
            assert_eq!(text.parse(), Ok(change), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (text, reason) in [
            ("retention.bytes", "NAME=VALUE"),
            ("retention.hours=7", "retention.ms"),
            ("retention.ms=-2", "duration"),
            ("retention.bytes=x2", "size"),
            ("rate=2", "rate=x2"),
            ("rate=x-1", "rate=x2"),
            ("rate=xnan", "rate=x2"),
        ] {
            let error = text.parse::<WhatIf>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
