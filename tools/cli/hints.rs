//! Options of other tools, typed by habit: what to type here instead.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Options of `kafka-console-*.sh`, `kafka-consumer-groups.sh`, kaf, kcl, kafkactl and rpk, without `--`; the option that
/// a program must have for the hint to be given; what to type here.
const HABITS: &str = "\
bootstrap-server bootstrap-servers broker-list broker | -b | -b HOST:PORT
zookeeper | -b | -b HOST:PORT, of a broker
consumer.config consumer-config producer.config producer-config command-config config-file | -F | -F FILE
consumer-property producer-property command-property | -X | -X NAME=VALUE
reader-property | -K | -K DELIM for keys before values, or --tsv
formatter-property | -K | -K DELIM for keys before values, or --tsv, -J
formatter | -f | -f TEMPLATE, --tsv or -J
output | -f | -J, --tsv or -f TEMPLATE
isolation-level | -X | -X isolation.level=read_committed (or read_uncommitted)
acks request-required-acks | -X | -X acks=all (or 0, 1)
partitioner | -X | -X partitioner=NAME
from-beginning | -e | -C -o beginning, which is where -C begins; -e ends at the end
since from from-timestamp | -e | -o s@TIME
until to to-timestamp | -e | -o e@TIME
max-messages num num-messages max n limit limit-messages | -c | -c N
num-partitions | -n | -n N
p | -n | -n N, or -t TOPIC
K | -n | -k COLUMN: columns are separated by tabs
tsv | -n | nothing: lines are TSV unless -J is there
timeout-ms | --idle | --idle TIME, as --idle 5s
tail | --last | --last N, or -o -N for each partition
exit | -e | -e
reset-offsets to-datetime | --commit | -Q -t TOPIC:TIME --tsv=topic,partition,offset | kcat-lite --commit GROUP
delete-offsets | --commit | --commit GROUP --delete
execute | --commit | nothing: --commit commits unless --dry-run is there
follow | -e | nothing: -C follows unless -e is there
whitelist include all-topics | -t | -t '^REGEX'
key-separator | -K | -K DELIM
separator | -K | -K DELIM (between key and value) or -D DELIM (between records)
print-key | -K | -K DELIM, or --tsv
print-headers | -f | --tsv=all, -J, or -f with %h
print-timestamps | -f | --tsv=all, -J, or -f with %T
compression-codec | -z | -z CODEC
topics | -t | -t TOPIC
partitions | -p | -p PARTITION
timestamp | -e | -o s@TIME, or -Q -t TOPIC:PARTITION:TIME
describe | -L | -L -t TOPIC; groups are klag's
time | -Q | -Q -t TOPIC:PARTITION:TIME
consumer-group g | -G | -G GROUP TOPIC
value | -P | -P, whose standard input is the value
no-headers | --header | nothing: TSV has no header unless --header is there
all-groups | --max-lag | nothing: without -g it is all groups
topic | --max-age | the topic's name alone, as an operand
watch-interval interval | --watch | --watch TIME";

/// The error with a hint, if it is an option of another tool that was typed.
pub(super) fn explain(error: clap::Error, command: &Command) -> anyhow::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error.into();
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) else {
        return error.into();
    };
    match hint(typed, command) {
        Some(hint) => anyhow::anyhow!("{typed}: there is no such option; type {hint}"),
        None => error.into(),
    }
}

fn hint(typed: &str, command: &Command) -> Option<&'static str> {
    let name = typed.trim_start_matches('-').split('=').next()?;
    let has = |option: &str| {
        command.get_arguments().any(|argument| {
            let letter = argument.get_short().map(|letter| format!("-{letter}"));
            let long = argument.get_long().map(|long| format!("--{long}"));
            letter.as_deref() == Some(option) || long.as_deref() == Some(option)
        })
    };
    HABITS.lines().find_map(|line| {
        let (names, rest) = line.split_once(" | ")?;
        let (needed, hint) = rest.split_once(" | ")?;
        (names.split(' ').any(|habit| habit == name) && has(needed)).then_some(hint)
    })
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::hint;

    #[test]
    fn a_hint_is_given_where_what_it_names_is_there() {
        let command = Command::new("x")
            .arg(Arg::new("b").short('b'))
            .arg(Arg::new("c").short('c').long("count"));
        assert_eq!(hint("--bootstrap-server", &command), Some("-b HOST:PORT"));
        assert_eq!(hint("--max-messages=3", &command), Some("-c N"));
        assert_eq!(hint("--from-beginning", &command), None);
        assert_eq!(hint("--no-such", &command), None);
    }
}
