//! What the command line means, settled once. An option that can't be honoured is a usage error that names it.

#[cfg(test)]
mod pairs;
mod refuse;
mod tee;

use std::collections::BTreeMap;
use std::io::IsTerminal;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap::error::ErrorKind;
use tools::kafka::Options;
use tools::kafka::options::Source;
use tools::report::Style;

use crate::cli::{Cli, now_ms};
use crate::read::Selection;
use crate::segment::LogId;
use crate::store::{self, Access};
use refuse::{refuse_what_copies, refuse_without_its_mode};
pub(crate) use tee::Tee;

/// librdkafka's own `reconnect.backoff.max.ms`.
const LONGEST_BACKOFF_MS: u128 = 10_000;

/// What to do.
#[derive(Debug)]
pub(crate) enum Config {
    /// Copy standard input.
    Tee(Box<Tee>),
    /// Check a backup.
    Verify(Verify),
    /// Write the records of a backup.
    Cat(Cat),
    /// Send the records of a backup to topics.
    Restore(Box<Restore>),
    /// Remove old segments.
    Prune(Prune),
}

/// Remove old segments.
#[derive(Debug)]
pub(crate) struct Prune {
    /// Where the backup is.
    pub(crate) location: String,
    /// How it is opened.
    pub(crate) access: Access,
    /// What of it.
    pub(crate) selection: Selection,
    /// Whole segments before this time, milliseconds since 1970.
    pub(crate) before_ms: i64,
    /// Whether only failures are told.
    pub(crate) is_quiet: bool,
}

/// Send the records of a backup to topics.
#[derive(Debug)]
pub(crate) struct Restore {
    /// Where it is.
    pub(crate) location: String,
    /// How it is opened.
    pub(crate) access: Access,
    /// What of it.
    pub(crate) selection: Selection,
    /// How to reach the cluster.
    pub(crate) options: Options,
    /// Whether a topic may be one that does not keep the records as they are.
    pub(crate) force: bool,
    /// New names of topics, by those that they have in the backup.
    pub(crate) renames: BTreeMap<String, String>,
    /// Metadata that was recorded later does not count.
    pub(crate) as_of_ms: Option<i64>,
    /// Whether offsets of groups are committed.
    pub(crate) groups: bool,
    /// Whether only failures are told.
    pub(crate) is_quiet: bool,
}

/// Check a backup.
#[derive(Debug)]
pub(crate) struct Verify {
    /// Where it is.
    pub(crate) location: String,
    /// How it is opened.
    pub(crate) access: Access,
    /// What of it.
    pub(crate) selection: Selection,
    /// How to report.
    pub(crate) style: Style,
    /// Whether what was deleted too early is accepted as lost.
    pub(crate) accepts: bool,
    /// Whether damaged segments are moved aside.
    pub(crate) quarantines: bool,
    /// Whether only what is wrong is told.
    pub(crate) is_quiet: bool,
}

/// Write the records of a backup.
#[derive(Debug)]
pub(crate) struct Cat {
    /// Where it is, or a file of records.
    pub(crate) location: String,
    /// How it is opened.
    pub(crate) access: Access,
    /// What of it.
    pub(crate) selection: Selection,
    /// Whether no progress is shown.
    pub(crate) is_quiet: bool,
}

/// Parses the command line of this process and settles what it means.
pub(crate) fn from_command_line() -> Result<Config> {
    settle(&tools::cli::parse::<Cli>()?)
}

/// A usage error, as clap words and ends them.
fn usage(text: impl std::fmt::Display) -> anyhow::Error {
    Cli::command()
        .error(ErrorKind::ArgumentConflict, text)
        .into()
}

fn settle(cli: &Cli) -> Result<Config> {
    if cli.connection.wants_listing().is_some() {
        return Err(usage("-X list and -X dump are kcat-lite's"));
    }
    if !cli.verify && cli.report.is_given() {
        return Err(usage("-o and --header are for the report of --verify"));
    }
    refuse_without_its_mode(cli)?;
    if !cli.verify && !cli.cat && !cli.restore && cli.prune.is_none() {
        return tee::tee(cli).map(|tee| Config::Tee(Box::new(tee)));
    }
    let (mode, location) = location_to_read(cli)?;
    refuse_what_copies(cli, mode)?;
    let (selection, renames) = selection(cli, mode)?;
    let access = Access {
        retry_for: cli.delivery_timeout,
        ..Access::default()
    };
    Ok(if cli.verify {
        let is_terminal = std::io::stdout().is_terminal();
        let style = cli.report.style(is_terminal);
        Config::Verify(Verify {
            location,
            access,
            selection,
            style,
            accepts: cli.accept,
            quarantines: cli.quarantine,
            is_quiet: cli.connection.quiet,
        })
    } else if let Some(age) = cli.prune {
        Config::Prune(Prune {
            location,
            access,
            selection,
            before_ms: now_ms().saturating_sub(age.as_millis() as i64),
            is_quiet: cli.connection.quiet,
        })
    } else if cli.restore {
        Config::Restore(Box::new(Restore {
            location,
            access,
            selection,
            options: options(cli)?,
            force: cli.force,
            renames,
            as_of_ms: cli.as_of,
            groups: cli.groups,
            is_quiet: cli.connection.quiet,
        }))
    } else {
        Config::Cat(Cat {
            location,
            access,
            selection,
            is_quiet: cli.connection.quiet,
        })
    })
}

/// The mode's name, and its one operand.
fn location_to_read(cli: &Cli) -> Result<(&'static str, String)> {
    let mode = match cli {
        cli if cli.verify => "--verify",
        cli if cli.restore => "--restore",
        cli if cli.prune.is_some() => "--prune",
        _ => "--cat",
    };
    let [location] = &cli.operands[..] else {
        return Err(usage(format_args!(
            "{mode} reads one backup, its only operand: a folder or a URL"
        )));
    };
    let location = location.to_str().filter(|location| !location.is_empty());
    let location = location.with_context(|| format!("{mode}: the name is not UTF-8"))?;
    refuse_password(location)?;
    Ok((mode, location.to_owned()))
}

/// A URL with a password in it would be printed with every message about it.
fn refuse_password(location: &str) -> Result<()> {
    let masked = store::masked(location);
    if masked == location {
        return Ok(());
    }
    Err(usage(format_args!(
        "{masked}: a URL has no user and password here; ktee(1) says where credentials come from"
    )))
}

/// What is wanted, and new names of topics.
fn selection(cli: &Cli, mode: &str) -> Result<(Selection, BTreeMap<String, String>)> {
    let mut topics = Vec::new();
    let mut renames = BTreeMap::new();
    for topic in &cli.topics {
        let Some((old, new)) = topic.split_once('=') else {
            topics.push(topic.clone());
            continue;
        };
        if !cli.restore {
            return Err(usage(format_args!("-t {topic}: OLD=NEW is for --restore")));
        }
        LogId::partition(new, 0).map_err(|why| usage(format_args!("-t {topic}: {why}")))?;
        topics.push(old.to_owned());
        renames.insert(old.to_owned(), new.to_owned());
    }
    let selection = Selection {
        topics,
        partitions: cli.partitions.clone(),
        from_ms: cli.from,
        to_ms: cli.to,
    };
    if (cli.verify || cli.prune.is_some()) && (cli.from.is_some() || cli.to.is_some()) {
        return Err(usage(format_args!(
            "{mode} reads whole partitions; --from and --to are for --cat and --restore"
        )));
    }
    Ok((selection, renames))
}

fn options(cli: &Cli) -> Result<Options> {
    let mut options = cli.connection.options()?;
    if let Some(timeout) = cli.delivery_timeout {
        let ms = timeout.as_millis().max(1).to_string();
        let source = Source::Option("--delivery-timeout");
        options
            .set("message.timeout.ms", &ms, &source)
            .map_err(usage)?;
        // A broker that has come back is looked for before the next records are given up as well.
        let longest_ms = (timeout.as_millis() / 4).clamp(100, LONGEST_BACKOFF_MS);
        options.set_default("reconnect.backoff.max.ms", &longest_ms.to_string());
    }
    options.brokers()?;
    Ok(options)
}
