//! How long a set of questions may take altogether, and which brokers are not worth another one.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::Request;

use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::{To, Wire};

/// Every version that both sides know.
pub const ANY_VERSION: RangeInclusive<i16> = 0..=i16::MAX;

/// How often a question is asked again whose answer may soon be another.
const RETRIES: u32 = 4;
/// The first pause before that; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// The time that there is, and what was found out about brokers while it was spent.
///
/// One question has at most half of what the whole has, and a broker that did
/// not answer once is not asked again: so a broker that hangs takes the time
/// of one question, and what the others know is told in time.
pub struct Patience<'a> {
    started: Instant,
    whole: Duration,
    interrupted: &'a dyn Fn() -> bool,
    silent: HashMap<i32, KafkaError>,
}

impl<'a> Patience<'a> {
    /// Begins now; `interrupted` ends every wait.
    pub fn new(whole: Duration, interrupted: &'a dyn Fn() -> bool) -> Patience<'a> {
        Patience {
            started: Instant::now(),
            whole,
            interrupted,
            silent: HashMap::new(),
        }
    }

    /// By when a question that is asked now has to be answered.
    pub fn deadline(&self) -> Instant {
        (self.started + self.whole).min(Instant::now() + self.whole / 2)
    }

    /// Whether all of the time is gone.
    pub fn is_over(&self) -> bool {
        self.started.elapsed() >= self.whole
    }

    /// Whether a signal came.
    pub fn interrupted(&self) -> &'a dyn Fn() -> bool {
        self.interrupted
    }

    /// The brokers that did not answer, and why.
    pub fn silent(&self) -> &HashMap<i32, KafkaError> {
        &self.silent
    }

    /// Waits before a question is asked for the time after `attempt`; false where there is no sense in it.
    pub fn pause(&self, attempt: u32) -> bool {
        let pause = PAUSE * 2u32.saturating_pow(attempt.min(RETRIES));
        let is_late = Instant::now() + pause > self.started + self.whole;
        if attempt >= RETRIES || is_late || (self.interrupted)() {
            return false;
        }
        std::thread::sleep(pause);
        true
    }

    /// Waits as long as a broker asks for, and at least a little; at most as long as there is time.
    pub fn rest(&self, throttle_ms: i32) {
        let rest = Duration::from_millis(throttle_ms.clamp(10, 1000) as u64);
        std::thread::sleep(rest.min(self.whole.saturating_sub(self.started.elapsed())));
    }

    /// [`Wire::gather`] for brokers that answer: a request in one of `versions` to each broker.
    pub fn gather<R, B>(
        &mut self,
        wire: &mut Wire<'_>,
        versions: &RangeInclusive<i16>,
        requests: Vec<(i32, B)>,
    ) -> Vec<Result<R::Response, KafkaError>>
    where
        R: Request,
        B: FnOnce(i16) -> R + 'static,
    {
        let brokers: Vec<i32> = requests.iter().map(|(broker, _)| *broker).collect();
        let asked = requests
            .into_iter()
            .filter(|(broker, _)| !self.silent.contains_key(broker))
            .map(|(broker, build)| (To::Broker(broker), versions.clone(), build));
        let asked: Vec<_> = asked.collect();
        let mut replies = wire
            .gather::<R, B>(asked, self.deadline(), self.interrupted)
            .into_iter();
        let known = self.silent.clone();
        let mut answers = Vec::with_capacity(brokers.len());
        for broker in brokers {
            let answer = match known.get(&broker) {
                Some(error) => Err(error.clone()),
                None => replies
                    .next()
                    .unwrap_or_else(|| Err(KafkaError::of(code::TIMED_OUT))),
            };
            if let Err(error) = &answer
                && matches!(error.code, code::TIMED_OUT | code::TRANSPORT)
            {
                self.silent.insert(broker, error.clone());
            }
            answers.push(answer);
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_question_has_half_of_the_time_and_the_last_one_what_is_left() {
        let never = || false;
        let whole = Duration::from_secs(100);
        let mut patience = Patience::new(whole, &never);
        let left = |patience: &Patience<'_>| patience.deadline() - Instant::now();
        assert!(left(&patience) > whole * 4 / 10 && left(&patience) <= whole / 2);
        patience.started -= whole * 8 / 10;
        assert!(left(&patience) <= whole * 2 / 10);
    }

    #[test]
    fn a_question_is_not_asked_again_for_ever_nor_after_a_signal() {
        let never = || false;
        let patience = Patience::new(Duration::from_secs(100), &never);
        assert!(patience.pause(0));
        assert!(!patience.pause(RETRIES));
        assert!(!Patience::new(Duration::from_millis(10), &never).pause(0));
        let always = || true;
        assert!(!Patience::new(Duration::from_secs(100), &always).pause(0));
    }
}
