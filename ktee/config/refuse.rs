//! Options that nothing on a command line would obey: each is a usage error that names it.

use std::time::Duration;

use anyhow::Result;

use super::usage;
use crate::cli::{Cli, OnError};

/// What a command line uses, as a set of bits.
pub(super) type Uses = u16;
pub(super) const COPY: Uses = 1;
pub(super) const FILE: Uses = 1 << 1;
pub(super) const TOPIC: Uses = 1 << 2;
pub(super) const BACKUP: Uses = 1 << 3;
/// A backup of records with their positions, which a cluster can be asked about.
pub(super) const RECORDS: Uses = 1 << 4;
pub(super) const BUCKET: Uses = 1 << 5;
pub(super) const VERIFY: Uses = 1 << 6;
pub(super) const CAT: Uses = 1 << 7;
pub(super) const RESTORE: Uses = 1 << 8;
pub(super) const PRUNE: Uses = 1 << 9;
const READ: Uses = VERIFY | CAT | RESTORE | PRUNE;

const FOR_BACKUP: &str = "a backup: a folder or a URL";
const FOR_RECORDS: &str = "a backup of records with their topics: --tsv=all or -J";
const FOR_FORMAT: &str = "kafka:TOPIC or a backup";
const FOR_CLUSTER: &str =
    "kafka:TOPIC, --restore, or a backup of records with their topics: --tsv=all or -J";

/// Refuses the first option that is given and not for anything that the command line uses.
pub(super) fn refuse_unused(cli: &Cli, uses: Uses, mode: Option<&str>) -> Result<()> {
    let (format, connection) = (&cli.format, &cli.connection);
    #[rustfmt::skip]
    let options = [
        ("--accept", cli.accept, VERIFY, "--verify"),
        ("--quarantine", cli.quarantine, VERIFY, "--verify"),
        ("-o or --header", cli.report.is_given(), VERIFY, "the report of --verify"),
        ("--force", cli.force, RESTORE, "--restore"),
        ("--as-of", cli.as_of.is_some(), RESTORE, "--restore"),
        ("-p", !cli.partitions.is_empty(), READ, "--verify, --prune, --cat or --restore"),
        ("--from", cli.from.is_some(), CAT | RESTORE, "--cat or --restore"),
        ("--to", cli.to.is_some(), CAT | RESTORE, "--cat or --restore"),
        ("-t", !cli.topics.is_empty(), READ | RECORDS, "reading a backup, or for a backup of records with their topics: --tsv=all or -J"),
        ("-a", cli.append, FILE, "files"),
        ("-i", cli.ignore_interrupts, COPY, "copying"),
        ("--on-error", cli.on_error == OnError::Stop, COPY, "copying"),
        ("--output-error", cli.output_error.is_some(), COPY, "copying"),
        ("--ack", cli.ack.is_some(), TOPIC | BACKUP, FOR_FORMAT),
        ("--spill", cli.spill.is_some(), TOPIC, "kafka:TOPIC"),
        ("--delivery-timeout", cli.delivery_timeout.is_some(), TOPIC | BUCKET | RESTORE, "kafka:TOPIC and object stores"),
        ("--single-writer", cli.single_writer, BACKUP, FOR_BACKUP),
        ("--single-writer", cli.single_writer, BUCKET, "object stores"),
        ("--segment-format", cli.segment_format.is_some(), BACKUP, FOR_BACKUP),
        ("--compress", cli.compress.is_some(), BACKUP, FOR_BACKUP),
        ("--segment-bytes", cli.segment_bytes.is_some(), BACKUP, FOR_BACKUP),
        ("--segment-records", cli.segment_records.is_some(), BACKUP, FOR_BACKUP),
        ("--max-delay", cli.max_delay.is_some(), BACKUP, FOR_BACKUP),
        ("--buffer", cli.buffer.is_some(), BACKUP, FOR_BACKUP),
        ("--expire-after", cli.expire_after.is_some(), BACKUP, FOR_BACKUP),
        ("--settings", cli.settings, RECORDS, FOR_RECORDS),
        ("--groups", cli.groups, RECORDS | RESTORE, "--restore, or for a backup of records with their topics: --tsv=all or -J"),
        ("--tsv", format.tsv.is_some(), TOPIC | BACKUP, FOR_FORMAT),
        ("-J", format.json, TOPIC | BACKUP, FOR_FORMAT),
        ("-f", format.template.is_some(), TOPIC, "kafka:TOPIC; --tsv and -J keep everything in a backup"),
        ("-K", format.key_delimiter.is_some(), TOPIC | BACKUP, FOR_FORMAT),
        ("-D", format.delimiter.is_some(), TOPIC | BACKUP, FOR_FORMAT),
        ("-Z", format.null_empty, TOPIC, "kafka:TOPIC"),
        ("--bytes", format.bytes.is_some(), TOPIC | BACKUP, FOR_FORMAT),
        ("--utf8", format.utf8.is_some(), TOPIC | BACKUP, FOR_FORMAT),
        ("-b", connection.brokers.is_some(), TOPIC | RECORDS | RESTORE, FOR_CLUSTER),
        ("-X", !connection.properties.is_empty(), TOPIC | RECORDS | RESTORE, FOR_CLUSTER),
        ("-F", !connection.config_files.is_empty(), TOPIC | RECORDS | RESTORE, FOR_CLUSTER),
        ("-d", connection.debug.is_some(), TOPIC | RECORDS | RESTORE, FOR_CLUSTER),
        // `-m 5` changes nothing.
        ("-m", connection.timeout != Duration::from_secs(5), TOPIC | RECORDS | RESTORE, FOR_CLUSTER),
        ("-v", connection.verbose > 0, TOPIC | RECORDS | RESTORE, FOR_CLUSTER),
    ];
    let unused = options
        .iter()
        .find(|(_, is_given, obeyed_by, _)| *is_given && obeyed_by & uses == 0);
    let Some((name, _, _, purpose)) = unused else {
        return Ok(());
    };
    let not_for = mode.map_or_else(String::new, |mode| format!(", and not for {mode}"));
    Err(usage(format_args!("{name} is for {purpose}{not_for}")))
}
