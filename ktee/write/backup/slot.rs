//! One partition of a backup that is being written, from the moment in which it was looked at what is there.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};

use tools::record::{Decoded, Decoder};

use crate::read::segment::fingerprint;
use crate::segment::{Cut, Manifest, Open, Place};

/// A partition, or the lines that have none.
pub(super) struct Slot {
    pub(super) place: Arc<Place>,
    /// The last offset in the store when this slot began, with its record's checksum.
    stored: Option<(i64, u32)>,
    /// The last offset in the store or in a segment of ours.
    pub(super) accepted: Option<i64>,
    /// Whether a record has come, be it one that was known.
    has_begun: bool,
    pub(super) is_open: bool,
    /// The segment that is open; of the last one nothing but its end, otherwise.
    pub(super) open: Open,
    /// When it was opened.
    pub(super) opened: Instant,
    /// The same on the wall's clock, milliseconds since 1970; lines are named by it.
    pub(super) time_ms: Option<i64>,
    /// The last segment's ticket; 0 before the first.
    pub(super) ticket: u64,
    /// The length of the last record in `block`.
    pub(super) last_bytes: usize,
    /// Bytes that the compressor has not been given yet.
    pub(super) block: Vec<u8>,
}

impl Slot {
    pub(super) fn new(place: Place, stored: Option<&Manifest>) -> Slot {
        let stored = stored.map(|manifest| (manifest.last, manifest.last_crc));
        Slot {
            place: Arc::new(place),
            stored,
            accepted: stored.map(|(last, _)| last),
            has_begun: false,
            is_open: false,
            open: Open::default(),
            opened: Instant::now(),
            time_ms: None,
            ticket: 0,
            last_bytes: 0,
            block: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// A record that the backup has already; the last one that is stored must be the same.
    pub(super) fn check_known(&mut self, offset: i64, crc: impl FnOnce() -> u32) -> Result<()> {
        self.has_begun = true;
        if let Some((last, known)) = self.stored
            && last == offset
            && known != 0
        {
            ensure!(
                crc() == known,
                "{}: offset {offset} is another record than in the backup; if the topic was made anew, it needs a backup of its own",
                self.place
            );
        }
        Ok(())
    }

    /// Before the block goes: the checksum of its last record, which may be the segment's.
    pub(super) fn note_last(&mut self, decoder: Option<&mut Decoder>) -> Result<()> {
        let Some(decoder) = decoder.filter(|_| !self.block.is_empty()) else {
            return Ok(());
        };
        let line = &self.block[self.block.len() - self.last_bytes..];
        if let Decoded::Record { record, .. } = decoder.decode(line, true)? {
            self.open.last_crc = fingerprint(&record.record());
        }
        Ok(())
    }

    /// Opens a segment; says how many offsets are missing where the input does not go on where the backup ends.
    pub(super) fn open_segment(&mut self, ticket: u64, offset: i64) -> Option<i64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.is_open = true;
        self.opened = Instant::now();
        self.ticket = ticket;
        if *self.place == Place::Lines {
            let number = self.accepted.map_or(0, |last| last + 1);
            self.accepted = Some(number);
            self.time_ms = now.ok().map(|now| now.as_millis() as i64);
            self.open = Open {
                first: number,
                last: number,
                ..Open::default()
            };
            return None;
        }
        let missing = self.accepted.map_or(0, |last| offset - last - 1);
        let is_seam = !self.has_begun && missing > 0;
        self.has_begun = true;
        self.open = Open {
            after: self.accepted,
            is_seam,
            ..Open::default()
        };
        is_seam.then_some(missing)
    }

    /// How many of these whole lines still belong into the segment that is open; one at least.
    pub(super) fn lines_end(&self, cut: &Cut, lines: &[u8]) -> usize {
        let room = cut.bytes.saturating_sub(self.open.bytes).max(1) as usize;
        let mut end = match lines.get(room - 1..) {
            // The line that reaches the limit is the last one.
            Some(tail) => room - 1 + memchr::memchr(b'\n', tail).map_or(tail.len(), |at| at + 1),
            None => lines.len(),
        };
        if let Some(records) = cut.records {
            let left = records.saturating_sub(self.open.records).max(1) as usize;
            if let Some(at) = memchr::memchr_iter(b'\n', lines).nth(left - 1) {
                end = end.min(at + 1);
            }
        }
        end
    }
}
