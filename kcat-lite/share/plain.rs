//! `--share` alone: accepts what standard output has taken, and releases the rest.

use std::collections::VecDeque;
use std::time::Duration;

use tools::cli::Exit;
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::kafka::share::{
    Acknowledgement, AcquiredRecord, FetchLimit, RecordPosition, ShareConsumer,
};

use super::settings::GroupSettings;
use super::{IdleTimer, StatusReporter};
use crate::config::Share;
use crate::output::{Writer, is_closed};

/// The most records in a fetch, Java's `max.poll.records`.
const FETCH_RECORDS: u64 = 500;
/// How often to look at signals and at the pipe.
const IDLE: Duration = Duration::from_millis(100);

pub(super) fn run(
    config: &Share,
    settings: &GroupSettings,
    consumer: ShareConsumer<'_>,
    signals: &Signals,
) -> anyhow::Result<Exit> {
    let writer = Writer::new(&config.output)?;
    let is_quiet = config.options.verbosity < 0;
    let mut run = PlainRun {
        progress: Progress::new(!is_quiet && !writer.out().is_terminal(), config.count),
        writer,
        consumer,
        signals,
        written: VecDeque::new(),
        left: config.count.unwrap_or(u64::MAX),
        status: StatusReporter::with_settings(config, settings),
    };
    let result = run.read(config);
    for (position, _) in run.written.drain(..) {
        run.consumer
            .acknowledge(&position, Acknowledgement::Release);
    }
    run.status.report_refused(run.consumer.close());
    drop(run.progress);
    run.writer.report_oddities(is_quiet);
    signals.end_line();
    match result {
        Err(error) if is_closed(&error) => {}
        other => other?,
    }
    Ok(run.writer.exit())
}

struct PlainRun<'a> {
    progress: Progress,
    writer: Writer,
    consumer: ShareConsumer<'a>,
    signals: &'a Signals,
    /// Records with the position in the output at which each ends.
    written: VecDeque<(RecordPosition, u64)>,
    /// Records still to be written; `-c`.
    left: u64,
    status: StatusReporter<'a>,
}

impl PlainRun<'_> {
    fn read(&mut self, config: &Share) -> anyhow::Result<()> {
        let mut idle = IdleTimer::new(config.idle, self.status.is_quiet);
        while self.left > 0 && self.signals.caught().is_none() && self.writer.out().has_reader() {
            let has_arrived = self.fetch(config.count.is_some())?;
            self.status.report(&mut self.consumer);
            self.progress
                .update(self.writer.written(), self.writer.out().total_bytes());
            if idle.is_over(&self.consumer, has_arrived)? {
                break;
            }
        }
        Ok(())
    }

    /// Writes what arrives; returns whether anything did.
    fn fetch(&mut self, is_exact: bool) -> anyhow::Result<bool> {
        let limit = FetchLimit {
            records: self.left.min(FETCH_RECORDS) as usize,
            is_exact,
            is_busy: false,
        };
        let (writer, written, left) = (&mut self.writer, &mut self.written, &mut self.left);
        let mut surplus = Vec::new();
        let mut failed = None;
        let before = written.len();
        let polled = self.consumer.poll(limit, IDLE, &mut |acquired| {
            if *left == 0 || failed.is_some() {
                surplus.push(acquired.position.clone());
                return;
            }
            let AcquiredRecord {
                record, position, ..
            } = acquired;
            match writer.put(&record) {
                Ok(_) => {
                    *left -= 1;
                    written.push_back((position.clone(), writer.out().total_bytes()));
                }
                Err(bad) => {
                    surplus.push(position.clone());
                    failed = Some(bad);
                }
            }
        });
        let has_arrived = written.len() > before;
        for position in surplus {
            self.consumer
                .acknowledge(&position, Acknowledgement::Release);
        }
        let flushed = self.writer.flush(self.signals);
        self.accept_taken();
        polled?;
        flushed?;
        match failed {
            Some(bad) => Err(bad.into()),
            None => Ok(has_arrived),
        }
    }

    fn accept_taken(&mut self) {
        let taken = self.writer.out().taken_bytes();
        let count = self.written.partition_point(|(_, end)| *end <= taken);
        for (position, _) in self.written.drain(..count) {
            self.consumer
                .acknowledge(&position, Acknowledgement::Accept);
        }
    }
}
