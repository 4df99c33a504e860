//! The integration tests, one binary.
//!
//! Each module is one subject; `testkit` is what they all stand on. A test that needs a server asks the testkit
//! for one and is skipped by name where there is none; `KAFKAUTILS_REQUIRE_KAFKA=1` makes every skip a failure.

// A test that unwraps an error says where and what: that is all a test's error handling has to do.
#![allow(clippy::unwrap_used)]

/// Standard descriptors that are closed.
mod closed;
/// The documents: what their commands print, and that their options are those of the programs.
mod docs;
/// Packages: what is in them, in a system with nothing else.
mod install;
/// klag: lag against the truth, checks, the exporter.
mod klag;
/// kpart: labels, files, commands, counts.
mod kpart;
/// ktee: copies, backups, and the way back.
mod ktee;
/// Real brokers, mock clusters, commands with deadlines, foreign clients as witnesses.
mod testkit;

/// kcat-lite: produce, consume, groups, listings, the mock, and what must never be lost.
mod kcat_lite;

/// koldest: exact times on every kind of log, forecasts against brokers that delete, checks, brokers that hang.
mod koldest;

/// Lines that a killed program leaves torn.
mod torn;

/// Values that are serialized with a schema, on a real registry and by foreign clients.
#[cfg(feature = "schema-registry")]
mod schema;

/// Whole pipelines on the embedded cluster.
mod pipeline;

/// Who is let in and who is not; what a message says, and what none may show.
mod security;

/// The README's recipes, as they stand there.
mod recipes;

/// Requests of our own over librdkafka's connections.
mod wire;

/// All programs while everything breaks.
mod chaos;

/// All programs while somebody sets the clock.
mod clock;

/// The programs that run for ever.
mod soak;
