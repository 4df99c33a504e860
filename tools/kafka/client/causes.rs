//! Why brokers can't be reached: errors that librdkafka reports or only logs, and the most specific of them.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Client, lock};
use crate::kafka::certificate;
use crate::kafka::diagnosis::{self, ConnectionSettings};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::probe::probe;
use crate::kafka::wire::learned_brokers;

/// What callbacks on librdkafka's threads use.
#[derive(Default)]
pub(super) struct Shared {
    /// The last errors, oldest first, without duplicates.
    pub(super) causes: Mutex<Vec<KafkaError>>,
    /// For each probed address why its connections break, if known.
    pub(super) probed: Mutex<HashMap<String, Option<String>>>,
    /// Since when no advertised address can be reached.
    pub(super) unreached_since: Mutex<Option<Instant>>,
    /// Whether callbacks should give up.
    pub(super) is_closing: AtomicBool,
}

impl Shared {
    pub(super) fn note(&self, error: KafkaError) {
        let mut causes = lock(&self.causes);
        causes.retain(|known| *known != error);
        causes.push(error);
        let surplus = causes.len().saturating_sub(8);
        causes.drain(..surplus);
    }
}

impl Client {
    /// Whether waiting is useless: a wrong password, certificate or protocol.
    pub(crate) fn is_refused_permanently(&self) -> bool {
        let causes = lock(&self.shared.causes).clone();
        let is_refusal = |cause: &KafkaError| {
            cause.code == code::AUTHENTICATION || certificate::is_refused(&cause.reason)
        };
        causes.iter().any(is_refusal)
            || self.mismatch(&causes).is_some()
            || self.is_advertised_unreachable()
    }

    /// Why the listener of a broken connection can't talk to this client; each address is probed once.
    pub(super) fn mismatch(&self, causes: &[KafkaError]) -> Option<String> {
        let suspicious = causes
            .iter()
            .filter(|c| diagnosis::is_suspicious(&c.reason));
        let addresses = suspicious.filter_map(|cause| diagnosis::address(&cause.reason));
        let mut probed = lock(&self.shared.probed);
        let mut found = addresses.map(|address| {
            let known = probed.entry(address.to_owned());
            let ask = || diagnosis::mismatch(&self.settings, address, &probe(address));
            known.or_insert_with(ask).clone()
        });
        found.find_map(|found| found)
    }

    /// Whether no broker could be reached at its advertised address for a while.
    ///
    /// librdkafka does not report `ALL_BROKERS_DOWN` while a connection to the bootstrap list stands.
    pub(crate) fn is_advertised_unreachable(&self) -> bool {
        let brokers = learned_brokers(self);
        let mut since = lock(&self.shared.unreached_since);
        let Some(brokers) =
            brokers.filter(|b| !b.is_one_up && self.has_unreachable_advertised_address())
        else {
            *since = None;
            return false;
        };
        let is_long =
            since.get_or_insert_with(Instant::now).elapsed() >= ADVERTISED_UNREACHABLE_AFTER;
        is_long && !brokers.is_one_connecting
    }

    /// Whether a broker can't be reached at an advertised address that is not in the bootstrap list.
    pub(crate) fn has_unreachable_advertised_address(&self) -> bool {
        let typed: Vec<String> = self.brokers.split(',').map(with_port).collect();
        let is_typed = |address: &str| typed.iter().any(|typed| typed == address);
        let is_wrong = |cause: &KafkaError| {
            diagnosis::is_unreachable(&cause.reason)
                && diagnosis::advertised(&cause.reason)
                    .is_some_and(|(_, address)| !is_typed(address))
        };
        lock(&self.shared.causes).iter().any(is_wrong)
    }

    /// Whether no broker can be reached. Closed connections alone do not count: brokers close idle ones.
    pub fn all_brokers_down(&self) -> bool {
        let causes = lock(&self.shared.causes);
        let are_down = causes
            .iter()
            .any(|cause| cause.code == code::ALL_BROKERS_DOWN);
        are_down
            && causes
                .iter()
                .any(|cause| diagnosis::is_unreachable(&cause.reason))
    }

    /// Clears the causes about `broker` and about the first contact: it has answered.
    pub(crate) fn clear_causes(&self, broker: i32) {
        self.drain_errors();
        lock(&self.shared.probed).clear();
        lock(&self.shared.causes).retain(|cause| is_about_other_broker(cause, broker));
    }

    /// Why this broker can't be reached, if known.
    pub(crate) fn cause_of(&self, broker: i32) -> Option<String> {
        self.drain_errors();
        let mut causes = lock(&self.shared.causes).clone();
        causes.retain(|cause| !is_about_other_broker(cause, broker));
        (!causes.is_empty()).then(|| explain(&causes, &self.settings))
    }

    /// The most specific recent error, if any.
    pub fn cause(&self) -> Option<String> {
        self.drain_errors();
        let causes = lock(&self.shared.causes);
        (!causes.is_empty()).then(|| explain(&causes, &self.settings))
    }
}

/// Stores a cause from a callback, which gets the client's `opaque`.
///
/// # Safety
/// `opaque` is the one of a live client.
pub(in crate::kafka) unsafe fn add_cause(opaque: *mut std::ffi::c_void, cause: KafkaError) {
    // SAFETY: the caller's promise: `Client::create` set it, and the handle goes before what it points to.
    unsafe { &*opaque.cast::<Shared>() }.note(cause);
}

/// Whether the client of a callback's `opaque` is being closed.
///
/// # Safety
/// `opaque` is the one of a live client.
pub(in crate::kafka) unsafe fn is_closing(opaque: *mut std::ffi::c_void) -> bool {
    // SAFETY: the caller's promise, as above.
    let shared = unsafe { &*opaque.cast::<Shared>() };
    shared.is_closing.load(Ordering::Relaxed)
}

/// The most specific cause; "all brokers are down" and "timed out" only if there is no other.
pub(super) fn explain(causes: &[KafkaError], settings: &ConnectionSettings) -> String {
    let is_unspecific =
        |cause: &&KafkaError| matches!(cause.code, code::ALL_BROKERS_DOWN | code::TIMED_OUT);
    let rank = |cause: &&KafkaError| match cause.code {
        _ if certificate::is_own_result(cause) => 5,
        code::AUTHENTICATION => 4,
        code::SSL => 3,
        // An advertised address is known because the bootstrap address could be reached.
        _ if diagnosis::advertised(&cause.reason).is_some() => 2,
        _ => 1,
    };
    let specific = causes.iter().filter(|c| !is_unspecific(c)).max_by_key(rank);
    match specific.or(causes.last()) {
        Some(cause) => shorten(&cause.to_string(), settings),
        None => "connected or connecting, but no answer; is it a Kafka broker, and is security.protocol right?".to_owned(),
    }
}

/// librdkafka's reason without its statistics: `(after 0ms in state CONNECT, 3 identical error(s) suppressed)`.
fn shorten(reason: &str, settings: &ConnectionSettings) -> String {
    let end = reason.rfind(" (after ").unwrap_or(reason.len());
    let mut text = reason[..end].replace("/bootstrap", "");
    certificate::advise(&mut text);
    diagnosis::advise(settings, &mut text);
    text
}

/// A typed address as librdkafka reports it: without the protocol that may stand before it, and with a port.
fn with_port(typed: &str) -> String {
    let address = typed.trim();
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let behind_host = &address[address.rfind(']').unwrap_or(0)..];
    if behind_host.contains(':') {
        address.to_owned()
    } else {
        format!("{address}:9092")
    }
}

/// Whether a cause is about another broker.
fn is_about_other_broker(cause: &KafkaError, broker: i32) -> bool {
    diagnosis::advertised(&cause.reason).is_some_and(|(id, _)| id != broker)
}

/// How long all advertised addresses are unreachable before that is the result.
const ADVERTISED_UNREACHABLE_AFTER: Duration = Duration::from_millis(800);

#[cfg(test)]
mod tests {
    use super::{
        ConnectionSettings, KafkaError, explain, is_about_other_broker, shorten, with_port,
    };

    /// Regression: a single broker that was restarted was given up at once, because `-b h` is not `h:9092`.
    #[test]
    fn a_typed_address_is_compared_with_its_port_and_without_its_protocol() {
        let typed = ["h", " h:9093", "SSL://h:9093", "[::1]", "[::1]:9093"];
        let expected = ["h:9092", "h:9093", "h:9093", "[::1]:9092", "[::1]:9093"];
        assert_eq!(typed.map(with_port), expected);
    }

    #[test]
    fn the_error_of_one_broker_is_not_reported_for_another() {
        let cause = |reason| KafkaError::new(-195, reason);
        let refused = cause("h:1/2: Connect to ipv4#h:1 failed: Connection refused");
        assert!(is_about_other_broker(&refused, 1) && !is_about_other_broker(&refused, 2));
        let first = cause("h:1/bootstrap: Connect to ipv4#h:1 failed: Connection refused");
        assert!(!is_about_other_broker(&first, 1));
    }

    #[test]
    fn the_most_specific_cause_is_reported() {
        let causes = [
            KafkaError::new(
                -195,
                "h:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
            ),
            KafkaError::new(-187, "1/1 brokers are down"),
        ];
        assert_eq!(
            explain(&causes, &ConnectionSettings::default()),
            "h:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused"
        );
        assert!(explain(&[], &ConnectionSettings::default()).contains("no answer"));
        assert_eq!(shorten("plain", &ConnectionSettings::default()), "plain");
    }
}
