//! The literal texts of Rust source, and which of them somebody may read.

use std::path::{Path, PathBuf};

/// What stands for an open place of a message.
pub(super) const OPEN: char = '\u{1}';

/// A literal text of the source.
#[derive(Debug)]
pub(super) struct Literal {
    /// `FILE:LINE`.
    pub(super) place: String,
    /// With [`OPEN`] for what is filled in.
    pub(super) text: String,
    /// Whether somebody may read it.
    pub(super) is_message: bool,
}

/// All files of a folder that end in `.rs`, without those that hold tests alone.
pub(super) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let is_tests = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_tests {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !is_tests {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The literals of a source, but for those of its tests.
pub(super) fn literals_of(source: &str) -> Vec<Literal> {
    let end = source.find("#[cfg(test)]\nmod tests {");
    let mut rest = &source[..end.unwrap_or(source.len())];
    let mut found = Vec::new();
    let (mut line, mut before) = (1, String::new());
    while let Some(next) = rest.chars().next() {
        let used = match next {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '\'' => quoted_char(rest),
            'r' if is_raw(rest, &before) => {
                let hashes = rest[1..].find('"').unwrap();
                let end = format!("\"{}", "#".repeat(hashes));
                let from = hashes + 2;
                let size = rest[from..].find(&end).unwrap();
                found.push(literal(line, &rest[from..from + size], &before));
                from + size + end.len()
            }
            '"' => {
                let size = quoted_text(rest);
                found.push(literal(line, &unescaped(&rest[1..size - 1]), &before));
                size
            }
            _ => next.len_utf8(),
        };
        line += rest[..used].matches('\n').count();
        if next != '/' || used == 1 {
            before.push_str(if next == '"' { "\"\"" } else { &rest[..used] });
        }
        rest = &rest[used..];
    }
    found
}

fn is_raw(rest: &str, before: &str) -> bool {
    let is_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let text = rest[1..].trim_start_matches('#');
    (!is_word || before.ends_with('b')) && text.starts_with('"')
}

/// The size of `'c'`, or 1 of a lifetime's mark.
fn quoted_char(rest: &str) -> usize {
    let inner = &rest[1..];
    let size = if inner.starts_with('\\') {
        inner[2..].find('\'').map(|at| at + 2)
    } else {
        let first = inner.chars().next().map_or(0, char::len_utf8);
        inner[first..].starts_with('\'').then_some(first)
    };
    size.map_or(1, |size| size + 2)
}

/// The size of a text in quotes, with them.
fn quoted_text(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    panic!("a text without its end: {rest:.40}");
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('n')) => {
                chars.next();
                plain.push('\n');
            }
            ('\\', Some(_)) => plain.extend(chars.next()),
            _ => plain.push(c),
        }
    }
    plain
}

fn literal(line: usize, text: &str, before: &str) -> Literal {
    let text = opened(text);
    let words = text
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() >= 2);
    // Help is sentences, and messages have no full stop.
    let is_text = words.count() >= 2 && text.contains(' ') && !text.ends_with('.');
    let is_for_us = ["expect(", "expect_err("]
        .iter()
        .any(|call| before.trim_end().ends_with(call));
    Literal {
        place: line.to_string(),
        is_message: is_text && !is_for_us && !in_attribute(before),
        text,
    }
}

/// Whether what follows is within `#[...]`, but for `#[error(...)]`, whose text is a message.
fn in_attribute(before: &str) -> bool {
    let Some(at) = before.rfind("#[") else {
        return false;
    };
    let inside = &before[at + 2..];
    let depth = inside.chars().fold(1, |depth, c| match c {
        '[' => depth + 1,
        ']' => depth - 1,
        _ => depth,
    });
    depth > 0 && !inside.starts_with("error(")
}

/// A format with [`OPEN`] for what is filled in.
fn opened(format: &str) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        text += &rest[..at];
        rest = &rest[at..];
        let end = rest.find('}').map_or(1, |end| end + 1);
        let is_brace = rest.starts_with("{{") || rest.starts_with("}}");
        let is_place = rest.starts_with('{') && !rest[1..end].contains([' ', '\n']);
        let used = if is_brace {
            text.push_str(&rest[..1]);
            2
        } else if is_place && end > 1 {
            text.push(OPEN);
            end
        } else {
            text.push_str(&rest[..1]);
            1
        };
        rest = &rest[used..];
    }
    (text + rest).replace("{}", &OPEN.to_string())
}

#[test]
fn literals_are_found_and_told_apart_from_what_nobody_reads() {
    let source = r##"
        // "no comment here"
        #[arg(help_heading = "no heading here")]
        #[error("topic {topic}: there {{is}} {0:?}")]
        let a = '"'; let b = x.expect("it is there"); f("This is help.");
        bail!("two \
               lines\n"); let raw = r#"a "raw" one"#;
        #[cfg(test)]
mod tests {
        "not this one"
    "##;
    let messages = literals_of(source).into_iter().filter(|l| l.is_message);
    let texts: Vec<String> = messages.map(|l| l.text).collect();
    assert_eq!(
        texts,
        [
            "topic \u{1}: there {is} \u{1}",
            "two lines\n",
            "a \"raw\" one"
        ]
    );
}
