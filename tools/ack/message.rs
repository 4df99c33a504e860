//! The messages between the two ends: one JSON object a line.

use serde_json::{Value, json};

use super::AckError;
use super::position::{Position, StreamKey};

/// The version of the protocol. Version 1, up to kafkautils 0.1, had no numbers in its positions.
const VERSION: u64 = 3;

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
    /// `group.id`.
    pub group: String,
    /// The generation, or the member epoch.
    pub generation: i32,
    /// The member's name.
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
    /// The topic.
    pub topic: String,
    /// The partition.
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
}

impl SourceMessage {
    pub(super) fn value(&self) -> Value {
        match self {
            SourceMessage::Greeting(run) => json!({ "ack": VERSION, "run": run }),
            SourceMessage::Session(session) => json!({
                "session": session.name,
                "group": session.metadata.group,
                "generation": session.metadata.generation,
                "member": session.metadata.member,
                "instance": session.metadata.instance,
                "places": session.topic_partitions,
                "starts": session.starts.iter().map(ReadStart::value).collect::<Vec<_>>(),
                "partitions": session.partition_counts,
            }),
            SourceMessage::RequestFlush(yes) => json!({ "flush": yes }),
            SourceMessage::Released(keys, passed) => {
                let keys: Vec<String> = keys.iter().map(StreamKey::to_string).collect();
                json!({ "released": keys, "passed": texts(passed) })
            }
            SourceMessage::Last(number) => json!({ "last": number }),
            SourceMessage::End(number, passed) => json!({ "end": number, "passed": texts(passed) }),
            SourceMessage::Done => json!({ "done": true }),
        }
    }

    pub(super) fn parse(line: &[u8]) -> Option<SourceMessage> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let (name, first) = value.as_object()?.iter().next()?;
        Some(match name.as_str() {
            "ack" if first.as_u64() == Some(VERSION) => {
                SourceMessage::Greeting(text(value.get("run")?)?)
            }
            "session" => SourceMessage::Session(Session {
                name: text(first)?,
                metadata: GroupMetadata {
                    group: text(value.get("group")?)?,
                    generation: i32::try_from(value.get("generation")?.as_i64()?).ok()?,
                    member: text(value.get("member")?)?,
                    instance: value.get("instance").and_then(text),
                },
                topic_partitions: topic_partitions(value.get("places")?)?,
                // Earlier versions do not say these.
                starts: list(value.get("starts"), ReadStart::parse)?,
                partition_counts: value
                    .get("partitions")
                    .map_or(Some(Vec::new()), topic_partitions)?,
            }),
            "flush" => SourceMessage::RequestFlush(first.as_bool()?),
            "released" => {
                let parse = |key: &Value| StreamKey::parse(key.as_str()?.as_bytes());
                let keys = first.as_array()?.iter().map(parse);
                SourceMessage::Released(
                    keys.collect::<Option<_>>()?,
                    list(value.get("passed"), position)?,
                )
            }
            "last" => SourceMessage::Last(first.as_u64()?),
            "end" => SourceMessage::End(first.as_u64()?, list(value.get("passed"), position)?),
            "done" => SourceMessage::Done,
            _ => return None,
        })
    }
}

impl SinkMessage {
    pub(super) fn value(&self) -> Value {
        match self {
            SinkMessage::Greeting(kind) => json!({ "ack": VERSION, "sink": kind.name() }),
            SinkMessage::Durable(positions) => {
                json!({ "durable": texts(positions) })
            }
            SinkMessage::IsLast(number) => json!({ "last": number }),
            SinkMessage::Holding => json!({ "holding": true }),
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
            "durable" => SinkMessage::Durable(list(Some(first), position)?),
            "last" => SinkMessage::IsLast(first.as_u64()?),
            "holding" => SinkMessage::Holding,
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

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Pairs of a topic and a partition.
fn topic_partitions(value: &Value) -> Option<Vec<(String, i32)>> {
    let topic_partition = |pair: &Value| {
        let partition = i32::try_from(pair.get(1)?.as_i64()?).ok()?;
        Some((text(pair.get(0)?)?, partition))
    };
    value.as_array()?.iter().map(topic_partition).collect()
}

fn texts(positions: &[Position]) -> Vec<String> {
    positions.iter().map(Position::to_string).collect()
}

/// What an array holds; nothing where there is none.
fn list<T>(value: Option<&Value>, parse: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match value {
        None => Some(Vec::new()),
        Some(value) => value.as_array()?.iter().map(parse).collect(),
    }
}

impl ReadStart {
    fn value(&self) -> Value {
        json!([self.topic, self.partition, self.from, self.log_start])
    }

    fn parse(value: &Value) -> Option<ReadStart> {
        Some(ReadStart {
            topic: text(value.get(0)?)?,
            partition: i32::try_from(value.get(1)?.as_i64()?).ok()?,
            from: value.get(2)?.as_i64(),
            log_start: value.get(3)?.as_i64()?,
        })
    }
}

fn position(value: &Value) -> Option<Position> {
    Position::parse(value.as_str()?.as_bytes())
}
