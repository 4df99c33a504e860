//! What a terminal may be shown: a message must not move the cursor, ring the
//! bell, retitle the window or reverse the text that stands after it.

use super::scan::clean_len;
use crate::units::drives_terminal;

/// How a byte that must not reach the terminal is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// `\x1b`, each byte for itself; TSV reads this back.
    Hex,
    /// `\u001B`, each character for itself; JSON reads this back. The text is UTF-8.
    Json,
}

/// Appends `text`, with what could drive a terminal escaped. Tab and newline stay.
pub fn show(text: &[u8], escape: Escape, out: &mut Vec<u8>) {
    let mut rest = text;
    while !rest.is_empty() {
        let plain = clean_len(rest, |byte| !(b' '..=b'~').contains(&byte));
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let valid = valid_len(rest);
        if valid == 0 {
            // Either the end, or a byte that belongs to no character.
            if let Some((&byte, after)) = rest.split_first() {
                push_escaped(char::from(byte), &[byte], escape, out);
                rest = after;
            }
            continue;
        }
        let (character, after) = rest.split_at(valid);
        rest = after;
        match std::str::from_utf8(character)
            .ok()
            .and_then(|text| text.chars().next())
        {
            Some(shown) if is_text(shown) => out.extend_from_slice(character),
            found => push_escaped(
                found.unwrap_or(char::REPLACEMENT_CHARACTER),
                character,
                escape,
                out,
            ),
        }
    }
}

/// Rewrites what was appended to `out` since `start`, as [`show`] does.
pub(super) fn show_tail(out: &mut Vec<u8>, start: usize, escape: Escape) {
    let text = out.split_off(start);
    show(&text, escape, out);
}

/// The length of the UTF-8 character at the front of `bytes`; 0 where there is none.
fn valid_len(bytes: &[u8]) -> usize {
    (1..=bytes.len().min(4))
        .find(|&len| std::str::from_utf8(&bytes[..len]).is_ok())
        .unwrap_or(0)
}

/// Tab and line feed are part of the text here.
fn is_text(shown: char) -> bool {
    matches!(shown, '\t' | '\n') || !drives_terminal(shown)
}

fn push_escaped(shown: char, bytes: &[u8], escape: Escape, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match escape {
        Escape::Hex => {
            for byte in bytes {
                let digits = [
                    DIGITS[usize::from(byte >> 4)],
                    DIGITS[usize::from(byte & 15)],
                ];
                out.extend_from_slice(b"\\x");
                out.extend_from_slice(&digits);
            }
        }
        // A character beyond the first 65,536 is two of these (RFC 8259, section 7).
        Escape::Json => {
            for unit in shown.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8], escape: Escape) -> String {
        let mut out = Vec::new();
        show(text, escape, &mut out);
        String::from_utf8(out).expect("what a terminal is shown is text")
    }

    #[test]
    fn text_stays_as_it_is() {
        let text = "naïve \t 漢字 😀\nline";
        assert_eq!(shown(text.as_bytes(), Escape::Hex), text);
    }

    #[test]
    fn an_escape_sequence_is_shown_not_obeyed() {
        assert_eq!(shown(b"a\x1b[2Jb\x07", Escape::Hex), "a\\x1b[2Jb\\x07");
        assert_eq!(shown(b"a\x1b[2Jb", Escape::Json), "a\\u001B[2Jb");
        assert_eq!(shown(b"\x7f\r\0", Escape::Hex), "\\x7f\\x0d\\x00");
    }

    #[test]
    fn c1_is_escaped_raw_and_encoded() {
        assert_eq!(shown(b"\x9b2J", Escape::Hex), "\\x9b2J");
        assert_eq!(shown("\u{9b}2J".as_bytes(), Escape::Hex), "\\xc2\\x9b2J");
        assert_eq!(shown("\u{9b}2J".as_bytes(), Escape::Json), "\\u009B2J");
    }

    #[test]
    fn bidirectional_controls_are_escaped() {
        for control in ['\u{61c}', '\u{200e}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            let text = shown(format!("a{control}b").as_bytes(), Escape::Json);
            assert_eq!(text, format!("a\\u{:04X}b", u32::from(control)));
        }
        assert_eq!(
            shown("\u{e0041}".as_bytes(), Escape::Json),
            "\\uDB40\\uDC41"
        );
    }

    #[test]
    fn what_is_not_utf8_is_escaped_byte_by_byte() {
        assert_eq!(shown(b"\xc3\x28\xe2\x82", Escape::Hex), "\\xc3(\\xe2\\x82");
    }
}
