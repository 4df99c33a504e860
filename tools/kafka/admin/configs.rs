//! Settings of topics and brokers as they are in force (Kafka's `DescribeConfigs`).

use std::collections::HashMap;
use std::time::Instant;

use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::protocol::StrBytes;

use super::create_topic::check;
use super::query_budget::QueryBudget;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::{Target, Wire};

/// What has settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConfigResource {
    Topic(String),
    /// The broker of this number; only it knows them.
    Broker(i32),
    Group(String),
}

impl ConfigResource {
    /// Its type as `ConfigResource.java` numbers it, and its name.
    fn named(&self) -> (i8, String) {
        match self {
            ConfigResource::Topic(name) => (2, name.clone()),
            ConfigResource::Broker(id) => (4, id.to_string()),
            ConfigResource::Group(name) => (32, name.clone()),
        }
    }
}

/// Names with values; a value that is secret, or set to nothing, is not there.
pub type ConfigValues = HashMap<String, String>;

/// One broker, what it is asked about, and which settings of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigsQuery {
    pub broker: i32,
    /// Resources with the names of the settings that are wanted of each.
    pub resources: Vec<(ConfigResource, Vec<&'static str>)>,
}

/// Settings of every resource that a broker was asked about, or why there are none.
pub type BrokerConfigs = HashMap<ConfigResource, Result<ConfigValues, KafkaError>>;

/// v1 is the oldest that Kafka 4 knows, and the first in which a setting has its source (KIP-226).
const OLDEST: i16 = 1;

/// Asks all these brokers side by side; an answer for each, in their order.
///
/// A broker reports a topic's settings with its own defaults in the place of
/// what the topic does not set, so a partition's leader is the one to ask.
/// Requires DESCRIBE_CONFIGS on each resource.
pub fn configs(
    wire: &mut Wire<'_>,
    brokers: &[ConfigsQuery],
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<BrokerConfigs, KafkaError>> {
    let requests = brokers.iter().map(|asked| {
        let resources: Vec<_> = asked.resources.iter().map(resource).collect();
        let build =
            move |_version: i16| DescribeConfigsRequest::default().with_resources(resources);
        (asked.broker, build)
    });
    let versions = OLDEST..=i16::MAX;
    let answers = budget.fan_out(wire, &versions, requests.collect());
    let answers = answers.into_iter().zip(brokers);
    answers
        .map(|(answer, asked)| Ok(by_resource(answer?.results, asked)))
        .collect()
}

/// One setting of a topic, as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    pub value: String,
    /// Whether it was set for this topic; else it is a broker's or Kafka's own.
    pub is_own: bool,
}

/// `DescribeConfigsResponse.ConfigSource.TOPIC_CONFIG` of Kafka: set for this topic.
const SET_FOR_TOPIC: i8 = 1;

/// All settings of a topic as they are in force at this broker, whose own defaults are among them.
pub fn topic_settings(
    wire: &mut Wire<'_>,
    broker: i32,
    topic: &str,
    deadline: Instant,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<ConfigEntry>, KafkaError> {
    let (kind, name) = ConfigResource::Topic(topic.to_owned()).named();
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_string(name))
        .with_configuration_keys(None);
    let build =
        move |_version: i16| DescribeConfigsRequest::default().with_resources(vec![resource]);
    let request = [(Target::Broker(broker), OLDEST..=i16::MAX, build)];
    let answer = wire.fan_out(request, deadline, interrupted).pop();
    let none = || KafkaError::of(code::TIMED_OUT);
    let results = answer.ok_or_else(none)??.results;
    let result = results.into_iter().next().ok_or_else(none)?;
    check(result.error_code, result.error_message)?;
    let settings = result.configs.into_iter().filter_map(|config| {
        Some(ConfigEntry {
            name: config.name.to_string(),
            value: config.value?.to_string(),
            is_own: config.config_source == SET_FOR_TOPIC,
        })
    });
    Ok(settings.collect())
}

fn resource((resource, keys): &(ConfigResource, Vec<&'static str>)) -> DescribeConfigsResource {
    let (kind, name) = resource.named();
    let keys = keys.iter().map(|key| StrBytes::from_static_str(key));
    DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_string(name))
        .with_configuration_keys(Some(keys.collect()))
}

fn by_resource(results: Vec<DescribeConfigsResult>, asked: &ConfigsQuery) -> BrokerConfigs {
    let mut by_name: HashMap<(i8, String), DescribeConfigsResult> = results
        .into_iter()
        .map(|result| {
            (
                (result.resource_type, result.resource_name.to_string()),
                result,
            )
        })
        .collect();
    let resources = asked.resources.iter().map(|(resource, _)| resource);
    resources
        .map(|resource| {
            let result = by_name.remove(&resource.named());
            let missing = || Err(KafkaError::of(code::UNKNOWN_TOPIC_OR_PARTITION));
            (resource.clone(), result.map_or_else(missing, settings))
        })
        .collect()
}

fn settings(result: DescribeConfigsResult) -> Result<ConfigValues, KafkaError> {
    check(result.error_code, result.error_message)?;
    let pairs = result.configs.into_iter().filter_map(|config| {
        let value = config.value?;
        Some((config.name.to_string(), value.to_string()))
    });
    Ok(pairs.collect())
}
