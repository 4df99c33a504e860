//! What brokers answer to `DescribeShareGroupOffsets` (KIP-932; `DescribeShareGroupOffsetsResponse.json` of Kafka).

use super::primitives::PrimitiveReader;

/// The response, without the texts that say what its codes do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ShareOffsetsResponse {
    pub(super) groups: Vec<Group>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) topics: Vec<Topic>,
    pub(super) error_code: i16,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Partition {
    pub(super) id: i32,
    pub(super) start: i64,
    pub(super) lag: i64,
    pub(super) error_code: i16,
}

impl ShareOffsetsResponse {
    /// Reads a whole response of this version; `None` where it is malformed.
    pub(super) fn read(bytes: &[u8], version: i16) -> Option<ShareOffsetsResponse> {
        let mut reader = PrimitiveReader(bytes);
        let _throttle_time_ms = reader.i32()?;
        let groups = reader.compact_list(|reader| group(reader, version))?;
        reader.skip_tags()?;
        Some(ShareOffsetsResponse { groups })
    }
}

fn group(reader: &mut PrimitiveReader<'_>, version: i16) -> Option<Group> {
    let id = reader.compact_text()?.to_owned();
    let topics = reader.compact_list(|reader| topic(reader, version))?;
    let error_code = reader.i16()?;
    let _error_message = reader.compact_text()?;
    reader.skip_tags()?;
    Some(Group {
        id,
        topics,
        error_code,
    })
}

fn topic(reader: &mut PrimitiveReader<'_>, version: i16) -> Option<Topic> {
    let name = reader.compact_text()?.to_owned();
    let _topic_id = reader.bytes(16)?;
    let partitions = reader.compact_list(|reader| partition(reader, version))?;
    reader.skip_tags()?;
    Some(Topic { name, partitions })
}

fn partition(reader: &mut PrimitiveReader<'_>, version: i16) -> Option<Partition> {
    let id = reader.i32()?;
    let start = reader.i64()?;
    let _leader_epoch = reader.i32()?;
    let lag = if version >= 1 { reader.i64()? } else { -1 };
    let error_code = reader.i16()?;
    let _error_message = reader.compact_text()?;
    reader.skip_tags()?;
    Some(Partition {
        id,
        start,
        lag,
        error_code,
    })
}
