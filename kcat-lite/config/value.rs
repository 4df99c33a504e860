//! Values of options that have a form of their own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use tools::units::{parse_time, parse_whole};

use super::facts::Question;
use super::usage;

/// The partition of `-p`; -1 is any.
pub(super) fn parse_partition(partition: Option<i32>) -> anyhow::Result<Option<i32>> {
    match partition {
        Some(partition) if partition < -1 => Err(usage(format_args!(
            "-p {partition}: there is no such partition"
        ))),
        Some(-1) | None => Ok(None),
        some => Ok(some),
    }
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

/// `TOPIC:PARTITION:TIME`; a time may hold colons, a topic can't.
pub(super) fn parse_question(text: &str, now_ms: i64) -> Result<Question, String> {
    let bad = |reason: String| format!("-t {text}: {reason}");
    let mut parts = text.splitn(3, ':');
    let (Some(topic), Some(partition), Some(time)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("-Q expects TOPIC:PARTITION:TIME".to_owned()));
    };
    let partition = parse_whole::<i32>(partition).map_err(|e| bad(format!("partition: {e}")))?;
    let time_ms = match time {
        "-1" | "end" | "latest" => -1,
        "-2" | "beginning" | "earliest" => -2,
        time => parse_time(time, now_ms).map_err(bad)?,
    };
    if time_ms < -2 {
        return Err(bad(
            "a time is not negative; -1 is the end, -2 the beginning".to_owned(),
        ));
    }
    if topic.is_empty() || partition < 0 {
        return Err(bad("-Q expects TOPIC:PARTITION:TIME".to_owned()));
    }
    Ok(Question {
        topic: topic.to_owned(),
        partition,
        time_ms,
    })
}
