//! What was seen as metrics, in the text format of Prometheus 0.0.4.
//!
//! Names and labels are those that users of kafka-lag-exporter have, with what
//! yakle's exporter has beside them. What is not known has no sample: a series
//! `..._unknown` says why, and partitions that were never committed are one
//! number for each group and topic, however many they are.

use std::collections::BTreeMap;
use std::time::Duration;

use tools::kafka::cluster::{Metadata, Partition};

use crate::collect::{Part, Snapshot};
use crate::exposition::Exposition;
use crate::lag::{Log, Note};
use crate::row::Row;

/// Writes everything that `snapshot` has; `took` is how long it was looked for.
pub(crate) fn write(
    snapshot: &Snapshot,
    cluster: Option<&str>,
    took: Duration,
    text: &mut Vec<u8>,
) {
    let mut out = Exposition::new(cluster, text);
    write_rows(&mut out, &snapshot.rows);
    write_notes(&mut out, &snapshot.rows);
    write_sums(&mut out, &snapshot.rows);
    write_groups(&mut out, snapshot);
    write_partitions(&mut out, snapshot);
    write_sizes(&mut out, snapshot);
    write_metadata(&mut out, &snapshot.metadata);
    write_scrape(&mut out, snapshot, took);
}

/// What an exporter says when nobody answers at all.
pub(crate) fn write_failure(cluster: Option<&str>, took: Duration, text: &mut Vec<u8>) {
    let mut out = Exposition::new(cluster, text);
    out.family(
        "klag_scrape_success",
        "Whether this part of the cluster was answered for.",
    );
    for (_, name) in Part::NAMES {
        out.sample(&[("part", name)], 0);
    }
    write_duration(&mut out, took);
}

fn write_rows(out: &mut Exposition<'_>, rows: &[Row]) {
    type Number = fn(&Row) -> Option<i64>;
    let families: [(&str, &str, Number); 4] = [
        ("offset", "The committed offset.", |row| row.committed),
        ("lag", "Messages that may be read and are not yet.", |row| {
            row.lag.lag
        }),
        (
            "messages_lost",
            "Messages deleted before they were read.",
            |row| row.lag.lost,
        ),
        (
            "messages_blocked",
            "Messages that an open transaction holds back.",
            |row| row.lag.blocked,
        ),
    ];
    for (name, help, number) in families {
        out.family(&format!("kafka_consumergroup_group_{name}"), help);
        for row in rows {
            if let Some(number) = number(row) {
                out.row_sample(row, number);
            }
        }
    }
    out.family(
        "kafka_consumergroup_group_lag_seconds",
        "Age of the first message not yet read.",
    );
    for row in rows {
        if let Some(age_ms) = row.lag.time_lag_ms {
            out.row_sample(row, seconds(age_ms));
        }
    }
}

fn write_notes(out: &mut Exposition<'_>, rows: &[Row]) {
    let mut never: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    out.family(
        "kafka_consumergroup_group_unknown",
        "A number of this partition is not known, and why.",
    );
    for row in rows {
        for note in &row.lag.notes {
            let reason = match note {
                Note::NeverCommitted { .. } => {
                    *never
                        .entry((row.group_name(), row.topic_name()))
                        .or_default() += 1;
                    continue;
                }
                Note::Unanswered(reason) | Note::Gone(reason) => reason.clone(),
                // The numbers in the others would make a new series at every scrape.
                Note::BeyondEnd { .. } => "committed beyond the end".to_owned(),
                Note::Future { .. } => "the first unread record is dated ahead".to_owned(),
                Note::TimeUnanswered(_) | Note::Timeless => note.to_string(),
                _ => continue,
            };
            out.noted_sample(row, &reason);
        }
    }
    out.family(
        "kafka_consumergroup_group_uncommitted_partitions",
        "Partitions of a topic that the group reads for which it has never committed.",
    );
    for ((group, topic), count) in never {
        out.sample(&[("group", group), ("topic", topic)], count);
    }
}

/// The largest and the sum of a group's rows; what is unknown is in neither.
fn write_sums(out: &mut Exposition<'_>, rows: &[Row]) {
    let mut by_group: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut by_topic: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut unknown: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for row in rows {
        let sum = by_group.entry(row.group_name()).or_default();
        if row.partition.is_some() {
            let unknown = unknown.entry((row.group_name(), row.topic_name()));
            *unknown.or_default() += u32::from(row.lag.lag.is_none());
        }
        if let Some(lag) = row.lag.lag {
            sum.lag = Some(sum.lag.unwrap_or(0) + lag);
            sum.max_lag = sum.max_lag.max(Some(lag));
            let topic = by_topic.entry((row.group_name(), row.topic_name()));
            *topic.or_default() += lag;
        }
        sum.max_time_lag_ms = sum.max_time_lag_ms.max(row.lag.time_lag_ms);
    }
    out.family(
        "kafka_consumergroup_group_sum_lag",
        "Sum of the lags that are known.",
    );
    for (group, sum) in &by_group {
        out.known_sample(&[("group", group)], sum.lag);
    }
    out.family(
        "kafka_consumergroup_group_topic_sum_lag",
        "Sum of the lags that are known.",
    );
    for ((group, topic), lag) in &by_topic {
        out.sample(&[("group", group), ("topic", topic)], *lag);
    }
    out.family(
        "kafka_consumergroup_group_partitions_unknown",
        "Partitions whose lag is not known, and in no sum.",
    );
    for ((group, topic), count) in &unknown {
        out.sample(&[("group", group), ("topic", topic)], *count);
    }
    out.family(
        "kafka_consumergroup_group_max_lag",
        "Largest lag of a partition.",
    );
    for (group, sum) in &by_group {
        out.known_sample(&[("group", group)], sum.max_lag);
    }
    out.family(
        "kafka_consumergroup_group_max_lag_seconds",
        "Age of the oldest message not yet read.",
    );
    for (group, sum) in &by_group {
        out.known_sample(&[("group", group)], sum.max_time_lag_ms.map(seconds));
    }
}

#[derive(Default)]
struct Sum {
    lag: Option<i64>,
    max_lag: Option<i64>,
    max_time_lag_ms: Option<i64>,
}

fn write_groups(out: &mut Exposition<'_>, snapshot: &Snapshot) {
    out.family(
        "kafka_consumergroup_group_state",
        "The group's state, as a label.",
    );
    for group in &snapshot.groups {
        if let Some(state) = &group.state {
            out.sample(&[("group", &group.name), ("state", state)], 1);
        }
    }
    out.family("kafka_consumergroup_group_members", "Members of the group.");
    for group in &snapshot.groups {
        let members = group.members.map(|members| members as i64);
        out.known_sample(&[("group", &group.name)], members);
    }
    out.family(
        "kafka_consumergroup_group_info",
        "The group's type and coordinator, as labels.",
    );
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

fn write_partitions(out: &mut Exposition<'_>, snapshot: &Snapshot) {
    let mut logs: Vec<(&str, i32, Log, Option<i64>)> = snapshot
        .logs
        .iter()
        .filter_map(|((topic, partition), log)| {
            let log = *log.as_ref().ok()?;
            let oldest_ms = snapshot.logs.oldest_ms(topic, *partition);
            Some((&**topic, *partition, log, oldest_ms))
        })
        .collect();
    logs.sort_unstable_by_key(|(topic, partition, ..)| (*topic, *partition));
    out.family("kafka_partition_latest_offset", "The high watermark.");
    for (topic, partition, log, _) in &logs {
        out.partition_sample(topic, *partition, log.end);
    }
    out.family(
        "kafka_partition_earliest_offset",
        "The first offset that is kept.",
    );
    for (topic, partition, log, _) in &logs {
        out.partition_sample(topic, *partition, log.start);
    }
    out.family(
        "kafka_partition_oldest_timestamp",
        "When the first message that is kept was written, in seconds since 1970.",
    );
    for (topic, partition, _, oldest_ms) in &logs {
        if let Some(oldest_ms) = oldest_ms {
            out.partition_sample(topic, *partition, seconds(*oldest_ms));
        }
    }
}

fn write_sizes(out: &mut Exposition<'_>, snapshot: &Snapshot) {
    out.family(
        "kafka_topic_broker_logdir_size",
        "Bytes of a topic's segments on a broker.",
    );
    for ((topic, broker), bytes) in &snapshot.sizes {
        out.sample(&[("topic", topic), ("broker", &broker.to_string())], *bytes);
    }
}

fn write_metadata(out: &mut Exposition<'_>, metadata: &Metadata) {
    type Test = fn(&Partition) -> bool;
    let tests: [(&str, &str, Test); 3] = [
        (
            "kafka_partition_under_replicated",
            "Whether a replica is not in sync.",
            |partition| partition.isrs.len() < partition.replicas.len(),
        ),
        (
            "kafka_partition_not_preferred",
            "Whether another broker than the preferred one leads.",
            |partition| partition.leader != partition.replicas.first().copied(),
        ),
        (
            "kafka_partition_leaderless",
            "Whether no broker leads.",
            |partition| partition.leader.is_none(),
        ),
    ];
    for (name, help, test) in tests {
        out.family(name, help);
        for topic in &metadata.topics {
            for partition in &topic.partitions {
                let holds = i64::from(test(partition));
                out.partition_sample(&topic.name, partition.id, holds);
            }
        }
    }
    out.family(
        "kafka_topic_info",
        "A topic's number of partitions and of replicas, as labels.",
    );
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
    out.family(
        "kafka_broker_info",
        "A broker's address and rack, as labels.",
    );
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
    out.family(
        "kafka_cluster_info",
        "The cluster's id and its controller, as labels.",
    );
    let id = metadata.cluster_id.as_deref().unwrap_or("");
    let controller = metadata
        .controller
        .map_or(String::new(), |id| id.to_string());
    out.sample(&[("cluster_id", id), ("controller", &controller)], 1);
}

fn write_scrape(out: &mut Exposition<'_>, snapshot: &Snapshot, took: Duration) {
    out.family(
        "klag_scrape_success",
        "Whether this part of the cluster was answered for.",
    );
    for (part, name) in Part::NAMES {
        out.sample(&[("part", name)], i64::from(!snapshot.has_failed(part)));
    }
    out.family(
        "klag_selection_unmatched",
        "Names, patterns and states that were asked for and fit nothing.",
    );
    out.sample(&[], snapshot.unmatched());
    write_duration(out, took);
}

fn write_duration(out: &mut Exposition<'_>, took: Duration) {
    out.family(
        "klag_scrape_duration_seconds",
        "How long the look at the cluster took.",
    );
    out.sample(&[], took.as_secs_f64());
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::collect::{Failure, FailureKind};
    use crate::row::{Group, Owner};

    fn snapshot() -> Snapshot {
        let group = Arc::new(Group {
            name: "a\"b\\".to_owned(),
            state: Some("Stable".to_owned()),
            kind: Some("classic".to_owned()),
            members: Some(2),
            coordinator: Some(1),
        });
        let row = |partition, lag: Option<i64>, notes: Vec<Note>| {
            let mut row = Row {
                group: Some(Arc::clone(&group)),
                topic: Some("t".into()),
                partition: Some(partition),
                ..Row::default()
            };
            row.lag.lag = lag;
            row.lag.time_lag_ms = lag.map(|lag| lag * 500);
            row.lag.notes = notes;
            row
        };
        let mut rows = vec![
            row(0, Some(3), vec![]),
            row(1, Some(4), vec![]),
            row(2, None, vec![Note::NeverCommitted { at_most: 9 }]),
            row(3, None, vec![Note::NeverCommitted { at_most: 9 }]),
            row(4, None, vec![Note::Unanswered("no leader".to_owned())]),
        ];
        rows[0].owner = Some(Arc::new(Owner {
            member: "m".to_owned(),
            client: "c".to_owned(),
            host: "h".to_owned(),
        }));
        Snapshot {
            groups: vec![group],
            rows,
            ..Snapshot::default()
        }
    }

    fn text_of(snapshot: &Snapshot, cluster: Option<&str>) -> String {
        let mut text = Vec::new();
        write(snapshot, cluster, Duration::from_millis(1500), &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_number_has_its_labels() {
        let text = text_of(&snapshot(), None);
        let group = r#"group="a\"b\\""#;
        for line in [
            format!(
                "kafka_consumergroup_group_lag{{{group},topic=\"t\",partition=\"0\",member_host=\"h\",\
                 consumer_id=\"m\",client_id=\"c\"}} 3"
            ),
            format!("kafka_consumergroup_group_sum_lag{{{group}}} 7"),
            format!("kafka_consumergroup_group_max_lag{{{group}}} 4"),
            format!("kafka_consumergroup_group_max_lag_seconds{{{group}}} 2"),
            format!("kafka_consumergroup_group_state{{{group},state=\"Stable\"}} 1"),
            "klag_scrape_duration_seconds 1.5".to_owned(),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_unknown_is_absent_with_its_reason_and_the_never_committed_are_one_number() {
        let text = text_of(&snapshot(), None);
        assert_eq!(text.matches("kafka_consumergroup_group_lag{").count(), 2);
        let group = r#"group="a\"b\\",topic="t""#;
        let never = format!("kafka_consumergroup_group_uncommitted_partitions{{{group}}} 2\n");
        let unknown = format!(
            "kafka_consumergroup_group_unknown{{{group},partition=\"4\",reason=\"no leader\"}} 1\n"
        );
        assert!(text.contains(&never) && text.contains(&unknown), "{text}");
        assert!(!text.contains("partition=\"2\""));
    }

    #[test]
    fn what_was_not_answered_is_a_scrape_that_failed() {
        let mut snapshot = snapshot();
        let offsets = "klag_scrape_success{part=\"offsets\"} ";
        assert!(text_of(&snapshot, None).contains(&format!("{offsets}0")));
        snapshot.rows.truncate(4);
        assert!(text_of(&snapshot, None).contains(&format!("{offsets}1")));
        let groups = "klag_scrape_success{part=\"groups\"} ";
        assert!(text_of(&snapshot, None).contains(&format!("{groups}1")));
        snapshot.failures.push(Failure {
            part: Part::Groups,
            kind: FailureKind::Unanswered,
            reason: "x".to_owned(),
        });
        assert!(text_of(&snapshot, None).contains(&format!("{groups}0")));
    }

    #[test]
    fn the_cluster_s_name_is_on_every_sample_and_a_family_has_one_head() {
        let text = text_of(&snapshot(), Some("prod"));
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        assert!(
            samples
                .clone()
                .all(|line| line.contains("cluster_name=\"prod\""))
        );
        let heads: Vec<&str> = text.lines().filter(|l| l.starts_with("# TYPE")).collect();
        let mut names = heads.clone();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), heads.len());
        for head in heads {
            let name = head.split(' ').nth(2).unwrap();
            assert!(
                samples
                    .clone()
                    .any(|line| line.starts_with(&format!("{name}{{"))),
                "{name}"
            );
        }
    }

    #[test]
    fn a_cluster_that_does_not_answer_is_told_as_such() {
        let mut text = Vec::new();
        write_failure(None, Duration::ZERO, &mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches("} 0\n").count(), Part::NAMES.len());
    }
}
