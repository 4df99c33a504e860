//! No text makes the parsers of durations, sizes, times and numbers panic, and what is printed of them is read back.
//!
//! Run it from the root of the repository: `.ci/fuzz parse_units`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the library's own"
)]

// The pure modules by their path, so that fuzzing needs no librdkafka.
#[path = "../../../tools"]
mod library {
    pub mod units;
}

use library::units;
use libfuzzer_sys::fuzz_target;
use units::{
    format_duration_ms, format_size, format_time_ms, parse_duration, parse_instant_ms, parse_size,
    parse_time, parse_whole,
};

fuzz_target!(|text: &str| {
    if let Ok(duration) = parse_duration(text)
        && let Ok(ms) = i64::try_from(duration.as_millis())
        && ms < 10_000 * 365 * 86_400_000
    {
        let shown = parse_duration(&format_duration_ms(ms)).expect("what is shown is read");
        // Two units are shown: what is below an hour is cut off at most.
        let lost_ms = i128::from(ms) - shown.as_millis() as i128;
        assert!((0..3_600_000).contains(&lost_ms), "{text}: {ms} {shown:?}");
    }
    if let Ok(bytes) = parse_size(text) {
        let shown = parse_size(&format_size(bytes)).expect("what is shown is read");
        assert!(shown <= bytes && bytes - shown <= bytes / 10);
    }
    if let Ok(ms) = parse_instant_ms(text) {
        assert_eq!(parse_instant_ms(&format_time_ms(ms)), Ok(ms), "{text}");
        assert_eq!(parse_time(text, 0), Ok(ms), "{text}");
        if let Ok(seconds) = text.parse::<i32>() {
            let typed = parse_instant_ms(&format!("@{seconds}"));
            assert_eq!(typed, Ok(i64::from(seconds) * 1000), "{text}");
        }
    }
    let _ = parse_time(text, i64::MAX);
    let _ = parse_time(text, i64::MIN);
    if let Ok(number) = parse_whole::<i64>(text) {
        assert_eq!(text.parse(), Ok(number));
    }
});
