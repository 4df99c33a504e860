//! The documents: every `$` command in them is run and prints what stands below it, and every option is the program's.
//!
//! The commands of one document run one after the other in one bash, in an empty folder, with a throw-away cluster:
//! topics made in one block are there in the next. A command goes on in the lines that begin with `> `. What it prints
//! is stdout and stderr together, as on a terminal; it must succeed unless the next command is `echo $?`.

use crate::testkit::command::cmd;
use crate::testkit::session;
use crate::testkit::witness;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a user types once; the programs under test are built already.
const INSTALL: &str = "cargo install --locked --path . && ";

/// Between two outputs: a character that no document prints.
const MARK: &str = "\u{1e}";

/// A command as it stands in a document, and what stands below it.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    /// The line it begins in, counted from 1.
    line: usize,
    command: String,
    output: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether this end of a file's name is a section of the manual: `1`.
fn is_section(end: &std::ffi::OsStr) -> bool {
    end.to_str().is_some_and(|end| end.parse::<u8>().is_ok())
}

/// The man pages, by name.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = root()
        .join("man")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(is_section))
        .collect();
    pages.sort();
    pages
}

fn examples(document: &Path) -> Vec<Example> {
    let text = std::fs::read_to_string(document).unwrap();
    if document.extension().is_some_and(|e| e == "md") {
        examples_between(&text, "```console", "```", str::to_owned)
    } else {
        examples_between(&text, ".Bd -literal", ".Ed", without_roff)
    }
}

/// What mdoc writes otherwise in literal text.
fn without_roff(line: &str) -> String {
    let line = line.strip_prefix(r"\&").unwrap_or(line);
    line.replace(r"\(aq", "'")
        .replace(r"\-", "-")
        .replace(r"\e", r"\")
}

fn examples_between(
    text: &str,
    begin: &str,
    end: &str,
    plain: impl Fn(&str) -> String,
) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut is_inside = false;
    let mut has_command = false;
    for (index, line) in text.lines().enumerate() {
        if !is_inside {
            (is_inside, has_command) = (line.starts_with(begin), false);
            continue;
        }
        if line == end {
            is_inside = false;
            continue;
        }
        let line = plain(line);
        if let Some(command) = line.strip_prefix("$ ") {
            has_command = true;
            examples.push(Example {
                line: index + 1,
                command: command.to_owned(),
                output: String::new(),
            });
        } else if let Some(last) = examples.last_mut().filter(|_| has_command) {
            match line.strip_prefix("> ") {
                Some(more) if last.output.is_empty() => {
                    let _ = write!(last.command, "\n{more}");
                }
                _ => {
                    let _ = writeln!(last.output, "{line}");
                }
            }
        }
    }
    examples
}

/// Runs the examples of a document and says where it is wrong.
fn check(document: &Path) {
    let examples = examples(document);
    if examples.is_empty() {
        return;
    }
    let mut script = String::from("exec 2>&1\nset -o pipefail\nstatus=0\n");
    for example in &examples {
        let command = example.command.strip_prefix(INSTALL);
        let command = command.unwrap_or(&example.command);
        let _ = writeln!(
            script,
            "(exit $status)\n{command}\nstatus=$?; printf '%s%d{MARK}' '{MARK}' $status"
        );
    }
    let folder = session::folder("docs");
    std::os::unix::fs::symlink(root().join("tests"), folder.join("tests")).unwrap();
    std::fs::write(folder.join(".script"), script).unwrap();
    let output = cmd("kcat-lite")
        .args(["-M", "1", "--", "bash", ".script"])
        .inside(&folder)
        .limit(Duration::from_secs(120))
        .run()
        .succeeds();
    let parts: Vec<&str> = output.text().split(MARK).collect();
    let name = document.file_name().unwrap().display();
    let mut wrong = String::new();
    for (index, example) in examples.iter().enumerate() {
        let place = format!("{name}:{}: $ {}", example.line, example.command);
        let [Some(printed), Some(status)] = [2 * index, 2 * index + 1].map(|at| parts.get(at))
        else {
            let _ = writeln!(wrong, "{place}\nwas not reached");
            break;
        };
        if *printed != example.output {
            let _ = writeln!(
                wrong,
                "{place}\nprints\n{printed}instead of\n{}",
                example.output
            );
        }
        let is_expected = examples
            .get(index + 1)
            .is_some_and(|next| next.command == "echo $?");
        if *status != "0" && !is_expected {
            let _ = writeln!(wrong, "{place}\nends with {status}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_readme_prints_what_it_says() {
    let readme = root().join("README.md");
    assert!(!examples(&readme).is_empty());
    check(&readme);
}

#[test]
fn the_man_pages_print_what_they_say() {
    for page in pages() {
        check(&page);
    }
}

#[test]
fn the_man_pages_are_well_formed() {
    let Some(mandoc) = witness::installed("mandoc") else {
        return;
    };
    mandoc
        .args(["-T", "lint", "-W", "warning"])
        .args(pages())
        .run()
        .succeeds()
        .stdout_is("");
}

/// The options that a program's help names: all names of each option together.
fn options_of(program: &str) -> Vec<Vec<String>> {
    let help = cmd(program).arg("--help").run().succeeds();
    let is_name = |word: &&str| word.len() > 1 && word.starts_with('-');
    help.lines()
        .iter()
        .filter(|line| line.trim_start().starts_with('-') && line.starts_with("  "))
        // A possible value is shown as `- value: what it means`.
        .filter(|line| !line.trim_start().starts_with("- "))
        .map(|line| {
            let words = line.split([' ', ',', '[', '=', '<', '.']);
            words.filter(is_name).map(ToOwned::to_owned).collect()
        })
        .collect()
}

/// The options that a page names by `Fl`.
fn flags_of(page: &Path) -> BTreeSet<String> {
    const CALLABLE: [&str; 14] = [
        "Ar", "Cm", "Dq", "Em", "Fl", "Li", "Nm", "No", "Ns", "Oc", "Oo", "Op", "Pa", "Xr",
    ];
    let text = std::fs::read_to_string(page).unwrap();
    let mut flags = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with('.')) {
        let mut in_flags = false;
        for word in line[1..].split_whitespace() {
            if CALLABLE.contains(&word) || word == "It" {
                in_flags = word == "Fl";
            } else if in_flags && word.contains(|c: char| c.is_ascii_alphanumeric()) {
                flags.insert(format!("-{word}"));
            }
        }
    }
    flags
}

#[test]
fn a_page_names_the_options_that_its_programs_help_names() {
    for page in pages() {
        let name = page.file_stem().unwrap().to_str().unwrap();
        if page.extension().is_none_or(|section| section != "1") {
            continue;
        }
        let in_help = options_of(name);
        let in_page = flags_of(&page);
        for names in &in_help {
            assert!(
                names.iter().any(|n| in_page.contains(n)),
                "{names:?} of `{name} --help` is not in {}",
                page.display()
            );
        }
        for flag in &in_page {
            assert!(
                in_help.iter().flatten().any(|n| n == flag),
                "{flag} of {} is not in `{name} --help`",
                page.display()
            );
        }
    }
}

/// The source files of a folder, with what is in them.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

#[test]
fn each_module_of_the_library_uses_only_those_below_it_and_the_pure_ones_nothing_else() {
    let tools = root().join("tools");
    let map = std::fs::read_to_string(tools.join("lib.rs")).unwrap();
    let modules: Vec<(&str, bool)> = map
        .lines()
        .filter_map(|line| line.strip_prefix("//! - [`")?.split_once("`]"))
        .map(|(module, what)| (module, what.ends_with("Pure.")))
        .collect();
    assert!(modules.len() >= 8, "{modules:?}");
    for (at, (module, is_pure)) in modules.iter().enumerate() {
        let folder = tools.join(module);
        let mut files = if folder.is_dir() {
            sources(&folder)
        } else {
            Vec::new()
        };
        let root = folder.with_extension("rs");
        if let Ok(text) = std::fs::read_to_string(&root) {
            files.push((root, text));
        }
        for (path, text) in files {
            for (above, _) in &modules[..at] {
                let used = format!("crate::{above}::");
                assert!(!text.contains(&used), "{} uses {used}", path.display());
            }
            for world in ["rdkafka::", "clap::", "std::fs", "std::net", "std::process"] {
                let is_in = *is_pure && text.contains(world);
                assert!(!is_in, "{} uses {world}", path.display());
            }
        }
    }
    // Programs ask the library, and never librdkafka itself.
    for program in ["kcat-lite", "klag", "koldest", "kpart", "ktee"] {
        for (path, text) in sources(&root().join(program)) {
            assert!(!text.contains("rdkafka::"), "{}", path.display());
        }
    }
}

#[test]
fn commands_are_found_in_a_document_with_what_they_print() {
    let text =
        "```console\n$ echo a\na\n$ echo \\\n> b\nb\n```\n$ not this\n```\n$ nor this\n```\n";
    let found = examples_between(text, "```console", "```", str::to_owned);
    let example = |line, command: &str, output: &str| Example {
        line,
        command: command.to_owned(),
        output: output.to_owned(),
    };
    assert_eq!(
        found,
        [example(2, "echo a", "a\n"), example(4, "echo \\\nb", "b\n")]
    );
    assert_eq!(without_roff(r"\&.x \e\en \(aqq\(aq"), r".x \\n 'q'");
}
