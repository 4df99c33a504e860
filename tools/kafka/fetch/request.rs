//! The Fetch request of one broker (FetchRequest.json).

use std::ops::RangeInclusive;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::answer::WITH_IDS;
use super::machine::{Ask, AskRow, Topic};
use super::settings::Settings;

/// The first version with record batches v2 and aborted transactions (Kafka 0.11).
const OLDEST: i16 = 4;
/// The first version that tells where the client stands.
const WITH_RACK: i16 = 11;
/// The first version that tells which epoch was read last.
const WITH_LAST_EPOCH: i16 = 12;
/// The last version that names topics.
const WITH_NAMES: i16 = 12;

/// The versions in which `ask` can be sent: topics go by their ids where all of these are known.
pub(super) fn versions(ask: &Ask, topics: &[Topic]) -> RangeInclusive<i16> {
    let has_ids = ask.rows.iter().all(|row| !topics[row.topic].id.is_nil());
    OLDEST..=if has_ids { WITH_IDS } else { WITH_NAMES }
}

/// What `ask` is as a request of a version; without a session, so that nothing has to be remembered on either side.
pub(super) fn build(
    ask: &Ask,
    topics: &[Topic],
    settings: &Settings,
) -> impl FnOnce(i16) -> FetchRequest + use<> {
    // Neighbours of one topic share its name; a topic may come again later.
    let groups = ask.rows.chunk_by(|a, b| a.topic == b.topic);
    let groups = groups.map(|rows| {
        let topic = &topics[rows[0].topic];
        FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_string(topic.name.clone())))
            .with_topic_id(topic.id)
            .with_partitions(rows.iter().map(row).collect())
    });
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(settings.max_wait.as_millis().min(i32::MAX as u128) as i32)
        .with_min_bytes(settings.min_bytes)
        .with_max_bytes(ask.max_bytes)
        .with_isolation_level(settings.isolation.level())
        .with_topics(groups.collect());
    // Without a rack the leader answers itself.
    let rack = if ask.wants_leader {
        String::new()
    } else {
        settings.rack.clone()
    };
    move |version| fit(request, version, rack)
}

/// Leaves out what the version does not have.
fn fit(mut request: FetchRequest, version: i16, rack: String) -> FetchRequest {
    if version < WITH_LAST_EPOCH {
        let partitions = request.topics.iter_mut().flat_map(|t| &mut t.partitions);
        partitions.for_each(|partition| partition.last_fetched_epoch = -1);
    }
    if version < WITH_RACK {
        return request;
    }
    request.with_rack_id(StrBytes::from_string(rack))
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
