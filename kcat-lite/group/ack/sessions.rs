//! The sessions of a source: each assignment of partitions begins one.

use std::time::{Duration, Instant};

use tools::ack::{ReadStart, Session};
use tools::kafka::group::Member;
use tools::kafka::types::TopicPartition;

/// How often to check the member's generation.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Sessions {
    run: String,
    count: u64,
    current: Session,
    checked_at: Instant,
}

impl Sessions {
    pub(super) fn new(run: String) -> Sessions {
        Sessions {
            run,
            count: 0,
            current: Session::default(),
            checked_at: Instant::now(),
        }
    }

    /// Begins a session for the records of these partitions read from now on.
    pub(super) fn begin(
        &mut self,
        member: &Member,
        topic_partitions: &[TopicPartition],
        starts: Vec<ReadStart>,
    ) -> &Session {
        self.count += 1;
        self.current = Session {
            name: format!("{}.{}", self.run, self.count),
            metadata: member.metadata(),
            topic_partitions: topic_partitions.to_vec(),
            starts,
            partition_counts: member.partition_counts(),
        };
        &self.current
    }

    /// Whether the member has another generation than the current session; checked now and then.
    pub(super) fn is_outdated(&mut self, member: &Member) -> bool {
        if self.checked_at.elapsed() < CHECK_INTERVAL {
            return false;
        }
        self.checked_at = Instant::now();
        member.metadata() != self.current.metadata
    }
}
