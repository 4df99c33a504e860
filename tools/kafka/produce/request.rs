//! The Produce request and its response (ProduceRequest.json, ProduceResponse.json).

use std::io;
use std::ops::RangeInclusive;

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ProduceRequest, ProduceResponse,
    TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::accumulator::{PartitionResult, ProducePlan, ProduceResult, ProducerId};
use super::settings::ProduceSettings;
use crate::kafka::batch::Codec;
use crate::kafka::error::code;

/// The first version with record batches v2 (Kafka 0.11).
const OLDEST: i16 = 3;
/// The first version with zstd (KIP-110).
const WITH_ZSTD: i16 = 7;
/// The last version whose response holds no arrays in tagged fields.
const NEWEST: i16 = 9;

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

/// The request, and the bytes of its batches, which are to be put back.
pub(super) fn build(
    plan: &mut ProducePlan,
    settings: &ProduceSettings,
    names: &[StrBytes],
) -> io::Result<(ProduceRequest, Vec<Bytes>)> {
    let is_transactional = settings.transactional_id.is_some();
    let mut topics: Vec<(usize, TopicProduceData)> = Vec::new();
    let mut bodies = Vec::with_capacity(plan.batches.len());
    plan.batches.sort_by_key(|planned| planned.topic);
    for planned in &mut plan.batches {
        let (codec, level) = (settings.codec, settings.compression_level);
        let bytes = match planned.batch.take_bytes(codec, level, is_transactional) {
            Ok(bytes) => bytes,
            Err(error) => {
                put_back(plan, bodies);
                return Err(error);
            }
        };
        bodies.push(bytes.clone());
        let partition = PartitionProduceData::default()
            .with_index(planned.partition as i32)
            .with_records(Some(bytes));
        match topics.last_mut() {
            Some((topic, data)) if *topic == planned.topic => {
                data.partition_data.push(partition);
            }
            _ => {
                let data = TopicProduceData::default()
                    .with_name(TopicName(names[planned.topic].clone()))
                    .with_partition_data(vec![partition]);
                topics.push((planned.topic, data));
            }
        }
    }
    let id = settings.transactional_id.clone();
    let request = ProduceRequest::default()
        .with_transactional_id(id.map(|id| TransactionalId(StrBytes::from_string(id))))
        .with_acks(settings.acks)
        .with_timeout_ms(settings.ack_timeout_ms)
        .with_topic_data(topics.into_iter().map(|(_, data)| data).collect());
    Ok((request, bodies))
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

/// Gives the batches their bytes again.
pub(super) fn put_back(plan: &mut ProducePlan, bodies: Vec<Bytes>) {
    for (planned, bytes) in plan.batches.iter_mut().zip(bodies) {
        planned.batch.put_back(bytes);
    }
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
