//! The client of a schema registry, Confluent's or one that speaks as it does.

mod request;
mod settings;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

pub use settings::Settings;

use super::wire::SchemaId;
use crate::http::percent_encoded;
use request::Http;

/// Why there is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The registry says that it has none.
    #[error("the schema registry has no such schema ({0})")]
    NotFound(String),
    /// The registry can't be asked, or its answer makes no sense.
    #[error("{0}")]
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaType {
    Avro,
    Protobuf,
    JsonSchema,
}

impl SchemaType {
    /// As the registry calls it.
    pub fn name(self) -> &'static str {
        match self {
            SchemaType::Avro => "AVRO",
            SchemaType::Protobuf => "PROTOBUF",
            SchemaType::JsonSchema => "JSON",
        }
    }

    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            SchemaType::Avro => "Avro",
            SchemaType::Protobuf => "Protobuf",
            SchemaType::JsonSchema => "JSON Schema",
        }
    }

    fn parse(name: &str) -> Option<SchemaType> {
        let all = [
            SchemaType::Avro,
            SchemaType::Protobuf,
            SchemaType::JsonSchema,
        ];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// A schema with those that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaText {
    pub kind: SchemaType,
    pub text: String,
    /// Name and text, each after those that it needs itself.
    pub references: Vec<(String, String)>,
}

/// A schema under a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectVersion {
    pub subject: String,
    pub version: i64,
}

/// How long it is remembered that a schema is not there.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many schemas one may refer to, directly or not: no schema needs more.
const MOST_REFERENCES: usize = 200;

/// Asks the registry, each thing once.
pub struct Registry {
    http: Http,
    missing: HashMap<String, (Instant, String)>,
}

impl Registry {
    /// `is_unwanted`: whether nobody waits for answers any more, so that nothing is tried again.
    pub fn new(settings: Settings, is_unwanted: fn() -> bool) -> Result<Registry, RegistryError> {
        Ok(Registry {
            http: Http::new(settings, is_unwanted)?,
            missing: HashMap::new(),
        })
    }

    /// The schema of an id.
    pub fn schema(&mut self, id: SchemaId) -> Result<SchemaText, RegistryError> {
        let answer = self.get(&match id {
            SchemaId::Number(id) => format!("/schemas/ids/{id}"),
            SchemaId::Guid(_) => format!("/schemas/guids/{id}"),
        })?;
        self.text_of(&answer)
    }

    /// The newest schema of a subject, and its id.
    pub fn latest(&mut self, subject: &str) -> Result<(u32, SchemaText), RegistryError> {
        let subject = percent_encoded(subject);
        let answer = self.get(&format!("/subjects/{subject}/versions/latest"))?;
        Ok((id_of(&answer)?, self.text_of(&answer)?))
    }

    /// The id that a schema has under a subject.
    pub fn lookup(&mut self, subject: &str, schema: &SchemaText) -> Result<u32, RegistryError> {
        let path = format!("/subjects/{}", percent_encoded(subject));
        id_of(&self.http.ask(&Method::POST, &path, Some(&body(schema)))?)
    }

    /// Registers a schema under a subject, and returns its id.
    pub fn register(&mut self, subject: &str, schema: &SchemaText) -> Result<u32, RegistryError> {
        let path = format!("/subjects/{}/versions", percent_encoded(subject));
        id_of(&self.http.ask(&Method::POST, &path, Some(&body(schema)))?)
    }

    /// Under which subjects a schema is.
    pub fn versions(&mut self, id: SchemaId) -> Result<Vec<SubjectVersion>, RegistryError> {
        let id = match id {
            SchemaId::Number(id) => id,
            SchemaId::Guid(_) => id_of(&self.get(&format!("/schemas/guids/{id}/ids"))?[0])?,
        };
        let answer = self.get(&format!("/schemas/ids/{id}/versions"))?;
        let rows = answer.as_array();
        let rows = rows.ok_or_else(|| unexpected("with no list of versions"))?;
        let row = |row: &Value| {
            let (subject, version) = (row["subject"].as_str(), row["version"].as_i64());
            let (subject, version) = subject.zip(version)?;
            Some(SubjectVersion {
                subject: subject.to_owned(),
                version,
            })
        };
        let versions = rows.iter().map(row).collect::<Option<_>>();
        versions.ok_or_else(|| unexpected("with a version without subject and number"))
    }

    fn get(&mut self, path: &str) -> Result<Value, RegistryError> {
        if let Some((since, why)) = self.missing.get(path)
            && since.elapsed() < REMEMBERED
        {
            return Err(RegistryError::NotFound(why.clone()));
        }
        let answer = self.http.ask(&Method::GET, path, None);
        if let Err(RegistryError::NotFound(why)) = &answer {
            self.missing
                .insert(path.to_owned(), (Instant::now(), why.clone()));
        }
        answer
    }

    fn text_of(&mut self, answer: &Value) -> Result<SchemaText, RegistryError> {
        let (kind, text) = parse_schema(answer)?;
        let mut references = Vec::new();
        self.add_references(answer, &mut references, 0)?;
        Ok(SchemaText {
            kind,
            text,
            references,
        })
    }

    /// Adds the schemas that an answer names, the innermost first.
    fn add_references(
        &mut self,
        answer: &Value,
        found: &mut Vec<(String, String)>,
        depth: usize,
    ) -> Result<(), RegistryError> {
        let rows = answer["references"].as_array();
        for row in rows.map_or(&[][..], Vec::as_slice) {
            let wrong = || unexpected("a reference without name, subject and version");
            let name = row["name"].as_str().ok_or_else(wrong)?;
            let subject = row["subject"].as_str().ok_or_else(wrong)?;
            let version = row["version"].as_i64().ok_or_else(wrong)?;
            if found.iter().any(|(known, _)| known == name) {
                continue;
            }
            if depth == MOST_REFERENCES || found.len() == MOST_REFERENCES {
                return Err(unexpected("schemas that refer to each other without end"));
            }
            let subject = percent_encoded(subject);
            let inner = self.get(&format!("/subjects/{subject}/versions/{version}"))?;
            self.add_references(&inner, found, depth + 1)?;
            found.push((name.to_owned(), parse_schema(&inner)?.1));
        }
        Ok(())
    }
}

fn unexpected(what: &str) -> RegistryError {
    RegistryError::Failed(format!("the schema registry has answered {what}"))
}

/// Avro is not named, as before there were others.
fn parse_schema(answer: &Value) -> Result<(SchemaType, String), RegistryError> {
    let name = answer["schemaType"].as_str().unwrap_or("AVRO");
    let kind = SchemaType::parse(name)
        .ok_or_else(|| unexpected(&format!("with a schema of the type {name}")))?;
    let text = answer["schema"].as_str();
    let text = text.ok_or_else(|| unexpected("without a schema"))?;
    Ok((kind, text.to_owned()))
}

fn id_of(answer: &Value) -> Result<u32, RegistryError> {
    let id = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| unexpected("without an id"))
}

fn body(schema: &SchemaText) -> Value {
    match schema.kind {
        SchemaType::Avro => json!({ "schema": schema.text }),
        kind => json!({ "schema": schema.text, "schemaType": kind.name() }),
    }
}
