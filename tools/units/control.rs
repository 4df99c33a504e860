//! Which characters a terminal obeys instead of showing them, or shows as nothing.

/// Whether `character` must not reach a terminal as it is: it could move the cursor, ring the bell, retitle the window,
/// reorder what stands beside it, or make a name look like another one.
///
/// These are the controls of C0 and C1 with DEL, tab and line feed among them, which some callers let through; the
/// directional marks, embeddings, overrides and isolates (Unicode TR9, section 2); the separators of lines and
/// paragraphs, the marks of annotations, and the tags that no terminal shows. The joiners are not among them, which are
/// part of words and of emoji.
#[must_use]
pub fn drives_terminal(character: char) -> bool {
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

#[cfg(test)]
mod tests {
    use super::drives_terminal;

    #[test]
    fn controls_and_marks_that_turn_text_around_drive_it() {
        let driving = "\0\x07\t\n\r\x1b\x7f\u{80}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{e0041}";
        for character in driving.chars() {
            assert!(drives_terminal(character), "{character:?}");
        }
    }

    #[test]
    fn letters_signs_and_joiners_do_not() {
        for character in
            "a ~\u{a0}\u{fc}\u{5d0}\u{627}\u{200d}\u{fe0f}\u{6f22}\u{1f600}\u{fffd}".chars()
        {
            assert!(!drives_terminal(character), "{character:?}");
        }
    }
}
