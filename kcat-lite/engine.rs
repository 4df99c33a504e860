//! The two ways to read partitions, behind one face.

use clap::ValueEnum;
use tools::kafka::consume::{self, ConsumeError, Item, ReadRequest};
use tools::kafka::fetch::{self, RecordVisitor};
use tools::kafka::types::TopicPartition;
use tools::kafka::{Client, Options};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Fetch requests of our own over librdkafka's connections
    #[default]
    Wire,
    /// librdkafka's consumer: slower, and reads message formats v0 and v1 too
    Librdkafka,
}

impl Engine {
    /// Sets what reading this way needs, where the user says nothing else.
    pub(crate) fn tune(self, options: &mut Options, request: &ReadRequest) {
        match self {
            Engine::Wire => fetch::tune(options),
            Engine::Librdkafka => consume::tune(options, request),
        }
    }

    /// Starts reading; `client` is made of `options`, which were tuned.
    pub(crate) fn start<'c>(
        self,
        client: &'c Client,
        options: &Options,
        request: &ReadRequest,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Reader<'c>, ConsumeError> {
        Ok(match self {
            Engine::Wire => Reader::Wire(Box::new(fetch::FetchConsumer::start(
                client,
                options,
                request,
                interrupted,
            )?)),
            Engine::Librdkafka => Reader::Librdkafka(consume::SimpleConsumer::start(
                client,
                options,
                request,
                interrupted,
            )?),
        })
    }
}

pub(crate) enum Reader<'c> {
    Wire(Box<fetch::FetchConsumer<'c>>),
    Librdkafka(consume::SimpleConsumer<'c>),
}

impl Reader<'_> {
    /// Whether every partition has reached its bound.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Reader::Wire(reader) => reader.is_done(),
            Reader::Librdkafka(reader) => reader.is_done(),
        }
    }

    /// The partitions that have records before those that are read, where that is known.
    pub(crate) fn partly_read(&self) -> &[TopicPartition] {
        match self {
            Reader::Wire(reader) => reader.partly_read(),
            Reader::Librdkafka(reader) => reader.partly_read(),
        }
    }

    /// Whether every partition was read to its end at least once.
    pub(crate) fn was_at_ends(&self) -> bool {
        match self {
            Reader::Wire(reader) => reader.was_at_ends(),
            Reader::Librdkafka(reader) => reader.was_at_ends(),
        }
    }

    /// How many offsets lie between the starts and the bounds, where all are known.
    pub(crate) fn expected_records(&self) -> Option<u64> {
        match self {
            Reader::Wire(reader) => reader.expected_records(),
            Reader::Librdkafka(reader) => reader.expected_records(),
        }
    }

    /// Hands what has arrived to `visitor`, after waiting for it at most `timeout_ms`; says how many records there were.
    pub(crate) fn read(
        &mut self,
        timeout_ms: i32,
        visitor: &mut impl RecordVisitor,
    ) -> Result<usize, ConsumeError> {
        match self {
            Reader::Wire(reader) => reader.read(timeout_ms, visitor),
            Reader::Librdkafka(reader) => reader.read(timeout_ms, |item| match item {
                Item::Record(record) => visitor.record(record),
                Item::End {
                    topic,
                    partition,
                    offset,
                } => visitor.end(topic, partition, offset),
            }),
        }
    }
}
