//! `-s`: binary keys and values unpacked into text, as kcat does.
//!
//! Where kcat is not sound this differs: `h` and `H` honour the byte order,
//! `c` needs a byte to be there, and nothing of a record that does not fit is
//! printed.

use std::borrow::Cow;
use std::io::Write;

use tools::record::Record;

/// What is unpacked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unpack {
    key: Option<Pack>,
    value: Option<Pack>,
}

/// Why a key or value does not fit its pack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnpackError {
    /// Too few bytes.
    #[error(
        "the {what} is too short: {token} needs {needed} bytes at byte {at}, and {left} are left"
    )]
    Short {
        what: &'static str,
        token: char,
        needed: usize,
        at: usize,
        left: usize,
    },
    /// `$`, and bytes left.
    #[error("the {what} does not end where $ says: {left} bytes are left at byte {at}")]
    Long {
        what: &'static str,
        at: usize,
        left: usize,
    },
}

impl Unpack {
    /// Parses the values of `-s`: `key=PACK`, `value=PACK`, or `PACK` for both; the last of a kind counts.
    pub(crate) fn parse(values: &[String]) -> Result<Unpack, String> {
        let mut unpack = Unpack::default();
        for value in values {
            let bad = |reason: String| format!("-s {value}: {reason}");
            if let Some(text) = value.strip_prefix("key=") {
                unpack.key = Some(Pack::parse(text).map_err(bad)?);
            } else if let Some(text) = value.strip_prefix("value=") {
                unpack.value = Some(Pack::parse(text).map_err(bad)?);
            } else {
                let pack = Pack::parse(value).map_err(bad)?;
                unpack.key = Some(pack.clone());
                unpack.value = Some(pack);
            }
        }
        Ok(unpack)
    }

    /// Whether nothing is to be unpacked.
    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_none() && self.value.is_none()
    }

    /// Calls `use_it` with the record as text. NULL stays NULL.
    pub(crate) fn apply<T>(
        &self,
        record: &Record<'_>,
        use_it: impl FnOnce(&Record<'_>) -> T,
    ) -> Result<T, UnpackError> {
        let key = unpack("key", self.key.as_ref(), record.key)?;
        let value = unpack("value", self.value.as_ref(), record.value)?;
        Ok(use_it(&Record {
            key: key.as_deref(),
            value: value.as_deref(),
            ..*record
        }))
    }
}

fn unpack<'a>(
    what: &'static str,
    pack: Option<&Pack>,
    bytes: Option<&'a [u8]>,
) -> Result<Option<Cow<'a, [u8]>>, UnpackError> {
    match (pack, bytes) {
        (Some(pack), Some(bytes)) => pack.unpack(what, bytes).map(|text| Some(text.into())),
        (_, bytes) => Ok(bytes.map(Cow::Borrowed)),
    }
}

/// A pack, after Python's struct and kcat's format.c.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pack(Vec<char>);

impl Pack {
    fn parse(text: &str) -> Result<Pack, String> {
        if text.is_empty() {
            return Err("a pack is expected".to_owned());
        }
        if let Some(wrong) = text.chars().find(|c| !" <>bBhHiIqQcs$".contains(*c)) {
            return Err(format!(
                "`{wrong}` is not one of b B h H i I q Q c s < > $ and blank"
            ));
        }
        if text.find('$').is_some_and(|at| at + 1 < text.len()) {
            return Err("$ is the end, and stands at the end".to_owned());
        }
        Ok(Pack(text.chars().collect()))
    }

    fn unpack(&self, what: &'static str, bytes: &[u8]) -> Result<Vec<u8>, UnpackError> {
        let mut text = Vec::new();
        let mut rest = bytes;
        let mut little = false;
        for &token in &self.0 {
            let at = bytes.len() - rest.len() + 1;
            let size = match token {
                'b' | 'B' | 'c' => 1,
                'h' | 'H' => 2,
                'i' | 'I' => 4,
                'q' | 'Q' => 8,
                's' => rest.len(),
                _ => 0,
            };
            let Some((taken, left)) = rest.split_at_checked(size) else {
                return Err(UnpackError::Short {
                    what,
                    token,
                    needed: size,
                    at,
                    left: rest.len(),
                });
            };
            rest = left;
            match token {
                '<' => little = true,
                '>' => little = false,
                ' ' => text.push(b' '),
                'c' | 's' => text.extend_from_slice(taken),
                '$' if !rest.is_empty() => {
                    let left = rest.len();
                    return Err(UnpackError::Long { what, at, left });
                }
                '$' => {}
                _ => push_number(&mut text, token, taken, little),
            }
        }
        Ok(text)
    }
}

/// Small letters are signed, as in Python's struct.
fn push_number(text: &mut Vec<u8>, token: char, bytes: &[u8], little: bool) {
    let unsigned = bytes.iter().enumerate().fold(0u64, |sum, (i, &byte)| {
        let place = if little { i } else { bytes.len() - 1 - i };
        sum | u64::from(byte) << (8 * place)
    });
    // Writing into memory does not fail.
    let _ = if token.is_ascii_lowercase() {
        let unused_bits = 64 - 8 * bytes.len();
        let signed = (unsigned as i64) << unused_bits >> unused_bits;
        write!(text, "{signed}")
    } else {
        write!(text, "{unsigned}")
    };
}

#[cfg(test)]
mod tests {
    use super::{Pack, Unpack, UnpackError};

    fn unpack(pack: &str, bytes: &[u8]) -> Result<String, UnpackError> {
        let text = Pack::parse(pack).unwrap().unpack("value", bytes)?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn every_number_honours_the_byte_order() {
        assert_eq!(unpack("h <h", b"ABAB").unwrap(), "16706 16961");
        assert_eq!(unpack("<H >H", &[1, 0, 1, 0]).unwrap(), "1 256");
        assert_eq!(unpack("b B", &[0xff, 0xff]).unwrap(), "-1 255");
        assert_eq!(
            unpack("i <I", &[255, 255, 255, 254, 1, 0, 0, 0]).unwrap(),
            "-2 1"
        );
        assert_eq!(unpack("q", &[0xff; 8]).unwrap(), "-1");
        assert_eq!(unpack("Q$", &[0xff; 8]).unwrap(), u64::MAX.to_string());
        assert_eq!(unpack("c s", b"xyz").unwrap(), "x yz");
    }

    #[test]
    fn what_does_not_fit_is_reported_and_nothing_is_read_past_the_end() {
        let message = |pack, bytes| unpack(pack, bytes).unwrap_err().to_string();
        assert_eq!(
            message("bi", &[1, 2, 3]),
            "the value is too short: i needs 4 bytes at byte 2, and 2 are left"
        );
        assert!(message("c", b"").contains("needs 1"));
        assert!(message("b$", &[1, 2]).contains("1 bytes are left at byte 2"));
    }

    #[test]
    fn a_wrong_pack_is_refused() {
        for wrong in ["x", "$b", "key=", "avro", ""] {
            assert!(Unpack::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(Unpack::parse(&[]).unwrap().is_empty());
    }
}
