//! What the command line means, settled once. An option that can't be honoured is a usage error that names it.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap::error::ErrorKind;
use tools::kafka::Options;
use tools::kafka::options::Source;
use tools::record::{Decoder, Format};
use tools::report::Style;
use tools::units::format_size;

use crate::cli::{Cli, OnError, SegmentFormat};
use crate::read::Selection;
use crate::recorded::Wanted;
use crate::segment::{Cut, Layout};
use crate::store;
use crate::write::Settings;
use crate::write::backup::has_positions;

/// `--segment-bytes`.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// `--buffer`.
const BUFFER_BYTES: u64 = 64 * 1024 * 1024;
/// The least that `--buffer` can be: two blocks that are compressed as one.
const LEAST_BUFFER_BYTES: u64 = 2 * 1024 * 1024;
/// `--max-delay`.
const MAX_DELAY: Duration = Duration::from_secs(300);

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
}

/// Send the records of a backup to topics.
#[derive(Debug)]
pub(crate) struct Restore {
    /// Where it is.
    pub(crate) place: String,
    /// What of it.
    pub(crate) selection: Selection,
    /// How to reach the cluster.
    pub(crate) options: Options,
    /// Whether a topic may be one that does not keep the records as they are.
    pub(crate) force: bool,
    /// Whether offsets of groups are committed.
    pub(crate) groups: bool,
    /// Whether only failures are told.
    pub(crate) is_quiet: bool,
}

/// Check a backup.
#[derive(Debug)]
pub(crate) struct Verify {
    /// Where it is.
    pub(crate) place: String,
    /// What of it.
    pub(crate) selection: Selection,
    /// How to report.
    pub(crate) style: Style,
}

/// Write the records of a backup.
#[derive(Debug)]
pub(crate) struct Cat {
    /// Where it is, or a file of records.
    pub(crate) place: String,
    /// What of it.
    pub(crate) selection: Selection,
}

/// Copy standard input to standard output and elsewhere.
#[derive(Debug)]
pub(crate) struct Tee {
    /// Files, as they were named.
    pub(crate) files: Vec<std::ffi::OsString>,
    /// Whether files are added to.
    pub(crate) append: bool,
    /// Folders and URLs for segments.
    pub(crate) backups: Vec<String>,
    /// How segments are written.
    pub(crate) settings: Settings,
    /// Topics, and how to reach their cluster.
    pub(crate) topics: Vec<String>,
    /// Set where there are topics.
    pub(crate) options: Option<Options>,
    /// What records look like.
    pub(crate) format: Format,
    /// What a backup records of its topics.
    pub(crate) wanted: Wanted,
    /// Where the source of the pipe listens.
    pub(crate) ack: Option<PathBuf>,
    /// Whether the first failure ends all.
    pub(crate) stops_on_error: bool,
    /// How often totals are told.
    pub(crate) stats: Option<Duration>,
    /// Whether only failures are told.
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
    if !cli.verify && !cli.cat && !cli.restore {
        return tee(cli).map(|tee| Config::Tee(Box::new(tee)));
    }
    let (mode, place) = place_to_read(cli)?;
    refuse_what_copies(cli, mode)?;
    let selection = selection(cli, mode)?;
    Ok(if cli.verify {
        let is_terminal = std::io::stdout().is_terminal();
        let style = cli.report.style(is_terminal);
        Config::Verify(Verify {
            place,
            selection,
            style,
        })
    } else if cli.restore {
        Config::Restore(Box::new(Restore {
            place,
            selection,
            options: options(cli)?,
            force: cli.force,
            groups: cli.groups,
            is_quiet: cli.connection.quiet,
        }))
    } else {
        Config::Cat(Cat { place, selection })
    })
}

/// The mode's name, and its one operand.
fn place_to_read(cli: &Cli) -> Result<(&'static str, String)> {
    let mode = match cli {
        cli if cli.verify => "--verify",
        cli if cli.restore => "--restore",
        _ => "--cat",
    };
    let [place] = &cli.operands[..] else {
        return Err(usage(format_args!(
            "{mode} reads one backup: a folder or a URL"
        )));
    };
    let place = place.to_str().filter(|place| !place.is_empty());
    let place = place.with_context(|| format!("{mode}: the name is not UTF-8"))?;
    Ok((mode, place.to_owned()))
}

fn selection(cli: &Cli, mode: &str) -> Result<Selection> {
    let selection = Selection {
        topics: cli.topics.clone(),
        partitions: cli.partitions.clone(),
        from_ms: cli.from,
        to_ms: cli.to,
    };
    if cli.verify && (cli.from.is_some() || cli.to.is_some()) {
        return Err(usage(format_args!(
            "{mode} reads whole partitions; --from and --to are for --cat and --restore"
        )));
    }
    Ok(selection)
}

/// Options of copying, which nothing obeys when a backup is read.
fn refuse_what_copies(cli: &Cli, mode: &str) -> Result<()> {
    let format = &cli.format;
    let given = [
        ("--on-error", cli.on_error == OnError::Stop),
        ("--stats", cli.stats.is_some()),
        ("--ack", cli.ack.is_some()),
        ("--tsv", format.tsv.is_some()),
        ("-J", format.json),
        ("-f", format.template.is_some()),
        ("-K", format.key_delimiter.is_some()),
        ("-D", format.delimiter.is_some()),
        ("-Z", format.null_empty),
    ];
    if let Some((name, _)) = given.iter().find(|(_, is_given)| *is_given) {
        return Err(usage(format_args!("{name} can't be used with {mode}")));
    }
    if cli.settings || (cli.groups && !cli.restore) {
        return Err(usage(format_args!(
            "--settings and --groups can't be used with {mode}"
        )));
    }
    refuse_what_does_not_fit(cli, false, cli.restore, false)
}

/// Where an operand leads.
enum Operand {
    Stdout,
    Topic(String),
    Backup(String),
    File,
}

fn operand(text: &OsStr) -> Result<Operand> {
    let Some(text) = text.to_str() else {
        return Ok(Operand::File);
    };
    if text == "-" {
        return Ok(Operand::Stdout);
    }
    if let Some(topic) = text.strip_prefix("kafka:") {
        if topic.is_empty() {
            return Err(usage("kafka: to which topic? Say kafka:TOPIC"));
        }
        return Ok(Operand::Topic(topic.to_owned()));
    }
    if text.is_empty() {
        return Err(usage("an empty operand names nothing"));
    }
    Ok(if store::is_place(text) {
        Operand::Backup(text.to_owned())
    } else {
        Operand::File
    })
}

fn tee(cli: &Cli) -> Result<Tee> {
    let (mut files, mut backups, mut topics) = (Vec::new(), Vec::new(), Vec::new());
    let reads = [
        ("-t", !cli.topics.is_empty()),
        ("-p", !cli.partitions.is_empty()),
        ("--from", cli.from.is_some()),
        ("--to", cli.to.is_some()),
    ];
    if let Some((name, _)) = reads.iter().find(|(_, is_given)| *is_given) {
        return Err(usage(format_args!(
            "{name} is for --verify, --cat or --restore"
        )));
    }
    for text in &cli.operands {
        match operand(text)? {
            // It gets the stream whether it is named or not.
            Operand::Stdout => {}
            Operand::Topic(topic) => topics.push(topic),
            Operand::Backup(place) => backups.push(place),
            Operand::File => files.push(text.clone()),
        }
    }
    refuse_what_does_not_fit(
        cli,
        !files.is_empty(),
        !topics.is_empty(),
        !backups.is_empty(),
    )?;
    let format = cli.format.format().map_err(usage)?;
    if !backups.is_empty() && matches!(format, Format::Template(_)) {
        return Err(usage(
            "-f can't be used for a backup; --tsv and -J keep everything",
        ));
    }
    Decoder::new(format.clone()).map_err(usage)?;
    if cli.ack.is_some() {
        if !matches!(format, Format::Tsv(_) | Format::Json(_)) {
            return Err(usage(
                "--ack needs --tsv or -J: each line begins with its position",
            ));
        }
        if backups.is_empty() && topics.is_empty() {
            return Err(usage(
                "--ack needs a place that can answer for records: a folder, a URL or kafka:TOPIC",
            ));
        }
    }
    let wanted = Wanted {
        settings: cli.settings,
        groups: cli.groups,
    };
    if wanted != Wanted::default() && !has_positions(&format) {
        return Err(usage(
            "--settings and --groups are for records with their topics: --tsv=all or -J",
        ));
    }
    let options = if topics.is_empty() && wanted == Wanted::default() {
        None
    } else {
        Some(options(cli)?)
    };
    Ok(Tee {
        files,
        append: cli.append,
        settings: settings(cli)?,
        backups,
        topics,
        options,
        format,
        wanted,
        ack: cli.ack.clone(),
        stops_on_error: cli.on_error == OnError::Stop,
        stats: cli.stats,
        is_quiet: cli.connection.quiet,
    })
}

/// Options that nothing on this command line would obey.
fn refuse_what_does_not_fit(
    cli: &Cli,
    has_files: bool,
    has_topics: bool,
    has_backups: bool,
) -> Result<()> {
    let connection = &cli.connection;
    let for_backups = [
        ("--segment-format", cli.segment_format.is_some()),
        ("--compress", cli.compress.is_some()),
        ("--segment-bytes", cli.segment_bytes.is_some()),
        ("--segment-records", cli.segment_records.is_some()),
        ("--segment-time", cli.segment_time.is_some()),
        ("--max-delay", cli.max_delay.is_some()),
        ("--buffer", cli.buffer.is_some()),
        ("--settings", cli.settings),
        ("--groups", cli.groups && !cli.restore),
    ];
    let for_clusters = [
        ("-b", connection.brokers.is_some()),
        ("-X", !connection.properties.is_empty()),
        ("-F", !connection.config_files.is_empty()),
        ("-d", connection.debug.is_some()),
        ("--delivery-timeout", cli.delivery_timeout.is_some()),
    ];
    let given = |options: &[(&'static str, bool)]| {
        options
            .iter()
            .find(|(_, is_given)| *is_given)
            .map(|(name, _)| *name)
    };
    if let Some(name) = given(&for_backups).filter(|_| !has_backups) {
        return Err(usage(format_args!(
            "{name} is for a backup: a folder or a URL"
        )));
    }
    let asks = has_topics || cli.settings || cli.groups;
    if let Some(name) = given(&for_clusters).filter(|_| !asks) {
        return Err(usage(format_args!("{name} is for kafka:TOPIC")));
    }
    if cli.append && !has_files {
        return Err(usage("-a is for files"));
    }
    Ok(())
}

fn settings(cli: &Cli) -> Result<Settings> {
    let span = cli.segment_time.map(|span| span.as_millis() as i64);
    if span == Some(0) {
        return Err(usage("--segment-time: a span has a length"));
    }
    let buffer_bytes = cli.buffer.unwrap_or(BUFFER_BYTES);
    if buffer_bytes < LEAST_BUFFER_BYTES {
        let least = format_size(LEAST_BUFFER_BYTES);
        return Err(usage(format_args!("--buffer: at least {least} is needed")));
    }
    let bytes = cli.segment_bytes.unwrap_or(SEGMENT_BYTES);
    if bytes == 0 {
        return Err(usage("--segment-bytes: a segment has a size"));
    }
    Ok(Settings {
        layout: match cli.segment_format {
            Some(SegmentFormat::Json) => Layout::Json,
            Some(SegmentFormat::Tsv) | None => Layout::Tsv,
        },
        codec: cli.compress.unwrap_or_default(),
        cut: Cut {
            bytes,
            records: cli.segment_records,
            span_ms: span,
        },
        max_delay: cli.max_delay.unwrap_or(MAX_DELAY),
        buffer_bytes: buffer_bytes as usize,
    })
}

fn options(cli: &Cli) -> Result<Options> {
    let mut options = cli.connection.options()?;
    if let Some(timeout) = cli.delivery_timeout {
        let ms = timeout.as_millis().max(1).to_string();
        let source = Source::Option("--delivery-timeout");
        options
            .set("message.timeout.ms", &ms, &source)
            .map_err(usage)?;
    }
    options.brokers()?;
    Ok(options)
}
