//! The responses to `ShareFetch` and `ShareAcknowledge`, versions 1 and 2, checked as they are parsed.

use bytes::Bytes;
use uuid::Uuid;

use super::request::PartitionId;
use crate::kafka::error::KafkaError;
use crate::kafka::primitives::PrimitiveReader;

/// Records that are locked for this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AcquiredRange {
    pub(super) first: i64,
    pub(super) last: i64,
    /// How often they were delivered, this time included.
    pub(super) delivery_count: i16,
}

/// One partition of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartitionResponse {
    pub(super) id: PartitionId,
    pub(super) error: Option<KafkaError>,
    /// Why its acknowledgements were not taken.
    pub(super) ack_error: Option<KafkaError>,
    /// Record batches; they may hold more than what was acquired.
    pub(super) records: Bytes,
    pub(super) acquired: Vec<AcquiredRange>,
}

/// The response to `ShareFetch`; that to `ShareAcknowledge` has errors only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShareResponse {
    pub(super) error: Option<KafkaError>,
    /// How long acquired records are locked; 0 if it is not known.
    pub(super) lock_timeout_ms: i32,
    pub(super) partitions: Vec<PartitionResponse>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShareAcknowledgeResponse(pub(super) ShareResponse);

impl ShareResponse {
    pub(super) fn read(bytes: &Bytes, _version: i16) -> Option<ShareResponse> {
        read_response(bytes, true, |reader, id| fetched(reader, id, bytes))
    }
}

impl ShareAcknowledgeResponse {
    pub(super) fn read(bytes: &Bytes, version: i16) -> Option<ShareAcknowledgeResponse> {
        let response = read_response(bytes, version >= 2, |reader, id| {
            let ack_error = read_error(reader)?.err();
            skip_leader(reader)?;
            Some(PartitionResponse {
                id,
                ack_error,
                ..PartitionResponse::default()
            })
        });
        response.map(ShareAcknowledgeResponse)
    }
}

fn read_response(
    bytes: &Bytes,
    has_lock_timeout: bool,
    read_partition: impl Fn(&mut PrimitiveReader<'_>, PartitionId) -> Option<PartitionResponse>,
) -> Option<ShareResponse> {
    let mut reader = PrimitiveReader(bytes);
    let _throttle_ms = reader.i32()?;
    let error = read_error(&mut reader)?.err();
    let lock_timeout_ms = if has_lock_timeout { reader.i32()? } else { 0 };
    let topics = reader.compact_list(|reader| {
        let topic = Uuid::from_bytes(reader.array()?);
        let partitions = reader.compact_list(|reader| {
            let id = (topic, reader.i32()?);
            let partition = read_partition(reader, id)?;
            reader.skip_tags()?;
            Some(partition)
        })?;
        reader.skip_tags()?;
        Some(partitions)
    })?;
    Some(ShareResponse {
        error,
        lock_timeout_ms,
        partitions: topics.into_iter().flatten().collect(),
    })
}

fn fetched(
    reader: &mut PrimitiveReader<'_>,
    id: PartitionId,
    bytes: &Bytes,
) -> Option<PartitionResponse> {
    let error = read_error(reader)?.err();
    let ack_error = read_error(reader)?.err();
    skip_leader(reader)?;
    let size = reader.length(true)?;
    let records = bytes.slice_ref(reader.bytes(size)?);
    let acquired = reader.compact_list(|reader| {
        let range = AcquiredRange {
            first: reader.i64()?,
            last: reader.i64()?,
            delivery_count: reader.i16()?,
        };
        reader.skip_tags()?;
        Some(range)
    })?;
    Some(PartitionResponse {
        id,
        error,
        ack_error,
        records,
        acquired,
    })
}

/// An error code, 0 for none, and the broker's message, which is often empty.
fn read_error(reader: &mut PrimitiveReader<'_>) -> Option<Result<(), KafkaError>> {
    let code = reader.i16()?;
    let message = reader.compact_text()?;
    Some(match KafkaError::of_answer(code) {
        None => Ok(()),
        Some(error) if message.is_empty() => Err(error),
        Some(error) => Err(KafkaError::new(error.code, message)),
    })
}

/// The current leader: its id and epoch. The metadata is asked instead, which has its address, too.
fn skip_leader(reader: &mut PrimitiveReader<'_>) -> Option<()> {
    reader.bytes(8)?;
    reader.skip_tags()
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages as peer;
    use kafka_protocol::messages::share_acknowledge_response as acknowledge;
    use kafka_protocol::messages::share_fetch_response as fetch;
    use kafka_protocol::protocol::{Encodable as _, StrBytes};

    use super::*;

    fn fetch_response() -> Bytes {
        let acquired = fetch::AcquiredRecords::default()
            .with_first_offset(5)
            .with_last_offset(8)
            .with_delivery_count(2);
        let partition = fetch::PartitionData::default()
            .with_partition_index(3)
            .with_acknowledge_error_code(121)
            .with_records(Some(Bytes::from_static(b"batch")))
            .with_acquired_records(vec![acquired]);
        let topic = fetch::ShareFetchableTopicResponse::default()
            .with_topic_id(Uuid::from_u128(1))
            .with_partitions(vec![partition]);
        let response = peer::ShareFetchResponse::default()
            .with_acquisition_lock_timeout_ms(30_000)
            .with_responses(vec![topic]);
        let mut bytes = bytes::BytesMut::new();
        response.encode(&mut bytes, 1).expect("encoded");
        bytes.freeze()
    }

    #[test]
    fn acquired_records_come_with_their_bytes_and_the_time_of_their_lock() {
        let read = ShareResponse::read(&fetch_response(), 1).expect("well-formed");
        assert_eq!((read.error, read.lock_timeout_ms), (None, 30_000));
        let [partition] = &read.partitions[..] else {
            panic!("{:?}", read.partitions)
        };
        assert_eq!(partition.id, (Uuid::from_u128(1), 3));
        assert_eq!(partition.records, Bytes::from_static(b"batch"));
        let acquired = AcquiredRange {
            first: 5,
            last: 8,
            delivery_count: 2,
        };
        assert_eq!(partition.acquired, [acquired]);
        let code = partition.ack_error.as_ref().map(|error| error.code);
        assert_eq!((code, &partition.error), (Some(121), &None));
    }

    #[test]
    fn a_response_that_is_cut_anywhere_is_refused() {
        let whole = fetch_response();
        // The last byte ends the list of endpoints, which are not read.
        for end in 0..whole.len() - 2 {
            assert_eq!(ShareResponse::read(&whole.slice(..end), 1), None, "{end}");
        }
    }

    #[test]
    fn a_refused_acknowledgement_has_the_broker_s_words() {
        let partition = acknowledge::PartitionData::default()
            .with_partition_index(3)
            .with_error_code(121)
            .with_error_message(Some(StrBytes::from_static_str("the lock is gone")));
        let topic = acknowledge::ShareAcknowledgeTopicResponse::default()
            .with_topic_id(Uuid::from_u128(1))
            .with_partitions(vec![partition]);
        let response = peer::ShareAcknowledgeResponse::default().with_responses(vec![topic]);
        let mut bytes = bytes::BytesMut::new();
        response.encode(&mut bytes, 1).expect("encoded");
        let read = ShareAcknowledgeResponse::read(&bytes.freeze(), 1).expect("well-formed");
        let refused = PartitionResponse {
            id: (Uuid::from_u128(1), 3),
            ack_error: Some(KafkaError::new(121, "the lock is gone")),
            ..PartitionResponse::default()
        };
        assert_eq!(read.0.partitions, [refused]);
    }
}
