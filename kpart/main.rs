//! Says which partition each record belongs to: `bytes -> lines -> key -> partition -> label, file, command or count`.

mod cli;
mod exec;
mod input;
mod keys;
mod label;
mod lines;
#[cfg(test)]
mod pairs;
mod sketch;
mod skew;
mod split;
mod watch;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use tools::cli::signals::Signals;
use tools::cli::{parse, run};

use cli::{Cli, Config, Mode};
use exec::Children;
use input::Input;
use keys::Keys;
use label::Label;
use skew::Skew;
use split::Split;
use watch::Watch;

fn main() -> ExitCode {
    run("kpart", || {
        let cli = parse::<Cli>()?;
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
