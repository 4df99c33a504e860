//! Searching bytes: for the end of a record, and for the first byte that needs an escape.

use memchr::memmem::Finder;

/// What is searched for; a single byte has the faster search.
#[derive(Clone, Debug)]
pub(super) enum Needle {
    Byte(u8),
    /// Boxed, because a prepared search is large and formats are moved about.
    Bytes(Box<Finder<'static>>),
}

impl Needle {
    pub(super) fn new(needle: &[u8]) -> Needle {
        match needle {
            [byte] => Needle::Byte(*byte),
            _ => Needle::Bytes(Box::new(Finder::new(needle).into_owned())),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Needle::Byte(_) => 1,
            Needle::Bytes(finder) => finder.needle().len(),
        }
    }

    /// Where the first occurrence begins.
    #[inline]
    pub(super) fn find(&self, haystack: &[u8]) -> Option<usize> {
        match self {
            Needle::Byte(byte) => memchr::memchr(*byte, haystack),
            Needle::Bytes(finder) => finder.find(haystack),
        }
    }
}

/// Cuts a stream at a delimiter and remembers how far it has looked, so that a
/// record that arrives in a thousand reads is searched once.
#[derive(Clone, Debug)]
pub(super) struct Splitter {
    delimiter: Needle,
    searched: usize,
}

/// The first record's text is `input[..end]`; the next record starts at `used`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) end: usize,
    pub(super) used: usize,
}

impl Splitter {
    /// `delimiter` is not empty.
    pub(super) fn new(delimiter: &[u8]) -> Splitter {
        Splitter {
            delimiter: Needle::new(delimiter),
            searched: 0,
        }
    }

    /// The first record of `input`, or `None` where its end is not there yet.
    /// `input` starts where it started the last time, if that returned `None`.
    #[inline]
    pub(super) fn cut(&mut self, input: &[u8], at_end: bool) -> Option<Cut> {
        let from = self.searched.min(input.len());
        if let Some(found) = self.delimiter.find(&input[from..]) {
            self.searched = 0;
            let end = from + found;
            return Some(Cut {
                end,
                used: end + self.delimiter.len(),
            });
        }
        if at_end && !input.is_empty() {
            self.searched = 0;
            return Some(Cut {
                end: input.len(),
                used: input.len(),
            });
        }
        // The last bytes may be the first ones of the delimiter.
        self.searched = input.len().saturating_sub(self.delimiter.len() - 1);
        None
    }
}

/// As long as the compiler makes vector code of [`is_clean`].
const BLOCK: usize = 32;

/// How many bytes at the front of `bytes` are not `special`, which `a` never is.
///
/// Most data has nothing to escape, so whole blocks are tested without a
/// branch for each byte.
#[inline]
pub(super) fn clean_len(bytes: &[u8], special: impl Fn(u8) -> bool) -> usize {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let dirty = blocks.iter().position(|block| !is_clean(block, &special));
    let (start, end) = if let Some(dirty) = dirty {
        (dirty * BLOCK, (dirty + 1) * BLOCK)
    } else {
        let mut last = [b'a'; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        if is_clean(&last, &special) {
            return bytes.len();
        }
        (bytes.len() - rest.len(), bytes.len())
    };
    let found = bytes[start..end].iter().position(|&byte| special(byte));
    found.map_or(end, |found| start + found)
}

/// Counts, because the compiler's code for a count of bytes is several times
/// faster than for "any of them".
#[inline]
fn is_clean(block: &[u8; BLOCK], special: impl Fn(u8) -> bool) -> bool {
    block
        .iter()
        .map(|&byte| u8::from(special(byte)))
        .sum::<u8>()
        == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_is() {
        for len in [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100] {
            let mut bytes = vec![b'a'; len];
            assert_eq!(clean_len(&bytes, |b| b == b'x'), len);
            for at in (0..len).rev() {
                bytes[at] = b'x';
                assert_eq!(clean_len(&bytes, |b| b == b'x'), at);
            }
        }
    }

    #[test]
    fn a_delimiter_that_arrives_in_two_reads_is_found() {
        let mut splitter = Splitter::new(b":MSG:");
        assert_eq!(splitter.cut(b"a:MS", false), None);
        assert_eq!(
            splitter.cut(b"a:MSG:b", false),
            Some(Cut { end: 1, used: 6 })
        );
        assert_eq!(splitter.cut(b"b", true), Some(Cut { end: 1, used: 1 }));
        assert_eq!(splitter.cut(b"", true), None);
    }

    #[test]
    fn what_was_searched_is_not_searched_again() {
        let mut splitter = Splitter::new(b"\n");
        assert_eq!(splitter.cut(b"aaaa", false), None);
        assert_eq!(splitter.searched, 4);
    }
}
