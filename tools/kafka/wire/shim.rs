//! The functions of shim.c as safe types: a queue of responses, a broker, the body of a response.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::kafka::client::Client;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi::{self, rd_kafka_t};

/// `struct ku_part`.
#[repr(C)]
struct Part {
    bytes: *const c_void,
    size: usize,
}

type ResponseCallback =
    unsafe extern "C" fn(*mut c_void, u64, c_int, *mut c_void, *const c_void, usize);

unsafe extern "C" {
    fn ku_queue_new(rk: *mut rd_kafka_t) -> *mut c_void;
    fn ku_queue_destroy(queue: *mut c_void);
    fn ku_queue_serve(queue: *mut c_void, timeout_ms: c_int) -> c_int;
    fn ku_queue_keep(queue: *mut c_void) -> *mut c_void;
    fn ku_queue_release(queue: *mut c_void);
    fn ku_queue_wake(queue: *mut c_void);
    fn ku_broker_any(rk: *mut rd_kafka_t) -> *mut c_void;
    fn ku_broker_up(rk: *mut rd_kafka_t, id: i32) -> *mut c_void;
    fn ku_broker_is_known(rk: *mut rd_kafka_t, id: i32) -> c_int;
    fn ku_learned_brokers(rk: *mut rd_kafka_t) -> c_int;
    fn ku_broker_release(broker: *mut c_void);
    fn ku_broker_id(broker: *mut c_void) -> i32;
    fn ku_broker_name(broker: *mut c_void) -> *const c_char;
    fn ku_broker_version(broker: *mut c_void, api: i16, lowest: i16, newest: i16) -> i16;
    fn ku_state_version(rk: *mut rd_kafka_t) -> c_int;
    fn ku_state_wait(rk: *mut rd_kafka_t, seen: c_int, timeout_ms: c_int);
    fn ku_refresh_brokers(rk: *mut rd_kafka_t);
    fn ku_follow_coordinator(rk: *mut rd_kafka_t);
    fn ku_keep_brokers(rk: *mut rd_kafka_t);
    fn ku_send(
        broker: *mut c_void,
        queue: *mut c_void,
        api: i16,
        version: i16,
        is_flexible: c_int,
        parts: *const Part,
        part_count: usize,
        owner: *mut c_void,
        release: unsafe extern "C" fn(*mut c_void),
        timeout_ms: c_int,
        may_wait_at_broker: c_int,
        has_response: c_int,
        on_response: ResponseCallback,
        arrivals: *mut c_void,
        id: u64,
    ) -> c_int;
    fn ku_reply_release(reply: *mut c_void);
}

/// Milliseconds for a C function, rounded up, so that a shorter wait does not become a busy loop.
fn milliseconds(time: Duration) -> c_int {
    time.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as c_int
}

/// The body of a response, in the memory that librdkafka received it into.
pub(super) struct ResponseBody {
    reply: NonNull<c_void>,
    bytes: NonNull<u8>,
    size: usize,
}

// SAFETY: nobody writes to the buffer after it was received, and its reference count is atomic (rdkafka_buf.h).
unsafe impl Send for ResponseBody {}
// SAFETY: as above; it is only read.
unsafe impl Sync for ResponseBody {}

impl AsRef<[u8]> for ResponseBody {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `bytes` points to `size` bytes of the buffer, which `reply` keeps.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.size) }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // SAFETY: our reference, released once.
        unsafe { ku_reply_release(self.reply.as_ptr()) }
    }
}

/// The response to a request, by its id: a body, or an error code.
pub(super) type ResponseArrival = (u64, Result<ResponseBody, i32>);

/// Receives the responses to the requests sent with it.
pub(super) struct Queue {
    queue: NonNull<c_void>,
    /// Written by [`on_response`] while [`Queue::serve`] runs, read after it; boxed, so that its address holds.
    arrivals: Box<UnsafeCell<Vec<ResponseArrival>>>,
}

impl Queue {
    pub(super) fn new(client: &Client) -> Queue {
        // SAFETY: the handle is live.
        let queue = unsafe { ku_queue_new(client.as_ptr()) };
        Queue {
            queue: NonNull::new(queue).expect("librdkafka ends the process where it has no memory"),
            arrivals: Box::default(),
        }
    }

    /// The responses received, waiting at most `wait` for the first.
    pub(super) fn serve(&mut self, wait: Duration) -> impl Iterator<Item = ResponseArrival> {
        // SAFETY: the queue is live; its callbacks run in this call, on this thread.
        unsafe { ku_queue_serve(self.queue.as_ptr(), milliseconds(wait)) };
        self.arrivals.get_mut().drain(..)
    }

    /// Ends the waits of this queue from any thread.
    pub(super) fn waker(&self) -> Waker {
        // SAFETY: the queue is live; the reference is ours.
        let queue = unsafe { ku_queue_keep(self.queue.as_ptr()) };
        Waker {
            queue: NonNull::new(queue).expect("the queue itself"),
        }
    }
}

/// Ends the wait of [`Wire::next_or_wake`](super::Wire::next_or_wake), or the next one.
pub struct Waker {
    queue: NonNull<c_void>,
}

// SAFETY: librdkafka's queues have a lock of their own.
unsafe impl Send for Waker {}
// SAFETY: as above.
unsafe impl Sync for Waker {}

impl Waker {
    pub fn wake(&self) {
        // SAFETY: our reference keeps the queue.
        unsafe { ku_queue_wake(self.queue.as_ptr()) }
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        // SAFETY: our reference, released once.
        unsafe { ku_queue_release(self.queue.as_ptr()) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once. The shim drops later responses without
        // touching `arrivals`.
        unsafe { ku_queue_destroy(self.queue.as_ptr()) }
    }
}

/// The shim calls this from [`Queue::serve`].
///
/// # Safety
/// `arrivals` is live and belongs to the queue that is served; `reply` is NULL or a reference that is now ours.
unsafe extern "C" fn on_response(
    arrivals: *mut c_void,
    id: u64,
    error: c_int,
    reply: *mut c_void,
    body: *const c_void,
    size: usize,
) {
    let result = match NonNull::new(reply) {
        Some(reply) => Ok(ResponseBody {
            reply,
            bytes: NonNull::new(body.cast_mut().cast()).unwrap_or(NonNull::dangling()),
            size,
        }),
        None => Err(error),
    };
    // SAFETY: the caller's promise; nobody else holds a reference while the queue is served.
    unsafe { (*arrivals.cast::<UnsafeCell<Vec<ResponseArrival>>>()).get_mut() }.push((id, result));
}

/// The shim calls this once the body of a request is not used any more.
///
/// # Safety
/// `owner` is the body that [`BrokerHandle::send`] has boxed, and nobody uses it after.
unsafe extern "C" fn release_body(owner: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(owner.cast::<Vec<Bytes>>()) });
}

/// A broker that was up when it was looked up.
pub(super) struct BrokerHandle {
    broker: NonNull<c_void>,
}

pub(super) struct EncodedRequest {
    pub(super) api: i16,
    pub(super) version: i16,
    pub(super) is_flexible: bool,
    /// In parts, without the last tag list, which librdkafka adds.
    pub(super) body: Vec<Bytes>,
    pub(super) timeout: Duration,
    pub(super) may_wait_at_broker: bool,
    /// Whether the broker answers; else the request succeeds when it is sent.
    pub(super) has_response: bool,
}

impl BrokerHandle {
    /// The broker of this id, or any for `None`, if it is up.
    pub(super) fn find(client: &Client, id: Option<i32>) -> Option<BrokerHandle> {
        // SAFETY: the handle is live; the result is a reference of ours.
        let broker = unsafe {
            match id {
                Some(id) => ku_broker_up(client.as_ptr(), id),
                None => ku_broker_any(client.as_ptr()),
            }
        };
        NonNull::new(broker).map(|broker| BrokerHandle { broker })
    }

    /// The broker's id, -1 while it is unknown.
    pub(super) fn id(&self) -> i32 {
        // SAFETY: the broker is kept by our reference.
        unsafe { ku_broker_id(self.broker.as_ptr()) }
    }

    /// librdkafka's name for it, `host:port/id`, or `/bootstrap` at its end.
    pub(super) fn name(&self) -> String {
        // SAFETY: the broker is kept by our reference; the text is this thread's until the next such call.
        unsafe { ffi::text(ku_broker_name(self.broker.as_ptr())) }
    }

    /// The newest version of an API within `lowest..=newest` that the broker supports.
    pub(super) fn version(&self, api: i16, lowest: i16, newest: i16) -> Option<i16> {
        // SAFETY: the broker is kept by our reference.
        let version = unsafe { ku_broker_version(self.broker.as_ptr(), api, lowest, newest) };
        (version >= 0).then_some(version)
    }

    /// Sends a request; `queue` receives its response under `id`.
    pub(super) fn send(
        &self,
        queue: &Queue,
        id: u64,
        request: EncodedRequest,
    ) -> Result<(), KafkaError> {
        let part = |bytes: &Bytes| Part {
            bytes: bytes.as_ptr().cast(),
            size: bytes.len(),
        };
        let parts: Vec<Part> = request.body.iter().map(part).collect();
        let owner = Box::into_raw(Box::new(request.body));
        // SAFETY: broker and queue are live; the owner keeps the bytes of the parts
        // until it is released; the arrivals are freed after the queue.
        let sent = unsafe {
            ku_send(
                self.broker.as_ptr(),
                queue.queue.as_ptr(),
                request.api,
                request.version,
                c_int::from(request.is_flexible),
                parts.as_ptr(),
                parts.len(),
                owner.cast(),
                release_body,
                milliseconds(request.timeout),
                c_int::from(request.may_wait_at_broker),
                c_int::from(request.has_response),
                on_response,
                queue.arrivals.get().cast(),
                id,
            )
        };
        if sent == 0 {
            // SAFETY: the shim has not taken it.
            unsafe { release_body(owner.cast()) };
            return Err(KafkaError::new(code::QUEUE_FULL, "out of memory"));
        }
        Ok(())
    }
}

impl Drop for BrokerHandle {
    fn drop(&mut self) {
        // SAFETY: our reference, released once.
        unsafe { ku_broker_release(self.broker.as_ptr()) }
    }
}

/// Whether librdkafka knows a broker of this id.
pub(super) fn is_known(client: &Client, id: i32) -> bool {
    // SAFETY: the handle is live.
    unsafe { ku_broker_is_known(client.as_ptr(), id) != 0 }
}

/// The connections to the brokers of the metadata.
#[derive(Clone, Copy, Debug)]
pub(in crate::kafka) struct LearnedBrokers {
    pub(in crate::kafka) is_one_up: bool,
    pub(in crate::kafka) is_one_connecting: bool,
}

/// `None` before the first metadata.
pub(in crate::kafka) fn learned_brokers(client: &Client) -> Option<LearnedBrokers> {
    // SAFETY: the handle is live.
    let known = unsafe { ku_learned_brokers(client.as_ptr()) };
    (known != 0).then_some(LearnedBrokers {
        is_one_up: known & 2 != 0,
        is_one_connecting: known & 4 != 0,
    })
}

/// Makes librdkafka refresh its list of brokers.
pub(super) fn refresh_brokers(client: &Client) {
    // SAFETY: the handle is live.
    unsafe { ku_refresh_brokers(client.as_ptr()) }
}

/// Connects a group's member to the address that its coordinator has now, if a broker's state is another than `seen`; to the
/// bootstrap list, if no broker is left.
pub(in crate::kafka) fn follow_coordinator(client: &Client, seen: &AtomicI32) {
    // SAFETY: the handle is live.
    unsafe { ku_keep_brokers(client.as_ptr()) }
    let version = state_version(client);
    if seen.swap(version, Ordering::Relaxed) != version {
        // SAFETY: the handle is live, and so is its group.
        unsafe { ku_follow_coordinator(client.as_ptr()) }
    }
}

/// Changes with every change of any broker's state.
pub(super) fn state_version(client: &Client) -> i32 {
    // SAFETY: the handle is live.
    unsafe { ku_state_version(client.as_ptr()) }
}

/// Waits at most `wait` until [`state_version`] differs from `seen`.
pub(super) fn wait_for_state(client: &Client, seen: i32, wait: Duration) {
    // SAFETY: the handle is live.
    unsafe { ku_state_wait(client.as_ptr(), seen, milliseconds(wait)) }
}
