//! What a command line means that copies standard input.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use tools::kafka::Options;
use tools::record::{Decoder, Format};
use tools::units::format_size;

use super::refuse::{BACKUP, BUCKET, COPY, FILE, RECORDS, TOPIC, refuse_unused};
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

#[derive(Debug)]
pub(crate) struct Tee {
    pub(crate) files: Vec<OsString>,
    pub(crate) append: bool,
    pub(crate) backups: Vec<String>,
    pub(crate) settings: Settings,
    pub(crate) topics: Vec<String>,
    /// Set where there are topics, and where a backup's records come from a cluster that is known.
    pub(crate) options: Option<Options>,
    pub(crate) spill: Option<PathBuf>,
    pub(crate) format: Format,
    pub(crate) metadata: MetadataOptions,
    pub(crate) ack: Option<PathBuf>,
    pub(crate) stops_on_error: bool,
    /// Whether it is a failure when the reader of a pipe leaves.
    pub(crate) pipes_must_stay: bool,
    pub(crate) ignores_interrupts: bool,
    /// Whether backups get lines as they are, even if these look like records.
    pub(crate) keeps_lines: bool,
    pub(crate) is_quiet: bool,
}

pub(super) fn tee(cli: &Cli) -> Result<Tee> {
    let (mut files, mut backups, mut topics) = (Vec::new(), Vec::new(), Vec::new());
    for operand in &cli.operands {
        let Some(text) = operand.to_str() else {
            files.push(operand.clone());
            continue;
        };
        match text.strip_prefix("kafka:") {
            Some("") => return Err(usage("kafka: to which topic? Say kafka:TOPIC")),
            Some(topic) => topics.push(topic.to_owned()),
            None if text.is_empty() => return Err(usage("an empty operand names nothing")),
            // It gets the stream whether it is named or not.
            None if text == "-" => {}
            None if store::is_place(text) => backups.push(text.to_owned()),
            None => files.push(operand.clone()),
        }
    }
    for location in &backups {
        refuse_password(location)?;
    }
    let format = cli.format.format().map_err(usage)?;
    let takes_records = has_positions(&format) && !backups.is_empty();
    let uses = [
        (COPY, true),
        (FILE, !files.is_empty()),
        (TOPIC, !topics.is_empty()),
        (BACKUP, !backups.is_empty()),
        (RECORDS, takes_records),
        (
            BUCKET,
            backups.iter().any(|backup| store::is_bucket(backup)),
        ),
    ];
    let uses = uses.iter().filter(|(_, is_used)| *is_used);
    refuse_unused(cli, uses.map(|(bit, _)| bit).sum(), None)?;
    if !backups.is_empty() && matches!(format, Format::Template(_)) {
        return Err(usage(
            "-f can't be used for a backup; --tsv and -J keep everything",
        ));
    }
    // Alone, a backup gets lines whatever ends the records.
    if let Format::Raw(raw) = &format
        && !backups.is_empty()
        && !topics.is_empty()
        && !raw.delimiter.ends_with(b"\n")
    {
        return Err(usage(
            "-D: with kafka:TOPIC a backup takes records that end with \\n; --tsv and -J keep everything",
        ));
    }
    Decoder::new(format.clone()).map_err(usage)?;
    if cli.ack.is_some() && !matches!(format, Format::Tsv(_) | Format::Json(_)) {
        return Err(usage(
            "--ack needs --tsv or -J: each line begins with its position",
        ));
    }
    if let Some(path) = &cli.spill {
        check_spill(path, &files)?;
    }
    if let Some(topic) = cli.topics.iter().find(|topic| topic.contains('=')) {
        return Err(usage(format_args!("-t {topic}: OLD=NEW is for --restore")));
    }
    let metadata = MetadataOptions {
        settings: cli.settings,
        groups: cli.groups,
        topics: cli.topics.clone(),
    };
    let options = if !topics.is_empty() || metadata != MetadataOptions::default() {
        Some(options(cli)?)
    } else if takes_records {
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
        metadata,
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
        block_bytes: buffer_bytes as usize / 2,
        expire_after: cli.expire_after,
    })
}
