//! The protocol's primitive types, read from bytes that somebody else wrote: no count in them is believed before what it counts is there.
//!
//! kafka-protocol reserves memory for as many elements as an array says it
//! has, so that four bytes can end a program; what any member of a group can
//! write, and what kafka-protocol does not know, is read with this.

/// What is left to be read. Every method is `None` where too few bytes are left or they say what can't be.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, size: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
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

    /// An unsigned number of at most 32 bits, seven to a byte (KIP-482).
    pub(super) fn varint(&mut self) -> Option<u32> {
        let mut number = 0;
        for group in 0..5 {
            let [byte] = self.array()?;
            number |= u32::from(byte & 0x7f) << (7 * group);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A text of the older versions.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let size = usize::try_from(self.i16()?).ok()?;
        std::str::from_utf8(self.bytes(size)?).ok()
    }

    /// A text of the flexible versions; it may be NULL, which is as good as an empty one here.
    pub(super) fn compact_text(&mut self) -> Option<&'a str> {
        let size = self.varint()?.saturating_sub(1) as usize;
        std::str::from_utf8(self.bytes(size)?).ok()
    }

    /// An array of the older versions.
    pub(super) fn list<T>(&mut self, element: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.i32()?;
        // Option's collect reserves nothing ahead.
        (0..count).map(|_| element(self)).collect()
    }

    /// An array of the flexible versions.
    pub(super) fn compact_list<T>(
        &mut self,
        element: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.varint()?.saturating_sub(1);
        (0..count).map(|_| element(self)).collect()
    }

    /// A structure of the flexible versions that may be NULL, which a byte before it says: NULL is as good as an empty one here.
    pub(super) fn nullable<T: Default>(
        &mut self,
        structure: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<T> {
        match self.array()? {
            [0xff] => Some(T::default()),
            [_] => structure(self),
        }
    }

    /// The fields that newer versions add, each with its size.
    pub(super) fn skip_tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            let _tag = self.varint()?;
            let size = self.varint()?;
            self.bytes(size as usize)?;
        }
        Some(())
    }
}
