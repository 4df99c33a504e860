//! From blocks of bytes to lines, each handed to a [`Sink`] with its key.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use tools::cli::signals::Signals;
use tools::cli::stdin::{Filled, Input};
use tools::partition::KeyError;
use tools::record::DecodeError;

use crate::keys::{Key, Keys};
use crate::watch::Watch;

/// How long an idle input is waited for before the sink is asked whether anybody still wants it.
const IDLE_MS: u64 = 1_000;

/// What becomes of lines.
pub(crate) trait Sink {
    /// Takes a line, its line feed included, which only the last line of all may lack.
    ///
    /// # Errors
    /// The key has no partition, or the line could not be passed on.
    fn line(&mut self, key: Key<'_>, line: &[u8]) -> Result<()>;

    /// Passes on what is held back, because more input may be long in coming.
    ///
    /// # Errors
    /// Lines could not be passed on.
    fn flush(&mut self) -> Result<()>;

    /// Whether what is passed on still has a reader.
    fn is_wanted(&mut self) -> Result<bool> {
        Ok(true)
    }

    /// Passes on the rest and ends; `whole` is whether all input was read.
    ///
    /// # Errors
    /// Something that was passed on did not arrive.
    fn finish(self, whole: bool) -> Result<()>;
}

/// Why there are no more lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The input's end.
    End,
    /// Nobody wants more.
    Enough,
    /// This signal.
    Signal(i32),
}

/// Hands the lines of all files to `sink`, one file after the other.
///
/// # Errors
/// A file could not be read, or a line was refused; the error names the line, and every line before it was handed over.
pub(crate) fn read_lines(
    paths: &[PathBuf],
    keys: &mut Keys,
    sink: &mut impl Sink,
    watch: Option<&mut Watch<'_>>,
    signals: &Signals,
) -> Result<Ending> {
    let mut lines = Lines {
        watch,
        before: 0,
        keys,
        pending: Vec::new(),
        searched: 0,
        number: 0,
        name: String::new(),
    };
    for (at, path) in paths.iter().enumerate() {
        lines.name = if path.as_os_str() == "-" {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let last = at + 1 == paths.len();
        match lines.read(path, last, sink, signals)? {
            Ending::End => {}
            ending => return Ok(ending),
        }
    }
    if let Some(watch) = &mut lines.watch {
        // The number may have changed since it was asked for the last time.
        watch.look_now(lines.before + lines.number)?;
    }
    Ok(Ending::End)
}

struct Lines<'a, 'w> {
    keys: &'a mut Keys,
    watch: Option<&'a mut Watch<'w>>,
    /// Lines of the files before this one.
    before: u64,
    /// Bytes read and not handed over.
    pending: Vec<u8>,
    /// How far `pending` holds no line feed.
    searched: usize,
    /// Lines of this file handed over.
    number: u64,
    /// This file, as messages name it.
    name: String,
}

impl Lines<'_, '_> {
    fn read(
        &mut self,
        path: &Path,
        last: bool,
        sink: &mut impl Sink,
        signals: &Signals,
    ) -> Result<Ending> {
        self.before += std::mem::take(&mut self.number);
        let mut input = Input::open(path).with_context(|| self.name.clone())?;
        let mut flushed = true;
        loop {
            if let Some(watch) = &mut self.watch {
                watch.look(self.before + self.number)?;
            }
            // What is there is taken first; only then does the sink hear that the input is idle.
            let idle_ms = if flushed { IDLE_MS } else { 0 };
            let filled = input.fill(&mut self.pending, signals, idle_ms);
            match filled.with_context(|| self.name.clone())? {
                Filled::Bytes(_) => {
                    self.hand_over(sink)?;
                    flushed = false;
                }
                Filled::Idle if flushed => {
                    if !sink.is_wanted()? {
                        return Ok(Ending::Enough);
                    }
                }
                Filled::Idle => {
                    sink.flush()?;
                    flushed = true;
                }
                Filled::Signal => return Ok(Ending::Signal(signals.caught().unwrap_or(0))),
                Filled::End => break,
            }
        }
        if !self.pending.is_empty() {
            if input.may_be_torn() && self.keys.are_of_tsv() {
                self.number += 1;
                return Err(anyhow!(DecodeError::torn()).context(self.place()));
            }
            if !last {
                // The line of one file must not run into the next file's first.
                self.pending.push(b'\n');
            }
            let line = std::mem::take(&mut self.pending);
            self.searched = 0;
            self.hand_line(&line, sink)?;
        }
        Ok(Ending::End)
    }

    /// Hands over the whole lines and keeps the rest.
    fn hand_over(&mut self, sink: &mut impl Sink) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &pending[self.searched..]) {
            let end = self.searched + end + 1;
            self.hand_line(&pending[start..end], sink)?;
            start = end;
        }
        self.pending = pending;
        self.pending.drain(..start);
        self.searched = self.pending.len();
        Ok(())
    }

    #[inline]
    fn hand_line(&mut self, line: &[u8], sink: &mut impl Sink) -> Result<()> {
        self.number += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        match self.keys.find(text, |key| sink.line(key, line)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.is::<KeyError>() => Err(error.context(self.place())),
            // What could not be passed on is not the line's fault.
            Ok(Err(error)) => Err(error),
            Err(error) => Err(anyhow!(error).context(self.place())),
        }
    }

    fn place(&self) -> String {
        format!("{}: line {}", self.name, self.number)
    }
}
