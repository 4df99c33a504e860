use std::sync::Arc;

use super::*;
use crate::collect::{Failure, FailureKind};
use crate::row::{AssignedMember, Group, SumBy};

fn snapshot() -> Snapshot {
    let group = Arc::new(Group {
        name: "a\"b\\".to_owned(),
        state: Some("Stable".to_owned()),
        kind: Some("classic".to_owned()),
        members: Some(2),
        coordinator: Some(1),
    });
    let row = |partition, lag: Option<i64>, notes: Vec<LagNote>| {
        let mut row = Row {
            group: Some(Arc::clone(&group)),
            topic: Some("t".into()),
            partition: Some(partition),
            ..Row::default()
        };
        row.lag.lag = lag;
        row.lag.lost = lag.map(|_| 10);
        row.lag.time_lag_ms = lag.map(|lag| lag * 500);
        row.lag.notes = notes;
        row
    };
    let mut rows = vec![
        row(0, Some(3), vec![]),
        row(1, Some(4), vec![]),
        row(2, None, vec![LagNote::NeverCommitted { at_most: 9 }]),
        row(3, None, vec![LagNote::NeverCommitted { at_most: 9 }]),
        row(4, None, vec![LagNote::Unanswered("no leader".to_owned())]),
    ];
    rows[0].owner = Some(Arc::new(AssignedMember {
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

fn settings(
    cluster: Option<&str>,
    granularity: Option<Granularity>,
    by: Option<SumBy>,
) -> Settings {
    Settings {
        cluster: cluster.map(str::to_owned),
        names: Names::Klag,
        detail: Detail::new(granularity, by),
        families: None,
    }
}

fn written(snapshot: &Snapshot, settings: &Settings) -> String {
    let mut text = Vec::new();
    write(snapshot, settings, Instant::now(), &mut text);
    String::from_utf8(text).unwrap()
}

fn text_of(snapshot: &Snapshot, cluster: Option<&str>) -> String {
    written(snapshot, &settings(cluster, None, None))
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|l| l == *line), "{line}\n{text}");
    }
}

#[test]
fn lag_has_the_labels_of_its_partition_and_all_else_those_of_its_topic() {
    let text = text_of(&snapshot(), None);
    has(
        &text,
        &[
            r#"kafka_consumergroup_group_lag{group="a\"b\\",topic="t",partition="0"} 3"#,
            r#"kafka_consumergroup_group_lag_seconds{group="a\"b\\",topic="t",partition="1"} 2"#,
            r#"kafka_consumergroup_group_messages_lost{group="a\"b\\",topic="t"} 20"#,
            r#"kafka_consumergroup_group_sum_lag{group="a\"b\\"} 7"#,
            r#"kafka_consumergroup_group_topic_sum_lag{group="a\"b\\",topic="t"} 7"#,
            r#"kafka_consumergroup_group_max_lag{group="a\"b\\"} 4"#,
            r#"kafka_consumergroup_group_max_lag_seconds{group="a\"b\\"} 2"#,
            r#"kafka_consumergroup_group_partitions_unknown{group="a\"b\\",topic="t"} 3"#,
            r#"kafka_consumergroup_group_state{group="a\"b\\",state="Stable"} 1"#,
        ],
    );
    assert!(!text.contains("consumer_id"), "{text}");
}

#[test]
fn the_unknown_is_absent_with_its_reason_and_the_never_committed_are_one_number() {
    let text = text_of(&snapshot(), None);
    assert_eq!(text.matches("kafka_consumergroup_group_lag{").count(), 2);
    has(
        &text,
        &[
            r#"kafka_consumergroup_group_uncommitted_partitions{group="a\"b\\",topic="t"} 2"#,
            r#"kafka_consumergroup_group_unknown{group="a\"b\\",topic="t",reason="no leader"} 1"#,
        ],
    );
    assert!(!text.contains("partition=\"2\""));
}

#[test]
fn granularity_and_by_say_what_is_told_apart() {
    let snapshot = snapshot();
    let lag = |granularity, by| -> Vec<String> {
        let text = written(&snapshot, &settings(None, granularity, by));
        let lines = text
            .lines()
            .filter_map(|l| l.strip_prefix("kafka_consumergroup_group_lag{"));
        lines
            .map(|line| line.replace(r#"group="a\"b\\""#, "G"))
            .collect()
    };
    assert_eq!(lag(Some(Granularity::Group), None), ["G} 7"]);
    assert_eq!(lag(Some(Granularity::Topic), None), [r#"G,topic="t"} 7"#]);
    assert_eq!(lag(None, Some(SumBy::Topic)), [r#"topic="t"} 7"#]);
    assert_eq!(
        lag(None, Some(SumBy::Member)),
        [
            r#"G,member_host="",consumer_id="",client_id=""} 4"#,
            r#"G,member_host="h",consumer_id="m",client_id="c"} 3"#
        ]
    );
    let text = written(
        &snapshot,
        &settings(None, Some(Granularity::Partition), None),
    );
    has(
        &text,
        &[
            r#"kafka_consumergroup_group_messages_lost{group="a\"b\\",topic="t",partition="1"} 10"#,
            r#"kafka_consumergroup_group_unknown{group="a\"b\\",topic="t",partition="4",reason="no leader"} 1"#,
        ],
    );
    let text = written(&snapshot, &settings(None, Some(Granularity::Group), None));
    assert!(!text.contains("topic="), "{text}");
}

#[test]
fn only_the_families_that_are_wanted_are_written_and_those_of_the_scrape() {
    let mut settings = settings(None, None, None);
    settings.families = Some([family::MEMBERS.name.to_owned()].into());
    let text = written(&snapshot(), &settings);
    let samples: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    assert_eq!(
        samples.into_iter().collect::<Vec<_>>(),
        [
            "kafka_consumergroup_group_members",
            "klag_scrape_duration_seconds",
            "klag_scrape_success",
            "klag_selection_unmatched"
        ]
    );
    assert!(known_name("kafka_consumergroup_group_lag").is_ok());
    assert!(known_name("lag").is_err_and(|error| error.contains("lag")));
}

#[test]
fn kafka_exporter_has_its_own_names() {
    let mut settings = settings(Some("c"), None, None);
    settings.names = Names::KafkaExporter;
    let text = written(&snapshot(), &settings);
    has(
        &text,
        &[
            r#"kafka_consumergroup_lag{cluster_name="c",consumergroup="a\"b\\",topic="t",partition="0"} 3"#,
            r#"kafka_consumergroup_lag_sum{cluster_name="c",consumergroup="a\"b\\",topic="t"} 7"#,
            r#"kafka_consumergroup_members{cluster_name="c",consumergroup="a\"b\\"} 2"#,
            r#"kafka_brokers{cluster_name="c"} 0"#,
        ],
    );
    assert!(!text.contains("_group_"), "{text}");
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
        part: QueryKind::Groups,
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
    write_failure(&settings(None, None, None), Instant::now(), &mut text);
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches("} 0\n").count(), QueryKind::NAMES.len());
}

#[test]
fn a_thousand_groups_of_a_hundred_partitions_are_no_more_than_twenty_megabytes() {
    let mut snapshot = Snapshot::default();
    for number in 0..1000 {
        let group = Arc::new(Group {
            name: format!("group-{number:04}"),
            state: Some("Stable".to_owned()),
            kind: Some("consumer".to_owned()),
            members: Some(3),
            coordinator: Some(1),
        });
        for partition in 0..100 {
            let mut row = Row {
                group: Some(Arc::clone(&group)),
                topic: Some(format!("topic-{number:04}").into()),
                partition: Some(partition),
                committed: Some(100_000),
                ..Row::default()
            };
            row.lag.lag = Some(i64::from(number * partition));
            row.lag.time_lag_ms = Some(i64::from(number * partition) * 17);
            row.lag.lost = Some(0);
            row.lag.blocked = Some(0);
            snapshot.rows.push(row);
        }
        snapshot.groups.push(group);
    }
    let text = text_of(&snapshot, None);
    assert!(text.len() <= 20_000_000, "{}", text.len());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, text.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap().len();
    assert!(packed < 2_000_000, "{packed}");
}

/// The names of metrics in a text: words that begin as ours do.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("kafka_") || word.starts_with("klag_"))
        .collect()
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_metrics_that_there_are() {
    let dashboard = include_str!("../dashboard.json");
    let json: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let panels = json["panels"].as_array().unwrap();
    let mut asked = 0;
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let names = metrics_in(expression);
            assert!(!names.is_empty(), "{expression}");
            asked += names.len();
        }
    }
    assert!(asked > 10);
    for text in [dashboard, include_str!("../klag.rules.yml")] {
        for name in metrics_in(text) {
            assert!(
                family::OWN.iter().any(|family| family.name == name),
                "{name}"
            );
        }
    }
}

#[test]
fn every_family_is_in_the_manual() {
    let page = include_str!("../../man/klag.1");
    let named = metrics_in(page);
    for family in family::OWN.iter().chain(family::KAFKA_EXPORTER) {
        assert!(named.contains(family.name), "{}", family.name);
    }
}
