//! The options of pipes that lose nothing: --exec, --ack, --txn.

use std::ffi::OsString;
use std::time::Duration;

use tools::ack::Shape;
use tools::kafka::Options;
use tools::kafka::consume::TopicPatterns;

use super::mode::Mode;
use super::value::check_topic;
use super::{Ack, AckInput, Delivery, Exec, Jobs, Transactions, usage};
use crate::cli::Cli;

/// Default of `--batch` with `--exec`.
const EXEC_BATCH: u64 = 10_000;
/// Default of `--batch` with `--txn`: a commit of any size costs more than 100 ms.
const TXN_BATCH: u64 = 100_000;
/// Default of `transaction.timeout.ms`.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Default of `--batch-bytes`.
const BATCH_BYTES: u64 = 64 * 1024 * 1024;
/// Default of `--batch-wait`.
const BATCH_WAIT: Duration = Duration::from_secs(1);

/// How `-G` delivers records.
pub(super) fn delivery(cli: &Cli) -> anyhow::Result<Delivery> {
    let pipe = &cli.pipe;
    if let Some(path) = &pipe.ack {
        return Ok(Delivery::Ack(Ack {
            path: path.clone(),
            shape: shape(cli)?,
            max_inflight: pipe.max_inflight,
        }));
    }
    let Some(command) = &pipe.exec else {
        return Ok(Delivery::Stdout);
    };
    Ok(Delivery::Exec(Exec {
        command: checked_command(command)?,
        batch_records: pipe.batch.unwrap_or(EXEC_BATCH),
        batch_bytes: pipe.batch_bytes.unwrap_or(BATCH_BYTES),
        batch_wait: pipe.batch_wait.unwrap_or(BATCH_WAIT),
        retries: pipe.retry.unwrap_or(0),
        parallel: pipe.parallel.unwrap_or(1) as usize,
    }))
}

fn checked_command(command: &OsString) -> anyhow::Result<OsString> {
    if command.as_encoded_bytes().trim_ascii().is_empty() {
        return Err(usage("--exec: there is no command; is a variable empty?"));
    }
    Ok(command.clone())
}

/// `--exec` of a share group that reads `topics`.
pub(super) fn jobs(cli: &Cli, topics: &[String]) -> anyhow::Result<Option<Jobs>> {
    let pipe = &cli.pipe;
    let Some(command) = &pipe.exec else {
        return Ok(None);
    };
    let reject_to = pipe.reject_to.as_deref();
    let reject_to = reject_to.map(|topic| check_topic(topic, "--reject-to", Mode::Produce));
    let reject_to = reject_to.transpose()?;
    if let Some(topic) = reject_to
        && (topics.iter().any(|read| read == topic) || TopicPatterns::new(topics)?.matches(topic))
    {
        return Err(usage(format_args!(
            "--reject-to {topic}: the group reads this topic, so what never works would come again for ever"
        )));
    }
    Ok(Some(Jobs {
        command: checked_command(command)?,
        batch_records: pipe.batch.unwrap_or(1),
        parallel: pipe.parallel.unwrap_or(1) as usize,
        max_tries: pipe.max_tries,
        reject_to: reject_to.map(str::to_owned),
    }))
}

/// `--ack` and `--txn` of `-P`; sets the transactional.id.
pub(super) fn ack_input(cli: &Cli, options: &mut Options) -> anyhow::Result<Option<AckInput>> {
    let pipe = &cli.pipe;
    let Some(path) = &pipe.ack else {
        return Ok(None);
    };
    if cli.count.is_some() {
        return Err(usage("-c does not go with --ack"));
    }
    if !cli.operands.is_empty() {
        return Err(usage("FILE does not go with --ack"));
    }
    let own_id = options.get("transactional.id").is_some();
    let transactions = match &pipe.txn {
        Some(id) => {
            options.force("transactional.id", id);
            Some(transactions(cli, options)?)
        }
        None if own_id => {
            return Err(usage(
                "transactional.id with --ack: say --txn ID, which commits the positions too",
            ));
        }
        None => None,
    };
    Ok(Some(AckInput {
        path: path.clone(),
        shape: shape(cli)?,
        transactions,
    }))
}

fn transactions(cli: &Cli, options: &Options) -> anyhow::Result<Transactions> {
    let batch_wait = cli.pipe.batch_wait.unwrap_or(BATCH_WAIT);
    let timeout_ms = options.get("transaction.timeout.ms");
    let timeout_ms = timeout_ms.and_then(|ms| ms.parse().ok());
    let timeout = timeout_ms.map_or(TRANSACTION_TIMEOUT, Duration::from_millis);
    // The commit takes time as well, and the coordinator aborts a transaction after its timeout.
    if batch_wait > timeout / 2 {
        return Err(usage(format_args!(
            "--batch-wait: a transaction has to be through in transaction.timeout.ms={}; half of it is the most",
            timeout.as_millis()
        )));
    }
    Ok(Transactions {
        batch_records: cli.pipe.batch.unwrap_or(TXN_BATCH),
        batch_wait,
    })
}

/// How lines carry their positions: only in formats whose lines are whole records.
fn shape(cli: &Cli) -> anyhow::Result<Shape> {
    let format = &cli.format;
    match (&format.tsv, format.json, &format.delimiter) {
        (Some(_), _, _) => Ok(Shape::Tsv),
        (None, true, None) => Ok(Shape::Json),
        (None, true, Some(_)) => Err(usage("-D does not go with --ack, whose records are lines")),
        (None, false, _) => Err(usage(
            "--ack needs --tsv or -J: in other formats a line may be less or more than a record",
        )),
    }
}
