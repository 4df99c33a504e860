//! From the files of a backup to records.
//!
//! - [`segment`]: one segment, record by record, its checksum counted on the way.
//! - [`catalog`]: which segments there are, and what their manifests say.
//! - [`merge`]: the records of a partition in order, each once.
//! - [`passage`]: progress on a terminal, and signals.
//! - [`select`]: which of them are wanted.

pub(crate) mod catalog;
pub(crate) mod merge;
pub(crate) mod passage;
pub(crate) mod segment;
pub(crate) mod select;

pub(crate) use catalog::{Catalog, Shelf};
pub(crate) use passage::{Interrupted, Passage};
pub(crate) use segment::Reader;
pub(crate) use select::Selection;
