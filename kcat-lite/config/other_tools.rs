//! Hints for users of other tools: kaf, kcl, kafkactl, Java's console tools.

use super::usage;
use crate::cli::Cli;

/// Commands of kaf, kcl and kafkactl.
const VERBS: &[(&str, &str)] = &[
    ("produce", "-P -t TOPIC"),
    ("consume", "-C -t TOPIC"),
    ("tail", "-C -o end -t TOPIC"),
    ("list", "-L"),
    ("topics", "-L"),
    ("topic", "-L -t TOPIC"),
    ("query", "-Q -t TOPIC:TIME"),
    ("group", "-G GROUP TOPIC"),
    ("get", "-L"),
    ("describe", "-L -t TOPIC"),
    ("groups", "klag, which shows groups"),
    ("help", "--help"),
    ("version", "-V"),
];

/// Refuses a command in the place of a mode.
pub(super) fn refuse_verb(cli: &Cli) -> anyhow::Result<()> {
    let first = cli.operands.first().and_then(|word| word.to_str());
    let known = VERBS.iter().find(|(verb, _)| Some(*verb) == first);
    match known {
        Some((verb, mode)) if cli.topics.is_empty() => Err(usage(format_args!(
            "`{verb}`: modes are letters, as kcat's; type {mode}"
        ))),
        _ => Ok(()),
    }
}

/// Properties of Java's console tools, and what replaces them.
const JAVA_PROPERTIES: &[(&str, &str)] = &[
    ("print.key", "-K DELIM or --tsv shows keys"),
    ("print.value", "-f TEMPLATE shows what its tokens name"),
    ("print.headers", "--tsv=all, -J or -f with %h shows headers"),
    ("print.timestamp", "--tsv=all, -J or -f with %T shows times"),
    (
        "print.partition",
        "--tsv=all, -J or -f with %p shows partitions",
    ),
    (
        "print.offset",
        "-O, --tsv=all, -J or -f with %o shows offsets",
    ),
    (
        "key.separator",
        "-K DELIM is what stands between key and value",
    ),
    ("line.separator", "-D DELIM is what ends a record"),
    ("headers.separator", "--tsv=all and -J have headers"),
    ("parse.key", "-K DELIM splits the key off"),
    (
        "parse.headers",
        "--tsv=key,value,headers and -J have headers",
    ),
    (
        "null.literal",
        "-Z shows NULL as `NULL`; --tsv tells it from an empty value",
    ),
    (
        "null.marker",
        "-Z makes what is empty NULL; in --tsv NULL is \\N",
    ),
    ("ignore.error", "nothing is passed over"),
];

/// Refuses properties of Java's console tools, which are none of the client.
pub(super) fn refuse_java_properties(properties: &[String]) -> anyhow::Result<()> {
    for property in properties {
        let name = property.split('=').next().unwrap_or_default();
        let known = JAVA_PROPERTIES.iter().find(|(java, _)| *java == name);
        if let Some((name, hint)) = known {
            return Err(usage(format_args!(
                "-X {name}: a property of Java's console tools, and none of a client; {hint}"
            )));
        }
    }
    Ok(())
}
