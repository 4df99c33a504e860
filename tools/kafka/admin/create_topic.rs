//! Creates a topic.

use std::ops::RangeInclusive;
use std::time::Instant;

use kafka_protocol::messages::CreateTopicsRequest;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::protocol::StrBytes;

use super::metadata::topic_name;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::{Target, Wire};

/// From v4 on a topic may be made with the broker's own replication factor (KIP-464).
const CREATE_VERSIONS: RangeInclusive<i16> = 4..=i16::MAX;

#[derive(Clone, Copy, Debug)]
pub struct NewTopic<'a> {
    pub name: &'a str,
    pub partitions: i32,
    pub settings: &'a [(String, String)],
}

/// Makes a topic, with as many replicas as the brokers make by themselves; with `is_trial` only asks whether it could.
///
/// `broker` is the controller: before Kafka 4 it alone makes topics. It is named, and not any broker asked, because
/// the connection to one of the bootstrap list is closed as soon as librdkafka knows the brokers by their numbers.
pub fn create_topic(
    wire: &mut Wire<'_>,
    broker: i32,
    topic: &NewTopic<'_>,
    is_trial: bool,
    deadline: Instant,
    interrupted: &dyn Fn() -> bool,
) -> Result<(), KafkaError> {
    let settings = topic.settings.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(name.clone()))
            .with_value(Some(StrBytes::from_string(value.clone())))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(topic.name))
        .with_num_partitions(topic.partitions)
        .with_replication_factor(-1)
        .with_configs(settings.collect());
    let timeout_ms = deadline.saturating_duration_since(Instant::now());
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_validate_only(is_trial)
        .with_timeout_ms(timeout_ms.as_millis().min(60_000) as i32);
    let asked = [(Target::Broker(broker), CREATE_VERSIONS, move |_| request)];
    let response = wire.fan_out(asked, deadline, interrupted).pop();
    let none = || KafkaError::of(code::TIMED_OUT);
    let topics = response.ok_or_else(none)??.topics;
    let answer = topics.into_iter().next().ok_or_else(none)?;
    check(answer.error_code, answer.error_message)
}

/// A response's error code as a result, in the broker's own words if it has some.
pub(super) fn check(error: i16, reason: Option<StrBytes>) -> Result<(), KafkaError> {
    let reason = reason.filter(|reason| !reason.is_empty());
    KafkaError::check(error).map_err(|error| match reason {
        Some(reason) => KafkaError::new(error.code, reason.to_string()),
        None => error,
    })
}
