//! `-P`: turns standard input or files into records, and delivery reports into the exit code.

mod ack_sink;
mod finish;
mod tee;
mod transactions;

use std::path::{Path, PathBuf};

use anyhow::Context;
use tools::cli::Exit;
use tools::cli::message;
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::stdin::{Filled, Input};
use tools::kafka::Producer;
use tools::kafka::produce::{Enqueued, TopicId};
use tools::record::{Decoded, Decoder, Format, Header, Record};
use tools::units::count;

use crate::config::{self, Source};
use crate::schema::{RecordWriter, WriteError};
use tee::Tee;

/// How often to poll delivery reports while the input is idle.
const IDLE_MS: u64 = 100;

/// Why reading the input ended.
enum InputEnd {
    /// Everything was sent, or as many records as `-c` says.
    Input,
    /// A signal; all complete records were sent.
    Signal(i32),
}

/// Sends everything and waits until each record was delivered or has failed.
pub(crate) fn run(config: &config::Produce) -> anyhow::Result<Exit> {
    let signals = Signals::catch()?;
    let mut sender = Sender::open(config, signals)?;
    if let Some(ack_input) = &config.ack_input {
        return ack_sink::run(sender, config, ack_input);
    }
    let input_end = sender.read_input(config);
    Ok(sender.finish(input_end))
}

/// Where a record goes, and the number that it is reported by.
type Target = (TopicId, Option<i32>, u64);

struct Sender {
    producer: Producer,
    signals: Signals,
    progress: Progress,
    /// The topic of `-t`.
    topic: Option<TopicId>,
    partition: Option<i32>,
    key: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// `-s avro` and its like; boxed, because each record moves it.
    schemas: Option<Box<RecordWriter>>,
    left: u64,
    tee: Option<Tee>,
    is_in_contact: bool,
    is_quiet: bool,
    is_verbose: bool,
    /// What line numbers in messages count: lines, records or files.
    unit: &'static str,
    bytes: u64,
    skipped: u64,
    /// Whether something failed that the producer's totals don't show.
    has_failed: bool,
    /// Whether the transaction of all records was not committed.
    is_aborted: bool,
    /// Records of aborted transactions, which the source sends again.
    sent_again: u64,
}

impl Sender {
    fn open(config: &config::Produce, signals: Signals) -> anyhow::Result<Sender> {
        let producer = Producer::new(&config.options)?;
        let topic = config.topic.as_deref();
        let topic = topic.map(|topic| producer.topic(topic));
        let verbosity = config.options.verbosity;
        // No progress bar between lines that somebody types.
        let typed = std::io::IsTerminal::is_terminal(&std::io::stdin())
            && config.source == Source::Lines(Vec::new());
        Ok(Sender {
            producer,
            signals,
            progress: Progress::new(verbosity >= 0 && !typed && !config.tee, None),
            topic,
            partition: config.partition,
            key: config.key.clone(),
            headers: config.headers.clone(),
            schemas: RecordWriter::new(config.schemas.as_ref(), config.topic.as_deref())?
                .map(Box::new),
            left: config.count.unwrap_or(u64::MAX),
            tee: config.tee.then(Tee::open).transpose()?,
            is_in_contact: false,
            is_quiet: verbosity < 0,
            is_verbose: verbosity > 0,
            unit: match config.source {
                Source::Lines(_) => match &config.format {
                    Format::Template(template) if !template.is_by_line() => "record",
                    _ => "line",
                },
                Source::Whole(_) => "file",
            },
            bytes: 0,
            skipped: 0,
            has_failed: false,
            is_aborted: false,
            sent_again: 0,
        })
    }

    fn read_input(&mut self, config: &config::Produce) -> anyhow::Result<InputEnd> {
        if self.producer.is_transactional() {
            self.contact()?;
            self.producer
                .begin()
                .context("cannot begin the transaction")?;
        }
        match &config.source {
            Source::Lines(files) if files.is_empty() => {
                self.send_lines(Path::new("-"), &config.format)
            }
            Source::Lines(files) => self.send_each(files, |sender, path, _| {
                sender.send_lines(path, &config.format)
            }),
            Source::Whole(files) => self.send_each(files, Sender::send_whole),
        }
    }

    /// Sends from each file; reports one that can't be read, and goes on with the others.
    fn send_each(
        &mut self,
        files: &[PathBuf],
        mut send: impl FnMut(&mut Sender, &Path, u64) -> anyhow::Result<InputEnd>,
    ) -> anyhow::Result<InputEnd> {
        for (index, path) in files.iter().enumerate() {
            let left = self.left;
            match send(self, path, index as u64 + 1) {
                Ok(InputEnd::Input) => {}
                Err(error) if error.is::<std::io::Error>() => {
                    let result = match left - self.left {
                        0 => "nothing of it was sent".to_owned(),
                        n => format!(
                            "its first {} were sent, and nothing behind",
                            count(n, "record")
                        ),
                    };
                    let name = match path.to_str() {
                        Some("-") => "standard input".into(),
                        _ => path.to_string_lossy(),
                    };
                    message(format_args!("{name}: {error:#}; {result}"));
                    self.has_failed = true;
                }
                other => return other,
            }
        }
        Ok(InputEnd::Input)
    }

    /// Sends a whole file, also an empty one, as one record.
    fn send_whole(&mut self, path: &Path, number: u64) -> anyhow::Result<InputEnd> {
        let value = if path == Path::new("-") {
            let mut value = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut value)?;
            value
        } else {
            std::fs::read(path)?
        };
        if let Some(tee) = &mut self.tee {
            self.has_failed |= !tee.copy(&value, &self.signals);
        }
        let record = Record {
            value: Some(&value),
            ..Record::default()
        };
        if self.left > 0 {
            let sent = self.send(&record, value.len(), number);
            sent.map_err(|error| {
                if error.is::<WriteError>() {
                    error.context(path.display().to_string())
                } else {
                    error
                }
            })?;
        }
        Ok(self
            .signals
            .caught()
            .map_or(InputEnd::Input, InputEnd::Signal))
    }

    /// Reads blocks and sends each record as soon as it is complete.
    fn send_lines(&mut self, path: &Path, format: &Format) -> anyhow::Result<InputEnd> {
        let mut input = Input::open(path)?;
        let decoder = self.decoder(format)?;
        let mut decoder = decoder.of_stream(input.may_be_torn());
        let mut buffer = Vec::new();
        let mut line = 0;
        let place = |line: u64, unit: &str| match path.to_str() {
            Some("-") | None => format!("standard input, {unit} {line}"),
            Some(name) => format!("{name}, {unit} {line}"),
        };
        let send = |sender: &mut Sender, decoder: &mut _, buffer: &[u8], at_end, line: &mut u64| {
            let sent = sender.send_block(decoder, buffer, at_end, line);
            sent.map_err(
                |error| match error.downcast::<tools::record::DecodeError>() {
                    Ok(malformed) => anyhow::anyhow!("{}: {malformed}", place(*line, sender.unit)),
                    Err(other) if other.is::<WriteError>() => {
                        other.context(place(*line, sender.unit))
                    }
                    Err(other) => other,
                },
            )
        };
        loop {
            let filled = input
                .fill(&mut buffer, &self.signals, IDLE_MS)
                .context("cannot be read")?;
            let at_end = filled == Filled::End;
            // Until the partitions are known, the producer keeps each record as a copy of its own.
            if matches!(filled, Filled::Bytes(_) | Filled::Idle)
                && let Err(error) = self.contact()
            {
                // Count what has arrived in the meantime as not delivered.
                let at_end = input.fill(&mut buffer, &self.signals, 0)? == Filled::End;
                if let Err(error) = send(self, &mut decoder, &buffer, at_end, &mut line) {
                    message(format_args!("{error:#}"));
                }
                return Err(error);
            }
            let used = send(self, &mut decoder, &buffer, at_end, &mut line)?;
            buffer.drain(..used);
            self.skipped = decoder.skipped();
            if at_end || self.left == 0 {
                return Ok(InputEnd::Input);
            }
            if let Filled::Signal = filled {
                let signal = self.signals.caught().unwrap_or_default();
                if !buffer.is_empty() {
                    message(format_args!(
                        "{}: incomplete, and not sent",
                        place(line + 1, self.unit)
                    ));
                }
                return Ok(InputEnd::Signal(signal));
            }
            self.after_block()?;
        }
    }

    fn decoder(&self, format: &Format) -> anyhow::Result<Decoder> {
        let decoder = Decoder::new(format.clone()).map_err(config::usage)?;
        let embedded = self.schemas.as_ref().map(|schemas| schemas.embedded());
        Ok(decoder.with_embedded(embedded.unwrap_or_default()))
    }

    /// Sends the complete records of `buffer`; returns how many bytes they took.
    fn send_block(
        &mut self,
        decoder: &mut Decoder,
        buffer: &[u8],
        at_end: bool,
        line: &mut u64,
    ) -> anyhow::Result<usize> {
        let mut used_bytes = 0;
        while self.left > 0 {
            let rest = &buffer[used_bytes..];
            if rest.is_empty() {
                break;
            }
            let is_new_line = !decoder.is_inside_line();
            *line += u64::from(is_new_line);
            match &decoder.decode(rest, at_end) {
                &Ok(Decoded::Record { ref record, used }) => {
                    if let Some(tee) = &mut self.tee {
                        self.has_failed |= !tee.copy(&rest[..used], &self.signals);
                    }
                    record.with(|record| self.send(record, used, *line))?;
                    used_bytes += used;
                }
                Ok(Decoded::Skipped { used }) => used_bytes += used,
                Ok(Decoded::Incomplete) => {
                    *line -= u64::from(is_new_line);
                    break;
                }
                Err(malformed) => return Err(malformed.clone().into()),
            }
        }
        Ok(used_bytes)
    }

    #[inline]
    fn send(&mut self, record: &Record<'_>, bytes: usize, number: u64) -> anyhow::Result<()> {
        let topic = match (self.topic, record.topic) {
            (Some(topic), _) => topic,
            (None, Some(name)) => self.producer.topic(name),
            (None, None) => {
                anyhow::bail!("{} {number} names no topic, and there is no -t", self.unit)
            }
        };
        let partition = self.partition.or(record.partition);
        self.left -= 1;
        self.bytes += bytes as u64;
        let target = (topic, partition, number);
        if self.key.is_none() && self.headers.is_empty() && self.schemas.is_none() {
            return self.enqueue(record, target);
        }
        self.send_changed(record, target)
    }

    /// Adds the key of `-k` and the headers of `-H`, and serializes by schemas.
    fn send_changed(&mut self, record: &Record<'_>, target: Target) -> anyhow::Result<()> {
        // Taken for one record at a time, so that nothing is copied.
        let (fixed, key) = (std::mem::take(&mut self.headers), self.key.take());
        let added = fixed.iter();
        let added = added.map(|(name, value)| Header::new(name, value.as_deref()));
        let headers: Vec<Header<'_>> = record.headers.iter().copied().chain(added).collect();
        let whole = Record {
            key: record.key.or(key.as_deref()),
            headers: &headers,
            ..*record
        };
        let mut schemas = self.schemas.take();
        let sent = match &mut schemas {
            None => self.enqueue(&whole, target),
            Some(schemas) => {
                match schemas.apply(&whole, |serialized| self.enqueue(serialized, target)) {
                    Ok(sent) => sent,
                    Err(error) => Err(error.into()),
                }
            }
        };
        (self.headers, self.key, self.schemas) = (fixed, key, schemas);
        sent
    }

    #[inline]
    fn enqueue(
        &mut self,
        record: &Record<'_>,
        (topic, partition, number): Target,
    ) -> anyhow::Result<()> {
        while self.producer.send(topic, partition, record, number) == Enqueued::QueueFull {
            self.wait_for_room()?;
        }
        Ok(())
    }

    #[cold]
    fn wait_for_room(&mut self) -> anyhow::Result<()> {
        self.contact()?;
        self.producer.poll(50);
        self.check_fatal()
    }

    fn after_block(&mut self) -> anyhow::Result<()> {
        self.producer.poll(0);
        self.progress
            .update(self.producer.totals().accepted, self.bytes);
        if let Some(tee) = &mut self.tee {
            self.has_failed |= !tee.flush(&self.signals);
        }
        self.check_fatal()
    }

    fn check_fatal(&self) -> anyhow::Result<()> {
        match self.producer.fatal_error() {
            Some(error) => Err(error).context("the producer can't go on"),
            None => Ok(()),
        }
    }

    /// Makes the first contact.
    fn contact(&mut self) -> anyhow::Result<()> {
        // A producer that has delivered was in contact, also if the cluster is down now.
        self.is_in_contact |= self.producer.totals().delivered > 0;
        if !self.is_in_contact {
            let signals = &self.signals;
            self.producer
                .contact(self.topic, &|| signals.caught().is_some())?;
            self.is_in_contact = true;
        }
        Ok(())
    }
}
