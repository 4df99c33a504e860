//! Metrics of topics and brokers, whether a group reads there or not.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Add as _;

use tools::kafka::admin::{Metadata, Partition};

use super::exposition::Exposition;
use super::{Family, family, seconds};
use crate::collect::Snapshot;
use crate::lag::Log;

/// Writes them; by partition where that is asked for, else by topic.
pub(super) fn write(out: &mut Exposition<'_>, snapshot: &Snapshot, by_partition: bool) {
    write_logs(out, snapshot, by_partition);
    out.family(family::LOGDIR_SIZE);
    for ((topic, broker), bytes) in snapshot.sizes.iter().flatten() {
        out.sample(&[("topic", topic), ("broker", &broker.to_string())], *bytes);
    }
    write_partitions(out, &snapshot.metadata, by_partition);
    write_info(out, &snapshot.metadata);
}

/// The partitions whose logs are known, in their order.
pub(super) fn logs(snapshot: &Snapshot) -> Vec<(&str, i32, Log, Option<i64>)> {
    let known = snapshot
        .logs
        .iter()
        .filter_map(|((topic, partition), log)| {
            let log = *log.as_ref().ok()?;
            let oldest_ms = snapshot.logs.oldest_ms(topic, *partition);
            Some((&**topic, *partition, log, oldest_ms))
        });
    let mut logs: Vec<_> = known.collect();
    logs.sort_unstable_by_key(|(topic, partition, ..)| (*topic, *partition));
    logs
}

/// An offset of a log.
type Offset = fn(Log) -> i64;

fn write_logs(out: &mut Exposition<'_>, snapshot: &Snapshot, by_partition: bool) {
    let mut logs = logs(snapshot);
    if !by_partition {
        // A sum that lacks a part for a while looks like a counter that was reset, and like one that is written to.
        let unanswered: BTreeSet<&str> = snapshot.logs.unanswered().map(|(t, ..)| &**t).collect();
        logs.retain(|(topic, ..)| !unanswered.contains(topic));
    }
    let families: [(Family, Offset); 2] = [
        (family::LATEST, |log| log.end),
        (family::EARLIEST, |log| log.start),
    ];
    for (family, number) in families {
        let numbers = logs.iter();
        let numbers = numbers.map(|&(topic, id, log, _)| (topic, id, number(log) as f64));
        put(out, family, by_partition, numbers, f64::add);
    }
    let times = logs.iter();
    let times = times.filter_map(|&(topic, id, _, ms)| Some((topic, id, seconds(ms?))));
    put(out, family::OLDEST, by_partition, times, f64::min);
}

fn write_partitions(out: &mut Exposition<'_>, metadata: &Metadata, by_partition: bool) {
    type Test = fn(&Partition) -> bool;
    let tests: [(Family, Test); 3] = [
        (family::UNDER_REPLICATED, is_under_replicated),
        (family::NOT_PREFERRED, |partition| !is_preferred(partition)),
        (family::LEADERLESS, |partition| partition.leader.is_none()),
    ];
    for (family, test) in tests {
        let partitions = metadata.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|p| (topic.name.as_str(), p.id, f64::from(test(p))))
        });
        put(out, family, by_partition, partitions, f64::add);
    }
}

pub(super) fn is_under_replicated(partition: &Partition) -> bool {
    partition.isrs.len() < partition.replicas.len()
}

pub(super) fn is_preferred(partition: &Partition) -> bool {
    partition.leader == partition.replicas.first().copied()
}

/// A family of numbers of partitions, or of what `fold` makes of those of a topic.
pub(super) fn put<'a>(
    out: &mut Exposition<'_>,
    family: Family,
    by_partition: bool,
    numbers: impl Iterator<Item = (&'a str, i32, f64)>,
    fold: impl Fn(f64, f64) -> f64,
) {
    if !out.family(family) {
        return;
    }
    if by_partition {
        for (topic, partition, number) in numbers {
            let partition = partition.to_string();
            out.sample(&[("topic", topic), ("partition", &partition)], number);
        }
        return;
    }
    let mut topics: BTreeMap<&str, f64> = BTreeMap::new();
    for (topic, _, number) in numbers {
        let entry = topics.entry(topic);
        entry
            .and_modify(|old| *old = fold(*old, number))
            .or_insert(number);
    }
    for (topic, number) in topics {
        out.sample(&[("topic", topic)], number);
    }
}

fn write_info(out: &mut Exposition<'_>, metadata: &Metadata) {
    out.family(family::TOPIC_INFO);
    for topic in &metadata.topics {
        let partitions = topic.partitions.len().to_string();
        let replicas = topic.partitions.iter().map(|p| p.replicas.len()).max();
        let replicas = replicas.unwrap_or(0).to_string();
        let labels = [
            ("topic", topic.name.as_str()),
            ("partitions", &partitions),
            ("replicas", &replicas),
        ];
        out.sample(&labels, 1);
    }
    out.family(family::BROKER_INFO);
    for broker in &metadata.brokers {
        let (id, port) = (broker.id.to_string(), broker.port.to_string());
        let rack = broker.rack.as_deref().unwrap_or("");
        let labels = [
            ("broker", id.as_str()),
            ("host", &broker.host),
            ("port", &port),
            ("rack", rack),
        ];
        out.sample(&labels, 1);
    }
    out.family(family::CLUSTER_INFO);
    let id = metadata.cluster_id.as_deref().unwrap_or("");
    let controller = metadata
        .controller
        .map_or(String::new(), |id| id.to_string());
    out.sample(&[("cluster_id", id), ("controller", &controller)], 1);
}
