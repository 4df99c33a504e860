//! `--share`: a member of a share group, which accepts, releases or rejects each record (KIP-932).
//!
//! - [`plain`]: accepts what was written to standard output.
//! - [`jobs`]: runs a command on each record, whose exit code decides; [`job`] is one of them, [`acquired`] makes
//!   them, [`dead_letters`] is where rejected records go.
//! - [`settings`]: the group's settings, where they decide what the user gets.

mod acquired;
mod dead_letters;
mod job;
mod jobs;
mod plain;
mod settings;

use std::time::{Duration, Instant};

use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::share::{Refused, ShareConsumer, ShareMembership};
use tools::kafka::{Client, KafkaError, Role};
use tools::units::count;
use tools::units::format_duration_ms;

use crate::config::Share;
use crate::output::needs_headers;
use settings::GroupSettings;

/// An outage of the coordinator is reported after this time.
const OUTAGE_AFTER: Duration = Duration::from_secs(1);
/// With a shorter `--idle` leaders still have this time to answer.
const LEADER_LIMIT: Duration = Duration::from_secs(5);

/// Reads as a member of the share group.
pub(crate) fn run(config: &Share) -> anyhow::Result<Exit> {
    let signals = Signals::catch()?;
    let client = Client::new(&config.options, Role::Consumer)?;
    let membership = ShareMembership {
        group: config.group.clone(),
        topics: config.topics.clone(),
        wants_headers: needs_headers(&config.output) || config.jobs.is_some(),
        give_up: config.give_up,
    };
    let interrupted = || signals.caught().is_some();
    let consumer = match ShareConsumer::new(&client, membership, &interrupted) {
        Err(_) if signals.caught().is_some() => return Ok(signals.end_of_reader()),
        other => other?,
    };
    let Some(settings) = settings::read(&client, config, &signals)? else {
        return Ok(signals.end_of_reader());
    };
    let exit = match &config.jobs {
        None => plain::run(config, &settings, consumer, &signals),
        Some(jobs) => jobs::run(config, jobs, &settings, consumer, &signals),
    }?;
    Ok(match exit {
        Exit::Done => signals.end_of_reader(),
        failed => failed,
    })
}

/// Reports outages of the coordinator, and acknowledgements that were refused.
struct StatusReporter<'a> {
    group: &'a str,
    is_quiet: bool,
    is_outage_reported: bool,
    /// Reported when the group has taken this member, which shows that it is a share group.
    new_group: Option<String>,
}

impl StatusReporter<'_> {
    fn new(config: &Share) -> StatusReporter<'_> {
        StatusReporter {
            group: &config.group,
            is_quiet: config.options.verbosity < 0,
            is_outage_reported: false,
            new_group: None,
        }
    }

    fn with_settings<'s>(config: &'s Share, settings: &GroupSettings) -> StatusReporter<'s> {
        StatusReporter {
            new_group: settings.warning_of_new_group(&config.group),
            ..StatusReporter::new(config)
        }
    }

    fn report(&mut self, consumer: &mut ShareConsumer<'_>) {
        if consumer.assigned_count() > 0
            && let Some(warning) = self.new_group.take()
            && !self.is_quiet
        {
            message(warning);
        }
        match consumer.outage() {
            None => self.is_outage_reported = false,
            Some((time, error)) => self.report_outage(time, &error),
        }
        self.report_refused(consumer.take_refused());
    }

    /// Reports a long outage once.
    fn report_outage(&mut self, time: Duration, error: &KafkaError) {
        if time < OUTAGE_AFTER || self.is_outage_reported {
            return;
        }
        self.is_outage_reported = true;
        if !self.is_quiet {
            message(format_args!(
                "waiting for the coordinator of group {}: {error}",
                self.group
            ));
        }
    }

    /// Such records are delivered again, whatever became of them here.
    fn report_refused(&self, refused: Vec<Refused>) {
        if self.is_quiet {
            return;
        }
        for range in refused {
            let records = count((range.last - range.first + 1).unsigned_abs(), "record");
            let (topic, partition) = (range.topic, range.partition);
            message(format_args!(
                "{topic} [{partition}] offset {}: {records} could not be acknowledged ({}); delivered again",
                range.first, range.error
            ));
        }
    }
}

/// `--idle`: how long nothing has arrived.
struct IdleTimer {
    limit: Option<Duration>,
    is_quiet: bool,
    busy_at: Instant,
    /// When the leaders of all partitions were reached.
    reached_at: Instant,
}

impl IdleTimer {
    fn new(limit: Option<Duration>, is_quiet: bool) -> IdleTimer {
        let now = Instant::now();
        IdleTimer {
            limit,
            is_quiet,
            busy_at: now,
            reached_at: now,
        }
    }

    /// Whether nothing has arrived for the time of `--idle`; an error if a leader is away, whose records nobody knows.
    fn is_over(&mut self, consumer: &ShareConsumer<'_>, is_busy: bool) -> anyhow::Result<bool> {
        let Some(limit) = self.limit else {
            return Ok(false);
        };
        let now = Instant::now();
        // A new group takes seconds to get its partitions.
        if is_busy || consumer.assigned_count() == 0 {
            (self.busy_at, self.reached_at) = (now, now);
            return Ok(false);
        }
        let idle = || format_duration_ms(limit.as_millis() as i64);
        if let Some(partition) = consumer.unreached() {
            // A connection takes its time, and so does a session that is opened again.
            self.busy_at = now;
            if self.reached_at.elapsed() >= limit.max(LEADER_LIMIT) {
                let idle = idle();
                anyhow::bail!("no record for {idle}, and the leader of {partition} is not reached");
            }
            return Ok(false);
        }
        self.reached_at = now;
        let is_over = self.busy_at.elapsed() >= limit;
        if is_over && !self.is_quiet {
            message(format_args!("no record for {}", idle()));
        }
        Ok(is_over)
    }
}
