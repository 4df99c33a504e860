//! `--need`: the smallest retention of each topic that holds a length of history, and the disk that takes.

use tools::report::{Cell, Column, Report};

use crate::collect::Snapshot;
use crate::forecast::required_retention;
use crate::report::{PREFIX, retention_cells};
use crate::row::Row;

pub(crate) const COLUMNS: [Column; 10] = [
    Column::label("topic"),
    Column::value("partitions", "Partitions of the topic."),
    Column::value("replicas", "Replicas of all its partitions."),
    Column::value("rate_bytes", "Bytes written a second, to all partitions."),
    Column::value(
        "need_retention_ms",
        "The smallest retention.ms that holds the history.",
    ),
    Column::value(
        "need_retention_bytes",
        "The smallest retention.bytes that holds it in every partition.",
    ),
    Column::value(
        "disk_bytes",
        "The most that all replicas together then take.",
    ),
    Column::value(
        "retention_ms",
        "retention.ms now; -1 in milliseconds is for ever.",
    ),
    Column::value(
        "retention_bytes",
        "retention.bytes now; -1 is without a limit.",
    ),
    Column::remark("note"),
];

/// A row for each topic.
pub(crate) fn report(snapshot: &Snapshot, rows: &[Row], hold_ms: i64) -> Report {
    let mut report = Report::new(PREFIX, &COLUMNS);
    let mut partitions = snapshot.partitions.as_slice();
    for group in rows.chunk_by(|a, b| a.topic == b.topic) {
        let (own, rest) = partitions.split_at(group.len());
        partitions = rest;
        let replicas: Vec<usize> = own.iter().map(|one| one.replica_count).collect();
        report.push(row(group, &replicas, hold_ms));
    }
    report
}

fn row(group: &[Row], replicas: &[usize], hold_ms: i64) -> Vec<Cell> {
    let sum = Row::sum(group);
    let mut notes: Vec<String> = sum.failure.iter().chain(&sum.notes).cloned().collect();
    let mut needed = Some((0, 0));
    for (one, replicas) in group.iter().zip(replicas) {
        let known = one.settings.as_ref().zip(one.rate_bytes);
        let known = known.filter(|(settings, _)| settings.deletes && !settings.tiered);
        let one = known.map(|(settings, rate)| required_retention(settings, rate, hold_ms));
        needed = needed.zip(one).map(|((bytes, disk), one)| {
            // One setting serves all partitions: that of the busiest.
            let disk_bytes = one.disk_bytes.saturating_mul(*replicas as u64);
            (
                one.retention_bytes.max(bytes),
                disk_bytes.saturating_add(disk),
            )
        });
    }
    let settings = sum.settings.as_ref();
    if settings.is_some_and(|settings| !settings.deletes) {
        notes.push("nothing is deleted by time or size".to_owned());
    }
    let deleting = settings.filter(|settings| settings.deletes);
    if deleting.is_some_and(|set| set.retention_ms.is_some_and(|limit| limit < hold_ms)) {
        notes.push("retention.ms is too small".to_owned());
    }
    if let (Some(settings), Some((bytes, _))) = (deleting, needed)
        && settings.retention_bytes.is_some_and(|limit| limit < bytes)
    {
        notes.push("retention.bytes is too small".to_owned());
    }
    let [retention_ms, retention_bytes] = retention_cells(settings);
    vec![
        sum.topic.as_str().into(),
        Cell::Integer(sum.partition_count as i64),
        Cell::Integer(replicas.iter().sum::<usize>() as i64),
        sum.rate_bytes.map_or(Cell::Unknown, Cell::ByteRate),
        deleting.map_or(Cell::Unknown, |_| Cell::DurationMs(hold_ms)),
        needed.map_or(Cell::Unknown, |(bytes, _)| Cell::Bytes(bytes)),
        needed.map_or(Cell::Unknown, |(_, disk)| Cell::Bytes(disk)),
        retention_ms,
        retention_bytes,
        notes.join("; ").into(),
    ]
}
