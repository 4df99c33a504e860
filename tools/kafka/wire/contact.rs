//! The first contact with a cluster: asks until a broker answers, or fails with the reason.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::Request;

use super::{Target, Wire};
use crate::kafka::client::{ContactError, is_no_answer};

/// How often to check for a signal, and for a broker that refuses this client for good.
const INTERRUPT_CHECK_INTERVAL: Duration = Duration::from_millis(20);

impl Wire<'_> {
    /// Asks any broker, for as long as the first contact may take; returns the
    /// response with the id and name of the broker that sent it.
    pub fn retry_until_contact<R: Request>(
        &mut self,
        versions: RangeInclusive<i16>,
        interrupted: &dyn Fn() -> bool,
        build: impl Fn(i16) -> R + Clone + 'static,
    ) -> Result<(R::Response, (i32, String)), ContactError> {
        let started = Instant::now();
        let deadline = started + self.client.first_contact();
        for attempt in 0u32.. {
            self.send_within(Target::Any, deadline, versions.clone(), build.clone());
            let mut next_ask = Instant::now() + self.client.first_contact() / 3;
            let answer = loop {
                let until = deadline.min(Instant::now() + INTERRUPT_CHECK_INTERVAL);
                match self.next(until) {
                    // Another broker may still answer.
                    Some(answer) if answer.result.is_err() && self.in_flight_count() > 0 => {
                        continue;
                    }
                    Some(answer) => break answer,
                    None => {}
                }
                // The broker may hang, which its connection does not show: ask another one, too.
                if Instant::now() >= next_ask && Instant::now() < deadline {
                    next_ask = Instant::now() + self.client.first_contact() / 3;
                    self.send_within(Target::Any, deadline, versions.clone(), build.clone());
                }
                if interrupted() {
                    return Err(ContactError::Interrupted);
                }
                self.client.drain_errors();
                self.client.warn_of_slow_contact(started);
                if self.client.is_refused_permanently() || Instant::now() >= deadline {
                    return Err(self.client.unreachable(started.elapsed()));
                }
            };
            let error = match answer.result {
                Ok(response) => {
                    self.abandon_all();
                    self.client.clear_causes(response.broker());
                    let broker = (response.broker(), response.broker_name().to_owned());
                    let response = response.decode::<R>().map_err(ContactError::Answered)?;
                    return Ok((response, broker));
                }
                Err(error) => error,
            };
            self.client.drain_errors();
            if !is_no_answer(error.code) {
                return Err(ContactError::Answered(error));
            }
            if Instant::now() >= deadline {
                return Err(self.client.unreachable(started.elapsed()));
            }
            self.client.warn_of_slow_contact(started);
            // librdkafka closes the bootstrap connection as soon as it knows the
            // brokers' ids, so the first retry is at once; the others must not spin.
            if attempt > 0 {
                std::thread::sleep(INTERRUPT_CHECK_INTERVAL);
            }
        }
        Err(self.client.unreachable(started.elapsed()))
    }
}
