//! A plain file that gets the stream as it is, and is synced at the end.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Result;

use crate::destination::{Destination, Waiting};

/// The reader of a pipe has left, which is no failure.
#[derive(Debug, thiserror::Error)]
#[error("its reader has left")]
pub(super) struct ReaderLeft;

pub(super) struct FileSink {
    file: File,
    /// Whether the reader of a pipe must not leave.
    must_stay: bool,
}

impl FileSink {
    pub(super) fn open(path: &Path, append: bool, must_stay: bool) -> Result<FileSink> {
        let mut options = OpenOptions::new();
        options
            .create(true)
            .write(true)
            .append(append)
            .truncate(!append);
        Ok(FileSink {
            file: options.open(path)?,
            must_stay,
        })
    }
}

impl Destination for FileSink {
    fn pass(&mut self, bytes: &[u8]) -> Result<()> {
        match self.file.write_all(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && !self.must_stay => {
                Err(ReaderLeft.into())
            }
            written => Ok(written?),
        }
    }

    fn finish(&mut self, _waiting: &mut Waiting<'_>) -> Result<()> {
        match self.file.sync_all() {
            // A pipe, a terminal, a device: there is nothing to sync.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidInput | ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            synced => Ok(synced?),
        }
    }
}
