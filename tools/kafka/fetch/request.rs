//! The Fetch request to one broker (FetchRequest.json).

use std::ops::RangeInclusive;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::fetcher::{FetchPlan, PartitionPlan, Topic};
use super::response::WITH_IDS;
use super::settings::FetchSettings;

/// The first version with record batches v2 and aborted transactions (Kafka 0.11).
const OLDEST: i16 = 4;
/// The first version with `rack.id`.
const WITH_RACK: i16 = 11;
/// The first version with `last_fetched_epoch`.
const WITH_LAST_EPOCH: i16 = 12;
/// The last version with topic names.
const WITH_NAMES: i16 = 12;

/// The versions in which `plan` can be sent; topic ids are used if all are known.
pub(super) fn versions(plan: &FetchPlan, topics: &[Topic]) -> RangeInclusive<i16> {
    let has_id = |partition: &PartitionPlan| !topics[partition.topic].id.is_nil();
    let has_ids = plan.partitions.iter().all(has_id);
    OLDEST..=if has_ids { WITH_IDS } else { WITH_NAMES }
}

/// Encodes `plan` for a version. It uses no fetch session, which would be state on both sides.
pub(super) fn build(
    plan: &FetchPlan,
    topics: &[Topic],
    settings: &FetchSettings,
) -> impl FnOnce(i16) -> FetchRequest + use<> {
    // Consecutive partitions of one topic share its name; the topic may occur again later.
    let groups = plan.partitions.chunk_by(|a, b| a.topic == b.topic);
    let groups = groups.map(|group| {
        let topic = &topics[group[0].topic];
        FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_string(topic.name.clone())))
            .with_topic_id(topic.id)
            .with_partitions(group.iter().map(partition).collect())
    });
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(settings.max_wait.as_millis().min(i32::MAX as u128) as i32)
        .with_min_bytes(settings.min_bytes)
        .with_max_bytes(plan.max_bytes)
        .with_isolation_level(settings.isolation.level())
        .with_topics(groups.collect());
    // Without a rack the leader recommends no replica.
    let rack = if plan.wants_leader {
        String::new()
    } else {
        settings.rack.clone()
    };
    move |version| adapt(request, version, rack)
}

/// Removes the fields that the version does not have.
fn adapt(mut request: FetchRequest, version: i16, rack: String) -> FetchRequest {
    if version < WITH_LAST_EPOCH {
        let partitions = request.topics.iter_mut().flat_map(|t| &mut t.partitions);
        partitions.for_each(|partition| partition.last_fetched_epoch = -1);
    }
    if version < WITH_RACK {
        return request;
    }
    request.with_rack_id(StrBytes::from_string(rack))
}

fn partition(partition: &PartitionPlan) -> FetchPartition {
    FetchPartition::default()
        .with_partition(partition.id)
        .with_current_leader_epoch(partition.leader_epoch)
        .with_fetch_offset(partition.offset)
        .with_last_fetched_epoch(partition.last_epoch)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(partition.max_bytes)
}
