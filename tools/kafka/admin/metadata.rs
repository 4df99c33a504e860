//! Brokers, topics and partitions, as the cluster's metadata has them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::kafka::client::{Client, ContactError};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::{Wire, learned_brokers};

#[derive(Clone, Copy, Debug)]
pub enum Topics<'a> {
    /// All that one may see.
    All,
    /// These, in this order; one that does not exist has its error in its row.
    Named(&'a [String]),
}

/// What the cluster consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The broker that answered: its id, -1 while unknown, and librdkafka's name for it, `host:port/id`.
    pub origin: (i32, String),
    /// The cluster's id, if it has one.
    pub cluster_id: Option<String>,
    /// The broker that controls the cluster, where that is known.
    pub controller: Option<i32>,
    /// The brokers that are up, by number.
    pub brokers: Vec<Broker>,
    /// The topics: those asked for in the order asked, else by name.
    pub topics: Vec<Topic>,
}

/// A broker that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its number in the cluster.
    pub id: i32,
    /// The advertised host.
    pub host: String,
    /// The advertised port.
    pub port: i32,
    /// Where it stands (`broker.rack`).
    pub rack: Option<String>,
}

/// A topic, or why there is none of this name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// Distinguishes it from other topics of the same name, earlier or later; nil from a broker older than 2.8.
    pub id: Uuid,
    /// Whether the brokers keep their own books in it.
    pub is_internal: bool,
    /// Why the broker can't say more of it.
    pub error: Option<KafkaError>,
    /// Its partitions by number.
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    pub id: i32,
    /// The broker that leads it; none while none does.
    pub leader: Option<i32>,
    /// How often the leader has changed; none from a broker older than 2.1.
    pub leader_epoch: Option<i32>,
    /// The brokers that are to keep it.
    pub replicas: Vec<i32>,
    /// The brokers that keep it and are in sync.
    pub isrs: Vec<i32>,
    /// What is wrong with it: most often that it has no leader.
    pub error: Option<KafkaError>,
}

/// Whether a topic is the cluster's own, of which nothing but the name is known (`Topic.INTERNAL_TOPICS`).
pub fn is_internal(topic: &str) -> bool {
    matches!(
        topic,
        "__consumer_offsets" | "__transaction_state" | "__share_group_state"
    )
}

impl Metadata {
    pub(crate) fn from_response(response: MetadataResponse) -> Metadata {
        let brokers = response.brokers.into_iter().map(|broker| Broker {
            id: broker.node_id.0,
            host: broker.host.to_string(),
            port: broker.port,
            rack: broker.rack.map(|rack| rack.to_string()),
        });
        let mut topics: Vec<Topic> = response.topics.into_iter().map(topic_row).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        let mut brokers: Vec<Broker> = brokers.collect();
        brokers.sort_by_key(|broker| broker.id);
        Metadata {
            origin: (-1, String::new()),
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller: known(response.controller_id.0),
            brokers,
            topics,
        }
    }

    /// The numbers of the brokers that are up.
    pub fn broker_ids(&self) -> Vec<i32> {
        self.brokers.iter().map(|broker| broker.id).collect()
    }

    /// The controller, or another broker that is up: for a question that any of them answers.
    pub fn any_broker(&self) -> Option<i32> {
        let first = self.brokers.first().map(|broker| broker.id);
        self.controller.or(first)
    }

    /// Whether the cluster is librdkafka's mock, which has no look-up by time, no groups to list and no log dirs
    /// (rdkafka_mock.c names it so).
    pub fn is_mock(&self) -> bool {
        let id = self.cluster_id.as_deref();
        id.is_some_and(|id| id.starts_with("mockCluster"))
    }

    /// The broker that leads this partition, or why none can be asked.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<i32, KafkaError> {
        let row = self
            .topic(topic)
            .ok_or_else(|| KafkaError::of(code::UNKNOWN_TOPIC))?;
        if let Some(error) = &row.error {
            return Err(error.clone());
        }
        let row = row
            .partition(partition)
            .ok_or_else(|| KafkaError::of(code::UNKNOWN_PARTITION))?;
        let none = || KafkaError::of(code::LEADER_NOT_AVAILABLE);
        row.leader
            .ok_or_else(|| row.error.clone().unwrap_or_else(none))
    }

    pub fn topic(&self, name: &str) -> Option<&Topic> {
        // All of them are by name, and are looked up for each of their partitions; a few may be in another order.
        let sorted = self
            .topics
            .binary_search_by(|topic| (*topic.name).cmp(name));
        match sorted {
            Ok(at) => self.topics.get(at),
            Err(_) => self.topics.iter().find(|topic| topic.name == name),
        }
    }

    /// The first answer may come over a connection that was opened before its
    /// broker's number was known; the answer itself contains it.
    fn name_origin(&mut self) {
        let (id, name) = &self.origin;
        let Some(address) = name.strip_suffix("/bootstrap").filter(|_| *id < 0) else {
            return;
        };
        let bare = address.split_once("://").map_or(address, |(_, bare)| bare);
        let is_origin = |b: &&Broker| bare == format!("{}:{}", b.host, b.port);
        if let Some(broker) = self.brokers.iter().find(is_origin) {
            self.origin = (broker.id, format!("{address}/{}", broker.id));
        }
    }
}

impl Topic {
    pub fn partition(&self, id: i32) -> Option<&Partition> {
        // They are numbered from 0; a missing one would shift the others.
        let own = usize::try_from(id)
            .ok()
            .and_then(|at| self.partitions.get(at));
        own.filter(|partition| partition.id == id)
            .or_else(|| self.partitions.iter().find(|partition| partition.id == id))
    }
}

/// Asks the cluster for its metadata; the first contact, within the time that the client has for it.
pub fn metadata(
    client: &Client,
    topics: Topics<'_>,
    interrupted: &dyn Fn() -> bool,
) -> Result<Metadata, ContactError> {
    let mut wire = Wire::new(client);
    let started = Instant::now();
    let metadata = metadata_over(&mut wire, topics, interrupted)?;
    if metadata.origin.0 >= 0 {
        return Ok(metadata);
    }
    // A bootstrap address was asked, and librdkafka is about to close that connection. The brokers that it lists have ids.
    while learned_brokers(client).is_none() && started.elapsed() < client.first_contact() {
        std::thread::sleep(Duration::from_millis(5));
    }
    metadata_over(&mut wire, topics, interrupted)
}

/// As [`metadata`], over requests that go on after it.
///
/// Asking for a topic does not create it, unless `allow.auto.create.topics` says so.
pub fn metadata_over(
    wire: &mut Wire<'_>,
    topics: Topics<'_>,
    interrupted: &dyn Fn() -> bool,
) -> Result<Metadata, ContactError> {
    let names = match topics {
        Topics::All => None,
        Topics::Named(names) => Some(names.to_vec()),
    };
    let creates = wire
        .client()
        .property("allow.auto.create.topics")
        .as_deref()
        == Some("true");
    let build = move |_version: i16| metadata_request(names.as_deref(), creates);
    let (response, origin) = wire.retry_until_contact(OLDEST..=i16::MAX, interrupted, build)?;
    KafkaError::check(response.error_code).map_err(ContactError::Answered)?;
    let mut metadata = Metadata::from_response(response);
    metadata.origin = origin;
    metadata.name_origin();
    if let Topics::Named(names) = topics {
        let places = names.iter().enumerate().rev();
        let places: HashMap<&str, usize> = places.map(|(at, name)| (name.as_str(), at)).collect();
        let place = |topic: &Topic| places.get(topic.name.as_str()).copied();
        metadata.topics.sort_by_key(place);
    }
    Ok(metadata)
}

/// The metadata of these topics, each of which may be named more than once.
pub(in crate::kafka) fn metadata_of(
    wire: &mut Wire<'_>,
    names: impl Iterator<Item = String>,
    interrupted: &dyn Fn() -> bool,
) -> Result<Metadata, ContactError> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names.dedup();
    metadata_over(wire, Topics::Named(&names), interrupted)
}

/// The first version that does not create what it is asked for (Kafka 0.11).
pub(crate) const OLDEST: i16 = 4;

/// Asks for these topics, or for all.
pub(crate) fn metadata_request(names: Option<&[String]>, creates: bool) -> MetadataRequest {
    let topic = |name: &String| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    MetadataRequest::default()
        .with_topics(names.map(|names| names.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(creates)
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn topic_row(topic: MetadataResponseTopic) -> Topic {
    let ids = |ids: Vec<BrokerId>| ids.into_iter().map(|id| id.0).collect();
    let partitions = topic.partitions.into_iter().map(|partition| Partition {
        id: partition.partition_index,
        leader: known(partition.leader_id.0),
        leader_epoch: known(partition.leader_epoch),
        replicas: ids(partition.replica_nodes),
        isrs: ids(partition.isr_nodes),
        error: KafkaError::of_answer(partition.error_code),
    });
    let mut partitions: Vec<Partition> = partitions.collect();
    partitions.sort_by_key(|partition| partition.id);
    Topic {
        name: topic.name.map(|name| name.to_string()).unwrap_or_default(),
        id: topic.topic_id,
        is_internal: topic.is_internal,
        error: KafkaError::of_answer(topic.error_code),
        partitions,
    }
}

/// Kafka writes -1 for what there is not.
fn known(number: i32) -> Option<i32> {
    (number >= 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{Broker, Metadata};

    #[test]
    fn the_broker_that_answered_is_named_by_its_number() {
        let mut metadata = Metadata {
            origin: (-1, "kafka:9092/bootstrap".to_owned()),
            brokers: vec![Broker {
                id: 7,
                host: "kafka".to_owned(),
                port: 9092,
                rack: None,
            }],
            ..Metadata::default()
        };
        metadata.name_origin();
        assert_eq!(metadata.origin, (7, "kafka:9092/7".to_owned()));
        // Regression: over TLS it was broker -1.
        metadata.origin = (-1, "ssl://kafka:9092/bootstrap".to_owned());
        metadata.name_origin();
        assert_eq!(metadata.origin, (7, "ssl://kafka:9092/7".to_owned()));

        let alias = (-1, "localhost:9092/bootstrap".to_owned());
        metadata.origin = alias.clone();
        metadata.name_origin();
        assert_eq!(metadata.origin, alias);
    }
}
