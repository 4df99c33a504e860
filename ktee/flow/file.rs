//! A plain file that gets the stream as it is, and is synced at the end.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::Result;

/// A file that is open for writing.
pub(super) struct FileSink {
    file: File,
}

impl FileSink {
    pub(super) fn open(path: &Path, append: bool) -> Result<FileSink> {
        let mut options = OpenOptions::new();
        options
            .create(true)
            .write(true)
            .append(append)
            .truncate(!append);
        Ok(FileSink {
            file: options.open(path)?,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Waits until the disk has it.
    pub(super) fn sync(&mut self) -> Result<()> {
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
