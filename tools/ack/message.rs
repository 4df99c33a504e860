//! What the two ends say to each other: one JSON object a line.

use serde_json::{Value, json};

use super::position::{Lane, Position};

/// The version of what is spoken here.
const VERSION: u64 = 1;

/// What a sink does with what it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Makes each record durable by itself; after a crash some are doubled.
    Plain,
    /// Commits output and positions in one transaction; the source commits nothing.
    Transactional,
    /// Writes segments whose names are their positions, so that nothing is doubled.
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
    pub places: Vec<(String, i32)>,
}

/// What the source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceWord {
    /// First of all; the name of the run.
    Greeting(String),
    /// Lines of this session may come from now on.
    Session(Session),
    /// A line that is not written in one piece is about to come.
    Long(Position),
    /// That line was written whole.
    Whole,
    /// Whether what is durable is waited for.
    Hurry(bool),
    /// No more lines come of these.
    Released(Vec<Lane>),
    /// No more lines come at all; this was the last one.
    End(Option<Position>),
    /// All is committed.
    Done,
}

/// What the sink says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SinkWord {
    /// First of all.
    Greeting(SinkKind),
    /// Everything up to these is durable.
    Durable(Vec<Position>),
    /// Nothing new is durable, and it is the sink that still works on it.
    Holding,
}

impl SourceWord {
    pub(super) fn value(&self) -> Value {
        match self {
            SourceWord::Greeting(run) => json!({ "ack": VERSION, "run": run }),
            SourceWord::Session(session) => json!({
                "session": session.name,
                "group": session.metadata.group,
                "generation": session.metadata.generation,
                "member": session.metadata.member,
                "instance": session.metadata.instance,
                "places": session.places,
            }),
            SourceWord::Long(position) => json!({ "long": position.to_string() }),
            SourceWord::Whole => json!({ "whole": true }),
            SourceWord::Hurry(yes) => json!({ "hurry": yes }),
            SourceWord::Released(lanes) => {
                let lanes: Vec<String> = lanes.iter().map(Lane::to_string).collect();
                json!({ "released": lanes })
            }
            SourceWord::End(last) => json!({ "end": last.as_ref().map(Position::to_string) }),
            SourceWord::Done => json!({ "done": true }),
        }
    }

    pub(super) fn parse(line: &[u8]) -> Option<SourceWord> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let (name, first) = value.as_object()?.iter().next()?;
        Some(match name.as_str() {
            "ack" if first.as_u64() == Some(VERSION) => {
                SourceWord::Greeting(text(value.get("run")?)?)
            }
            "session" => SourceWord::Session(Session {
                name: text(first)?,
                metadata: GroupMetadata {
                    group: text(value.get("group")?)?,
                    generation: i32::try_from(value.get("generation")?.as_i64()?).ok()?,
                    member: text(value.get("member")?)?,
                    instance: value.get("instance").and_then(text),
                },
                places: places(value.get("places")?)?,
            }),
            "long" => SourceWord::Long(position(first)?),
            "whole" => SourceWord::Whole,
            "hurry" => SourceWord::Hurry(first.as_bool()?),
            "released" => {
                let parse = |lane: &Value| Lane::parse(lane.as_str()?.as_bytes());
                let lanes = first.as_array()?.iter().map(parse);
                SourceWord::Released(lanes.collect::<Option<_>>()?)
            }
            "end" if first.is_null() => SourceWord::End(None),
            "end" => SourceWord::End(Some(position(first)?)),
            "done" => SourceWord::Done,
            _ => return None,
        })
    }
}

impl SinkWord {
    pub(super) fn value(&self) -> Value {
        match self {
            SinkWord::Greeting(kind) => json!({ "ack": VERSION, "sink": kind.name() }),
            SinkWord::Durable(positions) => {
                let positions: Vec<String> = positions.iter().map(Position::to_string).collect();
                json!({ "durable": positions })
            }
            SinkWord::Holding => json!({ "holding": true }),
        }
    }

    pub(super) fn parse(line: &[u8]) -> Option<SinkWord> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let (name, first) = value.as_object()?.iter().next()?;
        Some(match name.as_str() {
            "ack" if first.as_u64() == Some(VERSION) => {
                let kinds = [SinkKind::Plain, SinkKind::Transactional, SinkKind::Segment];
                let named = value.get("sink")?.as_str()?;
                SinkWord::Greeting(kinds.into_iter().find(|kind| kind.name() == named)?)
            }
            "durable" => {
                let positions = first.as_array()?.iter().map(position);
                SinkWord::Durable(positions.collect::<Option<_>>()?)
            }
            "holding" => SinkWord::Holding,
            _ => return None,
        })
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Pairs of a topic and a partition.
fn places(value: &Value) -> Option<Vec<(String, i32)>> {
    let place = |pair: &Value| {
        let partition = i32::try_from(pair.get(1)?.as_i64()?).ok()?;
        Some((text(pair.get(0)?)?, partition))
    };
    value.as_array()?.iter().map(place).collect()
}

fn position(value: &Value) -> Option<Position> {
    Position::parse(value.as_str()?.as_bytes())
}
