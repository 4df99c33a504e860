//! The Produce request and its response (ProduceRequest.json, ProduceResponse.json).

use std::io;
use std::ops::RangeInclusive;

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ProduceResponse, TopicName,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::accumulator::{PartitionResult, PlannedBatch, ProducePlan, ProduceResult, ProducerId};
use super::settings::ProduceSettings;
use crate::kafka::batch::Codec;
use crate::kafka::error::code;

/// The first version with record batches v2 (Kafka 0.11).
const OLDEST: i16 = 3;
/// The first version with zstd (KIP-110).
const WITH_ZSTD: i16 = 7;
/// The last version without tagged fields; it names the records that a broker refuses (KIP-467).
const NEWEST: i16 = 8;

/// Another partition of the request was refused.
const OPERATION_NOT_ATTEMPTED: i32 = 55;

/// The versions in which batches of this codec can be sent.
pub(super) fn versions(codec: Codec) -> RangeInclusive<i16> {
    let oldest = match codec {
        Codec::Zstd => WITH_ZSTD,
        _ => OLDEST,
    };
    oldest..=NEWEST
}

/// The request, the same in all of these versions, in parts: the batches are not copied.
pub(super) fn encode(
    plan: &mut ProducePlan,
    settings: &ProduceSettings,
    names: &[StrBytes],
) -> io::Result<Vec<Bytes>> {
    plan.batches.sort_by_key(|planned| planned.topic);
    let mut parts = Vec::with_capacity(2 * plan.batches.len());
    let mut head = BytesMut::new();
    match &settings.transactional_id {
        Some(id) => put_text(id, &mut head),
        None => head.put_i16(-1),
    }
    head.put_i16(settings.acks);
    head.put_i32(settings.ack_timeout_ms);
    let is_same = |a: &PlannedBatch, b: &PlannedBatch| a.topic == b.topic;
    head.put_i32(plan.batches.chunk_by(is_same).count() as i32);
    for batches in plan.batches.chunk_by_mut(is_same) {
        put_text(&names[batches[0].topic], &mut head);
        head.put_i32(batches.len() as i32);
        for planned in batches {
            let (codec, level) = (settings.codec, settings.compression_level);
            let is_transactional = settings.transactional_id.is_some();
            let bytes = planned.batch.bytes(codec, level, is_transactional)?;
            head.put_i32(planned.partition as i32);
            head.put_i32(bytes.len() as i32);
            parts.push(head.split().freeze());
            parts.push(bytes);
        }
    }
    Ok(parts)
}

fn put_text(text: &str, out: &mut BytesMut) {
    out.put_i16(text.len() as i16);
    out.put_slice(text.as_bytes());
}

/// Adds partitions, by topic and number, to the open transaction.
pub(super) fn add_partitions(
    transactional_id: &str,
    producer: ProducerId,
    partitions: &[(usize, usize)],
    names: &[StrBytes],
) -> AddPartitionsToTxnRequest {
    let mut partitions = partitions.to_vec();
    partitions.sort_unstable();
    let topics = partitions.chunk_by(|a, b| a.0 == b.0).map(|rows| {
        AddPartitionsToTxnTopic::default()
            .with_name(TopicName(names[rows[0].0].clone()))
            .with_partitions(rows.iter().map(|row| row.1 as i32).collect())
    });
    let id = StrBytes::from_string(transactional_id.to_owned());
    AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(id))
        .with_v3_and_below_producer_id(producer.id.into())
        .with_v3_and_below_producer_epoch(producer.epoch)
        .with_v3_and_below_topics(topics.collect())
}

/// The code of the first partition that was not added; the coordinator adds all or none.
pub(super) fn added(response: &AddPartitionsToTxnResponse) -> i32 {
    let topics = response.results_by_topic_v3_and_below.iter();
    let rows = topics.flat_map(|topic| &topic.results_by_partition);
    let mut codes: Vec<i32> = rows.map(|row| row.partition_error_code.into()).collect();
    // The others were not attempted because of the first reason.
    codes.sort_by_key(|&code| matches!(code, code::NONE | OPERATION_NOT_ATTEMPTED));
    codes.first().copied().unwrap_or(code::NONE)
}

pub(super) fn result(response: ProduceResponse) -> ProduceResult {
    let text = |text: Option<StrBytes>| text.map(|text| text.to_string());
    let mut partitions = Vec::new();
    for topic in response.responses {
        for row in topic.partition_responses {
            let refused = row.record_errors.into_iter();
            partitions.push(PartitionResult {
                topic: topic.name.to_string(),
                partition: row.index,
                error: row.error_code.into(),
                message: text(row.error_message),
                records: refused
                    .map(|one| (one.batch_index, text(one.batch_index_error_message)))
                    .collect(),
            });
        }
    }
    ProduceResult {
        partitions,
        throttle_ms: response.throttle_time_ms,
    }
}
