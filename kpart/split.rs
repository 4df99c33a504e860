//! Split mode: a file for each partition, with bounded memory and file descriptors.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, Result};
use lru::LruCache;
use tools::partition::{Partition, Partitioner};

use crate::keys::Key;
use crate::lines::Sink;
use crate::template::PartitionTemplate;

/// Bytes buffered for one file.
const FILE_BYTES: usize = 64 * 1024;
/// Bytes buffered for all files together.
const TOTAL_BYTES: usize = 32 * 1024 * 1024;
/// Files kept open: enough that few are opened twice, below the usual limit of 1024.
const OPEN_FILES: usize = 512;
/// Descriptors that the process needs for other things.
const OTHER_FILES: usize = 32;

/// Writes each line to its partition's file.
pub(crate) struct Split {
    partitioner: Partitioner,
    files: PartitionTemplate,
    open: LruCache<i64, File>,
    buffers: HashMap<i64, Vec<u8>>,
    buffered_bytes: usize,
}

impl Split {
    /// Creates every partition's file, empty: none keeps lines of an earlier run, and
    /// partitions without records have a file too.
    pub(crate) fn new(partitioner: Partitioner, files: PartitionTemplate) -> Result<Split> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit.map_or(OPEN_FILES, |limit| limit as usize);
        let open_files = limit.saturating_sub(OTHER_FILES).clamp(1, OPEN_FILES);
        let mut split = Split {
            partitioner,
            files,
            open: LruCache::new(NonZeroUsize::new(open_files).unwrap_or(NonZeroUsize::MIN)),
            buffers: HashMap::new(),
            buffered_bytes: 0,
        };
        for partition in 0..split.partitioner.partitions().unwrap_or(0) {
            split.create(i64::from(partition))?;
        }
        let random = Partition::Random.label();
        if Path::new(&split.files.fill(random)).exists() {
            split.create(random)?;
        }
        Ok(split)
    }

    fn create(&mut self, partition: i64) -> Result<()> {
        let path = self.files.fill(partition);
        let file = File::create(&path).with_context(|| format!("cannot create {path}"))?;
        self.open.put(partition, file);
        Ok(())
    }

    fn write(&mut self, partition: i64, lines: &[u8]) -> Result<()> {
        let path = || self.files.fill(partition);
        if !self.open.contains(&partition) {
            // The random partition's file is created here, by the first line that needs it.
            let file = OpenOptions::new().append(true).create(true).open(path());
            let file = file.with_context(|| format!("cannot open {}", path()))?;
            self.open.put(partition, file);
        }
        let mut file = self
            .open
            .get(&partition)
            .context("the file was just opened")?;
        file.write_all(lines)
            .with_context(|| format!("cannot write to {}", path()))
    }

    fn write_all(&mut self) -> Result<()> {
        let mut buffers: Vec<(i64, Vec<u8>)> = self.buffers.drain().collect();
        buffers.sort_unstable_by_key(|(partition, _)| *partition);
        self.buffered_bytes = 0;
        buffers
            .iter()
            .try_for_each(|(partition, lines)| self.write(*partition, lines))
    }
}

impl Sink for Split {
    fn line(&mut self, key: Key<'_>, line: &[u8]) -> Result<()> {
        let partition = self.partitioner.partition(key)?.label();
        let buffer = self.buffers.entry(partition).or_default();
        buffer.extend_from_slice(line);
        self.buffered_bytes += line.len();
        if buffer.len() >= FILE_BYTES {
            self.buffered_bytes -= buffer.len();
            let mut lines = std::mem::take(buffer);
            self.write(partition, &lines)?;
            lines.clear();
            self.buffers.insert(partition, lines);
        }
        if self.buffered_bytes >= TOTAL_BYTES {
            self.write_all()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.write_all()
    }

    fn finish(mut self, _is_complete: bool) -> Result<()> {
        self.write_all()
    }
}
