//! Backslash escapes of the command line: `-D`, `-K` and templates.

/// Unescapes the argument of `-D` or `-K`: `\n \t \r \\`, `\xHH` with one or
/// two hexadecimal digits, `\NNN` with one to three octal ones (`\0` is NUL).
///
/// kcat knows `\n`, `\t` and `\x` alone, cannot express NUL, and passes other
/// escapes on as they are; here they are errors, so that none is mistaken.
///
/// # Errors
/// An escape that is unknown, cut off, or larger than a byte.
pub fn unescape_delimiter(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(&kind) = rest.first() else {
            return Err(
                "a backslash at the end escapes nothing (write \\\\ for a backslash)".into(),
            );
        };
        let (value, used) = match kind {
            b'n' => (b'\n', 1),
            b't' => (b'\t', 1),
            b'r' => (b'\r', 1),
            b'\\' => (b'\\', 1),
            b'x' => {
                let (value, used) = hex_byte(&rest[1..])?;
                (value, used + 1)
            }
            b'0'..=b'7' => number(rest, 8, 3)?,
            _ => {
                let shown = String::from_utf8_lossy(rest).chars().next().unwrap_or(' ');
                return Err(format!(
                    "unknown escape \\{shown} (known: \\n \\t \\r \\\\ \\xHH \\NNN)"
                ));
            }
        };
        out.push(value);
        rest = &rest[used..];
    }
    Ok(out)
}

/// The byte after `\x`, and how many digits, one or two, it has.
pub(super) fn hex_byte(digits: &[u8]) -> Result<(u8, usize), String> {
    number(digits, 16, 2).map_err(|_| "\\x needs one or two hexadecimal digits".to_owned())
}

/// The byte that the first digits of `text` say, at most `max_digits` of them, and how many they are.
pub(super) fn number(text: &[u8], radix: u32, max_digits: usize) -> Result<(u8, usize), String> {
    let digits: Vec<u32> = text
        .iter()
        .take(max_digits)
        .map_while(|&byte| char::from(byte).to_digit(radix))
        .collect();
    let value = digits.iter().try_fold(0u32, |sum, digit| {
        sum.checked_mul(radix)?.checked_add(*digit)
    });
    match value.map(u8::try_from) {
        Some(Ok(byte)) if !digits.is_empty() => Ok((byte, digits.len())),
        _ => Err(format!(
            "\\{} is not a byte",
            String::from_utf8_lossy(&text[..digits.len()])
        )),
    }
}

/// The value of a hexadecimal digit.
#[inline]
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    // A table, because the digits of binary data are what no branch predictor foresees.
    const NONE: u8 = 16;
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0;
        while value < 16 {
            values[b"0123456789abcdef"[value] as usize] = value as u8;
            values[b"0123456789ABCDEF"[value] as usize] = value as u8;
            value += 1;
        }
        values
    };
    let value = VALUES[usize::from(byte)];
    (value != NONE).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kcats_own_cases_hold() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("\\n", b"\n"),
            ("\\t\\n\\n", b"\t\n\n"),
            ("\\x54!\\x45\\x53T", b"T!EST"),
            ("\\x30", b"0"),
        ] {
            assert_eq!(unescape_delimiter(text).as_deref(), Ok(bytes));
        }
    }

    #[test]
    fn every_byte_can_be_written() {
        for byte in 0..=255u8 {
            assert_eq!(
                unescape_delimiter(&format!("\\x{byte:02x}")),
                Ok(vec![byte])
            );
            assert_eq!(unescape_delimiter(&format!("\\{byte:03o}")), Ok(vec![byte]));
        }
        assert_eq!(unescape_delimiter("\\r\\n"), Ok(b"\r\n".to_vec()));
        assert_eq!(unescape_delimiter("a\\0b%s\\\\ü"), Ok("a\0b%s\\ü".into()));
        assert_eq!(unescape_delimiter(&"x".repeat(300)), Ok(vec![b'x'; 300]));
    }

    #[test]
    fn a_malformed_escape_is_refused() {
        for text in ["\\", "a\\q", "\\x", "\\xg1", "\\777", "\\ü"] {
            assert!(unescape_delimiter(text).is_err(), "{text}");
        }
        assert_eq!(
            unescape_delimiter("\\777"),
            Err("\\777 is not a byte".into())
        );
    }
}
