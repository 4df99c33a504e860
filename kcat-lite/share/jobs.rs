//! `--share --exec`: commands side by side, each with a record of its own; its exit code decides about the record.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::share::{Acknowledgement, FetchLimit, ShareConsumer};
use tools::units::count;

use super::acquired::AcquiredJobs;
use super::dead_letters::DeadLetters;
use super::job::{Job, JobEnd, JobRecord, describe};
use super::settings::GroupSettings;
use super::{IdleTimer, StatusReporter};
use crate::config::{self, Share};
use crate::group::child_guard::{ChildGuard, GuardedChild};
use crate::output::Encoding;

/// How often to look at signals while no command runs.
const IDLE: Duration = Duration::from_millis(100);
/// The pause before a record whose command failed is released; it doubles with each delivery.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(super) fn run(
    config: &Share,
    jobs: &config::Jobs,
    settings: &GroupSettings,
    consumer: ShareConsumer<'_>,
    signals: &Signals,
) -> anyhow::Result<Exit> {
    let max_tries = jobs.max_tries(settings.delivery_limit)?;
    let interrupted = || signals.caught().is_some();
    let dead_letters = jobs
        .reject_to
        .as_deref()
        .map(|topic| DeadLetters::open(&config.options, topic, &config.group, &interrupted));
    let mut queue = JobQueue {
        jobs,
        max_tries,
        dead_letters: dead_letters.transpose()?,
        guard: ChildGuard::start().context("--exec: sh")?,
        encoding: Encoding::new(&config.output, false)?,
        consumer,
        signals,
        waiting: Vec::new(),
        running: Vec::new(),
        left: config.count.unwrap_or(u64::MAX),
        status: StatusReporter::with_settings(config, settings),
        failed: None,
    };
    queue.work(config.idle);
    queue.end()
}

/// A command that runs, or the pause after it has failed.
struct Running {
    job: Job,
    state: State,
    since: Instant,
}

enum State {
    Command(GuardedChild),
    Pausing(Instant),
}

struct JobQueue<'a> {
    jobs: &'a config::Jobs,
    /// A record that fails at this delivery is rejected.
    max_tries: Option<u32>,
    dead_letters: Option<DeadLetters>,
    guard: ChildGuard,
    encoding: Encoding,
    consumer: ShareConsumer<'a>,
    signals: &'a Signals,
    /// Acquired, and not started yet.
    waiting: Vec<Job>,
    running: Vec<Running>,
    /// Records still to be started; `-c`.
    left: u64,
    status: StatusReporter<'a>,
    /// Why the program stops.
    failed: Option<anyhow::Error>,
}

impl JobQueue<'_> {
    /// Until the count, `--idle`, a signal or a failure.
    fn work(&mut self, idle: Option<Duration>) {
        let mut idle = IdleTimer::new(idle, self.status.is_quiet);
        while self.signals.caught().is_none() && self.failed.is_none() {
            let is_busy = !self.running.is_empty() || !self.waiting.is_empty();
            if !is_busy && self.left == 0 {
                return;
            }
            match idle.is_over(&self.consumer, is_busy) {
                Ok(false) => self.step(true),
                Ok(true) => return,
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Lets running commands end, gives everything else back, and leaves the group.
    fn end(mut self) -> anyhow::Result<Exit> {
        self.release_waiting();
        let is_sending = |queue: &JobQueue<'_>| {
            let letters = queue.dead_letters.as_ref();
            letters.is_some_and(|letters| !letters.is_idle())
        };
        while !self.running.is_empty() || is_sending(&self) {
            for running in &mut self.running {
                if let State::Pausing(until) = &mut running.state {
                    *until = Instant::now();
                }
            }
            let had_failed = self.failed.is_some();
            self.step(false);
            // A dead-letter topic that takes nothing must not hold the end up.
            if had_failed && self.running.is_empty() {
                break;
            }
        }
        self.status.report_refused(self.consumer.close());
        self.signals.end_line();
        match self.failed {
            Some(error) => Err(error),
            None => Ok(Exit::Done),
        }
    }

    fn step(&mut self, may_fetch: bool) {
        let result = self.advance(may_fetch);
        if let (Err(error), None) = (result, &self.failed) {
            self.failed = Some(error);
        }
    }

    /// Whatever fails, commands that run keep their locks, and the group its member.
    fn advance(&mut self, may_fetch: bool) -> anyhow::Result<()> {
        let ended = self.collect_ended();
        let rejected = self.collect_rejected();
        self.renew();
        let fetched = self.fetch(may_fetch);
        self.status.report(&mut self.consumer);
        let result = ended.and(rejected).and(fetched);
        let started = self.start(may_fetch && result.is_ok());
        result.and(started)
    }

    fn acknowledge(&mut self, records: &[JobRecord], kind: Acknowledgement) {
        for record in records {
            self.consumer.acknowledge(&record.position, kind);
        }
    }

    fn release_waiting(&mut self) {
        for job in std::mem::take(&mut self.waiting) {
            self.acknowledge(&job.records, Acknowledgement::Release);
        }
    }

    /// Starts commands, as many as may run at a time.
    fn start(&mut self, may_start: bool) -> anyhow::Result<()> {
        if !may_start {
            // A fetch that was under way has brought them.
            self.release_waiting();
        }
        let lock = self.consumer.lock_timeout();
        let lock = lock.filter(|_| !self.consumer.is_exact());
        while self.running.len() < self.jobs.parallel && !self.waiting.is_empty() {
            let mut job = self.waiting.remove(0);
            match job.spawn(self.jobs, lock, &mut self.guard) {
                Ok(child) => self.running.push(Running {
                    job,
                    state: State::Command(child),
                    since: Instant::now(),
                }),
                Err(error) => {
                    self.acknowledge(&job.records, Acknowledgement::Release);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn collect_ended(&mut self) -> anyhow::Result<()> {
        let mut index = 0;
        while index < self.running.len() {
            let running = &mut self.running[index];
            match &mut running.state {
                State::Command(child) => {
                    let status = self.guard.try_wait(child).context("--exec: sh")?;
                    let Some(status) = status else {
                        index += 1;
                        continue;
                    };
                    if let Some(until) = self.handle_end(index, status) {
                        self.running[index].state = State::Pausing(until);
                        index += 1;
                    }
                }
                State::Pausing(until) if Instant::now() >= *until => {
                    let job = self.running.remove(index).job;
                    self.acknowledge(&job.records, Acknowledgement::Release);
                }
                State::Pausing(_) => index += 1,
            }
        }
        Ok(())
    }

    /// Acknowledges the records of a command that has ended; until when to keep those that are to be tried again.
    fn handle_end(&mut self, index: usize, status: ExitStatus) -> Option<Instant> {
        let end = JobEnd::of(status);
        if end == JobEnd::Failed {
            self.reject_last_tries(index, status);
            let job = &self.running[index].job;
            if !job.records.is_empty() {
                let tries = job.delivery_count().unsigned_abs();
                self.report(
                    &job.records,
                    status,
                    &format!("try {tries}; it comes again"),
                );
                let pause = FIRST_PAUSE.saturating_mul(1 << (tries.saturating_sub(1)).min(16));
                return Some(Instant::now() + pause.min(LONGEST_PAUSE));
            }
        }
        let records = self.running.remove(index).job.records;
        match end {
            JobEnd::Accepted => self.acknowledge(&records, Acknowledgement::Accept),
            JobEnd::Failed => {}
            JobEnd::Rejected => {
                self.report(&records, status, "rejected");
                self.reject(records, status);
            }
            JobEnd::NoCommand => {
                self.report(&records, status, "released");
                self.acknowledge(&records, Acknowledgement::Release);
                let error = anyhow::anyhow!("--exec: {status}: the command can't be run");
                self.failed.get_or_insert(error);
            }
        }
        None
    }

    /// Of the records of one command some may have been delivered more often than others.
    fn reject_last_tries(&mut self, index: usize, status: ExitStatus) {
        let limit = self.max_tries.unwrap_or(u32::MAX);
        let is_last =
            |record: &mut JobRecord| u32::from(record.delivery_count.unsigned_abs()) >= limit;
        let records = &mut self.running[index].job.records;
        let last: Vec<JobRecord> = records.extract_if(.., is_last).collect();
        if !last.is_empty() {
            self.report(&last, status, "the last try; rejected");
            self.reject(last, status);
        }
    }

    fn report(&self, records: &[JobRecord], status: ExitStatus, what: &str) {
        if !self.status.is_quiet {
            let records = describe(records);
            message(format_args!("--exec: {status}: {records}: {what}"));
        }
    }

    /// Rejects records, after they were delivered to the topic of `--reject-to`.
    fn reject(&mut self, records: Vec<JobRecord>, status: ExitStatus) {
        let Some(dead_letters) = &mut self.dead_letters else {
            self.acknowledge(&records, Acknowledgement::Reject);
            return;
        };
        let reason = format!("--exec: {status}");
        for record in records {
            dead_letters.send(record, reason.clone());
        }
    }

    fn collect_rejected(&mut self) -> anyhow::Result<()> {
        let Some(dead_letters) = &mut self.dead_letters else {
            return Ok(());
        };
        if dead_letters.is_idle() {
            return Ok(());
        }
        let delivered = dead_letters.take_delivered();
        let failure = dead_letters.failure();
        self.acknowledge(&delivered, Acknowledgement::Reject);
        failure.map_or(Ok(()), Err)
    }

    /// Renews locks of which half is over; where the broker can't, releases what still waits for a command.
    fn renew(&mut self) {
        let Some(lock) = self.consumer.lock_timeout() else {
            return;
        };
        let is_due = |record: &JobRecord| record.locked_at.elapsed() >= lock / 2;
        if !self.consumer.is_exact() {
            let is_late = |job: &mut Job| job.records.iter().any(is_due);
            let late: Vec<Job> = self.waiting.extract_if(.., is_late).collect();
            self.release_late(&late);
            return;
        }
        let running = self.running.iter_mut().map(|running| &mut running.job);
        let jobs = running.chain(&mut self.waiting);
        let letters = self.dead_letters.iter_mut();
        let letters = letters.flat_map(DeadLetters::in_flight);
        for record in jobs.flat_map(|job| &mut job.records).chain(letters) {
            if is_due(record) {
                record.locked_at = Instant::now();
                self.consumer
                    .acknowledge(&record.position, Acknowledgement::Renew);
            }
        }
    }

    fn release_late(&mut self, jobs: &[Job]) {
        for job in jobs {
            self.acknowledge(&job.records, Acknowledgement::Release);
        }
        let released: usize = jobs.iter().map(|job| job.records.len()).sum();
        if released > 0 && !self.status.is_quiet {
            message(format_args!(
                "{} released, which counts as a delivery: no command was free for half the time of the lock \
                 (share.record.lock.duration.ms), and brokers before Kafka 4.2 can't renew it",
                count(released as u64, "record")
            ));
        }
    }

    /// Acquires records for the commands that may still be started.
    fn fetch(&mut self, may_fetch: bool) -> anyhow::Result<()> {
        let busy = self.running.len() + self.waiting.len();
        let slots = if may_fetch && self.failed.is_none() {
            self.jobs.parallel.saturating_sub(busy)
        } else {
            0
        };
        let most = (slots as u64).saturating_mul(self.jobs.batch_records);
        let limit = FetchLimit {
            records: most.min(self.left) as usize,
            is_exact: true,
            is_busy: busy > 0,
        };
        let wait = self.tick();
        let (encoding, jobs) = (&mut self.encoding, self.jobs);
        let mut acquired = AcquiredJobs::default();
        let polled = self.consumer.poll(limit, wait, &mut |record| {
            acquired.add(&record, encoding, jobs.batch_records);
        });
        let AcquiredJobs {
            jobs,
            unwritten,
            failed,
        } = acquired;
        let records: usize = jobs.iter().map(|job| job.records.len()).sum();
        self.left = self.left.saturating_sub(records as u64);
        self.waiting.extend(jobs);
        self.acknowledge(&unwritten, Acknowledgement::Release);
        polled?;
        match failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// How long to wait for a response, short while commands run that are short.
    fn tick(&self) -> Duration {
        let commands = self.running.iter();
        let youngest = commands.map(|running| running.since.elapsed()).min();
        youngest.map_or(IDLE, |age| {
            (age / 20).clamp(Duration::from_millis(1), Duration::from_millis(50))
        })
    }
}
