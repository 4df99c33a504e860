//! The text of a file of properties, as `java.util.Properties` reads it, and as kcat does. Pure.

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As java.util.Properties reads: backslash escapes, `:` and blanks as separators, continued lines.
    Java,
    /// kcat.conf: `NAME=VALUE`, where a backslash is one unless `:` or `=` or the end of the line follows.
    Kcat,
}

/// A property, and the line where it begins, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) name: String,
    /// `None` where a line of kcat's has no `=`.
    pub(super) value: Option<String>,
}

/// The text of a file: UTF-8 where it is that, else ISO-8859-1, which can be anything.
pub(super) fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// The properties of a text, in their order; the error is a line and what is wrong with it.
pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Vec<Entry>, (usize, String)> {
    let lines = logical_lines(text).into_iter();
    lines
        .map(|(line, text)| {
            let entry = match dialect {
                Dialect::Java => java_entry(line, &text),
                Dialect::Kcat => Ok(kcat_entry(line, &text)),
            };
            entry.map_err(|reason| (line, reason))
        })
        .collect()
}

/// Blanks of `java.util.Properties`.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Comments and blank lines left out, a line that ends in a backslash joined with the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut joined: Option<(usize, String)> = None;
    for (index, line) in natural_lines(text).enumerate() {
        let part = line.trim_start_matches(is_blank);
        let (number, mut whole) = match joined.take() {
            Some(joined) => joined,
            None if part.is_empty() || part.starts_with(['#', '!']) => continue,
            None => (index + 1, String::new()),
        };
        let backslashes = part.len() - part.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            whole.push_str(&part[..part.len() - 1]);
            joined = Some((number, whole));
        } else {
            whole.push_str(part);
            lines.push((number, whole));
        }
    }
    lines.extend(joined);
    lines
}

/// Lines that end in `\n`, `\r` or both.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.split('\n');
    ends.flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn java_entry(line: usize, text: &str) -> Result<Entry, String> {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let ends = !is_escaped && (is_blank(c) || c == '=' || c == ':');
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    Ok(Entry {
        line,
        name: unescape(name)?,
        // Kafka's clients trim what java.util.Properties leaves.
        value: Some(
            unescape(rest.trim_start_matches(is_blank))?
                .trim_matches(|c| c <= ' ')
                .to_owned(),
        ),
    })
}

/// `\t`, `\n`, `\r`, `\f`, `\uXXXX` in UTF-16; a backslash before any other character stands for that.
fn unescape(text: &str) -> Result<String, String> {
    let mut units = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let is_hex = digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit());
                    let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| is_hex);
                    units.push(unit.ok_or("four hexadecimal digits are expected after \\u")?);
                    continue;
                }
                Some(other) => other,
                None => continue,
            },
            other => other,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).map_err(|_| "half a character, written as \\uXXXX".to_owned())
}

fn kcat_entry(line: usize, text: &str) -> Entry {
    let unescape = |text: &str| text.trim().replace("\\:", ":").replace("\\=", "=");
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(unescape(value))),
        None => (text, None),
    };
    Entry {
        line,
        name: name.trim().to_owned(),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn java(text: &str) -> Vec<(usize, String, String)> {
        let entries = parse(text, Dialect::Java).expect("well-formed");
        let row = |e: Entry| (e.line, e.name, e.value.expect("a value"));
        entries.into_iter().map(row).collect()
    }

    #[test]
    fn separators_escapes_comments_and_continued_lines_are_those_of_java() {
        let text = "# one\n! two\n\n a.b = c\\:\\=d \nx: y\nx2 y z\nbare\nlong=one,\\\n   two\\\n# three\n\
                    password=a\\\\b\\tc\\u00e9\\uD83D\\uDE00\\q\nwith\\ blank\\:=v\neven=a\\\\\nlast=x\\";
        let expected = [
            (4, "a.b", "c:=d"),
            (5, "x", "y"),
            (6, "x2", "y z"),
            (7, "bare", ""),
            (8, "long", "one,two# three"),
            (11, "password", "a\\b\tc\u{e9}\u{1f600}q"),
            (12, "with blank:", "v"),
            (13, "even", "a\\"),
            (14, "last", "x"),
        ];
        let expected = expected.map(|(line, n, v)| (line, n.to_owned(), v.to_owned()));
        assert_eq!(java(text), expected);
        assert_eq!(
            java("a=b\r\nc=d\re=f"),
            [
                (1, "a".to_owned(), "b".to_owned()),
                (2, "c".to_owned(), "d".to_owned()),
                (3, "e".to_owned(), "f".to_owned()),
            ]
        );
        assert!(parse("a=\\u12g4", Dialect::Java).is_err());
    }

    #[test]
    fn a_file_of_kcats_keeps_its_backslashes() {
        let entries = parse("sasl.password=a\\b\\:c \nbare\n", Dialect::Kcat).expect("well-formed");
        assert_eq!(entries[0].value.as_deref(), Some("a\\b:c"));
        assert_eq!(entries[1].value, None);
    }

    #[test]
    fn a_text_is_utf_8_or_else_iso_8859_1() {
        assert_eq!(text_of("p=\u{e9}".as_bytes()), "p=\u{e9}");
        assert_eq!(text_of(b"p=\xe9"), "p=\u{e9}");
    }

    proptest! {
        #[test]
        fn what_java_would_store_is_read_back(name in "[a-z.:= \\\\\u{e9}]{1,12}", value in "[ -~\u{e9}\u{1f600}]{0,20}") {
            let store = |text: &str, is_name: bool| {
                let mut out = String::new();
                for (at, c) in text.chars().enumerate() {
                    match c {
                        ' ' if is_name || at == 0 => out.push_str("\\ "),
                        '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
                        c if !c.is_ascii() => for unit in c.encode_utf16(&mut [0; 2]) {
                            out.push_str(format!("\\u{unit:04X}").as_str());
                        },
                        c => out.push(c),
                    }
                }
                out
            };
            let text = format!("{}={}\n", store(&name, true), store(&value, false));
            prop_assert_eq!(java(&text), [(1, name, value.trim().to_owned())]);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}|[\\\\u0-9a=: \n\r]{0,40}") {
            for dialect in [Dialect::Java, Dialect::Kcat] {
                drop(parse(&text, dialect));
            }
        }
    }
}
