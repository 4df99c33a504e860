//! `--give-up`: for how long the cluster has not answered.
//!
//! The leaders are probed, because records of one partition say nothing about
//! the leader of another.

use std::time::{Duration, Instant};

/// Distinguishes a long outage from an idle cluster.
#[derive(Debug)]
pub struct Outage {
    limit: Option<Duration>,
    last_contact: Instant,
    last_probe: Instant,
}

/// The longest time between two probes.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);

impl Outage {
    /// In contact now; without a limit no outage is too long.
    pub fn new(limit: Option<Duration>) -> Outage {
        let now = Instant::now();
        Outage {
            limit,
            last_contact: now,
            last_probe: now,
        }
    }

    /// How long the next probe may take, if it is due.
    pub fn probe_due(&self) -> Option<Duration> {
        let interval = (self.limit? / 4).min(LONGEST_INTERVAL);
        let is_due =
            self.last_contact.elapsed() >= interval && self.last_probe.elapsed() >= interval;
        is_due.then_some(interval / 2)
    }

    /// Records the result of a probe; returns how long there was no answer, if too long.
    pub fn note(&mut self, is_answered: bool) -> Option<Duration> {
        self.last_probe = Instant::now();
        if is_answered {
            self.last_contact = self.last_probe;
        }
        let silence = self.last_contact.elapsed();
        (silence >= self.limit?).then_some(silence)
    }
}

#[cfg(test)]
mod tests {
    use super::Outage;
    use std::time::Duration;

    #[test]
    fn only_silence_that_is_longer_than_the_limit_is_too_long() {
        let limit = Duration::from_secs(60);
        let mut outage = Outage::new(Some(limit));
        assert_eq!(outage.probe_due(), None);
        outage.last_contact -= limit / 2;
        outage.last_probe -= limit / 2;
        assert_eq!(outage.probe_due(), Some(super::LONGEST_INTERVAL / 2));
        assert_eq!(outage.note(false), None);
        // Asked just now.
        assert_eq!(outage.probe_due(), None);
        outage.last_contact -= limit;
        assert!(outage.note(false).is_some());
        // A process that was suspended asks before it judges.
        assert_eq!(outage.note(true), None);
    }

    #[test]
    fn without_a_limit_nothing_is_asked() {
        let mut outage = Outage::new(None);
        outage.last_contact -= Duration::from_secs(3600);
        outage.last_probe -= Duration::from_secs(3600);
        assert_eq!(outage.probe_due(), None);
        assert_eq!(outage.note(false), None);
    }
}
