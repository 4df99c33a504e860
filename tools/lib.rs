//! What the five programs share: modules, each of which uses only those below it.
//!
//! - [`cli`]: what a program of this toolkit is made of: exit codes, signals, checked stdout, progress, shared options.
//! - [`kafka`]: everything that talks to a cluster; the only place that knows librdkafka, and that has `unsafe`.
//! - [`serve`]: the exporters' HTTP server: metrics, a page, TLS and users.
//! - [`ack`]: the protocol by which a pipe acknowledges records, and its sink.
//! - [`schema`]: values serialized with a schema to JSON and back, and the client of a schema registry.
//! - [`record`]: records to bytes and back, in four formats. Pure.
//! - [`partition`]: from a key to a partition, as each client and database does it. Pure.
//! - [`report`]: columns and rows to table, TSV, CSV, JSON and Prometheus text. Pure.
//! - [`units`]: durations, sizes and times, parsed and printed. Pure.
//! - [`http`]: what clients of HTTP share.
//! - [`near`]: the name that was meant where another was typed. Pure.
//! - [`text`]: escapes, hexadecimal digits, and what a terminal must not receive. Pure.
//!
//! The way of a record, and of an answer, through the modules:
//!
//! ```text
//! stdin   -> cli::stdin -> record::decode -> partition -> kafka::produce -> delivery reports -> exit code
//! cluster -> kafka::fetch, kafka::group -> record::encode -> cli::stdout, checked -> commit
//! cluster -> kafka::admin: plain rows -> a program's pure functions -> report -> cli::stdout
//! ```
//!
//! What is in here has two users at least. What one program alone does is in its own folder.

pub mod ack;
pub mod cli;
#[cfg(any(feature = "oidc", feature = "schema-registry"))]
pub mod http;
pub mod kafka;
pub mod near;
pub mod partition;
mod poll;
pub mod record;
pub mod report;
#[cfg(feature = "schema-registry")]
pub mod schema;
pub mod serve;
pub mod text;
pub mod units;
