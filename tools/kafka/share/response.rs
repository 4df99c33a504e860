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

/// One partition of a response to `ShareFetch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FetchedPartition {
    pub(super) id: PartitionId,
    pub(super) error: Option<KafkaError>,
    pub(super) ack_error: Option<KafkaError>,
    /// Record batches; they may hold more than what was acquired.
    pub(super) records: Bytes,
    pub(super) acquired: Vec<AcquiredRange>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShareFetchResponse {
    pub(super) error: Option<KafkaError>,
    /// How long acquired records are locked.
    pub(super) lock_timeout_ms: i32,
    pub(super) partitions: Vec<FetchedPartition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShareAcknowledgeResponse {
    pub(super) error: Option<KafkaError>,
    /// Why the acknowledgements of a partition were not taken.
    pub(super) errors: Vec<(PartitionId, KafkaError)>,
}

impl ShareFetchResponse {
    pub(super) fn read(bytes: &Bytes, _version: i16) -> Option<ShareFetchResponse> {
        let mut reader = PrimitiveReader(bytes);
        let _throttle_ms = reader.i32()?;
        let error = read_error(&mut reader)?.err();
        let lock_timeout_ms = reader.i32()?;
        let topics = reader.compact_list(|reader| {
            let topic = Uuid::from_bytes(reader.array()?);
            let partitions = reader.compact_list(|reader| read_partition(reader, topic, bytes))?;
            reader.skip_tags()?;
            Some(partitions)
        })?;
        Some(ShareFetchResponse {
            error,
            lock_timeout_ms,
            partitions: topics.into_iter().flatten().collect(),
        })
    }
}

fn read_partition(
    reader: &mut PrimitiveReader<'_>,
    topic: Uuid,
    bytes: &Bytes,
) -> Option<FetchedPartition> {
    let partition = reader.i32()?;
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
    reader.skip_tags()?;
    Some(FetchedPartition {
        id: (topic, partition),
        error,
        ack_error,
        records,
        acquired,
    })
}

impl ShareAcknowledgeResponse {
    pub(super) fn read(bytes: &Bytes, version: i16) -> Option<ShareAcknowledgeResponse> {
        let mut reader = PrimitiveReader(bytes);
        let _throttle_ms = reader.i32()?;
        let error = read_error(&mut reader)?.err();
        if version >= 2 {
            let _lock_timeout_ms = reader.i32()?;
        }
        let topics = reader.compact_list(|reader| {
            let topic = Uuid::from_bytes(reader.array()?);
            let partitions = reader.compact_list(|reader| {
                let partition = reader.i32()?;
                let error = read_error(reader)?.err();
                skip_leader(reader)?;
                reader.skip_tags()?;
                Some(((topic, partition), error))
            })?;
            reader.skip_tags()?;
            Some(partitions)
        })?;
        let failed = |(id, error): (PartitionId, Option<KafkaError>)| Some((id, error?));
        Some(ShareAcknowledgeResponse {
            error,
            errors: topics.into_iter().flatten().filter_map(failed).collect(),
        })
    }
}

/// A code and the broker's message, which is often empty.
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
        let read = ShareFetchResponse::read(&fetch_response(), 1).expect("well-formed");
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
            assert_eq!(
                ShareFetchResponse::read(&whole.slice(..end), 1),
                None,
                "{end}"
            );
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
        let error = KafkaError::new(121, "the lock is gone");
        assert_eq!(read.errors, [((Uuid::from_u128(1), 3), error)]);
    }
}
