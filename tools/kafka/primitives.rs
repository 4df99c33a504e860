//! The protocol's primitive types, parsed from untrusted bytes: a count allocates nothing before its elements are read.
//!
//! kafka-protocol allocates as many elements as an array's count says, so that
//! four bytes can end the process. This reader is for messages that kafka-protocol
//! does not know, that clients write, or that are to be checked before it decodes them.

/// The bytes not parsed yet. Every method returns `None` if they end too early or are malformed.
pub(super) struct PrimitiveReader<'a>(pub(super) &'a [u8]);

impl<'a> PrimitiveReader<'a> {
    pub(super) fn bytes(&mut self, size: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// An unsigned varint of at most 32 bits (KIP-482).
    pub(super) fn varint(&mut self) -> Option<u32> {
        let mut number = 0;
        for group in 0..5 {
            let [byte] = self.array()?;
            if group == 4 && byte > 0x0f {
                return None;
            }
            number |= u32::from(byte & 0x7f) << (7 * group);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// The length of an array or of bytes; NULL is 0.
    pub(super) fn length(&mut self, is_flexible: bool) -> Option<usize> {
        if is_flexible {
            return Some(self.varint()?.saturating_sub(1) as usize);
        }
        Some(usize::try_from(self.i32()?).unwrap_or(0))
    }

    /// The length of a string; NULL is 0.
    pub(super) fn string_length(&mut self, is_flexible: bool) -> Option<usize> {
        if is_flexible {
            return self.length(true);
        }
        Some(usize::try_from(self.i16()?).unwrap_or(0))
    }

    /// A string of the older versions.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let size = usize::try_from(self.i16()?).ok()?;
        std::str::from_utf8(self.bytes(size)?).ok()
    }

    /// A string of the flexible versions; NULL is empty.
    pub(super) fn compact_text(&mut self) -> Option<&'a str> {
        let size = self.length(true)?;
        std::str::from_utf8(self.bytes(size)?).ok()
    }

    /// An array of the older versions.
    pub(super) fn list<T>(&mut self, element: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.i32()?;
        // Collecting into an Option allocates nothing in advance.
        (0..count).map(|_| element(self)).collect()
    }

    /// An array of the flexible versions.
    pub(super) fn compact_list<T>(
        &mut self,
        element: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.length(true)?;
        (0..count).map(|_| element(self)).collect()
    }

    /// A nullable structure of the flexible versions, after a byte that says whether it is NULL; NULL is empty.
    pub(super) fn nullable<T: Default>(
        &mut self,
        structure: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<T> {
        match self.array()? {
            [0xff] => Some(T::default()),
            [_] => structure(self),
        }
    }

    /// The tagged fields of a structure.
    pub(super) fn skip_tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            let _tag = self.varint()?;
            let size = self.varint()?;
            self.bytes(size as usize)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_of_more_than_32_bits_is_malformed() {
        let varint = |bytes: &[u8]| PrimitiveReader(bytes).varint();
        assert_eq!(varint(&[0x80, 0x01]), Some(128));
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some(u32::MAX));
        for last in [0x10, 0x7f, 0x8f] {
            assert_eq!(varint(&[0x81, 0x80, 0x80, 0x80, last]), None);
        }
    }
}
