//! From Avro's bytes to JSON, without a tree between them.

use super::logical::Logical;
use super::{Kind, MAX_DEPTH, Schema, decimal, iso};
use crate::schema::{JsonStyle, Mismatch};
use crate::text::json::{write_base64, write_string};

pub(super) fn decode(
    schema: &Schema,
    bytes: &[u8],
    style: JsonStyle,
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    let mut walk = Walk {
        schema,
        rest: bytes,
        style,
        depth: 0,
        left: FREE_VALUES + VALUES_PER_BYTE * bytes.len() as u64,
    };
    walk.value(schema.root, out)?;
    match walk.rest.len() {
        0 => Ok(()),
        left => Err(Mismatch::new(format!(
            "{left} bytes are left behind the value"
        ))),
    }
}

/// Values may take no bytes (null, a record of nothing), so that a few bytes can claim any number of them.
const FREE_VALUES: u64 = 1_000_000;
const VALUES_PER_BYTE: u64 = 64;

struct Walk<'a> {
    schema: &'a Schema,
    rest: &'a [u8],
    style: JsonStyle,
    depth: u32,
    /// How many more values there may be.
    left: u64,
}

impl<'a> Walk<'a> {
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
            Kind::Int => write_integer(self.int()?.into(), out),
            Kind::Long => write_integer(self.long("long")?, out),
            Kind::Float => {
                let bytes = self.array("float")?;
                write_float(f32::from_le_bytes(bytes), out);
            }
            Kind::Double => {
                let bytes = self.array("double")?;
                write_double(f64::from_le_bytes(bytes), out);
            }
            Kind::Bytes => {
                let bytes = self.bytes("bytes")?;
                self.write_bytes(bytes, out);
            }
            Kind::Fixed(size) => {
                let bytes = self.take(*size, "fixed")?;
                self.write_bytes(bytes, out);
            }
            Kind::String => {
                let text = self.bytes("string")?;
                if std::str::from_utf8(text).is_err() {
                    return Err(Mismatch::new("a string that is not UTF-8"));
                }
                write_string(text, out);
            }
            Kind::Enum(symbols) => {
                let symbol = self.index("enum", symbols)?;
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
        let branch = *self.index("union", branches)?;
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
        while let Some(count) = self.block("array")? {
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
        while let Some(count) = self.block("map")? {
            for _ in 0..count {
                if !std::mem::take(&mut is_first) {
                    out.push(b',');
                }
                let key = self.bytes("key of a map")?;
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

    /// How many items the next block has; a negative number is followed by the block's size, which is of no use here.
    fn block(&mut self, what: &str) -> Result<Option<u64>, Mismatch> {
        let count = self.long(what)?;
        if count < 0 {
            self.long(what)?;
        }
        Ok((count != 0).then_some(count.unsigned_abs()))
    }

    /// Writes a value in its own words, if it has any in these; else nothing is taken.
    fn logical(
        &mut self,
        kind: &Kind,
        logical: Logical,
        out: &mut Vec<u8>,
    ) -> Result<bool, Mismatch> {
        let before = self.rest;
        let text = match kind {
            Kind::Int => iso::text_of_number(logical, self.int()?.into()),
            Kind::Long => iso::text_of_number(logical, self.long("long")?),
            Kind::Bytes => text_of_bytes(logical, self.bytes("bytes")?),
            Kind::Fixed(size) => text_of_bytes(logical, self.take(*size, "fixed")?),
            _ => None,
        };
        match &text {
            Some(text) => write_string(text.as_bytes(), out),
            None => self.rest = before,
        }
        Ok(text.is_some())
    }

    fn boolean(&mut self, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        let text: &[u8] = match self.take(1, "boolean")? {
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

    /// The branch of a union, or the symbol of an enum, by its number.
    fn index<'s, T>(&mut self, what: &str, all: &'s [T]) -> Result<&'s T, Mismatch> {
        let number = self.long(what)?;
        let found = usize::try_from(number).ok().and_then(|at| all.get(at));
        found.ok_or_else(|| {
            let most = all.len();
            Mismatch::new(format!("{what} {number} of {most}"))
        })
    }

    fn int(&mut self) -> Result<i32, Mismatch> {
        let number = self.long("int")?;
        i32::try_from(number).map_err(|_| Mismatch::new(format!("{number} is no int")))
    }

    /// A zigzag number: seven bits a byte, the lowest first.
    #[inline]
    fn long(&mut self, what: &str) -> Result<i64, Mismatch> {
        if let Some((&byte @ 0..=127, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(unzigzag(byte.into()));
        }
        self.long_number(what)
    }

    fn long_number(&mut self, what: &str) -> Result<i64, Mismatch> {
        let mut bits = 0u64;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has the last bit.
            if at == 9 && byte > 1 {
                break;
            }
            bits |= u64::from(byte & 127) << (7 * at);
            if byte < 128 {
                self.rest = &self.rest[at + 1..];
                return Ok(unzigzag(bits));
            }
        }
        if self.rest.len() < 10 {
            return Err(short(what));
        }
        Err(Mismatch::new(format!("a number of {what} is too long")))
    }

    fn bytes(&mut self, what: &str) -> Result<&'a [u8], Mismatch> {
        let length = self.long(what)?;
        let length = usize::try_from(length)
            .map_err(|_| Mismatch::new(format!("the length {length} of {what}")))?;
        self.take(length, what)
    }

    #[inline]
    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], Mismatch> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| short(what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Mismatch> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| short(what))?;
        self.rest = rest;
        Ok(*taken)
    }
}

fn text_of_bytes(logical: Logical, bytes: &[u8]) -> Option<String> {
    match logical {
        Logical::Decimal { scale, .. } => Some(decimal::text_of(bytes, scale)),
        _ => iso::text_of_bytes(logical, bytes),
    }
}

#[cold]
fn short(what: &str) -> Mismatch {
    Mismatch::new(format!("the bytes end within a {what}"))
}

fn unzigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
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
