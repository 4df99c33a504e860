//! The values of records, where nothing else is wanted of them.

use super::{Batch, RawRecord};

/// The values of records that follow one another, as far as each is a usual one: its numbers are short, and its offset
/// is not before that of its predecessor. It stops before the first that is not, which stays for who knows more.
///
/// Putting a whole record together, and deciding about it, is most of the work on a small one.
#[derive(Clone)]
pub struct Values<'m, 'b> {
    batch: &'m Batch<'m>,
    rest: &'b [u8],
    left: i32,
    next_offset: i64,
}

impl<'m, 'b> Values<'m, 'b> {
    /// Of the `left` records at the front of `rest`.
    pub(super) fn new(batch: &'m Batch<'m>, rest: &'b [u8], left: i32) -> Values<'m, 'b> {
        Values {
            batch,
            rest,
            left,
            next_offset: batch.base_offset,
        }
    }

    /// Stops also before a record with a smaller offset.
    pub fn not_before(&mut self, offset: i64) {
        self.next_offset = self.next_offset.max(offset);
    }

    /// The smallest offset that the next record may have.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The batch that they are of.
    pub fn batch(&self) -> &'m Batch<'m> {
        self.batch
    }

    /// What was not taken: how many records, and their bytes.
    pub(super) fn left(self) -> (i32, &'b [u8]) {
        (self.left, self.rest)
    }
}

impl<'b> Iterator for Values<'_, 'b> {
    type Item = Option<&'b [u8]>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    fn next(&mut self) -> Option<Option<&'b [u8]>> {
        if self.left <= 0 {
            return None;
        }
        let (record, rest) = RawRecord::parse_short(self.batch, self.rest)?;
        if record.offset < self.next_offset {
            return None;
        }
        self.next_offset = record.offset + 1;
        self.rest = rest;
        self.left -= 1;
        Some(record.value)
    }
}
