//! `-G`: a member of a consumer group, and three ways to know what was processed.
//!
//! - [`consumer`]: the loop of all three.
//! - [`plain`]: what was written to standard output.
//! - [`ack`]: what the last program of the pipe acknowledges.
//! - [`exec`]: what a command has taken, a batch at a time: [`batch`], [`spool`]; [`batch_queue`] runs them,
//!   [`batch_committer`] commits them, [`child_guard`] ends their commands with this program.

mod ack;
mod batch;
mod batch_committer;
mod batch_queue;
mod batch_queues;
pub(crate) mod child_guard;
mod consumer;
mod exec;
mod plain;
pub(crate) mod spool;

use tools::cli::Exit;
use tools::cli::signals::Signals;

use crate::config::{Delivery, Group};

/// Reads as a member of the group.
pub(crate) fn run(config: &Group) -> anyhow::Result<Exit> {
    let signals = Signals::catch()?;
    let exit = match &config.delivery {
        Delivery::Stdout => plain::run(config, &signals),
        Delivery::Exec(exec) => exec::run(config, exec, &signals),
        Delivery::Ack(ack) => ack::run(config, ack, &signals),
    }?;
    Ok(match exit {
        Exit::Done => signals.end_of_reader(),
        failed => failed,
    })
}
