//! Transactions (KIP-98), optionally with a consumer group's offsets (KIP-447).
#![allow(unsafe_code)]

use std::ffi::CString;
use std::ptr;
use std::time::{Duration, Instant};

use super::{Producer, Totals};
use crate::ack::GroupMetadata;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;
use crate::kafka::group::Positions;
use crate::kafka::partitions::PartitionList;

/// How long a commit or an abort may take; the coordinator's own limit (transaction.timeout.ms) is 60 s.
const END_TIMEOUT_MS: i32 = 60_000;

impl Producer {
    pub fn is_transactional(&self) -> bool {
        self.is_transactional
    }

    /// Initialises the transactional.id, which fences its earlier producers, and begins a transaction. Call it after
    /// the first contact.
    pub fn begin(&mut self) -> Result<(), KafkaError> {
        self.init_transactions()?;
        self.begin_next()
    }

    /// Initialises the transactional.id, which fences its earlier producers and aborts their open transaction.
    pub fn init_transactions(&mut self) -> Result<(), KafkaError> {
        // SAFETY: the handle is live; the error is ours to take.
        let error = unsafe {
            let rk = self.client.as_ptr();
            ffi::take_error(ffi::rd_kafka_init_transactions(rk, END_TIMEOUT_MS))
        };
        error.map_or(Ok(()), Err)
    }

    /// Begins a transaction; the one before is committed or aborted.
    pub fn begin_next(&mut self) -> Result<(), KafkaError> {
        // SAFETY: the handle is live; the error is ours to take.
        let error =
            unsafe { ffi::take_error(ffi::rd_kafka_begin_transaction(self.client.as_ptr())) };
        self.transaction_begun_at = Some(Instant::now());
        error.map_or(Ok(()), Err)
    }

    /// Explains an error in a transaction. A coordinator that aborts a transaction after its timeout fences the producer,
    /// which librdkafka reports as another producer with the same transactional.id.
    fn explain_transaction_error(&self, error: Option<KafkaError>) -> Result<(), KafkaError> {
        const NAME: &str = "transaction.timeout.ms";
        let Some(error) = error else {
            return Ok(());
        };
        let is_fenced = matches!(error.code, code::FENCED | code::INVALID_PRODUCER_EPOCH);
        let limit_ms = self.client.property(NAME).and_then(|ms| ms.parse().ok());
        let (Some(begun_at), Some(limit_ms), true) =
            (self.transaction_begun_at, limit_ms, is_fenced)
        else {
            return Err(error);
        };
        if begun_at.elapsed() < Duration::from_millis(limit_ms) {
            return Err(error);
        }
        let reason = format!(
            "the cluster has aborted the transaction, which was open for longer than {NAME}={limit_ms} ({error})"
        );
        Err(KafkaError::new(error.code, reason))
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
    ) -> Result<(), KafkaError> {
        if metadata.generation < 0 || metadata.member.is_empty() {
            return Err(KafkaError::new(
                code::INVALID_ARG,
                "the group's metadata is empty, and would fence nobody",
            ));
        }
        let text = |text: &str| {
            CString::new(text)
                .map_err(|_| KafkaError::new(code::INVALID_ARG, "a NUL byte in a group's metadata"))
        };
        let (group, member) = (text(&metadata.group)?, text(&metadata.member)?);
        let instance = metadata.instance.as_deref().map(text).transpose()?;
        let mut list = PartitionList::new();
        for ((topic, partition), offset) in positions {
            list.add(topic, *partition, *offset)?;
        }
        // SAFETY: the handle and the list are live; the texts are copied; metadata and error are ours.
        let error = unsafe {
            let metadata = ffi::rd_kafka_consumer_group_metadata_new_with_genid(
                group.as_ptr(),
                metadata.generation,
                member.as_ptr(),
                instance.as_ref().map_or(ptr::null(), |text| text.as_ptr()),
            );
            let error = ffi::rd_kafka_send_offsets_to_transaction(
                self.client.as_ptr(),
                list.as_ptr(),
                metadata,
                END_TIMEOUT_MS,
            );
            ffi::rd_kafka_consumer_group_metadata_destroy(metadata);
            ffi::take_error(error)
        };
        self.explain_transaction_error(error)
    }

    /// Delivers what is queued and commits. After an error a read_committed consumer sees nothing of the transaction.
    ///
    /// Delivery reports are served before the commit, because librdkafka would
    /// wait for them for ever.
    pub fn commit(&mut self, waiting: &mut dyn FnMut(Totals) -> bool) -> Result<(), KafkaError> {
        self.finish(waiting);
        // SAFETY: the handle is live; the error is ours to take.
        let error = unsafe {
            ffi::take_error(ffi::rd_kafka_commit_transaction(
                self.client.as_ptr(),
                END_TIMEOUT_MS,
            ))
        };
        self.explain_transaction_error(error)
    }

    /// Aborts: a read_committed consumer sees nothing of the transaction.
    pub fn abort(&mut self) -> Result<(), KafkaError> {
        self.purge();
        // SAFETY: the handle is live; the error is ours to take.
        let error = unsafe {
            ffi::take_error(ffi::rd_kafka_abort_transaction(
                self.client.as_ptr(),
                END_TIMEOUT_MS,
            ))
        };
        error.map_or(Ok(()), Err)
    }
}
