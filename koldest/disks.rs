//! `--by broker`: what is on every disk of every broker, and how long until it is full.

use std::collections::HashMap;

use tools::kafka::admin::LogDir;
use tools::kafka::error::code;
use tools::report::{Cell, Column, Report};

use crate::collect::Snapshot;
use crate::forecast::{ReplicaGrowth, disk_full_in_ms};
use crate::report::PREFIX;
use crate::row::Row;

pub(crate) const COLUMNS: [Column; 11] = [
    Column::label("broker"),
    Column::label("host"),
    Column::label("log_dir"),
    Column::value("replicas", "Logs in the folder."),
    Column::value("bytes", "Bytes of these logs, without their indexes."),
    Column::value(
        "used_bytes",
        "Bytes taken on the volume, by whatever it is.",
    ),
    Column::value("usable_bytes", "Bytes still free on the volume."),
    Column::value("total_bytes", "Size of the volume."),
    Column::value("rate_bytes", "Bytes a second that these logs take in."),
    Column::value("full_in", "How long until the volume is full."),
    Column::remark("note"),
];

/// Rows by topic and partition.
type Rows<'a> = HashMap<(&'a str, i32), &'a Row>;

/// A row for each log dir; a broker that does not tell has one that says why.
pub(crate) fn report(snapshot: &Snapshot, rows: &[Row], failures: &mut Vec<String>) -> Report {
    let mut report = Report::new(PREFIX, &COLUMNS);
    let numbered = rows
        .iter()
        .filter_map(|row| Some(((row.topic.as_str(), row.partition?), row)));
    let rows: Rows<'_> = numbered.collect();
    for (broker, dirs) in &snapshot.brokers {
        let host = format!("{}:{}", broker.host, broker.port);
        let mut fail = |why: String| {
            failures.push(format!("broker {}: {why}", broker.id));
            why
        };
        match dirs {
            Ok(dirs) if dirs.is_empty() => {
                let why = fail("lists no log dirs: not authorised to describe the cluster?".into());
                report.push(empty_row(broker.id, &host, None, why));
            }
            Ok(dirs) => {
                for dir in dirs {
                    report.push(match &dir.error {
                        Some(error) => {
                            let why = fail(format!("{}: {error}", dir.path));
                            empty_row(broker.id, &host, Some(&dir.path), why)
                        }
                        None => row(broker.id, &host, dir, &rows),
                    });
                }
            }
            Err(error) => {
                let why = match error.code {
                    code::UNSUPPORTED_FEATURE => "can't tell its log dirs".to_owned(),
                    _ => error.to_string(),
                };
                report.push(empty_row(broker.id, &host, None, fail(why)));
            }
        }
    }
    for (&id, replicas) in &snapshot.absent_brokers {
        let why = format!("not in the cluster now, and {replicas} replicas are to be on it");
        failures.push(format!("broker {id}: {why}"));
        let mut row = empty_row(id, "", None, why);
        row[1] = Cell::Unknown;
        report.push(row);
    }
    report
}

fn empty_row(id: i32, host: &str, path: Option<&str>, why: String) -> Vec<Cell> {
    let mut row = vec![id.into(), host.into(), path.into()];
    row.resize(COLUMNS.len() - 1, Cell::Unknown);
    row.push(why.into());
    row
}

fn row(id: i32, host: &str, dir: &LogDir, rows: &Rows<'_>) -> Vec<Cell> {
    let mut notes = Vec::new();
    let mut growths = Vec::new();
    let (mut unknown, mut compacted) = (0, 0);
    for replica in &dir.replicas {
        let row = rows.get(&(replica.topic.as_str(), replica.partition));
        let known = row.and_then(|row| row.settings.as_ref().zip(row.rate_bytes));
        match known {
            // What compaction takes away is taken to be as much as comes in.
            Some((settings, _)) if settings.compacts && !settings.deletes => compacted += 1,
            Some((settings, rate)) => {
                growths.push(ReplicaGrowth::new(settings, rate, replica.bytes));
            }
            None => unknown += 1,
        }
    }
    if unknown > 0 {
        notes.push(format!("the rate of {unknown} logs is not known"));
    }
    if compacted > 0 {
        notes.push(format!(
            "{compacted} compacted logs are taken to stay as they are"
        ));
    }
    // What is not known may be the most of it.
    let rate = (unknown == 0).then(|| growths.iter().map(|growth| growth.rate_bytes).sum());
    let free = dir.usable_bytes.filter(|_| unknown == 0);
    let full_in = free.and_then(|free| disk_full_in_ms(free, &growths));
    if dir.usable_bytes.is_none() {
        notes.push("the broker does not report the size of its disk".to_owned());
    } else if full_in.is_none() && unknown == 0 {
        notes.push("never full at this rate".to_owned());
    }
    let used = dir.total_bytes.zip(dir.usable_bytes);
    let bytes = |bytes: Option<u64>| bytes.map_or(Cell::Unknown, Cell::Bytes);
    vec![
        id.into(),
        host.into(),
        dir.path.as_str().into(),
        Cell::Integer(dir.replicas.len() as i64),
        Cell::Bytes(dir.replicas.iter().map(|replica| replica.bytes).sum()),
        bytes(used.map(|(total, usable)| total.saturating_sub(usable))),
        bytes(dir.usable_bytes),
        bytes(dir.total_bytes),
        rate.map_or(Cell::Unknown, Cell::ByteRate),
        full_in.map_or(Cell::Unknown, Cell::DurationMs),
        notes.join("; ").into(),
    ]
}
