//! A Fetch response is read as kafka-protocol reads it.

use bytes::Bytes;
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::protocol::Decodable;
use proptest::prelude::*;

use super::super::answer::{Answer, TopicRef};
use super::{Part, Response, topic_id};

fn parts() -> Vec<Part> {
    vec![
        Part {
            id: 3,
            high_watermark: 100,
            last_stable_offset: 90,
            aborted: vec![(7, 80), (8, 85)],
            records: vec![1; 300],
            ..Part::default()
        },
        Part {
            id: 4,
            error: 6,
            high_watermark: -1,
            last_stable_offset: -1,
            preferred_replica: Some(2),
            diverging: Some((5, 60)),
            ..Part::default()
        },
    ]
}

#[test]
fn every_version_is_read_as_the_schema_says() {
    for version in 4..=13 {
        let body = Response::of(version, "orders", &parts());
        let answer = Answer::parse(&body, version).expect("well-formed");
        let mut bytes = Bytes::from(body.clone());
        let schema = FetchResponse::decode(&mut bytes, version).expect("well-formed");
        assert_eq!(answer.throttle_ms, schema.throttle_time_ms);
        assert_eq!(answer.rows.len(), 2, "v{version}");
        for (row, expected) in answer.rows.iter().zip(&schema.responses[0].partitions) {
            let expected_topic = match version {
                13.. => TopicRef::Id(topic_id("orders").into_bytes()),
                _ => TopicRef::Name(schema.responses[0].topic.as_str()),
            };
            assert_eq!(row.topic, expected_topic);
            assert_eq!(row.partition, expected.partition_index);
            assert_eq!(row.error, expected.error_code);
            assert_eq!(row.high_watermark, expected.high_watermark);
            assert_eq!(row.last_stable_offset, expected.last_stable_offset);
            let aborted = expected.aborted_transactions.iter().flatten();
            let aborted: Vec<_> = aborted
                .map(|it| (it.producer_id.0, it.first_offset))
                .collect();
            assert_eq!(row.aborted, aborted);
            let replica = expected.preferred_read_replica.0;
            assert_eq!(row.preferred_replica.unwrap_or(-1), replica);
            let diverging = (
                expected.diverging_epoch.epoch,
                expected.diverging_epoch.end_offset,
            );
            assert_eq!(row.diverging.unwrap_or((-1, -1)), diverging);
            let records = expected.records.clone().unwrap_or_default();
            assert_eq!(body[row.records.clone()], records);
        }
    }
}

#[test]
fn a_response_that_is_cut_is_told_with_the_place() {
    for version in [4, 11, 12, 13] {
        let body = Response::of(version, "orders", &parts());
        for cut in 0..body.len() {
            let error = Answer::parse(&body[..cut], version).expect_err("a part is missing");
            assert!(error.to_string().contains(&format!("of {cut}")), "{error}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        version in 4..=13i16,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut body = Response::of(version, "orders", &parts());
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(answer) = Answer::parse(&body, version) {
            for row in answer.rows {
                prop_assert!(row.records.end <= body.len());
            }
        }
    }
}
