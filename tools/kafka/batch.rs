//! Record batches (message format v2), parsed and built in place.
//!
//! Parsing takes two steps. [`Batches`] finds the batches of a Fetch response by
//! their headers alone, which gives the next fetch offset before any record is
//! parsed. [`BatchDecoder`] passes the records of one batch to a visitor, each as
//! slices of the response or of a buffer of decompressed bytes. A record costs no
//! allocation, and its headers are parsed only on request.
//!
//! The layout is Kafka's `DefaultRecordBatch.java` and `DefaultRecord.java`
//! (KIP-98). Every length in a batch is checked against the bytes that follow, so
//! that no input leads to a panic or to an allocation of more than twice its size.
//!
//! [`RecordBatch`] encodes records straight into the batch that is sent.

mod aborted;
#[cfg(test)]
pub(crate) mod build;
mod codec;
mod decode;
mod encode;
mod header;
mod record;
#[cfg(test)]
mod tests;
mod values;

pub use aborted::AbortedTransactions;
pub use codec::Codec;
pub use decode::{BatchDecoder, RawRecordVisitor};
pub use encode::{ProducerStamp, RecordBatch, SealedBatch, record_size_limit};
pub use header::{Batch, Batches, Marker};
pub use record::{Headers, RawRecord};
pub use values::Values;

/// Why a batch can't be read. The caller adds topic, partition and offset.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Message format v0 or v1; librdkafka's own consumer reads it.
    #[error("message format v{0} is from before Kafka 0.11 and is not read")]
    OldFormat(i8),
    /// A message format newer than v2.
    #[error("message format v{0} is not known")]
    NewFormat(i8),
    #[error("the record batch says it has {0} bytes, which can't be")]
    Length(i32),
    #[error("the record batch is damaged: its checksum is {computed:08x}, not {stored:08x}")]
    Checksum { stored: u32, computed: u32 },
    #[error("compression codec {0} is not known")]
    Codec(i16),
    #[error("{codec} can't be decompressed: {reason}")]
    Decompress { codec: Codec, reason: String },
    #[error(
        "the record batch decompresses to more than {limit_bytes} bytes (-X receive.message.max.bytes)"
    )]
    TooLarge { limit_bytes: usize },
    /// A record contradicts its batch.
    #[error("record {index} of the batch is malformed: {problem}")]
    Record {
        /// The number of the record in the batch, from 0.
        index: i32,
        problem: &'static str,
    },
}
