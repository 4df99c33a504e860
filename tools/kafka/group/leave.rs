//! Leaving a group, on a thread of its own.
//!
//! While a consumer closes, librdkafka may still hand out a rebalance event,
//! and waits for the answer to some of them. An answer that comes when it has
//! just closed is never taken, and the call that gives it never returns
//! (`rd_kafka_cgrp_op_serve` drops it). So events are only answered where the
//! close waits for it, and nobody waits for the thread that answers.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::handle::GroupHandle;
use crate::kafka::client::Event;
use crate::kafka::error::code;
use crate::kafka::ffi;

/// How long leaving may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same if no broker can be reached.
const OUTAGE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often it is looked at whether the consumer has closed.
const CHECK_EVERY: Duration = Duration::from_millis(5);
/// A close that takes longer may wait for an answer to an event.
const UNANSWERED: Duration = Duration::from_millis(200);

/// Leaves the group, within [`LEAVE_TIMEOUT`]. What can be committed was committed.
pub(super) fn leave(handle: &Arc<GroupHandle>) {
    let (ended, has_ended) = channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let leaving = LeaveThread {
        handle: Arc::clone(handle),
        is_over: Arc::clone(&is_over),
        _ended: ended,
    };
    let thread = std::thread::Builder::new().name("leave".to_owned());
    if thread.spawn(move || leaving.run()).is_err() {
        // The group finds out by its session's time-out.
        return;
    }
    let limit = if handle.client.all_brokers_down() {
        OUTAGE_TIMEOUT
    } else {
        LEAVE_TIMEOUT
    };
    let until = Instant::now() + limit;
    while let Err(RecvTimeoutError::Timeout) = has_ended.recv_timeout(CHECK_EVERY) {
        let is_late = Instant::now() >= until;
        if is_late || handle.is_closed() {
            // A thread that never comes back keeps the client until the process ends.
            is_over.store(true, Ordering::Relaxed);
            let _ = has_ended.recv_timeout(UNANSWERED);
            return;
        }
    }
}

struct LeaveThread {
    handle: Arc<GroupHandle>,
    is_over: Arc<AtomicBool>,
    /// Closed when the thread ends.
    _ended: Sender<()>,
}

impl LeaveThread {
    fn run(self) {
        let rk = self.handle.client.as_ptr();
        // SAFETY: handle and queue live as long as the link; the error, if there is one, is ours.
        let error =
            unsafe { ffi::take_error(ffi::rd_kafka_consumer_close_queue(rk, self.handle.events)) };
        if error.is_some() {
            // A fatal error: the group knows this member no more.
            return;
        }
        let mut quiet_since = Instant::now();
        while !self.handle.is_closed() && !self.is_over.load(Ordering::Relaxed) {
            // SAFETY: the queue lives as long as the link.
            let event = unsafe { Event::poll(self.handle.events, 20) };
            let is_revocation = event.is_some_and(|event| {
                event.kind() == ffi::RD_KAFKA_EVENT_REBALANCE
                    // SAFETY: the event is live.
                    && unsafe { ffi::event_error(event.as_ptr()) } == code::REVOKE_PARTITIONS
            });
            if is_revocation || quiet_since.elapsed() >= UNANSWERED {
                quiet_since = Instant::now();
                // A consumer that closes takes any assignment for none.
                // SAFETY: the handle is live. It may not return, see above.
                unsafe { ffi::assign(rk, std::ptr::null()) };
            }
        }
    }
}
