//! Values of options that have a form of their own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use tools::cli::format::FormatArgs;
use tools::kafka::consume::KeyPartition;
use tools::record::tsv::Columns;
use tools::units::{parse_time, parse_whole};

use super::OffsetQuery;
use super::mode::Mode;
use super::usage;
use crate::cli::Cli;

/// The partition of `-p`; -1 is any.
pub(super) fn parse_partition(text: Option<&str>) -> anyhow::Result<Option<i32>> {
    let Some(text) = text else { return Ok(None) };
    let refused = |reason: &str| Err(usage(format_args!("-p {text}: {reason}")));
    match parse_whole::<i32>(text) {
        Ok(-1) => Ok(None),
        Ok(partition) if partition < -1 => refused("there is no such partition"),
        Ok(partition) => Ok(Some(partition)),
        Err(_) if text == "all" || text.contains([',', '-', '*']) => {
            refused("one partition is expected; without -p it is all")
        }
        Err(_)
            if topic_problem(text).is_none() && !text.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            refused("a partition is a number; a topic goes with -t")
        }
        Err(reason) => refused(&reason),
    }
}

/// The group of `option`, whose name is not empty.
pub(super) fn group_name(option: &str, name: Option<&String>) -> anyhow::Result<String> {
    match name {
        Some(name) if !name.is_empty() => Ok(name.clone()),
        _ => Err(usage(format_args!(
            "{option}: the group has no name; is a variable empty?"
        ))),
    }
}

/// Why no topic can have this name.
fn topic_problem(name: &str) -> Option<&'static str> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() {
        return Some("a topic's name is not empty");
    }
    if name.contains(',') {
        return Some("no topic has a comma in its name; several topics are -t A -t B");
    }
    if name.contains(':') {
        return Some(
            "no topic has a colon in its name; a partition goes with -p, a time with -o s@TIME or -Q",
        );
    }
    if name.contains(['*', '?']) {
        return Some("patterns are regular expressions that begin with ^, as '^shop-.*'");
    }
    if name.chars().any(|c| !is_legal(c)) {
        return Some("a topic's name has letters, digits, . _ and - only");
    }
    (name.len() > 249 || [".", ".."].contains(&name)).then_some("no topic has this name")
}

/// Refuses what is no name of a topic, with what to type instead. Patterns are for those who read.
pub(super) fn check_topic<'a>(name: &'a str, option: &str, mode: Mode) -> anyhow::Result<&'a str> {
    if name.starts_with('^') {
        return match mode {
            Mode::Consume | Mode::Group | Mode::Share | Mode::List | Mode::Query => Ok(name),
            _ => Err(usage(format_args!(
                "{option} {name}: {} takes a name; patterns are for -C, -G, --share, -L and -Q",
                mode.option()
            ))),
        };
    }
    match topic_problem(name) {
        None => Ok(name),
        Some(problem) => Err(usage(format_args!("{option} {name}: {problem}"))),
    }
}

/// An operand, which is a topic or a file; columns behind a blank are neither.
pub(super) fn check_operand(word: &str, format: &FormatArgs, mode: Mode) -> anyhow::Result<()> {
    if format.tsv.is_some() && word.parse::<Columns>().is_ok() {
        let is_file = mode == Mode::Produce && std::path::Path::new(word).exists();
        if !is_file && (word.contains(',') || mode == Mode::Produce) {
            return Err(usage(format_args!(
                "`{word}`: columns go behind an equals sign, --tsv={word}"
            )));
        }
    }
    if mode != Mode::Produce {
        check_topic(word, "TOPIC", mode)?;
    }
    Ok(())
}

/// `--only-key KEY --algo NAME`: where the key's records are.
pub(super) fn key_partition(cli: &Cli) -> anyhow::Result<Option<KeyPartition>> {
    let (Some(key), Some(algorithm)) = (&cli.only_key, &cli.algorithm) else {
        return Ok(None);
    };
    let key_partition = KeyPartition {
        algorithm: algorithm.clone(),
        key: key.as_bytes().to_vec(),
    };
    // Two partitions are enough to find out whether the algorithm assigns one.
    let place = key_partition.partition(2);
    place.map_err(|reason| usage(format_args!("--algo {algorithm}: {reason}")))?;
    Ok(Some(key_partition))
}

/// `NAME=VALUE`, `NAME=` for the empty value, `NAME` for NULL; the first `=` splits.
pub(super) fn parse_header(header: &OsStr) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let bytes = header.as_bytes();
    let (name, value) = match bytes.iter().position(|&b| b == b'=') {
        Some(split) => (&bytes[..split], Some(bytes[split + 1..].to_vec())),
        None => (bytes, None),
    };
    if name.is_empty() {
        return Err(format!(
            "-H {}: a header needs a name",
            header.to_string_lossy()
        ));
    }
    Ok((name.to_vec(), value))
}

/// `TOPIC:PARTITION:TIME`, or all partitions as `TOPIC:*:TIME` or `TOPIC:TIME`.
///
/// A time may have colons, a topic can't; a pattern has them rarely, and ends at the first that makes sense.
pub(super) fn parse_offset_query(text: &str, now_ms: i64) -> Result<OffsetQuery, String> {
    let bad = |reason: String| format!("-t {text}: {reason}");
    let is_pattern = text.starts_with('^');
    let colons = text.match_indices(':').map(|(at, _)| at);
    let colons: Vec<usize> = colons
        .take(if is_pattern { usize::MAX } else { 1 })
        .collect();
    let mut first_reason = None;
    for colon in colons {
        let (topic, rest) = (&text[..colon], &text[colon + 1..]);
        match parse_partition_and_time(topic, rest, now_ms) {
            Ok((partition, time_ms)) => {
                if let Some(problem) = topic_problem(topic).filter(|_| !is_pattern) {
                    return Err(bad(problem.to_owned()));
                }
                return Ok(OffsetQuery {
                    topic: topic.to_owned(),
                    partition,
                    time_ms,
                });
            }
            Err(reason) => drop(first_reason.get_or_insert(reason)),
        }
    }
    let expected = || format!("-Q expects TOPIC:TIME or TOPIC:PARTITION:TIME, as {text}:end");
    Err(bad(first_reason.unwrap_or_else(expected)))
}

fn parse_partition_and_time(
    topic: &str,
    rest: &str,
    now_ms: i64,
) -> Result<(Option<i32>, i64), String> {
    let is_number = |part: &str| parse_whole::<i64>(part).is_ok();
    let (partition, time) = match rest.split_once(':') {
        Some(("*" | "all", time)) => (None, time),
        Some((partition, time)) if is_number(partition) => (Some(partition), time),
        // Neither a partition nor a time that says which it is.
        None if is_number(rest) => {
            return Err(format!(
                "is it a partition or a time? Say {topic}:{rest}:TIME, or {topic}:*:{rest} for all partitions"
            ));
        }
        _ => (None, rest),
    };
    let partition = partition.map(parse_whole::<i32>).transpose();
    let partition = partition.map_err(|reason| format!("partition: {reason}"))?;
    if partition.is_some_and(|partition| partition < 0) {
        return Err(format!(
            "there is no such partition; {topic}:*:{time} is all of them"
        ));
    }
    let time_ms = match time {
        "-1" | "end" | "latest" => -1,
        "-2" | "beginning" | "earliest" => -2,
        time => parse_time(time, now_ms)?,
    };
    if time_ms < -2 {
        return Err("a time is not negative; -1 is the end, -2 the beginning".to_owned());
    }
    Ok((partition, time_ms))
}

#[cfg(test)]
mod tests {
    use super::{parse_offset_query, parse_partition, topic_problem};

    #[test]
    fn a_question_is_about_one_partition_or_all() {
        let query = |text: &str| {
            let query = parse_offset_query(text, 10_000).expect(text);
            (query.topic, query.partition, query.time_ms)
        };
        let t = || "t".to_owned();
        assert_eq!(query("t:0:end"), (t(), Some(0), -1));
        assert_eq!(query("t:end"), (t(), None, -1));
        assert_eq!(query("t:*:beginning"), (t(), None, -2));
        assert_eq!(query("t:*:1500"), (t(), None, 1500));
        assert_eq!(query("t:now-2s"), (t(), None, 8000));
        assert_eq!(query("t:all:end"), (t(), None, -1));
        let pattern = |text: &str| (text.to_owned(), None, -1);
        assert_eq!(query("^t.*:end"), pattern("^t.*"));
        assert_eq!(query("^[[:alpha:]]+:*:end"), pattern("^[[:alpha:]]+"));
        let iso = "1970-01-01T00:00:02Z";
        assert_eq!(query(&format!("t:{iso}")), (t(), None, 2000));
        assert_eq!(query(&format!("t:7:{iso}")), (t(), Some(7), 2000));
        for (wrong, named) in [
            ("t", "TOPIC:TIME"),
            ("t:5", "t:*:5"),
            ("t:-1", "t:*:-1"),
            ("t:-1:end", "t:*:end"),
            ("^a:b", "not a time"),
            (":0:end", "empty"),
            ("a,b:0:end", "comma"),
            ("t:0:-7", "negative"),
            ("t:0:", "time"),
        ] {
            let message = parse_offset_query(wrong, 10_000).expect_err(wrong);
            assert!(message.contains(named), "{wrong}: {message}");
        }
    }

    #[test]
    fn a_partition_is_a_number_and_the_message_says_what_the_word_may_be() {
        let partition = |text| parse_partition(Some(text));
        assert_eq!(partition("7").unwrap(), Some(7));
        assert_eq!(partition("-1").unwrap(), None);
        for (wrong, named) in [
            ("orders", "-t"),
            ("0,1", "one partition"),
            ("0-2", "one partition"),
            ("all", "without -p"),
            ("1x", "whole number"),
            ("-2", "no such partition"),
            ("", "whole number"),
        ] {
            let message = partition(wrong).unwrap_err().to_string();
            assert!(message.contains(named), "{wrong}: {message}");
        }
    }

    #[test]
    fn what_is_no_name_of_a_topic_has_its_reason() {
        for legal in ["a", "a.b-c_D9", "__consumer_offsets"] {
            assert_eq!(topic_problem(legal), None, "{legal}");
        }
        for (wrong, named) in [
            ("ta,tb", "-t A -t B"),
            ("t:0", "-p"),
            ("t*", "^"),
            ("a b", "letters"),
            ("", "empty"),
            ("..", "no topic"),
        ] {
            let problem = topic_problem(wrong).expect(wrong);
            assert!(problem.contains(named), "{wrong}: {problem}");
        }
        assert!(topic_problem(&"x".repeat(250)).is_some());
    }
}
