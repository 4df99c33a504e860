//! When a segment is whole: decided by its records alone, never by the clock. Pure.
//!
//! The same records behind the same offset are therefore cut at the same
//! places whenever they come. (`--max-delay` closes a segment for another
//! reason, and is not in here.)

use super::Manifest;

/// `--segment-bytes`, `--segment-records`, `--segment-time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Whole with so many bytes before compression.
    pub(crate) bytes: u64,
    /// Whole with so many records.
    pub(crate) records: Option<u64>,
    /// Whole before a record whose time is in another span of this length, counted from 1970.
    pub(crate) span_ms: Option<i64>,
}

/// What is known of a segment that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) times_ms: Option<(i64, i64)>,
    pub(crate) after: Option<i64>,
    pub(crate) is_seam: bool,
    pub(crate) last_crc: u32,
}

impl Open {
    /// Adds a record.
    #[inline]
    pub(crate) fn add(&mut self, offset: i64, time_ms: Option<i64>, bytes: usize) {
        if self.records == 0 {
            self.first = offset;
        }
        self.last = offset;
        self.records += 1;
        self.bytes += bytes as u64;
        if let Some(ms) = time_ms {
            let (earliest, latest) = self.times_ms.unwrap_or((ms, ms));
            self.times_ms = Some((earliest.min(ms), latest.max(ms)));
        }
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
            is_seam: self.is_seam,
            last_crc: self.last_crc,
            ..Manifest::default()
        }
    }
}

impl Cut {
    /// Whether the segment is whole before a record of this time.
    #[inline]
    pub(crate) fn is_due_before(&self, open: &Open, time_ms: Option<i64>) -> bool {
        let (Some(span_ms), Some(time_ms), Some((_, latest_ms))) =
            (self.span_ms, time_ms, open.times_ms)
        else {
            return false;
        };
        // A record that is late, be it in an earlier span, cuts nothing.
        time_ms.div_euclid(span_ms) > latest_ms.div_euclid(span_ms)
    }

    /// Whether the segment is whole as it is.
    #[inline]
    pub(crate) fn is_due(&self, open: &Open) -> bool {
        open.bytes >= self.bytes || self.records.is_some_and(|most| open.records >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: Cut = Cut {
        bytes: 100,
        records: Some(3),
        span_ms: Some(1000),
    };

    #[test]
    fn bytes_and_records_make_a_segment_whole() {
        let mut open = Open::default();
        open.add(7, None, 99);
        assert!(!CUT.is_due(&open));
        open.add(9, None, 1);
        assert!(CUT.is_due(&open));
        let mut small = Open::default();
        for offset in 0..3 {
            assert!(!CUT.is_due(&small));
            small.add(offset, None, 1);
        }
        assert!(CUT.is_due(&small));
        assert_eq!((open.first, open.last, open.records), (7, 9, 2));
    }

    #[test]
    fn the_next_span_cuts_and_a_late_record_does_not() {
        let mut open = Open::default();
        assert!(!CUT.is_due_before(&open, Some(5000)));
        open.add(0, Some(1999), 1);
        assert!(CUT.is_due_before(&open, Some(2000)));
        assert!(!CUT.is_due_before(&open, Some(1000)));
        assert!(!CUT.is_due_before(&open, Some(-1)));
        assert!(!CUT.is_due_before(&open, None));
        open.add(1, Some(500), 1);
        assert_eq!(open.times_ms, Some((500, 1999)));
        assert!(!CUT.is_due_before(&open, Some(1500)));
    }
}
