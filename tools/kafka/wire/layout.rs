//! Checks that a response holds all the bytes that its lengths and counts promise, before kafka-protocol decodes it.
//!
//! kafka-protocol allocates as many elements as an array's count says, before it
//! reads one: four bytes of a damaged or hostile response end the process. The
//! check allocates nothing. It knows only the sizes of the fields, not their
//! meaning.

mod responses;
#[cfg(test)]
mod tests;

use Kind::{Bytes, Fixed, FixedArray, Struct, StructArray, Text, TextArray};

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
    StructArray(&'static [Field]),
}

/// A field and the versions that have it.
#[derive(Clone, Copy, Debug)]
struct Field {
    from: i16,
    to: i16,
    kind: Kind,
}

/// The fields of a response.
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
            rest: body,
            version,
            is_flexible: version >= self.flexible_from,
        };
        walk.fields(self.fields).is_some()
    }
}

struct Walk<'a> {
    rest: &'a [u8],
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
            for _ in 0..self.unsigned_varint()? {
                self.unsigned_varint()?;
                let size = self.unsigned_varint()?;
                self.skip(size)?;
            }
        }
        Some(())
    }

    fn field(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Fixed(size) => self.skip(size),
            Text => {
                let size = self.length(2)?;
                self.skip(size)
            }
            Bytes => {
                let size = self.length(4)?;
                self.skip(size)
            }
            FixedArray(size) => {
                let count = self.length(4)?;
                self.skip(count.checked_mul(size)?)
            }
            TextArray => {
                let count = self.length(4)?;
                (0..count).try_for_each(|_| self.field(Text))
            }
            Struct(fields) => self.fields(fields),
            StructArray(fields) => {
                let count = self.length(4)?;
                (0..count).try_for_each(|_| self.element(fields))
            }
        }
    }

    /// An element takes at least one byte, so that a wrong count ends with the body.
    fn element(&mut self, fields: &[Field]) -> Option<()> {
        let before = self.rest.len();
        self.fields(fields)?;
        (self.rest.len() < before).then_some(())
    }

    fn skip(&mut self, size: usize) -> Option<()> {
        self.rest = self.rest.get(size..)?;
        Some(())
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    /// A length or a count; NULL is 0.
    fn length(&mut self, plain_bytes: usize) -> Option<usize> {
        if self.is_flexible {
            return Some(self.unsigned_varint()?.saturating_sub(1));
        }
        let length = match plain_bytes {
            2 => i16::from_be_bytes(self.take()?).into(),
            _ => i32::from_be_bytes(self.take()?),
        };
        Some(usize::try_from(length).unwrap_or(0))
    }

    fn unsigned_varint(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}
