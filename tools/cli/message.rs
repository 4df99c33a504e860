//! Messages on stderr: `PROGRAM: text`, one write each, never driving the terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;
use std::sync::OnceLock;

use super::progress;
use crate::text;

static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// Sets the name that [`message`] puts in front; the first call counts.
pub fn set_program(name: &'static str) {
    let _ = PROGRAM.set(name);
}

/// The program's name, as given to [`set_program`].
pub fn program() -> &'static str {
    PROGRAM.get().copied().unwrap_or("kafkautils")
}

/// Writes `PROGRAM: text` to stderr as one line, beside a progress bar if there is one.
///
/// A broker's reason, a topic's name or a line of input may be in the text:
/// control characters are shown, not obeyed. Line feeds are kept, because
/// usage errors have several lines.
pub fn message(text: impl Display) {
    let text = text.to_string();
    // librdkafka prints a name that it does not have so.
    let text = without_passwords(&text).replace(" ((null))", "");
    let line = format!("{}: {}\n", program(), visible(&without_os_codes(&text)));
    progress::suspend(|| {
        // There is nowhere to report that stderr is gone.
        let _ = std::io::stderr().write_all(line.as_bytes());
    });
}

/// Writes the first `most` of these texts as messages, and how many others there are.
pub fn messages<T: Display>(texts: impl IntoIterator<Item = T>, most: usize) {
    let mut texts = texts.into_iter();
    texts.by_ref().take(most).for_each(message);
    if let more @ 1.. = texts.count() {
        message(format_args!("and {more} more like these"));
    }
}

/// `text` with the password of each `scheme://user:password@host` as `***`, whoever put the URL into the text.
fn without_passwords(text: &str) -> Cow<'_, str> {
    let Some((before, after)) = text.split_once("://") else {
        return Cow::Borrowed(text);
    };
    let end = after.find(|c: char| c.is_whitespace() || "/?#\"'`<>".contains(c));
    let (authority, rest) = after.split_at(end.unwrap_or(after.len()));
    let shown = match authority.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            // What stands alone may be a token.
            None => format!("***@{host}"),
        },
        None => authority.to_owned(),
    };
    Cow::Owned(format!("{before}://{shown}{}", without_passwords(rest)))
}

/// `text` without the "(os error 28)" that Rust adds to the system's words.
fn without_os_codes(text: &str) -> Cow<'_, str> {
    let Some((before, after)) = text.split_once(" (os error ") else {
        return Cow::Borrowed(text);
    };
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    let after = after.strip_prefix(')').unwrap_or(after);
    Cow::Owned(format!("{before}{}", without_os_codes(after)))
}

/// `text` with control characters, except line feed and tab, as `\xHH` or `\u{H}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    text::visible(text, &['\n', '\t'])
}

#[cfg(test)]
mod tests {
    use super::{without_os_codes, without_passwords};

    #[test]
    fn the_systems_words_stand_without_its_number() {
        assert_eq!(
            without_os_codes("a: No space (os error 28); b"),
            "a: No space; b"
        );
        assert_eq!(without_os_codes("plain"), "plain");
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (text, shown) in [
            (
                "no bucket s3://me:secret@b/p, rc 2",
                "no bucket s3://me:***@b/p, rc 2",
            ),
            (
                "`http://k:p:w@h:9000`: refused",
                "`http://k:***@h:9000`: refused",
            ),
            (
                "http://a@b/?x=1 https://c:d@e",
                "http://***@b/?x=1 https://c:***@e",
            ),
            ("http://h:1/a@b: plain", "http://h:1/a@b: plain"),
            ("plain: a://", "plain: a://"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }
}
