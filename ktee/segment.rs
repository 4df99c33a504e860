//! A segment: some records of one partition, in their order, as one compressed file with a manifest beside it.
//!
//! - [`name`]: where a segment is, and which topics may have one.
//! - [`marker`]: what is recorded of offsets that have no records.
//! - [`manifest`]: what a segment holds, in a form that `sha256sum -c` reads.
//! - [`codec`]: compression, in frames that one tool decompresses as one file.
//! - [`cut`]: when a segment is whole.

pub(crate) mod codec;
pub(crate) mod cut;
pub(crate) mod manifest;
pub(crate) mod marker;
pub(crate) mod name;

pub(crate) use codec::Codec;
pub(crate) use cut::{Cut, LinesDigest};
pub(crate) use manifest::Manifest;
pub(crate) use marker::{RangeMarker, RangeStatus};
pub(crate) use name::{Layout, LogId, Name};
