//! Rows to a report, and what the exit code is by them.

use std::time::Instant;

use anyhow::Result;
use tools::cli::names::may_be_hidden;
use tools::cli::report::chosen;
use tools::cli::{Exit, message, messages};
use tools::report::{Cell, Column, Format, Report};
use tools::units::{count, format_time_ms};

use crate::checks::{CheckResult, History, Limits, NewestTime, history};
use crate::collect::Snapshot;
use crate::config::{Config, ReportKind};
use crate::disks;
use crate::exporter::write_scrape;
use crate::forecast::{LimitedBy, Settings};
use crate::need;
use crate::partition_state::PartitionState;
use crate::row::{self, Row};

/// What metrics are called after.
pub(crate) const PREFIX: &str = "koldest";
/// The most failures that are reported one by one.
const MAX_REASONS: usize = 3;

const COLUMNS: [Column; 18] = [
    Column::label("topic"),
    Column::label("partition"),
    Column::value("oldest_offset", "Offset of the first message in the log."),
    Column::value("oldest_time", "Time of the first message in the log."),
    Column::value("age", "How long ago the first message was written.").with_bar(),
    Column::value("newest_time", "The latest time of a message."),
    Column::value("stale", "How long ago the newest message was written."),
    Column::value("records", "Offsets from the log start to the end."),
    Column::value("bytes", "Bytes of the leader's log.").with_bar(),
    Column::value("rate_records", "Records written a second."),
    Column::value("rate_bytes", "Bytes written a second."),
    Column::value(
        "retention_ms",
        "retention.ms; -1 in milliseconds is for ever.",
    ),
    Column::value("retention_bytes", "retention.bytes; -1 is without a limit."),
    Column::remark("binds"),
    Column::value("keeps_min", "Every message is kept for at least this long."),
    Column::value("keeps_max", "No message is kept for longer."),
    Column::value("full_in", "How long until the limit that binds is reached."),
    Column::remark("note"),
];

/// The columns of a view.
pub(crate) fn columns(kind: &ReportKind) -> Vec<Column> {
    match kind {
        ReportKind::Partitions(_) => COLUMNS.to_vec(),
        ReportKind::Topics(_) => topic_columns(),
        ReportKind::Disks => disks::COLUMNS.to_vec(),
        ReportKind::Need(_) => need::COLUMNS.to_vec(),
    }
}

/// The report that `config` asks for, and how the program ends by it.
pub(crate) fn build(snapshot: &Snapshot, config: &Config) -> (Report, Exit) {
    let (report, failures, is_exceeded) = assemble(snapshot, config);
    if let Some(limits) = config.limits().filter(|_| config.options.verbosity > 0) {
        print_excused(snapshot, limits);
    }
    messages(&failures, MAX_REASONS);
    let exit = match (failures.is_empty(), is_exceeded) {
        (false, _) => Exit::Failed,
        (true, true) => Exit::No,
        (true, false) => Exit::Done,
    };
    let report = report.captioned(vec![format_time_ms(snapshot.now_ms)]);
    (chosen(report, &config.columns, config.style), exit)
}

/// Writes the report that `config` asks for; in metrics also whether all was answered.
pub(crate) fn write(
    snapshot: &Snapshot,
    config: &Config,
    started: Instant,
    text: &mut Vec<u8>,
) -> Result<Exit> {
    let (report, exit) = build(snapshot, config);
    report.write(config.style, text)?;
    if config.style.format == Format::Prometheus {
        write_scrape(exit != Exit::Failed, started, text);
    }
    Ok(exit)
}

/// The report that `config` asks for, and what was not answered.
pub(crate) fn of(snapshot: &Snapshot, config: &Config) -> (Report, Vec<String>) {
    let (report, failures, _) = assemble(snapshot, config);
    (report, failures)
}

/// The report, what was not answered, and whether a limit is exceeded.
fn assemble(snapshot: &Snapshot, config: &Config) -> (Report, Vec<String>, bool) {
    let context = row::Context {
        now_ms: snapshot.now_ms,
        window_ms: config.scope.window_ms,
        what_if: &config.what_if,
    };
    let rows: Vec<Row> = snapshot
        .partitions
        .iter()
        .map(|one| Row::new(one, context))
        .collect();
    let mut failures = failures(&rows);
    for name in snapshot.unmatched.iter().filter(|_| !config.allow_empty) {
        failures.push(format!("no topic matches {name}"));
    }
    let is_empty = snapshot.partitions.is_empty() && failures.is_empty() && !config.allow_empty;
    if is_empty && snapshot.excludes_all {
        failures.push("every topic is excluded".to_owned());
    } else if is_empty && config.limits().is_some() {
        failures.push("nothing was checked: there is no topic".to_owned());
    }
    report_hidden(snapshot, config, &mut failures);
    let (report, is_exceeded) = match &config.kind {
        ReportKind::Partitions(limits) => partitions(snapshot, rows, limits, config.unknown_fails),
        ReportKind::Topics(limits) => topics(snapshot, &rows, limits, config.unknown_fails),
        ReportKind::Disks => (disks::report(snapshot, &rows, &mut failures), false),
        ReportKind::Need(hold_ms) => (need::report(snapshot, &rows, *hold_ms), false),
    };
    failures.extend(without_forecast(&snapshot.partitions, config));
    (report, failures, is_exceeded)
}

fn topic_columns() -> Vec<Column> {
    let of_topics = COLUMNS
        .iter()
        .filter(|column| column.name != "oldest_offset");
    of_topics
        .map(|column| match column.name {
            "partition" => Column::value("partitions", "Partitions of the topic."),
            _ => *column,
        })
        .collect()
}

/// That topics may be missing is a failure of a check, and a remark beside a report.
fn report_hidden(snapshot: &Snapshot, config: &Config, failures: &mut Vec<String>) {
    for prefix in &snapshot.hidden {
        let reason = may_be_hidden("topics", prefix);
        if config.is_check() {
            failures.push(reason);
        } else {
            message(reason);
        }
    }
}

fn failures(rows: &[Row]) -> Vec<String> {
    let failed = rows.iter().filter_map(|row| {
        let failure = row.failure.as_ref()?;
        let partition = row
            .partition
            .map_or(String::new(), |number| format!(":{number}"));
        Some(format!("{}{partition}: {failure}", row.topic))
    });
    failed.collect()
}

/// What a forecast that was asked for lacks.
fn without_forecast(partitions: &[PartitionState], config: &Config) -> Vec<String> {
    let needs_bytes = matches!(config.kind, ReportKind::Need(_));
    let needs_settings =
        needs_bytes || config.kind == ReportKind::Disks || !config.what_if.is_empty();
    let mut lacks = Vec::new();
    for one in partitions.iter().filter(|one| one.bounds.is_ok()) {
        let settings = one.settings.as_ref().err().filter(|_| needs_settings);
        let bytes = one.bytes.as_ref().err().filter(|_| needs_bytes);
        for (what, error) in [("settings", settings), ("bytes", bytes)] {
            let number = one.partition.unwrap_or(-1);
            lacks.extend(
                error.map(|error| format!("{}:{number}: {what} not known: {error}", one.topic)),
            );
        }
    }
    lacks
}

/// How many partitions hold less than they should and are not at fault.
fn print_excused(snapshot: &Snapshot, limits: &Limits) {
    let Some(limit_ms) = limits.min_age_ms else {
        return;
    };
    let partitions = snapshot.partitions.iter();
    let young = partitions.filter(|one| history(one, limit_ms, snapshot.now_ms) == History::Young);
    let young = young.count() as u64;
    if young > 0 {
        message(format_args!(
            "{} younger than --min-age: nothing was ever deleted there",
            count(young, "partition")
        ));
    }
}

/// A row for each partition, or for each that exceeds a limit.
fn partitions(
    snapshot: &Snapshot,
    rows: Vec<Row>,
    limits: &Limits,
    unknown_fails: bool,
) -> (Report, bool) {
    let mut report = Report::new(PREFIX, &COLUMNS);
    let mut is_exceeded = false;
    for (mut row, state) in rows.into_iter().zip(&snapshot.partitions) {
        if limits.are_any() {
            let newest = NewestTime::of(row.newest, row.past.newest);
            let exceeded = counted(limits.check(state, newest, snapshot.now_ms), unknown_fails);
            if exceeded.is_empty() && row.failure.is_none() {
                continue;
            }
            is_exceeded |= !exceeded.is_empty();
            row.notes.splice(0..0, exceeded);
        }
        report.push(cells(&row, snapshot.now_ms));
    }
    (report, is_exceeded)
}

/// What counts against a row: a limit that nobody can tell to be kept is not kept, unless that is let pass.
fn counted(result: CheckResult, unknown_fails: bool) -> Vec<String> {
    let mut exceeded = result.exceeded;
    if unknown_fails {
        exceeded.extend(result.unknown);
    }
    exceeded
}

/// A row for each topic, or for each that exceeds a limit.
fn topics(
    snapshot: &Snapshot,
    rows: &[Row],
    limits: &Limits,
    unknown_fails: bool,
) -> (Report, bool) {
    let mut report = Report::new(PREFIX, &topic_columns());
    let mut is_exceeded = false;
    let mut partitions = snapshot.partitions.as_slice();
    for group in rows.chunk_by(|a, b| a.topic == b.topic) {
        let (own, rest) = partitions.split_at(group.len());
        partitions = rest;
        let mut row = Row::sum(group);
        if limits.are_any() {
            let exceeded = check_topic(limits, own, &row, snapshot.now_ms, unknown_fails);
            if exceeded.is_empty() && row.failure.is_none() {
                continue;
            }
            is_exceeded |= !exceeded.is_empty();
            row.notes.splice(0..0, exceeded);
        }
        if row.failure.is_some() {
            // What was not seen may be older, or newer.
            (row.oldest, row.newest, row.past) = Default::default();
        }
        let mut cells = cells(&row, snapshot.now_ms);
        cells[1] = Cell::Integer(row.partition_count as i64);
        cells.remove(2);
        report.push(cells);
    }
    (report, is_exceeded)
}

/// What is wrong with a topic: with any of its partitions, but for the newest message, which may be in any.
fn check_topic(
    limits: &Limits,
    partitions: &[PartitionState],
    row: &Row,
    now_ms: i64,
    unknown_fails: bool,
) -> Vec<String> {
    let newest = NewestTime::of(row.newest, row.past.newest);
    let ages = Limits {
        max_stale_ms: None,
        ..*limits
    };
    let mut exceeded = Vec::new();
    for one in partitions {
        let number = one.partition.unwrap_or(-1);
        let result = counted(ages.check(one, newest, now_ms), unknown_fails);
        exceeded.extend(
            result
                .into_iter()
                .map(|what| format!("partition {number} {what}")),
        );
    }
    let surplus = exceeded.len().saturating_sub(MAX_REASONS);
    exceeded.truncate(MAX_REASONS);
    if surplus > 0 {
        exceeded.push(format!("{surplus} more like these"));
    }
    let stale = Limits {
        max_stale_ms: limits.max_stale_ms,
        ..Limits::default()
    };
    // Any partition that is known tells what holds for the topic's newest message.
    if let Some(known) = partitions.iter().find(|one| one.bounds.is_ok()) {
        exceeded.extend(counted(stale.check(known, newest, now_ms), unknown_fails));
    }
    exceeded
}

/// `retention.ms` and `retention.bytes`, where Kafka's own -1 is for ever, or without a limit.
pub(crate) fn retention_cells(settings: Option<&Settings>) -> [Cell; 2] {
    let Some(settings) = settings else {
        return [Cell::Unknown, Cell::Unknown];
    };
    let unlimited = Cell::Integer(-1);
    [
        (settings.retention_ms).map_or(unlimited.clone(), Cell::DurationMs),
        settings.retention_bytes.map_or(unlimited, Cell::Bytes),
    ]
}

fn cells(row: &Row, now_ms: i64) -> Vec<Cell> {
    let time = |ms: Option<i64>| ms.map_or(Cell::Unknown, Cell::TimeMs);
    let duration = |ms: Option<i64>| ms.map_or(Cell::Unknown, Cell::DurationMs);
    let [retention_ms, retention_bytes] = retention_cells(row.settings.as_ref());
    let forecast = row.forecast;
    let notes = row.failure.iter().chain(&row.notes).cloned();
    vec![
        row.topic.as_str().into(),
        row.partition.into(),
        row.oldest.map(|oldest| oldest.offset).into(),
        time(row.oldest.and_then(|oldest| oldest.time_ms)),
        duration(row.age_ms(now_ms)),
        time(row.newest.and_then(|newest| newest.time_ms)),
        duration(row.stale_ms(now_ms)),
        row.records.into(),
        row.bytes.map_or(Cell::Unknown, Cell::Bytes),
        row.rate_records.map_or(Cell::Unknown, Cell::Rate),
        row.rate_bytes.map_or(Cell::Unknown, Cell::ByteRate),
        retention_ms,
        retention_bytes,
        forecast
            .and_then(|forecast| forecast.limited_by)
            .map(LimitedBy::name)
            .into(),
        duration(forecast.and_then(|forecast| forecast.keeps_min_ms)),
        duration(forecast.and_then(|forecast| forecast.keeps_max_ms)),
        duration(forecast.and_then(|forecast| forecast.full_in_ms)),
        notes.collect::<Vec<_>>().join("; ").into(),
    ]
}
