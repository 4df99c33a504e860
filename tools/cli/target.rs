//! Where a report goes: to standard output as it grows, or to the file of `--write` as a whole.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::exit::Exit;
use super::file;
use super::message::{message, program};
use super::signals::Signals;
use super::stdout::Out;
use super::watch::WatchArgs;
use crate::report::{Format, Style, failure_page};

/// Takes the text of one report.
pub enum Target<'a> {
    Stdout(Out, Format, &'a Signals),
    File(&'a Path, Vec<u8>),
}

impl<'a> Target<'a> {
    fn new(args: &'a WatchArgs, format: Format, signals: &'a Signals) -> Result<Target<'a>> {
        Ok(match &args.write {
            Some(path) => Target::File(path, Vec::new()),
            None => Target::Stdout(Out::stdout()?, format, signals),
        })
    }

    /// Where to append more of the report.
    pub fn text(&mut self) -> &mut Vec<u8> {
        match self {
            Target::Stdout(out, ..) => out.buffer(),
            Target::File(_, text) => text,
        }
    }

    /// Writes what there is, where that can be done before the end.
    pub fn flush_if_full(&mut self) -> Result<()> {
        match self {
            Target::Stdout(out, format, signals) if out.is_full() => {
                Ok(out.flush_report(*format, signals)?)
            }
            Target::Stdout(..) | Target::File(..) => Ok(()),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Target::Stdout(mut out, format, signals) => Ok(out.flush_report(format, signals)?),
            Target::File(path, text) => file::replace(path, &text),
        }
    }
}

/// Takes a snapshot with `take` and reports it once with `write`, which gets the time when that began.
///
/// Where it can't be taken, metrics say so, as `failed_metrics` writes them, and so does a page: who reads the file
/// of `--write` later must not take the last numbers for new ones. The other formats have no place for it.
pub fn report_once<T>(
    args: &WatchArgs,
    style: Style,
    signals: &Signals,
    failed_metrics: impl FnOnce(Instant, &mut Vec<u8>),
    take: impl FnOnce() -> Result<T>,
    write: impl FnOnce(T, Instant, &mut Target<'_>) -> Result<Exit>,
) -> Result<Exit> {
    let started = Instant::now();
    let mut target = Target::new(args, style.format, signals)?;
    let error = match take() {
        Ok(taken) => {
            let exit = write(taken, started, &mut target)?;
            target.finish()?;
            return Ok(exit);
        }
        Err(error) => error,
    };
    let signal = signals.caught();
    let has_place = matches!(style.format, Format::Prometheus | Format::Html);
    if has_place && (signal.is_none() || args.write.is_some()) {
        if style.format == Format::Html {
            *target.text() = failure_page(program(), &format!("{error:#}"));
        } else {
            failed_metrics(started, target.text());
        }
        if let Err(unwritten) = target.finish() {
            message(format_args!("{unwritten:#}"));
        }
    }
    signal.map_or(Err(error), |signal| Ok(Exit::Signal(signal)))
}
