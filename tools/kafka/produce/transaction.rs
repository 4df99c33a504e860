//! Transactions (KIP-98), optionally with a consumer group's offsets (KIP-447).
//!
//! The partitions of a transaction are added by the thread that sends
//! (`accumulator::transaction`). What begins and ends a transaction is asked
//! here, and the caller waits for it. A coordinator that moves, starts or is away
//! is asked again until message.timeout.ms is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_protocol::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    EndTxnRequest, GroupId, InitProducerIdRequest, TopicName, TransactionalId,
    TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};

use super::accumulator::ProducerId;
use super::accumulator::transaction::{
    CONCURRENT_BACKOFF, TransactionState, fenced, is_fencing, is_retriable,
};
use super::{Producer, Totals};
use crate::ack::GroupMetadata;
use crate::kafka::admin::groups::{CoordinatorType, coordinator_of, find_coordinator};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::group::Positions;
use crate::kafka::wire::{RawResponse, RequestLimits, Target, Wire};

/// How long a coordinator may take to answer before it is looked up again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the caller is asked whether to go on.
const TICK: Duration = Duration::from_millis(50);
/// The limit where message.timeout.ms sets none.
const UNLIMITED: Duration = Duration::from_secs(86_400);
/// How long to wait for batches in flight before an abort.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

impl Producer {
    pub fn is_transactional(&self) -> bool {
        self.lock().accumulator.transaction.is_some()
    }

    fn transactional_id(&self) -> Result<TransactionalId, KafkaError> {
        let id = self.lock().accumulator.settings.transactional_id.clone();
        let missing = || KafkaError::new(code::INVALID_ARG, "there is no transactional.id");
        let id = id.ok_or_else(missing)?;
        Ok(TransactionalId(StrBytes::from_string(id)))
    }

    fn producer_id(&self) -> Result<ProducerId, KafkaError> {
        let missing =
            || KafkaError::new(code::INVALID_ARG, "the transactional.id is not initialised");
        self.lock().accumulator.producer().ok_or_else(missing)
    }

    /// A coordinator that aborts a transaction after its timeout fences the producer.
    fn explain(&self, error: KafkaError) -> KafkaError {
        if !is_fencing(error.code) {
            return error;
        }
        let error = if error.code == code::FENCED {
            error
        } else {
            fenced(&error)
        };
        let accumulator = &self.lock().accumulator;
        let timeout = accumulator.settings.transaction_timeout;
        let begun_at = accumulator.transaction.as_ref().and_then(|it| it.begun_at);
        if begun_at.is_none_or(|begun| begun.elapsed() < timeout) {
            return error;
        }
        let limit_ms = timeout.as_millis();
        let reason = format!(
            "the cluster has aborted the transaction, which was open for longer than transaction.timeout.ms={limit_ms} ({error})"
        );
        KafkaError::new(code::FENCED, reason)
    }

    /// Initialises the transactional.id and begins a transaction. Call it after the first contact.
    pub fn begin(&mut self) -> Result<(), KafkaError> {
        self.init_transactions()?;
        self.begin_next()
    }

    /// Initialises the transactional.id, which fences its earlier producers and aborts their open transaction.
    pub fn init_transactions(&mut self) -> Result<(), KafkaError> {
        let known = self.producer_id().ok();
        self.init_producer_id(known)
    }

    fn init_producer_id(&mut self, known: Option<ProducerId>) -> Result<(), KafkaError> {
        let id = self.transactional_id()?;
        let timeout = self.lock().accumulator.settings.transaction_timeout;
        let timeout_ms = timeout.as_millis().min(i32::MAX as u128) as i32;
        // A producer with an id gets the next epoch, unless it was fenced (KIP-360).
        let versions = if known.is_some() { 3..=4 } else { 0..=4 };
        let of_id = id.clone();
        let build = move |_| {
            let known = known.unwrap_or(ProducerId { id: -1, epoch: -1 });
            InitProducerIdRequest::default()
                .with_transactional_id(Some(of_id.clone()))
                .with_transaction_timeout_ms(timeout_ms)
                .with_producer_id(known.id.into())
                .with_producer_epoch(known.epoch)
        };
        let response = self.ask::<InitProducerIdRequest>(
            (CoordinatorType::Transaction, &id),
            versions,
            &mut || true,
            build,
            |response| response.error_code,
        )?;
        let producer = ProducerId {
            id: response.producer_id.0,
            epoch: response.producer_epoch,
        };
        self.lock().accumulator.set_producer(producer);
        Ok(())
    }

    /// Takes the next epoch if the coordinator has aborted the open transaction after transaction.timeout.ms; false if
    /// this producer did not fail because of that.
    pub fn recover_timed_out(&mut self) -> Result<bool, KafkaError> {
        let state = self.lock();
        let is_fenced = state
            .accumulator
            .fatal()
            .is_some_and(|e| is_fencing(e.code));
        let transaction = state.accumulator.transaction.as_ref();
        let is_known = transaction.is_some_and(TransactionState::is_known);
        drop(state);
        if !is_fenced || !is_known {
            return Ok(false);
        }
        self.purge();
        // A timeout raises the epoch by 1. Another producer raises it by 2, because the open transaction is fenced
        // first. So the coordinator takes this epoch only after a timeout. After a commit another producer would raise
        // it by 1, too.
        let before = self.producer_id()?;
        let Some(epoch) = before.epoch.checked_add(1) else {
            return Ok(false);
        };
        match self.init_producer_id(Some(ProducerId { epoch, ..before })) {
            Ok(()) => {
                let mut state = self.lock();
                state.accumulator.end_transaction();
                state.accumulator.clear_fatal();
                Ok(true)
            }
            Err(error) if is_fencing(error.code) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Begins a transaction; the one before is committed or aborted.
    pub fn begin_next(&mut self) -> Result<(), KafkaError> {
        self.producer_id()?;
        self.lock().accumulator.begin_transaction(Instant::now());
        Ok(())
    }

    /// Adds a group's offsets to the transaction, which commits them together with its records.
    ///
    /// `metadata` is the group metadata under which the records before these
    /// offsets were read, so that the coordinator refuses them once the partitions
    /// belong to another member. Metadata without a generation or a member is not
    /// sent, because the coordinator would accept it from anybody (KIP-447).
    pub fn add_positions(
        &mut self,
        positions: &Positions,
        metadata: &GroupMetadata,
        waiting: &mut dyn FnMut(Totals) -> bool,
    ) -> Result<(), KafkaError> {
        let totals = self.totals();
        let waiting = &mut || waiting(totals);
        if metadata.generation < 0 || metadata.member.is_empty() {
            return Err(KafkaError::of(code::UNKNOWN_MEMBER_ID));
        }
        let (id, producer) = (self.transactional_id()?, self.producer_id()?);
        if let Some(transaction) = &mut self.lock().accumulator.transaction {
            transaction.has_offsets = true;
        }
        let group = GroupId(StrBytes::from_string(metadata.group.clone()));
        let (of_id, of_group) = (id.clone(), group.clone());
        let build = move |_| {
            AddOffsetsToTxnRequest::default()
                .with_transactional_id(of_id.clone())
                .with_producer_id(producer.id.into())
                .with_producer_epoch(producer.epoch)
                .with_group_id(of_group.clone())
        };
        self.ask::<AddOffsetsToTxnRequest>(
            (CoordinatorType::Transaction, &id),
            0..=3,
            waiting,
            build,
            |response| response.error_code,
        )?;
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id)
            .with_group_id(group)
            .with_producer_id(producer.id.into())
            .with_producer_epoch(producer.epoch)
            .with_generation_id(metadata.generation)
            .with_member_id(text(&metadata.member))
            .with_group_instance_id(metadata.instance.as_deref().map(text))
            .with_topics(offset_rows(positions));
        // 3 is the first version with the member and its generation.
        self.ask::<TxnOffsetCommitRequest>(
            (CoordinatorType::Group, &metadata.group),
            3..=3,
            waiting,
            move |_| request.clone(),
            |response| {
                let rows = response.topics.iter().flat_map(|topic| &topic.partitions);
                let mut codes = rows.map(|row| row.error_code);
                codes.find(|code| *code != 0).unwrap_or(0)
            },
        )?;
        Ok(())
    }

    /// Delivers what is queued and commits. After an error a read_committed consumer sees nothing of the transaction.
    pub fn commit(&mut self, waiting: &mut dyn FnMut(Totals) -> bool) -> Result<(), KafkaError> {
        let totals = self.finish(waiting);
        if let Some(fatal) = self.fatal_error() {
            return Err(self.explain(fatal));
        }
        let failed = self.lock().accumulator.failed_in_transaction();
        if failed > 0 {
            let reason = match failed {
                1 => "1 record failed".to_owned(),
                failed => format!("{failed} records failed"),
            };
            return Err(KafkaError::new(code::INCONSISTENT, reason));
        }
        let ended = self.end_transaction(true, &mut || waiting(totals));
        if ended.is_err()
            && self.fatal_error().is_none()
            && let Some(transaction) = &mut self.lock().accumulator.transaction
        {
            transaction.may_be_committed = true;
        }
        ended
    }

    /// Aborts: what is queued fails, and a read_committed consumer sees nothing of the transaction.
    pub fn abort(&mut self) -> Result<(), KafkaError> {
        self.lock()
            .accumulator
            .purge(&KafkaError::of(code::PURGE_QUEUE));
        let until = Instant::now() + SETTLE_TIMEOUT;
        let is_busy = |this: &Producer| {
            let state = this.lock();
            let transaction = state.accumulator.transaction.as_ref();
            transaction.is_some_and(TransactionState::is_requested)
                || state.accumulator.outstanding() > 0
        };
        while is_busy(self) && Instant::now() < until {
            self.poll(TICK.as_millis() as i32);
        }
        self.purge();
        if let Some(fatal) = self.fatal_error() {
            return Err(self.explain(fatal));
        }
        self.end_transaction(false, &mut || true)?;
        if self.lock().accumulator.failed_in_transaction() > 0 {
            // Some sequence numbers were not used.
            self.init_transactions()?;
        }
        Ok(())
    }

    fn end_transaction(
        &mut self,
        is_commit: bool,
        waiting: &mut dyn FnMut() -> bool,
    ) -> Result<(), KafkaError> {
        let has_contents = self
            .lock()
            .accumulator
            .transaction
            .as_ref()
            .is_some_and(TransactionState::has_contents);
        // The coordinator knows nothing of a transaction without contents.
        if has_contents {
            let (id, producer) = (self.transactional_id()?, self.producer_id()?);
            let of_id = id.clone();
            let build = move |_| {
                EndTxnRequest::default()
                    .with_transactional_id(of_id.clone())
                    .with_producer_id(producer.id.into())
                    .with_producer_epoch(producer.epoch)
                    .with_committed(is_commit)
            };
            self.ask::<EndTxnRequest>(
                (CoordinatorType::Transaction, &id),
                0..=3,
                waiting,
                build,
                |response| response.error_code,
            )?;
        }
        self.lock().accumulator.end_transaction();
        Ok(())
    }

    /// Asks a coordinator until it answers with success or an error that stays.
    fn ask<R: Request>(
        &mut self,
        (kind, key): (CoordinatorType, &str),
        versions: std::ops::RangeInclusive<i16>,
        waiting: &mut dyn FnMut() -> bool,
        build: impl Fn(i16) -> R + Clone + 'static,
        error_code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, KafkaError> {
        let settings = self.lock().accumulator.settings.clone();
        let limit = Instant::now() + settings.delivery_timeout.unwrap_or(UNLIMITED);
        let mut coordinator = match kind {
            CoordinatorType::Transaction => self.coordinator(),
            CoordinatorType::Group => None,
        };
        let client = std::sync::Arc::clone(&self.client);
        let mut wire = Wire::new(&client);
        let mut failures = 0;
        loop {
            let answer = match coordinator {
                None => ask_for_coordinator(&mut wire, kind, key, waiting).map(|found| {
                    coordinator = Some(found);
                    None
                }),
                Some(id) => {
                    let target = Target::Broker(id);
                    let answer = exchange(&mut wire, target, &versions, waiting, build.clone());
                    answer.and_then(|response| {
                        KafkaError::check(error_code(&response)).map(|()| Some(response))
                    })
                }
            };
            let error = match answer {
                Ok(Some(response)) => {
                    if kind == CoordinatorType::Transaction {
                        self.set_coordinator(coordinator);
                    }
                    return Ok(response);
                }
                Ok(None) => continue,
                Err(error) => error,
            };
            // Where an earlier try was not answered, the transaction may be committed.
            if is_fencing(error.code) && failures == 0 {
                self.lock().accumulator.set_fatal(fenced(&error));
            }
            let is_concurrent = error.code == code::CONCURRENT_TRANSACTIONS;
            if !is_concurrent && !is_retriable(error.code) || Instant::now() >= limit || !waiting()
            {
                return Err(self.explain(error));
            }
            if is_concurrent {
                std::thread::sleep(CONCURRENT_BACKOFF);
            } else {
                coordinator = None;
                failures += 1;
                std::thread::sleep(settings.backoff_after(failures));
            }
        }
    }
}

fn ask_for_coordinator(
    wire: &mut Wire<'_>,
    kind: CoordinatorType,
    key: &str,
    waiting: &mut dyn FnMut() -> bool,
) -> Result<i32, KafkaError> {
    let key = key.to_owned();
    let build = move |version| find_coordinator(kind, &key, version);
    let response = exchange(wire, Target::Any, &COORDINATOR_VERSIONS, waiting, build)?;
    coordinator_of(&response)
}

/// One request and its response.
fn exchange<R: Request>(
    wire: &mut Wire<'_>,
    target: Target,
    versions: &std::ops::RangeInclusive<i16>,
    waiting: &mut dyn FnMut() -> bool,
    build: impl Fn(i16) -> R + 'static,
) -> Result<R::Response, KafkaError> {
    let now = Instant::now();
    let limits = RequestLimits {
        deadline: now + ANSWER_TIMEOUT,
        connect_by: now + CONNECT_TIMEOUT,
        versions: versions.clone(),
    };
    let id = wire.send_limited(target, limits, build);
    loop {
        match wire.next(Instant::now() + TICK) {
            Some(result) if result.id == id => {
                return result.result.and_then(RawResponse::decode::<R>);
            }
            None if !waiting() => return Err(KafkaError::of(code::TIMED_OUT)),
            _ => {}
        }
    }
}

/// From v1 on a request says whether it is for a transactional.id.
pub(super) const COORDINATOR_VERSIONS: std::ops::RangeInclusive<i16> = 1..=i16::MAX;

fn offset_rows(positions: &Positions) -> Vec<TxnOffsetCommitRequestTopic> {
    let mut topics: BTreeMap<&str, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition), offset) in positions {
        let row = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(None);
        topics.entry(topic).or_default().push(row);
    }
    let row = |(topic, partitions): (&str, _)| {
        TxnOffsetCommitRequestTopic::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partitions(partitions)
    };
    topics.into_iter().map(row).collect()
}
