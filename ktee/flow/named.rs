//! A place with its name: what it does for as long as it works, and what is said when it fails.

use std::io::ErrorKind;

use anyhow::Result;
use tools::cli::message;

use super::file::FileSink;
use super::ledger::Ledger;
use super::topic::TopicSink;
use crate::write::{Backup, Waiting};

/// A place that takes records.
pub(super) enum Sink {
    Backup(Box<Backup>),
    Topic(Box<TopicSink>),
}

impl Sink {
    /// Hears what has become of what was handed over.
    pub(super) fn tick(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        match self {
            Sink::Backup(backup) => backup.tick(waiting),
            Sink::Topic(topic) => topic.tick(waiting),
        }
    }

    /// Tells what has become durable since the last call.
    pub(super) fn tell_durable(&mut self, ledger: &mut Ledger) {
        match self {
            Sink::Backup(backup) => {
                backup.take_durable(&mut |first, last| ledger.settle(first, last));
            }
            Sink::Topic(topic) => {
                topic.take_durable(&mut |receipt| ledger.settle(receipt, receipt));
            }
        }
    }

    /// Waits until all is durable.
    pub(super) fn finish(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        match self {
            Sink::Backup(backup) => backup.finish(waiting),
            Sink::Topic(topic) => topic.finish(waiting),
        }
    }
}

/// A place with its name; none once it has failed.
pub(super) struct Named<T> {
    pub(super) name: String,
    pub(super) sink: Option<T>,
}

impl<T> Named<T> {
    pub(super) fn new(name: String, opened: Result<T>, has_failed: &mut bool) -> Named<T> {
        let sink = opened
            .map_err(|error| {
                message(format_args!("{}", without_repetition(&name, &error)));
                *has_failed = true;
            })
            .ok();
        Named { name, sink }
    }

    /// Does something with the place; if that fails, it was the last time.
    pub(super) fn with(&mut self, has_failed: &mut bool, act: impl FnOnce(&mut T) -> Result<()>) {
        if let Some(sink) = &mut self.sink
            && let Err(error) = act(sink)
        {
            message(format_args!("{}", without_repetition(&self.name, &error)));
            *has_failed = true;
            self.sink = None;
        }
    }
}

impl Named<FileSink> {
    /// Writes to the file. A reader that leaves a pipe is a failure only if it `must_stay`.
    pub(super) fn write(&mut self, bytes: &[u8], must_stay: bool, has_failed: &mut bool) {
        let Some(file) = &mut self.sink else {
            return;
        };
        match file.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && !must_stay => {
                message(format_args!("{}: its reader has left", self.name));
                self.sink = None;
            }
            written => self.with(has_failed, |_| Ok(written?)),
        }
    }
}

impl Named<Sink> {
    /// Whether it is a topic that has not got all of its records.
    pub(super) fn has_spilled(&self) -> bool {
        matches!(&self.sink, Some(Sink::Topic(topic)) if topic.spilled() > 0)
    }
}

/// `NAME: ERROR`, unless the error names the place itself, as one about a file in it does.
fn without_repetition(name: &str, error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    if text.starts_with(name.trim_end_matches('/')) {
        text
    } else {
        format!("{name}: {text}")
    }
}

/// Says how many records a backup had already, which is what a run that goes on from an earlier one wants to know.
pub(super) fn tell_known(sinks: &[Named<Sink>]) {
    for named in sinks {
        if let Some(Sink::Backup(backup)) = &named.sink {
            let totals = backup.totals();
            if totals.known_records > 0 {
                message(format_args!(
                    "{}: {} already in the backup, {} added",
                    named.name,
                    count(totals.known_records, "record"),
                    totals.stored_records,
                ));
            }
        }
    }
}

/// `1 record`, `2 records`.
pub(crate) fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
