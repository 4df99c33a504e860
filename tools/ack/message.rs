//! The messages between the two ends: one JSON object a line.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::AckError;
use super::position::{Position, StreamKey};

/// The version of the protocol. Version 1, up to kafkautils 0.1, had no numbers in its positions.
const VERSION: u64 = 4;

/// What a sink does with what it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Makes each record durable by itself; after a crash some are duplicated.
    Plain,
    /// Commits output and positions in one transaction; the source commits nothing.
    Transactional,
    /// Writes segments whose names are their positions, so that nothing is duplicated.
    Segment,
}

impl SinkKind {
    fn name(self) -> &'static str {
        match self {
            SinkKind::Plain => "plain",
            SinkKind::Transactional => "transactional",
            SinkKind::Segment => "segment",
        }
    }
}

/// What names a member of a group to the group's coordinator (KIP-447).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMetadata {
    pub group: String,
    /// Or the member epoch.
    pub generation: i32,
    pub member: String,
    /// `group.instance.id`.
    pub instance: Option<String>,
}

/// One stretch of time in which a source has its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Its name: no colon, no tab, no quote.
    pub name: String,
    /// Under what the source reads its records, while it does.
    pub metadata: GroupMetadata,
    /// The topics and partitions that lines of it come from.
    pub topic_partitions: Vec<(String, i32)>,
    /// Where they are read from, as far as that is known.
    pub starts: Vec<ReadStart>,
    /// How many partitions the topics have.
    pub partition_counts: Vec<(String, i32)>,
}

/// Where reading a partition begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadStart {
    pub topic: String,
    pub partition: i32,
    /// All records from this offset on are read; none where nobody knows that.
    pub from: Option<i64>,
    /// The offset before which the broker has deleted all records.
    pub log_start: i64,
}

/// What the source sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceMessage {
    /// First of all; the name of the run.
    Greeting(String),
    /// Lines of this session may come from now on.
    Session(Session),
    /// Whether the sink should flush what it collects.
    RequestFlush(bool),
    /// No more lines come of these; behind what was acknowledged of them there is nothing before these positions.
    Released(Vec<StreamKey>, Vec<Position>),
    /// The line of this number is the last one that was written so far, and standard output still had a reader when the
    /// sink had received it.
    Last(u64),
    /// No more lines come at all; this is the number of the last one, 0 if there was none. Positions as above.
    End(u64, Vec<Position>),
    /// All is committed.
    Done,
}

/// What the sink sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SinkMessage {
    /// First of all.
    Greeting(SinkKind),
    /// Everything up to these is durable.
    Durable(Vec<Position>),
    /// A question: is the line of this number, which has arrived, the last one that was written?
    IsLast(u64),
    /// Nothing new is durable, and it is the sink that still works on it.
    Holding,
    /// What was not acknowledged of these sessions will not be: it is to be sent again under another session.
    Aborted(Vec<String>),
}

impl SourceMessage {
    pub(super) fn value(&self) -> Value {
        match self {
            SourceMessage::Greeting(run) => json!({ "ack": VERSION, "run": run }),
            SourceMessage::Session(session) => json!({ "session": session.row() }),
            SourceMessage::RequestFlush(yes) => json!({ "flush": yes }),
            SourceMessage::Released(keys, passed) => {
                json!({ "released": (texts(keys), texts(passed)) })
            }
            SourceMessage::Last(number) => json!({ "last": number }),
            SourceMessage::End(number, passed) => json!({ "end": (number, texts(passed)) }),
            SourceMessage::Done => json!({ "done": true }),
        }
    }

    pub(super) fn parse(line: &[u8]) -> Option<SourceMessage> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let (name, first) = value.as_object()?.iter().next()?;
        Some(match name.as_str() {
            "ack" if first.as_u64() == Some(VERSION) => {
                SourceMessage::Greeting(get(value.get("run")?)?)
            }
            "session" => SourceMessage::Session(Session::parse(first)?),
            "flush" => SourceMessage::RequestFlush(get(first)?),
            "released" => {
                let (keys, passed): (Vec<String>, Vec<String>) = get(first)?;
                let keys = keys.iter().map(|key| StreamKey::parse(key.as_bytes()));
                SourceMessage::Released(keys.collect::<Option<_>>()?, positions(&passed)?)
            }
            "last" => SourceMessage::Last(get(first)?),
            "end" => {
                let (number, passed): (u64, Vec<String>) = get(first)?;
                SourceMessage::End(number, positions(&passed)?)
            }
            "done" => SourceMessage::Done,
            _ => return None,
        })
    }
}

impl Session {
    fn row(&self) -> Value {
        let metadata = &self.metadata;
        let starts = self.starts.iter();
        let starts = starts.map(|it| (&it.topic, it.partition, it.from, it.log_start));
        json!((
            &self.name,
            (
                &metadata.group,
                metadata.generation,
                &metadata.member,
                &metadata.instance
            ),
            &self.topic_partitions,
            starts.collect::<Vec<_>>(),
            &self.partition_counts,
        ))
    }

    fn parse(value: &Value) -> Option<Session> {
        let (name, metadata, topic_partitions, starts, partition_counts) = get(value)?;
        let (group, generation, member, instance) = metadata;
        let start = |(topic, partition, from, log_start)| ReadStart {
            topic,
            partition,
            from,
            log_start,
        };
        let starts: Vec<(String, i32, Option<i64>, i64)> = starts;
        Some(Session {
            name,
            metadata: GroupMetadata {
                group,
                generation,
                member,
                instance,
            },
            topic_partitions,
            starts: starts.into_iter().map(start).collect(),
            partition_counts,
        })
    }
}

impl SinkMessage {
    pub(super) fn value(&self) -> Value {
        match self {
            SinkMessage::Greeting(kind) => json!({ "ack": VERSION, "sink": kind.name() }),
            SinkMessage::Durable(positions) => json!({ "durable": texts(positions) }),
            SinkMessage::IsLast(number) => json!({ "last": number }),
            SinkMessage::Holding => json!({ "holding": true }),
            SinkMessage::Aborted(sessions) => json!({ "aborted": sessions }),
        }
    }

    pub(super) fn parse(line: &[u8]) -> Option<SinkMessage> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let (name, first) = value.as_object()?.iter().next()?;
        Some(match name.as_str() {
            "ack" if first.as_u64() == Some(VERSION) => {
                let kinds = [SinkKind::Plain, SinkKind::Transactional, SinkKind::Segment];
                let named = value.get("sink")?.as_str()?;
                SinkMessage::Greeting(kinds.into_iter().find(|kind| kind.name() == named)?)
            }
            "durable" => SinkMessage::Durable(positions(&get::<Vec<String>>(first)?)?),
            "last" => SinkMessage::IsLast(get(first)?),
            "holding" => SinkMessage::Holding,
            "aborted" => SinkMessage::Aborted(get(first)?),
            _ => return None,
        })
    }
}

/// What is wrong with a greeting that can't be [parsed](SinkMessage::parse): another version, or no greeting.
pub(super) fn refusal(greeting: &[u8]) -> AckError {
    let value: Option<Value> = serde_json::from_slice(greeting).ok();
    let version = value.and_then(|value| value.get("ack")?.as_u64());
    match version {
        Some(theirs) if theirs != VERSION => AckError::OtherVersion {
            theirs,
            ours: VERSION,
        },
        _ => AckError::Protocol("its greeting is not known".to_owned()),
    }
}

/// A value of the type that is wanted.
fn get<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn positions(texts: &[String]) -> Option<Vec<Position>> {
    let positions = texts.iter().map(|text| Position::parse(text.as_bytes()));
    positions.collect()
}
