//! `--commit`: positions that are read from standard input become those of a group without members.

pub(crate) mod lines;
mod snapshot;

use anyhow::{Context, bail};
use serde_json::json;
use tools::cli::signals::Signals;
use tools::cli::stdin::{Filled, Input};
use tools::cli::{Exit, message, messages};
use tools::kafka::admin::QueryBudget;
use tools::kafka::admin::positions::{NewPosition, PositionChange, change_positions};
use tools::kafka::error::{KafkaError, code, is_connection_failure};
use tools::kafka::wire::Wire;
use tools::kafka::{Client, Role};

use crate::admin_query::{AdminQuery, MAX_NAMED, push_line};
use crate::config::Commit;
use lines::{Line, LineFormat};
use snapshot::Snapshot;

/// How often a reader of an idle input looks at signals.
const IDLE_MS: u64 = 1000;

/// Reads all positions, checks them, and commits all or none; prints the old and the new ones.
pub(crate) fn run(config: &Commit) -> anyhow::Result<Exit> {
    let admin = AdminQuery::new()?;
    let input = match read_input(admin.signals(), &config.format)? {
        Ok(input) => input,
        Err(exit) => return Ok(exit),
    };
    let lines = match lines::parse(&input, &config.format, config.deletes) {
        Ok(lines) => lines,
        Err(wrong) => return Ok(refuse(&wrong)),
    };
    if lines.is_empty() {
        bail!("standard input has no positions");
    }
    let client = Client::new(&config.options, Role::Consumer)?;
    let mut wire = Wire::new(&client);
    let taken = admin.fetch(|interrupted| Snapshot::take(&mut wire, config, &lines, interrupted));
    let snapshot = match taken.context("nothing was committed")? {
        Ok(snapshot) => snapshot,
        Err(exit) => return Ok(interrupted(exit)),
    };
    let refusals = snapshot.refusals(config, &lines);
    if !refusals.is_empty() {
        return Ok(refuse(&refusals));
    }
    let positions: Vec<NewPosition> = lines.iter().map(new_position).collect();
    let results = if config.dry_run {
        if config.options.verbosity >= 0 {
            message("--dry-run: nothing was committed");
        }
        positions.iter().map(|_| Ok(())).collect()
    } else {
        let interrupted = || admin.signals().caught().is_some();
        commit_all(&mut wire, config, &snapshot, &positions, &interrupted)
    };
    let printed = admin.print(&report(config, &snapshot, &positions, &results));
    let is_changed = !config.dry_run && results.iter().any(Result::is_ok);
    if is_changed {
        printed.context("the positions were committed, and can't be printed")?;
    } else {
        printed?;
    }
    Ok(report_failed(config, &positions, &results))
}

/// All of standard input; `Err` if a signal came first.
fn read_input(signals: &Signals, format: &LineFormat) -> anyhow::Result<Result<Vec<u8>, Exit>> {
    let mut input = Input::stdin()?;
    let mut bytes = Vec::new();
    loop {
        let filled = input.fill(&mut bytes, signals, IDLE_MS);
        match filled.context("cannot read standard input")? {
            Filled::Bytes(_) | Filled::Idle => {}
            Filled::Signal => {
                let signal = signals.caught();
                let exit = signal.map_or(Exit::Failed, Exit::Signal);
                return Ok(Err(interrupted(exit)));
            }
            Filled::End => break,
        }
    }
    // An offset without its last digits is another offset.
    let is_torn = !bytes.is_empty() && !bytes.ends_with(b"\n");
    if is_torn && input.may_be_torn() && matches!(format, LineFormat::Tsv(_)) {
        bail!("the last line has no newline at its end: it may be torn; nothing was committed");
    }
    Ok(Ok(bytes))
}

fn interrupted(exit: Exit) -> Exit {
    message("interrupted; nothing was committed");
    exit
}

/// A signal leaves those that are not answered unknown.
fn commit_all(
    wire: &mut Wire<'_>,
    config: &Commit,
    snapshot: &Snapshot,
    positions: &[NewPosition],
    interrupted: &dyn Fn() -> bool,
) -> Vec<Result<(), KafkaError>> {
    let change = PositionChange {
        group: &config.group,
        kind: snapshot.kind,
        metadata: config.metadata.as_deref().unwrap_or_default(),
        deletes: config.deletes,
    };
    let mut budget = QueryBudget::new(wire.client().first_contact(), interrupted);
    budget = budget.among(snapshot.brokers.clone());
    change_positions(wire, &change, positions, &mut budget)
}

fn new_position(line: &Line) -> NewPosition {
    NewPosition {
        topic: line.topic.clone(),
        partition: line.partition,
        offset: line.offset,
    }
}

/// Names the first reasons for which nothing is committed.
fn refuse(reasons: &[String]) -> Exit {
    messages(reasons, MAX_NAMED);
    message("nothing was committed");
    Exit::Failed
}

/// A line for each position that was changed: topic, partition, old and new offset.
fn report(
    config: &Commit,
    snapshot: &Snapshot,
    positions: &[NewPosition],
    results: &[Result<(), KafkaError>],
) -> String {
    let mut text = String::new();
    let rows = positions.iter().zip(&snapshot.old).zip(results);
    for ((position, old), _) in rows.filter(|(_, result)| result.is_ok()) {
        let NewPosition {
            topic,
            partition,
            offset,
        } = position;
        if config.format == LineFormat::Json {
            let row = json!({"topic": topic, "partition": partition, "old": old, "new": offset});
            text.push_str(&row.to_string());
            text.push('\n');
            continue;
        }
        let number = |offset: &Option<i64>| offset.map(|offset| offset.to_string());
        let (old, new) = (number(old), number(offset));
        let partition = partition.to_string();
        push_line(
            &mut text,
            [
                Some(topic.as_str()),
                Some(&partition),
                old.as_deref(),
                new.as_deref(),
            ],
        );
    }
    text
}

/// Names the partitions whose positions were not changed.
fn report_failed(
    config: &Commit,
    positions: &[NewPosition],
    results: &[Result<(), KafkaError>],
) -> Exit {
    let mut unknown = 0;
    let failed = positions.iter().zip(results);
    let failed = failed.filter_map(|(position, result)| {
        let error = result.as_ref().err()?;
        let (topic, partition) = (&position.topic, position.partition);
        Some(match error.code {
            code::UNKNOWN_MEMBER_ID => {
                format!("{topic} [{partition}]: not committed: the group has a member meanwhile")
            }
            code if is_connection_failure(code) && code != code::TIMED_OUT_QUEUE => {
                unknown += 1;
                format!(
                    "{topic} [{partition}]: it is not known whether this was committed: {error}"
                )
            }
            _ => format!("{topic} [{partition}]: not committed: {error}"),
        })
    });
    messages(failed, MAX_NAMED);
    let failed = results.iter().filter(|result| result.is_err()).count();
    if failed == 0 {
        return Exit::Done;
    }
    let doubt = match unknown {
        0 => String::new(),
        unknown => format!(" ({unknown} of them are not known)"),
    };
    let (all, group) = (positions.len(), &config.group);
    message(format_args!(
        "{failed} of {all} positions of group {group} were not committed{doubt}"
    ));
    Exit::Failed
}
