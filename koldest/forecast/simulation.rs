//! A log that follows the broker's rule to the letter, fed at a steady rate.
//!
//! Written from `UnifiedLog.java` (`deleteRetentionSizeBreachedSegments`,
//! `deleteRetentionMsBreachedSegments`, `deletableSegments`) and
//! `LogSegment.shouldRoll`, not from the forecast that is judged by it.

use std::collections::VecDeque;

use super::Settings;

/// Messages of one file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segment {
    pub(super) first_ms: i64,
    pub(super) largest_ms: i64,
    pub(super) bytes: u64,
}

/// The log of a partition.
pub(super) struct Simulated {
    settings: Settings,
    segments: VecDeque<Segment>,
}

impl Simulated {
    pub(super) fn new(settings: Settings) -> Simulated {
        Simulated {
            settings,
            segments: VecDeque::from([Segment::default()]),
        }
    }

    pub(super) fn append(&mut self, now_ms: i64, bytes: u64) {
        let active = self.segments.back().copied().unwrap_or_default();
        let is_full = active.bytes + bytes > self.settings.segment_bytes;
        let is_old = now_ms - active.first_ms > self.settings.segment_ms;
        if active.bytes > 0 && (is_full || is_old) {
            self.segments.push_back(Segment::default());
        }
        if let Some(active) = self.segments.back_mut() {
            if active.bytes == 0 {
                active.first_ms = now_ms;
            }
            active.largest_ms = now_ms;
            active.bytes += bytes;
        }
    }

    /// What the broker does every `log.retention.check.interval.ms`; the segments that are gone.
    pub(super) fn check(&mut self, now_ms: i64) -> Vec<Segment> {
        let mut gone = Vec::new();
        if let Some(limit) = self.settings.retention_bytes
            && self.bytes() > limit
        {
            let mut diff = self.bytes() - limit;
            self.delete_while(&mut gone, |segment| {
                let goes = diff >= segment.bytes;
                diff = diff.saturating_sub(segment.bytes);
                goes
            });
        }
        if let Some(limit) = self.settings.retention_ms {
            self.delete_while(&mut gone, |segment| now_ms - segment.largest_ms > limit);
        }
        gone
    }

    fn delete_while(&mut self, gone: &mut Vec<Segment>, mut goes: impl FnMut(&Segment) -> bool) {
        while let Some(first) = self.segments.front().copied() {
            let is_last_and_empty = self.segments.len() == 1 && first.bytes == 0;
            if is_last_and_empty || !goes(&first) {
                return;
            }
            self.segments.pop_front();
            gone.push(first);
            if self.segments.is_empty() {
                self.segments.push_back(Segment::default());
            }
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// When the oldest message was written.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        let oldest = self.segments.iter().find(|segment| segment.bytes > 0);
        oldest.map(|segment| segment.first_ms)
    }
}
