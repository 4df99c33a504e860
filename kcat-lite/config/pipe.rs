//! What the options of pipes that lose nothing mean.

use std::time::Duration;

use super::facts::{Delivery, Exec};
use super::usage;
use crate::cli::Cli;

/// `--batch` of `--exec`.
const EXEC_BATCH: u64 = 10_000;
/// `--batch-bytes`.
const BATCH_BYTES: u64 = 64 * 1024 * 1024;
/// `--batch-wait`.
const BATCH_WAIT: Duration = Duration::from_secs(1);

/// How `-G` hands records on.
pub(super) fn delivery(cli: &Cli) -> anyhow::Result<Delivery> {
    let pipe = &cli.pipe;
    let Some(command) = &pipe.exec else {
        return Ok(Delivery::Stdout);
    };
    refuse_with("--exec", &[("-u", cli.unbuffered), ("-E", cli.keep_trying)])?;
    Ok(Delivery::Exec(Exec {
        command: command.clone(),
        batch_records: pipe.batch.unwrap_or(EXEC_BATCH),
        batch_bytes: pipe.batch_bytes.unwrap_or(BATCH_BYTES),
        batch_wait: pipe.batch_wait.unwrap_or(BATCH_WAIT),
        retries: pipe.retry.unwrap_or(0),
        parallel: pipe.parallel.unwrap_or(1) as usize,
    }))
}

/// An option that can't be honoured beside another is an error that names both.
fn refuse_with(option: &str, others: &[(&str, bool)]) -> anyhow::Result<()> {
    match others.iter().find(|(_, is_given)| *is_given) {
        Some((other, _)) => Err(usage(format_args!("{other} does not go with {option}"))),
        None => Ok(()),
    }
}
