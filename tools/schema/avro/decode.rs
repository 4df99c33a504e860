//! From Avro's bytes to JSON, without a tree between them.

use super::input::Input;
use super::logical::Logical;
use super::{Kind, MAX_DEPTH, Schema, decimal, iso};
use crate::schema::{JsonStyle, Mismatch};
use crate::text::json::{write_base64, write_string};

impl Schema {
    /// Appends the JSON of a value.
    ///
    /// # Errors
    /// The bytes are not a value of this schema; `out` holds a part of it then.
    pub fn decode(
        &self,
        bytes: &[u8],
        style: JsonStyle,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        let mut walk = Walk {
            schema: self,
            input: Input::new(bytes),
            style,
            depth: 0,
            left: FREE_VALUES + VALUES_PER_BYTE * bytes.len() as u64,
        };
        walk.value(self.root, out)?;
        match walk.input.len() {
            0 => Ok(()),
            left => Err(Mismatch::new(format!(
                "{left} bytes are left behind the value"
            ))),
        }
    }
}

/// Values may take no bytes (null, a record of nothing), so that a few bytes can claim any number of them.
const FREE_VALUES: u64 = 1_000_000;
const VALUES_PER_BYTE: u64 = 64;

struct Walk<'a> {
    schema: &'a Schema,
    input: Input<'a>,
    style: JsonStyle,
    depth: u32,
    /// How many more values there may be.
    left: u64,
}

impl Walk<'_> {
    fn value(&mut self, node: usize, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        let schema = self.schema;
        let node = &schema.nodes[node];
        if self.left == 0 {
            return Err(Mismatch::new("more values than its bytes can hold"));
        }
        self.left -= 1;
        if self.style == JsonStyle::Plain
            && let Some(logical) = node.logical
            && self.logical(&node.kind, logical, out)?
        {
            return Ok(());
        }
        match &node.kind {
            Kind::Null => out.extend_from_slice(b"null"),
            Kind::Boolean => self.boolean(out)?,
            Kind::Int => write_integer(self.input.int()?.into(), out),
            Kind::Long => write_integer(self.input.long("long")?, out),
            Kind::Float => {
                let bytes = self.input.array("float")?;
                write_float(f32::from_le_bytes(bytes), out);
            }
            Kind::Double => {
                let bytes = self.input.array("double")?;
                write_double(f64::from_le_bytes(bytes), out);
            }
            Kind::Bytes => {
                let bytes = self.input.bytes("bytes")?;
                self.write_bytes(bytes, out);
            }
            Kind::Fixed(size) => {
                let bytes = self.input.take(*size, "fixed")?;
                self.write_bytes(bytes, out);
            }
            Kind::String => {
                let text = self.input.bytes("string")?;
                if std::str::from_utf8(text).is_err() {
                    return Err(Mismatch::new("a string that is not UTF-8"));
                }
                write_string(text, out);
            }
            Kind::Enum(symbols) => {
                let symbol = self.input.index("enum", symbols)?;
                write_string(symbol.as_bytes(), out);
            }
            Kind::Array(_) | Kind::Map(_) | Kind::Union(_) | Kind::Record(_) => {
                if self.depth == MAX_DEPTH {
                    return Err(Mismatch::new("nested too deeply"));
                }
                self.depth += 1;
                self.nested(&node.kind, out)?;
                self.depth -= 1;
            }
        }
        Ok(())
    }

    fn nested(&mut self, kind: &Kind, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        match kind {
            Kind::Record(fields) => {
                out.push(b'{');
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(&field.json_name);
                    self.value(field.node, out)
                        .map_err(|wrong| wrong.in_field(&field.name))?;
                }
                out.push(b'}');
                Ok(())
            }
            Kind::Array(items) => self.array_of(*items, out),
            Kind::Map(values) => self.map_of(*values, out),
            Kind::Union(branches) => self.union(branches, out),
            _ => Ok(()),
        }
    }

    fn union(&mut self, branches: &[usize], out: &mut Vec<u8>) -> Result<(), Mismatch> {
        let branch = *self.input.index("union", branches)?;
        let node = &self.schema.nodes[branch];
        if self.style == JsonStyle::Plain || matches!(node.kind, Kind::Null) {
            return self.value(branch, out);
        }
        out.push(b'{');
        write_string(node.tag.as_bytes(), out);
        out.push(b':');
        self.value(branch, out)
            .map_err(|wrong| wrong.in_field(&node.tag))?;
        out.push(b'}');
        Ok(())
    }

    fn array_of(&mut self, items: usize, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        out.push(b'[');
        let mut index = 0;
        while let Some(count) = self.input.block("array")? {
            for _ in 0..count {
                if index > 0 {
                    out.push(b',');
                }
                self.value(items, out)
                    .map_err(|wrong| wrong.in_item(index))?;
                index += 1;
            }
        }
        out.push(b']');
        Ok(())
    }

    fn map_of(&mut self, values: usize, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        out.push(b'{');
        let mut is_first = true;
        while let Some(count) = self.input.block("map")? {
            for _ in 0..count {
                if !std::mem::take(&mut is_first) {
                    out.push(b',');
                }
                let key = self.input.bytes("key of a map")?;
                let Ok(name) = std::str::from_utf8(key) else {
                    return Err(Mismatch::new("a key of a map that is not UTF-8"));
                };
                write_string(key, out);
                out.push(b':');
                self.value(values, out)
                    .map_err(|wrong| wrong.in_field(name))?;
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// Writes a value in its own words, if it has any in these; else nothing is taken.
    fn logical(
        &mut self,
        kind: &Kind,
        logical: Logical,
        out: &mut Vec<u8>,
    ) -> Result<bool, Mismatch> {
        let before = self.input;
        let text = match kind {
            Kind::Int => iso::text_of_number(logical, self.input.int()?.into()),
            Kind::Long => iso::text_of_number(logical, self.input.long("long")?),
            Kind::Bytes => text_of_bytes(logical, self.input.bytes("bytes")?),
            Kind::Fixed(size) => text_of_bytes(logical, self.input.take(*size, "fixed")?),
            _ => None,
        };
        match &text {
            Some(text) => write_string(text.as_bytes(), out),
            None => self.input = before,
        }
        Ok(text.is_some())
    }

    fn boolean(&mut self, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        let text: &[u8] = match self.input.take(1, "boolean")? {
            [0] => b"false",
            [1] => b"true",
            other => {
                return Err(Mismatch::new(format!("{} is no boolean", other[0])));
            }
        };
        out.extend_from_slice(text);
        Ok(())
    }

    fn write_bytes(&self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.style {
            JsonStyle::Plain => write_base64(bytes, out),
            JsonStyle::Tagged if bytes.is_ascii() => write_string(bytes, out),
            JsonStyle::Tagged => {
                let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
                write_string(text.as_bytes(), out);
            }
        }
    }
}

fn text_of_bytes(logical: Logical, bytes: &[u8]) -> Option<String> {
    match logical {
        Logical::Decimal { scale, .. } => Some(decimal::text_of(bytes, scale)),
        _ => iso::text_of_bytes(logical, bytes),
    }
}

fn write_integer(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// JSON has no such numbers; Java writes their names.
fn write_special(number: f64, out: &mut Vec<u8>) {
    let name: &[u8] = if number.is_nan() {
        b"\"NaN\""
    } else if number > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    };
    out.extend_from_slice(name);
}

fn write_float(number: f32, out: &mut Vec<u8>) {
    if !number.is_finite() {
        return write_special(number.into(), out);
    }
    // Writing into memory does not fail.
    let _ = serde_json::to_writer(out, &number);
}

fn write_double(number: f64, out: &mut Vec<u8>) {
    if !number.is_finite() {
        return write_special(number, out);
    }
    let _ = serde_json::to_writer(out, &number);
}
