//! Walks over every pair of a mode and an option, as clap describes the program: each is refused by name, or accepted
//! with a warning that names it, or shown by a test to do something. Included by each program's own tests.

use clap::{Arg, ArgAction, Command};

/// What shows the options of the connection.
const CONNECTION: [(&str, &str); 2] = [
    (
        "brokers properties config_files",
        "the_first_that_says_where_the_cluster_is_wins",
    ),
    (
        "debug verbose",
        "librdkafkas_log_is_shown_where_it_is_asked_for",
    ),
];

/// Values of options that several programs have.
const COMMON_VALUES: &[(&str, &str)] = &[
    ("brokers", "h"),
    ("properties", "client.id=me"),
    ("config_files", "none"),
    ("debug", "broker"),
    ("timeout", "3"),
    ("tsv", "all"),
    ("bytes", "hex"),
    ("utf8", "strict"),
    ("output", "csv"),
    ("unknown", "pass"),
    ("watch", "2s"),
    ("listen", "127.0.0.1:0"),
];

/// What a program makes of the words behind its name; `parse` gives its warnings.
pub(crate) fn outcome(
    program: &str,
    words: &[String],
    parse: impl FnOnce(Vec<&str>) -> anyhow::Result<Vec<String>>,
) -> Result<Vec<String>, String> {
    let words = std::iter::once(program).chain(words.iter().map(String::as_str));
    parse(words.collect()).map_err(|error| format!("{error:#}"))
}

/// A program's options and what is known of them.
pub(crate) struct Walk<'a> {
    pub(crate) command: Command,
    /// Name and words of each mode: a command line that is complete without the option that is added to it.
    pub(crate) modes: &'a [(&'a str, &'a str)],
    /// A value for each option that does not take `1`, by the option's id.
    pub(crate) values: &'a [(&'a str, &'a str)],
    /// Lines of `OPTIONS | MODES | TEST`: the test shows that these options do something in these modes.
    pub(crate) shown: &'a str,
    /// The modes that have the options of the connection.
    pub(crate) connection: &'a str,
    /// What the program makes of the words behind its name: its warnings, or its refusal.
    pub(crate) outcome: fn(&[String]) -> Result<Vec<String>, String>,
}

/// Options that are answered at once, whatever else stands there.
const ANSWERED: [&str; 3] = ["help", "version", "generate-completions"];

impl Walk<'_> {
    /// Panics with every pair that is none of the three.
    pub(crate) fn check(&self) {
        let sources = sources();
        let mut wrong = Vec::new();
        for (options, _, test) in self.shown() {
            let name = format!("fn {test}(");
            if !sources.iter().any(|source| source.contains(&name)) {
                wrong.push(format!("{options}: there is no test {test}"));
            }
        }
        for &(mode, words) in self.modes {
            let bare: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            if let Err(refusal) = (self.outcome)(&bare) {
                wrong.push(format!("{}: {refusal}", bare.join(" ")));
            }
            for argument in self.command.get_arguments() {
                let id = argument.get_id().as_str();
                if !ANSWERED.contains(&id) {
                    wrong.extend(self.pair(mode, bare.clone(), argument));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Options, modes and test of each line.
    fn shown(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let lines = self.shown.lines().map(|line| {
            let (options, rest) = line.split_once(" | ").expect(line);
            let (modes, test) = rest.split_once(" | ").expect(line);
            (options, modes, test)
        });
        lines.chain(CONNECTION.map(|(options, test)| (options, self.connection, test)))
    }

    /// What is wrong with an option beside a mode.
    fn pair(&self, mode: &str, mut words: Vec<String>, argument: &Arg) -> Option<String> {
        let id = argument.get_id().as_str();
        words.extend(self.typed(argument));
        let line = words.join(" ");
        match (self.outcome)(&words) {
            Err(refusal) => {
                // The usage names many options.
                let refusal = refusal.split("\n\nUsage").next().unwrap_or_default();
                let is_named = names(argument).iter().any(|name| refusal.contains(name));
                // An option that is complete without a cluster is no other's mode: it asks for the next.
                let asks = refusal.starts_with("where is the cluster");
                (!is_named && !asks).then(|| format!("{line}: refused, and not by name: {refusal}"))
            }
            Ok(warnings) => {
                let is_warned = names(argument)
                    .iter()
                    .any(|name| warnings.iter().any(|warning| warning.contains(name)));
                let is_shown = self.shown().any(|(options, modes, _)| {
                    options.split(' ').any(|option| option == id)
                        && modes.split(' ').any(|m| m == "*" || m == mode)
                });
                (!is_warned && !is_shown)
                    .then(|| format!("{line}: {id} is taken, and no test shows what it does"))
            }
        }
    }

    fn typed(&self, argument: &Arg) -> Vec<String> {
        let id = argument.get_id().as_str();
        let mut values = self.values.iter().chain(COMMON_VALUES);
        let known = values.find(|(option, _)| *option == id);
        let value = known.map_or("1", |(_, value)| *value).to_owned();
        if argument.is_positional() {
            let last = argument.is_last_set().then(|| "--".to_owned());
            return last.into_iter().chain([value]).collect();
        }
        let name = match (argument.get_short(), argument.get_long()) {
            (Some(letter), _) => format!("-{letter}"),
            (None, long) => format!("--{}", long.unwrap_or_default()),
        };
        match argument.get_action() {
            ArgAction::Set | ArgAction::Append if argument.is_require_equals_set() => {
                let long = argument.get_long().unwrap_or_default();
                vec![format!("--{long}={value}")]
            }
            ArgAction::Set | ArgAction::Append => vec![name, value],
            _ => vec![name],
        }
    }
}

/// What a message may call an option.
fn names(argument: &Arg) -> Vec<String> {
    let letter = argument.get_short().map(|letter| format!("-{letter}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let values = argument
        .get_value_names()
        .filter(|_| argument.is_positional());
    let values = values.into_iter().flatten();
    let values = values.flat_map(|value| value.split('|').map(ToOwned::to_owned));
    let word = argument.is_positional().then(|| "operand".to_owned());
    letter
        .into_iter()
        .chain(long)
        .chain(values)
        .chain(word)
        .collect()
}

/// Every file with tests, as text.
fn sources() -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                texts.push(std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    texts
}
