//! What was seen as metrics, in the text format of Prometheus 0.0.4.
//!
//! Names and labels are those that users of kafka-lag-exporter have, with what
//! yakle's exporter has beside them. What is not known has no sample: a series
//! `..._unknown` says why, and `..._partitions_unknown` of how many partitions.

mod cluster;
mod detail;
mod exposition;
mod family;
mod kafka_exporter;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Instant;

use crate::collect::{QueryKind, Snapshot};
use crate::lag::LagNote;
use crate::row::Row;

pub(crate) use detail::{Detail, Granularity};
use detail::{Fold, Key, Labels, folded, offsets};
use exposition::Exposition;
pub(crate) use family::{Family, known_name};

/// What metrics are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Names {
    /// As kafka-lag-exporter has them
    #[default]
    Klag,
    /// As danielqsj's kafka_exporter has them
    #[value(name = "kafka_exporter")]
    KafkaExporter,
}

/// Which metrics, and how finely they are split.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cluster: Option<String>,
    pub(crate) names: Names,
    pub(crate) detail: Detail,
    /// The families that are wanted, where not all are.
    pub(crate) families: Option<BTreeSet<String>>,
}

impl Settings {
    fn exposition<'a>(&'a self, text: &'a mut Vec<u8>) -> Exposition<'a> {
        Exposition::new(self.cluster.as_deref(), self.families.as_ref(), text)
    }
}

/// Writes everything that `snapshot` has, which was begun at `started`.
pub(crate) fn write(
    snapshot: &Snapshot,
    settings: &Settings,
    started: Instant,
    text: &mut Vec<u8>,
) {
    let mut out = settings.exposition(text);
    match settings.names {
        Names::Klag => {
            let detail = settings.detail;
            write_rows(&mut out, &snapshot.rows, detail);
            write_unknown(&mut out, &snapshot.rows, detail.rest);
            if detail.rest.group {
                write_sums(&mut out, &snapshot.rows, detail.rest);
                write_groups(&mut out, snapshot);
            }
            cluster::write(&mut out, snapshot, detail.rest.partition);
        }
        Names::KafkaExporter => kafka_exporter::write(&mut out, snapshot, settings.detail),
    }
    out.family(family::SUCCESS);
    for (part, name) in QueryKind::NAMES {
        // Who may not ask for the logs on disks has neither seen nor missed them.
        if part == QueryKind::LogDirs && snapshot.sizes.is_none() {
            continue;
        }
        out.sample(&[("part", name)], i64::from(!snapshot.has_failed(part)));
    }
    out.family(family::UNMATCHED);
    out.sample(&[], snapshot.unmatched());
    write_duration(&mut out, started);
}

/// What an exporter says when nobody answers at all.
pub(crate) fn write_failure(settings: &Settings, started: Instant, text: &mut Vec<u8>) {
    let mut out = settings.exposition(text);
    out.family(family::SUCCESS);
    for (_, name) in QueryKind::NAMES {
        out.sample(&[("part", name)], 0);
    }
    write_duration(&mut out, started);
}

fn write_duration(out: &mut Exposition<'_>, started: Instant) {
    out.family(family::DURATION);
    out.sample(&[], started.elapsed().as_secs_f64());
}

fn write_rows(out: &mut Exposition<'_>, rows: &[Row], detail: Detail) {
    let sum = |labels, number: fn(&Row) -> Option<i64>| folded(rows, labels, Fold::Sum, number);
    let lags = sum(detail.lag, |row| row.lag.lag);
    let lost = sum(detail.rest, |row| row.lag.lost);
    let blocked = sum(detail.rest, |row| row.lag.blocked);
    put(out, family::LAG, GROUP, lags);
    put(out, family::OFFSET, GROUP, offsets(rows, detail.rest));
    put(out, family::LOST, GROUP, lost);
    put(out, family::BLOCKED, GROUP, blocked);
    put(out, family::LAG_SECONDS, GROUP, ages(rows, detail.lag));
}

/// What a group is called in labels.
const GROUP: &str = "group";

/// Writes a family of numbers of groups.
fn put<'a, N: Display>(
    out: &mut Exposition<'_>,
    family: Family,
    group: &str,
    numbers: impl IntoIterator<Item = (Key<'a>, N)>,
) {
    if !out.family(family) {
        return;
    }
    for (key, number) in numbers {
        key.with(group, &[], |labels| out.sample(labels, &number));
    }
}

/// The largest time lags, in seconds.
fn ages(rows: &[Row], labels: Labels) -> impl Iterator<Item = (Key<'_>, f64)> {
    let ages = folded(rows, labels, Fold::Max, |row| row.lag.time_lag_ms);
    ages.into_iter().map(|(key, age_ms)| (key, seconds(age_ms)))
}

/// A word for why a number is not known: the same one at every look, or it would be a new series each time.
fn reason(note: &LagNote) -> Option<String> {
    Some(match note {
        LagNote::Unanswered(reason) | LagNote::Gone(reason) => reason.clone(),
        LagNote::BeyondEnd { .. } => "committed beyond the end".to_owned(),
        LagNote::Future { .. } => "the first unread record has a future timestamp".to_owned(),
        LagNote::TimeUnanswered(_) | LagNote::Timeless => note.to_string(),
        _ => return None,
    })
}

fn write_unknown(out: &mut Exposition<'_>, rows: &[Row], labels: Labels) {
    let labels = Labels {
        member: false,
        ..labels
    };
    let mut reasons: BTreeMap<(Key<'_>, String), i64> = BTreeMap::new();
    for row in rows {
        for reason in row.lag.notes.iter().filter_map(reason) {
            *reasons.entry((Key::of(row, labels), reason)).or_default() += 1;
        }
    }
    out.family(family::UNKNOWN);
    for ((key, reason), count) in &reasons {
        let more = [("reason", reason.as_str())];
        key.with(GROUP, &more, |labels| out.sample(labels, *count));
    }
    let labels = Labels {
        partition: false,
        ..labels
    };
    let of_partition = |row: &Row| row.partition.map(|_| i64::from(row.lag.lag.is_none()));
    let unknown = folded(rows, labels, Fold::Sum, of_partition);
    put(out, family::PARTITIONS_UNKNOWN, GROUP, unknown);
    let never = |row: &Row| {
        let mut notes = row.lag.notes.iter();
        let is_never = notes.any(|note| matches!(note, LagNote::NeverCommitted { .. }));
        (is_never && row.lag.lag.is_none()).then_some(1)
    };
    let uncommitted = folded(rows, labels, Fold::Sum, never);
    put(out, family::UNCOMMITTED, GROUP, uncommitted);
}

/// The largest and the sum of a group's rows; what is unknown is in neither.
fn write_sums(out: &mut Exposition<'_>, rows: &[Row], labels: Labels) {
    let by_group = Labels {
        group: true,
        topic: false,
        partition: false,
        member: false,
    };
    let by_topic = Labels {
        topic: true,
        ..by_group
    };
    let lag = |row: &Row| row.lag.lag;
    let mut families = vec![
        (family::SUM_LAG, by_group, Fold::Sum),
        (family::MAX_LAG, by_group, Fold::Max),
    ];
    if labels.topic {
        families.insert(1, (family::TOPIC_SUM_LAG, by_topic, Fold::Sum));
    }
    for (family, labels, fold) in families {
        put(out, family, GROUP, folded(rows, labels, fold, lag));
    }
    put(out, family::MAX_LAG_SECONDS, GROUP, ages(rows, by_group));
}

fn write_groups(out: &mut Exposition<'_>, snapshot: &Snapshot) {
    out.family(family::STATE);
    for group in &snapshot.groups {
        if let Some(state) = &group.state {
            out.sample(&[("group", &group.name), ("state", state)], 1);
        }
    }
    write_members(out, family::MEMBERS, GROUP, snapshot);
    out.family(family::INFO);
    for group in &snapshot.groups {
        let Some(kind) = &group.kind else { continue };
        let coordinator = group.coordinator.map_or(String::new(), |id| id.to_string());
        let labels = [
            ("group", group.name.as_str()),
            ("type", kind),
            ("coordinator", &coordinator),
        ];
        out.sample(&labels, 1);
    }
}

fn write_members(out: &mut Exposition<'_>, family: Family, group: &str, snapshot: &Snapshot) {
    out.family(family);
    for one in &snapshot.groups {
        out.known_sample(&[(group, &one.name)], one.members);
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests;
