//! Revocations and ends of sessions, after everything of them is acknowledged.

use std::time::Instant;

use tools::ack::SinkKind;
use tools::cli::message;
use tools::kafka::group::Positions;
use tools::kafka::types::TopicPartition;

use super::{AckSource, PipelineError};

impl AckSource<'_> {
    /// Drains and commits the revoked partitions before it releases them.
    pub(super) fn revoke(
        &mut self,
        topic_partitions: &[TopicPartition],
        lost: bool,
    ) -> anyhow::Result<()> {
        if lost {
            self.count_again(topic_partitions)?;
            message(
                "the group has given this member's partitions away; what is not committed comes again",
            );
        } else {
            self.drain(Some(topic_partitions))?;
            self.commit_now(Some(topic_partitions))?;
        }
        let passed = if lost {
            Vec::new()
        } else {
            self.in_flight.passed(Some(topic_partitions))
        };
        let released = self.in_flight.forget(topic_partitions);
        self.lines.begin_session();
        self.source.released(released, passed)?;
        self.source.request_flush(false)?;
        self.status.report_partitions("revoked", topic_partitions);
        Ok(self.member.release()?)
    }

    /// Takes back from `-c` what is sent of these partitions and not committed: it is read again.
    ///
    /// # Errors
    /// The pipe is at its end, and takes no more.
    fn count_again(&mut self, topic_partitions: &[TopicPartition]) -> Result<(), PipelineError> {
        let lines = self.in_flight.records_of(topic_partitions);
        if self.is_ending && lines > 0 && self.signals.caught().is_none() {
            return Err(PipelineError::NotCommitted(lines));
        }
        self.left = self.left.saturating_add(lines);
        Ok(())
    }

    /// Waits until all that was sent of these partitions, or of all, is acknowledged.
    fn drain(&mut self, topic_partitions: Option<&[TopicPartition]>) -> anyhow::Result<()> {
        if self.in_flight.is_drained(topic_partitions) {
            return Ok(());
        }
        self.source.request_flush(true)?;
        let started = Instant::now();
        while !self.in_flight.is_drained(topic_partitions) {
            self.step()?;
            let is_late = started.elapsed() > self.drain_limit;
            if is_late || self.watchdog.is_silent_since(started, Instant::now()) {
                return Err(PipelineError::NotDrained(self.in_flight.unacknowledged()).into());
            }
        }
        Ok(())
    }

    /// Commits synchronously what is acknowledged of these partitions, or of all.
    pub(super) fn commit_now(
        &mut self,
        topic_partitions: Option<&[TopicPartition]>,
    ) -> anyhow::Result<()> {
        // A commit in progress is ignored: its offsets are committed again.
        self.in_flight.finish_commit(false);
        let mut positions: Positions = self.in_flight.to_commit();
        positions.retain(|topic_partition, _| {
            topic_partitions
                .is_none_or(|topic_partitions| topic_partitions.contains(topic_partition))
        });
        self.in_flight.begin_commit(&positions);
        let committed = self.member.commit(&positions);
        self.in_flight.finish_commit(committed.is_ok());
        self.committed_at = Instant::now();
        Ok(committed?)
    }

    /// Begins a new session if the member has a new generation with the same partitions.
    ///
    /// Under KIP-848 other members that join or leave raise the epoch without a
    /// callback. Offsets of records read before are committed under the old epoch.
    pub(super) fn check_generation(&mut self) -> anyhow::Result<()> {
        if self.source.kind() != SinkKind::Transactional
            || self.in_flight.topic_partitions().next().is_none()
            || !self.sessions.is_outdated(&self.member)
        {
            return Ok(());
        }
        self.drain(None)?;
        self.source.request_flush(false)?;
        let topic_partitions: Vec<TopicPartition> =
            self.in_flight.topic_partitions().cloned().collect();
        self.begin_session(&topic_partitions, Vec::new())
    }
}
