//! The same question to many brokers side by side, every answer in its place.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::Request;

use super::{To, Wire};
use crate::kafka::error::{KafkaError, code};

/// How long a wait for answers may keep a signal waiting.
const SLICE: Duration = Duration::from_millis(100);

impl Wire<'_> {
    /// Sends each request to its broker in one of its versions, all at once, and gives the answers in their order.
    ///
    /// A broker that hangs delays nobody else's answer: at `deadline` it is the
    /// one that has an error. When `interrupted`, what is not there yet is an error too.
    /// No other request may be under way.
    pub fn gather<R, B>(
        &mut self,
        requests: impl IntoIterator<Item = (To, RangeInclusive<i16>, B)>,
        deadline: Instant,
        interrupted: &dyn Fn() -> bool,
    ) -> Vec<Result<R::Response, KafkaError>>
    where
        R: Request,
        B: FnOnce(i16) -> R + 'static,
    {
        let requests = requests.into_iter();
        let requests = requests.map(|(to, versions, build)| (to, versions, deadline, build));
        let answers = self.gather_timed::<R, B>(requests, interrupted);
        answers.into_iter().map(|(answer, _)| answer).collect()
    }

    /// As [`Wire::gather`], each request with a deadline of its own; with how long each answer took.
    pub fn gather_timed<R, B>(
        &mut self,
        requests: impl IntoIterator<Item = (To, RangeInclusive<i16>, Instant, B)>,
        interrupted: &dyn Fn() -> bool,
    ) -> Vec<(Result<R::Response, KafkaError>, Duration)>
    where
        R: Request,
        B: FnOnce(i16) -> R + 'static,
    {
        debug_assert_eq!(self.open_count(), 0, "answers to others would be lost");
        let started = Instant::now();
        let mut last = started;
        let mut places = HashMap::new();
        for (place, (to, versions, deadline, build)) in requests.into_iter().enumerate() {
            last = last.max(deadline);
            places.insert(self.send_within(to, deadline, versions, build), place);
        }
        let none = || (Err(KafkaError::of(code::TIMED_OUT)), last - started);
        let mut answers: Vec<_> = (0..places.len()).map(|_| none()).collect();
        while self.open_count() > 0 {
            let until = last.min(Instant::now() + SLICE);
            if let Some(answer) = self.next(until) {
                if let Some(&place) = places.get(&answer.ticket) {
                    let result = answer.result.and_then(super::Reply::decode::<R>);
                    answers[place] = (result, started.elapsed());
                }
            } else if interrupted() || Instant::now() > last + SLICE {
                self.forget();
                break;
            }
        }
        answers
    }

    /// Gives up what is still under way.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        self.arrived.clear();
        self.under_way.clear();
        self.queue = super::Queue::new(self.client);
    }
}
