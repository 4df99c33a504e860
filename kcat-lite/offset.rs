//! `-o`: where to begin and where to stop.

pub(crate) use tools::kafka::consume::Start;
use tools::near::nearest;
use tools::units::parse_time;

/// What all `-o` options say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    /// Where to begin, if that was said.
    pub(crate) start: Option<Start>,
    /// Stop a partition before its first record at or after this time, milliseconds since 1970.
    pub(crate) stop_time_ms: Option<i64>,
}

impl Range {
    /// Parses the values of `-o` in their order; the last of a kind counts.
    pub(crate) fn parse<'a>(
        values: impl IntoIterator<Item = &'a String>,
        now_ms: i64,
    ) -> Result<Range, String> {
        let mut range = Range::default();
        for value in values {
            let bad = |reason: String| format!("-o {value}: {reason}");
            if let Some(time) = value.strip_prefix("e@") {
                range.stop_time_ms = Some(parse_time(time, now_ms).map_err(bad)?);
            } else {
                range.start = Some(parse_start(value, now_ms).map_err(bad)?);
            }
        }
        Ok(range)
    }
}

fn parse_start(value: &str, now_ms: i64) -> Result<Start, String> {
    if let Some(time) = value.strip_prefix("s@") {
        return parse_time(time, now_ms).map(Start::Time);
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten()
    };
    match value {
        "beginning" | "earliest" => Ok(Start::Beginning),
        "end" | "latest" => Ok(Start::End),
        "stored" => Ok(Start::Stored),
        _ => match value.strip_prefix('-') {
            Some(tail) => number(tail).map(Start::Tail),
            None => number(value).map(Start::At),
        }
        .ok_or_else(|| explain(value, now_ms)),
    }
}

/// What was meant, perhaps; else what is expected.
fn explain(value: &str, now_ms: i64) -> String {
    match value {
        "json" | "table" | "tsv" | "csv" | "raw" | "wide" => {
            return "it is the offset where to begin; records are JSON with -J, TSV with --tsv"
                .to_owned();
        }
        "oldest" | "start" | "begin" | "first" => return "type -o beginning".to_owned(),
        "newest" | "last" => return "type -o end".to_owned(),
        _ if !value.starts_with('-') && parse_time(value, now_ms).is_ok() => {
            return format!("a time to begin at is -o s@{value}, one to stop at -o e@{value}");
        }
        _ => {}
    }
    if let Some(near) = nearest(value, ["beginning", "earliest", "end", "latest", "stored"]) {
        return format!("is {near} meant?");
    }
    "beginning, end, stored, N, -N, s@TIME or e@TIME is expected".to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Range, Start};

    fn parse(values: &[&str]) -> Result<Range, String> {
        let values: Vec<String> = values.iter().map(|&v| v.to_owned()).collect();
        Range::parse(&values, 10_000)
    }

    #[test]
    fn every_form_of_kcat_is_understood() {
        let start = |value: &str| parse(&[value]).expect("valid").start;
        assert_eq!(start("beginning"), Some(Start::Beginning));
        assert_eq!(start("latest"), Some(Start::End));
        assert_eq!(start("stored"), Some(Start::Stored));
        assert_eq!(start("17"), Some(Start::At(17)));
        assert_eq!(start("-3"), Some(Start::Tail(3)));
        assert_eq!(start("s@1500"), Some(Start::Time(1500)));
        assert_eq!(start("s@now-2s"), Some(Start::Time(8000)));
        let both = parse(&["s@1", "e@1970-01-01T00:00:02Z"]).expect("valid");
        assert_eq!(
            (both.start, both.stop_time_ms),
            (Some(Start::Time(1)), Some(2000))
        );
    }

    #[test]
    fn a_value_is_parsed_whole() {
        for wrong in [
            "earliestt",
            "1x",
            "-",
            "--1",
            "s@",
            "",
            "+5",
            "-1x",
            "99999999999999999999",
        ] {
            assert!(parse(&[wrong]).is_err(), "{wrong}");
        }
    }
}
