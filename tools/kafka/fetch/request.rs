//! The Fetch request of one broker (FetchRequest.json).

use std::ops::RangeInclusive;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::machine::{Ask, AskRow, Topic};
use super::settings::Settings;

/// From the first one with record batches v2 and aborted transactions (Kafka 0.11)
/// to the last one that names topics; from 13 on they go by their ids.
pub(super) const VERSIONS: RangeInclusive<i16> = 4..=12;

/// The first version that tells where the client stands.
const WITH_RACK: i16 = 11;

/// What `ask` is as a request of a version; without a session, so that nothing has to be remembered on either side.
pub(super) fn build(
    ask: &Ask,
    topics: &[Topic],
    settings: &Settings,
) -> impl FnOnce(i16) -> FetchRequest + use<> {
    // Neighbours of one topic share its name; a topic may come again later.
    let groups = ask.rows.chunk_by(|a, b| a.topic == b.topic);
    let groups = groups.map(|rows| {
        let name = StrBytes::from_string(topics[rows[0].topic].name.clone());
        FetchTopic::default()
            .with_topic(TopicName(name))
            .with_partitions(rows.iter().map(row).collect())
    });
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(settings.max_wait.as_millis().min(i32::MAX as u128) as i32)
        .with_min_bytes(settings.min_bytes)
        .with_max_bytes(ask.max_bytes)
        .with_isolation_level(settings.isolation.level())
        .with_topics(groups.collect());
    let rack = settings.rack.clone();
    move |version| {
        if version < WITH_RACK {
            return request;
        }
        request.with_rack_id(StrBytes::from_string(rack))
    }
}

fn row(row: &AskRow) -> FetchPartition {
    FetchPartition::default()
        .with_partition(row.id)
        .with_current_leader_epoch(row.leader_epoch)
        .with_fetch_offset(row.offset)
        .with_last_fetched_epoch(row.last_epoch)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(row.max_bytes)
}
