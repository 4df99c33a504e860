//! A response that fits its layout is one that kafka-protocol decodes.

use bytes::Bytes as Shared;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;
use proptest::prelude::*;

use super::Kind::{Bytes, Fixed, FixedArray, NullableStruct, Struct, StructArray, Text, TextArray};
use super::*;

/// Writes a response of a layout, with lengths and counts from `choices`.
struct Writer<'c> {
    out: Vec<u8>,
    choices: &'c [u8],
    at: usize,
    version: i16,
    is_flexible: bool,
}

impl Writer<'_> {
    fn choice(&mut self) -> usize {
        self.at += 1;
        (self.choices[self.at % self.choices.len()] % 3).into()
    }

    fn length(&mut self, length: usize, plain_bytes: usize) {
        match (self.is_flexible, plain_bytes) {
            (true, _) => self.out.push(length as u8 + 1),
            (false, 2) => self.out.extend((length as i16).to_be_bytes()),
            (false, _) => self.out.extend((length as i32).to_be_bytes()),
        }
    }

    fn fields(&mut self, fields: &[Field]) {
        let version = self.version;
        for field in fields.iter().filter(|f| (f.from..=f.to).contains(&version)) {
            self.field(field.kind);
        }
        if self.is_flexible {
            self.out.push(0);
        }
    }

    fn field(&mut self, kind: Kind) {
        let count = self.choice();
        match kind {
            Fixed(size) => self.out.extend(vec![1; size]),
            Text | Bytes => {
                self.length(count, if matches!(kind, Text) { 2 } else { 4 });
                self.out.extend(vec![b'a'; count]);
            }
            FixedArray(size) => {
                self.length(count, 4);
                self.out.extend(vec![1; size * count]);
            }
            TextArray => {
                self.length(count, 4);
                (0..count).for_each(|_| self.field(Text));
            }
            Struct(fields) => self.fields(fields),
            NullableStruct(_) if count == 0 => self.out.push(0xff),
            NullableStruct(fields) => {
                self.out.push(1);
                self.fields(fields);
            }
            StructArray(fields) => {
                self.length(count, 4);
                (0..count).for_each(|_| self.fields(fields));
            }
        }
    }
}

fn write(layout: Layout, version: i16, choices: &[u8]) -> Vec<u8> {
    let mut writer = Writer {
        out: Vec::new(),
        choices,
        at: 0,
        version,
        is_flexible: version >= layout.flexible_from,
    };
    writer.fields(layout.fields);
    writer.out
}

/// kafka-protocol decodes all bytes of a response that matches its layout; a cut or changed one does not end the process.
fn agrees<R: Request>(
    newest: i16,
    choices: &[u8],
    changes: &[(prop::sample::Index, u8)],
) -> Result<(), TestCaseError> {
    use kafka_protocol::protocol::Decodable as _;
    let layout = Layout::of(R::KEY).expect("a layout");
    for version in R::Response::VERSIONS.min..=R::Response::VERSIONS.max.min(newest) {
        let mut body = write(layout, version, choices);
        prop_assert!(layout.matches(&body, version), "{:?} v{version}", R::KEY);
        let mut bytes = Shared::from(body.clone());
        let decoded = R::Response::decode(&mut bytes, version).map(drop);
        prop_assert!(decoded.is_ok(), "API {} v{version}: {decoded:?}", R::KEY);
        prop_assert_eq!(bytes.len(), 0, "API {} v{}", R::KEY, version);
        prop_assert!(!layout.matches(&body[..body.len() - 1], version));
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = *byte;
        }
        if layout.matches(&body, version) {
            // It may be malformed; decoding must return.
            drop(R::Response::decode(&mut Shared::from(body), version));
        }
    }
    Ok(())
}

use kafka_protocol::protocol::Message as _;

proptest! {
    #[test]
    fn a_layout_agrees_with_the_schema_in_every_version(
        choices in proptest::collection::vec(any::<u8>(), 1..40),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let all = i16::MAX;
        agrees::<MetadataRequest>(all, &choices, &changes)?;
        agrees::<ListOffsetsRequest>(all, &choices, &changes)?;
        agrees::<OffsetFetchRequest>(all, &choices, &changes)?;
        agrees::<FindCoordinatorRequest>(all, &choices, &changes)?;
        agrees::<ListGroupsRequest>(all, &choices, &changes)?;
        agrees::<DescribeGroupsRequest>(all, &choices, &changes)?;
        agrees::<ConsumerGroupDescribeRequest>(all, &choices, &changes)?;
        agrees::<ShareGroupDescribeRequest>(all, &choices, &changes)?;
        agrees::<DescribeLogDirsRequest>(all, &choices, &changes)?;
        agrees::<DescribeConfigsRequest>(all, &choices, &changes)?;
        agrees::<CreateTopicsRequest>(all, &choices, &changes)?;
        agrees::<OffsetCommitRequest>(all, &choices, &changes)?;
        agrees::<OffsetDeleteRequest>(all, &choices, &changes)?;
        agrees::<DescribeClusterRequest>(all, &choices, &changes)?;
        agrees::<ShareGroupHeartbeatRequest>(all, &choices, &changes)?;
        agrees::<AlterShareGroupOffsetsRequest>(all, &choices, &changes)?;
        agrees::<DeleteShareGroupOffsetsRequest>(all, &choices, &changes)?;
        agrees::<AddPartitionsToTxnRequest>(3, &choices, &changes)?;
        agrees::<TxnOffsetCommitRequest>(3, &choices, &changes)?;
        // From 10 on a tagged field holds an array.
        agrees::<ProduceRequest>(9, &choices, &changes)?;
        // From 16 on a tagged field holds an array.
        agrees::<FetchRequest>(15, &choices, &changes)?;
    }
}

#[test]
fn a_count_larger_than_the_rest_of_the_response_does_not_match() {
    let metadata = Layout::of(ApiKey::Metadata as i16).expect("a layout");
    assert!(!metadata.matches(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f], 12));
    assert!(!metadata.matches(&[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], 4));
}
