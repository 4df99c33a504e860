//! The main thread's part of a backup: which partition a record belongs to, and where segments end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tools::ack::{Position, ReadStart, StreamKey};
use tools::cli::message;
use tools::kafka::Options;
use tools::record::{Format, Record};

use super::gaps::{self, LogStarts};
use super::index::Target;
use super::partition::{Encoding, OpenSegment, Partition};
use super::partitions::Partitions;
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
    partitions: Partitions,
    pool: Pool,
    /// Bytes in the open segments' blocks.
    pending_bytes: usize,
    /// Segments that the pool has and has not answered for.
    outstanding: usize,
    totals: Totals,
    log_starts: LogStarts,
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
            partitions: Partitions::default(),
            // Half of the memory is for blocks that grow, half for those that wait.
            pool: Pool::start(publisher, settings.buffer_bytes / 2)?,
            settings: settings.clone(),
            pending_bytes: 0,
            outstanding: 0,
            totals: Totals::default(),
            log_starts: LogStarts::new(options),
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
        let at = match self.partitions.find(topic, partition) {
            Some(at) => at,
            None => self.begin(topic, partition)?,
        };
        if !self.partitions.all[at].is_in_region(offset) {
            self.enter(at, record, offset, line, waiting)?;
        }
        let partition = &mut self.partitions.all[at];
        let bytes = partition.add(record, offset, line, tag, &mut self.encoding)?;
        self.pending_bytes += bytes;
        if partition.is_due(&self.settings.cut, offset) {
            return self.close(at, waiting);
        }
        self.pass_on(at, waiting);
        Ok(())
    }

    /// Takes whole lines that have no position.
    fn take_lines(
        &mut self,
        lines: &[u8],
        tag: Option<u64>,
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        if self.partitions.all.is_empty() {
            let target = Target::open(&self.store, LogId::Lines)?;
            let last = target.index().span().map(|(_, last)| last);
            self.partitions.all.push(Partition::new(target, last));
        }
        let mut rest = lines;
        while !rest.is_empty() {
            let partition = &mut self.partitions.all[0];
            let end = partition.add_lines(rest, tag, &self.settings.cut, self.settings.codec);
            rest = &rest[end..];
            self.pending_bytes += end;
            let is_due = partition
                .open
                .as_ref()
                .is_some_and(|open| self.settings.cut.is_due(&open.content.tally));
            if is_due {
                self.close(0, waiting)?;
            } else {
                self.pass_on(0, waiting);
            }
        }
        Ok(())
    }

    /// Drops what is not whole of a partition that another member of the group has now; the next record looks again at what
    /// is there.
    fn forget(&mut self, key: &StreamKey) {
        if let Some(at) = self.partitions.find_stream(key) {
            let partition = &mut self.partitions.all[at];
            if let Some(open) = partition.forget() {
                self.pending_bytes -= open.block.len();
                self.pool.send(&partition.target, Job::Drop);
            }
        }
    }

    /// The source has read up to this position, and all that was received is stored: there are no other records before it.
    ///
    /// `start` is where it began if no record has come.
    fn pass(&mut self, position: &Position, start: Option<&ReadStart>) -> Result<()> {
        let known = self
            .partitions
            .find_stream(&position.key)
            .map(|at| &self.partitions.all[at]);
        let target = if let Some(known) = known {
            Arc::clone(&known.target)
        } else {
            let log = LogId::partition(&position.key.topic, position.key.partition);
            let log = log.map_err(anyhow::Error::msg)?;
            Arc::new(Target::open(&self.store, log)?)
        };
        let after = known.and_then(|known| known.after);
        let Some(from) = after
            .map(|after| after + 1)
            .or(start.and_then(|start| start.from))
        else {
            return Ok(());
        };
        // Where the backup has nothing before, it begins later.
        if target.index().last_before(from)?.is_none() {
            return Ok(());
        }
        target.index().claim(from, position.offset - 1)
    }

    fn close_if(
        &mut self,
        waiting: &mut Waiting<'_>,
        wants: &dyn Fn(&OpenSegment, Duration) -> bool,
    ) -> Result<()> {
        for at in 0..self.partitions.all.len() {
            let open = self.partitions.all[at].open.as_ref();
            if open.is_some_and(|open| wants(open, self.settings.max_delay)) {
                self.close(at, waiting)?;
            }
        }
        Ok(())
    }

    fn note_outcomes(&mut self) -> Result<()> {
        while let Some(published) = self.pool.next_outcome() {
            self.outstanding -= 1;
            self.totals.add(published?);
        }
        Ok(())
    }

    fn update_heads(&mut self) -> Result<()> {
        self.updated = Instant::now();
        self.totals.update_heads(&*self.store, &self.partitions.all)
    }

    /// Looks what the backup has of a partition.
    #[cold]
    fn begin(&mut self, topic: &str, partition: i32) -> Result<usize> {
        let log = LogId::partition(topic, partition).map_err(anyhow::Error::msg)?;
        let partition_state = Partition::new(Target::open(&self.store, log)?, None);
        Ok(self.partitions.add(topic, partition, partition_state))
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
        let partition = &mut self.partitions.all[at];
        let starts_run = partition.region.is_none();
        let encoding = &mut self.encoding;
        // Before what is open is stored: that may be of another topic too.
        partition.enter(&*self.store, record, offset, || {
            encoding.digest(record, line)
        })?;
        self.close(at, waiting)?;
        if starts_run {
            let partition = &mut self.partitions.all[at];
            partition.start_run(self.start.take(), offset)?;
            if !partition.is_known() {
                let log_starts = &mut self.log_starts;
                gaps::report(&*self.store, partition, offset, log_starts, waiting)?;
            }
        }
        Ok(())
    }

    /// Passes blocks on when they are large, or when all of them together are.
    fn pass_on(&mut self, at: usize, waiting: &mut Waiting<'_>) {
        let block =
            |partition: &Partition| partition.open.as_ref().map_or(0, |open| open.block.len());
        if block(&self.partitions.all[at]) >= BLOCK_BYTES {
            self.send_block(at, waiting);
        }
        while self.pending_bytes > self.settings.buffer_bytes / 2 {
            let largest =
                (0..self.partitions.all.len()).max_by_key(|&at| block(&self.partitions.all[at]));
            self.send_block(largest.unwrap_or(at), waiting);
        }
    }

    fn send_block(&mut self, at: usize, waiting: &mut Waiting<'_>) {
        let partition = &mut self.partitions.all[at];
        let Some(open) = &mut partition.open else {
            return;
        };
        let bytes = open.take_block();
        if bytes.is_empty() {
            return;
        }
        self.pending_bytes -= bytes.len();
        if bytes.len() >= BLOCK_BYTES / 2 {
            open.block = self.pool.spare_block();
        }
        self.pool.add(&partition.target, open.codec, bytes, waiting);
    }

    /// Hands the open segment over, to be stored.
    fn close(&mut self, at: usize, waiting: &mut Waiting<'_>) -> Result<()> {
        self.send_block(at, waiting);
        let partition = &mut self.partitions.all[at];
        if let Some(open) = partition.open.take() {
            if open.content.is_unsorted {
                // Where a run went back and forth, what it left out is not known.
                partition.after = None;
            }
            self.outstanding += 1;
            let job = Job::Finish(Box::new(open.content));
            self.pool.send(&partition.target, job);
        }
        self.note_outcomes()
    }
}

impl Destination for Backup {
    fn write(&mut self, input: &Input<'_>, waiting: &mut Waiting<'_>) -> Result<()> {
        let taken = if self.takes_positions {
            self.take(input.record, input.text, input.tag, waiting)
        } else {
            self.take_lines(input.text, input.tag, waiting)
        };
        taken.with_context(|| format!("line {}", input.line))
    }

    fn write_lines(&mut self, lines: &[u8], waiting: &mut Waiting<'_>) -> Result<()> {
        self.take_lines(lines, None, waiting)
    }

    /// Closes what has been open for too long, and hears what has become durable. Called often.
    fn tick(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.note_outcomes()?;
        if self.looked.elapsed() < TICK {
            return Ok(());
        }
        self.looked = Instant::now();
        self.close_if(waiting, &|open, delay| open.opened.elapsed() >= delay)?;
        if self.updated.elapsed() >= self.settings.max_delay {
            self.update_heads()?;
        }
        Ok(())
    }

    /// Hands over the tags that have become durable since the last call: first and last of each range.
    fn take_durable(&mut self, take: &mut dyn FnMut(u64, u64)) {
        for (first, last) in self.totals.durable.drain(..) {
            take(first, last);
        }
    }

    /// Has every open segment stored as it is.
    fn flush(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.close_if(waiting, &|_, _| true)
    }

    /// Closes every segment and waits until all are durable.
    fn finish(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.flush(waiting)?;
        self.pool.join(waiting);
        self.note_outcomes()?;
        if self.outstanding > 0 {
            bail!("{} segments were not stored", self.outstanding);
        }
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

    /// Records what the cluster says of the topics that have come so far.
    fn record(
        &mut self,
        options: &Options,
        wanted: &MetadataOptions,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        let come = self.partitions.topic_names();
        let topics: BTreeSet<&String> = come.chain(&wanted.topics).collect();
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
