//! `-L`: brokers, topics and partitions, in kcat's words, in kcat's JSON, or as TSV.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use tools::cli::{Exit, message};
use tools::kafka::admin::{Metadata, Topic, Topics, metadata};
use tools::kafka::consume::{ConsumeError, TopicPatterns};
use tools::kafka::error::code;
use tools::kafka::{Client, KafkaError, Role};

use crate::admin_query::{AdminQuery, push_line};
use crate::config::{List, OutputFormat};

/// Prints the cluster's metadata; fails if a requested topic does not exist.
pub(crate) fn run(config: &List) -> anyhow::Result<Exit> {
    let admin = AdminQuery::new()?;
    let client = Client::new(&config.options, Role::Consumer)?;
    let topics = topics_to_ask(&config.topics);
    let mut cluster = match admin.fetch(|interrupted| metadata(&client, topics, interrupted))? {
        Ok(cluster) => cluster,
        Err(exit) => return Ok(exit),
    };
    if !config.topics.is_empty() {
        select(&mut cluster, &config.topics)?;
    }
    let text = match config.format {
        OutputFormat::Text => text(&cluster, &config.topics),
        OutputFormat::Json => format!("{}\n", json(&cluster, &config.topics)),
        OutputFormat::Tsv => tsv(&cluster),
    };
    admin.print(&text)?;
    Ok(report_errors(&cluster, &config.topics))
}

/// Patterns take all topics to be matched with.
pub(crate) fn topics_to_ask(names: &[String]) -> Topics<'_> {
    let has_pattern = names.iter().any(|name| name.starts_with('^'));
    if names.is_empty() || has_pattern {
        Topics::All
    } else {
        Topics::Named(names)
    }
}

/// Keeps the topics that are named or match; one that is named and does not exist gets an error.
fn select(cluster: &mut Metadata, names: &[String]) -> anyhow::Result<()> {
    let (mut selected, mut seen) = (Vec::new(), HashSet::new());
    for name in names {
        let topics = topics_of(cluster, name)?.into_iter();
        selected.extend(topics.filter(|topic| seen.insert(topic.name.clone())));
    }
    cluster.topics = selected;
    Ok(())
}

/// The topic of this name, or those that match if it is a pattern.
pub(crate) fn topics_of(cluster: &Metadata, name: &str) -> anyhow::Result<Vec<Topic>> {
    if !name.starts_with('^') {
        let missing = || Topic {
            name: name.to_owned(),
            error: Some(KafkaError::of(code::UNKNOWN_TOPIC_OR_PARTITION)),
            ..Topic::default()
        };
        return Ok(vec![cluster.topic(name).cloned().unwrap_or_else(missing)]);
    }
    let pattern = TopicPatterns::new(&[name.to_owned()])?;
    let topics = cluster.topics.iter();
    let topics = topics.filter(|topic| pattern.matches(&topic.name));
    let topics: Vec<Topic> = topics.cloned().collect();
    if topics.is_empty() {
        return Err(ConsumeError::NothingMatches(name.to_owned()).into());
    }
    Ok(topics)
}

/// Reports the errors of requested topics.
fn report_errors(cluster: &Metadata, requested: &[String]) -> Exit {
    let mut exit = Exit::Done;
    for topic in cluster
        .topics
        .iter()
        .filter(|t| requested.contains(&t.name))
    {
        if let Some(error) = &topic.error {
            message(format_args!("{}: {error}", topic.name));
            exit = Exit::Failed;
        }
    }
    exit
}

/// As kcat's `metadata_print` has it, to the byte.
fn text(cluster: &Metadata, requested: &[String]) -> String {
    let mut text = String::new();
    let what = match requested {
        [] => "all topics".to_owned(),
        names => names.join(", "),
    };
    let (id, name) = &cluster.origin;
    let _ = writeln!(text, "Metadata for {what} (from broker {id}: {name}):");
    let _ = writeln!(text, " {} brokers:", cluster.brokers.len());
    for broker in &cluster.brokers {
        let mark = if cluster.controller == Some(broker.id) {
            " (controller)"
        } else {
            ""
        };
        let (id, host, port) = (broker.id, &broker.host, broker.port);
        let _ = writeln!(text, "  broker {id} at {host}:{port}{mark}");
    }
    let _ = writeln!(text, " {} topics:", cluster.topics.len());
    for topic in &cluster.topics {
        push_topic(&mut text, topic);
    }
    text
}

fn push_topic(text: &mut String, topic: &Topic) {
    /// The broker's code while a topic is being made.
    const LEADER_NOT_AVAILABLE: i32 = 5;
    let partitions = topic.partitions.len();
    let _ = write!(
        text,
        "  topic \"{}\" with {partitions} partitions:",
        topic.name
    );
    if let Some(error) = &topic.error {
        let _ = write!(text, " {}", error.reason);
        if error.code == LEADER_NOT_AVAILABLE {
            text.push_str(" (try again)");
        }
    }
    text.push('\n');
    for partition in &topic.partitions {
        let _ = write!(
            text,
            "    partition {}, leader {}, replicas: {}, isrs: {}",
            partition.id,
            partition.leader.unwrap_or(-1),
            join(&partition.replicas),
            join(&partition.isrs),
        );
        if let Some(error) = &partition.error {
            let _ = write!(text, ", {}", error.reason);
        }
        text.push('\n');
    }
}

fn join(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(i32::to_string).collect();
    ids.join(",")
}

/// As kcat's `metadata_print_json` has it: the same fields in the same order.
fn json(cluster: &Metadata, requested: &[String]) -> Value {
    let (id, name) = &cluster.origin;
    let query = match requested {
        [] => "*".to_owned(),
        names => names.join(","),
    };
    let brokers: Vec<Value> = cluster
        .brokers
        .iter()
        .map(|b| json!({"id": b.id, "name": format!("{}:{}", b.host, b.port)}))
        .collect();
    let topics: Vec<Value> = cluster.topics.iter().map(json_of_topic).collect();
    json!({
        "originating_broker": {"id": id, "name": name},
        "query": {"topic": query},
        "controllerid": cluster.controller.unwrap_or(-1),
        "brokers": brokers,
        "topics": topics,
    })
}

fn json_of_topic(topic: &Topic) -> Value {
    let ids = |ids: &[i32]| -> Value { ids.iter().map(|id| json!({"id": id})).collect() };
    let partitions = topic.partitions.iter().map(|partition| {
        let mut row = Map::new();
        row.insert("partition".to_owned(), partition.id.into());
        insert_error(&mut row, partition.error.as_ref());
        row.insert("leader".to_owned(), partition.leader.unwrap_or(-1).into());
        row.insert("replicas".to_owned(), ids(&partition.replicas));
        row.insert("isrs".to_owned(), ids(&partition.isrs));
        Value::Object(row)
    });
    let partitions: Value = partitions.collect();
    let mut row = Map::new();
    row.insert("topic".to_owned(), topic.name.as_str().into());
    insert_error(&mut row, topic.error.as_ref());
    row.insert("partitions".to_owned(), partitions);
    Value::Object(row)
}

fn insert_error(row: &mut Map<String, Value>, error: Option<&KafkaError>) {
    if let Some(error) = error {
        row.insert("error".to_owned(), error.reason.as_str().into());
    }
}

/// A line for each partition: topic, partition, leader, replicas, isrs, error.
fn tsv(cluster: &Metadata) -> String {
    let mut text = String::new();
    for topic in &cluster.topics {
        let of_topic = topic.error.as_ref().map(ToString::to_string);
        if topic.partitions.is_empty() {
            let name = Some(topic.name.as_str());
            push_line(
                &mut text,
                [name, None, None, None, None, of_topic.as_deref()],
            );
        }
        for partition in &topic.partitions {
            let error = partition.error.as_ref().map(ToString::to_string);
            push_line(
                &mut text,
                [
                    Some(topic.name.as_str()),
                    Some(partition.id.to_string().as_str()),
                    partition.leader.map(|id| id.to_string()).as_deref(),
                    Some(join(&partition.replicas).as_str()),
                    Some(join(&partition.isrs).as_str()),
                    error.as_deref().or(of_topic.as_deref()),
                ],
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{json, text, tsv};
    use tools::kafka::KafkaError;
    use tools::kafka::admin::metadata::Broker;
    use tools::kafka::admin::{Metadata, Partition, Topic};

    /// Two brokers, a topic with one partition led and one not, and a name that no topic has.
    fn cluster() -> Metadata {
        let broker = |id, port| Broker {
            id,
            host: "kafka".to_owned(),
            port,
            rack: None,
        };
        let partition = |id, leader, error| Partition {
            id,
            leader,
            replicas: vec![1, 2],
            isrs: vec![2],
            error,
            ..Partition::default()
        };
        let offline = KafkaError::new(5, "Broker: Leader not available");
        Metadata {
            origin: (2, "kafka:9093/2".to_owned()),
            cluster_id: None,
            controller: Some(1),
            brokers: vec![broker(2, 9093), broker(1, 9092)],
            topics: vec![
                Topic {
                    name: "orders".to_owned(),
                    error: None,
                    partitions: vec![
                        partition(0, Some(2), None),
                        partition(1, None, Some(offline)),
                    ],
                    ..Topic::default()
                },
                Topic {
                    name: "none".to_owned(),
                    error: Some(KafkaError::new(3, "Broker: Unknown topic or partition")),
                    partitions: vec![],
                    ..Topic::default()
                },
            ],
        }
    }

    #[test]
    fn the_text_is_kcats() {
        assert_eq!(
            text(&cluster(), &[]),
            "Metadata for all topics (from broker 2: kafka:9093/2):
 2 brokers:
  broker 2 at kafka:9093
  broker 1 at kafka:9092 (controller)
 2 topics:
  topic \"orders\" with 2 partitions:
    partition 0, leader 2, replicas: 1,2, isrs: 2
    partition 1, leader -1, replicas: 1,2, isrs: 2, Broker: Leader not available
  topic \"none\" with 0 partitions: Broker: Unknown topic or partition
"
        );
        let requested = ["orders".to_owned(), "none".to_owned()];
        assert!(text(&cluster(), &requested).starts_with("Metadata for orders, none (from"));
    }

    #[test]
    fn the_json_has_kcats_fields_in_kcats_order() {
        let expected = concat!(
            r#"{"originating_broker":{"id":2,"name":"kafka:9093/2"},"query":{"topic":"*"},"controllerid":1,"#,
            r#""brokers":[{"id":2,"name":"kafka:9093"},{"id":1,"name":"kafka:9092"}],"#,
            r#""topics":[{"topic":"orders","partitions":["#,
            r#"{"partition":0,"leader":2,"replicas":[{"id":1},{"id":2}],"isrs":[{"id":2}]},"#,
            r#"{"partition":1,"error":"Broker: Leader not available","leader":-1,"replicas":[{"id":1},{"id":2}],"isrs":[{"id":2}]}]},"#,
            r#"{"topic":"none","error":"Broker: Unknown topic or partition","partitions":[]}]}"#,
        );
        assert_eq!(json(&cluster(), &[]).to_string(), expected);
    }

    #[test]
    fn tsv_has_a_line_for_each_partition_and_for_each_topic_without() {
        assert_eq!(
            tsv(&cluster()),
            "orders\t0\t2\t1,2\t2\t\\N\n\
             orders\t1\t\\N\t1,2\t2\tLeader not available\n\
             none\t\\N\t\\N\t\\N\t\\N\tUnknown topic or partition\n"
        );
    }
}
