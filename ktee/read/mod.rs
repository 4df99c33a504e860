//! From the files of a backup to records.
//!
//! - [`segment`]: one segment, record by record, its checksum counted on the way.
//! - [`catalog`]: which segments there are, and what their manifests say.

pub(crate) mod catalog;
pub(crate) mod segment;

pub(crate) use catalog::Catalog;
pub(crate) use segment::Reader;
