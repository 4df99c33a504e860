//! Values of records to be produced: JSON becomes bytes, with the schema of the subject or another that was asked for.

use std::collections::HashMap;
use std::rc::Rc;

use super::codec::Codec;
use super::reader::Serialization;
use super::registry::{Registry, RegistryError, SchemaText};
use super::wire::{self, Part, SchemaId};
use super::{JsonStyle, Mismatch, json};
use crate::record::Header;

/// Which schema a value is written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaChoice {
    /// The newest of the subject.
    Latest,
    /// The one of this id.
    Id(u32),
    /// The one that each record names, as `-J` writes it.
    OfRecord,
    /// This text, looked up under the subject, or registered there.
    Text(SchemaText),
}

/// How a subject is named (Java's `*.subject.name.strategy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubjectStrategy {
    /// `TOPIC-key`, `TOPIC-value`
    #[default]
    TopicName,
    /// The name of the record.
    RecordName,
    /// `TOPIC-RECORD`
    TopicRecordName,
}

impl SubjectStrategy {
    /// The name of Java's class, with its package or without.
    pub fn parse(name: &str) -> Option<SubjectStrategy> {
        Some(match name.rsplit('.').next()? {
            "TopicNameStrategy" => SubjectStrategy::TopicName,
            "RecordNameStrategy" => SubjectStrategy::RecordName,
            "TopicRecordNameStrategy" => SubjectStrategy::TopicRecordName,
            _ => return None,
        })
    }

    fn subject(self, topic: &str, part: Part, record: Option<&str>) -> Result<String, String> {
        let named = || {
            record
                .ok_or("the subject is named after the record: say --schema FILE or --schema-id N")
        };
        Ok(match self {
            SubjectStrategy::TopicName => format!("{topic}-{}", part.name()),
            SubjectStrategy::RecordName => named()?.to_owned(),
            SubjectStrategy::TopicRecordName => format!("{topic}-{}", named()?),
        })
    }
}

/// How one of a record's values is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serializing {
    pub serialization: Serialization,
    pub choice: SchemaChoice,
    pub strategy: SubjectStrategy,
    /// Which message of a Protobuf file; the first if there is no name.
    pub message: Option<String>,
}

/// Why a value was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The value's own fault.
    #[error("{}{}: {}", .part.name(), .wrong.path(), .wrong.reason())]
    Mismatch { part: Part, wrong: Mismatch },
    /// There is no schema to write it with.
    #[error("the schema of the {}: {reason}", .part.name())]
    Schema { part: Part, reason: String },
}

type Found = (u32, Rc<Codec>);

/// Encodes values.
pub struct Writer {
    registry: Option<Registry>,
    style: JsonStyle,
    registers: bool,
    of_topics: HashMap<(String, Part), Found>,
    by_id: HashMap<(SchemaId, Part), Rc<Codec>>,
}

/// The value to write, and what goes with it.
#[derive(Clone, Copy, Debug)]
pub struct JsonValue<'a> {
    pub topic: &'a str,
    pub part: Part,
    pub text: &'a [u8],
    /// The id that came with it.
    pub schema_id: Option<u32>,
    pub headers: &'a [Header<'a>],
}

impl Writer {
    /// `registry` is needed for everything but [`Serialization::Json`]; `registers` is Java's auto.register.schemas.
    pub fn new(registry: Option<Registry>, style: JsonStyle, registers: bool) -> Writer {
        Writer {
            registry,
            style,
            registers,
            of_topics: HashMap::new(),
            by_id: HashMap::new(),
        }
    }

    /// Appends the bytes of a value. After an error `out` holds a part of them.
    pub fn write(
        &mut self,
        value: &JsonValue<'_>,
        how: &Serializing,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let part = value.part;
        let mismatch = |wrong| WriteError::Mismatch { part, wrong };
        if how.serialization == Serialization::Json {
            json::check(value.text).map_err(mismatch)?;
            out.extend_from_slice(value.text);
            return Ok(());
        }
        let codec = self
            .prefix(value, how, out)
            .map_err(|reason| WriteError::Schema { part, reason })?;
        if !how.serialization.accepts(codec.kind()) {
            let reason = format!("it is {} (-s registry writes all)", codec.kind().title());
            return Err(WriteError::Schema { part, reason });
        }
        let path = header_path(value);
        let encoded = codec.encode(path, value.text, self.style, out);
        encoded.map_err(mismatch)
    }

    /// Finds the schema, and appends what names it in front of the data.
    fn prefix(
        &mut self,
        value: &JsonValue<'_>,
        how: &Serializing,
        out: &mut Vec<u8>,
    ) -> Result<Rc<Codec>, String> {
        if let Some(header) = wire::header(value.part, value.headers) {
            // The header goes with the record, and its readers find the schema there.
            let name = String::from_utf8_lossy(value.part.header()).into_owned();
            if !matches!(how.choice, SchemaChoice::Latest | SchemaChoice::OfRecord) {
                return Err(format!("the record's header {name} names another one"));
            }
            let (id, _) = wire::of_header(header).map_err(|why| format!("{name}: {why}"))?;
            return self.of_id(id, value.part, how);
        }
        let (id, codec) = match (&how.choice, value.schema_id) {
            (&SchemaChoice::Id(id), _) => (id, self.of_id(SchemaId::Number(id), value.part, how)?),
            (SchemaChoice::OfRecord, Some(id)) => {
                let codec = self.of_id(SchemaId::Number(id), value.part, how)?;
                if let Codec::Protobuf(messages) = &*codec
                    && messages.has_several()
                    && how.message.is_none()
                {
                    let part = value.part.name();
                    return Err(format!(
                        "{id} has several messages: say --message {part}=NAME"
                    ));
                }
                (id, codec)
            }
            (SchemaChoice::OfRecord, None) => {
                let name = value.part.name();
                return Err(format!("the record has no {name}_schema_id"));
            }
            (SchemaChoice::Latest | SchemaChoice::Text(_), _) => self.of_topic(value, how)?,
        };
        wire::write_prefix(id, out);
        Ok(codec)
    }

    fn of_topic(&mut self, value: &JsonValue<'_>, how: &Serializing) -> Result<Found, String> {
        let place = (value.topic.to_owned(), value.part);
        if let Some((id, codec)) = self.of_topics.get(&place) {
            return Ok((*id, Rc::clone(codec)));
        }
        let registers = self.registers;
        let registry = self.registry.as_mut().ok_or("no schema registry")?;
        let (id, codec) = if let SchemaChoice::Text(text) = &how.choice {
            let codec = codec(text, how)?;
            let subject = how
                .strategy
                .subject(value.topic, value.part, codec.name().as_deref())?;
            (id_of_text(registry, registers, &subject, text)?, codec)
        } else {
            let subject = how.strategy.subject(value.topic, value.part, None)?;
            let (id, text) = registry.latest(&subject).map_err(|error| match error {
                RegistryError::NotFound(_) => format!(
                    "the registry has none under the subject {subject}: --schema FILE -X auto.register.schemas=true registers one"
                ),
                RegistryError::Failed(why) => why,
            })?;
            (id, codec(&text, how)?)
        };
        let found = (id, Rc::new(codec));
        self.of_topics.insert(place, found.clone());
        Ok(found)
    }

    fn of_id(&mut self, id: SchemaId, part: Part, how: &Serializing) -> Result<Rc<Codec>, String> {
        if let Some(codec) = self.by_id.get(&(id, part)) {
            return Ok(Rc::clone(codec));
        }
        let registry = self.registry.as_mut().ok_or("no schema registry")?;
        let text = registry
            .schema(id)
            .map_err(|error| format!("{id}: {error}"))?;
        let codec = Rc::new(codec(&text, how).map_err(|why| format!("{id}: {why}"))?);
        self.by_id.insert((id, part), Rc::clone(&codec));
        Ok(codec)
    }
}

fn codec(text: &SchemaText, how: &Serializing) -> Result<Codec, String> {
    let mut codec = Codec::new(text)?;
    if let Some(name) = &how.message {
        codec.choose(name)?;
    }
    Ok(codec)
}

/// What follows the id in the record's header.
fn header_path<'a>(value: &JsonValue<'a>) -> Option<&'a [u8]> {
    let header = wire::header(value.part, value.headers)?;
    Some(wire::of_header(header).ok()?.1)
}

fn id_of_text(
    registry: &mut Registry,
    registers: bool,
    subject: &str,
    text: &SchemaText,
) -> Result<u32, String> {
    if registers {
        return registry
            .register(subject, text)
            .map_err(|error| error.to_string());
    }
    registry.lookup(subject, text).map_err(|error| match error {
        RegistryError::NotFound(_) => format!(
            "the registry does not have it under the subject {subject}; -X auto.register.schemas=true registers it"
        ),
        RegistryError::Failed(why) => why,
    })
}
