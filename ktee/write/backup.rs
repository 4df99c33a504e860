//! The main thread's part of a backup: which partition a record belongs to, and where segments end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tools::ack::{Position, ReadStart, StreamKey};
use tools::cli::message;
use tools::kafka::Options;
use tools::record::{Format, Record};

use super::gaps;
use super::index::Target;
use super::partition::{Encoding, Partition};
use super::pool::{Job, Pool};
use super::publish::Publisher;
use super::settings::{Settings, encoder, has_positions};
use super::totals::Totals;
use crate::destination::{Destination, Input, SourceEvent, Waiting};
use crate::metadata::{self, MetadataOptions};
use crate::prune;
use crate::segment::{Layout, LogId};
use crate::store::{self, Store};

/// A block goes to the pool with so many bytes, and becomes one frame.
const BLOCK_BYTES: usize = 1024 * 1024;
/// How often it is looked for segments that have been open for too long.
const TICK: Duration = Duration::from_millis(200);

pub(crate) struct Backup {
    store: Arc<dyn Store>,
    settings: Settings,
    /// Whether records have positions, or are lines.
    takes_positions: bool,
    encoding: Encoding,
    partitions: Vec<Partition>,
    /// Where each topic's partitions are among them.
    topics: BTreeMap<String, BTreeMap<i32, usize>>,
    pool: Pool,
    /// Bytes in the open segments' blocks.
    pending_bytes: usize,
    totals: Totals,
    /// Lead to the cluster that says where logs start, if one is known.
    options: Option<Options>,
    /// Where the next partition is read from that comes for the first time.
    start: Option<ReadStart>,
    looked: Instant,
    updated: Instant,
}

impl Backup {
    /// A backup of records that come in `input`'s format; `options` lead to the cluster that they come from.
    ///
    /// # Errors
    /// The backup can't be opened.
    pub(crate) fn open(
        log: &str,
        input: &Format,
        settings: &Settings,
        options: Option<Options>,
    ) -> Result<Backup> {
        let store = store::open(log, &settings.access)?;
        if let Some(after) = settings.expire_after {
            prune::record_expiry(&*store, after)?;
        }
        allow_many_files();
        let takes_positions = has_positions(input);
        let layout = if takes_positions {
            settings.layout
        } else {
            Layout::Text
        };
        let publisher = Publisher {
            store: Arc::clone(&store),
            codec: settings.codec,
            layout,
        };
        Ok(Backup {
            store,
            takes_positions,
            encoding: Encoding {
                encoder: encoder(input, layout),
                codec: settings.codec,
            },
            partitions: Vec::new(),
            topics: BTreeMap::new(),
            // Half of the memory is for blocks that grow, half for those that wait.
            pool: Pool::start(publisher, settings.buffer_bytes / 2)?,
            settings: settings.clone(),
            pending_bytes: 0,
            totals: Totals::default(),
            options,
            start: None,
            looked: Instant::now(),
            updated: Instant::now(),
        })
    }

    /// Takes a record, which came as `line`; `tag` is handed over when it is durable.
    ///
    /// # Errors
    /// The record has no position, the backup has another record there, or the backup has failed.
    #[inline]
    fn take(
        &mut self,
        record: &Record<'_>,
        line: &[u8],
        tag: Option<u64>,
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        let (Some(topic), Some(partition), Some(offset)) =
            (record.topic, record.partition, record.offset)
        else {
            bail!("a record for a backup needs topic, partition and offset");
        };
        let at = self.find_or_begin(topic, partition)?;
        if !self.partitions[at].is_in_region(offset) {
            self.enter(at, record, offset, line, waiting)?;
        }
        let partition = &mut self.partitions[at];
        let bytes = partition.add(record, offset, line, tag, &mut self.encoding)?;
        self.grow(at, bytes, offset, waiting)
    }

    /// The open segment has grown by so many bytes, up to this offset.
    #[inline]
    fn grow(
        &mut self,
        at: usize,
        bytes: usize,
        offset: i64,
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        self.pending_bytes += bytes;
        if self.partitions[at].is_due(&self.settings.cut, offset) {
            return self.close(at, waiting);
        }
        self.pass_on(at, waiting)
    }

    #[inline]
    fn find(&self, topic: &str, partition: i32) -> Option<usize> {
        self.topics.get(topic)?.get(&partition).copied()
    }

    #[inline]
    fn find_or_begin(&mut self, topic: &str, partition: i32) -> Result<usize> {
        match self.find(topic, partition) {
            Some(at) => Ok(at),
            None => self.begin(topic, partition),
        }
    }

    /// Takes whole lines that have no position.
    fn take_lines(
        &mut self,
        lines: &[u8],
        tag: Option<u64>,
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        if self.partitions.is_empty() {
            let target = Target::open(&self.store, LogId::Lines)?;
            let last = target.index().span().map(|(_, last)| last);
            self.partitions.push(Partition::new(target, last));
        }
        let mut rest = lines;
        while !rest.is_empty() {
            let partition = &mut self.partitions[0];
            let end = partition.add_lines(rest, tag, &self.settings.cut, self.settings.codec);
            rest = &rest[end..];
            self.grow(0, end, 0, waiting)?;
        }
        Ok(())
    }

    /// Drops what is not whole of a partition that another member of the group has now; the next record looks again at what
    /// is there.
    fn forget(&mut self, key: &StreamKey) {
        if let Some(at) = self.find(&key.topic, key.partition)
            && let Some(open) = self.partitions[at].forget()
        {
            self.pending_bytes -= open.block.len();
            self.pool.send(at, &self.partitions[at].target, Job::Drop);
        }
    }

    /// The source has read up to this position, and all that was received is stored: there are no other records before it.
    ///
    /// `start` is where it began if no record has come.
    fn pass(&mut self, position: &Position, start: Option<&ReadStart>) -> Result<()> {
        let at = self.find_or_begin(&position.key.topic, position.key.partition)?;
        let partition = &self.partitions[at];
        let after = partition.after.map(|after| after + 1);
        let from = after.or(start.and_then(|start| start.from));
        let mut index = partition.target.index();
        match from {
            Some(from) if index.last_before(from)?.is_some() => {
                index.claim(from, position.offset - 1)
            }
            // Where the backup has nothing before, it begins later.
            _ => Ok(()),
        }
    }

    /// Closes the segments that have been open for so long.
    fn close_older(&mut self, delay: Duration, waiting: &mut Waiting<'_>) -> Result<()> {
        for at in 0..self.partitions.len() {
            let open = self.partitions[at].open.as_ref();
            if open.is_some_and(|open| open.opened.elapsed() >= delay) {
                self.close(at, waiting)?;
            }
        }
        Ok(())
    }

    fn note_outcomes(&mut self) -> Result<()> {
        self.pool.poll()?;
        for published in self.pool.published.drain(..) {
            self.totals.add(published);
        }
        Ok(())
    }

    fn update_heads(&mut self) -> Result<()> {
        self.updated = Instant::now();
        self.totals.update_heads(&*self.store, &self.partitions)
    }

    /// Looks what the backup has of a partition.
    #[cold]
    fn begin(&mut self, topic: &str, partition: i32) -> Result<usize> {
        let log = LogId::partition(topic, partition).map_err(anyhow::Error::msg)?;
        let at = self.partitions.len();
        self.partitions
            .push(Partition::new(Target::open(&self.store, log)?, None));
        let known = self.topics.entry(topic.to_owned()).or_default();
        known.insert(partition, at);
        Ok(at)
    }

    /// Looks where a record lies that is not where the one before was.
    #[cold]
    fn enter(
        &mut self,
        at: usize,
        record: &Record<'_>,
        offset: i64,
        line: &[u8],
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        let partition = &mut self.partitions[at];
        let starts_run = partition.region.is_none();
        let encoding = &mut self.encoding;
        // Before what is open is stored: that may be of another topic too.
        partition.enter(&*self.store, record, offset, || {
            encoding.digest(record, line)
        })?;
        self.close(at, waiting)?;
        if starts_run {
            let (partition, start) = (&mut self.partitions[at], self.start.take());
            partition.start_run(start.as_ref(), offset)?;
            if !partition.is_known() {
                let start = start.map(|start| start.log_start);
                gaps::report(
                    &*self.store,
                    partition,
                    offset,
                    start,
                    &mut self.options,
                    waiting,
                )?;
            }
        }
        Ok(())
    }

    /// Passes blocks on when they are large, or when all of them together are.
    fn pass_on(&mut self, at: usize, waiting: &mut Waiting<'_>) -> Result<()> {
        let block =
            |partition: &Partition| partition.open.as_ref().map_or(0, |open| open.block.len());
        if block(&self.partitions[at]) >= BLOCK_BYTES {
            self.send_block(at, waiting)?;
        }
        while self.pending_bytes > self.settings.buffer_bytes / 2 {
            let largest = (0..self.partitions.len()).max_by_key(|&at| block(&self.partitions[at]));
            self.send_block(largest.unwrap_or(at), waiting)?;
        }
        Ok(())
    }

    fn send_block(&mut self, at: usize, waiting: &mut Waiting<'_>) -> Result<()> {
        let partition = &mut self.partitions[at];
        let Some(open) = &mut partition.open else {
            return Ok(());
        };
        let bytes = open.take_block();
        if bytes.is_empty() {
            return Ok(());
        }
        self.pending_bytes -= bytes.len();
        if bytes.len() >= BLOCK_BYTES / 2 {
            open.block = self.pool.spare_block();
        }
        self.pool
            .add(at, &partition.target, open.codec, bytes, waiting)
    }

    /// Hands the open segment over, to be stored.
    fn close(&mut self, at: usize, waiting: &mut Waiting<'_>) -> Result<()> {
        self.send_block(at, waiting)?;
        let partition = &mut self.partitions[at];
        if let Some(open) = partition.open.take() {
            if open.content.is_unsorted {
                // Where a run went back and forth, what it left out is not known.
                partition.after = None;
            }
            let job = Job::Finish(Box::new(open.content));
            self.pool.send(at, &partition.target, job);
        }
        self.note_outcomes()
    }
}

impl Destination for Backup {
    fn write(&mut self, input: &Input<'_>, waiting: &mut Waiting<'_>) -> Result<()> {
        if !self.takes_positions {
            return self.take_lines(input.text, input.tag, waiting);
        }
        let taken = self.take(input.record, input.text, input.tag, waiting);
        taken.with_context(|| format!("line {}", input.line))
    }

    fn tick(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.note_outcomes()?;
        if self.looked.elapsed() < TICK {
            return Ok(());
        }
        self.looked = Instant::now();
        self.close_older(self.settings.max_delay, waiting)?;
        if self.updated.elapsed() >= self.settings.max_delay {
            self.update_heads()?;
        }
        Ok(())
    }

    fn take_durable(&mut self, take: &mut dyn FnMut(u64, u64)) {
        for (first, last) in self.totals.durable.drain(..) {
            take(first, last);
        }
    }

    fn flush(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.close_older(Duration::ZERO, waiting)
    }

    fn finish(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.flush(waiting)?;
        self.pool.join(waiting)?;
        self.note_outcomes()?;
        self.update_heads()?;
        self.totals.check_duplicates()
    }

    fn handle_event(&mut self, event: &SourceEvent<'_>) -> Result<()> {
        match event {
            SourceEvent::PartitionCounts(counts) => self.totals.note_partition_counts(counts),
            SourceEvent::NewStream(key, start) => {
                // The partition was another member's meanwhile, maybe.
                self.forget(key);
                self.start = start.cloned();
            }
            SourceEvent::Passed(position, start) => return self.pass(position, *start),
            SourceEvent::Released(key) => self.forget(key),
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
        self.totals.summary()
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
