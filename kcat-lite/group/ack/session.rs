//! The sessions of a source: each assignment of partitions begins one. They end when everything of them is acknowledged,
//! or lost.

use std::time::{Duration, Instant};

use anyhow::Result;
use tools::ack::{GroupMetadata, ReadStart, Session, SinkKind};
use tools::kafka::types::TopicPartition;

use super::{AckSource, Consumer, PipelineError};

/// How often to check the member's generation.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Sessions {
    run: String,
    count: u64,
    /// The metadata of the current one.
    metadata: GroupMetadata,
    checked_at: Instant,
}

impl Sessions {
    pub(super) fn new(run: String) -> Sessions {
        Sessions {
            run,
            count: 0,
            metadata: GroupMetadata::default(),
            checked_at: Instant::now(),
        }
    }
}

impl AckSource {
    /// Begins a session for the records of these partitions read from now on.
    pub(super) fn begin_session(
        &mut self,
        consumer: &Consumer<'_>,
        partitions: &[TopicPartition],
        starts: Vec<ReadStart>,
    ) -> Result<()> {
        let sessions = &mut self.sessions;
        sessions.count += 1;
        // It is empty if the session has timed out, and the revocation comes next: a transaction is refused then.
        sessions.metadata = consumer.member.metadata();
        let session = Session {
            name: format!("{}.{}", sessions.run, sessions.count),
            metadata: sessions.metadata.clone(),
            topic_partitions: partitions.to_vec(),
            starts,
            partition_counts: consumer.member.partition_counts(),
        };
        for (topic, partition) in partitions {
            self.in_flight.begin(&session.name, topic, *partition);
        }
        self.lines.begin_session();
        Ok(self.source.begin(&session)?)
    }

    /// Begins a new session if the member has a new generation with the same partitions.
    ///
    /// Under KIP-848 other members that join or leave raise the epoch without a
    /// callback. Offsets of records read before are committed under the old epoch.
    pub(super) fn check_generation(&mut self, consumer: &mut Consumer<'_>) -> Result<()> {
        let is_due = self.sessions.checked_at.elapsed() >= CHECK_INTERVAL;
        if !is_due || self.source.kind() != SinkKind::Transactional {
            return Ok(());
        }
        self.sessions.checked_at = Instant::now();
        let has_partitions = self.in_flight.topic_partitions().next().is_some();
        if !has_partitions || consumer.member.metadata() == self.sessions.metadata {
            return Ok(());
        }
        self.drain(consumer, None)?;
        self.source.request_flush(false)?;
        let partitions: Vec<TopicPartition> = self.in_flight.topic_partitions().cloned().collect();
        self.begin_session(consumer, &partitions, Vec::new())
    }

    /// Reads again what the sink has aborted of these sessions, and sends it under a new one.
    pub(super) fn restart(
        &mut self,
        consumer: &mut Consumer<'_>,
        sessions: &[String],
    ) -> Result<()> {
        let aborted = self.in_flight.of_sessions(sessions);
        if aborted.is_empty() {
            return Ok(());
        }
        let partitions: Vec<TopicPartition> =
            aborted.iter().map(|(known, _)| known.clone()).collect();
        self.count_again(consumer, &partitions)?;
        let positions = aborted.into_iter();
        let positions = positions.filter_map(|(known, first)| Some((known, first?)));
        consumer.member.rewind(&positions.collect())?;
        let released = self.in_flight.forget(&partitions);
        self.source.released(released, Vec::new())?;
        self.begin_session(consumer, &partitions, Vec::new())
    }

    /// Takes back from `-c` what is sent of these partitions and not committed: it is read again.
    ///
    /// # Errors
    /// The pipe is at its end, and takes no more.
    pub(super) fn count_again(
        &self,
        consumer: &mut Consumer<'_>,
        partitions: &[TopicPartition],
    ) -> Result<(), PipelineError> {
        let lines = self.in_flight.records_of(partitions);
        let is_over = self.is_ending || !self.lines.is_open();
        if is_over && lines > 0 && consumer.run.signals.caught().is_none() {
            return Err(PipelineError::NotCommitted(lines));
        }
        consumer.run.left = consumer.run.left.saturating_add(lines);
        Ok(())
    }

    /// Waits until all that was sent of these partitions, or of all, is acknowledged.
    pub(super) fn drain(
        &mut self,
        consumer: &mut Consumer<'_>,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<()> {
        if self.in_flight.is_drained(partitions) {
            return Ok(());
        }
        self.source.request_flush(true)?;
        let started = Instant::now();
        while !self.in_flight.is_drained(partitions) {
            self.step(consumer)?;
            let is_late = started.elapsed() > consumer.drain_limit;
            if is_late || self.watchdog.is_silent_since(started, Instant::now()) {
                return Err(PipelineError::NotDrained(self.in_flight.unacknowledged()).into());
            }
        }
        Ok(())
    }
}
