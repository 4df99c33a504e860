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

pub use exit::{Exit, Unknown, run};
pub use message::{message, messages, visible};
pub use parse::{option_name, parse, parse_last, parse_with_environment};
