//! From the files of a backup to records.
//!
//! - [`segment`]: one segment, record by record, its checksum counted on the way.
//! - [`inventory`]: which segments there are, and what their manifests say.
//! - [`merge`]: the records of a partition in order, each once.
//! - [`progress`]: progress on a terminal, and signals.
//! - [`select`]: which of them are wanted.

pub(crate) mod inventory;
pub(crate) mod merge;
pub(crate) mod progress;
pub(crate) mod segment;
pub(crate) mod select;

pub(crate) use inventory::{Inventory, ListedLog, StoredLog};
pub(crate) use progress::{Interrupted, ReadProgress};
pub(crate) use segment::Reader;
pub(crate) use select::Selection;
