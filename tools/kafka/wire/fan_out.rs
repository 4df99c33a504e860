//! The same request to many brokers at once, with a result for each.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::Request;

use super::{RawResponse, Target, Wire};
use crate::kafka::error::{KafkaError, code};

/// How often to check for a signal.
const INTERRUPT_CHECK_INTERVAL: Duration = Duration::from_millis(100);

impl Wire<'_> {
    /// Sends all requests at once and returns the responses in the order of the requests.
    ///
    /// A broker that hangs delays no other's response: it alone has an error at
    /// `deadline`. When `interrupted`, each missing response is an error.
    /// No other request may be in flight.
    pub fn fan_out<R, B>(
        &mut self,
        requests: impl IntoIterator<Item = (Target, RangeInclusive<i16>, B)>,
        deadline: Instant,
        interrupted: &dyn Fn() -> bool,
    ) -> Vec<Result<R::Response, KafkaError>>
    where
        R: Request,
        B: FnOnce(i16) -> R + 'static,
    {
        let requests = requests.into_iter();
        let requests =
            requests.map(|(target, versions, build)| (target, versions, deadline, build));
        let answers = self.fan_out_timed::<R, B>(requests, interrupted);
        answers.into_iter().map(|(answer, _)| answer).collect()
    }

    /// As [`Wire::fan_out`], with a deadline for each request; also returns how long each response took.
    pub fn fan_out_timed<R, B>(
        &mut self,
        requests: impl IntoIterator<Item = (Target, RangeInclusive<i16>, Instant, B)>,
        interrupted: &dyn Fn() -> bool,
    ) -> Vec<(Result<R::Response, KafkaError>, Duration)>
    where
        R: Request,
        B: FnOnce(i16) -> R + 'static,
    {
        debug_assert_eq!(
            self.in_flight_count(),
            0,
            "the responses to other requests would be lost"
        );
        let started = Instant::now();
        let mut last = started;
        let mut indexes = HashMap::new();
        for (index, (target, versions, deadline, build)) in requests.into_iter().enumerate() {
            last = last.max(deadline);
            indexes.insert(self.send_within(target, deadline, versions, build), index);
        }
        let none = || (Err(KafkaError::of(code::TIMED_OUT)), last - started);
        let mut answers: Vec<_> = (0..indexes.len()).map(|_| none()).collect();
        while self.in_flight_count() > 0 {
            let until = last.min(Instant::now() + INTERRUPT_CHECK_INTERVAL);
            if let Some(answer) = self.next(until) {
                if let Some(&index) = indexes.get(&answer.id) {
                    let result = answer.result.and_then(RawResponse::decode::<R>);
                    answers[index] = (result, started.elapsed());
                }
            } else if interrupted() || Instant::now() > last + INTERRUPT_CHECK_INTERVAL {
                self.abandon_all();
                break;
            } else {
                self.watch_queued(started);
            }
        }
        answers
    }

    /// Reports the broker that it waits for, and gives up brokers whose advertised addresses nobody reaches.
    fn watch_queued(&mut self, started: Instant) {
        let Some(first) = self.queued.front() else {
            return;
        };
        self.client.drain_errors();
        if let Target::Broker(id) = first.target {
            let limit = first.connect_by.saturating_duration_since(started);
            self.client.warn_of_slow_broker(id, started, limit);
        }
        if self.client.is_advertised_unreachable() {
            let now = Instant::now();
            for queued in &mut self.queued {
                queued.connect_by = now;
            }
        }
    }
}
