//! Splitting input into records at their delimiter.

use memchr::memmem::Finder;

/// A prepared search for bytes; memchr is faster for a single byte.
#[derive(Clone, Debug)]
pub(super) enum ByteSearch {
    Byte(u8),
    /// Boxed, because it is large and formats are moved often.
    Bytes(Box<Finder<'static>>),
}

impl ByteSearch {
    pub(super) fn new(needle: &[u8]) -> ByteSearch {
        match needle {
            [byte] => ByteSearch::Byte(*byte),
            _ => ByteSearch::Bytes(Box::new(Finder::new(needle).into_owned())),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            ByteSearch::Byte(_) => 1,
            ByteSearch::Bytes(finder) => finder.needle().len(),
        }
    }

    /// Where the first occurrence begins.
    #[inline]
    pub(super) fn find(&self, haystack: &[u8]) -> Option<usize> {
        match self {
            ByteSearch::Byte(byte) => memchr::memchr(*byte, haystack),
            ByteSearch::Bytes(finder) => finder.find(haystack),
        }
    }
}

/// Splits a stream at a delimiter and remembers how far it has searched, so that
/// a record that arrives in a thousand reads is searched once.
#[derive(Clone, Debug)]
pub(super) struct Splitter {
    delimiter: ByteSearch,
    searched: usize,
}

/// The first record's text is `input[..end]`; the next record starts at `used`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordBounds {
    pub(super) end: usize,
    pub(super) used: usize,
}

impl Splitter {
    /// `delimiter` is not empty.
    pub(super) fn new(delimiter: &[u8]) -> Splitter {
        Splitter {
            delimiter: ByteSearch::new(delimiter),
            searched: 0,
        }
    }

    /// The first record of `input`, or `None` if its end is not there yet: then
    /// call again with the same start and more bytes.
    #[inline]
    pub(super) fn next_record(&mut self, input: &[u8], at_end: bool) -> Option<RecordBounds> {
        let from = self.searched.min(input.len());
        if let Some(found) = self.delimiter.find(&input[from..]) {
            self.searched = 0;
            let end = from + found;
            return Some(RecordBounds {
                end,
                used: end + self.delimiter.len(),
            });
        }
        if at_end && !input.is_empty() {
            self.searched = 0;
            return Some(RecordBounds {
                end: input.len(),
                used: input.len(),
            });
        }
        // The last bytes may be the first ones of the delimiter.
        self.searched = input.len().saturating_sub(self.delimiter.len() - 1);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_that_arrives_in_two_reads_is_found() {
        let mut splitter = Splitter::new(b":MSG:");
        assert_eq!(splitter.next_record(b"a:MS", false), None);
        assert_eq!(
            splitter.next_record(b"a:MSG:b", false),
            Some(RecordBounds { end: 1, used: 6 })
        );
        assert_eq!(
            splitter.next_record(b"b", true),
            Some(RecordBounds { end: 1, used: 1 })
        );
        assert_eq!(splitter.next_record(b"", true), None);
    }

    #[test]
    fn no_byte_is_searched_twice() {
        let mut splitter = Splitter::new(b"\n");
        assert_eq!(splitter.next_record(b"aaaa", false), None);
        assert_eq!(splitter.searched, 4);
    }
}
