//! The report: rows from one snapshot or two, summed, checked, ordered and written.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::PollFlags;
use tools::cli::report::chosen;
use tools::cli::signals::Signals;
use tools::cli::target::{Target, report_once};
use tools::cli::{Exit, messages, now_ms, watch};
use tools::kafka::client::ContactError;
use tools::kafka::{Client, Role};
use tools::report::{Format, Report};
use tools::serve::Problem;
use tools::units::format_time_ms;

use crate::collect::{CollectState, Completeness, Snapshot, and_more, collect};
use crate::config::Config;
use crate::lag::LagNote;
use crate::rates::{Rate, Rates, Sample, Status, produce_rates, rates, unknown_rates};
use crate::row::{Row, RowLayout, Silence, SumBy};
use crate::{metrics, totals};

/// Rows that become cells at a time: the report of a large cluster is never in memory as a whole.
const CHUNK: usize = 1000;
/// Reasons that are said on stderr.
const REASONS: usize = 10;

/// Reports once, or again and again with `--watch`.
pub(crate) fn run(config: &Config, signals: &Signals) -> Result<Exit> {
    let mut known = CollectState::default();
    if let Some(every) = config.watch.watch {
        let client = Client::new(&config.options, Role::Consumer)?;
        return watch::repeat(every, config.style, signals, || {
            let snapshot = look(&client, config, &mut known, signals)?;
            let (rows, exit) = choose(snapshot, config);
            Ok((report(config, &rows), exit))
        });
    }
    report_once(
        &config.watch,
        config.style,
        signals,
        |started, text| metrics::write_failure(&config.metrics, started, text),
        || {
            let client = Client::new(&config.options, Role::Consumer)?;
            Ok(look(&client, config, &mut known, signals)?)
        },
        |snapshot, started, target| {
            if config.style.format == Format::Prometheus {
                metrics::write(&snapshot, &config.metrics, started, target.text());
                return Ok(exit_of(snapshot.completeness(&config.scope), false));
            }
            let (rows, exit) = choose(snapshot, config);
            write(config, &rows, target)?;
            Ok(exit)
        },
    )
}

/// Looks at the cluster, twice where a rate is asked for, and says on stderr what was not answered.
fn look(
    client: &Client,
    config: &Config,
    known: &mut CollectState,
    signals: &Signals,
) -> Result<Snapshot, ContactError> {
    let interrupted = || signals.caught().is_some();
    let mut collect = || collect(client, &config.scope, known, &interrupted);
    let mut snapshot = match config.rate {
        None => collect()?,
        Some(pause) => {
            let first = collect()?;
            let (before, taken) = (samples(&first), first.taken);
            drop(first);
            wait(pause, signals)?;
            let mut after = collect()?;
            let passed = after.taken.zip(taken).map(|(after, first)| after - first);
            add_rates(&before, passed.unwrap_or_default(), &mut after);
            after
        }
    };
    if let Some(window_ms) = config.scope.rate_window_ms {
        add_produce_rates(&mut snapshot, window_ms);
    }
    let reasons: Vec<String> = problems(&snapshot).into_iter().map(|p| p.text).collect();
    messages(&reasons, REASONS);
    Ok(snapshot)
}

fn wait(pause: Duration, signals: &Signals) -> Result<(), ContactError> {
    let end = Instant::now() + pause;
    while signals.caught().is_none() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let left_ms = left.as_millis() as u64 + 1;
        if signals
            .wait(signals.as_fd(), PollFlags::IN, Some(left_ms))
            .is_err()
        {
            break;
        }
    }
    Err(ContactError::Interrupted)
}

type Samples = HashMap<(Arc<str>, Arc<str>, i32), Sample>;

fn key_of(row: &Row) -> Option<(Arc<str>, Arc<str>, i32)> {
    let group: Arc<str> = row.group_name().into();
    Some((group, row.topic.clone()?, row.partition?))
}

fn sample(row: &Row) -> Sample {
    Sample {
        committed: row.committed,
        end: row.end,
        lag: row.lag.lag,
    }
}

fn samples(snapshot: &Snapshot) -> Samples {
    let rows = snapshot.rows.iter();
    rows.filter_map(|row| Some((key_of(row)?, sample(row))))
        .collect()
}

fn add_rates(before: &Samples, passed: Duration, after: &mut Snapshot) {
    for row in &mut after.rows {
        let before = key_of(row).and_then(|key| before.get(&key));
        let has_members = row
            .group
            .as_ref()
            .is_some_and(|g| g.members.unwrap_or(0) > 0);
        let after = sample(row);
        let found = before.map(|before| rates(*before, after, passed, has_members));
        let found = found.unwrap_or_default();
        row.lag
            .notes
            .extend(unknown_rates(before.copied(), after, found));
        set_rates(row, found);
    }
}

fn add_produce_rates(snapshot: &mut Snapshot, window_ms: i64) {
    for row in &mut snapshot.rows {
        let Some((topic, partition)) = row.topic.clone().zip(row.partition) else {
            continue;
        };
        let after = sample(row);
        let written = match snapshot.logs.written(&topic, partition) {
            Some(Ok(written)) => Some(*written),
            Some(Err(reason)) => {
                let note = LagNote::UnknownRate(Rate::Produce, reason.clone());
                row.lag.notes.push(note);
                None
            }
            // Its row says why nothing is known.
            None => None,
        };
        set_rates(row, produce_rates(written, window_ms, after));
    }
}

fn set_rates(row: &mut Row, mut found: Rates) {
    if matches!(row.silence, Silence::LongerThan { .. }) {
        found.status = found.status.max(Some(Status::Stale));
    }
    row.rates = Some(Box::new(found));
}

/// What was not answered, each reason once with where it was met.
pub(crate) fn problems(snapshot: &Snapshot) -> Vec<Problem> {
    let mut by_reason: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for row in &snapshot.rows {
        for reason in row.lag.notes.iter().filter_map(LagNote::unanswered) {
            let subject = match (&row.topic, row.partition) {
                (Some(topic), Some(partition)) => format!("{topic} [{partition}]"),
                _ => format!("group {}", row.group_name()),
            };
            by_reason.entry(reason).or_insert((0, subject)).0 += 1;
        }
    }
    let failures = snapshot.failures.iter();
    let failures = failures.map(|failure| Problem::of(failure.reason.clone()));
    let of_rows = by_reason.into_iter().map(|(reason, (count, subject))| {
        let text = format!("{}: {reason}", and_more(subject, count));
        Problem::about(&reason, text)
    });
    failures.chain(of_rows).collect()
}

fn exit_of(completeness: Completeness, has_excess: bool) -> Exit {
    match completeness {
        Completeness::Incomplete => Exit::Failed,
        Completeness::Undetermined => Exit::No,
        Completeness::Complete if has_excess => Exit::No,
        Completeness::Complete => Exit::Done,
    }
}

/// The rows to show, in their order, and the exit code.
fn choose(mut snapshot: Snapshot, config: &Config) -> (Vec<Row>, Exit) {
    let is_limited = config.scope.limits.is_some();
    let completeness = snapshot.completeness(&config.scope);
    let all = std::mem::take(&mut snapshot.rows);
    let mut rows = match config.layout.by {
        Some(by) => {
            let mut rows = totals::sum(&all, by, config.layout.wants_time);
            // A group that has nothing at all is in no topic's sum, and can't be within a limit either.
            let left_out = all.into_iter().filter(|row| row.topic.is_none());
            rows.extend(left_out.filter(|_| is_limited && by == SumBy::Topic));
            rows
        }
        None => all,
    };
    if is_limited {
        rows.retain_mut(|row| config.scope.limits.mark_exceeded(row));
    }
    let exit = exit_of(completeness, is_limited && !rows.is_empty());
    totals::sort(&mut rows, config.sort);
    rows.truncate(config.top.unwrap_or(usize::MAX));
    (rows, exit)
}

/// Rows of the exporter's page at most: people look at the worst, programs have the metrics.
const PAGE_ROWS: usize = 1000;

/// The exporter's page: the groups that are the furthest behind first.
pub(crate) fn page(config: &Config, snapshot: &Snapshot) -> Report {
    let by = config.layout.by.unwrap_or(SumBy::Group);
    let mut rows = totals::sum(&snapshot.rows, by, config.scope.wants_time);
    totals::sort(&mut rows, totals::Sort::Lag);
    rows.truncate(PAGE_ROWS);
    let layout = RowLayout {
        by: Some(by),
        ..config.layout.clone()
    };
    layout.report(&rows)
}

fn report(config: &Config, rows: &[Row]) -> Report {
    let mut report = config.layout.report(rows);
    if config.style.format == Format::Html {
        report = report.captioned(vec![format_time_ms(now_ms())]);
    }
    chosen(report, &config.columns, config.style)
}

/// Writes the rows bit by bit, unless the width of a table's columns needs all of them.
fn write(config: &Config, rows: &[Row], target: &mut Target<'_>) -> Result<()> {
    // Cron mails what is printed: a header alone would be a mail about nothing.
    if rows.is_empty() && config.scope.limits.is_some() {
        return Ok(());
    }
    let size = match config.style.format {
        Format::Table | Format::Html => usize::MAX,
        _ => CHUNK,
    };
    report(config, &rows[..rows.len().min(size)]).write(config.style, target.text())?;
    for chunk in rows[rows.len().min(size)..].chunks(size) {
        target.flush_if_full()?;
        report(config, chunk).write_more(config.style, target.text())?;
    }
    Ok(())
}
