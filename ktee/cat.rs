//! `--cat`: the records of a backup to standard output, as `--tsv=all`.
//!
//! Everything that is there and can be read is written; what is missing or
//! damaged is named on standard error.

use std::path::Path;

use anyhow::{Context, Result};
use tools::cli::signals::Signals;
use tools::cli::stdout::Out;
use tools::cli::{Exit, message};
use tools::record::{Encoder, Record};

use crate::config::SourceConfig;
use crate::read::merge::Damage;
use crate::read::segment::format;
use crate::read::select::RecordStats;
use crate::read::{Inventory, ReadProgress, Reader, StoredLog};
use crate::segment::{Codec, Layout, LogId};
use crate::store;
use crate::verify;

pub(crate) fn run(config: &SourceConfig) -> Result<Exit> {
    let signals = Signals::catch()?;
    let mut output = Output::new(config, &signals)?;
    let written = if Path::new(&config.location).is_file() {
        cat_file(config, &mut output)
    } else {
        cat_backup(config, &mut output)
    };
    // What was read before an error is good.
    output.out.flush(&signals)?;
    match (written, signals.caught()) {
        (Ok(_), Some(signal)) => Ok(Exit::Signal(signal)),
        (written, _) => written,
    }
}

fn cat_backup(config: &SourceConfig, output: &mut Output<'_>) -> Result<Exit> {
    let selection = &config.selection;
    let store = store::open(&config.location, &config.access)?;
    let inventory = Inventory::list(&*store)?;
    let logs = selection.logs(&inventory)?;
    if logs.is_empty() {
        message(format_args!("{}: there is no segment", config.location));
        return Ok(Exit::No);
    }
    if !selection.has_range() {
        output.progress.find_end(&*store, &logs)?;
    }
    let mut all = RecordStats::default();
    let mut is_whole = true;
    let mut is_damaged = false;
    for (log, listed) in &logs {
        let stored = StoredLog::load(&*store, log, listed)?;
        selection.may_want(&stored, &mut all);
        selection.read(
            &*store,
            &stored,
            &mut |record, line, layout| output.write(record, line, layout),
            &mut |damage| {
                is_damaged = true;
                report_damage(&damage);
                Ok(())
            },
        )?;
        output.out.flush(output.signals)?;
        let holes = verify::check(&stored, &inventory).missing;
        is_whole &= holes.is_empty();
        report_holes(log, &holes);
    }
    Ok(match (is_damaged, is_whole) {
        (true, _) => Exit::Failed,
        (false, false) => Exit::No,
        (false, true) => output.exit(config, all),
    })
}

/// Names what of a segment can't be read.
pub(crate) fn report_damage(damage: &Damage) {
    let missing = match damage.missing {
        None => String::new(),
        Some((first, Some(last))) => format!("; offsets {first} to {last} of it can't be read"),
        Some((first, None)) => format!("; offsets from {first} on of it can't be read"),
    };
    message(format_args!("{:#}{missing}", damage.error));
}

/// Names the ranges of offsets that are missing in a log.
pub(crate) fn report_holes(log: &LogId, holes: &[(i64, i64)]) {
    let what = match log {
        LogId::Lines => "segments",
        LogId::Partition(..) => "offsets",
    };
    for (first, last) in holes {
        message(format_args!("{log}: {what} {first} to {last} are missing"));
    }
}

/// One file of records: a spill, or a segment that was taken out of its backup.
fn cat_file(config: &SourceConfig, output: &mut Output<'_>) -> Result<Exit> {
    let name = || config.location.clone();
    let (rest, codec) = Codec::split(&config.location);
    let layout = if Path::new(rest).extension().is_some_and(|e| e == "json") {
        Layout::Json
    } else {
        Layout::Tsv
    };
    let file = std::fs::File::open(&config.location).with_context(name)?;
    let mut reader = Reader::of_file(Box::new(file), codec, format(layout)).with_context(name)?;
    let mut all = RecordStats::default();
    while let Some((record, line)) = reader.next().with_context(name)? {
        let record = record.record();
        all.add(1, record.timestamp_ms.map(|ms| (ms, ms)));
        if config.selection.wants_time(record.timestamp_ms) {
            output.write(&record, line, layout)?;
        }
    }
    Ok(output.exit(config, all))
}

struct Output<'a> {
    out: Out,
    encoder: Encoder,
    signals: &'a Signals,
    progress: ReadProgress<'a>,
    written: u64,
}

impl<'a> Output<'a> {
    fn new(config: &SourceConfig, signals: &'a Signals) -> Result<Output<'a>> {
        let out = Out::stdout()?;
        let all = format(Layout::Tsv).context("a format")?;
        Ok(Output {
            encoder: Encoder::new(all).for_terminal(out.is_terminal()),
            progress: ReadProgress::new(!config.is_quiet && !out.is_terminal(), signals),
            out,
            signals,
            written: 0,
        })
    }

    fn write(&mut self, record: &Record<'_>, line: &[u8], layout: Layout) -> Result<()> {
        let is_ready = match layout {
            // A line of the segment is a line of the output.
            Layout::Tsv => !self.out.is_terminal(),
            Layout::Text => true,
            Layout::Json => false,
        };
        if is_ready {
            self.out.buffer().extend_from_slice(line);
        } else {
            self.encoder.encode(record, self.out.buffer())?;
        }
        self.written += 1;
        if self.out.is_full() {
            self.out.flush(self.signals)?;
        }
        self.progress.pass(line.len())
    }

    /// 1 where none of the records that there are has the time that was asked for.
    fn exit(&self, config: &SourceConfig, all: RecordStats) -> Exit {
        if self.written > 0 || !config.selection.has_range() {
            return Exit::Done;
        }
        message(format_args!("{}: {all}", config.location));
        Exit::No
    }
}
