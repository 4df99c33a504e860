//! `transactional.id`: everything that is sent is one transaction, whole or absent (KIP-98).

use super::{Producer, Totals};
use crate::kafka::error::KafkaError;
use crate::kafka::ffi;

/// A commit or an abort gives up after this long; the coordinator's own limit (transaction.timeout.ms) is 60 s.
const END_TIMEOUT_MS: i32 = 60_000;

impl Producer {
    /// Whether a transactional.id was set.
    pub fn is_transactional(&self) -> bool {
        self.is_transactional
    }

    /// Takes the transactional.id, fencing whoever had it, and begins the transaction. Called after the first contact.
    pub fn begin(&mut self) -> Result<(), KafkaError> {
        // SAFETY: the handle is live; each error is ours to take.
        let error = unsafe {
            let init = ffi::rd_kafka_init_transactions(self.client.as_ptr(), END_TIMEOUT_MS);
            match ffi::take_error(init) {
                None => ffi::take_error(ffi::rd_kafka_begin_transaction(self.client.as_ptr())),
                some => some,
            }
        };
        error.map_or(Ok(()), Err)
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
        error.map_or(Ok(()), Err)
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
