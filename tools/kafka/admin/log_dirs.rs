//! What brokers have on their disks: bytes of every replica, and the size of the volumes (Kafka's `DescribeLogDirs`).

use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::messages::{DescribeLogDirsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::query_budget::QueryBudget;
use crate::kafka::error::KafkaError;
use crate::kafka::wire::Wire;

/// A folder in which a broker keeps logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// Its path on the broker's machine.
    pub path: String,
    /// Why the broker can't say more of it: most often a disk that has failed.
    pub error: Option<KafkaError>,
    /// The size of its volume, if the broker reports it (KIP-827, Kafka 3.3).
    pub total_bytes: Option<u64>,
    /// The free space of its volume, if the broker reports it.
    pub usable_bytes: Option<u64>,
    /// The logs in it that were asked for.
    pub replicas: Vec<Replica>,
}

/// A partition's log on one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub topic: String,
    pub partition: i32,
    /// Bytes of its segments, without their indexes.
    pub bytes: u64,
    /// Whether it is on its way from another folder of the broker, and not yet the one that is read.
    pub is_future: bool,
}

/// One broker, and which partitions it is asked about: all that it has where there are none named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirsQuery {
    pub broker: i32,
    /// Topics with their partitions.
    pub topics: Option<Vec<(String, Vec<i32>)>>,
}

/// v1 is the oldest that Kafka 4 knows; v4 has the volume's size.
const OLDEST: i16 = 1;

/// Asks all these brokers side by side, each for its own folders; an answer for each, in their order.
///
/// Requires DESCRIBE on the cluster.
pub fn log_dirs(
    wire: &mut Wire<'_>,
    brokers: Vec<LogDirsQuery>,
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Vec<LogDir>, KafkaError>> {
    let requests = brokers.into_iter().map(|asked| {
        let topics = asked
            .topics
            .map(|topics| topics.into_iter().map(topic).collect());
        let build = move |_version: i16| DescribeLogDirsRequest::default().with_topics(topics);
        (asked.broker, build)
    });
    let versions = OLDEST..=i16::MAX;
    let answers = budget.fan_out(wire, &versions, requests.collect());
    answers
        .into_iter()
        .map(|answer| {
            let response = answer?;
            KafkaError::check(response.error_code)?;
            // Before v3 a broker that refuses to answer has no folders and no error.
            Ok(response.results.iter().map(log_dir).collect())
        })
        .collect()
}

fn topic((name, partitions): (String, Vec<i32>)) -> DescribableLogDirTopic {
    DescribableLogDirTopic::default()
        .with_topic(TopicName(StrBytes::from_string(name)))
        .with_partitions(partitions)
}

fn log_dir(result: &DescribeLogDirsResult) -> LogDir {
    // -1 stands for what the broker does not know.
    let known = |bytes: i64| u64::try_from(bytes).ok();
    let replicas = result.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| Replica {
            topic: topic.name.0.to_string(),
            partition: partition.partition_index,
            bytes: known(partition.partition_size).unwrap_or(0),
            is_future: partition.is_future_key,
        })
    });
    LogDir {
        path: result.log_dir.to_string(),
        error: KafkaError::of_answer(result.error_code),
        total_bytes: known(result.total_bytes),
        usable_bytes: known(result.usable_bytes),
        replicas: replicas.collect(),
    }
}
