//! The limits of a check, and which rows exceed them: pure, but for the files that limits are read from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tools::cli::names::Name;
use tools::units::{format_duration_ms, parse_positive_duration, parse_whole};

use crate::lag::LagNote;
use crate::row::{Row, Silence, SumBy};

/// A limit as it is typed: for everything, or a file of them.
#[derive(Clone, Debug)]
pub(crate) enum LimitArg {
    /// In messages or milliseconds.
    Number(i64),
    File(PathBuf),
}

/// A number of messages, or `@FILE`.
pub(crate) fn messages_limit(text: &str) -> Result<LimitArg, String> {
    parse_limit(text, parse_messages)
}

/// A length of time, or `@FILE`.
pub(crate) fn time_limit(text: &str) -> Result<LimitArg, String> {
    parse_limit(text, parse_time)
}

fn parse_limit(text: &str, number: fn(&str) -> Result<i64, String>) -> Result<LimitArg, String> {
    match text.strip_prefix('@') {
        Some("") => Err("a file's name is missing after the @".to_owned()),
        Some(path) => Ok(LimitArg::File(path.into())),
        None => number(text).map(LimitArg::Number),
    }
}

fn parse_messages(text: &str) -> Result<i64, String> {
    let limit = parse_whole::<u64>(text)?;
    i64::try_from(limit).map_err(|_| format!("{text} is too large"))
}

/// 0 is refused: that a group has read everything is `--max-lag 0`.
fn parse_time(text: &str) -> Result<i64, String> {
    parse_positive_duration(text).map(|limit| limit.as_millis() as i64)
}

/// One kind of limit: lines for some groups and topics, and a number for all others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limit {
    lines: Vec<LimitLine>,
    others: Option<i64>,
}

/// A line of a file of limits.
#[derive(Clone, Debug)]
pub(crate) struct LimitLine {
    /// `None` is any.
    pub(crate) group: Option<Name>,
    pub(crate) topic: Option<Name>,
    limit: i64,
    /// The file and the line's number.
    pub(crate) location: String,
}

impl Limit {
    /// Limits of messages; reads the files.
    pub(crate) fn of_messages(typed: &[LimitArg]) -> Result<Limit> {
        Limit::new(typed, parse_messages)
    }

    /// Limits of time; reads the files.
    pub(crate) fn of_time(typed: &[LimitArg]) -> Result<Limit> {
        Limit::new(typed, parse_time)
    }

    fn new(typed: &[LimitArg], number: fn(&str) -> Result<i64, String>) -> Result<Limit> {
        let mut limit = Limit::default();
        for typed in typed {
            match typed {
                LimitArg::Number(number) => ensure!(
                    limit.others.replace(*number).is_none(),
                    "a limit is given twice without a file: which one counts?"
                ),
                LimitArg::File(path) => limit.read(path, number)?,
            }
        }
        Ok(limit)
    }

    fn read(&mut self, path: &Path, number: fn(&str) -> Result<i64, String>) -> Result<()> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        // Windows' editors begin files so.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let before = self.lines.len();
        for (index, line) in text.lines().enumerate() {
            let location = format!("{}, line {}", path.display(), index + 1);
            let line = LimitLine::parse(line, &location, number).context(location)?;
            let Some(line) = line else { continue };
            if let Some(first) = self.lines.iter().find(|first| first.covers(&line)) {
                bail!(
                    "{}: it never counts, because {} is about the same and comes first",
                    line.location,
                    first.location
                );
            }
            self.lines.push(line);
        }
        ensure!(
            self.lines.len() > before,
            "{}: there is no limit in it",
            path.display()
        );
        Ok(())
    }

    /// Whether there is any limit at all.
    pub(crate) fn is_some(&self) -> bool {
        self.others.is_some() || !self.lines.is_empty()
    }

    /// The limit for a group's part of a topic: the first line that fits, else the one for all others.
    pub(crate) fn of(&self, group: &str, topic: &str) -> Option<i64> {
        let line = self.lines.iter().find(|line| line.matches(group, topic));
        line.map(|line| line.limit).or(self.others)
    }

    /// A line can limit a sum only if it is about all that the sum is of.
    fn check_sums(&self, by: SumBy) -> Result<()> {
        for line in &self.lines {
            let (named, what) = match by {
                SumBy::Topic => (line.group.as_ref(), "group"),
                SumBy::Group | SumBy::Member => (line.topic.as_ref(), "topic"),
            };
            if let Some(name) = named {
                bail!(
                    "{}: a limit of the {what} {name} can't be applied to sums over all {what}s: write * there, or leave out --by",
                    line.location
                );
            }
        }
        Ok(())
    }
}

impl LimitLine {
    pub(crate) fn matches(&self, group: &str, topic: &str) -> bool {
        self.matches_group(group) && self.matches_topic(topic)
    }

    /// Whether it is about all that `other` is about, as far as the two tell.
    fn covers(&self, other: &LimitLine) -> bool {
        let covers = |own: &Option<Name>, other: &Option<Name>| match (own, other) {
            (None, _) => true,
            (Some(own), Some(Name::Plain(name))) => own.matches(name),
            (Some(own), Some(pattern)) => own.to_string() == pattern.to_string(),
            (Some(_), None) => false,
        };
        covers(&self.group, &other.group) && covers(&self.topic, &other.topic)
    }

    pub(crate) fn matches_group(&self, group: &str) -> bool {
        self.group.as_ref().is_none_or(|name| name.matches(group))
    }

    pub(crate) fn matches_topic(&self, topic: &str) -> bool {
        self.topic.as_ref().is_none_or(|name| name.matches(topic))
    }

    /// `group topic limit`; a name, `^regex` or `*` each; nothing in an empty line and a comment.
    fn parse(
        text: &str,
        location: &str,
        number: fn(&str) -> Result<i64, String>,
    ) -> Result<Option<LimitLine>> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [group, topic, limit] = words[..] else {
            if words.first().is_none_or(|word| word.starts_with('#')) {
                return Ok(None);
            }
            bail!("{text:?} is not a group, a topic and a limit");
        };
        if group.starts_with('#') {
            return Ok(None);
        }
        let name = |text: &str| match text {
            "*" => Ok(None),
            text => text.parse().map(Some).map_err(anyhow::Error::msg),
        };
        Ok(Some(LimitLine {
            group: name(group)?,
            topic: name(topic)?,
            limit: number(limit).map_err(anyhow::Error::msg)?,
            location: location.to_owned(),
        }))
    }
}

/// What becomes of a number that a limit is on and that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum UnknownRule {
    /// Nothing was typed: it exceeds the limit.
    #[default]
    Usual,
    /// `--unknown fail`: that, and where a group has nothing in a topic, its offsets are taken to have expired.
    Fail,
    /// `--unknown pass`: it does not exceed the limit.
    Pass,
}

/// All that a check asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) lag: Limit,
    pub(crate) time: Limit,
    pub(crate) lost: Limit,
    pub(crate) stale: Limit,
    pub(crate) unknown: UnknownRule,
}

impl Limits {
    /// Whether anything is limited: only then rows are left out and the exit code can be 1.
    pub(crate) fn is_some(&self) -> bool {
        self.all().iter().any(|(_, limit)| limit.is_some())
    }

    /// Each limit with its option.
    pub(crate) fn all(&self) -> [(&'static str, &Limit); 4] {
        [
            ("--max-lag", &self.lag),
            ("--max-time", &self.time),
            ("--max-lost", &self.lost),
            ("--max-stale", &self.stale),
        ]
    }

    /// Refuses lines of files that could not be applied to sums.
    ///
    /// `--max-stale` is not among them: it marks rows before they are summed.
    pub(crate) fn check_sums(&self, by: SumBy) -> Result<()> {
        [&self.lag, &self.time, &self.lost]
            .iter()
            .try_for_each(|limit| limit.check_sums(by))
    }

    /// The lines of all files.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &LimitLine> {
        self.all().into_iter().flat_map(|(_, limit)| &limit.lines)
    }

    /// Notes which limits `row` exceeds, and tells whether it does.
    pub(crate) fn mark_exceeded(&self, row: &mut Row) -> bool {
        let mut over: Vec<String> = Vec::new();
        let of = |limit: &Limit| limit.of(row.group_name(), row.topic_name());
        let mut is_unknown = false;
        // A sum of which a part is missing may exceed its limit already, and is not known to keep it.
        let mut check =
            |limit: &Limit, found: Option<i64>, missing: u32, say: &dyn Fn(i64, i64) -> String| {
                match (of(limit), found) {
                    (Some(limit), Some(found)) if found > limit => over.push(say(found, limit)),
                    (Some(_), found) => is_unknown |= found.is_none() || missing > 0,
                    (None, _) => {}
                }
            };
        let missing = row.unknown;
        check(&self.lag, row.behind(), missing.lag, &|found, limit| {
            format!("lag {found} over {limit}")
        });
        let time_lag_ms = row.lag.time_lag_ms;
        check(&self.time, time_lag_ms, missing.time, &|found, limit| {
            let (found, limit) = (format_duration_ms(found), format_duration_ms(limit));
            format!("time lag {found} over {limit}")
        });
        check(&self.lost, row.lag.lost, missing.lost, &|found, limit| {
            format!("lost {found} over {limit}")
        });
        match row.silence {
            Silence::None => {}
            Silence::Unknown => is_unknown = true,
            Silence::LongerThan { limit_ms } => {
                let limit = format_duration_ms(limit_ms);
                over.push(format!("nothing was produced for more than {limit}"));
            }
        }
        let exceeds = !over.is_empty() || is_unknown && self.unknown != UnknownRule::Pass;
        row.lag.notes.extend(over.into_iter().map(LagNote::Over));
        exceeds
    }
}

#[cfg(test)]
mod tests;
