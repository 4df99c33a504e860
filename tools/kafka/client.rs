//! A librdkafka handle: created from [`Options`], polled through one event queue, closed when dropped.
//!
//! Errors that librdkafka only logs (refused, not resolved, TLS, wrong
//! password) are kept as causes, so that a failed first contact says why and
//! not only "timed out".
#![allow(unsafe_code)]

mod causes;
mod contact;
mod event;

use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::certificate;
use super::diagnosis::{self, ConnectionSettings};
use super::error::{KafkaError, code};
use super::ffi;
use super::options::{Conf, Options};
use super::token;
use causes::Shared;

pub(super) use causes::{add_cause, is_closing};
pub use contact::ContactError;
pub(crate) use contact::is_no_answer;
pub(crate) use event::Event;

/// What a handle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Producer,
    Consumer,
}

/// The command that renews a Kerberos ticket.
const KINIT: &str = "sasl.kerberos.kinit.cmd";

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
        let shared = Arc::new(Shared::default());
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
        let rk = create(conf, role, &shared).map_err(|mut reason| {
            diagnosis::advise(&settings, &mut reason);
            ContactError::Refused(reason)
        })?;
        let client = Client {
            rk,
            // SAFETY: the handle is live.
            queue: unsafe { ffi::rd_kafka_queue_get_main(rk) },
            shared,
            pending_events: Mutex::new(VecDeque::new()),
            brokers,
            first_contact: options.first_contact,
            settings,
        };
        if needs_tokens {
            // SAFETY: just created from the configuration above.
            unsafe { token::enable_background_callbacks(rk) };
        }
        Ok(client)
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rd_kafka_t {
        self.rk
    }

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

    /// The last new error of the client as a whole.
    pub fn trouble(&self) -> Option<KafkaError> {
        let mut last = None;
        while let Some(event) = self.poll(0) {
            last = self.note(&event).or(last);
        }
        last
    }

    /// Stores the errors among the queued events; [`Client::poll`] returns the others.
    pub(crate) fn drain_errors(&self) {
        while let Some(event) = self.poll_queue(0) {
            if self.note(&event).is_none() {
                lock(&self.pending_events).push_back(event);
            }
        }
    }
}

/// A handle whose callbacks use `shared`, or why librdkafka refuses the configuration.
fn create(conf: Conf, role: Role, shared: &Arc<Shared>) -> Result<*mut ffi::rd_kafka_t, String> {
    let rk_type = match role {
        Role::Producer => ffi::rd_kafka_type_t::RD_KAFKA_PRODUCER,
        Role::Consumer => ffi::rd_kafka_type_t::RD_KAFKA_CONSUMER,
    };
    let events = ffi::RD_KAFKA_EVENT_ERROR
        | ffi::RD_KAFKA_EVENT_FETCH
        | ffi::RD_KAFKA_EVENT_REBALANCE
        | ffi::RD_KAFKA_EVENT_OFFSET_COMMIT;
    let mut reason = [0u8; 512];
    // SAFETY: the configuration is live; `shared` is behind an Arc, which the
    // client keeps until the handle is destroyed, so its address holds. On
    // success librdkafka owns the configuration, on failure we still do.
    unsafe {
        let conf_ptr = conf.as_ptr();
        ffi::rd_kafka_conf_set_opaque(conf_ptr, Arc::as_ptr(shared).cast_mut().cast());
        ffi::rd_kafka_conf_set_log_cb(conf_ptr, Some(log_callback));
        ffi::rd_kafka_conf_set_events(conf_ptr, events);
        let rk = ffi::rd_kafka_new(rk_type, conf_ptr, reason.as_mut_ptr().cast(), reason.len());
        if rk.is_null() {
            return Err(ffi::buffer_text(&reason));
        }
        std::mem::forget(conf);
        Ok(rk)
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

/// Locks also after a panic in another thread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
