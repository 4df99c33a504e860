//! Completion in the shell, with the values that options take: also the cluster's topics and groups.
//!
//! The script that `--generate-completions` prints calls the program with [`VARIABLE`] set and the words so far. A
//! cluster that does not answer within half a second completes nothing.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{self, ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};
use clap_complete::{CompleteEnv, Shell};

use super::connection::Connection;
use crate::kafka::admin::{QueryBudget, Topics, list_groups, metadata_over};
use crate::kafka::options;
use crate::kafka::wire::Wire;
use crate::kafka::{Client, Role};
use crate::partition::Algorithm;

/// Its value is the shell that asks.
const VARIABLE: &str = "KAFKAUTILS_COMPLETE";

/// How long the cluster may take.
const LIMIT: Duration = Duration::from_millis(400);

const SHELLS: Shells<'static> = Shells(&[&Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// The script for `shell`.
pub(super) fn script(command: &Command, shell: Shell) -> io::Result<String> {
    let (name, mut script) = (command.get_name(), Vec::new());
    if let Some(completer) = SHELLS.completer(&shell.to_string()) {
        completer.write_registration(VARIABLE, name, name, name, &mut script)?;
    }
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Prints candidates for the last word, if a shell asks for them.
pub(super) fn answer(command: impl Fn() -> Command) -> Result<bool, clap::Error> {
    let Some(shell) = std::env::var_os(VARIABLE) else {
        return Ok(false);
    };
    let words: Vec<OsString> = std::env::args_os().collect();
    let typed = words.iter().skip_while(|word| *word != "--").skip(1);
    let mut typed: Vec<OsString> = typed.cloned().collect();
    if shell == "bash" {
        typed = split(&typed).into_iter().map(OsString::from).collect();
    }
    let typed = Arc::from(typed);
    let with_completers = || command().mut_args(|argument| with_completer(argument, &typed));
    CompleteEnv::with_factory(with_completers)
        .var(VARIABLE)
        .shells(SHELLS)
        .try_complete(words, std::env::current_dir().ok().as_deref())
}

fn with_completer(argument: Arg, typed: &Arc<[OsString]>) -> Arg {
    if !argument.get_action().takes_values() || !argument.get_possible_values().is_empty() {
        return argument;
    }
    let Some(values) = Values::of(&argument, typed) else {
        let is_file = argument.get_id() == "operands";
        return if is_file {
            argument.value_hint(ValueHint::AnyPath)
        } else {
            argument
        };
    };
    let typed = Arc::clone(typed);
    let argument = argument.value_hint(ValueHint::Other);
    argument.add(ArgValueCompleter::new(move |current: &OsStr| {
        let current = current.to_str().unwrap_or_default();
        let values = values.list(current, &typed).into_iter();
        let fitting = values.filter(|value| value.starts_with(current));
        fitting.map(CompletionCandidate::new).collect()
    }))
}

enum Values {
    Words(&'static [&'static str]),
    Algorithms,
    Properties,
    Cluster { topics: bool, groups: bool },
}

impl Values {
    /// `None` for files, which clap knows, and for values that can't be listed.
    fn of(argument: &Arg, typed: &[OsString]) -> Option<Values> {
        let id = argument.get_id().as_str();
        let (topics, groups) = match id {
            "compression" => {
                return Some(Values::Words(&["none", "gzip", "snappy", "lz4", "zstd"]));
            }
            "offsets" => {
                return Some(Values::Words(&["beginning", "end", "stored", "s@", "e@"]));
            }
            "output" => {
                let formats = &["table", "tsv", "csv", "json", "prometheus", "html"];
                return Some(Values::Words(formats));
            }
            "tsv" => {
                return Some(Values::Words(&[
                    "all",
                    "key,value",
                    "value",
                    "topic,key,value",
                    "topic,partition,offset",
                ]));
            }
            "states" => return Some(Values::Words(&STATES)),
            "algorithm" => return Some(Values::Algorithms),
            "properties" => return Some(Values::Properties),
            "topic" | "topics" | "more_topics" | "exclude_topic" => (true, false),
            "group" | "groups" | "commit" | "exclude_group" => (false, true),
            "exclude" => (true, true),
            // Of kcat-lite, whose -G takes topics.
            "operands" => (typed.iter().any(|word| is_group(word)), false),
            _ => (false, false),
        };
        (topics || groups).then_some(Values::Cluster { topics, groups })
    }

    fn list(&self, current: &str, typed: &[OsString]) -> Vec<String> {
        match self {
            Values::Words(words) => words.iter().map(|&word| word.to_owned()).collect(),
            Values::Algorithms => Algorithm::names(),
            Values::Properties => match current.split_once('=') {
                None => options::table::names()
                    .into_iter()
                    .map(|name| name + "=")
                    .collect(),
                Some((name, _)) => options::table::values(name)
                    .into_iter()
                    .map(|value| format!("{name}={value}"))
                    .collect(),
            },
            &Values::Cluster { topics, groups } => cluster_names(typed, topics, groups),
        }
    }
}

/// The states of groups that are common.
const STATES: [&str; 4] = ["stable", "empty", "preparingrebalance", "dead"];

fn is_group(word: &OsStr) -> bool {
    let word = word.to_string_lossy();
    word.starts_with("-G") || word.starts_with("--group")
}

/// The names of the cluster's topics and groups; none if it does not answer in time.
fn cluster_names(typed: &[OsString], topics: bool, groups: bool) -> Vec<String> {
    let connection = connection(typed);
    let (sender, receiver) = mpsc::channel();
    // The thread may hang in a connection; it ends with the process.
    std::thread::spawn(move || sender.send(ask(&connection, topics, groups)));
    receiver
        .recv_timeout(LIMIT)
        .ok()
        .flatten()
        .unwrap_or_default()
}

fn ask(connection: &Connection, topics: bool, groups: bool) -> Option<Vec<String>> {
    let client = Client::new(&connection.options().ok()?, Role::Consumer).ok()?;
    let mut wire = Wire::new(&client);
    let metadata = metadata_over(&mut wire, Topics::All, &|| false).ok()?;
    let mut names = Vec::new();
    if groups {
        let brokers: Vec<i32> = metadata.brokers.iter().map(|broker| broker.id).collect();
        let mut budget = QueryBudget::new(LIMIT, &|| false).among(brokers.clone());
        let listing = list_groups(&mut wire, &brokers, &mut budget);
        names.extend(listing.groups.into_iter().map(|group| group.name));
    }
    if topics {
        names.extend(metadata.topics.into_iter().map(|topic| topic.name));
    }
    Some(names)
}

/// How to reach the cluster, of the words typed so far.
fn connection(typed: &[OsString]) -> Connection {
    let mut connection = Connection {
        brokers: None,
        properties: Vec::new(),
        config_files: Vec::new(),
        timeout: LIMIT,
        debug: None,
        verbose: 0,
        quiet: true,
    };
    let mut words = typed.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        for (short, long) in [
            ("-b", "--brokers"),
            ("-X", "--property"),
            ("-F", "--config"),
        ] {
            let attached = word.strip_prefix(short).filter(|_| !word.starts_with("--"));
            let attached = attached.or_else(|| word.strip_prefix(long)?.strip_prefix('='));
            let value = match attached {
                _ if word == short || word == long => words.next(),
                Some(value) if !value.is_empty() => Some(value.to_owned()),
                _ => continue,
            };
            match (short, value) {
                ("-b", value) => connection.brokers = value,
                ("-X", value) => connection.properties.extend(value),
                (_, value) => connection.config_files.extend(value.map(PathBuf::from)),
            }
            break;
        }
    }
    connection
}

/// bash, by the line instead of its words, which it takes apart at `=` and `:`.
struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        program: &str,
        completer: &str,
        script: &mut dyn Write,
    ) -> io::Result<()> {
        let function = format!("_{}_complete", name.replace('-', "_"));
        write!(
            script,
            r#"{function}() {{
    local IFS=$'\n'
    COMPREPLY=($({variable}=bash {completer} -- "${{COMP_LINE:0:COMP_POINT}}" 2>/dev/null))
    if [[ ${{COMPREPLY-}} == *[=:/@] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}}
complete -F {function} {program}
"#
        )
    }

    fn write_complete(
        &self,
        command: &mut Command,
        line: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let words = split(&line);
        let Some(last) = words.last().cloned() else {
            return Ok(());
        };
        let at = words.len() - 1;
        let words = words.into_iter().map(OsString::from).collect();
        // bash replaces what follows the last of these.
        let kept = last.rfind(['=', ':']).map_or(0, |at| at + 1);
        for candidate in engine::complete(command, words, at, folder)? {
            let candidate = candidate.get_value().to_string_lossy();
            writeln!(out, "{}", candidate.get(kept..).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// The words of bash's line; the last one is what is being typed, and may be empty or lack its closing quote.
fn split(line: &[OsString]) -> Vec<String> {
    let line = line.iter().map(|word| word.to_string_lossy());
    let line = line.collect::<Vec<_>>().join(" ");
    let closed = ["", "'", "\""]
        .iter()
        .find_map(|quote| shlex::split(&format!("{line}{quote}")));
    let mut words = closed.unwrap_or_default();
    if line.ends_with(' ') {
        words.push(String::new());
    }
    words
}
