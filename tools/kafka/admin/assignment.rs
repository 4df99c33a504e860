//! What the leader of a classic group assigned to a member: a version, then the message of that version (`ConsumerProtocolAssignment.json` of Kafka).
//!
//! The broker keeps it as the leader, which may be anybody's program, wrote it.

use std::sync::Arc;

use super::primitives::PrimitiveReader;

/// Topics with their partitions. Nothing where a client wrote it in a way of its own, which names no partitions for us.
pub(super) fn assigned(assignment: &[u8]) -> Vec<(Arc<str>, Vec<i32>)> {
    read(assignment).unwrap_or_default()
}

fn read(assignment: &[u8]) -> Option<Vec<(Arc<str>, Vec<i32>)>> {
    let mut reader = PrimitiveReader(assignment);
    // What newer versions add stands behind this.
    let _version = reader.i16()?;
    reader.list(|reader| {
        let topic = reader.text()?;
        Some((topic.into(), reader.list(PrimitiveReader::i32)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_topics_with_their_partitions() {
        let written = b"\0\x03\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x07\xff\xff\xff\xff";
        assert_eq!(assigned(written), [("t".into(), vec![0, 7])]);
        for end in 0..written.len() - 4 {
            assert_eq!(assigned(&written[..end]), [], "cut at {end}");
        }
    }

    #[test]
    fn a_count_is_not_believed_before_what_it_counts_is_there() {
        assert_eq!(assigned(b"\0\0\x7f\xff\xff\xff"), []);
        assert_eq!(
            assigned(b"\0\0\0\0\0\x01\0\x01t\x7f\xff\xff\xff\0\0\0\0"),
            []
        );
        assert_eq!(assigned(b"own words"), []);
    }
}
