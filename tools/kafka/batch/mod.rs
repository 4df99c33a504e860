//! Record batches (message format v2), parsed where they lie.
//!
//! A batch is looked at in two steps: [`Batches`] finds the batches of a Fetch
//! answer by their heads alone, which tells where to read on before a record
//! was looked at; [`Unpacker`] hands out the records of one, each a few slices
//! into the answer or into a window of decompressed bytes. No record costs an
//! allocation, and none but those that are asked for costs a look at its headers.
//!
//! The layout is Kafka's `DefaultRecordBatch.java` and `DefaultRecord.java`
//! (KIP-98). What a batch says of its own lengths is never believed: it is
//! checked against what is there, so that no bytes lead to a panic or to an
//! allocation that outgrows the data by more than a factor of two.

#[cfg(test)]
pub(crate) mod build;
mod codec;
mod head;
mod record;
#[cfg(test)]
mod tests;
mod unpack;
mod values;

pub use codec::Codec;
pub use head::{Batch, Batches, Marker};
pub use record::{Headers, RawRecord};
pub use unpack::{Take, Unpacker};
pub use values::Values;

impl BatchError {
    /// The reason alone, for programs that have no other way to read it.
    pub fn reason(&self) -> String {
        match self {
            BatchError::OldFormat(version) => {
                format!("message format v{version} is from before Kafka 0.11 and is not read")
            }
            other => other.to_string(),
        }
    }
}

/// What is wrong with a batch. Who meets it knows topic, partition and offset, and adds them.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Written before Kafka 0.11; librdkafka's own consumer reads it.
    #[error("message format v{0} is from before Kafka 0.11 and is not read this way")]
    OldFormat(i8),
    /// A format that is not known yet.
    #[error("message format v{0} is not known")]
    NewFormat(i8),
    /// The batch's length can't be.
    #[error("the record batch says it has {0} bytes, which can't be")]
    Length(i32),
    /// The bytes are not those that were written.
    #[error("the record batch is damaged: its checksum is {computed:08x}, not {stored:08x}")]
    Checksum {
        /// What the batch says.
        stored: u32,
        /// What its bytes say.
        computed: u32,
    },
    /// A codec that is not known.
    #[error("compression codec {0} is not known")]
    Codec(i16),
    /// The compressed bytes are not what the codec writes.
    #[error("{codec} can't be decompressed: {reason}")]
    Decompress {
        /// The codec.
        codec: Codec,
        /// What its library says.
        reason: String,
    },
    /// More than one is ready to hold.
    #[error(
        "the record batch decompresses to more than {limit_bytes} bytes (-X receive.message.max.bytes)"
    )]
    TooLarge {
        /// The most bytes of a decompressed batch.
        limit_bytes: usize,
    },
    /// A record contradicts its batch.
    #[error("record {index} of the batch is malformed: {problem}")]
    Record {
        /// Which record of the batch, from 0.
        index: i32,
        /// What does not fit.
        problem: &'static str,
    },
}
