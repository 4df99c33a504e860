//! Strings of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::hex::{UPPER, hex_digits};

/// The character after the backslash for a byte; 0 for a byte that is not escaped.
///
/// The escapes are those of kcat's library (yajl).
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < b' ' as usize {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[b'\n' as usize] = b'n';
    escapes[b'\r' as usize] = b'r';
    escapes[b'\t' as usize] = b't';
    escapes[0x08] = b'b';
    escapes[0x0c] = b'f';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// `text` is UTF-8. Text that is JSON itself has a quote every few bytes, other text has hardly any: so eight bytes
/// are checked together, and one by one only if one of them needs an escape.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        if needs_escape(*word) {
            write_escaped(word, out);
        } else {
            out.extend_from_slice(word);
        }
    }
    write_escaped(rest, out);
    out.push(b'"');
}

/// Whether a byte is below the space, a quote or a backslash ("Bit Twiddling Hacks": a word with a byte less than n,
/// with a zero byte). Bytes of 128 and more are none of them.
fn needs_escape(word: [u8; 8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & HIGH != 0
}

/// Writes at most eight bytes. A backslash is always stored, and overwritten where it is not needed: a branch that is
/// hard to predict costs more.
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut written = [0; 16];
    let mut used = 0;
    for &byte in text {
        let escape = ESCAPES[usize::from(byte)];
        if escape == b'u' {
            out.extend_from_slice(&written[..used]);
            used = 0;
            write_control(byte, out);
            continue;
        }
        written[used % 16] = b'\\';
        used += usize::from(escape != 0);
        written[used % 16] = if escape == 0 { byte } else { escape };
        used += 1;
    }
    out.extend_from_slice(&written[..used]);
}

#[cold]
fn write_control(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u00");
    out.extend_from_slice(&hex_digits(byte, UPPER));
}

/// `bytes` as a string of base64.
pub fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    // Four characters for every three bytes begun.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD
        .encode_slice(bytes, &mut out[start..])
        .expect("the space is as large as base64 needs");
    out.truncate(start + written);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eight_bytes_are_checked_as_one_by_one(word in proptest::array::uniform8(prop_oneof![
            Just(b'"'), Just(b'\\'), 30..36u8, 90..94u8, 126..130u8, any::<u8>(),
        ])) {
            let expected = word.iter().any(|&byte| ESCAPES[usize::from(byte)] != 0);
            prop_assert_eq!(needs_escape(word), expected);
        }
    }
}
