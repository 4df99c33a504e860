//! Values without keys, each ended by one byte: the usual output, written many values at a time.

#[derive(Clone, Copy, Debug)]
pub(super) struct DelimitedValues {
    pub(super) delimiter: u8,
    pub(super) null: &'static [u8],
}

/// How many values were written, and how many of them contain the delimiter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WrittenCounts {
    pub(super) values: usize,
    pub(super) ambiguous: u64,
}

impl DelimitedValues {
    /// Appends one value. Returns whether it contains the delimiter.
    #[inline]
    pub(super) fn write(self, value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
        let value = value.unwrap_or(self.null);
        out.extend_from_slice(value);
        out.push(self.delimiter);
        memchr::memchr(self.delimiter, value).is_some()
    }

    /// Appends at most `max_count` values, and none to an `out` of `limit_bytes` or more.
    ///
    /// The delimiters of the whole output are counted at once, which costs a tenth of a search in each value. Only if
    /// there are too many, each value is searched.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the source of the values and this loop become one loop"
    )]
    pub(super) fn write_many<'v>(
        self,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
        max_count: usize,
        out: &mut Vec<u8>,
        limit_bytes: usize,
    ) -> WrittenCounts {
        let again = values.clone();
        let start = out.len();
        let mut count = 0;
        while count < max_count && out.len() < limit_bytes {
            let Some(value) = values.next() else {
                break;
            };
            out.extend_from_slice(value.unwrap_or(self.null));
            out.push(self.delimiter);
            count += 1;
        }
        let mut ambiguous = 0;
        if memchr::memchr_iter(self.delimiter, &out[start..]).count() != count {
            let written = again.take(count).map(|value| value.unwrap_or(self.null));
            ambiguous = written
                .filter(|value| memchr::memchr(self.delimiter, value).is_some())
                .count() as u64;
        }
        WrittenCounts {
            values: count,
            ambiguous,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn many_values_are_written_as_one_by_one(
            values in proptest::collection::vec(
                proptest::option::of(proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..5)),
                0..20,
            ),
            max_count in 0..25usize,
            limit_bytes in 0..60usize,
            null in prop_oneof![Just(&b""[..]), Just(&b"NULL"[..])],
        ) {
            let format = DelimitedValues { delimiter: b'\n', null };
            let mut slices = values.iter().map(Option::as_deref);
            let mut many = b"before".to_vec();
            let written = format.write_many(&mut slices, max_count, &mut many, limit_bytes);

            let mut each = b"before".to_vec();
            let mut expected = WrittenCounts::default();
            for value in values.iter().take(max_count) {
                if each.len() >= limit_bytes {
                    break;
                }
                expected.ambiguous += u64::from(format.write(value.as_deref(), &mut each));
                expected.values += 1;
            }
            prop_assert_eq!(written, expected);
            prop_assert_eq!(many, each);
            prop_assert_eq!(slices.len(), values.len() - written.values);
        }
    }
}
