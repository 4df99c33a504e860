//! What the command line means, decided once. An option that can't be honoured is a usage error that names it.

#[cfg(test)]
mod pairs;
mod refuse;
mod tee;

use std::collections::BTreeMap;
use std::io::IsTerminal;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap::error::ErrorKind;
use tools::cli::now_ms;
use tools::kafka::Options;
use tools::kafka::options::Source;
use tools::report::Style;

use crate::cli::Cli;
use crate::read::Selection;
use crate::segment::LogId;
use crate::store::{self, Access};
use refuse::{BUCKET, CAT, PRUNE, RESTORE, VERIFY, refuse_unused};
pub(crate) use tee::Tee;

/// librdkafka's own `reconnect.backoff.max.ms`.
const LONGEST_BACKOFF_MS: u128 = 10_000;

#[derive(Debug)]
pub(crate) enum Config {
    Tee(Box<Tee>),
    Verify(Verify),
    Cat(SourceConfig),
    Restore(Box<Restore>),
    Prune(Prune),
}

/// A backup that exists, and what of it is wanted.
#[derive(Debug)]
pub(crate) struct SourceConfig {
    /// A folder or a URL; for `--cat` also a file of records.
    pub(crate) location: String,
    pub(crate) access: Access,
    pub(crate) selection: Selection,
    pub(crate) is_quiet: bool,
}

#[derive(Debug)]
pub(crate) struct Verify {
    pub(crate) source: SourceConfig,
    pub(crate) style: Style,
    pub(crate) accepts: bool,
    pub(crate) quarantines: bool,
}

#[derive(Debug)]
pub(crate) struct Restore {
    pub(crate) source: SourceConfig,
    pub(crate) options: Options,
    pub(crate) force: bool,
    /// New names of topics, by those that they have in the backup.
    pub(crate) renames: BTreeMap<String, String>,
    /// Metadata that was recorded later does not count.
    pub(crate) as_of_ms: Option<i64>,
    pub(crate) groups: bool,
}

#[derive(Debug)]
pub(crate) struct Prune {
    pub(crate) source: SourceConfig,
    /// Segments of older records are removed.
    pub(crate) before_ms: i64,
}

/// Parses the command line of this process and settles what it means.
pub(crate) fn from_command_line() -> Result<Config> {
    validate(&tools::cli::parse::<Cli>()?)
}

/// A usage error, as clap words and ends them.
fn usage(text: impl std::fmt::Display) -> anyhow::Error {
    Cli::command()
        .error(ErrorKind::ArgumentConflict, text)
        .into()
}

fn validate(cli: &Cli) -> Result<Config> {
    if cli.connection.wants_listing().is_some() {
        return Err(usage("-X list and -X dump are kcat-lite's"));
    }
    let (mode, mode_uses) = match cli {
        cli if cli.verify => ("--verify", VERIFY),
        cli if cli.restore => ("--restore", RESTORE),
        cli if cli.prune.is_some() => ("--prune", PRUNE),
        cli if cli.cat => ("--cat", CAT),
        _ => return tee::tee(cli).map(|tee| Config::Tee(Box::new(tee))),
    };
    let [location] = &cli.operands[..] else {
        return Err(usage(format_args!(
            "{mode} reads one backup, its only operand: a folder or a URL"
        )));
    };
    let location = location.to_str().filter(|location| !location.is_empty());
    let location = location.with_context(|| format!("{mode}: the name is not UTF-8"))?;
    refuse_password(location)?;
    let bucket = if store::is_bucket(location) {
        BUCKET
    } else {
        0
    };
    refuse_unused(cli, mode_uses | bucket, Some(mode))?;
    let (selection, renames) = selection(cli)?;
    let source = SourceConfig {
        location: location.to_owned(),
        access: Access {
            retry_for: cli.delivery_timeout,
            ..Access::default()
        },
        selection,
        is_quiet: cli.connection.quiet,
    };
    Ok(match cli.prune {
        _ if cli.verify => Config::Verify(Verify {
            source,
            style: cli.report.style(std::io::stdout().is_terminal()),
            accepts: cli.accept,
            quarantines: cli.quarantine,
        }),
        _ if cli.restore => Config::Restore(Box::new(Restore {
            source,
            options: options(cli)?,
            force: cli.force,
            renames,
            as_of_ms: cli.as_of,
            groups: cli.groups,
        })),
        Some(age) => Config::Prune(Prune {
            source,
            before_ms: now_ms().saturating_sub(age.as_millis() as i64),
        }),
        None => Config::Cat(source),
    })
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
fn selection(cli: &Cli) -> Result<(Selection, BTreeMap<String, String>)> {
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
