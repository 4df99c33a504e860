//! No answer of a broker and nothing that another client left there makes a reader panic or take memory that the bytes don't fill.
//!
//! Run it from the root of the repository: `.ci/fuzz read_answers`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the library's own"
)]

// The pure modules by their path, so that fuzzing needs no librdkafka.
#[path = "../../../tools/kafka/fetch/response.rs"]
mod fetch_response;
#[path = "../../../tools/kafka/admin/assignment.rs"]
mod assignment;
#[path = "../../../tools/kafka/primitives.rs"]
mod primitives;
#[path = "../../../tools/kafka/admin/share_response.rs"]
mod share_response;

#[path = "../../../tools/kafka/admin/streams_response.rs"]
mod streams_response;

use libfuzzer_sys::fuzz_target;
use share_response::ShareOffsetsResponse;
use streams_response::StreamsGroupsResponse;

fuzz_target!(|data: &[u8]| {
    // A topic takes at least its name's length and a count, a partition four bytes.
    let assigned = assignment::assigned(data);
    let partitions: usize = assigned
        .iter()
        .map(|(_, partitions)| partitions.len())
        .sum();
    assert!(assigned.len() * 6 + partitions * 4 <= data.len());
    for version in 4..=12 {
        if let Ok(response) = fetch_response::FetchResponse::parse(data, version) {
            // A partition has at least two offsets, an aborted transaction too; the records follow each other.
            let partitions = &response.partitions;
            let aborted = partitions.iter().map(|partition| partition.aborted.len());
            assert!((partitions.len() + aborted.sum::<usize>()) * 16 <= data.len());
            let mut end = 0;
            for partition in partitions {
                let records = partition.records.clone();
                assert!(records.is_empty() || records.start >= end);
                end = records.end;
                assert!(data.get(records).is_some());
            }
        }
    }
    for version in 0..=1 {
        if let Some(response) = ShareOffsetsResponse::read(data, version) {
            assert!(response.groups.len() <= data.len());
        }
    }
    if let Some(response) = StreamsGroupsResponse::read(data, 0) {
        let members = response.groups.iter().map(|group| group.members.len());
        assert!(response.groups.len() + members.sum::<usize>() <= data.len());
    }
});
