//! Who is in groups of Kafka Streams: `StreamsGroupDescribe` (KIP-1071).

use bytes::BufMut;

use super::handmade::{handmade, put_text, put_varint};
use super::streams_response::StreamsGroupsResponse;

/// The request: all about these groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StreamsGroupsRequest {
    pub(super) groups: Vec<String>,
}

handmade!(StreamsGroupsRequest, StreamsGroupsResponse, key: 89, versions: 0..=0);

impl StreamsGroupsRequest {
    fn write(&self, buf: &mut impl BufMut) {
        put_varint(buf, self.groups.len() as u32 + 1);
        for group in &self.groups {
            put_text(buf, group);
        }
        // Not what one may do with them; and no tags.
        buf.put_slice(&[0, 0]);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::{Bytes, BytesMut};
    use kafka_protocol::protocol::{Decodable as _, Encodable as _};

    use super::super::streams_response::Member;
    use super::*;

    #[test]
    fn groups_are_asked_for_by_their_names() {
        let request = StreamsGroupsRequest {
            groups: vec!["ab".into(), "c".into()],
        };
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, 0).unwrap();
        assert_eq!(&bytes[..], b"\x03\x03ab\x02c\0\0");
        assert_eq!(request.compute_size(0).unwrap(), bytes.len());
    }

    /// Group "g": subtopology "0" reads "in" and its repartition topic "re"; member "m" has task 0_1.
    const ANSWER: &[u8] = b"\0\0\0\0\x02\
        \0\0\0\x02g\x07Stable\0\0\0\x01\0\0\0\x01\
        \x01\0\0\0\0\x02\x020\x02\x03in\x01\x01\x02\x03re\0\0\0\x02\0\x01\x02\x02k\x02v\0\0\0\0\
        \x02\x02m\0\0\0\x01\0\0\x02c\x0b/127.0.0.1\0\0\0\0\x02p\x01\x02h\x1f\x90\0\x01\
        \x02\x020\0\0\0\x01\0\0\0\0\0\0\0\x05\0\x01\
        \x02\x020\x02\0\0\0\x01\0\x01\x01\0\x01\x01\x01\0\0\0\
        \x80\0\0\0\0\0";

    #[test]
    fn a_member_has_the_partitions_that_its_tasks_read() {
        let response = StreamsGroupsResponse::decode(&mut Bytes::from_static(ANSWER), 0).unwrap();
        let group = &response.groups[0];
        assert_eq!(
            (group.id.as_str(), group.state.as_str(), group.error_code),
            ("g", "Stable", 0)
        );
        let member = Member {
            id: "m".to_owned(),
            client: "c".to_owned(),
            host: "/127.0.0.1".to_owned(),
            active: vec![("0".to_owned(), vec![1])],
        };
        assert_eq!(group.members, [member]);
        let expected: [(Arc<str>, Vec<i32>); 2] = [("in".into(), vec![1]), ("re".into(), vec![1])];
        assert_eq!(group.members[0].partitions(&group.sources), expected);
    }

    #[test]
    fn an_answer_that_is_cut_is_malformed_everywhere() {
        for end in 0..ANSWER.len() {
            assert_eq!(
                StreamsGroupsResponse::read(&ANSWER[..end], 0),
                None,
                "cut at {end}"
            );
        }
    }
}
