//! `--give-up`: how long nobody has answered.
//!
//! Contact is an answer to a question that is asked for its own sake: records
//! of one partition say nothing about the leader of another.

use std::time::{Duration, Instant};

/// Tells an outage that is too long from a cluster that has nothing to say.
#[derive(Debug)]
pub struct Outage {
    limit: Option<Duration>,
    contact: Instant,
    asked: Instant,
}

/// The longest time between two questions.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);

impl Outage {
    /// In contact now; without a limit no outage is too long.
    pub fn new(limit: Option<Duration>) -> Outage {
        let now = Instant::now();
        Outage {
            limit,
            contact: now,
            asked: now,
        }
    }

    /// How long a question may take, if it is time to ask one.
    pub fn wants_asking(&self) -> Option<Duration> {
        let interval = (self.limit? / 4).min(LONGEST_INTERVAL);
        let is_due = self.contact.elapsed() >= interval && self.asked.elapsed() >= interval;
        is_due.then_some(interval / 2)
    }

    /// Whether the question was answered; for how long there has been no answer, if that is too long.
    pub fn note(&mut self, is_answered: bool) -> Option<Duration> {
        self.asked = Instant::now();
        if is_answered {
            self.contact = self.asked;
        }
        let silence = self.contact.elapsed();
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
        assert_eq!(outage.wants_asking(), None);
        outage.contact -= limit / 2;
        outage.asked -= limit / 2;
        assert_eq!(outage.wants_asking(), Some(super::LONGEST_INTERVAL / 2));
        assert_eq!(outage.note(false), None);
        // Asked just now.
        assert_eq!(outage.wants_asking(), None);
        outage.contact -= limit;
        assert!(outage.note(false).is_some());
        // A process that was suspended asks before it judges.
        assert_eq!(outage.note(true), None);
    }

    #[test]
    fn without_a_limit_nothing_is_asked() {
        let mut outage = Outage::new(None);
        outage.contact -= Duration::from_secs(3600);
        outage.asked -= Duration::from_secs(3600);
        assert_eq!(outage.wants_asking(), None);
        assert_eq!(outage.note(false), None);
    }
}
