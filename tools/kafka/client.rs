//! A librdkafka handle: created from [`Options`], polled through one event queue, closed when dropped.
//!
//! Errors that librdkafka only logs (refused, not resolved, TLS, wrong
//! password) are kept as causes, so that a failed first contact says why and
//! not only "timed out".
#![allow(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::ffi::{CString, c_char, c_int};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::certificate;
use super::diagnosis::{self, ConnectionSettings};
use super::error::{KafkaError, code};
use super::ffi;
use super::options::{Conf, Options, OptionsError};
use super::probe::probe;
use super::token;
use super::wire::learned_brokers;

/// What a handle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Produces records.
    Producer,
    /// Consumes records, or only sends requests.
    Consumer,
}

/// Why there is no contact with the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// The properties don't fit together.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// librdkafka refuses the combination of properties.
    #[error("{0}")]
    Refused(String),
    /// No broker answered in time.
    #[error("no contact with {brokers}{}: {cause}", within(*.seconds))]
    Unreachable {
        /// The bootstrap list.
        brokers: String,
        /// How long it was tried; none if it failed permanently before.
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

/// The command that renews a Kerberos ticket.
const KINIT: &str = "sasl.kerberos.kinit.cmd";

/// A first contact with a longer limit counts as unlimited.
const UNLIMITED_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// What callbacks on librdkafka's threads use.
struct Shared {
    /// The last errors, oldest first, without duplicates.
    causes: Mutex<Vec<KafkaError>>,
    /// For each probed address why its connections break, if known.
    probed: Mutex<HashMap<String, Option<String>>>,
    /// Since when no advertised address can be reached.
    unreached_since: Mutex<Option<Instant>>,
    /// Whether callbacks should give up.
    is_closing: AtomicBool,
}

impl Shared {
    fn note(&self, error: KafkaError) {
        let mut causes = lock(&self.causes);
        causes.retain(|known| *known != error);
        causes.push(error);
        let surplus = causes.len().saturating_sub(8);
        causes.drain(..surplus);
    }
}

/// A handle of librdkafka with its main queue.
pub struct Client {
    rk: *mut ffi::rd_kafka_t,
    queue: *mut ffi::rd_kafka_queue_t,
    shared: Arc<Shared>,
    /// Other events that [`Client::drain_errors`] met.
    pending_events: Mutex<VecDeque<Event>>,
    brokers: String,
    first_contact: Duration,
    settings: ConnectionSettings,
}

// SAFETY: librdkafka's handle and queues may be used from any thread (INTRODUCTION.md, "Threads and callbacks").
unsafe impl Send for Client {}
// SAFETY: as above; what the callbacks change is behind a mutex.
unsafe impl Sync for Client {}

impl Client {
    /// Creates the handle; connecting goes on in the background.
    pub fn new(options: &Options, role: Role) -> Result<Client, ContactError> {
        let brokers = options.brokers()?.to_owned();
        options.check_files()?;
        let mut options = options.clone();
        options.set_default("ssl.ca.location", "probe");
        // Without this, librdkafka waits 50 ms before it opens its second connection.
        options.set_default("enable.sparse.connections", "false");
        // Without a keytab the user has a ticket of kinit, which librdkafka would try to renew with a keytab.
        if options.get("sasl.kerberos.keytab").is_none() && !options.is_set(KINIT) {
            options.set_default("sasl.kerberos.min.time.before.relogin", "0");
        }
        if options.verbosity >= 2 {
            options.set_default("log_level", "7");
        }
        let tokens = token::callback_config(&options).transpose();
        let tokens = tokens.map_err(ContactError::Refused)?;
        if let Some(config) = &tokens {
            options.force("sasl.oauthbearer.config", config);
        }
        let needs_tokens = tokens.is_some();
        let conf = Conf::build(&options)?;
        let shared = Arc::new(Shared {
            causes: Mutex::default(),
            probed: Mutex::default(),
            unreached_since: Mutex::default(),
            is_closing: AtomicBool::new(false),
        });
        if options.get("enable.ssl.certificate.verification") != Some("false") {
            certificate::explain_refusals(&conf);
        }
        if needs_tokens {
            token::register_callback(&conf);
        }
        let protocol = options.get("security.protocol").unwrap_or("plaintext");
        let settings = ConnectionSettings {
            protocol: protocol.to_ascii_uppercase(),
            principal: options.get("sasl.kerberos.principal").map(str::to_owned),
        };
        let mut client = Client::create(conf, role, shared).map_err(|error| match error {
            ContactError::Refused(mut reason) => {
                diagnosis::advise(&settings, &mut reason);
                ContactError::Refused(reason)
            }
            other => other,
        })?;
        client.settings = settings;
        if needs_tokens {
            // SAFETY: just created from the configuration above.
            unsafe { token::enable_background_callbacks(client.rk) };
        }
        client.brokers = brokers;
        client.first_contact = options.first_contact;
        Ok(client)
    }

    fn create(conf: Conf, role: Role, shared: Arc<Shared>) -> Result<Client, ContactError> {
        let rk_type = match role {
            Role::Producer => ffi::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            Role::Consumer => ffi::rd_kafka_type_t::RD_KAFKA_CONSUMER,
        };
        let events = ffi::RD_KAFKA_EVENT_DR
            | ffi::RD_KAFKA_EVENT_ERROR
            | ffi::RD_KAFKA_EVENT_FETCH
            | ffi::RD_KAFKA_EVENT_REBALANCE
            | ffi::RD_KAFKA_EVENT_OFFSET_COMMIT;
        let mut reason = [0u8; 512];
        // SAFETY: the configuration is live; `shared` is behind an Arc, so its address
        // holds as long as the handle, which is destroyed before it. On
        // success librdkafka owns the configuration, on failure we still do.
        unsafe {
            let conf_ptr = conf.as_ptr();
            ffi::rd_kafka_conf_set_opaque(conf_ptr, Arc::as_ptr(&shared).cast_mut().cast());
            ffi::rd_kafka_conf_set_log_cb(conf_ptr, Some(log_callback));
            ffi::rd_kafka_conf_set_events(conf_ptr, events);
            if role == Role::Producer && ffi::send_timestamp_0(conf_ptr) != code::NONE {
                return Err(ContactError::Refused("no interceptor can be added".into()));
            }
            let rk = ffi::rd_kafka_new(rk_type, conf_ptr, reason.as_mut_ptr().cast(), reason.len());
            if rk.is_null() {
                if role == Role::Producer {
                    // librdkafka has freed the interceptors that the configuration still names, and destroying it would
                    // free them again.
                    let _ = conf.release();
                }
                return Err(ContactError::Refused(ffi::buffer_text(&reason)));
            }
            let _ = conf.release();
            let queue = ffi::rd_kafka_queue_get_main(rk);
            Ok(Client {
                rk,
                queue,
                shared,
                pending_events: Mutex::new(VecDeque::new()),
                brokers: String::new(),
                first_contact: Duration::ZERO,
                settings: ConnectionSettings::default(),
            })
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rd_kafka_t {
        self.rk
    }

    /// The bootstrap list.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The value of a property as librdkafka has it, its defaults included; `None` for one that it does not know.
    pub fn property(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        let mut size = 0;
        // SAFETY: the handle is live and its configuration with it; the first
        // call returns the size that the second one fills, the NUL included.
        unsafe {
            let conf = ffi::rd_kafka_conf(self.rk);
            let get = |value, size| {
                ffi::rd_kafka_conf_get(conf, name.as_ptr(), value, size)
                    == ffi::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK
            };
            if !get(std::ptr::null_mut(), &raw mut size) {
                return None;
            }
            let mut value = vec![0u8; size.max(1)];
            get(value.as_mut_ptr().cast(), &raw mut size);
            Some(ffi::buffer_text(&value))
        }
    }

    /// How long the first contact may take.
    pub fn first_contact(&self) -> Duration {
        self.first_contact
    }

    /// Whether a broker has returned the cluster id over any connection of this client.
    pub(crate) fn has_seen_cluster(&self) -> bool {
        // SAFETY: the handle is live; without a timeout it returns what is known. librdkafka frees the text.
        unsafe {
            let id = ffi::rd_kafka_clusterid(self.rk, 0);
            if !id.is_null() {
                ffi::rd_kafka_mem_free(self.rk, id.cast());
            }
            !id.is_null()
        }
    }

    /// The next event of the main queue; blocks for at most `timeout_ms`.
    pub(crate) fn poll(&self, timeout_ms: i32) -> Option<Event> {
        if let Some(event) = lock(&self.pending_events).pop_front() {
            return Some(event);
        }
        self.poll_queue(timeout_ms)
    }

    fn poll_queue(&self, timeout_ms: i32) -> Option<Event> {
        // SAFETY: the queue lives as long as `self`.
        unsafe { Event::poll(self.queue, timeout_ms) }
    }

    /// Stores an error event as a cause and returns it; `None` for other events.
    pub(crate) fn note(&self, event: &Event) -> Option<KafkaError> {
        let error = event.error()?;
        if error.code != code::PARTITION_EOF {
            self.shared.note(error.clone());
        }
        Some(error)
    }

    /// Stores the errors among the queued events; [`Client::poll`] returns the others.
    pub(crate) fn drain_errors(&self) {
        while let Some(event) = self.poll_queue(0) {
            if self.note(&event).is_none() {
                lock(&self.pending_events).push_back(event);
            }
        }
    }

    /// Calls `ask` with growing timeouts (milliseconds) until it succeeds, the time for the first contact is over, or
    /// `interrupted`.
    ///
    /// The first timeouts are short: librdkafka repeats a request that was queued
    /// before a connection stood only seconds later.
    pub(crate) fn retry_until_contact<T>(
        &self,
        interrupted: &dyn Fn() -> bool,
        mut ask: impl FnMut(i32) -> Result<T, KafkaError>,
    ) -> Result<T, ContactError> {
        let started = Instant::now();
        let mut slice = Duration::from_millis(490);
        loop {
            let left = self.first_contact.saturating_sub(started.elapsed());
            let wait = slice.min(left).max(Duration::from_millis(1));
            match ask(wait.as_millis() as i32) {
                Ok(answer) => return Ok(answer),
                Err(error) if !is_no_answer(error.code) => {
                    return Err(ContactError::Answered(error));
                }
                Err(_) if interrupted() => return Err(ContactError::Interrupted),
                Err(_) => {}
            }
            self.drain_errors();
            self.warn_of_slow_contact(started);
            if self.is_refused_permanently() || started.elapsed() >= self.first_contact {
                return Err(self.unreachable(started.elapsed()));
            }
            // A refused connection fails at once; retrying at once would spin.
            let left = self.first_contact.saturating_sub(started.elapsed());
            std::thread::sleep(left.min(Duration::from_millis(20)));
            // Keep the timeouts short until the warning, which is due after a second.
            if started.elapsed() > Duration::from_secs(1) {
                slice *= 2;
            }
        }
    }

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
    fn mismatch(&self, causes: &[KafkaError]) -> Option<String> {
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

    /// The error for a cluster that did not answer, with the most specific cause.
    pub(crate) fn unreachable(&self, tried: Duration) -> ContactError {
        let causes = lock(&self.shared.causes).clone();
        ContactError::Unreachable {
            brokers: self.brokers.clone(),
            seconds: (tried >= self.first_contact)
                .then(|| (tried.as_secs_f64() * 10.0).round() / 10.0),
            cause: self
                .mismatch(&causes)
                .unwrap_or_else(|| explain(&causes, &self.settings)),
        }
    }

    /// Whether a broker can't be reached at an advertised address that is not in the bootstrap list.
    pub(crate) fn has_unreachable_advertised_address(&self) -> bool {
        let is_typed = |address: &str| self.brokers.split(',').any(|typed| typed.trim() == address);
        let is_wrong = |cause: &KafkaError| {
            diagnosis::is_unreachable(&cause.reason)
                && diagnosis::advertised(&cause.reason)
                    .is_some_and(|(_, address)| !is_typed(address))
        };
        lock(&self.shared.causes).iter().any(is_wrong)
    }

    /// Whether no broker can be reached. Closed connections alone do not count: brokers close idle ones.
    pub fn is_cut_off(&self) -> bool {
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

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
        // Events belong to the handle.
        lock(&self.pending_events).clear();
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_queue_destroy(self.queue) };
        let handle = ClosingHandle {
            rk: self.rk,
            _shared: Arc::clone(&self.shared),
        };
        let (ended, has_ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("destroy".to_owned());
        let destroy = move || {
            handle.destroy();
            drop(ended);
        };
        // librdkafka waits for unanswered requests; after DESTROY_TIMEOUT its threads end with the process.
        if thread.spawn(destroy).is_ok() {
            let _ = has_ended.recv_timeout(DESTROY_TIMEOUT);
        }
    }
}

/// How long librdkafka may take to end its threads.
const DESTROY_TIMEOUT: Duration = Duration::from_secs(2);

/// A handle that is being destroyed.
struct ClosingHandle {
    rk: *mut ffi::rd_kafka_t,
    /// Callbacks still use it.
    _shared: Arc<Shared>,
}

// SAFETY: librdkafka's handle may be used from any thread.
unsafe impl Send for ClosingHandle {}

impl ClosingHandle {
    fn destroy(self) {
        // SAFETY: the handle is live and ours. A consumer in a group has left it
        // before (`group::Member`), so that closing waits for nobody.
        unsafe {
            ffi::rd_kafka_destroy_flags(
                self.rk,
                ffi::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE as c_int,
            );
        }
    }
}

/// Stores a cause from a callback, which gets the client's `opaque`.
///
/// # Safety
/// `opaque` is the one of a live client.
pub(super) unsafe fn add_cause(opaque: *mut std::ffi::c_void, cause: KafkaError) {
    // SAFETY: the caller's promise: `Client::create` set it, and the handle goes before what it points to.
    unsafe { &*opaque.cast::<Shared>() }.note(cause);
}

/// Whether the client of a callback's `opaque` is being closed.
///
/// # Safety
/// `opaque` is the one of a live client.
pub(super) unsafe fn is_closing(opaque: *mut std::ffi::c_void) -> bool {
    // SAFETY: the caller's promise, as above.
    let shared = unsafe { &*opaque.cast::<Shared>() };
    shared.is_closing.load(Ordering::Relaxed)
}

/// Locks also after a panic in another thread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The most specific cause; "all brokers are down" and "timed out" only if there is no other.
fn explain(causes: &[KafkaError], settings: &ConnectionSettings) -> String {
    let is_unspecific =
        |cause: &&KafkaError| matches!(cause.code, code::ALL_BROKERS_DOWN | code::TIMED_OUT);
    let rank = |cause: &&KafkaError| match cause.code {
        _ if certificate::is_verdict(cause) => 5,
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

/// Whether a cause is about another broker.
fn is_about_other_broker(cause: &KafkaError, broker: i32) -> bool {
    diagnosis::advertised(&cause.reason).is_some_and(|(id, _)| id != broker)
}

/// How long all advertised addresses are unreachable before that is the result.
const ADVERTISED_UNREACHABLE_AFTER: Duration = Duration::from_millis(800);

/// Passes librdkafka's log lines, which come from its own threads, to `log`.
unsafe extern "C" fn log_callback(
    rk: *const ffi::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // syslog's levels: up to 3 an error, 4 a warning, 7 debug.
    let level = match level {
        ..=3 => log::Level::Error,
        4 => log::Level::Warn,
        5 | 6 => log::Level::Info,
        _ => log::Level::Debug,
    };
    // SAFETY: both are NUL-terminated for the time of the call.
    let (facility, line) = unsafe { (ffi::text(facility), ffi::text(line)) };
    // A connection that breaks is only logged.
    if facility == "FAIL" && diagnosis::is_suspicious(&line) {
        let reason = line
            .split_once("]: ")
            .map_or(line.as_str(), |(_, rest)| rest);
        let cause = KafkaError::new(code::TRANSPORT, reason);
        // SAFETY: the handle is live; its opaque was set before it was made.
        unsafe { add_cause(ffi::rd_kafka_opaque(rk), cause) };
    }
    if log::log_enabled!(target: "librdkafka", level) {
        log::log!(target: "librdkafka", level, "{facility}: {line}");
    }
}

/// One event of a queue; freed when dropped.
pub(crate) struct Event {
    ptr: *mut ffi::rd_kafka_event_t,
}

impl Event {
    /// The next event of `queue`; blocks for at most `timeout_ms`.
    ///
    /// # Safety
    /// `queue` is live.
    pub(crate) unsafe fn poll(queue: *mut ffi::rd_kafka_queue_t, timeout_ms: i32) -> Option<Event> {
        // SAFETY: the caller's promise.
        let ptr = unsafe { ffi::rd_kafka_queue_poll(queue, timeout_ms) };
        (!ptr.is_null()).then_some(Event { ptr })
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rd_kafka_event_t {
        self.ptr
    }

    /// One of the `RD_KAFKA_EVENT_*` constants.
    pub(crate) fn kind(&self) -> i32 {
        // SAFETY: the event is live.
        unsafe { ffi::rd_kafka_event_type(self.ptr) }
    }

    /// The error of an error event; `None` for other kinds.
    pub(crate) fn error(&self) -> Option<KafkaError> {
        if self.kind() != ffi::RD_KAFKA_EVENT_ERROR {
            return None;
        }
        // SAFETY: the event is live and an error; its text lives as long.
        unsafe {
            let code = ffi::event_error(self.ptr);
            let reason = ffi::text(ffi::rd_kafka_event_error_string(self.ptr));
            Some(KafkaError::new(code, reason))
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_event_destroy(self.ptr) }
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionSettings, KafkaError, explain, is_about_other_broker, shorten};

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
