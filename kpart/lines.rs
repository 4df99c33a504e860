//! Lines of input, each given to a [`Sink`] with its key.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use tools::cli::signals::Signals;
use tools::cli::stdin::{self, Filled};
use tools::cli::{Exit, message};
use tools::partition::KeyError;
use tools::record::DecodeError;

use crate::keys::{Key, KeyReader};
use crate::topic::TopicMonitor;

/// After this time without input, the sink is asked whether it still has a reader.
const IDLE_MS: u64 = 1_000;

pub(crate) trait Sink {
    /// Writes a line, including its line feed, which only the last line of all may lack.
    fn line(&mut self, key: Key<'_>, line: &[u8]) -> Result<()>;

    /// Writes what is buffered, because the input is idle.
    fn flush(&mut self) -> Result<()>;

    /// Whether the output still has a reader.
    fn has_reader(&mut self) -> Result<bool> {
        Ok(true)
    }

    /// Writes what is buffered and ends; `is_complete`: all input was read.
    fn finish(self, is_complete: bool) -> Result<()>;
}

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    EndOfInput,
    /// The sink has no reader any more.
    NoReader,
    Signal(i32),
}

/// Where lines come from.
pub(crate) struct Input<'a> {
    /// Files, in order; `-` is standard input.
    pub(crate) paths: &'a [PathBuf],
    pub(crate) keys: KeyReader,
    /// The topic whose number of partitions must not change.
    pub(crate) topic: Option<TopicMonitor<'a>>,
    pub(crate) signals: &'a Signals,
}

impl Input<'_> {
    /// Gives every line to `sink` and finishes it, also after an error: the lines before it are kept.
    ///
    /// # Errors
    /// Reading failed, or else the sink failed. If both have, the sink's error is reported here.
    pub(crate) fn write_to(self, mut sink: impl Sink) -> Result<Exit> {
        let stop = self.read_lines(&mut sink);
        let finished = sink.finish(matches!(stop, Ok(Stop::EndOfInput)));
        let stop = match (stop, finished) {
            (stop, Ok(())) => stop?,
            (Ok(_), Err(failed)) => return Err(failed),
            (Err(error), Err(failed)) => {
                // A sink that has failed may fail again. Else lines before a refused one are lost too.
                if error.to_string() != failed.to_string() {
                    message(format_args!("{failed:#}"));
                }
                return Err(error);
            }
        };
        Ok(match stop {
            Stop::EndOfInput | Stop::NoReader => Exit::Done,
            Stop::Signal(signal) => Exit::Signal(signal),
        })
    }

    /// The lines of all files, one file after the other.
    ///
    /// # Errors
    /// A file could not be read, or a line was refused; the error names the line, and the sink has every line before it.
    fn read_lines(self, sink: &mut impl Sink) -> Result<Stop> {
        let mut lines = Lines {
            keys: self.keys,
            topic: self.topic,
            signals: self.signals,
            count_before: 0,
            pending: Vec::new(),
            searched: 0,
            line_number: 0,
            name: String::new(),
        };
        for (index, path) in self.paths.iter().enumerate() {
            lines.name = if path.as_os_str() == "-" {
                "standard input".to_owned()
            } else {
                path.display().to_string()
            };
            match lines.read(path, index + 1 == self.paths.len(), sink)? {
                Stop::EndOfInput => {}
                stop => return Ok(stop),
            }
        }
        if let Some(topic) = &mut lines.topic {
            // The number may have changed since the last check.
            topic.check(lines.count_before + lines.line_number, true)?;
            if let Some(signal) = self.signals.caught() {
                return Ok(Stop::Signal(signal));
            }
        }
        Ok(Stop::EndOfInput)
    }
}

struct Lines<'a> {
    keys: KeyReader,
    topic: Option<TopicMonitor<'a>>,
    signals: &'a Signals,
    /// Lines of the files before this one.
    count_before: u64,
    /// Bytes that were read and not yet given to the sink.
    pending: Vec<u8>,
    /// How many bytes of `pending` contain no line feed.
    searched: usize,
    /// Of the last line that the sink was given, within this file.
    line_number: u64,
    /// This file, for messages.
    name: String,
}

impl Lines<'_> {
    fn read(&mut self, path: &Path, is_last: bool, sink: &mut impl Sink) -> Result<Stop> {
        self.count_before += std::mem::take(&mut self.line_number);
        let mut input = stdin::Input::open(path).with_context(|| self.name.clone())?;
        let mut flushed = true;
        loop {
            if let Some(topic) = &mut self.topic {
                topic.check_if_due(self.count_before + self.line_number)?;
            }
            // All available input is read before the sink is flushed.
            let idle_ms = if flushed { IDLE_MS } else { 0 };
            let filled = input.fill(&mut self.pending, self.signals, idle_ms);
            match filled.with_context(|| self.name.clone())? {
                Filled::Bytes(_) => {
                    self.split_lines(sink)?;
                    flushed = false;
                }
                Filled::Idle if flushed => {
                    if !sink.has_reader()? {
                        return Ok(Stop::NoReader);
                    }
                }
                Filled::Idle => {
                    sink.flush()?;
                    flushed = true;
                }
                Filled::Signal => return Ok(Stop::Signal(self.signals.caught().unwrap_or(0))),
                Filled::End => break,
            }
        }
        if !self.pending.is_empty() {
            if input.may_be_torn() && self.keys.reads_tsv() {
                self.line_number += 1;
                return Err(anyhow!(DecodeError::torn()).context(self.position()));
            }
            if !is_last {
                // The last line of a file must not run into the next file's first.
                self.pending.push(b'\n');
            }
            let line = std::mem::take(&mut self.pending);
            self.searched = 0;
            self.give_line(&line, sink)?;
        }
        Ok(Stop::EndOfInput)
    }

    /// Gives all complete lines to the sink and keeps the rest.
    fn split_lines(&mut self, sink: &mut impl Sink) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &pending[self.searched..]) {
            let end = self.searched + end + 1;
            self.give_line(&pending[start..end], sink)?;
            start = end;
        }
        self.pending = pending;
        self.pending.drain(..start);
        self.searched = self.pending.len();
        Ok(())
    }

    #[inline]
    fn give_line(&mut self, line: &[u8], sink: &mut impl Sink) -> Result<()> {
        self.line_number += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        match self.keys.with_key(text, |key| sink.line(key, line)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.is::<KeyError>() => Err(error.context(self.position())),
            // Writing failed: not the line's fault.
            Ok(Err(error)) => Err(error),
            Err(error) => Err(anyhow!(error).context(self.position())),
        }
    }

    fn position(&self) -> String {
        format!("{}: line {}", self.name, self.line_number)
    }
}
