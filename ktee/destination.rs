//! Where a stream goes: a file, a backup, a topic.

use anyhow::Result;
use tools::ack::{Position, ReadStart, StreamKey};
use tools::kafka::Options;
use tools::record::Record;

use crate::metadata::MetadataOptions;

/// What is called now and then while a destination is waited for; it says whether a signal asks to end.
pub(crate) type Waiting<'a> = dyn FnMut() -> bool + 'a;

pub(crate) struct Input<'a> {
    pub(crate) record: &'a Record<'a>,
    /// The line that it came as; where lines are no records, some of them.
    pub(crate) text: &'a [u8],
    pub(crate) line: u64,
    /// Names it until it is durable, under `--ack`.
    pub(crate) tag: Option<u64>,
}

/// What the source of a pipe says under `--ack`, besides its lines.
pub(crate) enum SourceEvent<'a> {
    /// The number of partitions of each topic.
    PartitionCounts(&'a [(String, i32)]),
    /// The next record is the first one of its partition under a new session, which is read from there.
    NewStream(&'a StreamKey, Option<&'a ReadStart>),
    /// All that was received of this stream is durable, and no other record is before this position. The start is set if
    /// no record came.
    Passed(&'a Position, Option<&'a ReadStart>),
    /// The source has given the stream back: what is not durable comes again, here or elsewhere.
    Released(&'a StreamKey),
}

/// A destination. After the first error of a method no other one is called.
pub(crate) trait Destination {
    /// Takes bytes of the stream as they are.
    fn pass(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, _input: &Input<'_>, _waiting: &mut Waiting<'_>) -> Result<()> {
        Ok(())
    }

    /// Does what is due. Called often.
    fn tick(&mut self, _waiting: &mut Waiting<'_>) -> Result<()> {
        Ok(())
    }

    /// Hands over the tags of records that have become durable since the last call: first and last of each range.
    fn take_durable(&mut self, _take: &mut dyn FnMut(u64, u64)) {}

    /// Makes durable soon what is kept back.
    fn flush(&mut self) {}

    /// Waits until all is durable.
    fn finish(&mut self, waiting: &mut Waiting<'_>) -> Result<()>;

    /// Hears the source.
    fn handle_event(&mut self, _event: &SourceEvent<'_>) -> Result<()> {
        Ok(())
    }

    /// Records what the cluster says of the topics that have come so far.
    fn record(
        &mut self,
        _options: &Options,
        _wanted: &MetadataOptions,
        _interrupted: &dyn Fn() -> bool,
    ) -> Result<()> {
        Ok(())
    }

    /// What there is to say at the end.
    fn summary(&self) -> Option<String> {
        None
    }

    /// Whether some records are not there, and kept elsewhere.
    fn has_spilled(&self) -> bool {
        false
    }
}
