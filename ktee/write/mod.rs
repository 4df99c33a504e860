//! From records to the segments of a backup, on three kinds of thread.
//!
//! The main thread sorts records into blocks and decides where segments end
//! ([`backup`]); one thread compresses ([`pack`]); a few make segments
//! durable ([`publish`]), those of one partition always in their order, so
//! that a crash leaves no segment behind a missing one.

pub(crate) mod backup;
mod budget;
mod pack;
mod publish;
mod stored;

pub(crate) use backup::{Backup, Settings};

/// What is called now and then while a place is waited for; it says whether a signal asks to end.
pub(crate) type Waiting<'a> = dyn FnMut() -> bool + 'a;
