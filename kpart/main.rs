//! Says which partition each record belongs to: `bytes -> lines -> key -> partition -> label, file, command or count`.

mod cli;
mod exec;
mod keys;
mod label;
mod lines;
mod sketch;
mod skew;
mod split;
mod watch;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tools::cli::signals::Signals;
use tools::cli::{Exit, run};

use cli::{Cli, Config, Mode};
use exec::Children;
use keys::Keys;
use label::Label;
use lines::{Ending, Sink, read_lines};
use skew::Skew;
use split::Split;
use watch::Watch;

fn main() -> ExitCode {
    run("kpart", || {
        let cli = Cli::try_parse()?;
        let signals = Signals::catch()?;
        let watch = cli.topic()?.map(|topic| Watch::start(&topic, &signals));
        let watch = watch.transpose()?;
        let count = watch.as_ref().map(Watch::count);
        let config = Config::new(&cli, count, io::stdout().is_terminal())?;
        let input = Input {
            watch,
            paths: &config.inputs,
            keys: Keys::new(&config.key)?,
            signals: &signals,
        };
        match config.mode {
            Mode::Label(partitioner) => input.pour(Label::new(partitioner, &signals)?),
            Mode::Split(partitioner, pattern) => input.pour(Split::new(partitioner, pattern)?),
            Mode::Exec(partitioner, exec) => {
                input.pour(Children::start(partitioner, &exec, &signals)?)
            }
            Mode::Skew(candidates, style) => input.pour(Skew::new(candidates, style, &signals)),
        }
    })
}

/// Where lines come from.
struct Input<'a> {
    paths: &'a [std::path::PathBuf],
    keys: Keys,
    watch: Option<Watch<'a>>,
    signals: &'a Signals,
}

impl Input<'_> {
    /// Hands every line to `sink`, which is finished even where reading failed: what came before is kept.
    fn pour(mut self, mut sink: impl Sink) -> Result<Exit> {
        let watch = self.watch.as_mut();
        let read = read_lines(self.paths, &mut self.keys, &mut sink, watch, self.signals);
        let whole = matches!(read, Ok(Ending::End));
        let finished = sink.finish(whole);
        let ending = read?;
        finished?;
        Ok(match ending {
            Ending::End | Ending::Enough => Exit::Done,
            Ending::Signal(signal) => Exit::Signal(signal),
        })
    }
}
