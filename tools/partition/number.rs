//! Key columns that are numbers or UUIDs: from their text to the value that a database hashes.

use super::KeyError;

/// The width and sign of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integer {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl Integer {
    /// Every kind with its name in an algorithm's name.
    pub(super) const NAMES: [(&'static str, Self); 8] = [
        ("int64", Self::I64),
        ("int32", Self::I32),
        ("int16", Self::I16),
        ("int8", Self::I8),
        ("uint64", Self::U64),
        ("uint32", Self::U32),
        ("uint16", Self::U16),
        ("uint8", Self::U8),
    ];

    /// Bytes of the value.
    pub(super) fn width(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 => 4,
            Self::I64 | Self::U64 => 8,
        }
    }

    fn range(self) -> (i128, i128) {
        match self {
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::I64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
        }
    }

    fn name(self) -> &'static str {
        let named = |(_, kind): &&(&str, Self)| *kind == self;
        Self::NAMES
            .iter()
            .find(named)
            .map_or("integer", |(name, _)| name)
    }
}

/// The value of decimal digits with an optional sign, in two's complement of 64 bits (sign-extended).
pub(super) fn integer(key: &[u8], kind: Integer) -> Result<u64, KeyError> {
    let (least, most) = kind.range();
    decimal(key)
        .filter(|value| (least..=most).contains(value))
        .map(|value| value as u64)
        .ok_or_else(|| KeyError::not_a(kind.name(), key))
}

/// The value of a number that is only ever taken as 64 unsigned bits: a signed one by its two's complement.
pub(super) fn any_64_bits(key: &[u8]) -> Result<u64, KeyError> {
    decimal(key)
        .filter(|value| (i64::MIN.into()..=u64::MAX.into()).contains(value))
        .map(|value| value as u64)
        .ok_or_else(|| KeyError::not_a("64-bit integer", key))
}

fn decimal(key: &[u8]) -> Option<i128> {
    std::str::from_utf8(key).ok()?.parse().ok()
}

/// A UUID in any of its usual spellings: with hyphens, without, in braces.
pub(super) fn uuid(key: &[u8]) -> Result<uuid::Uuid, KeyError> {
    uuid::Uuid::try_parse_ascii(key).map_err(|_| KeyError::not_a("UUID", key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_whole_and_within_its_range() {
        assert_eq!(integer(b"-1", Integer::I8), Ok(u64::MAX));
        assert_eq!(integer(b"255", Integer::U8), Ok(255));
        assert_eq!(integer(b"18446744073709551615", Integer::U64), Ok(u64::MAX));
        for bad in [
            &b""[..],
            b" 1",
            b"1 ",
            b"1x",
            b"-",
            b"1.0",
            b"0x1",
            b"128",
            b"\xff",
        ] {
            let error = integer(bad, Integer::I8).unwrap_err();
            assert!(error.to_string().contains("int8"), "{error}");
        }
    }

    #[test]
    fn the_bounds_of_every_kind_are_in_and_their_neighbours_out() {
        for (name, kind) in Integer::NAMES {
            let (least, most) = kind.range();
            for (value, good) in [
                (least, true),
                (most, true),
                (least - 1, false),
                (most + 1, false),
            ] {
                let parsed = integer(value.to_string().as_bytes(), kind);
                assert_eq!(parsed.is_ok(), good, "{value} as {name}");
            }
        }
    }
}
