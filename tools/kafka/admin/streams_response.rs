//! What brokers answer to `StreamsGroupDescribe` (KIP-1071; `StreamsGroupDescribeResponse.json` of Kafka).

use std::collections::HashMap;
use std::sync::Arc;

use super::primitives::PrimitiveReader;

/// The response, without what a reader's lag has nothing to do with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StreamsGroupsResponse {
    pub(super) groups: Vec<Group>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    pub(super) error_code: i16,
    pub(super) id: String,
    pub(super) state: String,
    /// The topics that each subtopology reads, its own repartition topics among them.
    pub(super) sources: HashMap<String, Vec<Arc<str>>>,
    pub(super) members: Vec<Member>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) client: String,
    pub(super) host: String,
    /// Subtopologies with the partitions that the member processes now.
    pub(super) active: Vec<(String, Vec<i32>)>,
}

impl Member {
    /// The partitions that its tasks read: a task has the same partition of every topic of its subtopology.
    ///
    /// A topic may have fewer partitions than its subtopology has tasks; which those are, only the topics know.
    pub(super) fn partitions(
        &self,
        sources: &HashMap<String, Vec<Arc<str>>>,
    ) -> Vec<(Arc<str>, Vec<i32>)> {
        let tasks = self.active.iter();
        tasks
            .flat_map(|(subtopology, partitions)| {
                let topics = sources.get(subtopology).into_iter().flatten();
                topics.map(|topic| (Arc::clone(topic), partitions.clone()))
            })
            .collect()
    }
}

impl StreamsGroupsResponse {
    /// Reads a whole response; `None` where it is malformed.
    pub(super) fn read(bytes: &[u8], _version: i16) -> Option<StreamsGroupsResponse> {
        let mut reader = PrimitiveReader(bytes);
        let _throttle_time_ms = reader.i32()?;
        let groups = reader.compact_list(group)?;
        reader.skip_tags()?;
        Some(StreamsGroupsResponse { groups })
    }
}

fn group(reader: &mut PrimitiveReader<'_>) -> Option<Group> {
    let error_code = reader.i16()?;
    let _error_message = reader.compact_text()?;
    let id = reader.compact_text()?.to_owned();
    let state = reader.compact_text()?.to_owned();
    let _group_epoch = reader.i32()?;
    let _assignment_epoch = reader.i32()?;
    let sources = reader.nullable(topology)?;
    let members = reader.compact_list(member)?;
    let _authorized_operations = reader.i32()?;
    reader.skip_tags()?;
    Some(Group {
        error_code,
        id,
        state,
        sources,
        members,
    })
}

fn topology(reader: &mut PrimitiveReader<'_>) -> Option<HashMap<String, Vec<Arc<str>>>> {
    let _epoch = reader.i32()?;
    let subtopologies = reader.compact_list(subtopology)?;
    reader.skip_tags()?;
    Some(subtopologies.into_iter().collect())
}

fn subtopology(reader: &mut PrimitiveReader<'_>) -> Option<(String, Vec<Arc<str>>)> {
    let id = reader.compact_text()?.to_owned();
    let mut sources = reader.compact_list(|reader| reader.compact_text().map(Arc::from))?;
    let _repartition_sinks = reader.compact_list(|reader| reader.compact_text().map(drop))?;
    let _changelogs = reader.compact_list(topic_info)?;
    sources.extend(reader.compact_list(topic_info)?);
    reader.skip_tags()?;
    Some((id, sources))
}

fn topic_info(reader: &mut PrimitiveReader<'_>) -> Option<Arc<str>> {
    let name = reader.compact_text()?.into();
    let _partitions = reader.i32()?;
    let _replication_factor = reader.i16()?;
    reader.compact_list(key_value)?;
    reader.skip_tags()?;
    Some(name)
}

fn key_value(reader: &mut PrimitiveReader<'_>) -> Option<()> {
    reader.compact_text()?;
    reader.compact_text()?;
    reader.skip_tags()
}

fn member(reader: &mut PrimitiveReader<'_>) -> Option<Member> {
    let id = reader.compact_text()?.to_owned();
    let _member_epoch = reader.i32()?;
    let _instance_id = reader.compact_text()?;
    let _rack_id = reader.compact_text()?;
    let client = reader.compact_text()?.to_owned();
    let host = reader.compact_text()?.to_owned();
    let _topology_epoch = reader.i32()?;
    let _process_id = reader.compact_text()?;
    reader.nullable(|reader| {
        let _host = reader.compact_text()?;
        let _port = reader.i16()?;
        reader.skip_tags()
    })?;
    reader.compact_list(key_value)?;
    let _task_offsets = reader.compact_list(task_offset)?;
    let _task_end_offsets = reader.compact_list(task_offset)?;
    let active = assignment(reader)?;
    let _target = assignment(reader)?;
    let _is_classic = reader.bytes(1)?;
    reader.skip_tags()?;
    Some(Member {
        id,
        client,
        host,
        active,
    })
}

fn task_offset(reader: &mut PrimitiveReader<'_>) -> Option<()> {
    let _subtopology = reader.compact_text()?;
    let _partition = reader.i32()?;
    let _offset = reader.i64()?;
    reader.skip_tags()
}

/// The active tasks; standby and warm-up tasks read changelogs, which no group commits.
fn assignment(reader: &mut PrimitiveReader<'_>) -> Option<Vec<(String, Vec<i32>)>> {
    let active = reader.compact_list(tasks)?;
    let _standby = reader.compact_list(tasks)?;
    let _warm_up = reader.compact_list(tasks)?;
    reader.skip_tags()?;
    Some(active)
}

fn tasks(reader: &mut PrimitiveReader<'_>) -> Option<(String, Vec<i32>)> {
    let subtopology = reader.compact_text()?.to_owned();
    let partitions = reader.compact_list(PrimitiveReader::i32)?;
    reader.skip_tags()?;
    Some((subtopology, partitions))
}
