//! Bytes for a terminal: a message must not move the cursor, ring the bell,
//! retitle the window or reverse the text after it.

use super::{LOWER, hex_digits, is_control, unescaped_len};

/// How a byte that must not reach the terminal is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalEscape {
    /// `\x1b`, each byte on its own; TSV reads this back.
    Hex,
    /// `\u001B`, each character on its own; JSON reads this back. The text is UTF-8.
    Json,
}

/// Appends `text` with control characters and what is not UTF-8 escaped. Tab and line feed stay.
pub fn escape_for_terminal(text: &[u8], escape: TerminalEscape, out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid();
        while !rest.is_empty() {
            let plain = unescaped_len(rest.as_bytes(), |byte| !(b' '..=b'~').contains(&byte));
            let (ascii, after) = rest.split_at(plain);
            out.extend_from_slice(ascii.as_bytes());
            let mut characters = after.chars();
            let Some(character) = characters.next() else {
                break;
            };
            rest = characters.as_str();
            let bytes = &after.as_bytes()[..character.len_utf8()];
            if matches!(character, '\t' | '\n') || !is_control(character) {
                out.extend_from_slice(bytes);
            } else {
                push_escaped(character, bytes, escape, out);
            }
        }
        for &byte in chunk.invalid() {
            push_escaped(char::from(byte), &[byte], escape, out);
        }
    }
}

/// Escapes what was appended to `out` since `start`, as [`escape_for_terminal`] does.
pub fn escape_tail_for_terminal(out: &mut Vec<u8>, start: usize, escape: TerminalEscape) {
    let text = out.split_off(start);
    escape_for_terminal(&text, escape, out);
}

fn push_escaped(character: char, bytes: &[u8], escape: TerminalEscape, out: &mut Vec<u8>) {
    match escape {
        TerminalEscape::Hex => {
            for &byte in bytes {
                out.extend_from_slice(b"\\x");
                out.extend_from_slice(&hex_digits(byte, LOWER));
            }
        }
        // A character beyond the first 65,536 is two of these (RFC 8259, section 7).
        TerminalEscape::Json => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8], escape: TerminalEscape) -> String {
        let mut out = Vec::new();
        escape_for_terminal(text, escape, &mut out);
        String::from_utf8(out).expect("escaped output is text")
    }

    #[test]
    fn text_stays_as_it_is() {
        let text = "naïve \t 漢字 😀\nline";
        assert_eq!(shown(text.as_bytes(), TerminalEscape::Hex), text);
    }

    #[test]
    fn an_escape_sequence_is_shown_instead_of_obeyed() {
        assert_eq!(
            shown(b"a\x1b[2Jb\x07", TerminalEscape::Hex),
            "a\\x1b[2Jb\\x07"
        );
        assert_eq!(shown(b"a\x1b[2Jb", TerminalEscape::Json), "a\\u001B[2Jb");
        assert_eq!(shown(b"\x7f\r\0", TerminalEscape::Hex), "\\x7f\\x0d\\x00");
    }

    #[test]
    fn c1_is_escaped_raw_and_encoded() {
        assert_eq!(shown(b"\x9b2J", TerminalEscape::Hex), "\\x9b2J");
        assert_eq!(
            shown("\u{9b}2J".as_bytes(), TerminalEscape::Hex),
            "\\xc2\\x9b2J"
        );
        assert_eq!(
            shown("\u{9b}2J".as_bytes(), TerminalEscape::Json),
            "\\u009B2J"
        );
    }

    #[test]
    fn bidirectional_controls_are_escaped() {
        for control in ['\u{61c}', '\u{200e}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            let text = shown(format!("a{control}b").as_bytes(), TerminalEscape::Json);
            assert_eq!(text, format!("a\\u{:04X}b", u32::from(control)));
        }
        assert_eq!(
            shown("\u{e0041}".as_bytes(), TerminalEscape::Json),
            "\\uDB40\\uDC41"
        );
    }

    #[test]
    fn what_is_not_utf8_is_escaped_byte_by_byte() {
        assert_eq!(
            shown(b"\xc3\x28\xe2\x82", TerminalEscape::Hex),
            "\\xc3(\\xe2\\x82"
        );
    }
}
