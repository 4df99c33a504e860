//! Commits, assignments, revocations.

use tools::cli::message;
use tools::kafka::group::{GroupError, Member, Polled, Positions};
use tools::kafka::types::TopicPartition;

use super::BatchRunner;
use crate::group::batch::{Batch, Running};

impl BatchRunner<'_> {
    pub(super) fn commit(&mut self, member: &mut Member, done: &[Batch]) -> anyhow::Result<()> {
        let positions = done
            .iter()
            .flat_map(|batch| batch.positions(&self.assigned));
        let positions: Positions = positions.collect();
        match member.commit(&positions) {
            Err(GroupError::Lost { .. }) => {
                // The group's event says so later; until then no other batch of this assignment may start.
                self.assigned.clear();
                for batch in done {
                    message(format_args!(
                        "the group has given the partitions of a batch away before it was committed: \
                         its records come again: {}",
                        batch.describe()
                    ));
                }
            }
            other => {
                other?;
                self.done.extend(positions);
                for batch in done.iter().filter(|_| self.status.is_verbose()) {
                    message(format_args!("done: {}", batch.describe()));
                }
            }
        }
        Ok(())
    }

    /// Drops batches of revoked partitions that no command runs on: another member reads them.
    pub(super) fn drop_revoked(&mut self) {
        let assigned = &self.assigned;
        for (_, queue) in &mut self.queues {
            let is_lost = |batch: &mut Batch| !batch.is_assigned(assigned);
            let is_waiting = |running: &mut Running| {
                running.is_between_tries() && !running.batch.is_assigned(assigned)
            };
            let waiting = queue.running.take_if(is_waiting);
            let dropped = [
                queue.open.take_if(is_lost),
                queue.ready.take_if(is_lost),
                waiting.map(|running| running.batch),
            ];
            let records: u64 = dropped.iter().flatten().map(Batch::count).sum();
            self.left = self.left.saturating_add(records);
        }
    }

    /// Commits the ends of partitions whose records are all committed.
    pub(super) fn commit_passed(&mut self, member: &mut Member) -> anyhow::Result<()> {
        let is_done = |topic_partition: &TopicPartition| {
            self.read.get(topic_partition) == self.done.get(topic_partition)
        };
        let (now, later): (Positions, Positions) = std::mem::take(&mut self.passed)
            .into_iter()
            .partition(|(topic_partition, _)| is_done(topic_partition));
        self.passed = later;
        match member.commit(&now) {
            Err(GroupError::Lost { .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    pub(super) fn handle_event(
        &mut self,
        member: &mut Member,
        polled: Polled,
    ) -> anyhow::Result<()> {
        match polled {
            Polled::Records(_) | Polled::Committed | Polled::CommitFailed(_) => {}
            Polled::Assigned(topic_partitions) => self.assign(&topic_partitions),
            Polled::Revoked {
                topic_partitions,
                lost,
            } => {
                if !lost && !self.run_to_end(member, Some(self.drain_limit))? {
                    message(
                        "the group takes partitions away from a batch that is not done: its records come again",
                    );
                }
                self.release(member, &topic_partitions, lost)?;
            }
            Polled::Error(error) => self.status.report_error(member, &error),
        }
        Ok(())
    }

    pub(super) fn assign(&mut self, topic_partitions: &[TopicPartition]) {
        self.assignment += 1;
        for topic_partition in topic_partitions {
            self.assigned
                .insert(topic_partition.clone(), self.assignment);
            self.read.remove(topic_partition);
            self.done.remove(topic_partition);
        }
        self.status.report_partitions("assigned", topic_partitions);
    }

    pub(super) fn release(
        &mut self,
        member: &mut Member,
        topic_partitions: &[TopicPartition],
        lost: bool,
    ) -> anyhow::Result<()> {
        if lost {
            message(
                "the group has given this member's partitions away; what is not committed comes again",
            );
        }
        for topic_partition in topic_partitions {
            self.assigned.remove(topic_partition);
            self.passed.remove(topic_partition);
            self.read.remove(topic_partition);
        }
        self.status.report_partitions("revoked", topic_partitions);
        Ok(member.release()?)
    }
}
