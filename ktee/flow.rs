//! Standard input to everywhere: what is read goes to standard output and files as it is, and to the rest as records.
//!
//! A place that fails is named and gets nothing more; the others do. Reading
//! goes on as long as anybody wants it.

mod file;
mod hint;
mod output;
mod read;
mod source;
mod spill;
mod topic;
mod undelivered;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tools::ack::Position;
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::stdout::{Out, OutError};
use tools::cli::{Exit, message};
use tools::kafka::Options;

use crate::config::Tee;
use crate::destination::{Destination, Input};
use crate::metadata::MetadataOptions;
use crate::write::Backup;
use crate::write::settings::has_positions;
use file::FileSink;
use output::Output;
use source::SourceLink;
use spill::Spill;
use topic::{TopicOptions, TopicSink};

pub(crate) fn run(config: &Tee) -> Result<Exit> {
    let signals = if config.ignores_interrupts {
        Signals::catch_without_interrupts()?
    } else {
        Signals::catch()?
    };
    let mut flow = Flow::open(config, &signals)?;
    let read = flow.read(config);
    Ok(flow.finish(read))
}

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The input's end; whether nothing of a torn line is left.
    Input {
        is_whole: bool,
    },
    /// Nobody is left to read for.
    Unwanted,
    Signal(i32),
}

struct Flow<'a> {
    signals: &'a Signals,
    out: Option<Out>,
    /// Destinations that take bytes.
    files: Vec<Output>,
    /// Destinations that take records or lines.
    sinks: Vec<Output>,
    /// The source that waits for acknowledgements, under `--ack`.
    source: Option<SourceLink>,
    /// Up to where the source has read at its end.
    passed: Vec<Position>,
    /// Whether backups take records, or lines.
    takes_positions: bool,
    stops_on_error: bool,
    /// Whether it is a failure when the reader of a pipe leaves.
    pipes_must_stay: bool,
    has_failed: bool,
    is_quiet: bool,
    records: u64,
    bytes: u64,
    progress: Progress,
    /// What backups record of their topics, and when they do it next.
    recording: Option<Recording>,
}

/// `--settings` and `--groups`.
struct Recording {
    wanted: MetadataOptions,
    options: Options,
    every: Duration,
    next: Instant,
}

impl<'a> Flow<'a> {
    fn open(config: &Tee, signals: &'a Signals) -> Result<Flow<'a>> {
        let mut has_failed = false;
        let mut files = Vec::new();
        for path in &config.files {
            let opened = FileSink::open(path.as_ref(), config.append, config.pipes_must_stay);
            let name = path.display().to_string();
            files.push(Output::new(name, opened, &mut has_failed));
        }
        let mut sinks = Vec::new();
        for location in &config.backups {
            let backup = Backup::open(
                location,
                &config.format,
                &config.settings,
                config.options.clone(),
            );
            sinks.push(Output::new(location.clone(), backup, &mut has_failed));
        }
        let spill = open_spill(config)?;
        for topic in &config.topics {
            let options = config.options.as_ref().context("options for topics")?;
            let options_of_sink = TopicOptions {
                acknowledges: config.ack.is_some(),
                fails_at_once: config.ack.is_some() || config.stops_on_error,
                spill: spill.clone(),
            };
            let sink = TopicSink::open(topic, options, options_of_sink, signals);
            sinks.push(Output::new(format!("kafka:{topic}"), sink, &mut has_failed));
        }
        let takes_positions = has_positions(&config.format);
        let is_segment = takes_positions && config.topics.is_empty();
        // A place that can't be opened ends a pipe before it begins, and so it does where nothing may be lost.
        if has_failed && (config.ack.is_some() || config.spill.is_some()) {
            anyhow::bail!("nothing was read");
        }
        let source = match &config.ack {
            Some(path) => Some(SourceLink::open(
                path,
                &config.format,
                is_segment,
                sinks.len(),
                signals,
            )?),
            None => None,
        };
        let is_typed = std::io::IsTerminal::is_terminal(&std::io::stdin());
        let out = Out::stdout()?;
        Ok(Flow {
            signals,
            progress: Progress::new(!config.is_quiet && !is_typed && !out.is_terminal(), None),
            out: Some(out),
            files,
            sinks,
            source,
            passed: Vec::new(),
            takes_positions,
            // What one place does not have is not acknowledged, and so nothing would be from then on.
            stops_on_error: config.stops_on_error || config.ack.is_some(),
            pipes_must_stay: config.pipes_must_stay,
            has_failed,
            is_quiet: config.is_quiet,
            records: 0,
            bytes: 0,
            recording: config.options.clone().map(|options| Recording {
                wanted: config.metadata.clone(),
                options,
                every: config.settings.max_delay,
                next: Instant::now() + config.settings.max_delay,
            }),
        })
    }

    /// Whether there is anybody left to read for.
    fn is_wanted(&self) -> bool {
        let mut outputs = self.files.iter().chain(&self.sinks);
        let is_alive = self.out.is_some() || outputs.any(|output| output.destination.is_some());
        is_alive && !(self.stops_on_error && self.has_failed)
    }

    /// Bytes as they are, to standard output and files.
    fn pass(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(out) = &mut self.out {
            match out.write_lines(bytes, self.signals) {
                Ok(()) => {}
                Err(error) => self.lose_stdout(error),
            }
        }
        for file in &mut self.files {
            file.with(&mut self.has_failed, |file| file.pass(bytes));
        }
    }

    fn lose_stdout(&mut self, error: OutError) {
        self.out = None;
        // A reader that has enough is no failure, and no reason to stop a backup.
        if self.pipes_must_stay || !matches!(error, OutError::Closed) {
            message(format_args!("{:#}", anyhow::Error::new(error)));
            self.has_failed = true;
        }
    }

    /// One record to all destinations that take records.
    #[inline]
    fn take(&mut self, input: &Input<'_>) {
        self.records += 1;
        let signals = self.signals;
        for output in &mut self.sinks {
            let source = &mut self.source;
            output.with(&mut self.has_failed, |destination| {
                destination.write(input, &mut waiting(source.as_mut(), signals))?;
                if let (Some(source), Some(tag)) = (source, input.tag) {
                    source.expect(tag);
                }
                Ok(())
            });
        }
    }

    /// What has become durable, and what is due.
    fn tick(&mut self) {
        let signals = self.signals;
        for output in &mut self.sinks {
            let source = &mut self.source;
            output.with(&mut self.has_failed, |destination| {
                let ticked = destination.tick(&mut waiting(source.as_mut(), signals));
                acknowledge_durable(destination, source.as_mut());
                ticked
            });
        }
        if self
            .recording
            .as_ref()
            .is_some_and(|recording| Instant::now() >= recording.next)
        {
            self.record();
        }
        self.progress.update(self.records, self.bytes);
    }

    /// Asks the cluster about the topics of each backup, and puts that beside them.
    fn record(&mut self) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        recording.next = Instant::now() + recording.every;
        let interrupted = || self.signals.caught().is_some();
        for output in &mut self.sinks {
            output.with(&mut self.has_failed, |destination| {
                destination.record(&recording.options, &recording.wanted, &interrupted)
            });
        }
    }

    /// Waits until everything is where it belongs, and says what is not.
    fn finish(mut self, read: Result<End>) -> Exit {
        let mut end = read.unwrap_or_else(|error| {
            message(format_args!("{error:#}"));
            self.has_failed = true;
            End::Unwanted
        });
        let signals = self.signals;
        for output in &mut self.sinks {
            let source = &mut self.source;
            output.with(&mut self.has_failed, |destination| {
                let finished = destination.finish(&mut waiting(source.as_mut(), signals));
                acknowledge_durable(destination, source.as_mut());
                finished
            });
        }
        // Now all that was received is stored.
        for position in std::mem::take(&mut self.passed) {
            self.send_passed(&position);
        }
        self.record();
        for file in &mut self.files {
            file.with(&mut self.has_failed, |file| file.finish(&mut || false));
        }
        if let Some(source) = self.source.take()
            && let Err(error) = source.finish(end, self.has_failed, self.signals)
        {
            message(format_args!("{error:#}"));
            self.has_failed = true;
            end = End::Unwanted;
        }
        drop(self.progress);
        let named = self.sinks.iter();
        let sinks: Vec<_> = named
            .filter_map(|output| Some((&output.name, output.destination.as_ref()?)))
            .collect();
        for (name, destination) in &sinks {
            if let Some(summary) = destination.summary().filter(|_| !self.is_quiet) {
                message(format_args!("{name}: {summary}"));
            }
        }
        let has_spilled = sinks.iter().any(|(_, sink)| sink.has_spilled());
        match end {
            _ if self.has_failed => Exit::Failed,
            End::Signal(signal) => Exit::Signal(signal),
            _ if has_spilled => Exit::No,
            End::Input { .. } | End::Unwanted => Exit::Done,
        }
    }
}

/// Tells the source what has become durable in a destination.
fn acknowledge_durable(destination: &mut dyn Destination, source: Option<&mut SourceLink>) {
    if let Some(source) = source {
        destination.take_durable(&mut |first, last| source.ack(first, last));
    }
}

/// What a destination does while it waits: the source hears that this end is at work, and the destination whether a signal
/// came.
fn waiting<'a>(
    mut source: Option<&'a mut SourceLink>,
    signals: &'a Signals,
) -> impl FnMut() -> bool + 'a {
    move || {
        if let Some(source) = &mut source {
            source.keep_alive();
        }
        signals.caught().is_some()
    }
}

fn open_spill(config: &Tee) -> Result<Option<Rc<RefCell<Spill>>>> {
    let Some(path) = &config.spill else {
        return Ok(None);
    };
    let spill = Spill::open(path).with_context(|| path.display().to_string())?;
    Ok(Some(Rc::new(RefCell::new(spill))))
}
