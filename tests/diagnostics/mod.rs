//! DIAGNOSTICS of the manual pages: every message that is in the source is on a page, and no page has one that is not.
//!
//! The messages are read out of the source: each literal text of two words and more, where it is no help, no name
//! of a metric and no word to the compiler. What a `{}` stands for is left open. On a page a message is a line
//! `.It Sy`, with `\fIWORD\fP` for what is left open, and `\&` where the source puts two texts together.

mod literals;

use literals::{Literal, OPEN, literals_of, sources};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Texts in these files are no messages.
const FILES: [(&str, &str); 15] = [
    ("kcat-lite/group/guard.rs", "a script"),
    ("kcat-lite/config/pairs.rs", "a table of a test"),
    ("kpart/pairs.rs", "a table of a test"),
    ("tools/build.rs", "said to who builds"),
    ("tools/cli/progress.rs", "a progress line"),
    ("kcat-lite/list.rs", "output, in kcat's words"),
    ("kcat-lite/query.rs", "output, in kcat's words"),
    (
        "kcat-lite/config/habits.rs",
        "what to type, behind a message",
    ),
    ("tools/cli/hints.rs", "what to type, behind a message"),
    (
        "kcat-lite/selftest.rs",
        "output of -U, for a report of a bug",
    ),
    ("kcat-lite/version.rs", "output of -V"),
    ("klag/metrics/exposition.rs", "help of metrics"),
    ("klag/metrics/family.rs", "help of metrics"),
    ("koldest/exporter.rs", "help of metrics"),
    ("tools/report/html.rs", "a page"),
];

/// Texts that no user reads: of states that can't be, of what others say, of formats.
const NO_MESSAGES: [&str; 53] = [
    "\n\nFor more information",
    "Disconnected: SSL connection closed by peer",
    "Server returned error response: ",
    "Server returned non-2xx status code: ",
    "Accept, Accept-Encoding",
    "-X list shows all",
    "No provider for SASL mechanism GSSAPI",
    "SASL authentication error",
    "broker's supported mechanisms: ",
    "not valid in current SASL state",
    "not yet valid",
    "require SASL authentication",
    "sasl.username and sasl.password must be set",
    "uthentication failed",
    "ClickHouse function",
    "ClickHouse type",
    "GET, HEAD",
    "a NUL byte in a group's metadata",
    "a cell for each column",
    "a client does not answer this",
    "a client is not asked this",
    "a record without a place",
    "a response is decoded as what it is",
    "alert bad certificate",
    "alert certificate expired",
    "alert certificate required",
    "alert unknown ca",
    "answers to others would be lost",
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "certificate verify failed",
    "default-src 'none'; style-src 'unsafe-inline'",
    "empty line",
    "it is malformed",
    "kcat-lite batch",
    "nothing is compressed",
    "options for topics",
    "placed above",
    "text/html; charset=utf-8",
    "text/plain; charset=utf-8",
    "text/plain; version=0.0.4; charset=utf-8",
    "the command has no standard input",
    "the command was just started",
    "the file was just opened",
    "the parser refuses functions of numbers on anything else",
    "unable to get",
    " (os error ",
    "# TYPE \u{1} gauge",
    "# ktee segment",
    "# ktee segment ",
    "... \u{1} more lines\u{1}\n",
    "ktee has looked whether this object is protected from being overwritten.\n",
    "no interceptor can be added",
    "wrong version number",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The literals of all files of these folders.
fn literals(folders: &[&str]) -> Vec<Literal> {
    let mut found = Vec::new();
    for folder in folders {
        for path in sources(&root().join(folder)) {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            let text = std::fs::read_to_string(&path).unwrap();
            let is_output = FILES.iter().any(|(file, _)| *file == name);
            for mut literal in literals_of(&text) {
                literal.place = format!("{name}:{}", literal.place);
                literal.is_message &= !is_output;
                found.push(literal);
            }
        }
    }
    found
}

/// The messages of a page: what stands behind `.It Sy` in DIAGNOSTICS.
fn messages_of(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("man").join(page)).unwrap();
    let (_, text) = text.split_once(".Sh DIAGNOSTICS\n").unwrap();
    let text = text.split("\n.Sh ").next().unwrap();
    let messages = text.lines().filter_map(|line| line.strip_prefix(".It Sy "));
    messages.map(without_roff).collect()
}

/// A message of a page with [`OPEN`] for its open places, and a line feed where two texts meet.
fn without_roff(line: &str) -> String {
    let mut text = line
        .replace(r"\&%", "%")
        .replace(r"\&", "\n")
        .replace(r"\(dq", "\"")
        .replace("{}", &OPEN.to_string());
    while let Some((before, after)) = text.split_once(r"\fI") {
        let (_, after) = after.split_once(r"\fP").unwrap();
        text = format!("{before}{OPEN}{after}");
    }
    text.replace(r"\e", r"\")
}

/// Whether the fixed parts of `text` stand in `message` in this order.
fn is_in(text: &str, message: &str) -> bool {
    let message = message.replace('\n', "");
    let mut rest = message.as_str();
    fixed(text).iter().all(|part| {
        let found = rest.find(part);
        if let Some(at) = found {
            rest = &rest[at + part.len()..];
        }
        found.is_some()
    })
}

/// The parts between open places that have a letter.
fn fixed(text: &str) -> Vec<&str> {
    let parts = text.split([OPEN, '\n']).map(str::trim);
    parts
        .filter(|part| part.contains(|c: char| c.is_alphabetic()))
        .collect()
}

const PAGES: [&str; 7] = [
    "kafkautils.7",
    "kafka-records.5",
    "kcat-lite.1",
    "klag.1",
    "koldest.1",
    "kpart.1",
    "ktee.1",
];

/// Whose texts are on which pages: a program's on its own and on those of all; those of the library on any.
fn pages_of(folder: &str) -> Vec<&'static str> {
    let own = format!("{folder}.1");
    let is_one = |page: &&str| !page.ends_with(".1") || *page == own || folder == "tools";
    PAGES.into_iter().filter(is_one).collect()
}

const FOLDERS: [&str; 6] = ["kcat-lite", "klag", "koldest", "kpart", "ktee", "tools"];

#[test]
fn every_message_of_the_source_is_on_a_page() {
    let pages: BTreeMap<&str, Vec<String>> = PAGES
        .into_iter()
        .map(|page| (page, messages_of(page)))
        .collect();
    let mut missing = String::new();
    for folder in FOLDERS {
        for literal in literals(&[folder]).iter().filter(|l| l.is_message) {
            let mut known = pages_of(folder).into_iter().flat_map(|page| &pages[page]);
            let is_known = known.any(|message| is_in(&literal.text, message));
            if !is_known && !NO_MESSAGES.contains(&literal.text.as_str()) {
                let text = literal.text.replace(OPEN, "{}");
                let _ = writeln!(missing, "{}: {text}", literal.place);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not in DIAGNOSTICS of {PAGES:?}:\n{missing}"
    );
}

#[test]
fn every_message_of_a_page_is_in_the_source() {
    let literals = literals(&FOLDERS);
    let mut stale = String::new();
    for page in PAGES {
        for message in messages_of(page) {
            // Behind a colon stands the reason, which is often a text of its own.
            let parts = fixed(&message).into_iter().flat_map(|p| p.split(": "));
            for part in parts.map(|part| part.trim_matches([' ', ':', ',', '[', ']', '(', '"'])) {
                if !literals.iter().any(|literal| literal.text.contains(part)) {
                    let _ = writeln!(stale, "{page}: {part:?} of {message:?}");
                }
            }
        }
    }
    assert!(stale.is_empty(), "no program says so:\n{stale}");
}

#[test]
fn what_is_listed_as_no_message_is_there() {
    let literals = literals(&FOLDERS);
    for text in NO_MESSAGES {
        assert!(literals.iter().any(|l| l.text == text), "{text:?} is gone");
    }
    for (file, _) in FILES {
        assert!(root().join(file).is_file(), "{file} is gone");
    }
}

#[test]
fn a_message_is_on_a_page_if_its_fixed_parts_are_there_in_order() {
    let entry = without_roff(r"topic \fITOPIC\fP\& is \(dqnot\(dq there\e");
    assert_eq!(entry, "topic \u{1}\n is \"not\" there\\");
    assert!(is_in("topic \u{1}", &entry));
    assert!(is_in("\u{1} is \"not\" \u{1}", &entry));
    assert!(!is_in("topic \u{1} was not", &entry));
    assert!(!is_in("is \u{1} topic", &entry));
}
