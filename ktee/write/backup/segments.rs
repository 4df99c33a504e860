//! How segments begin, grow block by block, and end.

use std::sync::Arc;

use anyhow::Result;
use tools::cli::message;

use super::{BLOCK_BYTES, Backup};
use crate::write::Waiting;
use crate::write::pack::Work;

impl Backup {
    /// Closes every segment, full or not.
    pub(crate) fn close_all(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        for at in 0..self.slots.len() {
            if self.slots[at].is_open() {
                self.close(at, waiting)?;
            }
        }
        Ok(())
    }

    pub(super) fn open_segment(&mut self, at: usize, offset: i64) {
        let slot = &mut self.slots[at];
        if slot.is_open() {
            return;
        }
        self.tickets += 1;
        self.outstanding.insert(self.tickets);
        if let Some(missing) = slot.open_segment(self.tickets, offset)
            && !self.is_quiet
        {
            message(format_args!(
                "{}: the backup ends at offset {} and the input goes on at {offset}: {missing} offsets are in neither",
                slot.place,
                slot.open.after.unwrap_or(-1),
            ));
        }
    }

    /// After `bytes` were added to a block: passes it on, and closes the segment, when it is time.
    pub(super) fn grow(
        &mut self,
        at: usize,
        bytes: usize,
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        self.pending_bytes += bytes;
        if self.settings.cut.is_due(&self.slots[at].open) {
            return self.close(at, waiting);
        }
        if self.slots[at].block.len() >= BLOCK_BYTES {
            return self.send_block(at, waiting);
        }
        // Half of the memory is for blocks that grow here, half for those that wait.
        while self.pending_bytes > self.settings.buffer_bytes / 2 {
            self.send_block(self.slots.largest().unwrap_or(at), waiting)?;
        }
        Ok(())
    }

    fn send_block(&mut self, at: usize, waiting: &mut Waiting<'_>) -> Result<()> {
        let slot = &mut self.slots[at];
        slot.note_last(self.decoder.as_mut())?;
        let bytes = std::mem::take(&mut slot.block);
        self.pending_bytes -= bytes.len();
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.len() >= BLOCK_BYTES / 2 {
            slot.block = self.threads.spare();
        }
        self.threads.wait_for_room(bytes.len(), waiting);
        self.threads.send(Work::Block {
            slot: at,
            place: Arc::clone(&slot.place),
            bytes,
        })
    }

    pub(super) fn close(&mut self, at: usize, waiting: &mut Waiting<'_>) -> Result<()> {
        self.send_block(at, waiting)?;
        let slot = &mut self.slots[at];
        slot.is_open = false;
        slot.block = Vec::new();
        self.threads.send(Work::Close {
            slot: at,
            place: Arc::clone(&slot.place),
            open: std::mem::take(&mut slot.open),
            time_ms: slot.time_ms,
            ticket: slot.ticket,
        })
    }
}
