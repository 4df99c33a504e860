//! Positions out of range: the log was truncated, or records were deleted.

use std::time::Instant;

use super::super::settings::ResetPolicy;
use super::partition::Position;
use super::{Fetcher, is_retriable};
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::{KafkaError, code};

/// The offsets of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogOffsets {
    pub(crate) log_start: i64,
    /// The last stable offset if only committed records are read, else the high watermark.
    pub(crate) end: i64,
    pub(crate) high_watermark: i64,
}

/// Partitions of one leader whose log offsets are to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResetPlan {
    pub(crate) broker: i32,
    pub(crate) request: u64,
    pub(crate) partitions: Vec<usize>,
}

impl Fetcher {
    /// An unclean leader election truncated the log to `offset` (KIP-320).
    pub(super) fn truncate(&mut self, index: usize, epoch: i32, offset: i64) {
        let partition = &mut self.partitions[index];
        let Position::At {
            offset: read_to, ..
        } = partition.position
        else {
            return;
        };
        let to = read_to.min(offset).max(0);
        if to < read_to {
            let reason = format!(
                "the log was truncated from offset {read_to} to {to}: records that were read are not there any more (auto.offset.reset=latest or earliest reads on)"
            );
            if self.settings.reset == ResetPolicy::Error {
                self.fail_partition(index, KafkaError::new(code::LOG_TRUNCATION, reason));
                return;
            }
            let (topic, id) = self.topic_partition(index);
            log::warn!("{topic} [{id}]: {reason}");
        }
        let partition = &mut self.partitions[index];
        partition.position = Position::At { offset: to, epoch };
        partition.eof_reported_at = None;
        partition.was_truncated = true;
    }

    /// The partitions whose log offsets are to be looked up now, by leader.
    pub(crate) fn plan_resets(&mut self, now: Instant) -> Vec<ResetPlan> {
        let mut plans: Vec<ResetPlan> = Vec::new();
        for (index, partition) in self.partitions.iter_mut().enumerate() {
            let is_due = !partition.is_finished
                && partition.in_flight.is_none()
                && matches!(partition.position, Position::AwaitingReset(..))
                && partition.paused_until.is_none_or(|until| now >= until);
            let Some(broker) = partition.leader.filter(|_| is_due) else {
                continue;
            };
            let planned = plans.iter().position(|plan| plan.broker == broker);
            let at = planned.unwrap_or_else(|| {
                plans.push(ResetPlan {
                    broker,
                    request: self.next_request,
                    partitions: Vec::new(),
                });
                self.next_request += 1;
                plans.len() - 1
            });
            partition.in_flight = Some(plans[at].request);
            plans[at].partitions.push(index);
        }
        plans
    }

    /// Resets the positions of a plan; a failed look-up is repeated after a pause.
    pub(crate) fn handle_log_offsets(
        &mut self,
        plan: &ResetPlan,
        logs: Vec<Result<LogOffsets, KafkaError>>,
        now: Instant,
    ) {
        for (&index, log) in plan.partitions.iter().zip(logs) {
            // Ignore a late response, if another broker is asked now.
            if self.partitions[index].in_flight != Some(plan.request) {
                continue;
            }
            self.partitions[index].in_flight = None;
            match log {
                Ok(log) => {
                    self.resume(index);
                    self.reset_position(index, log);
                }
                Err(error) if is_retriable(error.code) => {
                    let partition = &mut self.partitions[index];
                    partition.failures += 1;
                    let backoff = self.settings.backoff_after(partition.failures);
                    partition.paused_until = Some(now + backoff);
                    self.refresh.is_needed = true;
                }
                Err(error) => self.fail_partition(index, error),
            }
        }
    }

    fn reset_position(&mut self, index: usize, log: LogOffsets) {
        let partition = &mut self.partitions[index];
        let Position::AwaitingReset(reset, requested) = partition.position else {
            return;
        };
        let to = match (reset, requested) {
            // It is in range by now.
            (_, Some(requested)) if (log.log_start..=log.high_watermark).contains(&requested) => {
                requested
            }
            (ResetPolicy::Earliest, _) => log.log_start,
            (ResetPolicy::Latest, _) => log.end,
            (ResetPolicy::Error, _) => return self.fail_out_of_range(index, requested, log),
        };
        partition.position = Position::At {
            offset: to,
            epoch: -1,
        };
        partition.eof_reported_at = None;
        // The log was truncated before the bound.
        partition.end = partition.end.map(|end| end.min(log.end.max(to)));
        let is_contradiction = partition.failures == 3 && requested == Some(to);
        if partition.end.is_some_and(|end| to >= end) {
            self.at_bound.push((index, to));
        }
        if is_contradiction {
            let (topic, id) = self.topic_partition(index);
            log::warn!(
                "{topic} [{id}]: the broker says that offset {to} is out of range, which is {} to {}; it is asked again",
                log.log_start,
                log.high_watermark
            );
        }
        if let Some(requested) = requested.filter(|&requested| requested != to) {
            let (topic, id) = self.topic_partition(index);
            log::warn!(
                "{topic} [{id}]: offset {requested} is out of range, which is {} to {}; reading on at {to}",
                log.log_start,
                log.high_watermark
            );
        }
    }

    fn fail_out_of_range(&mut self, index: usize, requested: Option<i64>, log: LogOffsets) {
        let Some(offset) = requested else {
            let reason = "the group has committed no offset here, and auto.offset.reset is error";
            self.fail_partition(index, KafkaError::new(code::NO_OFFSET, reason));
            return;
        };
        self.partitions[index].is_finished = true;
        let (topic, partition) = self.topic_partition(index);
        self.errors.push(ConsumeError::OutOfRange {
            topic: topic.to_owned(),
            partition,
            offset,
            first: log.log_start,
            next: log.high_watermark,
        });
    }
}
