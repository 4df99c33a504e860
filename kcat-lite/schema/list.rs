//! `-Q --schema`: the schemas that the newest records of a topic use.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::{Value, json};
use tools::cli::signals::any_caught;
use tools::cli::{Exit, message, messages};
use tools::kafka::admin::Isolation;
use tools::kafka::consume::ReadRequest;
use tools::record::Record;
use tools::schema::registry::{Registry, RegistryError, SchemaText, SubjectVersion};
use tools::schema::wire::{self, Part, SchemaId};

use crate::admin_query::{AdminQuery, MAX_NAMED, push_line};
use crate::config::{OutputFormat, SchemaQuery};
use crate::contact::SilenceLimit;
use crate::engine::Engine;
use crate::last::Search;

/// The keys or values of a topic that name the same schema, or that name none.
struct Group {
    topic: String,
    part: Part,
    /// Or why there is none.
    id: Result<SchemaId, String>,
    records: u64,
}

/// A group with what the registry says of its schema.
struct Row {
    group: Group,
    schema: Option<SchemaText>,
    subject: Option<SubjectVersion>,
}

/// Prints the schemas; fails if the registry does not know one, after printing the others.
pub(crate) fn list(config: &SchemaQuery) -> anyhow::Result<Exit> {
    let admin = AdminQuery::new()?;
    let signals = admin.signals();
    let search = Search {
        engine: Engine::default(),
        options: &config.options,
        request: ReadRequest {
            topics: config.topics.clone(),
            isolation: Isolation::of(&config.options),
            ..ReadRequest::default()
        },
        count: config.count,
        keeps_trying: false,
        limit: Some(SilenceLimit {
            time: config.options.first_contact,
            option: "-m",
        }),
        is_wanted: &|_| true,
    };
    let Some(newest) = search.run(signals)? else {
        return Ok(signals.end_of_reader());
    };
    let mut groups = Groups::default();
    for kept in &newest {
        kept.with_record(|record| groups.add(record));
    }
    let (topics, newest) = (config.topics.join(", "), newest.len());
    if groups.0.is_empty() {
        message(format_args!(
            "{topics}: no key and no value in the newest {newest} records"
        ));
    }
    let mut registry = Registry::new(config.registry.clone(), any_caught)?;
    let mut unknown = Vec::new();
    let mut rows = Vec::new();
    for group in groups.0.into_values() {
        describe(&mut registry, group, &mut rows, &mut unknown)?;
    }
    let text = match config.format {
        OutputFormat::Text => text(&rows, newest),
        OutputFormat::Json => {
            let lines = rows.iter().map(|row| json(row).to_string() + "\n");
            lines.collect()
        }
        OutputFormat::Tsv => tsv(&rows),
    };
    admin.print(&text)?;
    messages(&unknown, MAX_NAMED);
    Ok(if unknown.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// In the order of the output.
#[derive(Default)]
struct Groups(BTreeMap<(String, Part, String), Group>);

impl Groups {
    fn add(&mut self, record: &Record<'_>) {
        for (part, bytes) in [(Part::Key, record.key), (Part::Value, record.value)] {
            let Some(bytes) = bytes else { continue };
            let topic = record.topic.unwrap_or_default().to_owned();
            let split = wire::split_record(part, bytes, record.headers);
            let id = split.map(|(id, ..)| id).map_err(|why| why.to_string());
            // Reasons differ from record to record.
            let order = id.as_ref().map_or_else(|_| String::new(), sortable);
            let group = self.0.entry((topic.clone(), part, order));
            let group = group.or_insert(Group {
                topic,
                part,
                id,
                records: 0,
            });
            group.records += 1;
        }
    }
}

fn sortable(id: &SchemaId) -> String {
    match id {
        SchemaId::Number(id) => format!("{id:010}"),
        SchemaId::Guid(_) => id.to_string(),
    }
}

/// Adds a row for each subject that has the schema.
fn describe(
    registry: &mut Registry,
    group: Group,
    rows: &mut Vec<Row>,
    unknown: &mut Vec<String>,
) -> anyhow::Result<()> {
    let row = |group, schema, subject| Row {
        group,
        schema,
        subject,
    };
    let Ok(id) = group.id else {
        rows.push(row(group, None, None));
        return Ok(());
    };
    let schema = match registry.schema(id) {
        Ok(schema) => schema,
        Err(RegistryError::NotFound(why)) => {
            let (topic, part) = (&group.topic, group.part.name());
            unknown.push(format!(
                "{topic}: the {part}'s schema {id} is not in the registry: {why}"
            ));
            rows.push(row(group, None, None));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let subjects = match registry.versions(id) {
        // An old registry, or one that has deleted them.
        Err(RegistryError::NotFound(_)) => Vec::new(),
        other => other.map_err(|error| anyhow!("the subjects of schema {id}: {error}"))?,
    };
    if subjects.is_empty() {
        rows.push(row(group, Some(schema), None));
        return Ok(());
    }
    for subject in subjects {
        let group = Group {
            topic: group.topic.clone(),
            id: group.id.clone(),
            ..group
        };
        rows.push(row(group, Some(schema.clone()), Some(subject)));
    }
    Ok(())
}

/// For people: a line for each row, and the schema below.
fn text(rows: &[Row], newest: usize) -> String {
    let mut text = String::new();
    for Row {
        group,
        schema,
        subject,
    } in rows
    {
        let (topic, part, records) = (&group.topic, group.part.name(), group.records);
        let id = match &group.id {
            Ok(id) => format!("schema {id}"),
            Err(why) => format!("no schema: {why}"),
        };
        let _ = write!(text, "{topic} {part}: {id}");
        if let Some(schema) = schema {
            let _ = write!(text, ", {}", schema.kind.title());
        }
        if let Some(SubjectVersion { subject, version }) = subject {
            let _ = write!(text, ", {subject} version {version}");
        }
        let _ = writeln!(text, " ({records} of {newest} records)");
        for line in schema.iter().flat_map(|schema| schema.text.lines()) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

fn json(row: &Row) -> Value {
    let id = row.group.id.as_ref().ok().map(|id| match id {
        SchemaId::Number(id) => json!(id),
        SchemaId::Guid(_) => json!(id.to_string()),
    });
    json!({
        "topic": row.group.topic,
        "part": row.group.part.name(),
        "records": row.group.records,
        "id": id,
        "subject": row.subject.as_ref().map(|found| &found.subject),
        "version": row.subject.as_ref().map(|found| found.version),
        "type": row.schema.as_ref().map(|schema| schema.kind.name()),
        "schema": row.schema.as_ref().map(|schema| &schema.text),
    })
}

/// The members of the JSON in their order.
fn tsv(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let json = json(row);
        let members = json.as_object().into_iter().flat_map(|row| row.values());
        let fields: Vec<Option<String>> = members
            .map(|member| match member {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            })
            .collect();
        push_line(&mut text, fields.iter().map(Option::as_deref));
    }
    text
}
