//! `--cat`: the records of a backup to standard output, as `--tsv=all`.

use std::path::Path;

use anyhow::{Context, Result};
use tools::cli::Exit;
use tools::cli::signals::Signals;
use tools::cli::stdout::Out;
use tools::record::{Encoder, Record};

use crate::config::Cat;
use crate::read::segment::format;
use crate::read::{Interrupted, Inventory, ReadProgress, Reader};
use crate::segment::{Codec, Layout};
use crate::store;

/// Writes them all.
pub(crate) fn run(config: &Cat) -> Result<Exit> {
    let signals = Signals::catch()?;
    let mut output = Output::new(config, &signals)?;
    let written = if Path::new(&config.place).is_file() {
        cat_file(config, &mut output)
    } else {
        cat_backup(config, &mut output)
    };
    match written {
        Err(error) if !error.is::<Interrupted>() => return Err(error),
        _ => output.out.flush(&signals)?,
    }
    Ok(signals.caught().map_or(Exit::Done, Exit::Signal))
}

fn cat_backup(config: &Cat, output: &mut Output<'_>) -> Result<()> {
    let selection = &config.selection;
    let store = store::open(&config.place, false)?;
    let places = selection.places(Inventory::list(&*store)?)?;
    if selection.from_ms.is_none() && selection.to_ms.is_none() {
        output.progress.find_end(&*store, &places)?;
    }
    for (place, stored) in &places {
        selection.read(
            &*store,
            place,
            &stored.segments,
            &mut |record, line, layout| output.write(record, line, layout),
        )?;
    }
    Ok(())
}

/// One file of records: a spill, or a segment that was taken out of its backup.
fn cat_file(config: &Cat, output: &mut Output<'_>) -> Result<()> {
    let name = || config.place.clone();
    let (rest, codec) = Codec::split(&config.place);
    let layout = if Path::new(rest).extension().is_some_and(|e| e == "json") {
        Layout::Json
    } else {
        Layout::Tsv
    };
    let file = std::fs::File::open(&config.place).with_context(name)?;
    let records = format(layout).context("a format")?;
    let mut reader = Reader::of_file(Box::new(file), codec, records).with_context(name)?;
    while let Some((record, line)) = reader.next().with_context(name)? {
        let record = record.record();
        if config.selection.wants_time(record.timestamp_ms) {
            output.write(&record, line, layout)?;
        }
    }
    Ok(())
}

struct Output<'a> {
    out: Out,
    encoder: Encoder,
    signals: &'a Signals,
    progress: ReadProgress<'a>,
}

impl<'a> Output<'a> {
    fn new(config: &Cat, signals: &'a Signals) -> Result<Output<'a>> {
        let out = Out::stdout()?;
        let all = format(Layout::Tsv).context("a format")?;
        Ok(Output {
            encoder: Encoder::new(all).for_terminal(out.is_terminal()),
            progress: ReadProgress::new(!config.is_quiet && !out.is_terminal(), signals),
            out,
            signals,
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
        if self.out.is_full() {
            self.out.flush(self.signals)?;
        }
        self.progress.pass(line.len())
    }
}
