//! Options that nothing on a command line would obey: each is a usage error that names it.

use std::time::Duration;

use anyhow::Result;

use super::usage;
use crate::cli::{Cli, OnError};
use crate::store;

/// Options of copying, which nothing obeys when a backup is read.
pub(super) fn refuse_what_copies(cli: &Cli, mode: &str) -> Result<()> {
    let given = [
        ("--on-error", cli.on_error == OnError::Stop),
        ("--output-error", cli.output_error.is_some()),
        ("-i", cli.ignore_interrupts),
        ("--ack", cli.ack.is_some()),
        ("--spill", cli.spill.is_some()),
    ];
    let cluster = for_clusters(cli);
    let cluster = cluster.iter().filter(|_| !cli.restore);
    let name = first(given.iter().chain(&for_records(cli)).chain(cluster));
    if let Some(name) = name {
        return Err(usage(format_args!("{name} can't be used with {mode}")));
    }
    if cli.settings || (cli.groups && !cli.restore) {
        return Err(usage(format_args!(
            "--settings and --groups can't be used with {mode}"
        )));
    }
    refuse_what_does_not_fit(cli, false, cli.restore, false)
}

type Given = (&'static str, bool);

fn first<'a>(mut options: impl Iterator<Item = &'a Given>) -> Option<&'static str> {
    options
        .find(|(_, is_given)| *is_given)
        .map(|(name, _)| *name)
}

/// What says how records look.
fn for_records(cli: &Cli) -> [Given; 8] {
    let format = &cli.format;
    [
        ("--tsv", format.tsv.is_some()),
        ("-J", format.json),
        ("-f", format.template.is_some()),
        ("-K", format.key_delimiter.is_some()),
        ("-D", format.delimiter.is_some()),
        ("-Z", format.null_empty),
        ("--bytes", format.bytes.is_some()),
        ("--utf8", format.utf8.is_some()),
    ]
}

/// What says how a cluster is reached; `-m 5` changes nothing.
fn for_clusters(cli: &Cli) -> [Given; 6] {
    let connection = &cli.connection;
    [
        ("-b", connection.brokers.is_some()),
        ("-X", !connection.properties.is_empty()),
        ("-F", !connection.config_files.is_empty()),
        ("-d", connection.debug.is_some()),
        ("-m", connection.timeout != Duration::from_secs(5)),
        ("-v", connection.verbose > 0),
    ]
}

/// Options that belong to one mode. clap drops a `requires` where another option conflicts with what is required.
pub(super) fn refuse_without_its_mode(cli: &Cli) -> Result<()> {
    let verify = [("--accept", cli.accept), ("--quarantine", cli.quarantine)];
    let restore = [("--force", cli.force), ("--as-of", cli.as_of.is_some())];
    for (options, is_mode, mode) in [
        (verify, cli.verify, "--verify"),
        (restore, cli.restore, "--restore"),
    ] {
        if let Some(name) = first(options.iter()).filter(|_| !is_mode) {
            return Err(usage(format_args!("{name} is for {mode}")));
        }
    }
    Ok(())
}

/// Options of reading a backup, which nothing obeys when the input is copied.
pub(super) fn refuse_what_reads(cli: &Cli) -> Result<()> {
    let reads = [
        ("-p", !cli.partitions.is_empty()),
        ("--from", cli.from.is_some()),
        ("--to", cli.to.is_some()),
    ];
    match reads.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((name, _)) => Err(usage(format_args!(
            "{name} is for --verify, --cat or --restore"
        ))),
    }
}

/// Options that nothing on this command line would obey.
pub(super) fn refuse_what_does_not_fit(
    cli: &Cli,
    has_files: bool,
    has_topics: bool,
    has_backups: bool,
) -> Result<()> {
    let for_backups = [
        ("--single-writer", cli.single_writer),
        ("--segment-format", cli.segment_format.is_some()),
        ("--compress", cli.compress.is_some()),
        ("--segment-bytes", cli.segment_bytes.is_some()),
        ("--segment-records", cli.segment_records.is_some()),
        ("--max-delay", cli.max_delay.is_some()),
        ("--buffer", cli.buffer.is_some()),
        ("--expire-after", cli.expire_after.is_some()),
        ("--settings", cli.settings),
        ("--groups", cli.groups && !cli.restore),
    ];
    if cli.spill.is_some() && !has_topics {
        return Err(usage("--spill is for kafka:TOPIC"));
    }
    if let Some(name) = first(for_backups.iter()).filter(|_| !has_backups) {
        return Err(usage(format_args!(
            "{name} is for a backup: a folder or a URL"
        )));
    }
    let has_bucket = cli
        .operands
        .iter()
        .any(|operand| operand.to_str().is_some_and(store::is_bucket));
    if cli.delivery_timeout.is_some() && !has_topics && !has_bucket {
        return Err(usage(
            "--delivery-timeout is for kafka:TOPIC and object stores",
        ));
    }
    if cli.single_writer && !has_bucket {
        return Err(usage("--single-writer is for object stores"));
    }
    if cli.append && !has_files {
        return Err(usage("-a is for files"));
    }
    Ok(())
}

/// What nothing obeys where the input is copied to places that take no records, or that need no cluster.
pub(super) fn refuse_without_records(
    cli: &Cli,
    has_topics: bool,
    has_backups: bool,
    has_positions: bool,
) -> Result<()> {
    if let Some(name) = first(for_records(cli).iter()).filter(|_| !has_topics && !has_backups) {
        return Err(usage(format_args!("{name} is for kafka:TOPIC or a backup")));
    }
    if cli.format.null_empty && !has_topics {
        return Err(usage("-Z is for kafka:TOPIC"));
    }
    let needs_cluster = has_topics || (has_backups && has_positions);
    if let Some(name) = first(for_clusters(cli).iter()).filter(|_| !needs_cluster) {
        return Err(usage(format_args!(
            "{name} is for kafka:TOPIC, or a backup of records with their topics: --tsv=all or -J"
        )));
    }
    Ok(())
}
