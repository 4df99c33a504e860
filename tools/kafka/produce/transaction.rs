//! `transactional.id`: everything that is sent is one transaction, whole or absent (KIP-98), perhaps with the positions
//! that it was made from (KIP-447).
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

/// A commit or an abort gives up after this long; the coordinator's own limit (transaction.timeout.ms) is 60 s.
const END_TIMEOUT_MS: i32 = 60_000;

impl Producer {
    /// Whether a transactional.id was set.
    pub fn is_transactional(&self) -> bool {
        self.is_transactional
    }

    /// Takes the transactional.id, fencing whoever had it, and begins the transaction. Called after the first contact.
    pub fn begin(&mut self) -> Result<(), KafkaError> {
        self.init_transactions()?;
        self.begin_next()
    }

    /// Takes the transactional.id, fencing whoever had it and aborting what they left open.
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
        self.begun = Some(Instant::now());
        error.map_or(Ok(()), Err)
    }

    /// What failed in a transaction. A coordinator that aborts one because it is open for too long fences its producer,
    /// which librdkafka takes for another producer of the same transactional.id.
    fn in_transaction(&self, error: Option<KafkaError>) -> Result<(), KafkaError> {
        const NAME: &str = "transaction.timeout.ms";
        let Some(error) = error else {
            return Ok(());
        };
        let is_fenced = matches!(error.code, code::FENCED | code::INVALID_PRODUCER_EPOCH);
        let limit_ms = self.client.property(NAME).and_then(|ms| ms.parse().ok());
        let (Some(begun), Some(limit_ms), true) = (self.begun, limit_ms, is_fenced) else {
            return Err(error);
        };
        if begun.elapsed() < Duration::from_millis(limit_ms) {
            return Err(error);
        }
        let reason = format!(
            "the cluster has aborted the transaction, which was open for longer than {NAME}={limit_ms} ({error})"
        );
        Err(KafkaError::new(error.code, reason))
    }

    /// Makes the positions of a group part of the transaction: they are committed with it, or not at all.
    ///
    /// `metadata` is that under which the records before these positions were
    /// read, so that the coordinator refuses them once they belong to another
    /// member. Metadata without a generation or a member is not sent, because
    /// the coordinator would take it from anybody (KIP-447).
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
        self.in_transaction(error)
    }

    /// Delivers what is queued and commits. On an error nothing of the transaction is seen by a read_committed reader.
    ///
    /// The reports are served before librdkafka is asked to commit: it waits
    /// for them itself, and would wait for ever.
    pub fn commit(&mut self, waiting: &mut dyn FnMut(Totals) -> bool) -> Result<(), KafkaError> {
        self.finish(waiting);
        // SAFETY: the handle is live; the error is ours to take.
        let error = unsafe {
            ffi::take_error(ffi::rd_kafka_commit_transaction(
                self.client.as_ptr(),
                END_TIMEOUT_MS,
            ))
        };
        self.in_transaction(error)
    }

    /// Aborts: nothing that was sent is seen by a read_committed reader.
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
