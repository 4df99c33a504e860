//! Standard input to everywhere: what is read goes to standard output and files as it is, and to the rest as records.
//!
//! A place that fails is named and gets nothing more; the others do. Reading
//! goes on as long as anybody wants it.

mod file;
mod stats;
mod topic;

use std::time::Instant;

use anyhow::{Context, Result};
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::stdin::{Filled, Input};
use tools::cli::stdout::{Out, OutError};
use tools::cli::{Exit, message};
use tools::record::{Decoded, Decoder, Format, Record};

use crate::config::Tee;
use crate::write::Backup;
use crate::write::backup::has_positions;
use file::FileSink;
use stats::Stats;
use topic::TopicSink;

/// How long an idle input is waited for before the places are looked after.
const IDLE_MS: u64 = 100;

/// Copies all of standard input.
pub(crate) fn run(config: &Tee) -> Result<Exit> {
    let signals = Signals::catch()?;
    let mut flow = Flow::open(config, &signals)?;
    let read = flow.read(config);
    Ok(flow.finish(&read))
}

/// A place that takes records.
enum Sink {
    Backup(Box<Backup>),
    Topic(Box<TopicSink>),
}

/// A place with its name; none once it has failed.
struct Named<T> {
    name: String,
    sink: Option<T>,
}

impl<T> Named<T> {
    fn new(name: String, opened: Result<T>, has_failed: &mut bool) -> Named<T> {
        let sink = opened
            .map_err(|error| {
                message(format_args!("{name}: {error:#}"));
                *has_failed = true;
            })
            .ok();
        Named { name, sink }
    }

    /// Does something with the place; if that fails, it was the last time.
    fn with(&mut self, has_failed: &mut bool, act: impl FnOnce(&mut T) -> Result<()>) {
        if let Some(sink) = &mut self.sink
            && let Err(error) = act(sink)
        {
            message(format_args!("{}: {error:#}", self.name));
            *has_failed = true;
            self.sink = None;
        }
    }
}

/// How the input is taken apart.
enum Reading {
    /// Not at all: nothing needs records.
    Bytes,
    /// At newlines.
    Lines,
    /// Into records.
    Records(Box<Decoder>),
}

struct Flow<'a> {
    signals: &'a Signals,
    out: Option<Out>,
    files: Vec<Named<FileSink>>,
    sinks: Vec<Named<Sink>>,
    /// Whether backups take records, or lines.
    takes_positions: bool,
    stops_on_error: bool,
    has_failed: bool,
    is_quiet: bool,
    records: u64,
    bytes: u64,
    progress: Progress,
    stats: Stats,
}

impl<'a> Flow<'a> {
    fn open(config: &Tee, signals: &'a Signals) -> Result<Flow<'a>> {
        let mut has_failed = false;
        let mut files = Vec::new();
        for path in &config.files {
            let opened = FileSink::open(path.as_ref(), config.append);
            let name = path.display().to_string();
            files.push(Named::new(name, opened, &mut has_failed));
        }
        let mut sinks = Vec::new();
        for place in &config.backups {
            let backup = Backup::open(place, &config.format, &config.settings, config.is_quiet);
            let sink = backup.map(|backup| Sink::Backup(Box::new(backup)));
            sinks.push(Named::new(place.clone(), sink, &mut has_failed));
        }
        for topic in &config.topics {
            let options = config.options.as_ref().context("options for topics")?;
            let sink = TopicSink::open(topic, options, signals);
            let sink = sink.map(|topic| Sink::Topic(Box::new(topic)));
            sinks.push(Named::new(format!("kafka:{topic}"), sink, &mut has_failed));
        }
        let is_typed = std::io::IsTerminal::is_terminal(&std::io::stdin());
        let out = Out::stdout()?;
        Ok(Flow {
            signals,
            progress: Progress::new(!config.is_quiet && !is_typed && !out.is_terminal(), None),
            out: Some(out),
            files,
            sinks,
            takes_positions: has_positions(&config.format),
            stops_on_error: config.stops_on_error,
            has_failed,
            is_quiet: config.is_quiet,
            records: 0,
            bytes: 0,
            stats: Stats::new(config.stats),
        })
    }

    fn reading(&self, format: &Format) -> Result<Reading> {
        let has_topics = self
            .sinks
            .iter()
            .any(|named| matches!(named.sink, Some(Sink::Topic(_))));
        Ok(if self.sinks.is_empty() {
            Reading::Bytes
        } else if has_topics || self.takes_positions {
            Reading::Records(Box::new(Decoder::new(format.clone())?))
        } else {
            Reading::Lines
        })
    }

    /// Whether there is anybody left to read for.
    fn is_wanted(&self) -> bool {
        let is_alive = self.out.is_some()
            || self.files.iter().any(|named| named.sink.is_some())
            || self.sinks.iter().any(|named| named.sink.is_some());
        is_alive && !(self.stops_on_error && self.has_failed)
    }

    /// Reads until the input ends, a signal comes or nobody is left.
    fn read(&mut self, config: &Tee) -> Result<Option<i32>> {
        let mut reading = self.reading(&config.format)?;
        let mut input = Input::stdin().context("cannot read standard input")?;
        let mut buffer = Vec::new();
        let mut line = 0;
        while self.is_wanted() {
            let filled = input
                .fill(&mut buffer, self.signals, IDLE_MS)
                .context("cannot read standard input")?;
            let at_end = filled == Filled::End;
            let used = match &mut reading {
                Reading::Bytes => {
                    self.pass(&buffer);
                    buffer.len()
                }
                Reading::Lines => self.take_lines(&buffer, at_end),
                Reading::Records(decoder) => {
                    self.take_records(&buffer, at_end, decoder, &mut line)?
                }
            };
            self.bytes += used as u64;
            buffer.drain(..used);
            self.look_after();
            match filled {
                Filled::End => return Ok(None),
                Filled::Signal => {
                    if !buffer.is_empty() {
                        message("the last line is incomplete, and nobody got it");
                    }
                    return Ok(self.signals.caught());
                }
                Filled::Idle if !self.has_reader() => self.out = None,
                Filled::Idle | Filled::Bytes(_) => {}
            }
        }
        Ok(None)
    }

    fn has_reader(&self) -> bool {
        self.out.as_ref().is_none_or(Out::has_reader)
    }

    /// Bytes as they are, to standard output and files.
    fn pass(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(out) = &mut self.out {
            out.buffer().extend_from_slice(bytes);
            match out.flush(self.signals) {
                Ok(()) => {}
                // A reader that has enough is no failure, and no reason to stop a backup.
                Err(OutError::Closed) => self.out = None,
                Err(error) => {
                    message(format_args!("{:#}", anyhow::Error::new(error)));
                    self.has_failed = true;
                    self.out = None;
                }
            }
        }
        for file in &mut self.files {
            file.with(&mut self.has_failed, |file| file.write(bytes));
        }
    }

    /// Whole lines to backups; says how many bytes were taken.
    fn take_lines(&mut self, buffer: &[u8], at_end: bool) -> usize {
        let whole = memchr::memrchr(b'\n', buffer).map_or(0, |newline| newline + 1);
        self.take_block(&buffer[..whole]);
        let rest = &buffer[whole..];
        if !at_end || rest.is_empty() {
            self.pass(&buffer[..whole]);
            return whole;
        }
        self.pass(buffer);
        // In a segment the next line stands behind this one, so it needs an end.
        self.take_block(&[rest, b"\n"].concat());
        buffer.len()
    }

    fn take_block(&mut self, lines: &[u8]) {
        for named in &mut self.sinks {
            named.with(&mut self.has_failed, |sink| match sink {
                Sink::Backup(backup) => backup.take_lines(lines).map(drop),
                Sink::Topic(_) => Ok(()),
            });
        }
        if self.progress.is_shown() || self.stats.is_wanted() {
            self.records += memchr::memchr_iter(b'\n', lines).count() as u64;
        }
    }

    /// The records of `buffer` that are complete, to all; says how many bytes they took.
    fn take_records(
        &mut self,
        buffer: &[u8],
        at_end: bool,
        decoder: &mut Decoder,
        line: &mut u64,
    ) -> Result<usize> {
        let mut used_bytes = 0;
        let mut malformed = None;
        while used_bytes < buffer.len() {
            let rest = &buffer[used_bytes..];
            *line += 1;
            match decoder.decode(rest, at_end) {
                Ok(Decoded::Record { record, used }) => {
                    self.take(&record.record(), &rest[..used], *line);
                    used_bytes += used;
                }
                Ok(Decoded::Skipped { used }) => used_bytes += used,
                Ok(Decoded::Incomplete) => {
                    *line -= 1;
                    break;
                }
                Err(error) => {
                    malformed = Some(error);
                    break;
                }
            }
        }
        self.pass(&buffer[..used_bytes]);
        match malformed {
            Some(error) => Err(error).with_context(|| format!("standard input, line {line}")),
            None => Ok(used_bytes),
        }
    }

    #[inline]
    fn take(&mut self, record: &Record<'_>, text: &[u8], line: u64) {
        self.records += 1;
        let takes_positions = self.takes_positions;
        for named in &mut self.sinks {
            named.with(&mut self.has_failed, |sink| match sink {
                Sink::Backup(backup) => {
                    let taken = if takes_positions {
                        backup.take(record, text)
                    } else {
                        backup.take_lines(text)
                    };
                    taken.map(drop).with_context(|| format!("line {line}"))
                }
                Sink::Topic(topic) => topic.send(record, line),
            });
        }
    }

    /// What has become durable, and what is due.
    fn look_after(&mut self) {
        for named in &mut self.sinks {
            named.with(&mut self.has_failed, |sink| match sink {
                Sink::Backup(backup) => backup.tick(),
                Sink::Topic(topic) => topic.tick(),
            });
        }
        self.progress.update(self.records, self.bytes);
        if self.stats.is_due(Instant::now()) {
            self.stats.tell(self.records, self.bytes, &self.sinks);
        }
    }

    /// Waits until everything is where it belongs, and says what is not.
    fn finish(mut self, read: &Result<Option<i32>>) -> Exit {
        if let Err(error) = read {
            message(format_args!("{error:#}"));
            self.has_failed = true;
        }
        for named in &mut self.sinks {
            named.with(&mut self.has_failed, |sink| match sink {
                Sink::Backup(backup) => backup.finish(),
                Sink::Topic(topic) => topic.finish(),
            });
        }
        for file in &mut self.files {
            file.with(&mut self.has_failed, FileSink::finish);
        }
        drop(self.progress);
        if self.stats.is_wanted() {
            self.stats.tell(self.records, self.bytes, &self.sinks);
        }
        if !self.is_quiet {
            tell_known(&self.sinks);
        }
        match read {
            _ if self.has_failed => Exit::Failed,
            Ok(Some(signal)) => Exit::Signal(*signal),
            Ok(None) | Err(_) => Exit::Done,
        }
    }
}

/// Says how many records a backup had already, which is what a run that goes on from an earlier one wants to know.
fn tell_known(sinks: &[Named<Sink>]) {
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
fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
