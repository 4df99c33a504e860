//! Characters that a terminal obeys instead of showing them, or shows as nothing.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether `character` must not reach a terminal as it is: it could move the cursor, ring the bell, retitle the window,
/// reorder the text next to it, or make a name look like another one.
///
/// These are the controls of C0 and C1 with DEL, tab and line feed; the directional marks, embeddings, overrides and
/// isolates (Unicode TR9, section 2); the separators of lines and paragraphs, the marks of annotations, and the tags
/// that no terminal shows. The joiners are not among them: they are part of words and of emoji.
#[must_use]
pub fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// `text` with its [control characters](is_control) except `kept` as `\n`, `\t`, `\xHH` or `\u{H}`.
pub fn visible<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let is_escaped = |c: char| is_control(c) && !kept.contains(&c);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        let _ = match c {
            _ if !is_escaped(c) => shown.write_char(c),
            '\n' => shown.write_str("\\n"),
            '\t' => shown.write_str("\\t"),
            '\0'..='\u{ff}' => write!(shown, "\\x{:02x}", c as u32),
            _ => write!(shown, "\\u{{{:x}}}", c as u32),
        };
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_directional_marks_are_controls_letters_and_joiners_are_not() {
        let controls = "\0\x07\t\n\r\x1b\x7f\u{80}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{e0041}";
        for character in controls.chars() {
            assert!(is_control(character), "{character:?}");
        }
        let others = "a ~\u{a0}\u{fc}\u{5d0}\u{627}\u{200d}\u{fe0f}\u{6f22}\u{1f600}\u{fffd}";
        for character in others.chars() {
            assert!(!is_control(character), "{character:?}");
        }
    }

    #[test]
    fn an_escape_sequence_is_visible_and_plain_text_unchanged() {
        for (text, all, most) in [
            ("a\x1b[31mb\tc\n", "a\\x1b[31mb\\tc\\n", "a\\x1b[31mb\tc\n"),
            (
                "gr\u{fc}n \u{202e}x",
                "gr\u{fc}n \\u{202e}x",
                "gr\u{fc}n \\u{202e}x",
            ),
            (
                "\u{9b}2J\u{200f}\r",
                "\\x9b2J\\u{200f}\\x0d",
                "\\x9b2J\\u{200f}\\x0d",
            ),
        ] {
            assert_eq!(visible(text, &[]), all);
            assert_eq!(visible(text, &['\t', '\n']), most);
        }
    }
}
