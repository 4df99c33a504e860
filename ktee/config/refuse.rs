//! Options that nothing on a command line would obey: each is a usage error that names it.

use anyhow::Result;

use super::usage;
use crate::cli::{Cli, OnError};
use crate::store;

/// Options of copying, which nothing obeys when a backup is read.
pub(super) fn refuse_what_copies(cli: &Cli, mode: &str) -> Result<()> {
    let format = &cli.format;
    let given = [
        ("--on-error", cli.on_error == OnError::Stop),
        ("--output-error", cli.output_error.is_some()),
        ("-i", cli.ignore_interrupts),
        ("--ack", cli.ack.is_some()),
        ("--spill", cli.spill.is_some()),
        ("--tsv", format.tsv.is_some()),
        ("-J", format.json),
        ("-f", format.template.is_some()),
        ("-K", format.key_delimiter.is_some()),
        ("-D", format.delimiter.is_some()),
        ("-Z", format.null_empty),
        ("--bytes", format.bytes.is_some()),
        ("--utf8", format.utf8.is_some()),
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

/// Options of reading a backup, which nothing obeys when the input is copied.
pub(super) fn refuse_what_reads(cli: &Cli) -> Result<()> {
    let reads = [
        ("-t", !cli.topics.is_empty()),
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
    let connection = &cli.connection;
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
    let for_clusters = [
        ("-b", connection.brokers.is_some()),
        ("-X", !connection.properties.is_empty()),
        ("-F", !connection.config_files.is_empty()),
        ("-d", connection.debug.is_some()),
    ];
    if cli.spill.is_some() && !has_topics {
        return Err(usage("--spill is for kafka:TOPIC"));
    }
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
    if let Some(name) = given(&for_clusters).filter(|_| !has_topics && !has_backups) {
        return Err(usage(format_args!("{name} is for kafka:TOPIC or a backup")));
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
    if cli.append && !has_files {
        return Err(usage("-a is for files"));
    }
    Ok(())
}
