//! The pure parts of the fetch consumer: no broker, no clock.

mod delivery;
mod fetcher;
mod response;

use bytes::BytesMut;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{FetchResponse, TopicName};
use kafka_protocol::protocol::{Encodable as _, StrBytes};

/// One partition of a response.
#[derive(Clone, Debug, Default)]
struct PartitionBuilder {
    id: i32,
    error: i16,
    high_watermark: i64,
    last_stable_offset: i64,
    aborted: Vec<(i64, i64)>,
    preferred_replica: Option<i32>,
    diverging: Option<(i32, i64)>,
    records: Vec<u8>,
}

fn topic_id(name: &str) -> uuid::Uuid {
    uuid::Uuid::from_u128(name.bytes().map(u128::from).sum())
}

/// The body of a response with these partitions of one topic.
fn response_body(version: i16, topic: &str, partitions: &[PartitionBuilder]) -> Vec<u8> {
    let topic_response = FetchableTopicResponse::default()
        .with_partitions(partitions.iter().map(|part| part.data(version)).collect());
    let topic_response = match version {
        13.. => topic_response.with_topic_id(topic_id(topic)),
        _ => topic_response.with_topic(TopicName(StrBytes::from_string(topic.to_owned()))),
    };
    let response = FetchResponse::default()
        .with_throttle_time_ms(7)
        .with_responses(vec![topic_response]);
    let mut body = BytesMut::new();
    response.encode(&mut body, version).expect("encoded");
    body.to_vec()
}

impl PartitionBuilder {
    /// With the fields that this version has.
    fn data(&self, version: i16) -> PartitionData {
        let aborted = self.aborted.iter().map(|&(producer, first)| {
            AbortedTransaction::default()
                .with_producer_id(producer.into())
                .with_first_offset(first)
        });
        let mut data = PartitionData::default()
            .with_partition_index(self.id)
            .with_error_code(self.error)
            .with_high_watermark(self.high_watermark)
            .with_last_stable_offset(self.last_stable_offset)
            .with_aborted_transactions(Some(aborted.collect()))
            .with_records(Some(self.records.clone().into()));
        if let Some(replica) = self.preferred_replica.filter(|_| version >= 11) {
            data.preferred_read_replica = replica.into();
        }
        if let Some((epoch, offset)) = self.diverging.filter(|_| version >= 12) {
            data.diverging_epoch = EpochEndOffset::default()
                .with_epoch(epoch)
                .with_end_offset(offset);
        }
        data
    }
}
