//! Split mode: a file for each partition, with bounded memory and descriptors however many there are.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result};
use lru::LruCache;
use tools::partition::{Partition, Partitioner};

use crate::keys::Key;
use crate::lines::Sink;

/// Bytes held back for one file.
const FILE_BYTES: usize = 64 * 1024;
/// Bytes held back for all files together.
const TOTAL_BYTES: usize = 32 * 1024 * 1024;
/// Files kept open: enough that few are opened twice, below the usual limit of 1024.
const OPEN_FILES: usize = 512;
/// Descriptors that the process needs for other things.
const OTHER_FILES: usize = 32;

/// A file's name with `{}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    fn path(&self, partition: i64) -> PathBuf {
        fill_in(&self.0, partition).into()
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        if text.contains("{}") {
            return Ok(Pattern(text.to_owned()));
        }
        Err("the name needs {} where the partition goes".to_owned())
    }
}

/// `text` with the partition for every `{}`.
pub(crate) fn fill_in(text: &str, partition: i64) -> String {
    text.replace("{}", &partition.to_string())
}

/// Writes each line to its partition's file.
pub(crate) struct Split {
    partitioner: Partitioner,
    pattern: Pattern,
    open: LruCache<i64, File>,
    held: HashMap<i64, Vec<u8>>,
    held_bytes: usize,
}

impl Split {
    /// Creates every partition's file, empty: none keeps lines of an earlier run, and
    /// who loads them finds one for each partition.
    ///
    /// # Errors
    /// A file cannot be created.
    pub(crate) fn new(partitioner: Partitioner, pattern: Pattern) -> Result<Split> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit.map_or(OPEN_FILES, |limit| limit as usize);
        let open_files = limit.saturating_sub(OTHER_FILES).clamp(1, OPEN_FILES);
        let mut split = Split {
            partitioner,
            pattern,
            open: LruCache::new(NonZeroUsize::new(open_files).unwrap_or(NonZeroUsize::MIN)),
            held: HashMap::new(),
            held_bytes: 0,
        };
        for partition in 0..split.partitioner.partitions().unwrap_or(0) {
            split.create(i64::from(partition))?;
        }
        let random = Partition::Random.label();
        if split.pattern.path(random).exists() {
            split.create(random)?;
        }
        Ok(split)
    }

    fn create(&mut self, partition: i64) -> Result<()> {
        let path = self.pattern.path(partition);
        let file =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        self.open.put(partition, file);
        Ok(())
    }

    /// Writes out what is held back for a partition.
    fn write(&mut self, partition: i64, lines: &[u8]) -> Result<()> {
        let path = || self.pattern.path(partition);
        if !self.open.contains(&partition) {
            // The random partition's file is created here, by the first line that needs it.
            let file = OpenOptions::new().append(true).create(true).open(path());
            let file = file.with_context(|| format!("cannot open {}", path().display()))?;
            self.open.put(partition, file);
        }
        let mut file = self
            .open
            .get(&partition)
            .context("the file was just opened")?;
        file.write_all(lines)
            .with_context(|| format!("cannot write to {}", path().display()))
    }

    fn write_all(&mut self) -> Result<()> {
        let mut held: Vec<(i64, Vec<u8>)> = self.held.drain().collect();
        held.sort_unstable_by_key(|(partition, _)| *partition);
        self.held_bytes = 0;
        held.iter()
            .try_for_each(|(partition, lines)| self.write(*partition, lines))
    }
}

impl Sink for Split {
    fn line(&mut self, key: Key<'_>, line: &[u8]) -> Result<()> {
        let partition = self.partitioner.place(key)?.label();
        let held = self.held.entry(partition).or_default();
        held.extend_from_slice(line);
        self.held_bytes += line.len();
        if held.len() >= FILE_BYTES {
            self.held_bytes -= held.len();
            let mut lines = std::mem::take(held);
            self.write(partition, &lines)?;
            lines.clear();
            self.held.insert(partition, lines);
        }
        if self.held_bytes >= TOTAL_BYTES {
            self.write_all()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.write_all()
    }

    fn finish(mut self, _whole: bool) -> Result<()> {
        self.write_all()
    }
}
