//! Values ended by one byte each and nothing else: the usual output, of which many are written in one go.

/// What ends a value, and what NULL is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    pub(super) end: u8,
    pub(super) null: &'static [u8],
}

/// How many values were written, and how many of them hold the byte that ends them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) values: usize,
    pub(super) ambiguous: u64,
}

impl Plain {
    /// Appends one value; true where it holds the byte that ends it.
    #[inline]
    pub(super) fn write(self, value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
        let value = value.unwrap_or(self.null);
        out.extend_from_slice(value);
        out.push(self.end);
        memchr::memchr(self.end, value).is_some()
    }

    /// Appends `most` values at most, and none to an `out` of `limit_bytes` or more.
    ///
    /// Bytes that end a value are counted over all that was written, which
    /// costs a tenth of a search in each value; only where there are too many
    /// of them the values are looked at again.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "where values come from and where they go is one loop"
    )]
    pub(super) fn write_many<'v>(
        self,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
        most: usize,
        out: &mut Vec<u8>,
        limit_bytes: usize,
    ) -> Written {
        let again = values.clone();
        let start = out.len();
        let mut count = 0;
        while count < most && out.len() < limit_bytes {
            let Some(value) = values.next() else {
                break;
            };
            out.extend_from_slice(value.unwrap_or(self.null));
            out.push(self.end);
            count += 1;
        }
        let mut ambiguous = 0;
        if memchr::memchr_iter(self.end, &out[start..]).count() != count {
            let written = again.take(count).map(|value| value.unwrap_or(self.null));
            ambiguous = written
                .filter(|value| memchr::memchr(self.end, value).is_some())
                .count() as u64;
        }
        Written {
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
        fn many_are_written_as_one_by_one(
            values in proptest::collection::vec(
                proptest::option::of(proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..5)),
                0..20,
            ),
            most in 0..25usize,
            limit_bytes in 0..60usize,
            null in prop_oneof![Just(&b""[..]), Just(&b"NULL"[..])],
        ) {
            let plain = Plain { end: b'\n', null };
            let mut slices = values.iter().map(Option::as_deref);
            let mut many = b"before".to_vec();
            let written = plain.write_many(&mut slices, most, &mut many, limit_bytes);

            let mut each = b"before".to_vec();
            let mut expected = Written::default();
            for value in values.iter().take(most) {
                if each.len() >= limit_bytes {
                    break;
                }
                expected.ambiguous += u64::from(plain.write(value.as_deref(), &mut each));
                expected.values += 1;
            }
            prop_assert_eq!(written, expected);
            prop_assert_eq!(many, each);
            // What was not written is still to come.
            prop_assert_eq!(slices.len(), values.len() - written.values);
        }
    }
}
