//! `ShareFetch` and `ShareAcknowledge`, versions 1 and 2 (KIP-932, KIP-1206, KIP-1222).
//!
//! kafka-protocol has version 1 only, which can't limit what is locked to a number of records.

use std::collections::BTreeMap;

use bytes::BufMut;
use uuid::Uuid;

use super::response::{ShareAcknowledgeResponse, ShareResponse};
use crate::kafka::admin::handmade::{handmade, put_text, put_varint};

/// A topic's id and a partition's number.
pub(super) type PartitionId = (Uuid, i32);

/// What becomes of records, as `AcknowledgeType.java` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// There is no record at this offset.
    Gap = 0,
    /// It was processed.
    Accept = 1,
    /// It is to be delivered again.
    Release = 2,
    /// It can't be processed, and is never delivered again.
    Reject = 3,
    /// It is still being processed: the lock begins anew (since version 2).
    Renew = 4,
}

/// The same acknowledgement for all offsets of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AckRange {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) kind: Acknowledgement,
}

/// Acknowledgements by partition.
pub(super) type Acks = BTreeMap<PartitionId, Vec<AckRange>>;

/// What both requests begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionHead {
    pub(super) group: String,
    pub(super) member: String,
    /// 0 opens a session, -1 closes it.
    pub(super) epoch: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShareFetchRequest {
    pub(super) version: i16,
    pub(super) head: SessionHead,
    pub(super) max_wait_ms: i32,
    pub(super) max_bytes: i32,
    pub(super) max_records: i32,
    /// Whether not one record more may be locked, at the price of batches that are acknowledged in parts.
    pub(super) is_record_limit: bool,
    /// Partitions to add to the session, and those with acknowledgements.
    pub(super) partitions: Acks,
    /// Partitions to remove from the session.
    pub(super) forgotten: Vec<PartitionId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShareAcknowledgeRequest {
    pub(super) version: i16,
    pub(super) head: SessionHead,
    pub(super) acks: Acks,
}

handmade!(ShareFetchRequest, ShareResponse, key: 78, versions: 1..=2);
handmade!(ShareAcknowledgeRequest, ShareAcknowledgeResponse, key: 79, versions: 1..=2);

impl ShareFetchRequest {
    fn write(&self, buf: &mut impl BufMut) {
        put_head(buf, &self.head);
        buf.put_i32(self.max_wait_ms);
        // The first byte ends the wait.
        buf.put_i32(1);
        buf.put_i32(self.max_bytes);
        buf.put_i32(self.max_records);
        // The size of the batches in which records are locked.
        buf.put_i32(self.max_records);
        if self.version >= 2 {
            buf.put_i8(i8::from(self.is_record_limit));
            // Acknowledgements that renew go with ShareAcknowledge.
            buf.put_u8(0);
        }
        put_acks(buf, &self.partitions);
        put_forgotten(buf, &self.forgotten);
        buf.put_u8(0);
    }
}

impl ShareAcknowledgeRequest {
    fn write(&self, buf: &mut impl BufMut) {
        put_head(buf, &self.head);
        if self.version >= 2 {
            let mut ranges = self.acks.values().flatten();
            let renews = ranges.any(|range| range.kind == Acknowledgement::Renew);
            buf.put_u8(u8::from(renews));
        }
        put_acks(buf, &self.acks);
        buf.put_u8(0);
    }
}

fn put_head(buf: &mut impl BufMut, head: &SessionHead) {
    put_text(buf, &head.group);
    put_text(buf, &head.member);
    buf.put_i32(head.epoch);
}

fn by_topic<T>(
    partitions: impl Iterator<Item = (PartitionId, T)>,
) -> BTreeMap<Uuid, Vec<(i32, T)>> {
    let mut topics: BTreeMap<Uuid, Vec<(i32, T)>> = BTreeMap::new();
    for ((topic, partition), value) in partitions {
        topics.entry(topic).or_default().push((partition, value));
    }
    topics
}

fn put_length(buf: &mut impl BufMut, length: usize) {
    put_varint(buf, length as u32 + 1);
}

fn put_acks(buf: &mut impl BufMut, acks: &Acks) {
    let topics = by_topic(acks.iter().map(|(&id, ranges)| (id, ranges)));
    put_length(buf, topics.len());
    for (topic, partitions) in topics {
        buf.put_slice(topic.as_bytes());
        put_length(buf, partitions.len());
        for (partition, ranges) in partitions {
            buf.put_i32(partition);
            put_length(buf, ranges.len());
            for range in ranges {
                buf.put_i64(range.first);
                buf.put_i64(range.last);
                // One type for all of its offsets.
                put_length(buf, 1);
                buf.put_i8(range.kind as i8);
                buf.put_u8(0);
            }
            buf.put_u8(0);
        }
        buf.put_u8(0);
    }
}

fn put_forgotten(buf: &mut impl BufMut, forgotten: &[PartitionId]) {
    let topics = by_topic(forgotten.iter().map(|&id| (id, ())));
    put_length(buf, topics.len());
    for (topic, partitions) in topics {
        buf.put_slice(topic.as_bytes());
        put_length(buf, partitions.len());
        for (partition, ()) in partitions {
            buf.put_i32(partition);
        }
        buf.put_u8(0);
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages as peer;
    use kafka_protocol::protocol::Decodable as _;

    use super::*;

    fn acks() -> Acks {
        let ranges = vec![
            AckRange {
                first: 3,
                last: 4,
                kind: Acknowledgement::Accept,
            },
            AckRange {
                first: 9,
                last: 9,
                kind: Acknowledgement::Reject,
            },
        ];
        [
            ((Uuid::from_u128(1), 0), ranges),
            ((Uuid::from_u128(1), 2), Vec::new()),
        ]
        .into()
    }

    fn head() -> SessionHead {
        SessionHead {
            group: "jobs".to_owned(),
            member: "me".to_owned(),
            epoch: 7,
        }
    }

    fn encoded(request: &impl kafka_protocol::protocol::Encodable, version: i16) -> bytes::Bytes {
        let mut bytes = bytes::BytesMut::new();
        request.encode(&mut bytes, version).expect("encoded");
        bytes.freeze()
    }

    #[test]
    fn kafka_protocol_reads_version_1_of_both() {
        let fetch = ShareFetchRequest {
            version: 1,
            head: head(),
            max_wait_ms: 500,
            max_bytes: 1000,
            max_records: 5,
            is_record_limit: true,
            partitions: acks(),
            forgotten: vec![(Uuid::from_u128(2), 5)],
        };
        let read = peer::ShareFetchRequest::decode(&mut encoded(&fetch, 1), 1).expect("decoded");
        assert_eq!((read.max_wait_ms, read.max_records), (500, 5));
        assert_eq!(read.share_session_epoch, 7);
        let topic = &read.topics[0];
        assert_eq!(topic.topic_id, Uuid::from_u128(1));
        let batch = &topic.partitions[0].acknowledgement_batches[1];
        assert_eq!((batch.first_offset, batch.last_offset), (9, 9));
        assert_eq!(batch.acknowledge_types, [3]);
        assert_eq!(topic.partitions[1].partition_index, 2);
        assert_eq!(read.forgotten_topics_data[0].partitions, [5]);

        let acknowledge = ShareAcknowledgeRequest {
            version: 1,
            head: head(),
            acks: acks(),
        };
        let bytes = &mut encoded(&acknowledge, 1);
        let read = peer::ShareAcknowledgeRequest::decode(bytes, 1).expect("decoded");
        assert_eq!(read.group_id.expect("a group").as_str(), "jobs");
        assert_eq!(read.topics[0].partitions.len(), 2);
    }

    #[test]
    fn version_2_says_whether_a_lock_is_renewed() {
        let mut request = ShareAcknowledgeRequest {
            version: 2,
            head: head(),
            acks: acks(),
        };
        let after_head = 1 + 4 + 1 + 2 + 4;
        assert_eq!(encoded(&request, 2)[after_head], 0);
        for range in request.acks.values_mut().flatten() {
            range.kind = Acknowledgement::Renew;
        }
        assert_eq!(encoded(&request, 2)[after_head], 1);
    }
}
