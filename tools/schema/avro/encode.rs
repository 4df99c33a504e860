//! From JSON to Avro's bytes, the tagged and the plain form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::logical::Logical;
use super::{Field, Kind, MAX_DEPTH, Schema, decimal, iso};
use crate::schema::json::describe;
use crate::schema::{JsonStyle, Mismatch};

impl Schema {
    /// Appends the bytes of a JSON value.
    ///
    /// # Errors
    /// The value does not fit this schema; `out` holds a part of it then.
    pub fn encode(
        &self,
        value: &Value,
        style: JsonStyle,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        let mut walk = Walk {
            schema: self,
            style,
            depth: 0,
            tries: MAX_TRIES,
        };
        walk.value(self.root, value, out)
    }
}

/// How many branches of unions may be tried, and defaults written: those within each other multiply.
const MAX_TRIES: u32 = 10_000_000;

pub(super) struct Walk<'a> {
    pub(super) schema: &'a Schema,
    pub(super) style: JsonStyle,
    depth: u32,
    tries: u32,
}

impl Walk<'_> {
    pub(super) fn value(
        &mut self,
        node: usize,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        if self.depth == MAX_DEPTH {
            return Err(Mismatch::new("nested too deeply"));
        }
        self.depth += 1;
        let written = self.any(node, value, out);
        self.depth -= 1;
        written
    }

    fn any(&mut self, index: usize, value: &Value, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        let schema = self.schema;
        let node = &schema.nodes[index];
        let unexpected = || self.unexpected(index, value);
        match (&node.kind, value) {
            (Kind::Null, Value::Null) => {}
            (Kind::Boolean, Value::Bool(is_true)) => out.push((*is_true).into()),
            (Kind::Int, _) => {
                let number = self.integer(index, value)?;
                let number = i32::try_from(number).map_err(|_| unexpected())?;
                write_long(number.into(), out);
            }
            (Kind::Long, _) => write_long(self.integer(index, value)?, out),
            (Kind::Float, _) => {
                let number = number_of(value).ok_or_else(unexpected)?;
                let narrowed = number as f32;
                if narrowed.is_infinite() && number.is_finite() {
                    return Err(unexpected());
                }
                out.extend_from_slice(&narrowed.to_le_bytes());
            }
            (Kind::Double, _) => {
                let number = number_of(value).ok_or_else(unexpected)?;
                out.extend_from_slice(&number.to_le_bytes());
            }
            (Kind::Bytes, _) => {
                let bytes = self.bytes_of(index, value)?;
                write_bytes(&bytes, out);
            }
            (Kind::Fixed(size), _) => {
                let mut bytes = self.bytes_of(index, value)?;
                if matches!(node.logical, Some(Logical::Decimal { .. })) {
                    bytes = decimal::extended(&bytes, *size).ok_or_else(unexpected)?;
                }
                if bytes.len() != *size {
                    return Err(unexpected());
                }
                out.extend_from_slice(&bytes);
            }
            (Kind::String, Value::String(text)) => write_bytes(text.as_bytes(), out),
            (Kind::Enum(symbols), Value::String(text)) => {
                let at = symbols.iter().position(|symbol| symbol == text);
                write_long(at.ok_or_else(unexpected)? as i64, out);
            }
            (Kind::Array(items), Value::Array(values)) => self.array(*items, values, out)?,
            (Kind::Map(values), Value::Object(object)) => self.map(*values, object, out)?,
            (Kind::Record(fields), Value::Object(object)) => {
                self.record(index, fields, object, out)?;
            }
            (Kind::Union(branches), _) => self.union(index, branches, value, out)?,
            _ => return Err(unexpected()),
        }
        Ok(())
    }

    fn array(&mut self, items: usize, values: &[Value], out: &mut Vec<u8>) -> Result<(), Mismatch> {
        if !values.is_empty() {
            write_long(values.len() as i64, out);
        }
        for (index, value) in values.iter().enumerate() {
            self.value(items, value, out)
                .map_err(|wrong| wrong.in_item(index))?;
        }
        out.push(0);
        Ok(())
    }

    fn map(
        &mut self,
        values: usize,
        object: &Map<String, Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        if !object.is_empty() {
            write_long(object.len() as i64, out);
        }
        for (key, value) in object {
            write_bytes(key.as_bytes(), out);
            self.value(values, value, out)
                .map_err(|wrong| wrong.in_field(key))?;
        }
        out.push(0);
        Ok(())
    }

    /// A field that is missing has its default, if the schema says one; one that the schema does not know is an error.
    fn record(
        &mut self,
        index: usize,
        fields: &[Field],
        object: &Map<String, Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        let mut known = 0;
        for field in fields {
            let written = match (object.get(&field.name), &field.default) {
                (Some(value), _) => {
                    known += 1;
                    self.value(field.node, value, out)
                }
                (None, Some(default)) => self.default(field.node, default, out),
                (None, None) => Err(Mismatch::new(format!(
                    "missing, expected {}",
                    self.schema.describe(field.node)
                ))),
            };
            written.map_err(|wrong| wrong.in_field(&field.name))?;
        }
        if known < object.len() {
            let is_unknown = |name: &&String| fields.iter().all(|field| field.name != **name);
            let name = object.keys().find(is_unknown).map_or("", String::as_str);
            let record = &self.schema.nodes[index].tag;
            let wrong = Mismatch::new(format!("the record {record} has no such field"));
            return Err(wrong.in_field(name));
        }
        Ok(())
    }

    pub(super) fn spend_try(&mut self) -> Result<(), Mismatch> {
        let left = self.tries.checked_sub(1);
        self.tries = left.ok_or_else(|| {
            Mismatch::new("too many defaults, or unions without names of their branches")
        })?;
        Ok(())
    }

    /// A default is in the tagged form, but for a union: it is a value of the first branch that takes it.
    fn default(&mut self, node: usize, value: &Value, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        self.spend_try()?;
        let style = std::mem::replace(&mut self.style, JsonStyle::Tagged);
        let written = match &self.schema.nodes[node].kind {
            Kind::Union(branches) => self.default_of_union(node, branches, value, out),
            _ => self.value(node, value, out),
        };
        self.style = style;
        written
    }

    fn default_of_union(
        &mut self,
        node: usize,
        branches: &[usize],
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        let start = out.len();
        for (number, &branch) in branches.iter().enumerate() {
            write_long(number as i64, out);
            if self.value(branch, value, out).is_ok() {
                return Ok(());
            }
            out.truncate(start);
        }
        Err(self.unexpected(node, value))
    }

    fn integer(&self, node: usize, value: &Value) -> Result<i64, Mismatch> {
        if let Some(number) = value.as_i64() {
            return Ok(number);
        }
        match (value, self.schema.nodes[node].logical) {
            (Value::String(text), Some(logical)) => {
                iso::number_of_text(logical, text).map_err(Mismatch::new)
            }
            _ => Err(self.unexpected(node, value)),
        }
    }

    fn bytes_of(&self, node: usize, value: &Value) -> Result<Vec<u8>, Mismatch> {
        let unexpected = || self.unexpected(node, value);
        let logical = self.schema.nodes[node].logical;
        match (value, logical) {
            (Value::Number(number), Some(Logical::Decimal { precision, scale })) => {
                decimal::bytes_of(&number.to_string(), precision, scale).map_err(Mismatch::new)
            }
            (Value::String(text), _) if self.style == JsonStyle::Tagged => {
                let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok());
                bytes.collect::<Option<_>>().ok_or_else(unexpected)
            }
            (Value::String(text), Some(Logical::Decimal { precision, scale })) => {
                decimal::bytes_of(text, precision, scale).map_err(Mismatch::new)
            }
            (Value::String(text), Some(logical)) => {
                iso::bytes_of_text(logical, text).map_err(Mismatch::new)
            }
            (Value::String(text), None) => STANDARD
                .decode(text)
                .map_err(|error| Mismatch::new(format!("expected base64, found {value}: {error}"))),
            _ => Err(unexpected()),
        }
    }

    pub(super) fn unexpected(&self, node: usize, value: &Value) -> Mismatch {
        let (expected, found) = (self.schema.describe(node), describe(value));
        Mismatch::new(format!("expected {expected}, found {found}"))
    }
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

pub(super) fn write_long(number: i64, out: &mut Vec<u8>) {
    let mut bits = (number << 1 ^ number >> 63) as u64;
    while bits > 127 {
        out.push(bits as u8 | 128);
        bits >>= 7;
    }
    out.push(bits as u8);
}
