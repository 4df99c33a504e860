//! The main thread's part of a backup: which partition a record belongs to, and where segments end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tools::ack::{Position, ReadStart, StreamKey};
use tools::cli::message;
use tools::kafka::Options;
use tools::record::{Format, Record};
use tools::units::count;

use super::gaps;
use super::index::Target;
use super::partition::Partition;
use super::pool::{Job, Pool};
use super::settings::{Encoding, Settings};
use crate::destination::{Destination, Input, SourceEvent, Waiting};
use crate::head::Head;
use crate::metadata::{self, MetadataOptions};
use crate::prune;
use crate::segment::{Layout, LogId};
use crate::store::{self, Store};

/// A block of this size goes to the pool, and becomes one frame.
const BLOCK_BYTES: usize = 1024 * 1024;
/// How many jobs may wait, however small they are.
const MAX_JOBS: usize = 256;
/// How often to look for segments that have been open for too long.
const TICK: Duration = Duration::from_millis(200);

pub(crate) struct Backup {
    store: Arc<dyn Store>,
    settings: Settings,
    encoding: Encoding,
    partitions: Vec<Partition>,
    /// Where each topic's partitions are among them.
    topics: BTreeMap<String, BTreeMap<i32, usize>>,
    /// What is to be added to the topics' heads.
    heads: BTreeMap<String, Head>,
    pool: Pool,
    /// Bytes that the pool has not been given yet.
    pending_bytes: usize,
    /// Lead to the cluster that says where logs start, if one is known.
    options: Option<Options>,
    /// Where the partitions are read from of which no record has come yet.
    starts: Vec<ReadStart>,
    looked: Instant,
    updated: Instant,
}

impl Backup {
    /// A backup of records that come in `input`'s format; `options` lead to the cluster that they come from.
    ///
    /// # Errors
    /// The backup can't be opened.
    pub(crate) fn open(
        location: &str,
        input: &Format,
        settings: &Settings,
        options: Option<Options>,
    ) -> Result<Backup> {
        let store = store::open(location, &settings.access)?;
        if let Some(after) = settings.expire_after {
            prune::record_expiry(&*store, after)?;
        }
        allow_many_files();
        Ok(Backup {
            store,
            encoding: Encoding::new(input, settings),
            partitions: Vec::new(),
            topics: BTreeMap::new(),
            heads: BTreeMap::new(),
            pool: Pool::start(settings.codec)?,
            settings: settings.clone(),
            pending_bytes: 0,
            options,
            starts: Vec::new(),
            looked: Instant::now(),
            updated: Instant::now(),
        })
    }

    /// Takes a record, which came as a line.
    ///
    /// # Errors
    /// The record has no position, or the backup has another record there.
    #[inline]
    fn take(&mut self, input: &Input<'_>) -> Result<()> {
        let record = input.record;
        let (Some(topic), Some(partition), Some(offset)) =
            (record.topic, record.partition, record.offset)
        else {
            bail!("a record for a backup needs topic, partition and offset");
        };
        let at = self.find_or_begin(topic, partition)?;
        let region = self.partitions[at].region.as_ref();
        if region.is_none_or(|region| !region.offsets.contains(&offset)) {
            self.enter(at, record, offset)?;
        }
        self.add(at, input, offset, input.text)
    }

    /// Takes whole lines that have no position.
    fn take_lines(&mut self, input: &Input<'_>) -> Result<()> {
        if self.partitions.is_empty() {
            self.begin(LogId::Lines)?;
        }
        let mut lines = input.text;
        // Where a topic gets them too, they are records, whose times can't be read back from lines.
        let record = &Record::default();
        let input = &Input { record, ..*input };
        while !lines.is_empty() {
            let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
            self.add(0, input, 0, &lines[..end])?;
            lines = &lines[end..];
        }
        Ok(())
    }

    #[inline]
    fn add(&mut self, at: usize, input: &Input<'_>, offset: i64, line: &[u8]) -> Result<()> {
        let partition = &mut self.partitions[at];
        self.pending_bytes +=
            partition.add(input.record, offset, line, input.tag, &mut self.encoding)?;
        if partition.is_due(&self.settings.cut, offset) {
            self.send(at, true);
        } else if partition.pending_bytes() >= BLOCK_BYTES {
            self.send(at, false);
        }
        while self.pending_bytes > self.settings.block_bytes {
            let all = 0..self.partitions.len();
            let largest = all.max_by_key(|&at| self.partitions[at].pending_bytes());
            self.send(largest.unwrap_or(at), false);
        }
        Ok(())
    }

    #[inline]
    fn find(&self, topic: &str, partition: i32) -> Option<usize> {
        self.topics.get(topic)?.get(&partition).copied()
    }

    #[inline]
    fn find_or_begin(&mut self, topic: &str, partition: i32) -> Result<usize> {
        if let Some(at) = self.find(topic, partition) {
            return Ok(at);
        }
        let log = LogId::partition(topic, partition).map_err(anyhow::Error::msg)?;
        let at = self.begin(log)?;
        let known = self.topics.entry(topic.to_owned()).or_default();
        known.insert(partition, at);
        Ok(at)
    }

    /// Finds out what the backup has of a partition.
    #[cold]
    fn begin(&mut self, log: LogId) -> Result<usize> {
        let target = Target::open(&self.store, log)?;
        self.partitions.push(Partition::new(target));
        Ok(self.partitions.len() - 1)
    }

    /// Finds out where a record lies that is not where the one before was.
    #[cold]
    fn enter(&mut self, at: usize, record: &Record<'_>, offset: i64) -> Result<()> {
        let partition = &mut self.partitions[at];
        let starts_run = partition.region.is_none();
        // Before what is open is stored: that may be of another topic too.
        partition.enter(record, offset)?;
        if !starts_run {
            self.send(at, true);
            return Ok(());
        }
        let start = match &partition.target.log {
            LogId::Partition(topic, number) => take_start(&mut self.starts, topic, *number),
            LogId::Lines => None,
        };
        partition.start_run(start.as_ref(), offset)?;
        if partition.stored().is_some() {
            return Ok(());
        }
        let log_start = start.map(|start| start.log_start);
        gaps::report(partition, offset, log_start, &mut self.options)
    }

    /// Drops the open segment of a partition that another member of the group has now; returns the partition's target, if
    /// records of it have come.
    fn forget(&mut self, key: &StreamKey) -> Option<&Target> {
        let at = self.find(&key.topic, key.partition)?;
        let partition = &mut self.partitions[at];
        self.pending_bytes -= partition.pending_bytes();
        (partition.open, partition.region, partition.after) = (None, None, None);
        Some(&partition.target)
    }

    /// The source has read up to this position, and all that was received is stored: there are no other records before it.
    ///
    /// `start` is where it began if no line has come.
    fn pass(&mut self, position: &Position, start: Option<&ReadStart>) -> Result<()> {
        let StreamKey {
            topic, partition, ..
        } = &position.key;
        let at = self.find_or_begin(topic, *partition)?;
        // There may have been lines, and none of them a record.
        let known = take_start(&mut self.starts, topic, *partition);
        let partition = &mut self.partitions[at];
        partition.start_run(start.or(known.as_ref()), position.offset)?;
        // Where the backup has nothing before, it begins later.
        if let Some(after) = partition.after {
            let mut index = partition.target.index();
            index.claim(after + 1, position.offset - 1)?;
        }
        Ok(())
    }

    /// Closes the segments that have been open for `delay`.
    fn close_older(&mut self, delay: Duration) {
        for at in 0..self.partitions.len() {
            let open = self.partitions[at].open.as_ref();
            if open.is_some_and(|open| open.opened.elapsed() >= delay) {
                self.send(at, true);
            }
        }
    }

    /// Sends the open segment's block to the pool, to be compressed and, if the segment is whole, stored.
    fn send(&mut self, at: usize, is_whole: bool) {
        let partition = &mut self.partitions[at];
        let Some(open) = &mut partition.open else {
            return;
        };
        self.pending_bytes -= open.block.len();
        let is_large = open.block.len() >= BLOCK_BYTES / 2;
        let spare = is_large.then(|| self.pool.spare_blocks.pop()).flatten();
        let mut job = Job {
            target: Arc::clone(&partition.target),
            segment: Arc::clone(&open.segment),
            name: open.name.clone(),
            block: std::mem::replace(&mut open.block, spare.unwrap_or_default()),
            whole: None,
        };
        if is_whole {
            if open.records.is_unsorted {
                // Where a run went back and forth, what it left out is not known.
                partition.after = None;
            }
            job.whole = partition.open.take().map(|open| open.records);
        }
        self.pool.send(at, job);
    }

    /// Stores how far topics have come, with what others have stored of them.
    fn update_heads(&mut self) -> Result<()> {
        self.updated = Instant::now();
        for (topic, partitions) in &self.topics {
            let head = self.heads.entry(topic.clone()).or_default();
            for (number, at) in partitions {
                if let Some(span) = self.partitions[*at].target.index().span() {
                    head.extend(*number, span);
                }
            }
        }
        for (topic, head) in std::mem::take(&mut self.heads) {
            head.update(&*self.store, &topic)?;
        }
        Ok(())
    }
}

/// Takes out where a partition is read from.
fn take_start(starts: &mut Vec<ReadStart>, topic: &str, partition: i32) -> Option<ReadStart> {
    let is_of = |start: &ReadStart| start.topic == topic && start.partition == partition;
    let at = starts.iter().position(is_of)?;
    Some(starts.swap_remove(at))
}

impl Destination for Backup {
    fn write(&mut self, input: &Input<'_>, waiting: &mut Waiting<'_>) -> Result<()> {
        if self.encoding.layout == Layout::Text {
            self.take_lines(input)?;
        } else {
            self.take(input)
                .with_context(|| format!("line {}", input.line))?;
        }
        // This is what holds the input back.
        self.pool.wait(MAX_JOBS, self.settings.block_bytes, waiting)
    }

    fn tick(&mut self, _waiting: &mut Waiting<'_>) -> Result<()> {
        self.pool.poll()?;
        if self.looked.elapsed() < TICK {
            return Ok(());
        }
        self.looked = Instant::now();
        self.close_older(self.settings.max_delay);
        if self.updated.elapsed() >= self.settings.max_delay {
            self.update_heads()?;
        }
        Ok(())
    }

    fn take_durable(&mut self, take: &mut dyn FnMut(u64, u64)) {
        for (first, last) in self.pool.published.tags.drain(..) {
            take(first, last);
        }
    }

    fn flush(&mut self) {
        self.close_older(Duration::ZERO);
    }

    fn finish(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.flush();
        self.pool.wait(0, 0, waiting)?;
        self.update_heads()?;
        match self.pool.published.duplicate_records {
            0 => Ok(()),
            n => bail!(
                "{} stored twice, because another ktee stored them at the same moment: they are the same, and --cat and \
                 --restore give each once",
                count(n, "record")
            ),
        }
    }

    fn handle_event(&mut self, event: &SourceEvent<'_>) -> Result<()> {
        match event {
            SourceEvent::PartitionCounts(counts) => {
                for (topic, count) in *counts {
                    if LogId::partition(topic, 0).is_ok() {
                        // Not written at once: the topic may be another one of the same name.
                        let head = self.heads.entry(topic.clone()).or_default();
                        head.add(&Head::of_partitions(*count));
                    }
                }
            }
            SourceEvent::NewStream(key, start) => {
                take_start(&mut self.starts, &key.topic, key.partition);
                self.starts.extend(start.cloned());
                // The partition was another member's meanwhile, maybe.
                if let Some(target) = self.forget(key) {
                    target.index().list_again()?;
                }
            }
            SourceEvent::Passed(position, start) => return self.pass(position, *start),
            SourceEvent::Released(key) => {
                take_start(&mut self.starts, &key.topic, key.partition);
                self.forget(key);
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        options: &Options,
        wanted: &MetadataOptions,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        let topics: BTreeSet<&String> = self.topics.keys().chain(&wanted.topics).collect();
        if topics.is_empty() || interrupted() {
            return Ok(());
        }
        let topics: Vec<String> = topics.into_iter().cloned().collect();
        match metadata::record(&*self.store, options, &topics, wanted, interrupted) {
            Err(error) if *wanted == MetadataOptions::default() => {
                // Nobody has asked for it: the backup has its records all the same.
                message(format_args!(
                    "how many partitions there are is not known: {error:#}"
                ));
                Ok(())
            }
            recorded => recorded,
        }
    }

    fn summary(&self) -> Option<String> {
        let published = &self.pool.published;
        (published.known_records > 0).then(|| {
            format!(
                "{} already in the backup, {} added",
                count(published.known_records, "record"),
                published.stored_records,
            )
        })
    }
}

/// Each partition with an open segment has an open file: as many as the system allows, instead of the usual 1024.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // What is refused leaves the limit as it was, which a few partitions fit into.
    let _ = setrlimit(Resource::Nofile, most);
}
