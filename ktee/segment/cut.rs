//! When a segment is whole: decided by its records alone, never by the clock. Pure.
//!
//! (`--max-delay` closes a segment for another reason, and is not in here.)

use std::hash::Hasher;

use twox_hash::XxHash64;

use super::Manifest;

/// `--segment-bytes` and `--segment-records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Whole with this many bytes before compression.
    pub(crate) bytes: u64,
    /// Whole with this many records.
    pub(crate) records: Option<u64>,
}

impl Cut {
    /// Whether a segment with these records is whole.
    #[inline]
    pub(crate) fn is_due(&self, so_far: &Manifest) -> bool {
        so_far.bytes >= self.bytes || self.records.is_some_and(|most| so_far.records >= most)
    }
}

/// The checksum of a segment's lines, and of the first one alone.
#[derive(Clone, Default)]
pub(crate) struct LinesDigest {
    all: XxHash64,
    first: Option<u64>,
}

impl LinesDigest {
    /// Adds the next lines; the first call has one or more.
    #[inline]
    pub(crate) fn add(&mut self, lines: &[u8]) {
        if self.first.is_none() {
            let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
            self.first = Some(digest_of(&lines[..end]));
        }
        self.all.write(lines);
    }

    pub(crate) fn finish(&self) -> Option<(u64, u64)> {
        Some((self.all.finish(), self.first?))
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
        let mut large = Manifest::default();
        large.add(7, None, 99);
        assert!(!cut.is_due(&large));
        large.add(9, None, 1);
        assert!(cut.is_due(&large));
        assert_eq!((large.first, large.last, large.records), (7, 9, 2));
        let mut small = Manifest::default();
        for offset in 0..3 {
            assert!(!cut.is_due(&small));
            small.add(offset, Some(offset), 1);
        }
        assert!(cut.is_due(&small));
        assert_eq!(small.times_ms, Some((0, 2)));
    }

    #[test]
    fn the_checksum_is_that_of_the_text_however_it_comes() {
        let (mut one, mut many) = (LinesDigest::default(), LinesDigest::default());
        one.add(b"a\tb\nc\td\n");
        many.add(b"a\tb\n");
        many.add(b"c\td\n");
        let all = Some((digest_of(b"a\tb\nc\td\n"), digest_of(b"a\tb\n")));
        assert_eq!([one.finish(), many.finish()], [all; 2]);
    }
}
