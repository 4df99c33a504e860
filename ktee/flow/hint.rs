//! Lines that are records of a topic, in an input that is said to be of lines. Pure.

use crate::segment::LogId;

/// The option that reads this line as a record with its position; `None` where it is any line.
pub(super) fn format_of(line: &[u8]) -> Option<&'static str> {
    let line = std::str::from_utf8(line).ok()?.trim_end_matches('\n');
    if is_tsv(line) {
        return Some("--tsv=all");
    }
    let names = ["\"topic\":", "\"partition\":", "\"offset\":"];
    let is_json = line.starts_with("{\"topic\":") && names.iter().all(|name| line.contains(name));
    is_json.then_some("-J")
}

/// Seven columns, with a topic, a partition, an offset and a time in their places.
fn is_tsv(line: &str) -> bool {
    let columns: Vec<&str> = line.split('\t').collect();
    let &[topic, partition, offset, time, ..] = &columns[..] else {
        return false;
    };
    let is_number = |text: &str| text.parse::<i64>().is_ok_and(|number| number >= 0);
    let log = partition
        .parse()
        .map(|partition| LogId::partition(topic, partition));
    columns.len() == 7
        && matches!(log, Ok(Ok(_)))
        && is_number(offset)
        && (time == "\\N" || is_number(time))
}

#[cfg(test)]
mod tests {
    use super::format_of;

    #[test]
    fn records_are_told_from_other_lines() {
        for line in [
            "t\t0\t5\t1700000000000\tk\tv\t\\N\n",
            "a.b-c\t12\t0\t\\N\t\\N\t\\N\th=1",
        ] {
            assert_eq!(format_of(line.as_bytes()), Some("--tsv=all"), "{line}");
        }
        let json = br#"{"topic":"t","partition":0,"offset":1,"payload":"x"}"#;
        assert_eq!(format_of(json), Some("-J"));
        for line in [
            "",
            "t\t0\t5\t1700000000000\tk\tv",
            "t\tx\t5\t1\tk\tv\t\\N",
            "a b\t0\t5\t1\tk\tv\t\\N",
            "t\t-1\t5\t1\tk\tv\t\\N",
            "{\"topic\":\"t\"}",
            "one two three four five six seven",
        ] {
            assert_eq!(format_of(line.as_bytes()), None, "{line}");
        }
        assert_eq!(format_of(b"\xff\t0\t5\t1\tk\tv\t\\N"), None);
    }
}
