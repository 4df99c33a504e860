//! The names and labels of danielqsj's kafka_exporter, so that dashboards and alerts that exist go on working.

use std::ops::Add as _;

use tools::kafka::admin::Partition;

use super::detail::{Detail, Fold, Labels, folded, offsets};
use super::exposition::Exposition;
use super::{Family, ages, cluster, family, put, write_members};
use crate::collect::Snapshot;

/// What it calls a group.
const GROUP: &str = "consumergroup";

const BY_PARTITION: Labels = Labels {
    group: true,
    topic: true,
    partition: true,
    member: false,
};

const BY_TOPIC: Labels = Labels {
    partition: false,
    ..BY_PARTITION
};

/// Writes the families that it has; those of partitions where they are asked for.
pub(super) fn write(out: &mut Exposition<'_>, snapshot: &Snapshot, detail: Detail) {
    let rows = &snapshot.rows;
    let lags = |labels| folded(rows, labels, Fold::Sum, |row| row.lag.lag);
    if detail.lag.partition {
        put(out, family::KE_OFFSET, GROUP, offsets(rows, BY_PARTITION));
        put(out, family::KE_LAG, GROUP, lags(BY_PARTITION));
        put(out, family::KE_LAG_SECONDS, GROUP, ages(rows, BY_PARTITION));
        write_partitions(out, snapshot);
    }
    if detail.lag.topic {
        put(out, family::KE_OFFSET_SUM, GROUP, offsets(rows, BY_TOPIC));
        put(out, family::KE_LAG_SUM, GROUP, lags(BY_TOPIC));
    }
    write_members(out, family::KE_MEMBERS, GROUP, snapshot);
    out.family(family::KE_PARTITIONS);
    for topic in &snapshot.metadata.topics {
        out.sample(&[("topic", &topic.name)], topic.partitions.len());
    }
    out.family(family::KE_BROKERS);
    out.sample(&[], snapshot.metadata.brokers.len());
    out.family(family::BROKER_INFO);
    for broker in &snapshot.metadata.brokers {
        let address = format!("{}:{}", broker.host, broker.port);
        out.sample(&[("id", &broker.id.to_string()), ("address", &address)], 1);
    }
}

/// A number of a partition.
type Number = fn(&Partition) -> Option<i64>;

fn write_partitions(out: &mut Exposition<'_>, snapshot: &Snapshot) {
    let logs = cluster::logs(snapshot);
    for (family, is_end) in [(family::KE_CURRENT, true), (family::KE_OLDEST, false)] {
        let offsets = logs.iter().map(|(topic, partition, log, _)| {
            let offset = if is_end { log.end } else { log.start };
            (*topic, *partition, offset as f64)
        });
        cluster::put(out, family, true, offsets, f64::add);
    }
    let families: [(Family, Number); 5] = [
        (family::KE_ISR, |p| Some(p.isrs.len() as i64)),
        (family::KE_REPLICAS, |p| Some(p.replicas.len() as i64)),
        (family::KE_LEADER, |p| p.leader.map(i64::from)),
        (family::KE_PREFERRED, |p| {
            Some(i64::from(cluster::is_preferred(p)))
        }),
        (family::KE_UNDER_REPLICATED, |p| {
            Some(i64::from(cluster::is_under_replicated(p)))
        }),
    ];
    for (family, number) in families {
        let numbers = snapshot.metadata.topics.iter().flat_map(|topic| {
            let known = topic
                .partitions
                .iter()
                .filter_map(|p| Some((p.id, number(p)?)));
            known.map(|(id, number)| (topic.name.as_str(), id, number as f64))
        });
        cluster::put(out, family, true, numbers, f64::add);
    }
}
