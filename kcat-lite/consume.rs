//! `-C`: writes the records of partitions to standard output.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::{Exit, message, messages};
use tools::kafka::admin::Isolation;
use tools::kafka::consume::{ConsumeError, ReadRequest, Start};
use tools::kafka::fetch::{RecordVisitor, ValuesSource};
use tools::kafka::{Client, Role};
use tools::record::Record;

use crate::admin_query::MAX_NAMED;
use crate::config::Consume;
use crate::contact::{ContactWatch, SilenceLimit};
use crate::engine::Reader;
use crate::last;
use crate::output::{PutResult, Writer, is_closed, needs_headers, report_all_down, report_idle};

/// How often an idle loop looks at signals and at the pipe.
const IDLE_MS: i32 = 100;

/// Reads until the end, the count, a signal or a closed pipe.
pub(crate) fn run(config: &Consume) -> anyhow::Result<Exit> {
    let signals = Signals::catch()?;
    if let Some(count) = config.last {
        return last::run(config, count, &signals);
    }
    let request = read_request(config);
    let mut options = config.options.clone();
    let engine = config.engine;
    engine.tune(&mut options, &request);
    let client = Client::new(&options, Role::Consumer)?;
    let interrupted = || signals.caught().is_some();
    let reader = match engine.start(&client, &options, &request, &interrupted) {
        Err(_) if interrupted() => return Ok(signals.end_of_reader()),
        other => other?,
    };
    let limit = SilenceLimit::give_up(config.give_up);
    let contact = match ContactWatch::new(&client, &request, limit, &interrupted) {
        Err(_) if interrupted() => return Ok(signals.end_of_reader()),
        other => other?,
    };
    let writer = Writer::new(&config.output)?;
    let quiet = options.verbosity < 0;
    let progress = Progress::new(
        !quiet && !writer.out().is_terminal(),
        config.count.or(reader.expected_records()),
    );
    let mut run = ConsumeLoop {
        signals: &signals,
        writer,
        progress,
        left: config.count.unwrap_or(u64::MAX),
        quiet,
        keeps_trying: config.output.keep_trying,
        all_brokers_down: false,
        client: &client,
        contact,
        has_failed: false,
        unreadable: Vec::new(),
        idle: config.idle,
        last_record_at: Instant::now(),
    };
    let result = run.read_all(reader);
    drop(run.progress);
    run.writer.report_oddities(quiet);
    messages(&run.unreadable, MAX_NAMED);
    result.map(|()| {
        if run.has_failed || !run.unreadable.is_empty() {
            Exit::Failed
        } else {
            match run.writer.exit() {
                Exit::Done => signals.end_of_reader(),
                failed => failed,
            }
        }
    })
}

pub(crate) fn read_request(config: &Consume) -> ReadRequest {
    let options = &config.options;
    ReadRequest {
        topics: config.topics.clone(),
        partition: config.partition,
        key_partition: config.key_partition.clone(),
        start: config.range.start.unwrap_or(Start::Beginning),
        stop_time_ms: config.range.stop_time_ms,
        stop_at_end: config.exit_at_end,
        isolation: Isolation::of(options),
        wants_headers: needs_headers(&config.output),
    }
}

struct ConsumeLoop<'a> {
    signals: &'a Signals,
    writer: Writer,
    progress: Progress,
    /// Records still to be written; `-c`.
    left: u64,
    quiet: bool,
    keeps_trying: bool,
    /// Whether "all brokers are down" was reported.
    all_brokers_down: bool,
    client: &'a Client,
    contact: ContactWatch<'a>,
    /// `-E`: whether an error was skipped.
    has_failed: bool,
    /// Partitions without a record at their position. The others are read to their ends before the program fails.
    unreadable: Vec<ConsumeError>,
    idle: Option<Duration>,
    last_record_at: Instant,
}

impl ConsumeLoop<'_> {
    fn read_all(&mut self, mut reader: Reader<'_>) -> anyhow::Result<()> {
        let mut timeout_ms = 0;
        let mut written = 0;
        while self.left > 0 && !reader.is_done() && self.signals.caught().is_none() {
            let Some(items) = self.read(&mut reader, timeout_ms)? else {
                break;
            };
            self.all_brokers_down &= items == 0;
            self.progress
                .update(self.writer.written(), self.writer.out().total_bytes());
            timeout_ms = 0;
            if written != self.writer.written() {
                written = self.writer.written();
                self.last_record_at = Instant::now();
            }
            if self.is_idle_timeout()? {
                break;
            }
            if items == 0 {
                self.writer.flush(self.signals)?;
                if !self.writer.out().has_reader() {
                    break;
                }
                if !self.unreadable.is_empty() && reader.was_at_ends() {
                    break;
                }
                self.check_brokers();
                timeout_ms = IDLE_MS;
            }
            let checked = self.contact.check(&|| self.signals.caught().is_some());
            if checked.is_err() {
                self.writer.flush(self.signals)?;
            }
            checked?;
        }
        self.writer.flush(self.signals)?;
        Ok(())
    }

    /// Whether no record arrived for the time of `--idle`; an error if all brokers are down.
    fn is_idle_timeout(&self) -> anyhow::Result<bool> {
        let Some(idle) = self
            .idle
            .filter(|idle| self.last_record_at.elapsed() >= *idle)
        else {
            return Ok(false);
        };
        report_idle(idle, self.all_brokers_down, self.quiet)?;
        Ok(true)
    }

    /// Writes what has arrived; `None` means that the pipe is closed.
    fn read(&mut self, reader: &mut Reader<'_>, timeout_ms: i32) -> anyhow::Result<Option<usize>> {
        let mut visitor = RecordWriter {
            run: self,
            failed: None,
        };
        let arrived = reader.read(timeout_ms, &mut visitor);
        let failed = visitor.failed;
        match failed {
            Some(error) if is_closed(&error) => Ok(None),
            Some(error) => {
                self.writer.flush(self.signals)?;
                Err(error)
            }
            None => match arrived {
                Ok(items) => Ok(Some(items)),
                Err(error) if self.keeps_trying => {
                    message(&error);
                    self.has_failed = true;
                    Ok(Some(1))
                }
                Err(error) if error.is_of_position() => {
                    self.unreadable.push(error);
                    Ok(Some(0))
                }
                Err(error) => {
                    self.writer.flush(self.signals)?;
                    Err(error.into())
                }
            },
        }
    }

    fn write(&mut self, record: &Record<'_>) -> anyhow::Result<()> {
        if self.writer.put(record)? == PutResult::OtherKey {
            return Ok(());
        }
        self.writer.flush_if_due(self.signals)?;
        self.left -= 1;
        Ok(())
    }

    fn report_end(&mut self, topic: &str, partition: i32, offset: i64) -> anyhow::Result<()> {
        if !self.quiet {
            self.writer.flush(self.signals)?;
            message(format_args!(
                "reached the end of {topic} [{partition}] at offset {offset}"
            ));
        }
        Ok(())
    }

    /// Reports once that all brokers are down; the run goes on.
    fn check_brokers(&mut self) {
        if self.client.trouble().is_some()
            && !self.all_brokers_down
            && self.client.all_brokers_down()
        {
            self.all_brokers_down = true;
            let cause = self.client.cause();
            report_all_down(cause.as_deref());
        }
    }
}

/// Writes each record that has arrived.
struct RecordWriter<'r, 'a> {
    run: &'r mut ConsumeLoop<'a>,
    failed: Option<anyhow::Error>,
}

impl RecordVisitor for RecordWriter<'_, '_> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    fn values<'v>(
        &mut self,
        _source: ValuesSource<'_>,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
    ) -> usize {
        // The last record, and the one that fills a block, go through `record`, which looks at signals.
        let most = usize::try_from(self.run.left - 1).unwrap_or(usize::MAX);
        let taken = self.run.writer.put_values(values, most);
        self.run.left -= taken as u64;
        taken
    }

    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        let written = self.run.write(record);
        self.flow(written)
    }

    fn end(&mut self, topic: &str, partition: i32, offset: i64) -> ControlFlow<()> {
        let reported = self.run.report_end(topic, partition, offset);
        self.flow(reported)
    }
}

impl RecordWriter<'_, '_> {
    fn flow(&mut self, done: anyhow::Result<()>) -> ControlFlow<()> {
        self.failed = done.err();
        if self.failed.is_some() || self.run.left == 0 {
            return ControlFlow::Break(());
        }
        self.run.signals.flow()
    }
}
