//! `-G`: a member of a consumer group, and three ways to know what was processed.
//!
//! - [`plain`]: what was written to standard output.
//! - [`ack`]: what the last program of the pipe acknowledges.
//! - [`exec`]: what a command has taken, a batch at a time; [`batch`] and [`spool`] are those, [`child_guard`] ends it
//!   with this program.

mod ack;
mod batch;
pub(crate) mod child_guard;
mod exec;
mod plain;
mod share;
pub(crate) mod spool;
mod status;

use std::time::Duration;

use tools::cli::Exit;
use tools::cli::signals::Signals;
use tools::kafka::admin::Isolation;
use tools::kafka::group::{Member, Membership, Stop, tune};

use crate::config::{Delivery, Group};
use crate::engine::Engine;
use crate::output::needs_headers;
use status::StatusReporter;

/// Default of `max.poll.interval.ms`.
const MAX_POLL: Duration = Duration::from_secs(300);

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

/// A member of the group; `None` if a signal came first.
fn join(config: &Group, stop: Stop, signals: &Signals) -> anyhow::Result<Option<Member>> {
    let membership = Membership {
        group: config.name.clone(),
        topics: config.topics.clone(),
        start: config.start,
        stop,
        isolation: Isolation::of(&config.options),
        wants_headers: needs_headers(&config.output),
        is_reset_set: config.options.is_set("auto.offset.reset"),
        uses_librdkafka: config.engine == Engine::Librdkafka,
        give_up: config.give_up,
    };
    let mut options = config.options.clone();
    tune(&mut options, &membership);
    match Member::join(&options, membership, signals.interrupt()) {
        Err(_) if signals.caught().is_some() => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// Where a member stops if `-e` means the end of the whole group.
fn stop_of_group(config: &Group) -> Stop {
    if config.exit_at_end {
        Stop::AtGroupEnd
    } else {
        Stop::Never
    }
}

/// How long to drain revoked partitions: half of max.poll.interval.ms.
fn drain_limit(config: &Group) -> Duration {
    let max_poll_ms = config.options.get("max.poll.interval.ms");
    let max_poll_ms = max_poll_ms.and_then(|ms| ms.parse().ok());
    max_poll_ms.map_or(MAX_POLL, Duration::from_millis) / 2
}
