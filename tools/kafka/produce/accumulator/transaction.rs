//! The open transaction: which partitions its coordinator knows, and what to ask it. Pure.

use std::collections::HashSet;
use std::time::Instant;

use super::{Accumulator, Identity, ProducerId};
use crate::kafka::error::{KafkaError, code, is_transient};

#[derive(Debug, Default)]
pub(in crate::kafka::produce) struct TransactionState {
    pub(in crate::kafka::produce) is_open: bool,
    pub(in crate::kafka::produce) begun_at: Option<Instant>,
    /// How many records had failed before it.
    failed_before: u64,
    pub(in crate::kafka::produce) has_offsets: bool,
    /// Whether the coordinator was asked to commit it, and did not answer.
    pub(in crate::kafka::produce) may_be_committed: bool,
    /// The broker that coordinates the transactional.id, if it is known.
    pub(in crate::kafka::produce) coordinator: Option<i32>,
    /// Topic and partition of those that the coordinator knows.
    added: HashSet<(usize, usize)>,
    /// Those that are to be added.
    wanted: Vec<(usize, usize)>,
    is_requested: bool,
    not_before: Option<Instant>,
    failures: u32,
    /// Whether a record failed: the transaction can only be aborted.
    pub(super) has_failed: bool,
}

/// A request to the cluster for the open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka::produce) enum TransactionPlan {
    FindCoordinator,
    AddPartitions {
        coordinator: i32,
        producer: ProducerId,
        /// Topic and partition.
        partitions: Vec<(usize, usize)>,
    },
}

impl TransactionState {
    /// Whether batches of a partition may be sent; if not, it is to be added.
    pub(super) fn has(&mut self, partition: (usize, usize)) -> bool {
        if !self.is_open || self.added.contains(&partition) {
            return self.is_open;
        }
        if !self.wanted.contains(&partition) {
            self.wanted.push(partition);
        }
        false
    }

    /// Whether the coordinator knows of anything in it.
    pub(in crate::kafka::produce) fn has_contents(&self) -> bool {
        self.is_open && (self.has_offsets || !self.added.is_empty() || self.is_requested)
    }

    /// Whether the coordinator had it open, and was not asked to commit it without an answer.
    pub(in crate::kafka::produce) fn is_known(&self) -> bool {
        self.is_open && !self.added.is_empty() && !self.may_be_committed
    }

    /// Whether a request for it is in flight.
    pub(in crate::kafka::produce) fn is_requested(&self) -> bool {
        self.is_requested
    }

    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.wanted.is_empty())
    }
}

impl Accumulator {
    /// Begins a transaction; nothing of the one before is left.
    pub(in crate::kafka::produce) fn begin_transaction(&mut self, now: Instant) {
        let coordinator = self.transaction.as_ref().and_then(|it| it.coordinator);
        self.transaction = Some(TransactionState {
            is_open: true,
            begun_at: Some(now),
            failed_before: self.report.totals.failed,
            coordinator,
            ..TransactionState::default()
        });
    }

    /// How many records of the transaction have failed.
    pub(in crate::kafka::produce) fn failed_in_transaction(&self) -> u64 {
        let before = self.transaction.as_ref().map(|it| it.failed_before);
        self.report.totals.failed - before.unwrap_or_default()
    }

    pub(in crate::kafka::produce) fn end_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.is_open = false;
        }
    }

    pub(in crate::kafka::produce) fn producer(&self) -> Option<ProducerId> {
        match self.identity {
            Identity::Assigned(producer) => Some(producer),
            _ => None,
        }
    }

    /// The coordinator has assigned this id: all partitions begin at sequence number 0.
    pub(in crate::kafka::produce) fn set_producer(&mut self, producer: ProducerId) {
        self.identity = Identity::Assigned(producer);
        for topic in &mut self.topics {
            for partition in &mut topic.partitions {
                partition.sequences = super::sequences::Sequences::default();
            }
        }
    }

    /// A new epoch ends what was fatal to the one before.
    pub(in crate::kafka::produce) fn clear_fatal(&mut self) {
        self.fatal = None;
    }

    pub(in crate::kafka::produce) fn plan_transaction(
        &mut self,
        now: Instant,
    ) -> Option<TransactionPlan> {
        let producer = self.producer()?;
        let transaction = self.transaction.as_mut()?;
        let is_due = transaction.not_before.is_none_or(|at| now >= at);
        if transaction.wanted.is_empty() || transaction.is_requested || !is_due {
            return None;
        }
        transaction.is_requested = true;
        Some(match transaction.coordinator {
            None => TransactionPlan::FindCoordinator,
            Some(coordinator) => TransactionPlan::AddPartitions {
                coordinator,
                producer,
                partitions: std::mem::take(&mut transaction.wanted),
            },
        })
    }

    pub(in crate::kafka::produce) fn coordinator_found(
        &mut self,
        result: Result<i32, KafkaError>,
        now: Instant,
    ) {
        let settings = &self.settings;
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        transaction.is_requested = false;
        match result {
            Ok(coordinator) => transaction.coordinator = Some(coordinator),
            Err(error) if is_retriable(error.code) => {
                transaction.failures += 1;
                transaction.not_before = Some(now + settings.backoff_after(transaction.failures));
            }
            Err(error) => self.set_fatal(error),
        }
    }

    /// The coordinator has added these partitions, or says why not, each with a code.
    pub(in crate::kafka::produce) fn partitions_added(
        &mut self,
        partitions: Vec<(usize, usize)>,
        result: Result<i32, KafkaError>,
        now: Instant,
    ) {
        let settings = &self.settings;
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        transaction.is_requested = false;
        let error = match result {
            Ok(code::NONE) => {
                transaction.failures = 0;
                transaction.not_before = None;
                transaction.added.extend(partitions);
                return;
            }
            Ok(error) => KafkaError::of(error),
            Err(error) => error,
        };
        let is_new_topic = error.code == code::UNKNOWN_TOPIC_OR_PARTITION;
        if error.code == code::CONCURRENT_TRANSACTIONS || is_new_topic || is_retriable(error.code) {
            // The coordinator has not completed the transaction before yet: mostly a matter of milliseconds.
            transaction.failures += 1;
            let backoff = settings.backoff_after(transaction.failures);
            let backoff = match error.code {
                code::CONCURRENT_TRANSACTIONS => backoff.min(CONCURRENT_BACKOFF),
                _ => backoff,
            };
            transaction.not_before = Some(now + backoff);
            if is_retriable(error.code) {
                transaction.coordinator = None;
            }
            for partition in partitions {
                transaction.has(partition);
            }
        } else if is_fencing(error.code) {
            self.set_fatal(fenced(&error));
        } else {
            for (topic, partition) in partitions {
                self.fail_partition(topic, partition, &error);
            }
        }
    }
}

/// How long to wait for the end of the transaction before.
pub(in crate::kafka::produce) const CONCURRENT_BACKOFF: std::time::Duration =
    std::time::Duration::from_millis(20);

/// Whether another answer may come later, from this coordinator or another.
pub(in crate::kafka::produce) fn is_retriable(code: i32) -> bool {
    is_transient(code) || code == code::BAD_MESSAGE
}

/// Whether the coordinator takes another producer for the owner of the transactional.id.
pub(in crate::kafka::produce) fn is_fencing(code: i32) -> bool {
    matches!(
        code,
        code::INVALID_PRODUCER_EPOCH
            | code::PRODUCER_FENCED
            | code::INVALID_PRODUCER_ID_MAPPING
            | code::FENCED
    )
}

pub(in crate::kafka::produce) fn fenced(error: &KafkaError) -> KafkaError {
    let reason = format!(
        "another producer has this transactional.id, or the transaction was aborted by its coordinator ({error})"
    );
    KafkaError::new(code::FENCED, reason)
}
