//! `-P --ack`: delivers lines with positions and acknowledges them to the source of the pipe.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tools::ack::{AckError, AckTracker, Arrival, DeliveryTag, ReceivedLine, Sink, SinkKind};
use tools::cli::stdin::{Filled, Input};
use tools::cli::{Exit, message};
use tools::kafka::client::ContactError;
use tools::record::{Decoded, Decoder};
use tools::units::count;

use super::Sender;
use super::transactions::Transaction;
use crate::config::{self, AckInput};

/// How long to block on an idle input while records are in flight.
const BUSY_MS: u64 = 2;
/// The most lines that are received and not durable, which bounds memory if the source sets no limit.
const MAX_OPEN: usize = 2_000_000;

/// Sends what comes from the source until it ends or a program of the pipe dies.
pub(super) fn run(
    sender: Sender,
    config: &config::Produce,
    ack_input: &AckInput,
) -> anyhow::Result<Exit> {
    let kind = match &ack_input.transactions {
        Some(_) => SinkKind::Transactional,
        None => SinkKind::Plain,
    };
    let interrupted = || sender.signals.caught().is_some();
    let wait = config.options.first_contact;
    let sink = Sink::connect(&ack_input.path, kind, ack_input.shape, wait, &interrupted);
    let sink = match sink {
        Err(AckError::Interrupted) => {
            return Ok(sender.signals.caught().map_or(Exit::Failed, Exit::Signal));
        }
        other => other?,
    };
    let ack_sink = AckSink {
        decoder: sender.decoder(&config.format)?,
        transaction: ack_input.transactions.as_ref().map(Transaction::new),
        sender,
        sink: Some(sink),
        tracker: AckTracker::default(),
    };
    ack_sink.run()
}

/// The sink of an `--ack` pipe that produces to Kafka.
pub(super) struct AckSink {
    pub(super) sender: Sender,
    /// Taken at the end.
    pub(super) sink: Option<Sink>,
    pub(super) tracker: AckTracker,
    decoder: Decoder,
    pub(super) transaction: Option<Transaction>,
}

/// How the input ended.
enum InputEnd {
    /// The input ended, with the source's end mark or without; `true` if no torn line is left.
    Input(bool),
    Signal(i32),
}

impl AckSink {
    fn run(mut self) -> anyhow::Result<Exit> {
        let result = self.prepare().and_then(|()| self.read());
        self.finish(result)
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        self.sender.contact()?;
        if self.transaction.is_some() {
            let taken = self.sender.producer.init_transactions();
            taken.context("cannot take the transactional.id")?;
        } else {
            self.sender.producer.keep_delivered();
        }
        Ok(())
    }

    pub(super) fn sink(&mut self) -> &mut Sink {
        self.sink.as_mut().expect("the sink is there until the end")
    }

    fn read(&mut self) -> anyhow::Result<InputEnd> {
        let mut input = Input::open(Path::new("-"))?;
        let mut buffer = Vec::new();
        loop {
            let arrival = match self.fill(&mut input, &mut buffer)? {
                Filled::Bytes(_) => Arrival::More,
                Filled::Idle => Arrival::Idle,
                Filled::End => Arrival::End,
                Filled::Signal => {
                    let signal = self.sender.signals.caught().unwrap_or_default();
                    return Ok(InputEnd::Signal(signal));
                }
            };
            self.sink().poll(arrival)?;
            let mut used = 0;
            if let Err(error) = self.process(&buffer, &mut used) {
                self.start_over(error)?;
            }
            buffer.drain(..used);
            if arrival == Arrival::End {
                return Ok(InputEnd::Input(buffer.is_empty()));
            }
        }
    }

    fn process(&mut self, buffer: &[u8], used: &mut usize) -> anyhow::Result<()> {
        self.release()?;
        while let Some(line) = self.sink().next(buffer, used)? {
            self.send_line(line)?;
        }
        let is_complete = self.sink().is_complete(&buffer[*used..]);
        self.serve(is_complete)
    }

    fn fill(&mut self, input: &mut Input, buffer: &mut Vec<u8>) -> std::io::Result<Filled> {
        let is_busy = self.sender.producer.in_flight() > 0 || self.tracker.open() > 0;
        let idle_ms = match &self.transaction {
            None if is_busy => BUSY_MS,
            _ => self.sink().idle_ms(),
        };
        if self.tracker.open() >= MAX_OPEN {
            std::thread::sleep(Duration::from_millis(BUSY_MS));
            return Ok(Filled::Idle);
        }
        input.fill(buffer, &self.sender.signals, idle_ms)
    }

    /// Drops the streams that the source released: their new owner receives them again.
    fn release(&mut self) -> anyhow::Result<()> {
        let released = self.sink().take_released();
        self.abort_released_transaction(&released)?;
        for stream in released {
            self.tracker.release(stream);
        }
        Ok(())
    }

    fn send_line(&mut self, line: ReceivedLine<'_>) -> anyhow::Result<()> {
        if self.transaction.is_some() {
            self.add_line(&line)?;
        }
        let tag = self.tracker.receive(line.stream, line.offset);
        let Some(bytes) = line.record else {
            // A position alone: the record was dropped on purpose.
            if self.transaction.is_none() {
                self.tracker.ack(tag);
            }
            return Ok(());
        };
        let position = || String::from_utf8_lossy(line.position).into_owned();
        match self.decoder.decode(&bytes, false).with_context(position)? {
            Decoded::Record { record, used } if used == bytes.len() => {
                self.sender.send(&record.record(), used, tag.0)
            }
            _ => anyhow::bail!("{}: more or less than one record", position()),
        }
    }

    /// Polls delivery reports, acknowledges, commits what is due.
    fn serve(&mut self, is_complete: bool) -> anyhow::Result<()> {
        self.sender.producer.poll(0);
        let (accepted, bytes) = (self.sender.producer.totals().accepted, self.sender.bytes);
        self.sender.progress.update(accepted, bytes);
        self.sender.check_failures()?;
        self.sender.check_fatal()?;
        if self.transaction.is_some() {
            return self.commit_if_due(is_complete);
        }
        self.acknowledge(is_complete);
        Ok(())
    }

    /// Acknowledges what was delivered.
    fn acknowledge(&mut self, is_complete: bool) {
        let tracker = &mut self.tracker;
        let mut ack = |number| tracker.ack(DeliveryTag(number));
        self.sender.producer.take_delivered(&mut ack);
        let durable = self.tracker.durable(is_complete);
        let is_holding = self.sender.producer.in_flight() > 0;
        let sink = self.sink();
        sink.acknowledge(durable);
        if is_holding {
            sink.keep_alive();
        }
    }

    /// Delivers and acknowledges what was received, or purges it, and disconnects.
    fn finish(mut self, result: anyhow::Result<InputEnd>) -> anyhow::Result<Exit> {
        let is_undeliverable = result.as_ref().is_err_and(is_undeliverable);
        let delivered = if self.transaction.is_some() {
            self.end_transaction(&result)
        } else if is_undeliverable {
            // What is not delivered yet comes again; delivering it now would only add duplicates.
            self.sender.producer.purge();
            Ok(())
        } else {
            self.deliver(result.as_ref().is_ok_and(is_clean))
        };
        let ended = match (result, delivered) {
            (Ok(ended), Ok(())) => self.disconnect(&ended),
            (Ok(_), Err(error)) | (Err(error), _) => Err(error),
        };
        let totals = self.sender.producer.totals();
        drop(self.sender.progress);
        if ended.is_err() || self.sender.is_verbose {
            let (accepted, delivered) = (totals.accepted, totals.delivered);
            message(format_args!(
                "{} accepted, {delivered} delivered",
                count(accepted, "record")
            ));
        }
        ended
    }

    /// Waits for all delivery reports and acknowledges what they confirm.
    fn deliver(&mut self, is_complete: bool) -> anyhow::Result<()> {
        let mut sink = self.sink.take();
        let mut waiting = |_| {
            // Keep the source waiting while this sink waits for the cluster.
            if let Some(sink) = &mut sink {
                sink.keep_alive();
            }
            true
        };
        self.sender.producer.finish(&mut waiting);
        self.sink = sink;
        self.acknowledge(is_complete);
        self.sender.check_failures()
    }

    fn disconnect(&mut self, ended: &InputEnd) -> anyhow::Result<Exit> {
        let signals = &self.sender.signals;
        match *ended {
            InputEnd::Signal(signal) => Ok(Exit::Signal(signal)),
            InputEnd::Input(is_whole) => {
                let sink = self.sink.take().expect("disconnected once");
                let interrupted = || signals.caught().is_some();
                match sink.finish(is_whole && self.tracker.open() == 0, &interrupted) {
                    Err(AckError::Interrupted) => {
                        Ok(signals.caught().map_or(Exit::Failed, Exit::Signal))
                    }
                    Err(error) => Err(error.into()),
                    Ok(()) => Ok(Exit::Done),
                }
            }
        }
    }

    fn end_transaction(&mut self, result: &anyhow::Result<InputEnd>) -> anyhow::Result<()> {
        let has_ended = self.sink.as_ref().is_some_and(Sink::has_ended);
        if has_ended && result.as_ref().is_ok_and(is_clean) {
            return self.commit_transaction();
        }
        self.abort_transaction();
        Ok(())
    }
}

impl Sender {
    /// Fails once a record was not delivered.
    pub(super) fn check_failures(&self) -> anyhow::Result<()> {
        let failed = self.producer.totals().failed - self.sent_again;
        if failed == 0 {
            return Ok(());
        }
        let failures = self.producer.failures();
        let first = failures
            .first()
            .map(|failure| format!(" ({}: {})", failure.topic, failure.error));
        bail!(
            "{} not delivered{}; the pipe ends, and what was not acknowledged comes again",
            count(failed, "record"),
            first.unwrap_or_default()
        )
    }
}

fn is_clean(ended: &InputEnd) -> bool {
    matches!(ended, InputEnd::Input(true))
}

/// Whether the source or the cluster is gone.
fn is_undeliverable(error: &anyhow::Error) -> bool {
    let is_source_gone = matches!(error.downcast_ref(), Some(AckError::SourceGone));
    is_source_gone || error.is::<ContactError>()
}
