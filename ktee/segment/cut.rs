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
        let so_far = &tally.manifest;
        so_far.bytes >= self.bytes || self.records.is_some_and(|most| so_far.records >= most)
    }
}

/// What is known of a segment that is being written or read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Of the records so far, without checksums.
    pub(crate) manifest: Manifest,
    digest: XxHash64,
    first_digest: Option<u64>,
}

impl Tally {
    /// That of a segment without records yet, which is named by a number.
    pub(crate) fn of_number(number: i64) -> Tally {
        let mut tally = Tally::default();
        (tally.manifest.first, tally.manifest.last) = (number, number);
        tally
    }

    #[inline]
    pub(crate) fn add(&mut self, offset: i64, time_ms: Option<i64>, bytes: usize) {
        let so_far = &mut self.manifest;
        if so_far.records == 0 {
            (so_far.first, so_far.last) = (offset, offset);
        }
        so_far.first = so_far.first.min(offset);
        so_far.last = so_far.last.max(offset);
        so_far.records += 1;
        so_far.bytes += bytes as u64;
        if let Some(ms) = time_ms {
            let (earliest, latest) = so_far.times_ms.unwrap_or((ms, ms));
            so_far.times_ms = Some((earliest.min(ms), latest.max(ms)));
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

    /// The manifest, but for what only the file says.
    pub(crate) fn finish(&self) -> Manifest {
        Manifest {
            digests: self.first_digest.map(|first| (self.digest.finish(), first)),
            ..self.manifest.clone()
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
        let whole = tally.finish();
        assert_eq!((whole.first, whole.last, whole.records), (7, 9, 2));
        assert_eq!(small.finish().times_ms, Some((0, 2)));
    }

    #[test]
    fn the_checksum_is_that_of_the_text_however_it_comes() {
        let (mut one, mut many) = (Tally::default(), Tally::default());
        one.digest(b"a\tb\nc\td\n");
        many.digest(b"a\tb\n");
        many.digest(b"c\td\n");
        assert_eq!(one.finish(), many.finish());
        // `printf 'a\tb\nc\td\n' | xxh64sum`, and of the first line.
        assert_eq!(
            one.finish().digests,
            Some((digest_of(b"a\tb\nc\td\n"), digest_of(b"a\tb\n")))
        );
    }
}
