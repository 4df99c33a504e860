//! When a segment is whole: decided by its records alone, never by the clock. Pure.
//!
//! (`--max-delay` closes a segment for another reason, and is not in here.)

use std::hash::Hasher;

use twox_hash::XxHash64;

use super::Manifest;

/// `--segment-bytes` and `--segment-records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Whole with so many bytes before compression.
    pub(crate) bytes: u64,
    /// Whole with so many records.
    pub(crate) records: Option<u64>,
}

impl Cut {
    /// Whether the segment is whole as it is.
    #[inline]
    pub(crate) fn is_due(&self, tally: &Tally) -> bool {
        tally.bytes >= self.bytes || self.records.is_some_and(|most| tally.records >= most)
    }
}

/// What is known of a segment that is being written or read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) times_ms: Option<(i64, i64)>,
    pub(crate) after: Option<i64>,
    pub(crate) after_ms: Option<i64>,
    digest: XxHash64,
    first_digest: Option<u64>,
}

impl Tally {
    /// That of a segment without records yet, which is named by a number.
    pub(crate) fn of_number(number: i64) -> Tally {
        Tally {
            first: number,
            last: number,
            ..Tally::default()
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, offset: i64, time_ms: Option<i64>, bytes: usize) {
        if self.records == 0 {
            (self.first, self.last) = (offset, offset);
        }
        self.first = self.first.min(offset);
        self.last = self.last.max(offset);
        self.records += 1;
        self.bytes += bytes as u64;
        if let Some(ms) = time_ms {
            let (earliest, latest) = self.times_ms.unwrap_or((ms, ms));
            self.times_ms = Some((earliest.min(ms), latest.max(ms)));
        }
    }

    /// Adds the next records to the checksum, as the lines that the segment has; the first call has one line or more.
    #[inline]
    pub(crate) fn digest(&mut self, lines: &[u8]) {
        if self.first_digest.is_none() {
            let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
            self.first_digest = Some(digest_of(&lines[..end]));
        }
        self.digest.write(lines);
    }

    /// The checksums of all records and of the first one.
    pub(crate) fn digests(&self) -> Option<(u64, u64)> {
        self.first_digest.map(|first| (self.digest.finish(), first))
    }

    /// The manifest, but for what only the file says.
    pub(crate) fn manifest(&self) -> Manifest {
        Manifest {
            first: self.first,
            last: self.last,
            records: self.records,
            bytes: self.bytes,
            times_ms: self.times_ms,
            after: self.after,
            after_ms: self.after_ms,
            digests: self.digests(),
            ..Manifest::default()
        }
    }
}

pub(crate) fn digest_of(line: &[u8]) -> u64 {
    XxHash64::oneshot(0, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_records_make_a_segment_whole() {
        let cut = Cut {
            bytes: 100,
            records: Some(3),
        };
        let mut tally = Tally::default();
        tally.add(7, None, 99);
        assert!(!cut.is_due(&tally));
        tally.add(9, None, 1);
        assert!(cut.is_due(&tally));
        let mut small = Tally::default();
        for offset in 0..3 {
            assert!(!cut.is_due(&small));
            small.add(offset, Some(offset), 1);
        }
        assert!(cut.is_due(&small));
        assert_eq!((tally.first, tally.last, tally.records), (7, 9, 2));
        assert_eq!(small.times_ms, Some((0, 2)));
    }

    #[test]
    fn the_checksum_is_that_of_the_text_however_it_comes() {
        let (mut one, mut many) = (Tally::default(), Tally::default());
        one.digest(b"a\tb\nc\td\n");
        many.digest(b"a\tb\n");
        many.digest(b"c\td\n");
        assert_eq!(one.digests(), many.digests());
        // `printf 'a\tb\nc\td\n' | xxh64sum`, and of the first line.
        assert_eq!(
            one.digests(),
            Some((digest_of(b"a\tb\nc\td\n"), digest_of(b"a\tb\n")))
        );
    }
}
