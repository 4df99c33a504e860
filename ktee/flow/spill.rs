//! `--spill FILE`: the records that a topic did not take, as `--tsv=all`, so that they can be sent once more.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use tools::cli::message;
use tools::record::{Encoder, Record};
use tools::units::count;

use crate::read::segment::format;
use crate::segment::Layout;

/// How much is looked through at a time for the end of the last line.
const BLOCK_BYTES: u64 = 64 * 1024;

/// The file, which is only ever added to: what it holds of an earlier run may be nowhere else.
pub(super) struct Spill {
    file: File,
    path: PathBuf,
    encoder: Encoder,
    line: Vec<u8>,
    /// Its length up to the end of the last whole line.
    whole_bytes: u64,
    is_synced: bool,
}

impl Spill {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// It can't be written, is no plain file, or is another program's at the moment.
    pub(super) fn open(path: &Path) -> Result<Spill> {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        let mut file = options.create(true).read(true).append(true).open(path)?;
        if !file.metadata()?.is_file() {
            bail!("not a plain file");
        }
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another ktee spills into it");
        }
        if is_new {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let whole_bytes = cut_torn_line(&mut file, path)?;
        Ok(Spill {
            file,
            path: path.to_owned(),
            encoder: Encoder::new(format(Layout::Tsv).context("a format")?),
            line: Vec::new(),
            whole_bytes,
            is_synced: true,
        })
    }

    /// Adds a record. After an error the file ends with the record before it.
    pub(super) fn add(&mut self, record: &Record<'_>) -> Result<()> {
        let name = || format!("cannot write {}", self.path.display());
        self.line.clear();
        self.encoder.encode(record, &mut self.line)?;
        if let Err(error) = self.file.write_all(&self.line) {
            self.file.set_len(self.whole_bytes).with_context(name)?;
            return Err(error).with_context(name);
        }
        self.whole_bytes += self.line.len() as u64;
        self.is_synced = false;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        if !self.is_synced {
            let synced = self.file.sync_all();
            synced.with_context(|| format!("cannot write {}", self.path.display()))?;
            self.is_synced = true;
        }
        Ok(())
    }

    pub(super) fn name(&self) -> impl std::fmt::Display + '_ {
        self.path.display()
    }
}

/// Takes a line without an end off the end, which a kill leaves, or the next record would go on in it; says what is left.
fn cut_torn_line(file: &mut File, path: &Path) -> Result<u64> {
    let bytes = file.metadata()?.len();
    let mut end = bytes;
    let mut whole = 0;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        block.resize((end - start) as usize, 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        if let Some(newline) = memchr::memrchr(b'\n', &block) {
            whole = start + newline as u64 + 1;
            break;
        }
        end = start;
    }
    if whole < bytes {
        message(format_args!(
            "{}: the last {} are a line without an end, as a kill leaves it, and were cut off",
            path.display(),
            count(bytes - whole, "byte"),
        ));
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &[u8]) -> Record<'_> {
        Record {
            topic: Some("t"),
            partition: Some(1),
            value: Some(value),
            ..Record::default()
        }
    }

    #[test]
    fn records_are_added_behind_the_last_whole_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spill");
        let long = vec![b'x'; 2 * BLOCK_BYTES as usize];
        std::fs::write(&path, [b"old\n", &long[..]].concat()).expect("it is written");
        let mut spill = Spill::open(&path).expect("it is opened");
        assert!(
            Spill::open(&path).is_err(),
            "two would cut each other's lines"
        );
        spill.add(&record(b"a\tb")).expect("it is added");
        spill.sync().expect("it is synced");
        assert_eq!(
            std::fs::read_to_string(&path).expect("it is there"),
            "old\nt\t1\t\\N\t\\N\t\\N\ta\\tb\t\\N\n"
        );
    }

    #[test]
    fn a_file_of_one_torn_line_is_empty_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spill");
        std::fs::write(&path, "t\t0").expect("it is written");
        drop(Spill::open(&path).expect("it is opened"));
        assert_eq!(std::fs::read(&path).ok().as_deref(), Some(&b""[..]));
    }
}
