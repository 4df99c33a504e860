//! A librdkafka handle: created from [`Options`], heard through one queue of events, closed when dropped.
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
use super::diagnosis::{self, Said};
use super::error::{KafkaError, code};
use super::ffi;
use super::options::{Conf, Options, OptionsError};
use super::probe::probe;
use super::token;
use super::wire::learned_brokers;

/// What a handle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends records.
    Producer,
    /// Reads records, or only asks.
    Consumer,
}

/// Why there is no contact with the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// The properties don't fit together.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// librdkafka refuses the properties as a whole.
    #[error("{0}")]
    Refused(String),
    /// No broker answered in time.
    #[error("no contact with {brokers}{}: {cause}", within(*.seconds))]
    Unreachable {
        /// The bootstrap list.
        brokers: String,
        /// For how long it was tried in vain; none where it was clear before that it is in vain.
        seconds: Option<f64>,
        /// What librdkafka saw last.
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

/// A first contact that may take so long is one without a limit.
const ENDLESS: Duration = Duration::from_secs(30 * 86_400);

/// What the callbacks of librdkafka's threads can reach.
struct Shared {
    /// The last causes of trouble, oldest first, no two alike.
    causes: Mutex<Vec<KafkaError>>,
    /// What was found out by asking an address whose connections break: why, if that is clear.
    probed: Mutex<HashMap<String, Option<String>>>,
    /// Since when no broker is reached at the address that the cluster tells.
    unreached_since: Mutex<Option<Instant>>,
    /// Nobody waits for a callback any more.
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
    /// Events that were met while errors were looked for: delivery reports and the like.
    set_aside: Mutex<VecDeque<Event>>,
    brokers: String,
    first_contact: Duration,
    said: Said,
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
        // Whoever names no keytab has a ticket of kinit's, which librdkafka would try to renew with a keytab.
        if options.get("sasl.kerberos.keytab").is_none() && !options.is_said(KINIT) {
            options.set_default("sasl.kerberos.min.time.before.relogin", "0");
        }
        if options.verbosity >= 2 {
            options.set_default("log_level", "7");
        }
        let tokens = token::wanted(&options).transpose();
        let tokens = tokens.map_err(ContactError::Refused)?;
        if let Some(config) = &tokens {
            options.force("sasl.oauthbearer.config", config);
        }
        let asks_for_tokens = tokens.is_some();
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
        if asks_for_tokens {
            token::provide(&conf);
        }
        let protocol = options.get("security.protocol").unwrap_or("plaintext");
        let said = Said {
            protocol: protocol.to_ascii_uppercase(),
            principal: options.get("sasl.kerberos.principal").map(str::to_owned),
        };
        let mut client = Client::create(conf, role, shared).map_err(|error| match error {
            ContactError::Refused(mut reason) => {
                diagnosis::advise(&said, &mut reason);
                ContactError::Refused(reason)
            }
            other => other,
        })?;
        client.said = said;
        if asks_for_tokens {
            // SAFETY: just made, of the configuration above.
            unsafe { token::serve(client.rk) };
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
                set_aside: Mutex::new(VecDeque::new()),
                brokers: String::new(),
                first_contact: Duration::ZERO,
                said: Said::default(),
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
        // call tells the size that the second one fills, the NUL included.
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

    /// Whether a broker has told which cluster this is, over any connection of this client.
    pub(crate) fn has_seen_cluster(&self) -> bool {
        // SAFETY: the handle is live; without a time-out only what is known is told. The text is librdkafka's to free.
        unsafe {
            let id = ffi::rd_kafka_clusterid(self.rk, 0);
            if !id.is_null() {
                ffi::rd_kafka_mem_free(self.rk, id.cast());
            }
            !id.is_null()
        }
    }

    /// The next event of the main queue, waited for at most `timeout_ms`.
    pub(crate) fn poll(&self, timeout_ms: i32) -> Option<Event> {
        if let Some(event) = lock(&self.set_aside).pop_front() {
            return Some(event);
        }
        self.poll_queue(timeout_ms)
    }

    fn poll_queue(&self, timeout_ms: i32) -> Option<Event> {
        // SAFETY: the queue lives as long as `self`.
        unsafe { Event::poll(self.queue, timeout_ms) }
    }

    /// Keeps what an error event says, and tells whether it was one.
    pub(crate) fn note(&self, event: &Event) -> Option<KafkaError> {
        let error = event.error()?;
        if error.code != code::PARTITION_EOF {
            self.shared.note(error.clone());
        }
        Some(error)
    }

    /// Notes what the queued events say is wrong; every other event stays to be polled.
    pub(crate) fn drain_errors(&self) {
        while let Some(event) = self.poll_queue(0) {
            if self.note(&event).is_none() {
                lock(&self.set_aside).push_back(event);
            }
        }
    }

    /// Calls `ask` with growing time-outs (milliseconds) until it is answered, the first contact's time is over, or `interrupted`.
    ///
    /// Short at first, because a request that was queued before a connection
    /// stood is only repeated by a timer of librdkafka's, seconds later.
    pub(crate) fn ask_first<T>(
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
            self.mention_wait(started);
            if self.is_refused_for_good() || started.elapsed() >= self.first_contact {
                return Err(self.unreachable(started.elapsed()));
            }
            // A refused connection fails at once; asking again at once would spin.
            let left = self.first_contact.saturating_sub(started.elapsed());
            std::thread::sleep(left.min(Duration::from_millis(20)));
            // The wait is mentioned after a second, whatever it takes later.
            if started.elapsed() > Duration::from_secs(1) {
                slice *= 2;
            }
        }
    }

    /// Says once in a run that the first contact is waited for, why, and how long; a wait of a second needs no word.
    pub(crate) fn mention_wait(&self, started: Instant) {
        let what = || format!("no contact with {} yet", self.brokers);
        self.mention(started, self.first_contact, what);
    }

    /// As [`Client::mention_wait`], for the answer of this broker within `limit`.
    pub(crate) fn mention_broker(&self, id: i32, started: Instant, limit: Duration) {
        self.mention(started, limit, || format!("broker {id} is not reached yet"));
    }

    fn mention(&self, started: Instant, limit: Duration, what: impl FnOnce() -> String) {
        static IS_SAID: AtomicBool = AtomicBool::new(false);
        const SHORT: Duration = Duration::from_secs(1);
        if started.elapsed() < SHORT || limit <= 2 * SHORT || IS_SAID.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let how_long = if limit >= ENDLESS {
            "on".to_owned()
        } else {
            format!("for {} s (-m)", limit.as_secs())
        };
        let cause = explain(&lock(&self.shared.causes), &self.said);
        log::warn!("{}, trying {how_long}: {cause}", what());
    }

    /// A wrong password does not get right by waiting, nor does a certificate or a protocol.
    pub(crate) fn is_refused_for_good(&self) -> bool {
        let causes = lock(&self.shared.causes).clone();
        let is_refusal = |cause: &KafkaError| {
            cause.code == code::AUTHENTICATION || certificate::is_refused(&cause.reason)
        };
        causes.iter().any(is_refusal) || self.mismatch(&causes).is_some() || self.is_elsewhere()
    }

    /// Why this client and a listener whose connections break don't understand each other; each address is asked once.
    fn mismatch(&self, causes: &[KafkaError]) -> Option<String> {
        let suspicious = causes
            .iter()
            .filter(|c| diagnosis::is_suspicious(&c.reason));
        let addresses = suspicious.filter_map(|cause| diagnosis::address(&cause.reason));
        let mut probed = lock(&self.shared.probed);
        let mut found = addresses.map(|address| {
            let known = probed.entry(address.to_owned());
            let ask = || diagnosis::mismatch(&self.said, address, &probe(address));
            known.or_insert_with(ask).clone()
        });
        found.find_map(|found| found)
    }

    /// Whether no broker is reached at the addresses that the cluster tells, for a while.
    ///
    /// `ALL_BROKERS_DOWN` would not do: where the connection to the bootstrap list stands
    /// when the last of these brokers fails, librdkafka never reports it.
    pub(crate) fn is_elsewhere(&self) -> bool {
        let brokers = learned_brokers(self);
        let mut since = lock(&self.shared.unreached_since);
        let Some(brokers) = brokers.filter(|b| !b.is_one_up && self.has_wrong_address()) else {
            *since = None;
            return false;
        };
        let is_long = since.get_or_insert_with(Instant::now).elapsed() >= ELSEWHERE_AFTER;
        is_long && !brokers.is_one_connecting
    }

    /// The error for a cluster that did not answer, with the cause that says most.
    pub(crate) fn unreachable(&self, tried: Duration) -> ContactError {
        let causes = lock(&self.shared.causes).clone();
        ContactError::Unreachable {
            brokers: self.brokers.clone(),
            seconds: (tried >= self.first_contact)
                .then(|| (tried.as_secs_f64() * 10.0).round() / 10.0),
            cause: self
                .mismatch(&causes)
                .unwrap_or_else(|| explain(&causes, &self.said)),
        }
    }

    /// Whether a broker is not reached at an address that the cluster tells and nobody has typed.
    pub(crate) fn has_wrong_address(&self) -> bool {
        let is_typed = |address: &str| self.brokers.split(',').any(|typed| typed.trim() == address);
        let is_wrong = |cause: &KafkaError| {
            diagnosis::is_unreachable(&cause.reason)
                && diagnosis::advertised(&cause.reason).is_some_and(|(_, told)| !is_typed(told))
        };
        lock(&self.shared.causes).iter().any(is_wrong)
    }

    /// Whether no broker can be reached: not only that all connections are closed, as brokers do with idle ones.
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

    /// Forgets why `broker` was not reached, and what was wrong before there was contact: it has answered.
    pub(crate) fn forget_causes(&self, broker: i32) {
        self.drain_errors();
        lock(&self.shared.probed).clear();
        lock(&self.shared.causes).retain(|cause| is_of_other(cause, broker));
    }

    /// Why this broker is not reached, in words, if that is known.
    pub(crate) fn cause_of(&self, broker: i32) -> Option<String> {
        self.drain_errors();
        let mut causes = lock(&self.shared.causes).clone();
        causes.retain(|cause| !is_of_other(cause, broker));
        (!causes.is_empty()).then(|| explain(&causes, &self.said))
    }

    /// The last cause of trouble in words, if there was any.
    pub fn cause(&self) -> Option<String> {
        self.drain_errors();
        let causes = lock(&self.shared.causes);
        (!causes.is_empty()).then(|| explain(&causes, &self.said))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
        // Events belong to the handle.
        lock(&self.set_aside).clear();
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_queue_destroy(self.queue) };
        let handle = Handle {
            rk: self.rk,
            _shared: Arc::clone(&self.shared),
        };
        let (ended, has_ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("destroy".to_owned());
        let destroy = move || {
            handle.destroy();
            drop(ended);
        };
        // librdkafka waits for requests that a broker does not answer. What it has not ended by then ends with the process.
        if thread.spawn(destroy).is_ok() {
            let _ = has_ended.recv_timeout(DESTROY);
        }
    }
}

/// How long librdkafka may take to end its threads.
const DESTROY: Duration = Duration::from_secs(2);

/// A handle that nobody uses any more.
struct Handle {
    rk: *mut ffi::rd_kafka_t,
    /// What callbacks still reach.
    _shared: Arc<Shared>,
}

// SAFETY: librdkafka's handle may be used from any thread.
unsafe impl Send for Handle {}

impl Handle {
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

/// Notes a cause from a callback that librdkafka gives its `opaque`.
///
/// # Safety
/// `opaque` is the one of a live client.
pub(super) unsafe fn note_cause(opaque: *mut std::ffi::c_void, cause: KafkaError) {
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

/// A lock that a panic elsewhere does not take away.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a code says that nobody answered, rather than what somebody answered.
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

/// The cause that says most: "all brokers are down" and "timed out" say nothing where another is known.
fn explain(causes: &[KafkaError], said: &Said) -> String {
    let says_little =
        |cause: &&KafkaError| matches!(cause.code, code::ALL_BROKERS_DOWN | code::TIMED_OUT);
    let rank = |cause: &&KafkaError| match cause.code {
        _ if certificate::is_verdict(cause) => 5,
        code::AUTHENTICATION => 4,
        code::SSL => 3,
        // An address that the cluster tells is known because the first one could be reached.
        _ if diagnosis::advertised(&cause.reason).is_some() => 2,
        _ => 1,
    };
    let telling = causes.iter().filter(|c| !says_little(c)).max_by_key(rank);
    match telling.or(causes.last()) {
        Some(cause) => shorten(&cause.to_string(), said),
        None => "connected or connecting, but no answer; is it a Kafka broker, and is security.protocol right?".to_owned(),
    }
}

/// librdkafka's words without its bookkeeping: `(after 0ms in state CONNECT, 3 identical error(s) suppressed)`.
fn shorten(reason: &str, said: &Said) -> String {
    let end = reason.rfind(" (after ").unwrap_or(reason.len());
    let mut text = reason[..end].replace("/bootstrap", "");
    certificate::advise(&mut text);
    diagnosis::advise(said, &mut text);
    text
}

/// Whether a cause is the trouble of another broker.
fn is_of_other(cause: &KafkaError, broker: i32) -> bool {
    diagnosis::advertised(&cause.reason).is_some_and(|(id, _)| id != broker)
}

/// How long all brokers are unreachable at the addresses that the cluster tells before that is the answer.
const ELSEWHERE_AFTER: Duration = Duration::from_millis(800);

/// librdkafka logs on threads of its own; who shows it, and whether, is settled elsewhere.
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
        unsafe { note_cause(ffi::rd_kafka_opaque(rk), cause) };
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
    /// The next event of `queue`, waited for at most `timeout_ms`.
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

    /// What an error event says; `None` for other kinds.
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
    use super::{KafkaError, Said, explain, is_of_other, shorten};

    #[test]
    fn the_trouble_of_one_broker_is_not_told_of_another() {
        let cause = |reason| KafkaError::new(-195, reason);
        let refused = cause("h:1/2: Connect to ipv4#h:1 failed: Connection refused");
        assert!(is_of_other(&refused, 1) && !is_of_other(&refused, 2));
        let first = cause("h:1/bootstrap: Connect to ipv4#h:1 failed: Connection refused");
        assert!(!is_of_other(&first, 1));
    }

    #[test]
    fn the_cause_that_says_most_is_told() {
        let causes = [
            KafkaError::new(
                -195,
                "h:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
            ),
            KafkaError::new(-187, "1/1 brokers are down"),
        ];
        assert_eq!(
            explain(&causes, &Said::default()),
            "h:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused"
        );
        assert!(explain(&[], &Said::default()).contains("no answer"));
        assert_eq!(shorten("plain", &Said::default()), "plain");
    }
}
