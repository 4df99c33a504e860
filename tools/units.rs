//! Durations, sizes and times, parsed and printed. Pure.
//!
//! Everything is parsed whole: `1x` or `5 apples` is an error, never 1 or 5.
//! Errors are sentences that a command line can show as they are.

mod age;
mod duration;
mod number;
mod size;
mod time;

pub use age::{CLOCK_TOLERANCE_MS, age_ms, is_in_future};
pub use duration::{format_duration_ms, parse_duration, parse_positive_duration};
pub use number::parse_whole;
pub use size::{format_size, parse_size};
pub use time::{format_time_ms, parse_instant_ms, parse_time};

/// A number of things: `1 record`, `2 records`.
pub fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
