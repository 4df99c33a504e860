//! The names and labels of danielqsj's kafka_exporter, so that dashboards and alerts that exist go on working.

use tools::kafka::cluster::Partition;

use super::detail::{Detail, Fold, Labels, folded};
use super::exposition::Exposition;
use super::{Family, cluster, family, write_ages};
use crate::collect::Snapshot;
use crate::row::Row;

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
    if detail.lag.partition {
        put(
            out,
            family::KE_OFFSET,
            &snapshot.rows,
            BY_PARTITION,
            |row| row.committed,
        );
        put(out, family::KE_LAG, &snapshot.rows, BY_PARTITION, |row| {
            row.lag.lag
        });
        write_ages(
            out,
            family::KE_LAG_SECONDS,
            GROUP,
            &snapshot.rows,
            BY_PARTITION,
        );
        write_partitions(out, snapshot);
    }
    if detail.lag.topic {
        put(
            out,
            family::KE_OFFSET_SUM,
            &snapshot.rows,
            BY_TOPIC,
            |row| row.committed,
        );
        put(out, family::KE_LAG_SUM, &snapshot.rows, BY_TOPIC, |row| {
            row.lag.lag
        });
    }
    out.family(family::KE_MEMBERS);
    for group in &snapshot.groups {
        let members = group.members.map(|members| members as i64);
        out.known_sample(&[(GROUP, &group.name)], members);
    }
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

fn put(
    out: &mut Exposition<'_>,
    family: Family,
    rows: &[Row],
    labels: Labels,
    number: fn(&Row) -> Option<i64>,
) {
    if !out.family(family) {
        return;
    }
    for (key, number) in folded(rows, labels, Fold::Sum, number) {
        key.with(GROUP, &[], |labels| out.sample(labels, number));
    }
}

/// A number of a partition.
type Number = fn(&Partition) -> Option<i64>;

fn write_partitions(out: &mut Exposition<'_>, snapshot: &Snapshot) {
    let logs = cluster::logs(snapshot);
    for (family, is_end) in [(family::KE_CURRENT, true), (family::KE_OLDEST, false)] {
        out.family(family);
        for (topic, partition, log, _) in &logs {
            let offset = if is_end { log.end } else { log.start };
            out.sample(
                &[("topic", topic), ("partition", &partition.to_string())],
                offset,
            );
        }
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
        out.family(family);
        for topic in &snapshot.metadata.topics {
            for partition in &topic.partitions {
                let id = partition.id.to_string();
                out.known_sample(
                    &[("topic", &topic.name), ("partition", &id)],
                    number(partition),
                );
            }
        }
    }
}
