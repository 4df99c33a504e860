//! The first contact with a cluster: asked until somebody answers, or given up with the reason.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::Request;

use super::{To, Wire};
use crate::kafka::client::{ContactError, is_no_answer};

/// How often it is looked whether a signal came, or the broker refuses us for good.
const SLICE: Duration = Duration::from_millis(20);

impl Wire<'_> {
    /// Asks any broker, for as long as the first contact may take; gives the
    /// answer and who gave it: number and name.
    pub fn ask_first<R: Request>(
        &mut self,
        versions: RangeInclusive<i16>,
        interrupted: &dyn Fn() -> bool,
        build: impl Fn(i16) -> R + Clone + 'static,
    ) -> Result<(R::Response, (i32, String)), ContactError> {
        let started = Instant::now();
        let deadline = started + self.client.first_contact();
        for attempt in 0u32.. {
            self.send_within(To::Any, deadline, versions.clone(), build.clone());
            let mut next_ask = Instant::now() + self.client.first_contact() / 3;
            let answer = loop {
                let until = deadline.min(Instant::now() + SLICE);
                match self.next(until) {
                    // Another broker may still answer.
                    Some(answer) if answer.result.is_err() && self.open_count() > 0 => continue,
                    Some(answer) => break answer,
                    None => {}
                }
                // The one that was asked may hang, which its connection does not show: another one is asked, too.
                if Instant::now() >= next_ask && Instant::now() < deadline {
                    next_ask = Instant::now() + self.client.first_contact() / 3;
                    self.send_within(To::Any, deadline, versions.clone(), build.clone());
                }
                if interrupted() {
                    return Err(ContactError::Interrupted);
                }
                self.client.drain_errors();
                self.client.mention_wait(started);
                if self.client.is_refused_for_good() || Instant::now() >= deadline {
                    return Err(self.client.unreachable(started.elapsed()));
                }
            };
            let error = match answer.result {
                Ok(reply) => {
                    self.forget();
                    let origin = (reply.broker(), reply.broker_name().to_owned());
                    let response = reply.decode::<R>().map_err(ContactError::Answered)?;
                    return Ok((response, origin));
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
            self.client.mention_wait(started);
            // The first connection is given up by librdkafka as soon as the
            // brokers' numbers are known; one that always breaks is no reason to spin.
            if attempt > 0 {
                std::thread::sleep(SLICE);
            }
        }
        Err(self.client.unreachable(started.elapsed()))
    }
}
