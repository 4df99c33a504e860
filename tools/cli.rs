//! What a program of this toolkit is made of: exit codes, signals, checked stdout, progress, shared options.
//!
//! A program is one call of [`run`]. What it returns is the only way out, so
//! that the exit code has one place and cron can trust it.

mod completions;
pub mod connection;
mod environment;
pub mod exit;
pub mod file;
pub mod format;
mod hints;
pub mod listen;
pub mod logger;
pub mod message;
pub mod names;
pub mod parse;
pub mod progress;
pub mod report;
pub mod signals;
pub mod stdin;
pub mod stdout;
pub mod target;
pub mod watch;

use std::time::{SystemTime, UNIX_EPOCH};

pub use exit::{Exit, Unknown, run};
pub use message::{message, messages, visible};
pub use parse::{option_name, parse, parse_last, parse_with_environment};

/// The wall-clock time in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}
