//! Where a backup is: a folder, or a bucket of an object store. Files appear in it whole or not at all.

#[cfg(feature = "object-store")]
mod bucket;
mod folder;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::TempPath;

use crate::segment::Manifest;

/// What came of an attempt to create a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is there, durably.
    New,
    /// There was one of this name already, which was left as it is.
    Exists,
}

/// A file that grows until it is whole, and that nobody takes for a segment before; gone when dropped.
pub(crate) struct TempSegment {
    pub(crate) file: File,
    /// Its name; none where it has none.
    path: Option<TempPath>,
}

/// How a store is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// Segments will be stored: a folder that is not there is made, a bucket has to refuse to overwrite objects.
    pub(crate) for_writing: bool,
    /// Nobody else writes to it, so a bucket that overwrites objects will do.
    pub(crate) single_writer: bool,
    /// How long a request to a bucket is tried again; `None` where the user says nothing.
    pub(crate) retry_for: Option<Duration>,
}

/// A folder or bucket. Paths are relative to its root, `/` between folders.
pub(crate) trait Store: Send + Sync {
    /// The paths of all files in `folder` and below it, in no order; none where there is no such folder.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// The files of `folder` whose names sort behind `file`, those of folders in it not.
    fn list_behind(&self, folder: &str, file: &str) -> Result<Vec<String>>;

    /// The content of a file; `None` where there is none of this name.
    fn read(&self, path: &str) -> Result<Option<Box<dyn Read + Send>>>;

    /// An empty file for a segment that will be in `folder`.
    fn temp_segment(&self, folder: &str) -> Result<TempSegment>;

    /// Keeps other writers out of `folder` for as long as it is held, where there is a way to do that.
    fn lock(&self, folder: &str) -> Result<Option<File>>;

    /// Makes `temp` the segment at `path`, with its manifest, durably, unless there is one already.
    fn create(&self, path: &str, temp: &mut TempSegment, manifest: &Manifest) -> Result<Created>;

    /// Writes a small file, durably, in place of one that may be there.
    fn replace(&self, path: &str, content: &[u8]) -> Result<()>;

    /// Gives a file another name, which nothing has.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    fn remove(&self, path: &str) -> Result<()>;
}

/// Whether an operand names a backup rather than a file: a URL, an existing folder, or a `/` at its end.
pub(crate) fn is_place(operand: &str) -> bool {
    scheme(operand).is_some() || operand.ends_with('/') || Path::new(operand).is_dir()
}

pub(crate) fn is_bucket(operand: &str) -> bool {
    scheme(operand).is_some_and(|scheme| ["s3", "s3a", "gs", "az"].contains(&scheme))
}

/// The store at `location`.
///
/// # Errors
/// A URL of an unknown kind, credentials that are missing, a folder that can't be made, a bucket that overwrites objects.
pub(crate) fn open(location: &str, access: &Access) -> Result<Arc<dyn Store>> {
    let folder = |path: &str| -> Result<Arc<dyn Store>> {
        let folder = folder::Folder::open(Path::new(path), access.for_writing)?;
        Ok(Arc::new(folder))
    };
    match scheme(location) {
        None => folder(location),
        Some("file") => folder(location.strip_prefix("file://").unwrap_or(location)),
        #[cfg(feature = "object-store")]
        Some("s3" | "s3a" | "gs" | "az") => Ok(Arc::new(bucket::Bucket::open(location, access)?)),
        #[cfg(not(feature = "object-store"))]
        Some("s3" | "s3a" | "gs" | "az") => {
            bail!("{location}: this ktee was built without object stores")
        }
        Some(other) => bail!("{location}: {other}:// is none of s3, gs, az, file"),
    }
}

/// A URL without the user and password that it may have; anything else as it is.
pub(crate) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://***@{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

fn scheme(location: &str) -> Option<&str> {
    let (scheme, _) = location.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric());
    is_scheme.then_some(scheme)
}
