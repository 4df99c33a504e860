//! Checks that a response holds all the bytes that its lengths and counts promise, before kafka-protocol decodes it.
//!
//! kafka-protocol allocates as many elements as an array's count says, before it
//! reads one: four bytes of a damaged or hostile response end the process. The
//! check allocates nothing. It knows only the sizes of the fields, not their
//! meaning.

mod responses;
#[cfg(test)]
mod tests;

use crate::kafka::primitives::PrimitiveReader;
use Kind::{Bytes, Fixed, FixedArray, NullableStruct, Struct, StructArray, Text, TextArray};

/// The type of a field, as far as its size depends on it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A field of this many bytes, or several such fields in a row.
    Fixed(usize),
    /// A string, or NULL.
    Text,
    /// Bytes, or NULL.
    Bytes,
    /// An array of elements of this many bytes.
    FixedArray(usize),
    TextArray,
    Struct(&'static [Field]),
    /// A struct behind a byte that says whether it is there.
    NullableStruct(&'static [Field]),
    StructArray(&'static [Field]),
}

/// A field and the versions that have it.
#[derive(Clone, Copy, Debug)]
struct Field {
    from: i16,
    to: i16,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The first version with compact lengths and tags.
    flexible_from: i16,
    fields: &'static [Field],
}

impl Layout {
    /// Whether `body` is as long as its lengths and counts say.
    pub(super) fn matches(self, body: &[u8], version: i16) -> bool {
        let mut walk = Walk {
            reader: PrimitiveReader(body),
            version,
            is_flexible: version >= self.flexible_from,
        };
        walk.fields(self.fields).is_some()
    }
}

struct Walk<'a> {
    reader: PrimitiveReader<'a>,
    version: i16,
    is_flexible: bool,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Option<()> {
        let version = self.version;
        for field in fields.iter().filter(|f| (f.from..=f.to).contains(&version)) {
            self.field(field.kind)?;
        }
        if self.is_flexible {
            self.reader.skip_tags()?;
        }
        Some(())
    }

    fn field(&mut self, kind: Kind) -> Option<()> {
        let is_flexible = self.is_flexible;
        let size = match kind {
            Fixed(size) => size,
            Text => self.reader.string_length(is_flexible)?,
            Bytes => self.reader.length(is_flexible)?,
            FixedArray(size) => self.reader.length(is_flexible)?.checked_mul(size)?,
            TextArray => {
                let count = self.reader.length(is_flexible)?;
                return (0..count).try_for_each(|_| self.field(Text));
            }
            Struct(fields) => return self.fields(fields),
            NullableStruct(fields) => {
                let is_null = self.reader.bytes(1)?[0] as i8 == -1;
                return if is_null {
                    Some(())
                } else {
                    self.fields(fields)
                };
            }
            StructArray(fields) => {
                let count = self.reader.length(is_flexible)?;
                return (0..count).try_for_each(|_| self.element(fields));
            }
        };
        self.reader.bytes(size).map(|_| ())
    }

    /// An element takes at least one byte, so that a wrong count ends with the body.
    fn element(&mut self, fields: &[Field]) -> Option<()> {
        let before = self.reader.0.len();
        self.fields(fields)?;
        (self.reader.0.len() < before).then_some(())
    }
}
