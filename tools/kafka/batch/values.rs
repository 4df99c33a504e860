//! The values of records, for visitors that need nothing else.

use super::{Batch, RawRecord};

/// The values of consecutive records, for speed: most of the work on a small record is building it.
///
/// It stops before the first record that `RawRecord::parse_short` does not parse or whose offset is smaller than
/// expected; that record is visited as a whole.
#[derive(Clone)]
pub struct Values<'m, 'b> {
    batch: &'m Batch<'m>,
    rest: &'b [u8],
    remaining: i32,
    next_offset: i64,
}

impl<'m, 'b> Values<'m, 'b> {
    pub(super) fn new(batch: &'m Batch<'m>, rest: &'b [u8], remaining: i32) -> Values<'m, 'b> {
        Values {
            batch,
            rest,
            remaining,
            next_offset: batch.base_offset,
        }
    }

    /// Stops before a record with a smaller offset.
    pub fn not_before(&mut self, offset: i64) {
        self.next_offset = self.next_offset.max(offset);
    }

    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    pub fn batch(&self) -> &'m Batch<'m> {
        self.batch
    }

    /// How many records remain, and their bytes.
    pub(super) fn remaining(self) -> (i32, &'b [u8]) {
        (self.remaining, self.rest)
    }
}

impl<'b> Iterator for Values<'_, 'b> {
    type Item = Option<&'b [u8]>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of the loop over records")]
    fn next(&mut self) -> Option<Option<&'b [u8]>> {
        if self.remaining <= 0 {
            return None;
        }
        let (record, rest) = RawRecord::parse_short(self.batch, self.rest)?;
        if record.offset < self.next_offset {
            return None;
        }
        self.next_offset = record.offset + 1;
        self.rest = rest;
        self.remaining -= 1;
        Some(record.value)
    }
}
