//! How far share groups have come: `DescribeShareGroupOffsets` (KIP-932).
//!
//! A share group's records are acknowledged one by one, so its lag is not the
//! distance to the end: only the broker can count what is left, and it does
//! since version 1 (KIP-1226), which kafka-protocol does not have yet. The
//! messages are small and written out here.

use std::sync::Arc;

use bytes::BufMut;

use super::groups::{
    GROUPS_A_REQUEST, ask_coordinators, chunks_by_broker, not_in_answer, place_by_name,
};
use super::handmade::{handmade, put_text, put_varint};
use super::query_budget::{ANY_VERSION, QueryBudget};
use super::share_response::{Group, ShareOffsetsResponse};
use crate::kafka::error::KafkaError;
use crate::kafka::wire::Wire;

/// Where a share group is in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharePosition {
    pub topic: Arc<str>,
    pub partition: i32,
    /// The first record not yet dealt with; none where nothing was read yet.
    pub start: Option<i64>,
    /// How many records are left, if the broker reports it.
    pub lag: Option<i64>,
    /// Why the broker can't say.
    pub error: Option<KafkaError>,
}

/// Where each of `groups` is, by its name and its coordinator; in their order.
pub fn share_offsets(
    wire: &mut Wire<'_>,
    groups: &[(&str, i32)],
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Vec<SharePosition>, KafkaError>> {
    ask_coordinators(wire, groups, budget, |wire, open, budget| {
        let group = |&(index, broker): &(usize, i32)| (groups[index].0, broker);
        let open: Vec<(&str, i32)> = open.iter().map(group).collect();
        share_offsets_once(wire, &open, budget)
    })
}

fn share_offsets_once(
    wire: &mut Wire<'_>,
    groups: &[(&str, i32)],
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<Vec<SharePosition>, KafkaError>> {
    let coordinators = groups.iter().map(|group| group.1).enumerate();
    let chunks = chunks_by_broker(coordinators, GROUPS_A_REQUEST);
    let requests = chunks.iter().map(|(broker, chunk)| {
        let name = |&index: &usize| groups[index].0.to_owned();
        let groups = chunk.iter().map(name).collect();
        (*broker, move |_| ShareOffsetsRequest { groups })
    });
    let replies = budget.fan_out::<ShareOffsetsRequest, _>(wire, &ANY_VERSION, requests.collect());
    let missing = |(name, _): &(&str, i32)| Err(not_in_answer(name));
    let mut answers: Vec<_> = groups.iter().map(missing).collect();
    for ((_, chunk), reply) in chunks.iter().zip(replies) {
        let described = reply.map(|reply| reply.groups.into_iter().map(described).collect());
        place_by_name(&mut answers, chunk, |index| groups[index].0, described);
    }
    answers
}

/// A group's name, and where it is unless the broker can't say.
fn described(group: Group) -> (String, Result<Vec<SharePosition>, KafkaError>) {
    let name = group.id.clone();
    let described = KafkaError::check(group.error_code).map(|()| positions(group));
    (name, described)
}

fn positions(group: Group) -> Vec<SharePosition> {
    let mut positions = Vec::new();
    for topic in group.topics {
        let name: Arc<str> = topic.name.into();
        positions.extend(topic.partitions.into_iter().map(|partition| SharePosition {
            topic: Arc::clone(&name),
            partition: partition.id,
            start: (partition.start >= 0).then_some(partition.start),
            lag: (partition.lag >= 0).then_some(partition.lag),
            error: KafkaError::of_answer(partition.error_code),
        }));
    }
    positions
}

/// The request: all partitions of these groups.
#[derive(Clone, Debug, Default, PartialEq)]
struct ShareOffsetsRequest {
    groups: Vec<String>,
}

// Version 1 brought the lag.
handmade!(ShareOffsetsRequest, ShareOffsetsResponse, key: 90, versions: 0..=1);

impl ShareOffsetsRequest {
    fn write(&self, buf: &mut impl BufMut) {
        put_varint(buf, self.groups.len() as u32 + 1);
        for group in &self.groups {
            put_text(buf, group);
            // No list of topics, which means all of them; and no tags.
            buf.put_slice(&[0, 0]);
        }
        buf.put_u8(0);
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::protocol::{Decodable as _, Encodable as _};

    use super::*;

    /// One group "g", one topic "t", partition 3 at offset 5 in epoch 2, with `lag` where there is one.
    fn response(lag: &[u8]) -> Bytes {
        let mut bytes = b"\0\0\0\0\x02\x02g\x02\x02t".to_vec();
        bytes.extend([7; 16]);
        bytes.extend(b"\x02\0\0\0\x03\0\0\0\0\0\0\0\x05\0\0\0\x02");
        bytes.extend(lag);
        bytes.extend(b"\0\0\0\0\0\0\0\0\0\0");
        bytes.into()
    }

    #[test]
    fn the_lag_is_reported_from_version_1() {
        for (version, lag, expected) in
            [(0, &[][..], None), (1, &[0, 0, 0, 0, 0, 0, 0, 9], Some(9))]
        {
            let response = ShareOffsetsResponse::decode(&mut response(lag), version).unwrap();
            let group = response.groups.into_iter().next().unwrap();
            let position = SharePosition {
                topic: "t".into(),
                partition: 3,
                start: Some(5),
                lag: expected,
                error: None,
            };
            assert_eq!(positions(group), [position]);
        }
        assert!(ShareOffsetsResponse::decode(&mut response(&[]), 1).is_err());
    }

    #[test]
    fn all_topics_of_a_group_are_asked_for() {
        let request = ShareOffsetsRequest {
            groups: vec!["ab".into(), "c".into()],
        };
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, 1).unwrap();
        assert_eq!(&bytes[..], b"\x03\x03ab\0\0\x02c\0\0\0");
        assert_eq!(request.compute_size(1).unwrap(), bytes.len());
    }
}
