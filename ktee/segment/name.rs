//! Where a segment is: `topics/T/partition=P/T+P+FIRST.tsv.zst`, or `lines/lines+NUMBER+TIME.txt.zst`.
//!
//! The layout is that of Aiven's and Confluent's sink connectors. The first
//! offset alone names a segment, so that two writers of the same records
//! choose the same name and only one of them can create it.

use std::fmt;

use super::Codec;

/// What comes in front of a name's numbers when lines have no position.
const LINES: &str = "lines";
/// What a manifest's name adds to its segment's.
pub(crate) const MANIFEST_SUFFIX: &str = ".sha256";
/// Kafka's own limit (`org.apache.kafka.common.internals.Topic`).
const TOPIC_MAX_BYTES: usize = 249;

/// The longest name of a file that file systems take.
const FILE_MAX_BYTES: usize = 255;
/// What follows topic and partition in the longest name: the offset, `.json.zst` and `.sha256`.
const REST_MAX_BYTES: usize = 20 + 9 + 7;
/// So much of a topic's name is kept where it is shortened.
const KEPT_BYTES: usize = 180;

/// What the names of a partition's segments begin with.
///
/// A long topic's name is cut, and has a checksum behind a character that no
/// topic has. The folder has the whole name.
fn prefix(topic: &str, partition: i32) -> String {
    let whole = whole_prefix(topic, partition);
    if whole.len() + REST_MAX_BYTES <= FILE_MAX_BYTES {
        return whole;
    }
    let checksum = crc32fast::hash(topic.as_bytes());
    format!("{}~{checksum:08x}+{partition}+", &topic[..KEPT_BYTES])
}

fn whole_prefix(topic: &str, partition: i32) -> String {
    format!("{topic}+{partition}+")
}

/// Whose records a segment holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LogId {
    /// Lines that carry no position.
    #[default]
    Lines,
    /// A partition of a topic.
    Partition(String, i32),
}

impl LogId {
    /// The partition, if records of this topic may be kept in a folder of its name.
    ///
    /// # Errors
    /// A name that Kafka would refuse: it could lead out of the backup.
    pub(crate) fn partition(topic: &str, partition: i32) -> Result<LogId, String> {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if topic.is_empty()
            || topic.len() > TOPIC_MAX_BYTES
            || matches!(topic, "." | "..")
            || !topic.bytes().all(is_legal)
        {
            return Err(format!("{topic:?} is no name of a topic"));
        }
        if partition < 0 {
            return Err(format!("{partition} is no partition"));
        }
        Ok(LogId::Partition(topic.to_owned(), partition))
    }

    /// Whether these are its topic and its partition.
    pub(crate) fn has(&self, topic: Option<&str>, partition: Option<i32>) -> bool {
        matches!(self, LogId::Partition(t, p) if topic == Some(t) && partition == Some(*p))
    }

    /// Its folder within the backup, without `/` at the end.
    pub(crate) fn folder(&self) -> String {
        match self {
            LogId::Lines => LINES.to_owned(),
            LogId::Partition(topic, partition) => format!("topics/{topic}/partition={partition}"),
        }
    }

    /// The log whose folder this is.
    pub(crate) fn of_folder(folder: &str) -> Option<LogId> {
        if folder == LINES {
            return Some(LogId::Lines);
        }
        let (topic, partition) = folder.strip_prefix("topics/")?.split_once("/partition=")?;
        let partition = tools::units::parse_whole(partition).ok()?;
        LogId::partition(topic, partition).ok()
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogId::Lines => f.write_str("lines"),
            LogId::Partition(topic, partition) => write!(f, "{topic} [{partition}]"),
        }
    }
}

/// How records are written in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layout {
    /// `--tsv=all`.
    Tsv,
    /// As `-J`.
    Json,
    /// Lines as they came.
    Text,
}

impl Layout {
    const NAMES: [(&'static str, Layout); 3] = [
        ("tsv", Layout::Tsv),
        ("json", Layout::Json),
        ("txt", Layout::Text),
    ];

    /// The end of a file's name, without a dot.
    pub(crate) fn extension(self) -> &'static str {
        let found = Layout::NAMES.iter().find(|(_, layout)| *layout == self);
        found.map_or("", |(name, _)| name)
    }
}

/// The name of a segment, without its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// The offset of the first record; of lines, the number of the segment.
    pub(crate) first: i64,
    /// When the first line came, milliseconds since 1970; lines only.
    pub(crate) time_ms: Option<i64>,
    pub(crate) layout: Layout,
    pub(crate) codec: Codec,
}

impl Name {
    /// The first one, in their order, of those that begin at `first`.
    pub(crate) fn least(first: i64) -> Name {
        Name {
            first,
            time_ms: None,
            layout: Layout::Tsv,
            codec: Codec::Zstd,
        }
    }

    /// The file's name at `log`.
    pub(crate) fn file(&self, log: &LogId) -> String {
        let end = format!("{}{}", self.layout.extension(), self.codec.suffix());
        match log {
            LogId::Lines => {
                let time = compact_time(self.time_ms.unwrap_or(0));
                format!("{LINES}+{:010}+{time}.{end}", self.first)
            }
            LogId::Partition(topic, partition) => {
                format!("{}{:020}.{end}", prefix(topic, *partition), self.first)
            }
        }
    }

    /// What sorts behind every name of a segment that begins at `first`, and before those of later ones.
    pub(crate) fn behind(log: &LogId, first: i64) -> String {
        match log {
            LogId::Lines => format!("{LINES}+{first:010}~"),
            LogId::Partition(topic, partition) => {
                format!("{}{first:020}~", prefix(topic, *partition))
            }
        }
    }

    pub(crate) fn path(&self, log: &LogId) -> String {
        format!("{}/{}", log.folder(), self.file(log))
    }

    /// Reads the name of a file at `log`; `None` for other files, manifests among them.
    pub(crate) fn parse(file: &str, log: &LogId) -> Option<Name> {
        let (rest, codec) = Codec::split(file);
        let (rest, extension) = rest.rsplit_once('.')?;
        let (_, layout) = *Layout::NAMES.iter().find(|(name, _)| *name == extension)?;
        let (first, time_ms) = match log {
            LogId::Lines => {
                let (number, time) = rest
                    .strip_prefix(LINES)?
                    .strip_prefix('+')?
                    .split_once('+')?;
                (number, Some(parse_compact_time(time)?))
            }
            LogId::Partition(topic, partition) => {
                // Earlier versions never shortened a name.
                let first = rest
                    .strip_prefix(prefix(topic, *partition).as_str())
                    .or_else(|| rest.strip_prefix(whole_prefix(topic, *partition).as_str()));
                (first?, None)
            }
        };
        let first = tools::units::parse_whole(first).ok().filter(|n| *n >= 0)?;
        Some(Name {
            first,
            time_ms,
            layout,
            codec,
        })
    }
}

/// `20261122T184406.123Z`: ISO 8601's basic format, because a colon can't be in every file system's names.
pub(crate) fn compact_time(ms: i64) -> String {
    let text = tools::units::format_time_ms(ms);
    text.replace(['-', ':'], "")
}

pub(crate) fn parse_compact_time(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let date = [date.get(..4)?, date.get(4..6)?, date.get(6..8)?].join("-");
    let time = [time.get(..2)?, time.get(2..4)?, time.get(4..)?].join(":");
    tools::units::parse_instant_ms(&format!("{date}T{time}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(first: i64, codec: Codec) -> Name {
        Name {
            first,
            time_ms: None,
            layout: Layout::Tsv,
            codec,
        }
    }

    #[test]
    fn a_name_is_read_back() {
        let log = LogId::partition("a.b-c_d", 3).expect("a legal name");
        let whole = name(42, Codec::Zstd);
        assert_eq!(
            whole.path(&log),
            "topics/a.b-c_d/partition=3/a.b-c_d+3+00000000000000000042.tsv.zst"
        );
        assert_eq!(Name::parse(&whole.file(&log), &log), Some(whole));
        assert_eq!(LogId::of_folder(&log.folder()), Some(log));
        let lines = Name {
            time_ms: Some(1_795_373_046_123),
            layout: Layout::Text,
            ..name(7, Codec::None)
        };
        let file = lines.file(&LogId::Lines);
        assert_eq!(file, "lines+0000000007+20261122T184406.123Z.txt");
        assert_eq!(Name::parse(&file, &LogId::Lines), Some(lines));
    }

    #[test]
    fn names_of_any_topic_fit_into_a_folder_and_are_read_back() {
        for bytes in 1..=TOPIC_MAX_BYTES {
            for partition in [0, i32::MAX] {
                let topic = "x".repeat(bytes);
                let log = LogId::partition(&topic, partition).expect("a legal name");
                let segment = Name {
                    layout: Layout::Json,
                    ..name(i64::MAX, Codec::Zstd)
                };
                let file = segment.file(&log);
                let manifest = format!("{file}{MANIFEST_SUFFIX}");
                assert!(manifest.len() <= FILE_MAX_BYTES, "{bytes}: {manifest}");
                assert_eq!(Name::parse(&file, &log), Some(segment), "{bytes}");
                assert!(Name::behind(&log, 5) > name(5, Codec::None).file(&log));
                assert!(Name::behind(&log, 5) < name(6, Codec::None).file(&log));
            }
        }
        // What an earlier version named with all of a long name is still read.
        let topic = "y".repeat(217);
        let log = LogId::partition(&topic, 0).expect("a legal name");
        let file = format!("{topic}+0+00000000000000000007.tsv.zst");
        assert_eq!(Name::parse(&file, &log), Some(name(7, Codec::Zstd)));
    }

    #[test]
    fn other_files_are_no_segments() {
        let log = LogId::partition("t", 0).expect("a legal name");
        for file in [
            "t+0+1.tsv.zst.sha256",
            "t+0+x.tsv.zst",
            "t+1+00000000000000000001.tsv.zst",
            "t+0+-1.tsv",
            ".t+0+1.tsv.zst.tmp",
            "t+0+1",
            "",
        ] {
            assert_eq!(Name::parse(file, &log), None, "{file}");
        }
    }

    #[test]
    fn no_topic_leads_out_of_the_backup() {
        let long = "x".repeat(250);
        for topic in ["", ".", "..", "a/b", "../x", "/etc", "a\0b", "a b", &long] {
            assert!(LogId::partition(topic, 0).is_err(), "{topic}");
        }
        assert!(LogId::partition("t", -1).is_err());
        assert!(LogId::partition("..a", 0).is_ok());
    }
}
