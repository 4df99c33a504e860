//! Requests that are tried again while the store is away, for as long as the user says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tools::cli::{message, signals};
use tools::units::format_duration_ms;

use super::cause::Cause;

/// `--delivery-timeout`.
const RETRY_FOR: Duration = Duration::from_secs(300);
/// The same before the store has answered for the first time, when a wrong address is as likely as an outage.
const FIRST_CONTACT: Duration = Duration::from_secs(15);
/// The same once a signal has come.
const AFTER_SIGNAL: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An outage of this length is reported, once.
const REPORTED: Duration = Duration::from_secs(2);
/// A longer pause looks at signals this often.
const LOOK: Duration = Duration::from_millis(200);

/// How long requests are tried again.
pub(super) struct Retry {
    given: Option<Duration>,
    has_answered: AtomicBool,
    is_reported: AtomicBool,
}

impl Retry {
    pub(super) fn new(given: Option<Duration>) -> Retry {
        Retry {
            given,
            has_answered: AtomicBool::new(false),
            is_reported: AtomicBool::new(false),
        }
    }

    fn limit(&self) -> Duration {
        let has_answered = self.has_answered.load(Ordering::Relaxed);
        let usual = if has_answered {
            RETRY_FOR
        } else {
            FIRST_CONTACT
        };
        let limit = self.given.unwrap_or(usual);
        if signals::any_caught() {
            limit.min(AFTER_SIGNAL)
        } else {
            limit
        }
    }

    /// Does `act` until it succeeds, fails for good, or the time is over; `name` is what it is about.
    pub(super) fn run<T>(
        &self,
        name: &dyn Fn() -> String,
        act: impl Fn() -> Result<T, Cause>,
    ) -> Result<T> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let cause = match act() {
                Ok(done) => {
                    self.has_answered.store(true, Ordering::Relaxed);
                    self.is_reported.store(false, Ordering::Relaxed);
                    return Ok(done);
                }
                Err(cause) => cause,
            };
            if cause.status.is_some() {
                self.has_answered.store(true, Ordering::Relaxed);
            }
            let tried = begun.elapsed();
            if !cause.is_passing {
                return Err(anyhow!("{}: {}", name(), cause.text));
            }
            if tried >= self.limit() {
                let tried = format_duration_ms(tried.as_millis() as i64 / 1000 * 1000);
                return Err(anyhow!("{}: {}; tried for {tried}", name(), cause.text));
            }
            if tried >= REPORTED && !self.is_reported.swap(true, Ordering::Relaxed) {
                message(format_args!("{}: {}; still trying", name(), cause.text));
            }
            self.wait(begun, pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits for `pause`, but not beyond the end of the time for all tries.
    fn wait(&self, begun: Instant, pause: Duration) {
        let end = Instant::now() + pause;
        while Instant::now() < end && begun.elapsed() < self.limit() {
            std::thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn cause(is_passing: bool, status: Option<u16>) -> Cause {
        Cause {
            text: "away".to_owned(),
            is_passing,
            status,
        }
    }

    #[test]
    fn what_passes_is_tried_until_it_has_passed_and_what_stays_once() {
        let tries = Cell::new(0);
        let retry = Retry::new(Some(Duration::from_secs(60)));
        let act = |fails: u32, is_passing: bool| {
            tries.set(0);
            retry.run(&|| "s3://b".to_owned(), || {
                tries.set(tries.get() + 1);
                if tries.get() > fails {
                    return Ok(());
                }
                Err(cause(is_passing, Some(503)))
            })
        };
        assert!(act(3, true).is_ok());
        assert_eq!(tries.get(), 4);
        let error = act(3, false).expect_err("it stays");
        assert_eq!(
            (tries.get(), error.to_string().as_str()),
            (1, "s3://b: away")
        );
    }

    #[test]
    fn it_is_given_up_when_the_time_is_over() {
        let retry = Retry::new(Some(Duration::from_millis(250)));
        let tried = retry.run::<()>(&|| "x".to_owned(), || Err(cause(true, None)));
        assert_eq!(
            tried.expect_err("in vain").to_string(),
            "x: away; tried for 0ms"
        );
    }
}
