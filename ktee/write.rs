//! From records to the segments of a backup.
//!
//! The main thread sorts records by partition and into segments ([`backup`]);
//! a pool of threads compresses and stores them ([`pool`]). What the main
//! thread knows of stored segments ([`index`]) only helps it to cut: whether
//! a record is stored, new or another one is decided when its segment is
//! whole ([`publish`], [`merge`]), so that nothing depends on the order of runs.

pub(crate) mod backup;
mod gaps;
mod index;
mod merge;
mod partition;
mod pool;
mod publish;
pub(crate) mod settings;
#[cfg(test)]
mod tests;

pub(crate) use backup::Backup;
pub(crate) use settings::Settings;
