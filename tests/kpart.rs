//! kpart, as a shell runs it.

/// Commands fed by `--exec`.
mod exec;
/// Labels on stdout.
mod label;
/// From a topic into the hash partitions of a PostgreSQL table.
mod shards;
/// `--skew`.
mod skew;
/// Files written by `--split`.
mod split;
/// The number of partitions from Kafka.
mod topic;
