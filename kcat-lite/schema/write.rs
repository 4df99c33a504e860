//! Records to be produced: JSON to bytes.

use tools::kafka::Options;
use tools::record::{Content, Embedded, Record};
use tools::schema::JsonStyle;
use tools::schema::reader::Serialization;
use tools::schema::registry::{SchemaText, SchemaType, Settings};
use tools::schema::wire::Part;
pub(crate) use tools::schema::writer::WriteError;
use tools::schema::writer::{JsonValue, SchemaChoice, Serializing, SubjectStrategy, Writer};

use super::{open, registry, serialization};
use crate::cli::SchemaArgs;

/// What is encoded, and how.
#[derive(Clone, Debug)]
pub(crate) struct WriteSchemas {
    key: Option<Serializing>,
    value: Option<Serializing>,
    /// `None` if no registry is needed.
    registry: Option<Settings>,
    style: JsonStyle,
    registers: bool,
}

/// From the options as typed; `key` and `value` are names of `-s`.
pub(crate) fn writing(
    args: &SchemaArgs,
    key: Option<&str>,
    value: Option<&str>,
    options: &Options,
) -> Result<WriteSchemas, String> {
    let (key, value) = (serialization(key)?, serialization(value)?);
    let registry = registry(args, [key, value], options)?;
    let one = |part, used: Option<Serialization>| {
        let choice = choice(args, part, used)?;
        let strategy = strategy(part, options)?;
        let message = of_part(part, &args.message);
        let has_messages = matches!(
            used,
            Some(Serialization::Of(SchemaType::Protobuf) | Serialization::Registry)
        );
        if let Some(name) = message.as_ref().filter(|_| !has_messages) {
            let part = part.name();
            return Err(format!(
                "--message {name}: the {part} has no messages; say -s {part}=protobuf"
            ));
        }
        Ok::<_, String>(used.map(|serialization| Serializing {
            serialization,
            choice,
            strategy,
            message,
        }))
    };
    Ok(WriteSchemas {
        key: one(Part::Key, key)?,
        value: one(Part::Value, value)?,
        registry,
        style: args.json_style.map_or_else(JsonStyle::default, Into::into),
        registers: options.get("auto.register.schemas") == Some("true"),
    })
}

fn strategy(part: Part, options: &Options) -> Result<SubjectStrategy, String> {
    let property = format!("{}.subject.name.strategy", part.name());
    let Some(name) = options.get(&property) else {
        return Ok(SubjectStrategy::default());
    };
    SubjectStrategy::parse(name).ok_or_else(|| format!("{property}: `{name}` is not supported"))
}

/// What `--schema`, `--schema-id` or `--message` says for this part; the last counts.
fn of_part(part: Part, typed: &[String]) -> Option<String> {
    let mut typed = typed.iter().rev();
    typed.find_map(|text| {
        let of_key = text.strip_prefix("key=");
        let found = match part {
            Part::Key => of_key,
            Part::Value if of_key.is_some() => None,
            Part::Value => Some(text.strip_prefix("value=").unwrap_or(text)),
        };
        found.map(str::to_owned)
    })
}

/// The schema that `--schema` or `--schema-id` names for this part.
fn choice(
    args: &SchemaArgs,
    part: Part,
    used: Option<Serialization>,
) -> Result<SchemaChoice, String> {
    let (file, id) = (of_part(part, &args.schema), of_part(part, &args.schema_id));
    let option = if file.is_some() {
        "--schema"
    } else {
        "--schema-id"
    };
    let text = file.as_deref().or(id.as_deref());
    match (used, text) {
        (_, None) => return Ok(SchemaChoice::Latest),
        (None | Some(Serialization::Json), Some(text)) => {
            let name = part.name();
            return Err(format!(
                "{option} {text}: the {name} has no schema; say -s {name}=avro"
            ));
        }
        (Some(_), Some(_)) => {}
    }
    match (file, id.as_deref()) {
        (Some(path), _) => schema_of_file(&path, used).map(SchemaChoice::Text),
        (None, Some("record")) => Ok(SchemaChoice::OfRecord),
        (None, id) => {
            let id = id.unwrap_or_default();
            let number = id
                .parse()
                .map_err(|_| format!("--schema-id {id}: a number is expected, or `record`"))?;
            Ok(SchemaChoice::Id(number))
        }
    }
}

fn schema_of_file(path: &str, used: Option<Serialization>) -> Result<SchemaText, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("--schema {path}: {why}"))?;
    let kind = match (used, path.rsplit('.').next()) {
        (Some(Serialization::Of(kind)), _) => kind,
        (_, Some("avsc")) => SchemaType::Avro,
        (_, Some("proto")) => SchemaType::Protobuf,
        (_, Some("json")) => SchemaType::JsonSchema,
        _ => return Err(format!("--schema {path}: of which type? Say -s avro")),
    };
    // To a registry that compares texts, a last line feed makes another schema.
    let text = text.trim_end().to_owned();
    Ok(SchemaText {
        kind,
        text,
        references: Vec::new(),
    })
}

/// Encodes keys and values.
pub(crate) struct RecordWriter {
    schemas: WriteSchemas,
    writer: Writer,
    /// The topic of `-t`.
    topic: Option<String>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl RecordWriter {
    /// `None` where nothing has a schema.
    pub(crate) fn new(
        schemas: Option<&WriteSchemas>,
        topic: Option<&str>,
    ) -> anyhow::Result<Option<RecordWriter>> {
        let Some(schemas) = schemas else {
            return Ok(None);
        };
        let registry = open(schemas.registry.as_ref())?;
        Ok(Some(RecordWriter {
            writer: Writer::new(registry, schemas.style, schemas.registers),
            schemas: schemas.clone(),
            topic: topic.map(str::to_owned),
            key: Vec::new(),
            value: Vec::new(),
        }))
    }

    /// Which values of a JSON object are JSON, not text.
    pub(crate) fn embedded(&self) -> Embedded {
        Embedded {
            key: self.schemas.key.is_some(),
            value: self.schemas.value.is_some(),
        }
    }

    /// Calls `use_it` with the record as bytes. NULL stays NULL.
    pub(crate) fn apply<T>(
        &mut self,
        record: &Record<'_>,
        use_it: impl FnOnce(&Record<'_>) -> T,
    ) -> Result<T, WriteError> {
        let (schemas, writer) = (&self.schemas, &mut self.writer);
        let topic = self.topic.as_deref().or(record.topic).unwrap_or_default();
        let mut write = |part, how: &Option<Serializing>, text, content, out: &mut Vec<u8>| {
            out.clear();
            let (Some(how), Some(text)) = (how, text) else {
                return Ok(false);
            };
            let schema_id = match content {
                Content::Encoded => return Ok(false),
                Content::Bytes => None,
                Content::Json { schema_id } => schema_id,
            };
            let value = JsonValue {
                topic,
                part,
                text,
                schema_id,
                headers: record.headers,
            };
            writer.write(&value, how, out).map(|()| true)
        };
        let mut encoded = *record;
        if write(
            Part::Key,
            &schemas.key,
            record.key,
            record.key_content,
            &mut self.key,
        )? {
            encoded.key = Some(&self.key);
        }
        if write(
            Part::Value,
            &schemas.value,
            record.value,
            record.value_content,
            &mut self.value,
        )? {
            encoded.value = Some(&self.value);
        }
        Ok(use_it(&encoded))
    }
}
