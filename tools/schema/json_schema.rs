//! JSON Schema: the text is the value, and the schema says which texts are valid.

use std::error::Error;

use boon::{Compiler, Draft, InstanceToken, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

use super::{Mismatch, json};

/// A compiled schema.
pub struct JsonSchema {
    schemas: Schemas,
    root: SchemaIndex,
    title: Option<String>,
}

/// Where a schema is that does not say so itself.
const BASE: &str = "schema:///schema.json";

impl JsonSchema {
    /// Parses a schema; `references` are the names and texts of those that it refers to.
    ///
    /// # Errors
    /// The reason.
    pub fn parse(text: &str, references: &[(String, String)]) -> Result<JsonSchema, String> {
        let parse = |text: &str| json::parse(text.as_bytes()).map_err(|wrong| wrong.to_string());
        let schema = parse(text)?;
        let title = schema.get("title").and_then(Value::as_str);
        let title = title.map(str::to_owned);
        let base = schema.get("$id").and_then(Value::as_str);
        let base = base
            .filter(|id| id.contains("://"))
            .unwrap_or(BASE)
            .to_owned();
        let mut compiler = Compiler::new();
        // As Confluent's clients, where a schema does not say its draft.
        compiler.set_default_draft(Draft::V7);
        compiler.use_loader(Box::new(NoLoader));
        let folder = base
            .rsplit_once('/')
            .map_or(base.as_str(), |(folder, _)| folder);
        for (name, text) in references {
            let place = if name.contains("://") {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            let added = compiler.add_resource(&place, parse(text)?);
            added.map_err(|why| format!("{why:#}"))?;
        }
        let added = compiler.add_resource(&base, schema);
        added.map_err(|why| format!("{why:#}"))?;
        let mut schemas = Schemas::new();
        let root = compiler.compile(&base, &mut schemas);
        let root = root.map_err(|why| format!("{why:#}"))?;
        Ok(JsonSchema {
            schemas,
            root,
            title,
        })
    }

    /// What names it, for Java's clients.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Says whether a value is valid, or the first reason why it is not.
    pub fn validate(&self, value: &Value) -> Result<(), Mismatch> {
        let valid = self.schemas.validate(value, self.root);
        valid.map_err(|error| mismatch(&error))
    }
}

/// The innermost of the first reasons says most.
fn mismatch(error: &ValidationError<'_, '_>) -> Mismatch {
    if let Some(inner) = error.causes.first() {
        return mismatch(inner);
    }
    let wrong = Mismatch::new(error.kind.to_string());
    let tokens = error.instance_location.tokens.iter().rev();
    tokens.fold(wrong, |wrong, token| match token {
        InstanceToken::Prop(name) => wrong.in_field(name),
        InstanceToken::Item(index) => wrong.in_item(*index),
    })
}

/// A schema of a registry is not asked for other places, least of all for files of this machine.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("{url} is not among the references of the schema").into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_valid_or_the_reason_has_its_path() {
        let text = json!({"type": "object", "required": ["id"], "properties": {
            "id": {"type": "integer"},
            "tags": {"type": "array", "items": {"$ref": "tag.json"}},
        }});
        let tag = json!({"type": "string", "minLength": 2}).to_string();
        let references = [("tag.json".to_owned(), tag)];
        let schema = JsonSchema::parse(&text.to_string(), &references).expect("a schema");
        let check = |value: Value| schema.validate(&value).map_err(|wrong| wrong.to_string());
        assert_eq!(check(json!({"id": 1, "tags": ["ab"]})), Ok(()));
        let error = check(json!({"id": 1, "tags": ["ab", 5]})).expect_err("a number");
        assert!(error.starts_with(".tags[1]: "), "{error}");
        let error = check(json!({})).expect_err("no id");
        assert!(error.contains("id"), "{error}");
    }

    #[test]
    fn a_schema_reads_no_files() {
        let error = |text: &str| JsonSchema::parse(text, &[]).err().expect("no schema");
        let refused = error(r#"{"$ref": "file:///etc/hostname"}"#);
        assert!(refused.contains("not among the references"), "{refused}");
        let id = error(r#"{"$id": "file:///etc/x", "$ref": "hostname"}"#);
        assert!(id.contains("not among the references"), "{id}");
        assert!(!error("{").is_empty() && !error(r#"{"type": 5}"#).is_empty());
        assert!(JsonSchema::parse("true", &[]).is_ok());
    }
}
