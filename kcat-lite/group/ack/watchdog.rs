//! How long the sink of a pipe has been silent. Pure: the caller passes the time.

use std::time::{Duration, Instant};

/// A pipe that is full for this long without an acknowledgement drops or buffers lines.
pub(super) const STALLED: Duration = Duration::from_secs(30);
/// A pipe that is full for this long without an acknowledgement asks the sink to flush: it may collect a segment.
const FLUSH_AFTER: Duration = Duration::from_millis(250);
/// Lines in flight for this long, with nothing more to send, are in a buffer that is flushed when its input ends.
const BUFFERED_AFTER: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
pub(super) struct Watchdog {
    /// When the sink last acknowledged something or sent a keep-alive.
    last_activity: Instant,
    /// Since when the pipe is full and the sink sends nothing.
    stalled_since: Instant,
    /// Since when the pipe is full and nothing is acknowledged.
    full_since: Instant,
    /// When the last record was read.
    read_at: Instant,
}

impl Watchdog {
    pub(super) fn new(now: Instant) -> Watchdog {
        Watchdog {
            last_activity: now,
            stalled_since: now,
            full_since: now,
            read_at: now,
        }
    }

    /// Notes what the sink has sent since the last call, and whether the pipe is full now.
    pub(super) fn note_sink(
        &mut self,
        is_acknowledged: bool,
        is_working: bool,
        is_full: bool,
        now: Instant,
    ) {
        let is_active = is_acknowledged || is_working;
        if is_acknowledged || !is_full {
            self.full_since = now;
        }
        if is_active || !is_full {
            self.stalled_since = now;
        }
        if is_active {
            self.last_activity = now;
        }
    }

    pub(super) fn note_read(&mut self, now: Instant) {
        self.read_at = now;
    }

    /// Whether the sink is to flush what it collects.
    pub(super) fn wants_flush(&self, now: Instant) -> bool {
        now.duration_since(self.full_since) > FLUSH_AFTER
    }

    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        now.duration_since(self.stalled_since) > STALLED
    }

    /// Whether the sink has been silent for too long, counted from `started`.
    pub(super) fn is_silent_since(&self, started: Instant, now: Instant) -> bool {
        now.duration_since(self.last_activity.max(started)) > STALLED
    }

    /// Whether the lines in flight must be in the buffer of a program that waits for more input.
    pub(super) fn is_buffered(&self, now: Instant) -> bool {
        now.duration_since(self.last_activity.max(self.read_at)) > BUFFERED_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_full_pipe_without_an_acknowledgement_wants_a_flush_and_then_stalls() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(start);
        watchdog.note_sink(false, false, true, start + 250 * MS);
        assert!(!watchdog.wants_flush(start + 250 * MS));
        assert!(watchdog.wants_flush(start + 251 * MS));
        assert!(!watchdog.is_stalled(start + STALLED));
        assert!(watchdog.is_stalled(start + STALLED + MS));
        // A pipe with room does neither.
        let later = start + STALLED + MS;
        watchdog.note_sink(false, false, false, later);
        assert!(!watchdog.wants_flush(later) && !watchdog.is_stalled(later));
    }

    #[test]
    fn a_sink_that_works_is_not_stalled_but_is_to_flush() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(start);
        let later = start + STALLED + MS;
        watchdog.note_sink(false, true, true, later);
        assert!(!watchdog.is_stalled(later) && watchdog.wants_flush(later));
        assert!(!watchdog.is_silent_since(start, later + STALLED));
        assert!(watchdog.is_silent_since(start, later + STALLED + MS));
        assert!(!watchdog.is_silent_since(later + MS, later + STALLED + MS));
    }

    #[test]
    fn lines_that_rest_while_nothing_is_read_are_in_a_buffer() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(start);
        let read_at = start + 1000 * MS;
        watchdog.note_read(read_at);
        assert!(!watchdog.is_buffered(read_at + BUFFERED_AFTER));
        assert!(watchdog.is_buffered(read_at + BUFFERED_AFTER + MS));
    }
}
