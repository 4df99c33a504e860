//! The first contact with the cluster: retried until its time is over, with the reason if it fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::causes::explain;
use super::{Client, lock};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::options::OptionsError;

/// Why there is no contact with the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// librdkafka refuses the combination of properties.
    #[error("{0}")]
    Refused(String),
    /// No broker answered in time.
    #[error("no contact with {brokers}{}: {cause}", within(*.seconds))]
    Unreachable {
        brokers: String,
        /// How long it was to be tried; none if it failed permanently before.
        seconds: Option<f64>,
        /// The error that says most.
        cause: String,
    },
    /// A broker answered, with an error.
    #[error("{0}")]
    Answered(KafkaError),
    /// A signal came first.
    #[error("interrupted before the first contact with the cluster")]
    Interrupted,
}

fn within(seconds: Option<f64>) -> String {
    seconds.map_or_else(String::new, |seconds| format!(" within {seconds} s"))
}

/// A first contact with a longer limit counts as unlimited.
const UNLIMITED_AFTER: Duration = Duration::from_secs(30 * 86_400);

impl Client {
    /// Warns once in a run, after a second, that there is no contact yet and why.
    pub(crate) fn warn_of_slow_contact(&self, started: Instant) {
        let what = || format!("no contact with {} yet", self.brokers);
        self.warn_once(started, self.first_contact, what);
    }

    /// As [`Client::warn_of_slow_contact`], for the answer of this broker within `limit`.
    pub(crate) fn warn_of_slow_broker(&self, id: i32, started: Instant, limit: Duration) {
        self.warn_once(started, limit, || format!("broker {id} is not reached yet"));
    }

    fn warn_once(&self, started: Instant, limit: Duration, what: impl FnOnce() -> String) {
        static HAS_WARNED: AtomicBool = AtomicBool::new(false);
        const SHORT: Duration = Duration::from_secs(1);
        if started.elapsed() < SHORT
            || limit <= 2 * SHORT
            || HAS_WARNED.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let how_long = if limit >= UNLIMITED_AFTER {
            "on".to_owned()
        } else {
            format!("for {} s (-m)", limit.as_secs())
        };
        let cause = explain(&lock(&self.shared.causes), &self.settings);
        log::warn!("{}, trying {how_long}: {cause}", what());
    }

    /// The error for a cluster that did not answer, with the most specific cause.
    pub(crate) fn unreachable(&self, tried: Duration) -> ContactError {
        let causes = lock(&self.shared.causes).clone();
        ContactError::Unreachable {
            brokers: self.brokers.clone(),
            seconds: (tried >= self.first_contact).then_some(self.first_contact.as_secs_f64()),
            cause: self
                .mismatch(&causes)
                .unwrap_or_else(|| explain(&causes, &self.settings)),
        }
    }
}

/// Whether a code means that no broker answered.
pub(crate) fn is_no_answer(code: i32) -> bool {
    matches!(
        code,
        code::TRANSPORT
            | code::TIMED_OUT
            | code::ALL_BROKERS_DOWN
            | code::RESOLVE
            | code::SSL
            | code::AUTHENTICATION
    )
}
