//! The parser agrees with kafka-protocol.

use bytes::Bytes;
use kafka_protocol::messages::FetchResponse as SchemaResponse;
use kafka_protocol::protocol::Decodable;
use proptest::prelude::*;

use super::super::response::{FetchResponse, TopicRef};
use super::{PartitionBuilder, response_body, topic_id};

fn parts() -> Vec<PartitionBuilder> {
    vec![
        PartitionBuilder {
            id: 3,
            high_watermark: 100,
            last_stable_offset: 90,
            aborted: vec![(7, 80), (8, 85)],
            records: vec![1; 300],
            ..PartitionBuilder::default()
        },
        PartitionBuilder {
            id: 4,
            error: 6,
            high_watermark: -1,
            last_stable_offset: -1,
            preferred_replica: Some(2),
            diverging: Some((5, 60)),
            ..PartitionBuilder::default()
        },
    ]
}

#[test]
fn every_version_is_parsed_as_kafka_protocol_decodes_it() {
    for version in 4..=13 {
        let body = response_body(version, "orders", &parts());
        let response = FetchResponse::parse(&body, version).expect("well-formed");
        let mut bytes = Bytes::from(body.clone());
        let schema = SchemaResponse::decode(&mut bytes, version).expect("well-formed");
        assert_eq!(response.throttle_ms, schema.throttle_time_ms);
        assert_eq!(response.partitions.len(), 2, "v{version}");
        for (partition, expected) in response
            .partitions
            .iter()
            .zip(&schema.responses[0].partitions)
        {
            let expected_topic = match version {
                13.. => TopicRef::Id(topic_id("orders").into_bytes()),
                _ => TopicRef::Name(schema.responses[0].topic.as_str()),
            };
            assert_eq!(partition.topic, expected_topic);
            assert_eq!(partition.partition, expected.partition_index);
            assert_eq!(partition.error, expected.error_code);
            assert_eq!(partition.high_watermark, expected.high_watermark);
            assert_eq!(partition.last_stable_offset, expected.last_stable_offset);
            let aborted = expected.aborted_transactions.iter().flatten();
            let aborted: Vec<_> = aborted
                .map(|it| (it.producer_id.0, it.first_offset))
                .collect();
            assert_eq!(partition.aborted, aborted);
            let replica = expected.preferred_read_replica.0;
            assert_eq!(partition.preferred_replica.unwrap_or(-1), replica);
            let diverging = (
                expected.diverging_epoch.epoch,
                expected.diverging_epoch.end_offset,
            );
            assert_eq!(partition.diverging.unwrap_or((-1, -1)), diverging);
            let records = expected.records.clone().unwrap_or_default();
            assert_eq!(body[partition.records.clone()], records);
        }
    }
}

#[test]
fn a_cut_response_is_an_error_with_its_position() {
    for version in [4, 11, 12, 13] {
        let body = response_body(version, "orders", &parts());
        for cut in 0..body.len() {
            let error = FetchResponse::parse(&body[..cut], version).expect_err("a part is missing");
            assert!(error.to_string().contains(&format!("of {cut}")), "{error}");
        }
    }
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(
        version in 4..=13i16,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut body = response_body(version, "orders", &parts());
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(response) = FetchResponse::parse(&body, version) {
            for partition in response.partitions {
                prop_assert!(partition.records.end <= body.len());
            }
        }
    }
}
