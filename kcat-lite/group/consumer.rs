//! The loop of a member, whatever its way to commit: it reads records, answers the group and prints messages.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Result;
use tools::cli::message;
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::kafka::admin::Isolation;
use tools::kafka::error::{KafkaError, code};
use tools::kafka::fetch::{RecordVisitor, ValuesSource};
use tools::kafka::group::{GroupError, Member, Membership, Polled, Positions, Stop, tune};
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use crate::config::Group;
use crate::engine::Engine;
use crate::output::{needs_headers, report_all_down};

/// How often an idle member looks at signals.
pub(super) const IDLE_MS: i32 = 100;
/// Default of `max.poll.interval.ms`.
const MAX_POLL: Duration = Duration::from_secs(300);
/// How often to fetch the group's committed offsets.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What a member does next.
pub(super) enum Next {
    /// Reads records; waits for them for at most this many milliseconds.
    Read(i32),
    /// Handles events of the group, and reads nothing.
    Wait(i32),
    End,
}

/// What becomes of records, and what of them is committed.
pub(super) trait Delivery {
    /// Does what is due before more records are read.
    fn advance(&mut self, consumer: &mut Consumer<'_>) -> Result<Next>;

    /// As [`RecordVisitor::values`].
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of the loop over records")]
    fn values<'v>(
        &mut self,
        _run: &mut RunState<'_>,
        _source: ValuesSource<'_>,
        _values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
    ) -> usize {
        0
    }

    /// Takes a record; returns whether there is room for another one.
    fn record(&mut self, run: &mut RunState<'_>, record: &Record<'_>) -> Result<bool>;

    /// The end of a partition is reached, or the end of the records before it: there are only transaction markers left.
    fn end(&mut self, run: &RunState<'_>, topic_partition: (&str, i32), offset: i64) -> Result<()>;

    fn assign(&mut self, consumer: &mut Consumer<'_>, partitions: &[TopicPartition]) -> Result<()>;

    /// Commits what was processed of these partitions, unless they are `lost`, and forgets them.
    fn revoke(
        &mut self,
        consumer: &mut Consumer<'_>,
        partitions: &[TopicPartition],
        lost: bool,
    ) -> Result<()>;

    /// The answer to [`Member::commit_soon`] is here.
    fn commit_ended(&mut self, _is_committed: bool) {}
}

/// What all deliveries need while records arrive.
pub(super) struct RunState<'a> {
    pub(super) signals: &'a Signals,
    /// Records still to be read; `-c`.
    pub(super) left: u64,
    pub(super) verbosity: i32,
    /// Whether "all brokers are down" was reported, and no record has arrived since.
    pub(super) all_brokers_down: bool,
    /// Shows until the first record what the member waits for.
    waiting: Option<Progress>,
}

/// A member of the group and its loop.
pub(super) struct Consumer<'a> {
    pub(super) member: Member,
    pub(super) run: RunState<'a>,
    group: &'a str,
    pub(super) exit_at_end: bool,
    /// How long to drain revoked partitions: half of max.poll.interval.ms.
    pub(super) drain_limit: Duration,
    keeps_trying: bool,
    /// `-E`: whether an error was skipped.
    pub(super) has_failed: bool,
    /// When the group's committed offsets were fetched; none since this member's last commit.
    asked: Option<Instant>,
}

impl<'a> Consumer<'a> {
    /// Joins the group; `end` is what `-e` means. `None` if a signal came first.
    pub(super) fn join(
        config: &'a Group,
        end: Stop,
        signals: &'a Signals,
    ) -> Result<Option<Consumer<'a>>> {
        let membership = Membership {
            group: config.name.clone(),
            topics: config.topics.clone(),
            start: config.start,
            stop: if config.exit_at_end { end } else { Stop::Never },
            isolation: Isolation::of(&config.options),
            wants_headers: needs_headers(&config.output),
            is_reset_set: config.options.is_set("auto.offset.reset"),
            uses_librdkafka: config.engine == Engine::Librdkafka,
            give_up: config.give_up,
        };
        let mut options = config.options.clone();
        tune(&mut options, &membership);
        let member = match Member::join(&options, membership, signals.interrupt()) {
            Err(_) if signals.caught().is_some() => return Ok(None),
            other => other?,
        };
        let max_poll_ms = config.options.get("max.poll.interval.ms");
        let max_poll_ms = max_poll_ms.and_then(|ms| ms.parse().ok());
        Ok(Some(Consumer {
            member,
            run: RunState {
                signals,
                left: config.count.unwrap_or(u64::MAX),
                verbosity: config.options.verbosity,
                all_brokers_down: false,
                waiting: Some(Progress::new(config.options.verbosity >= 0, None)),
            },
            group: &config.name,
            exit_at_end: config.exit_at_end,
            drain_limit: max_poll_ms.map_or(MAX_POLL, Duration::from_millis) / 2,
            keeps_trying: config.output.keep_trying,
            has_failed: false,
            asked: None,
        }))
    }

    /// Reads until the delivery ends, or a signal.
    pub(super) fn run(&mut self, delivery: &mut impl Delivery) -> Result<()> {
        while self.run.signals.caught().is_none() {
            self.show_waiting();
            match delivery.advance(self)? {
                Next::Read(wait_ms) => self.read(delivery, wait_ms)?,
                Next::Wait(wait_ms) => self.poll_events(delivery, wait_ms)?,
                Next::End => return Ok(()),
            }
        }
        Ok(())
    }

    fn show_waiting(&mut self) {
        if let Some(progress) = &mut self.run.waiting {
            if self.member.is_assigned() {
                progress.wait_for("records");
            } else {
                progress.wait_for(&format!("group {}", self.group));
            }
        }
    }

    fn read(&mut self, delivery: &mut impl Delivery, wait_ms: i32) -> Result<()> {
        let mut visitor = Visitor {
            delivery: &mut *delivery,
            run: &mut self.run,
            failed: None,
        };
        let polled = self.member.poll(wait_ms, &mut visitor);
        if let Some(error) = visitor.failed {
            return Err(error);
        }
        match polled {
            Err(error) if self.keeps_trying => {
                message(&error);
                self.has_failed = true;
                Ok(())
            }
            polled => self.handle_event(delivery, polled?),
        }
    }

    /// Waits for an event of the group; keeps the member in it.
    pub(super) fn poll_events(&mut self, delivery: &mut impl Delivery, wait_ms: i32) -> Result<()> {
        let polled = self.member.poll_events(wait_ms)?;
        self.handle_event(delivery, polled)
    }

    fn handle_event(&mut self, delivery: &mut impl Delivery, polled: Polled) -> Result<()> {
        match polled {
            Polled::Records(0) => {}
            Polled::Records(_) => self.run.all_brokers_down = false,
            Polled::Committed => {
                self.asked = None;
                delivery.commit_ended(true);
            }
            Polled::CommitFailed(error) => {
                delivery.commit_ended(false);
                if self.run.verbosity > 0 {
                    message(format_args!("positions not committed yet: {error}"));
                }
            }
            Polled::Assigned(topic_partitions) => {
                self.report_partitions("assigned", &topic_partitions);
                delivery.assign(self, &topic_partitions)?;
            }
            Polled::Revoked {
                topic_partitions,
                lost,
            } => {
                if lost {
                    message(
                        "the group has given this member's partitions away; what is not committed comes again",
                    );
                }
                delivery.revoke(self, &topic_partitions, lost)?;
                self.report_partitions("revoked", &topic_partitions);
                self.member.release()?;
            }
            Polled::Error(error) => self.report_error(&error),
        }
        Ok(())
    }

    /// Commits and waits until the group has taken it, as [`Member::commit`].
    pub(super) fn commit(&mut self, positions: &Positions) -> Result<(), GroupError> {
        if !positions.is_empty() {
            self.asked = None;
        }
        self.member.commit(positions)
    }

    /// Whether everything up to the end noted at the start is committed, or in flight here as `is_mine` says.
    pub(super) fn is_group_done(
        &mut self,
        is_mine: impl Fn(&TopicPartition, i64) -> bool,
    ) -> Result<bool, GroupError> {
        let is_mine =
            |(topic_partition, end): (&TopicPartition, &i64)| is_mine(topic_partition, *end);
        if self.member.ends().iter().all(is_mine) {
            return Ok(true);
        }
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return Ok(false);
        }
        let behind = self.member.behind()?;
        self.asked = Some(Instant::now());
        Ok(behind.is_some_and(|behind| behind.iter().all(is_mine)))
    }

    fn report_partitions(&self, what: &str, topic_partitions: &[TopicPartition]) {
        if self.run.verbosity > 0 {
            let names = topic_partitions.iter().map(|(t, p)| format!("{t} [{p}]"));
            let names: Vec<String> = names.collect();
            message(format_args!("{what}: {}", names.join(", ")));
        }
    }

    /// Reports an error of the group or the cluster; an outage once.
    fn report_error(&mut self, error: &KafkaError) {
        match error.code {
            code::ALL_BROKERS_DOWN if !self.run.all_brokers_down => {
                self.run.all_brokers_down = true;
                report_all_down(self.member.cause().as_deref());
            }
            code::MAX_POLL_EXCEEDED => message(error),
            _ if self.run.verbosity > 0 => message(error),
            _ => {}
        }
    }
}

/// Hands the records that have arrived to the delivery.
struct Visitor<'r, 'a, D> {
    delivery: &'r mut D,
    run: &'r mut RunState<'a>,
    failed: Option<anyhow::Error>,
}

impl<D: Delivery> RecordVisitor for Visitor<'_, '_, D> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of the loop over records")]
    fn values<'v>(
        &mut self,
        source: ValuesSource<'_>,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
    ) -> usize {
        self.run.waiting = None;
        self.delivery.values(self.run, source, values)
    }

    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        self.run.waiting = None;
        let has_room = self.delivery.record(self.run, record);
        self.flow(has_room)
    }

    fn end(&mut self, topic: &str, partition: i32, offset: i64) -> ControlFlow<()> {
        let ended = self.delivery.end(self.run, (topic, partition), offset);
        self.flow(ended.map(|()| true))
    }
}

impl<D> Visitor<'_, '_, D> {
    fn flow(&mut self, has_room: Result<bool>) -> ControlFlow<()> {
        match has_room {
            Ok(true) if self.run.left > 0 => self.run.signals.flow(),
            Ok(_) => ControlFlow::Break(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// The partition and the offset of a record that was read from a topic.
pub(super) fn position<'r>(record: &Record<'r>) -> Result<(&'r str, i32, i64)> {
    match (record.topic, record.partition, record.offset) {
        (Some(topic), Some(partition), Some(offset)) => Ok((topic, partition, offset)),
        _ => anyhow::bail!("a record without a partition and an offset"),
    }
}
