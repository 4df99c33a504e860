//! The text of a schema, its names resolved.
//!
//! As strict as Java's parser where the meaning of data depends on it, and no stricter: names need not be identifiers.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::logical::Logical;
use super::{Field, Kind, Node, Schema};
use crate::schema::json;
use crate::text::json::write_string;

/// Why a text is no Avro schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

fn error(text: impl Into<String>) -> ParseError {
    ParseError(text.into())
}

/// How deep a schema may be nested.
const MAX_DEPTH: usize = 200;

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    named: HashMap<String, usize>,
    depth: usize,
}

impl Parser {
    fn parse_text(&mut self, text: &str) -> Result<usize, ParseError> {
        // Registries also take the bare name of a type.
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        if !text.is_empty() && text.chars().all(is_word) {
            return self.name("", text);
        }
        let value = json::parse(text.as_bytes()).map_err(|why| error(why.to_string()))?;
        self.schema(&value, "")
    }

    fn add(&mut self, kind: Kind, tag: &str) -> usize {
        self.nodes.push(Node {
            kind,
            logical: None,
            tag: tag.to_owned(),
        });
        self.nodes.len() - 1
    }

    fn schema(&mut self, value: &Value, namespace: &str) -> Result<usize, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error("types are nested too deeply"));
        }
        let node = match value {
            Value::String(name) => self.name(namespace, name),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => self.object(object, namespace),
            other => Err(error(format!("{other} is no type"))),
        };
        self.depth -= 1;
        node
    }

    fn name(&mut self, namespace: &str, name: &str) -> Result<usize, ParseError> {
        if let Some(kind) = primitive(name) {
            return Ok(self.add(kind, name));
        }
        let full = full_name(name, namespace);
        let found = self.named.get(&full).or_else(|| self.named.get(name));
        found
            .copied()
            .ok_or_else(|| error(format!("there is no type {full}")))
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Result<usize, ParseError> {
        let nodes = branches
            .iter()
            .map(|branch| self.schema(branch, namespace))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.add(Kind::Union(nodes), "union"))
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<usize, ParseError> {
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            // A type in another one's braces.
            Some(nested @ (Value::Object(_) | Value::Array(_))) => {
                return self.schema(nested, namespace);
            }
            _ => return Err(error("a type is missing")),
        };
        let part = |name: &str| {
            object
                .get(name)
                .ok_or_else(|| error(format!("{kind} without {name}")))
        };
        let node = match kind {
            "array" => {
                let items = self.schema(part("items")?, namespace)?;
                self.add(Kind::Array(items), kind)
            }
            "map" => {
                let values = self.schema(part("values")?, namespace)?;
                self.add(Kind::Map(values), kind)
            }
            "record" | "error" | "enum" | "fixed" => return self.named(kind, object, namespace),
            name => self.name(namespace, name)?,
        };
        // The node of a primitive type is this one's alone; that of a name is shared.
        if primitive(kind).is_some() {
            self.nodes[node].logical = Logical::of(object, &self.nodes[node].kind);
        }
        Ok(node)
    }

    fn named(
        &mut self,
        kind: &str,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<usize, ParseError> {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let name = text("name")
            .filter(|name| !name.is_empty())
            .ok_or_else(|| error(format!("{kind} without name")))?;
        let full = full_name(name, text("namespace").unwrap_or(namespace));
        let namespace = full.rsplit_once('.').map_or("", |(space, _)| space);
        let node = self.add(Kind::Null, &full);
        if self.named.insert(full.clone(), node).is_some() {
            return Err(error(format!("{full} is defined twice")));
        }
        let named = match kind {
            "enum" => symbols(object).map(Kind::Enum),
            "fixed" => size(object).map(Kind::Fixed),
            _ => self.fields(object, namespace).map(Kind::Record),
        };
        let named = named.map_err(|ParseError(why)| error(format!("{full}: {why}")))?;
        self.nodes[node].logical = Logical::of(object, &named);
        self.nodes[node].kind = named;
        Ok(node)
    }

    fn fields(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<Vec<Field>, ParseError> {
        let fields = object.get("fields").and_then(Value::as_array);
        let fields = fields.ok_or_else(|| error("a record without fields"))?;
        let mut parsed: Vec<Field> = Vec::with_capacity(fields.len());
        let mut names = HashSet::new();
        for field in fields {
            let name = field.get("name").and_then(Value::as_str);
            let name = name.ok_or_else(|| error("a field without name"))?;
            if !names.insert(name) {
                return Err(error(format!("the field {name} is there twice")));
            }
            let in_field = |ParseError(why): ParseError| error(format!("{name}: {why}"));
            let kind = field
                .get("type")
                .ok_or_else(|| error(format!("the field {name} has no type")))?;
            let mut json_name = Vec::new();
            write_string(name.as_bytes(), &mut json_name);
            json_name.push(b':');
            parsed.push(Field {
                name: name.to_owned(),
                json_name,
                node: self.schema(kind, namespace).map_err(in_field)?,
                default: field.get("default").cloned(),
            });
        }
        Ok(parsed)
    }
}

fn symbols(object: &Map<String, Value>) -> Result<Vec<String>, ParseError> {
    let symbols = object.get("symbols").and_then(Value::as_array);
    let symbols = symbols.ok_or_else(|| error("an enum without symbols"))?;
    let text = |symbol: &Value| symbol.as_str().map(str::to_owned);
    let symbols: Option<Vec<String>> = symbols.iter().map(text).collect();
    symbols.ok_or_else(|| error("a symbol is no string"))
}

fn size(object: &Map<String, Value>) -> Result<usize, ParseError> {
    let size = object.get("size").and_then(Value::as_u64);
    let size = size.and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| error("a fixed without size"))
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.trim_start_matches('.').to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

impl Schema {
    /// Parses a schema; `references` are the schemas it names types of, each after those that it needs itself.
    pub fn parse(text: &str, references: &[String]) -> Result<Schema, ParseError> {
        let mut parser = Parser::default();
        for text in references {
            parser.parse_text(text)?;
        }
        let root = parser.parse_text(text)?;
        let schema = Schema {
            nodes: parser.nodes,
            root,
        };
        schema.check_unions()?;
        Ok(schema)
    }

    /// A branch is named by its tag, so that two with the same tag can't be distinguished.
    fn check_unions(&self) -> Result<(), ParseError> {
        for node in &self.nodes {
            let Kind::Union(branches) = &node.kind else {
                continue;
            };
            let mut tags = HashSet::new();
            for &branch in branches {
                let branch = &self.nodes[branch];
                if matches!(branch.kind, Kind::Union(_)) {
                    return Err(error("a union directly in a union"));
                }
                if !tags.insert(&branch.tag) {
                    return Err(error(format!("{} twice in a union", branch.tag)));
                }
            }
        }
        Ok(())
    }
}
