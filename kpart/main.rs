//! The partition of each record's key: `bytes -> lines -> key -> partition -> label, file, command or count`.

mod cli;
mod config;
mod exec;
mod keys;
mod label;
mod lines;
#[cfg(test)]
mod pairs;
mod sketch;
mod skew;
mod split;
mod template;
mod topic;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use tools::cli::signals::Signals;
use tools::cli::{parse, run};

use cli::Cli;
use config::{Config, Mode, TopicConfig};
use exec::Children;
use keys::KeyReader;
use label::Label;
use lines::Input;
use skew::Skew;
use split::Split;
use topic::TopicMonitor;

fn main() -> ExitCode {
    run("kpart", || {
        let cli = parse::<Cli>()?;
        let signals = Signals::catch()?;
        let topic = TopicConfig::new(&cli)?.map(|topic| TopicMonitor::start(topic, &signals));
        let topic = topic.transpose()?;
        let count = topic.as_ref().map(TopicMonitor::count);
        let config = Config::new(&cli, count, io::stdout().is_terminal())?;
        let input = Input {
            topic,
            paths: &config.inputs,
            keys: KeyReader::new(config.key)?,
            signals: &signals,
        };
        match config.mode {
            Mode::Label(partitioner) => input.write_to(Label::new(partitioner, &signals)?),
            Mode::Split(partitioner, files) => input.write_to(Split::new(partitioner, files)?),
            Mode::Exec(partitioner, command) => {
                input.write_to(Children::start(partitioner, command, &signals)?)
            }
            Mode::Skew(candidates, style) => input.write_to(Skew::new(candidates, style, &signals)),
        }
    })
}
