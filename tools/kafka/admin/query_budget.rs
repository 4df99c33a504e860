//! How long each broker may take for all that it is asked, and which brokers are not worth another question.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::Request;

use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::{Target, Wire};

/// Every version that both sides know.
pub const ANY_VERSION: RangeInclusive<i16> = 0..=i16::MAX;

/// How often a question is asked again whose answer may soon be another.
const RETRIES: u32 = 4;
/// The first pause before that; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// The time that each broker has, and what was found out about brokers while it was spent.
///
/// A broker that did not answer once is not asked again, and what one broker
/// takes is not taken from the others: so a broker that hangs costs its time
/// once and its own answers, however many rounds of questions there are.
pub struct QueryBudget<'a> {
    /// What every broker has.
    whole: Duration,
    /// How long each was waited for.
    spent: HashMap<i32, Duration>,
    /// Time spent in pauses between retries.
    paused: Duration,
    interrupted: &'a dyn Fn() -> bool,
    unresponsive: HashMap<i32, KafkaError>,
    /// The brokers of which any can be asked what all of them know.
    brokers: Vec<i32>,
}

/// A request, and the place of its answer.
struct PendingRequest<B> {
    index: usize,
    broker: i32,
    versions: RangeInclusive<i16>,
    build: B,
}

impl<'a> QueryBudget<'a> {
    /// `whole` for each broker; `interrupted` ends every wait.
    pub fn new(whole: Duration, interrupted: &'a dyn Fn() -> bool) -> QueryBudget<'a> {
        QueryBudget {
            whole,
            spent: HashMap::new(),
            paused: Duration::ZERO,
            interrupted,
            unresponsive: HashMap::new(),
            brokers: Vec::new(),
        }
    }

    /// Names the brokers that there are, the one that is asked first at their head.
    #[must_use]
    pub fn among(mut self, brokers: Vec<i32>) -> QueryBudget<'a> {
        self.brokers = brokers;
        self
    }

    /// By when a question to no broker in particular has to be answered.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.whole
    }

    /// What is left of a broker's time.
    fn left(&self, broker: i32) -> Duration {
        let spent = self.spent.get(&broker).copied().unwrap_or_default();
        self.whole.saturating_sub(spent)
    }

    /// Resets a broker's spent time.
    pub fn renew(&mut self, broker: i32) {
        self.spent.remove(&broker);
    }

    /// Whether a signal came.
    pub fn interrupted(&self) -> &'a dyn Fn() -> bool {
        self.interrupted
    }

    /// The brokers that did not answer, and why.
    pub fn unresponsive(&self) -> &HashMap<i32, KafkaError> {
        &self.unresponsive
    }

    /// A broker that may still answer, for what any of them can.
    pub fn any(&self) -> Option<i32> {
        let mut brokers = self.brokers.iter();
        brokers
            .find(|id| !self.unresponsive.contains_key(id))
            .copied()
    }

    /// Waits before retry `attempt`; false if no retry is left.
    pub fn pause(&mut self, attempt: u32) -> bool {
        attempt < RETRIES && self.pause_for_coordinator(attempt)
    }

    /// As [`QueryBudget::pause`], until the time is over: a broker that has just started takes seconds to load groups.
    pub fn pause_for_coordinator(&mut self, attempt: u32) -> bool {
        let pause = PAUSE * 2u32.saturating_pow(attempt.min(RETRIES - 1));
        if self.paused + pause > self.whole || (self.interrupted)() {
            return false;
        }
        self.paused += pause;
        std::thread::sleep(pause);
        true
    }

    /// Waits as long as a broker asks for, and at least a little; at most as long as it has time.
    pub fn rest(&mut self, broker: i32, throttle_ms: i32) {
        let rest = Duration::from_millis(throttle_ms.clamp(10, 1000) as u64);
        let rest = rest.min(self.left(broker));
        *self.spent.entry(broker).or_default() += rest;
        std::thread::sleep(rest);
    }

    /// Asks one broker after the other until one answers.
    pub fn ask_any<R, B>(
        &mut self,
        wire: &mut Wire<'_>,
        versions: &RangeInclusive<i16>,
        build: &B,
    ) -> Result<R::Response, KafkaError>
    where
        R: Request,
        B: FnOnce(i16) -> R + Clone + 'static,
    {
        let mut failed = KafkaError::of(code::TIMED_OUT);
        while let Some(broker) = self.any() {
            let answer = self.fan_out::<R, B>(wire, versions, vec![(broker, build.clone())]);
            match answer.into_iter().next() {
                Some(Err(error)) if self.unresponsive.contains_key(&broker) => failed = error,
                Some(answer) => return answer,
                None => break,
            }
        }
        Err(failed)
    }

    /// [`Wire::fan_out`] for brokers that answer: a request in one of `versions` to each broker.
    ///
    /// A connection that breaks says little about its broker, which may have
    /// closed an idle one: such a question is asked once more.
    pub fn fan_out<R, B>(
        &mut self,
        wire: &mut Wire<'_>,
        versions: &RangeInclusive<i16>,
        requests: Vec<(i32, B)>,
    ) -> Vec<Result<R::Response, KafkaError>>
    where
        R: Request,
        B: FnOnce(i16) -> R + Clone + 'static,
    {
        let requests = requests.into_iter();
        let requests = requests.map(|(broker, build)| (broker, versions.clone(), build));
        self.fan_out_versions::<R, B>(wire, requests.collect())
    }

    /// As [`QueryBudget::fan_out`], each request with the versions that it may have.
    pub fn fan_out_versions<R, B>(
        &mut self,
        wire: &mut Wire<'_>,
        requests: Vec<(i32, RangeInclusive<i16>, B)>,
    ) -> Vec<Result<R::Response, KafkaError>>
    where
        R: Request,
        B: FnOnce(i16) -> R + Clone + 'static,
    {
        let mut answers: Vec<Result<R::Response, KafkaError>> = requests
            .iter()
            .map(|(broker, ..)| Err(self.refusal(*broker)))
            .collect();
        let asked = requests.into_iter().enumerate();
        let mut open: Vec<PendingRequest<B>> = asked
            .map(|(index, (broker, versions, build))| PendingRequest {
                index,
                broker,
                versions,
                build,
            })
            .filter(|asked| !self.unresponsive.contains_key(&asked.broker))
            .collect();
        for is_last in [false, true] {
            let replies = self.send::<R, B>(wire, &open);
            let mut again = Vec::new();
            for (asked, reply) in open.into_iter().zip(replies) {
                let broker = asked.broker;
                let may_ask = !is_last && !self.left(broker).is_zero() && !(self.interrupted)();
                match &reply {
                    Err(error) if error.code == code::TRANSPORT && may_ask => {
                        again.push(asked);
                        continue;
                    }
                    Err(error) if matches!(error.code, code::TIMED_OUT | code::TRANSPORT) => {
                        self.unresponsive.insert(broker, error.clone());
                    }
                    _ => {}
                }
                answers[asked.index] = reply;
            }
            if again.is_empty() {
                break;
            }
            open = again;
        }
        answers
    }

    /// Sends all of them at once; how long their brokers took is taken from these brokers' time.
    fn send<R, B>(
        &mut self,
        wire: &mut Wire<'_>,
        open: &[PendingRequest<B>],
    ) -> Vec<Result<R::Response, KafkaError>>
    where
        R: Request,
        B: FnOnce(i16) -> R + Clone + 'static,
    {
        let requests = open.iter().map(|asked| {
            let deadline = Instant::now() + self.left(asked.broker);
            let to = Target::Broker(asked.broker);
            (to, asked.versions.clone(), deadline, asked.build.clone())
        });
        let requests: Vec<_> = requests.collect();
        let replies = wire.fan_out_timed::<R, B>(requests, self.interrupted);
        let mut waited: HashMap<i32, Duration> = HashMap::new();
        for (asked, (_, took)) in open.iter().zip(&replies) {
            let most = waited.entry(asked.broker).or_default();
            *most = (*most).max(*took);
        }
        for (asked, (reply, _)) in open.iter().zip(&replies) {
            if reply.is_ok() {
                wire.client().clear_causes(asked.broker);
            }
        }
        for (broker, took) in waited {
            *self.spent.entry(broker).or_default() += took;
        }
        replies.into_iter().map(|(reply, _)| reply).collect()
    }

    /// Why a broker is not asked, where it is not.
    fn refusal(&self, broker: i32) -> KafkaError {
        let unresponsive = self.unresponsive.get(&broker).cloned();
        unresponsive.unwrap_or_else(|| KafkaError::of(code::TIMED_OUT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_broker_takes_is_not_taken_from_the_others() {
        let never = || false;
        let whole = Duration::from_secs(100);
        let mut budget = QueryBudget::new(whole, &never);
        budget.spent.insert(1, whole * 9 / 10);
        assert_eq!(budget.left(1), whole / 10);
        assert_eq!(budget.left(2), whole);
        budget.spent.insert(1, whole * 2);
        assert_eq!(budget.left(1), Duration::ZERO);
    }

    #[test]
    fn a_silent_broker_is_not_asked_what_others_know_too() {
        let never = || false;
        let mut budget = QueryBudget::new(Duration::from_secs(1), &never).among(vec![3, 1]);
        assert_eq!(budget.any(), Some(3));
        let error = KafkaError::of(code::TIMED_OUT);
        budget.unresponsive.insert(3, error.clone());
        assert_eq!(budget.any(), Some(1));
        budget.unresponsive.insert(1, error);
        assert_eq!(budget.any(), None);
    }

    #[test]
    fn a_question_is_not_asked_again_for_ever_nor_after_a_signal() {
        let never = || false;
        let mut budget = QueryBudget::new(Duration::from_secs(100), &never);
        assert!(budget.pause(0));
        assert!(!budget.pause(RETRIES));
        assert!(budget.pause_for_coordinator(RETRIES));
        assert!(!QueryBudget::new(Duration::from_millis(10), &never).pause(0));
        let always = || true;
        assert!(!QueryBudget::new(Duration::from_secs(100), &always).pause(0));
    }
}
