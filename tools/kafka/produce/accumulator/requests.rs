//! What to send next: batches of many partitions in one request to their leader.

use std::time::Instant;

use super::batch::Batch;
use super::{Accumulator, Broker, Identity, ProducerId};
use crate::kafka::error::{KafkaError, code, is_transient};

/// The size of a request, unless a single batch is larger.
const REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// A Produce request to send.
#[derive(Debug)]
pub(in crate::kafka::produce) struct ProducePlan {
    pub(in crate::kafka::produce) broker: i32,
    pub(in crate::kafka::produce) batches: Vec<PlannedBatch>,
    /// The time limit for the response.
    pub(in crate::kafka::produce) deadline: Instant,
    bytes: usize,
}

/// One batch of a request; at most one for each partition.
#[derive(Debug)]
pub(in crate::kafka::produce) struct PlannedBatch {
    pub(in crate::kafka::produce) topic: usize,
    pub(in crate::kafka::produce) partition: usize,
    pub(in crate::kafka::produce) batch: Batch,
}

impl Accumulator {
    /// The requests to send now, at most one for each broker. Call it again until there is none.
    pub(in crate::kafka::produce) fn plan(
        &mut self,
        now: Instant,
        is_connected: &mut dyn FnMut(i32) -> bool,
    ) -> Vec<ProducePlan> {
        let mut plans: Vec<ProducePlan> = Vec::new();
        self.awaits_connection = false;
        let producer = match self.identity {
            Identity::None => None,
            Identity::Assigned(producer) => Some(producer),
            Identity::Unassigned | Identity::Wanted(_) | Identity::Requested => return plans,
        };
        // Whether a request can be sent to each broker met so far.
        let mut ready: Vec<(i32, bool)> = Vec::new();
        // Those from which a batch was taken come last the next time.
        let (mut kept, mut taken) = (Vec::new(), Vec::new());
        for (topic, partition) in std::mem::take(&mut self.active) {
            let state = &mut self.topics[topic].partitions[partition];
            if !state.has_records() {
                state.is_active = false;
                continue;
            }
            let is_due = state.is_due(&self.settings, now) && state.is_free(&self.settings, now);
            let transaction = self.transaction.as_mut().filter(|_| is_due);
            let is_due = is_due && transaction.is_none_or(|it| it.has((topic, partition)));
            let leader = state.leader.filter(|_| is_due);
            self.refresh.is_needed |= is_due && leader.is_none();
            let is_ready = leader.is_some_and(|leader| {
                find(&ready, leader).unwrap_or_else(|| {
                    let is_ready = self.is_ready(leader, now, is_connected);
                    ready.push((leader, is_ready));
                    is_ready
                })
            });
            match leader {
                Some(leader) if is_ready => {
                    self.add_to_plan(&mut plans, leader, (topic, partition), producer, now);
                    taken.push((topic, partition));
                }
                _ => kept.push((topic, partition)),
            }
        }
        kept.append(&mut taken);
        self.active = kept;
        for plan in &plans {
            self.brokers.entry(plan.broker).or_default().in_flight += 1;
        }
        plans
    }

    fn is_ready(
        &mut self,
        leader: i32,
        now: Instant,
        is_connected: &mut dyn FnMut(i32) -> bool,
    ) -> bool {
        let broker = self.brokers.entry(leader).or_default();
        if !broker.is_free(self.settings.max_in_flight, now) {
            return false;
        }
        if is_connected(leader) {
            return true;
        }
        self.awaits_connection = true;
        self.refresh.is_needed = true;
        false
    }

    fn add_to_plan(
        &mut self,
        plans: &mut Vec<ProducePlan>,
        leader: i32,
        (topic, partition): (usize, usize),
        producer: Option<ProducerId>,
        now: Instant,
    ) {
        let index = plans.iter().position(|plan| plan.broker == leader);
        if index.is_some_and(|index| plans[index].bytes >= REQUEST_BYTES) {
            return;
        }
        let state = &mut self.topics[topic];
        let sequences = &state.partitions[partition].sequences;
        if producer.is_some_and(|producer| sequences.needs_new_id(producer)) {
            self.identity = Identity::Wanted(None);
            return;
        }
        if state.partitions[partition].queue.is_empty() {
            state.close_open(partition);
        }
        let Some(batch) = state.partitions[partition].take_batch(producer) else {
            return;
        };
        let index = index.unwrap_or_else(|| {
            plans.push(ProducePlan {
                broker: leader,
                batches: Vec::new(),
                deadline: now + self.settings.request_timeout,
                bytes: 0,
            });
            plans.len() - 1
        });
        let plan = &mut plans[index];
        plan.bytes += batch.size();
        if let Some(limit) = self.settings.delivery_timeout {
            plan.deadline = plan.deadline.min(batch.created + limit);
        }
        plan.batches.push(PlannedBatch {
            topic,
            partition,
            batch,
        });
    }

    /// Whether a producer id is to be requested.
    pub(in crate::kafka::produce) fn wants_producer_id(&self, now: Instant) -> bool {
        let is_due = |at: Option<Instant>| at.is_none_or(|at| now >= at);
        matches!(self.identity, Identity::Wanted(not_before) if is_due(not_before))
            && self.fatal.is_none()
    }

    pub(in crate::kafka::produce) fn producer_id_requested(&mut self) {
        self.identity = Identity::Requested;
    }

    pub(in crate::kafka::produce) fn handle_producer_id(
        &mut self,
        result: Result<ProducerId, KafkaError>,
        now: Instant,
    ) {
        match result {
            Ok(producer) => {
                self.identity = Identity::Assigned(producer);
                self.identity_failures = 0;
            }
            Err(error) if is_transient(error.code) => {
                self.identity_failures += 1;
                let backoff = self.settings.backoff_after(self.identity_failures);
                self.identity = Identity::Wanted(Some(now + backoff));
            }
            Err(mut error) => {
                // A broker assigns a producer id only to a user that may write to some topic (KIP-679).
                if error.code == code::CLUSTER_AUTHORIZATION_FAILED {
                    error.reason += "; this user may write to no topic";
                }
                self.identity = Identity::None;
                self.set_fatal(error);
            }
        }
    }
}

/// Whether a request can be sent to a broker, if that was looked up.
fn find(ready: &[(i32, bool)], broker: i32) -> Option<bool> {
    let found = ready.iter().find(|(id, _)| *id == broker);
    found.map(|(_, is_ready)| *is_ready)
}

impl Broker {
    fn is_free(&self, max_in_flight: usize, now: Instant) -> bool {
        self.in_flight < max_in_flight && self.paused_until.is_none_or(|until| now >= until)
    }
}
