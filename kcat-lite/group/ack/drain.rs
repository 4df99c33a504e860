//! Giving partitions back, and sessions that end, with everything of them acknowledged.

use std::time::{Duration, Instant};

use tools::ack::SinkKind;
use tools::cli::message;
use tools::kafka::group::Positions;
use tools::kafka::types::TopicPartition;

use super::{Broken, Run, STALLED};

/// How often the member's generation is looked at where it matters.
const CHECK_EVERY: Duration = Duration::from_millis(100);

impl Run<'_> {
    /// The group takes partitions away: nothing more is sent, and what was sent is waited for and committed.
    pub(super) fn give_back(
        &mut self,
        places: &[TopicPartition],
        lost: bool,
    ) -> anyhow::Result<()> {
        if lost {
            self.count_again(places)?;
            message(
                "the group has given this member's partitions away; what is not committed comes again",
            );
        } else {
            self.drain(Some(places))?;
            self.commit_now(Some(places))?;
        }
        let passed = if lost {
            Vec::new()
        } else {
            self.window.passed(Some(places))
        };
        let released = self.window.forget(places);
        self.current = None;
        self.source.released(released, passed)?;
        self.source.hurry(false)?;
        self.teller.say_places("revoked", places);
        Ok(self.member.release()?)
    }

    /// Takes back from `-c` what is sent of these partitions and not committed: it is read again.
    ///
    /// # Errors
    /// The pipe is at its end, and takes no more.
    fn count_again(&mut self, places: &[TopicPartition]) -> Result<(), Broken> {
        let lines = self.window.in_flight_of(places);
        if self.is_ending && lines > 0 && self.signals.caught().is_none() {
            return Err(Broken::NotCommitted(lines));
        }
        self.left = self.left.saturating_add(lines);
        Ok(())
    }

    /// Waits until all that was sent of these partitions, or of all, is acknowledged.
    fn drain(&mut self, places: Option<&[TopicPartition]>) -> anyhow::Result<()> {
        if self.window.is_drained(places) {
            return Ok(());
        }
        self.source.hurry(true)?;
        let started = Instant::now();
        while !self.window.is_drained(places) {
            self.tend()?;
            self.wait_for_room();
            // The member stays one; the group waits for it.
            let polled = self.member.attend(0)?;
            self.heed(polled)?;
            let is_late = started.elapsed() > self.patience;
            let is_still = self.stirred_at.max(started).elapsed() > STALLED;
            if is_late || is_still {
                return Err(Broken::NotDrained(self.window.unacknowledged()).into());
            }
        }
        Ok(())
    }

    /// Commits what is acknowledged of these partitions, or of all, and waits for the group to take it.
    pub(super) fn commit_now(&mut self, places: Option<&[TopicPartition]>) -> anyhow::Result<()> {
        // The answer to a commit that is under way is not waited for: what it was about is committed again.
        self.window.settle_commit(false);
        let mut positions: Positions = self.window.to_commit();
        positions.retain(|place, _| places.is_none_or(|places| places.contains(place)));
        self.window.committing(&positions);
        let committed = self.member.commit(&positions);
        self.window.settle_commit(committed.is_ok());
        self.committed_at = Instant::now();
        Ok(committed?)
    }

    /// Begins a new session where the member has a new generation without having lost or won a partition.
    ///
    /// Under KIP-848 others' comings and goings raise the epoch without a
    /// callback. What was read before is committed under the old one.
    pub(super) fn check_generation(&mut self) -> anyhow::Result<()> {
        if self.source.kind() != SinkKind::Transactional
            || self.checked_at.elapsed() < CHECK_EVERY
            || self.window.places().next().is_none()
        {
            return Ok(());
        }
        self.checked_at = Instant::now();
        if self.member.metadata() == self.session.metadata {
            return Ok(());
        }
        self.drain(None)?;
        self.source.hurry(false)?;
        let places: Vec<TopicPartition> = self.window.places().cloned().collect();
        self.begin_session(&places, Vec::new())
    }
}
