//! What a command line means that copies standard input.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use tools::kafka::Options;
use tools::record::{Decoder, Format};
use tools::units::format_size;

use super::refuse::{refuse_what_does_not_fit, refuse_what_reads, refuse_without_records};
use super::{options, refuse_password, usage};
use crate::cli::{Cli, OnError, OutputError, SegmentFormat};
use crate::metadata::MetadataOptions;
use crate::segment::{Cut, Layout};
use crate::store::{self, Access};
use crate::write::Settings;
use crate::write::settings::has_positions;

/// `--segment-bytes`.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// `--buffer`.
const BUFFER_BYTES: u64 = 64 * 1024 * 1024;
/// The least that `--buffer` can be: two blocks that are compressed as one.
const LEAST_BUFFER_BYTES: u64 = 2 * 1024 * 1024;
/// `--max-delay`.
const MAX_DELAY: Duration = Duration::from_secs(300);

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
    /// Set where there are topics, and where a backup's records come from a cluster that is known.
    pub(crate) options: Option<Options>,
    /// Where records go that topics do not take.
    pub(crate) spill: Option<PathBuf>,
    /// What records look like.
    pub(crate) format: Format,
    /// What a backup records of its topics.
    pub(crate) wanted: MetadataOptions,
    /// Where the source of the pipe listens.
    pub(crate) ack: Option<PathBuf>,
    /// Whether the first failure ends all.
    pub(crate) stops_on_error: bool,
    /// Whether it is a failure when the reader of a pipe leaves.
    pub(crate) pipes_must_stay: bool,
    /// Whether SIGINT ends nothing.
    pub(crate) ignores_interrupts: bool,
    /// Whether lines go into backups as they are, whatever they look like.
    pub(crate) keeps_lines: bool,
    /// Whether only failures are told.
    pub(crate) is_quiet: bool,
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
    refuse_password(text)?;
    Ok(if store::is_place(text) {
        Operand::Backup(text.to_owned())
    } else {
        Operand::File
    })
}

pub(super) fn tee(cli: &Cli) -> Result<Tee> {
    let (mut files, mut backups, mut topics) = (Vec::new(), Vec::new(), Vec::new());
    refuse_what_reads(cli)?;
    for text in &cli.operands {
        match operand(text)? {
            // It gets the stream whether it is named or not.
            Operand::Stdout => {}
            Operand::Topic(topic) => topics.push(topic),
            Operand::Backup(location) => backups.push(location),
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
        check_ack(&format, !(backups.is_empty() && topics.is_empty()))?;
    }
    refuse_without_records(
        cli,
        !topics.is_empty(),
        !backups.is_empty(),
        has_positions(&format),
    )?;
    if let Some(path) = &cli.spill {
        check_spill(path, &files)?;
    }
    if let Some(topic) = cli.topics.iter().find(|topic| topic.contains('=')) {
        return Err(usage(format_args!("-t {topic}: OLD=NEW is for --restore")));
    }
    let wanted = MetadataOptions {
        settings: cli.settings,
        groups: cli.groups,
        topics: cli.topics.clone(),
    };
    let takes_records = has_positions(&format) && !backups.is_empty();
    if wanted != MetadataOptions::default() && !takes_records {
        return Err(usage(
            "-t, --settings and --groups are for a backup of records with their topics: --tsv=all or -J",
        ));
    }
    let options = if !topics.is_empty() || wanted != MetadataOptions::default() {
        Some(options(cli)?)
    } else if !backups.is_empty() && has_positions(&format) {
        // Where logs start is asked for where a cluster is known, and only then.
        let options = cli.connection.options()?;
        options.brokers().is_ok().then_some(options)
    } else {
        None
    };
    Ok(Tee {
        files,
        append: cli.append,
        settings: settings(cli)?,
        backups,
        topics,
        spill: cli.spill.clone(),
        options,
        format,
        wanted,
        ack: cli.ack.clone(),
        stops_on_error: cli.on_error == OnError::Stop
            || matches!(
                cli.output_error,
                Some(OutputError::Exit | OutputError::ExitNopipe)
            ),
        pipes_must_stay: matches!(
            cli.output_error,
            Some(OutputError::Exit | OutputError::Warn)
        ),
        ignores_interrupts: cli.ignore_interrupts,
        keeps_lines: cli.format.delimiter.is_some() || cli.format.key_delimiter.is_some(),
        is_quiet: cli.connection.quiet,
    })
}

fn check_ack(format: &Format, has_places: bool) -> Result<()> {
    if !matches!(format, Format::Tsv(_) | Format::Json(_)) {
        return Err(usage(
            "--ack needs --tsv or -J: each line begins with its position",
        ));
    }
    if !has_places {
        return Err(usage(
            "--ack needs a destination that can acknowledge records: a folder, a URL or kafka:TOPIC",
        ));
    }
    Ok(())
}

/// `--cat` goes by the end of a name, and has to read the file back.
fn check_spill(path: &Path, files: &[OsString]) -> Result<()> {
    if files.iter().any(|file| file == path) {
        return Err(usage("--spill: a copy goes into the same file"));
    }
    let end = path.extension().and_then(OsStr::to_str);
    if let Some(end) = end.filter(|end| ["json", "zst", "gz"].contains(end)) {
        return Err(usage(format_args!(
            "--spill: the file has lines of --tsv=all, and --cat would read something else in .{end}"
        )));
    }
    Ok(())
}

fn settings(cli: &Cli) -> Result<Settings> {
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
        },
        max_delay: cli.max_delay.unwrap_or(MAX_DELAY),
        access: Access {
            for_writing: true,
            single_writer: cli.single_writer,
            retry_for: cli.delivery_timeout,
        },
        buffer_bytes: buffer_bytes as usize,
        expire_after: cli.expire_after,
    })
}
