//! `--stats`: now and then one line of totals on stderr.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tools::cli::message;

use super::named::{Named, Sink};
use crate::write::backup::Totals;

/// When the next line is due.
pub(super) struct Stats {
    every: Option<Duration>,
    next: Instant,
}

impl Stats {
    pub(super) fn new(every: Option<Duration>) -> Stats {
        Stats {
            every,
            next: Instant::now() + every.unwrap_or_default(),
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.every.is_some()
    }

    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let Some(every) = self.every.filter(|_| now >= self.next) else {
            return false;
        };
        self.next = now + every;
        true
    }

    /// `stats`, time, records and bytes read, records, bytes and segments stored, records known, records delivered, places that failed, records spilled.
    pub(super) fn tell(records: u64, bytes: u64, sinks: &[Named<Sink>]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut stored = Totals::default();
        let (mut delivered, mut spilled, mut failed) = (0, 0, 0);
        for named in sinks {
            match &named.sink {
                Some(Sink::Backup(backup)) => stored = stored.and(backup.totals()),
                Some(Sink::Topic(topic)) => {
                    delivered += topic.delivered();
                    spilled += topic.spilled();
                }
                None => failed += 1,
            }
        }
        message(format_args!(
            "stats\t{}\t{records}\t{bytes}\t{}\t{}\t{}\t{}\t{delivered}\t{failed}\t{spilled}",
            now.map_or(0, |now| now.as_millis()),
            stored.stored_records,
            stored.stored_bytes,
            stored.segments,
            stored.known_records,
        ));
    }
}
