//! The loop over standard input, and how it is split: not at all, at newlines, or into records.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tools::ack::{Arrival, Position};
use tools::cli::message;
use tools::cli::stdin::{self, Filled};
use tools::cli::stdout::{Out, OutError};
use tools::record::{Decoded, Decoder, Record};

use super::source::{Received, SourceUpdate};
use super::{End, Flow, hint, waiting};
use crate::config::Tee;
use crate::destination::{Input, SourceEvent};

/// How long an idle input is waited for before the places are looked after.
const IDLE_MS: u64 = 100;
/// The same while lines are to be acknowledged.
const BUSY_MS: u64 = 5;
/// How long the input is read on after a signal.
const READ_AFTER_SIGNAL: Duration = Duration::from_secs(1);

/// How the input is split.
enum Reading {
    /// Not at all: nothing needs records.
    Bytes,
    /// At newlines.
    Lines,
    /// Into records.
    Records(Box<Decoder>),
    /// Into records behind their positions.
    Acknowledged(Box<Decoder>),
}

impl Flow<'_> {
    fn reading(&self, config: &Tee, may_be_torn: bool) -> Result<Reading> {
        let decoder = || {
            let decoder = Decoder::new(config.format.clone())?.of_stream(may_be_torn);
            anyhow::Ok(Box::new(decoder))
        };
        Ok(if self.source.is_some() {
            Reading::Acknowledged(decoder()?)
        } else if self.sinks.is_empty() {
            Reading::Bytes
        } else if !config.topics.is_empty() || self.takes_positions {
            Reading::Records(decoder()?)
        } else {
            Reading::Lines
        })
    }

    /// Reads until the input ends, a signal comes or nobody is left.
    pub(super) fn read(&mut self, config: &Tee) -> Result<End> {
        let mut input = stdin::Input::stdin().context("cannot read standard input")?;
        let mut reading = self.reading(config, input.may_be_torn())?;
        let mut buffer = Vec::new();
        let mut line = 0;
        let (mut is_first, mut leave_at) = (true, None);
        while self.is_wanted() {
            let idle_ms = match &self.source {
                None => IDLE_MS,
                Some(source) if source.is_open() => BUSY_MS,
                Some(source) => source.idle_ms(),
            };
            let filled = self
                .fill(&mut input, &mut buffer, idle_ms, &mut leave_at)
                .context("cannot read standard input")?;
            let at_end = filled == Filled::End;
            if is_first {
                is_first = !self.check_first_line(&buffer, config)?;
            }
            let used = match &mut reading {
                Reading::Bytes => {
                    self.pass(&buffer);
                    buffer.len()
                }
                Reading::Lines => self.take_lines(&buffer, at_end),
                Reading::Records(decoder) => {
                    self.take_records(&buffer, at_end, decoder, &mut line)?
                }
                Reading::Acknowledged(decoder) => {
                    self.take_acknowledged(&buffer, arrival(filled), decoder, &mut line)?
                }
            };
            self.bytes += used as u64;
            buffer.drain(..used);
            self.tick();
            self.acknowledge(&buffer);
            match filled {
                Filled::End => {
                    if let Some(signal) = self.signals.caught().filter(|_| leave_at.is_some()) {
                        return Ok(End::Signal(signal));
                    }
                    return Ok(End::Input {
                        is_whole: buffer.is_empty(),
                    });
                }
                Filled::Signal => {
                    if !buffer.is_empty() {
                        message("the last line is incomplete, and nobody got it");
                    }
                    return Ok(End::Signal(self.signals.caught().unwrap_or_default()));
                }
                Filled::Idle if !self.out.as_ref().is_none_or(Out::has_reader) => {
                    self.lose_stdout(OutError::Closed);
                }
                Filled::Idle | Filled::Bytes(_) => {}
            }
        }
        Ok(End::Unwanted)
    }

    /// Reads what is there. After a signal it goes on for a moment: who interrupts a pipe from a terminal wants to see
    /// what its first program says to that.
    fn fill(
        &self,
        input: &mut stdin::Input,
        buffer: &mut Vec<u8>,
        idle_ms: u64,
        leave_at: &mut Option<Instant>,
    ) -> std::io::Result<Filled> {
        let filled = input.fill(buffer, self.signals, idle_ms)?;
        if filled != Filled::Signal || self.source.is_some() {
            return Ok(filled);
        }
        let leave_at = *leave_at.get_or_insert_with(|| Instant::now() + READ_AFTER_SIGNAL);
        match leave_at.checked_duration_since(Instant::now()) {
            None => Ok(Filled::Signal),
            Some(_) => input.fill_after_signal(buffer, IDLE_MS),
        }
    }

    /// Whether the first line has come; refuses records of a topic that a backup would take for any lines.
    fn check_first_line(&self, buffer: &[u8], config: &Tee) -> Result<bool> {
        let Some(end) = memchr::memchr(b'\n', buffer) else {
            return Ok(false);
        };
        let takes_lines = !self.takes_positions && !config.backups.is_empty();
        if let Some(option) = hint::format_of(&buffer[..end])
            && takes_lines
            && !config.keeps_lines
        {
            bail!(
                "{}: the input has records of a topic: say {option} to store them as such, or -D '\\n' to store lines",
                config.backups[0]
            );
        }
        Ok(true)
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
        let mut waiting = waiting(None, self.signals);
        let input = Input {
            record: &Record::default(),
            text: lines,
            line: 0,
            tag: None,
        };
        for output in &mut self.sinks {
            output.with(&mut self.has_failed, |destination| {
                destination.write(&input, &mut waiting)
            });
        }
        if self.progress.is_shown() {
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
            // Several records may stand in one line of JSON.
            let is_new_line = !decoder.is_inside_line();
            *line += u64::from(is_new_line);
            match decoder.decode(rest, at_end) {
                Ok(Decoded::Record { record, used }) => {
                    self.take(&Input {
                        record: &record.record(),
                        text: &rest[..used],
                        line: *line,
                        tag: None,
                    });
                    used_bytes += used;
                }
                Ok(Decoded::Skipped { used }) => used_bytes += used,
                Ok(Decoded::Incomplete) => {
                    *line -= u64::from(is_new_line);
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

    /// The lines of `buffer` that are known to be whole, without their positions, to all; says how many bytes they took.
    fn take_acknowledged(
        &mut self,
        buffer: &[u8],
        arrival: Arrival,
        decoder: &mut Decoder,
        line: &mut u64,
    ) -> Result<usize> {
        let Some(source) = &mut self.source else {
            return Ok(0);
        };
        let update = source.poll(arrival)?;
        self.apply_update(update);
        let (mut used, mut passed) = (0, Vec::new());
        let taken = loop {
            let next = self.source.as_mut().map(|it| it.next(buffer, &mut used));
            let received = match next {
                Some(Ok(Some(received))) => received,
                Some(Ok(None)) | None => break Ok(()),
                Some(Err(error)) => break Err(error),
            };
            *line += 1;
            let taken = self.take_received(received, decoder, *line, &mut passed);
            if let Err(error) = taken {
                break Err(error.context(format!("standard input, line {line}")));
            }
        };
        self.pass(&passed);
        taken.map(|()| used)
    }

    fn take_received(
        &mut self,
        received: Received<'_>,
        decoder: &mut Decoder,
        line: u64,
        passed: &mut Vec<u8>,
    ) -> Result<()> {
        if let Some(stream) = received.new_stream {
            self.send_event(&SourceEvent::NewStream(&stream.key, stream.start.as_ref()));
        }
        // A position alone is a record that was left out on purpose.
        let Some(text) = received.record else {
            return Ok(());
        };
        match decoder.decode(&text, true)? {
            Decoded::Record { record, .. } => {
                passed.extend_from_slice(&text);
                self.take(&Input {
                    record: &record.record(),
                    text: &text,
                    line,
                    tag: Some(received.tag),
                });
            }
            Decoded::Skipped { .. } | Decoded::Incomplete => bail!("an empty line"),
        }
        Ok(())
    }

    /// What the source says of its partitions besides their lines.
    fn apply_update(&mut self, update: SourceUpdate) {
        let (given_back, at_end): (Vec<_>, Vec<_>) = update
            .passed
            .into_iter()
            .partition(|position| update.released.contains(&position.key));
        self.send_event(&SourceEvent::PartitionCounts(&update.partition_counts));
        for position in &given_back {
            self.send_passed(position);
        }
        for key in &update.released {
            self.send_event(&SourceEvent::Released(key));
        }
        self.passed.extend(at_end);
    }

    /// The start counts if none of the lines that have come is of this stream; its end may be heard before they are read.
    pub(super) fn send_passed(&mut self, position: &Position) {
        let source = self.source.as_mut();
        let start = source.and_then(|source| source.take_start(&position.key));
        self.send_event(&SourceEvent::Passed(position, start.as_ref()));
    }

    pub(super) fn send_event(&mut self, event: &SourceEvent<'_>) {
        for output in &mut self.sinks {
            output.with(&mut self.has_failed, |destination| {
                destination.handle_event(event)
            });
        }
    }

    /// Tells the source what is durable everywhere, and makes more of it so while the source waits.
    fn acknowledge(&mut self, rest: &[u8]) {
        let Some(source) = &mut self.source else {
            return;
        };
        if source.is_flush_requested() {
            let sinks = self.sinks.iter_mut();
            sinks
                .filter_map(|output| output.destination.as_mut())
                .for_each(|destination| destination.flush());
        }
        let durable = source.durable(rest);
        // What is left waits for the end of a segment, or for a cluster.
        source.keep_alive();
        if durable.is_empty() || (self.has_failed && self.stops_on_error) {
            return;
        }
        for file in &mut self.files {
            file.with(&mut self.has_failed, |file| file.finish(&mut || false));
        }
        if self.has_failed {
            return;
        }
        source.acknowledge(durable);
    }
}

fn arrival(filled: Filled) -> Arrival {
    match filled {
        Filled::Bytes(_) => Arrival::More,
        Filled::Idle | Filled::Signal => Arrival::Idle,
        Filled::End => Arrival::End,
    }
}
