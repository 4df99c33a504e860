//! Backslash and percent escapes: of the command line, of templates, of TSV.

/// How many bytes one block of [`unescaped_len`] has; the compiler makes vector code of it.
const BLOCK: usize = 32;

/// How many bytes at the front of `bytes` are not `special`, which `a` never is.
///
/// Most data has nothing to escape, so whole blocks are tested without a branch for each byte.
#[inline]
pub fn unescaped_len(bytes: &[u8], special: impl Fn(u8) -> bool) -> usize {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let found = blocks.iter().position(|block| has_any(block, &special));
    let (start, end) = if let Some(found) = found {
        (found * BLOCK, (found + 1) * BLOCK)
    } else {
        let mut last = [b'a'; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        if !has_any(&last, &special) {
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
fn has_any(block: &[u8; BLOCK], special: impl Fn(u8) -> bool) -> bool {
    let count: u8 = block.iter().map(|&byte| u8::from(special(byte))).sum();
    count != 0
}

/// Appends `text` to `out` with each escape replaced by its byte.
///
/// An escape begins with `mark`. `decode` gets the index of the mark and the text after it, and returns the byte and how
/// many bytes after the mark belong to the escape.
#[inline]
pub fn decode_escapes<E>(
    text: &[u8],
    mark: u8,
    out: &mut Vec<u8>,
    decode: impl Fn(usize, &[u8]) -> Result<(u8, usize), E>,
) -> Result<(), E> {
    let mut at = 0;
    while let Some(found) = memchr::memchr(mark, &text[at..]) {
        out.extend_from_slice(&text[at..at + found]);
        at += found + 1;
        let (byte, used) = decode(at - 1, &text[at..])?;
        out.push(byte);
        at += used;
    }
    out.extend_from_slice(&text[at..]);
    Ok(())
}

/// Unescapes the argument of `-D` or `-K`: `\n \t \r \\`, `\xHH` with one or
/// two hexadecimal digits, `\NNN` with one to three octal ones (`\0` is NUL).
///
/// kcat knows only `\n`, `\t` and `\x`, cannot express NUL, and passes other
/// escapes on as they are. Here they are errors.
pub fn unescape_delimiter(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    decode_escapes(text.as_bytes(), b'\\', &mut out, |_, after| {
        match after.first() {
            None => Err(
                "a backslash at the end escapes nothing (write \\\\ for a backslash)".to_owned(),
            ),
            Some(b'n') => Ok((b'\n', 1)),
            Some(b't') => Ok((b'\t', 1)),
            Some(b'r') => Ok((b'\r', 1)),
            Some(b'\\') => Ok((b'\\', 1)),
            Some(b'x') => parse_hex_escape(after),
            Some(b'0'..=b'7') => parse_number(after, 8, 3),
            Some(_) => {
                let shown = String::from_utf8_lossy(after).chars().next().unwrap_or(' ');
                Err(format!(
                    "unknown escape \\{shown} (known: \\n \\t \\r \\\\ \\xHH \\NNN)"
                ))
            }
        }
    })?;
    Ok(out)
}

/// Reads `x` and one or two hexadecimal digits: the byte, and how many bytes of `text` it takes.
pub fn parse_hex_escape(text: &[u8]) -> Result<(u8, usize), String> {
    match parse_number(&text[1..], 16, 2) {
        Ok((byte, digits)) => Ok((byte, digits + 1)),
        Err(_) => Err("\\x needs one or two hexadecimal digits".to_owned()),
    }
}

/// Reads at most `max_digits` digits: the byte, and how many digits it takes.
pub fn parse_number(text: &[u8], radix: u32, max_digits: usize) -> Result<(u8, usize), String> {
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

/// Appends a field of TSV: backslash, tab, line feed, carriage return and NUL are escaped.
pub fn escape_tsv(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    loop {
        let len = unescaped_len(rest, is_tsv_special);
        out.extend_from_slice(&rest[..len]);
        let Some(&byte) = rest.get(len) else { return };
        let letter = match byte {
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            0 => b'0',
            other => other,
        };
        out.extend_from_slice(&[b'\\', letter]);
        rest = &rest[len + 1..];
    }
}

#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch for each byte would keep `unescaped_len` from vector code"
)]
#[inline]
fn is_tsv_special(byte: u8) -> bool {
    (byte == b'\\') | (byte == b'\t') | (byte == b'\n') | (byte == b'\r') | (byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_is() {
        for len in [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100] {
            let mut bytes = vec![b'a'; len];
            assert_eq!(unescaped_len(&bytes, |b| b == b'x'), len);
            for at in (0..len).rev() {
                bytes[at] = b'x';
                assert_eq!(unescaped_len(&bytes, |b| b == b'x'), at);
            }
        }
    }

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
