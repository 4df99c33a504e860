//! The main thread's part of a backup: which partition a record belongs to, whether the backup has it, where segments end.

mod segments;
mod settings;
mod slot;
mod slots;
mod threads;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tools::kafka::Options;
use tools::record::{Decoder, Encoder, Format, Record};

use super::Waiting;
use super::pack::Work;
use super::publish::Outcome;
use super::stored::find_last;
use crate::read::segment::{fingerprint, format};
use crate::recorded::{self, Wanted};
use crate::segment::{Layout, Place};
use crate::store::{self, Store};
use settings::encoder;
pub(crate) use settings::{Settings, has_positions};
use slot::Slot;
use slots::Slots;
use threads::Threads;

/// A block goes to the compressor with so many bytes, and becomes one frame.
const BLOCK_BYTES: usize = 1024 * 1024;
/// How often it is looked for segments that have been open for too long.
const TICK: Duration = Duration::from_millis(200);

/// What a backup has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Records that are durable by this run.
    pub(crate) stored_records: u64,
    /// Bytes of their segments.
    pub(crate) stored_bytes: u64,
    /// Segments.
    pub(crate) segments: u64,
    /// Records that the backup had already.
    pub(crate) known_records: u64,
}

impl Totals {
    /// Both together.
    pub(crate) fn and(self, other: Totals) -> Totals {
        Totals {
            stored_records: self.stored_records + other.stored_records,
            stored_bytes: self.stored_bytes + other.stored_bytes,
            segments: self.segments + other.segments,
            known_records: self.known_records + other.known_records,
        }
    }
}

/// A backup that is being written.
pub(crate) struct Backup {
    store: Arc<dyn Store>,
    settings: Settings,
    /// Writes records as the segments have them; none where the input is that already.
    encoder: Option<Encoder>,
    slots: Slots,
    /// Reads the last record of a block back.
    decoder: Option<Decoder>,
    threads: Threads,
    /// Bytes in the slots' blocks.
    pending_bytes: usize,
    tickets: u64,
    /// Segments that are not durable yet, the open ones included.
    outstanding: HashSet<u64>,
    /// Segments that have become durable and were not told yet.
    durable: Vec<u64>,
    looked: Instant,
    totals: Totals,
    is_quiet: bool,
}

impl Backup {
    /// A backup at `place` of records that come in `input`'s format.
    ///
    /// # Errors
    /// The place can't be opened.
    pub(crate) fn open(
        place: &str,
        input: &Format,
        settings: &Settings,
        is_quiet: bool,
    ) -> Result<Backup> {
        let store = store::open(place, &settings.access)?;
        allow_many_files();
        let layout = if has_positions(input) {
            settings.layout
        } else {
            Layout::Text
        };
        let threads = Threads::start(&store, settings, layout)?;
        Ok(Backup {
            store,
            settings: settings.clone(),
            encoder: encoder(input, layout),
            slots: Slots::default(),
            decoder: format(layout).map(Decoder::new).transpose()?,
            threads,
            pending_bytes: 0,
            tickets: 0,
            outstanding: HashSet::new(),
            durable: Vec::new(),
            looked: Instant::now(),
            totals: Totals::default(),
            is_quiet,
        })
    }

    /// Takes a record, which came as `line`, and says which segment it is in: a ticket for [`Backup::is_durable`].
    ///
    /// # Errors
    /// The record has no position, the backup has another record there, or the backup has failed.
    #[inline]
    pub(crate) fn take(
        &mut self,
        record: &Record<'_>,
        line: &[u8],
        waiting: &mut Waiting<'_>,
    ) -> Result<u64> {
        let (Some(topic), Some(partition), Some(offset)) =
            (record.topic, record.partition, record.offset)
        else {
            bail!("a record for a backup needs topic, partition and offset");
        };
        let at = self.slot(topic, partition)?;
        let slot = &mut self.slots[at];
        if slot.accepted.is_some_and(|accepted| offset <= accepted) {
            slot.check_known(offset, || fingerprint(record))?;
            self.totals.known_records += 1;
            return Ok(slot.ticket);
        }
        let time_ms = record.timestamp_ms;
        if slot.is_open() && self.settings.cut.is_due_before(&slot.open, time_ms) {
            self.close(at, waiting)?;
        }
        self.open_segment(at, offset);
        let slot = &mut self.slots[at];
        let before = slot.block.len();
        if let Some(encoder) = &mut self.encoder {
            encoder.encode(record, &mut slot.block)?;
        } else {
            slot.block.extend_from_slice(line);
            if line.last() != Some(&b'\n') {
                slot.block.push(b'\n');
            }
        }
        let bytes = slot.block.len() - before;
        slot.open.add(offset, time_ms, bytes);
        slot.last_bytes = bytes;
        slot.accepted = Some(offset);
        let ticket = slot.ticket;
        self.grow(at, bytes, waiting)?;
        Ok(ticket)
    }

    /// Takes whole lines that have no position.
    pub(crate) fn take_lines(&mut self, lines: &[u8], waiting: &mut Waiting<'_>) -> Result<u64> {
        let at = self.lines_slot()?;
        let mut rest = lines;
        while !rest.is_empty() {
            self.open_segment(at, 0);
            let slot = &mut self.slots[at];
            let end = slot.lines_end(&self.settings.cut, rest);
            slot.block.extend_from_slice(&rest[..end]);
            slot.open.bytes += end as u64;
            slot.open.records += memchr::memchr_iter(b'\n', &rest[..end]).count() as u64;
            rest = &rest[end..];
            self.grow(at, end, waiting)?;
        }
        Ok(self.slots[at].ticket)
    }

    /// Whether all records that were given this ticket are durable.
    pub(crate) fn is_durable(&self, ticket: u64) -> bool {
        !self.outstanding.contains(&ticket)
    }

    /// Hands over the tickets that have become durable since the last call.
    pub(crate) fn take_durable(&mut self, take: &mut dyn FnMut(u64)) {
        self.durable.drain(..).for_each(take);
    }

    /// Forgets a partition that another member of the group has now: what is not whole is dropped, and the next record
    /// looks again at what is there.
    pub(crate) fn forget(&mut self, topic: &str, partition: i32) -> Result<()> {
        let Some(at) = self.slots.remove(topic, partition) else {
            return Ok(());
        };
        let slot = &mut self.slots[at];
        if slot.is_open() {
            self.pending_bytes -= slot.block.len();
            slot.block = Vec::new();
            self.outstanding.remove(&slot.ticket);
            slot.is_open = false;
            self.threads.send(Work::Abandon { slot: at })?;
        }
        Ok(())
    }

    /// Closes what has been open for too long, and hears what has become durable. Called often.
    pub(crate) fn tick(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        while let Some(outcome) = self.threads.next_outcome() {
            self.hear(outcome)?;
        }
        if self.looked.elapsed() < TICK {
            return Ok(());
        }
        self.looked = Instant::now();
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            if slot.is_open() && slot.opened.elapsed() >= self.settings.max_delay {
                self.close(at, waiting)?;
            }
        }
        Ok(())
    }

    /// Closes every segment and waits until all are durable.
    pub(crate) fn finish(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.close_all(waiting)?;
        for outcome in self.threads.finish(waiting) {
            self.hear(outcome)?;
        }
        if !self.outstanding.is_empty() {
            bail!("{} segments were not stored", self.outstanding.len());
        }
        Ok(())
    }

    /// Records what the cluster says of the topics that have come so far.
    pub(crate) fn record(
        &self,
        options: &Options,
        wanted: Wanted,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        let topics = self.slots.topics();
        if topics.is_empty() {
            return Ok(());
        }
        recorded::record(&*self.store, options, &topics, wanted, interrupted)
    }

    /// What it has come to.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    fn hear(&mut self, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Stored {
                ticket,
                records,
                stored_bytes,
            } => {
                if self.outstanding.remove(&ticket) {
                    self.durable.push(ticket);
                }
                self.totals.stored_records += records;
                self.totals.stored_bytes += stored_bytes;
                self.totals.segments += 1;
                Ok(())
            }
            Outcome::Failed(error) => Err(error),
        }
    }

    #[inline]
    fn slot(&mut self, topic: &str, partition: i32) -> Result<usize> {
        match self.slots.find(topic, partition) {
            Some(at) => Ok(at),
            None => self.begin(topic, partition),
        }
    }

    /// Looks how far the backup has come in a partition.
    #[cold]
    fn begin(&mut self, topic: &str, partition: i32) -> Result<usize> {
        let place = Place::partition(topic, partition).map_err(anyhow::Error::msg)?;
        let stored = find_last(&*self.store, &place)?;
        let slot = Slot::new(place, stored.as_ref());
        Ok(self.slots.insert(topic, partition, slot))
    }

    fn lines_slot(&mut self) -> Result<usize> {
        if self.slots.len() == 0 {
            let stored = find_last(&*self.store, &Place::Lines)?;
            self.slots.push(Slot::new(Place::Lines, stored.as_ref()));
        }
        Ok(0)
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
