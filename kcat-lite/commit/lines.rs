//! From lines to positions. Pure.

use std::collections::HashMap;

use serde_json::Value;
use tools::record::tsv::Column;
use tools::units::parse_whole;

/// How a line names a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LineFormat {
    /// Columns in this order; those that are no part of a position are ignored.
    Tsv(Vec<Column>),
    /// An object with topic, partition and offset (or klag's committed), or all that `-Q -J` prints.
    Json,
}

/// A position as a line has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) topic: String,
    pub(super) partition: i32,
    /// `None` where positions are deleted.
    pub(super) offset: Option<i64>,
}

/// The positions of `input`, or what is wrong with which lines.
pub(super) fn parse(
    input: &[u8],
    format: &LineFormat,
    deletes: bool,
) -> Result<Vec<Line>, Vec<String>> {
    let mut lines: Vec<Line> = Vec::new();
    let mut wrong = Vec::new();
    let input = input.strip_suffix(b"\n").unwrap_or(input);
    let texts = input.split(|&byte| byte == b'\n').enumerate();
    for (number, text) in texts.filter(|_| !input.is_empty()) {
        let number = number + 1;
        let parsed = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned());
        let parsed = parsed.and_then(|text| match format {
            LineFormat::Tsv(columns) => of_tsv(text, columns, deletes).map(|line| vec![line]),
            LineFormat::Json => of_json(text, deletes),
        });
        match parsed {
            Ok(positions) => lines.extend(positions.into_iter().map(
                |(topic, partition, offset)| Line {
                    number,
                    topic,
                    partition,
                    offset,
                },
            )),
            Err(reason) => wrong.push(format!("line {number}: {reason}")),
        }
    }
    wrong.extend(repeated(&lines));
    if wrong.is_empty() {
        Ok(lines)
    } else {
        Err(wrong)
    }
}

/// Partitions that are named twice.
fn repeated(lines: &[Line]) -> Vec<String> {
    let mut first: HashMap<(&str, i32), usize> = HashMap::new();
    let mut wrong = Vec::new();
    for line in lines {
        let Line {
            number,
            topic,
            partition,
            ..
        } = line;
        match first.get(&(topic.as_str(), *partition)) {
            Some(before) => wrong.push(format!(
                "line {number}: {topic} [{partition}] is in line {before} as well"
            )),
            None => drop(first.insert((topic, *partition), *number)),
        }
    }
    wrong
}

type Position = (String, i32, Option<i64>);

fn of_tsv(text: &str, columns: &[Column], deletes: bool) -> Result<Position, String> {
    let fields: Vec<&str> = text.split('\t').collect();
    // To delete takes no offset.
    let is_short =
        deletes && fields.len() + 1 == columns.len() && columns.last() == Some(&Column::Offset);
    if fields.len() != columns.len() && !is_short {
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        let (count, hint) = match fields.len() {
            1 if text.starts_with('{') => ("1 column".to_owned(), "-J reads JSON"),
            1 => ("1 column".to_owned(), "a tab separates columns"),
            count => (
                format!("{count} columns"),
                "--tsv=COLUMNS says which they are",
            ),
        };
        return Err(format!(
            "{count} where {} are expected ({}); {hint}",
            columns.len(),
            names.join(",")
        ));
    }
    let field = |wanted| {
        let at = columns.iter().position(|column| *column == wanted);
        at.and_then(|at| fields.get(at))
            .copied()
            .unwrap_or_default()
    };
    let topic = field(Column::Topic);
    let partition = field(Column::Partition);
    let offset = field(Column::Offset);
    let partition =
        parse_whole::<i32>(partition).map_err(|reason| format!("partition: {reason}"))?;
    let offset = match offset {
        _ if deletes => None,
        "\\N" => return Err(no_offset(topic, partition)),
        offset => Some(parse_whole::<i64>(offset).map_err(|reason| format!("offset: {reason}"))?),
    };
    checked(topic, partition, offset)
}

fn no_offset(topic: &str, partition: i32) -> String {
    format!(
        "{topic} [{partition}] has no offset; without this line (grep -v '\\\\N$') it keeps the position that it has"
    )
}

fn checked(topic: &str, partition: i32, offset: Option<i64>) -> Result<Position, String> {
    if topic.is_empty() || topic == "\\N" {
        return Err("it names no topic".to_owned());
    }
    if partition < 0 {
        return Err(format!("{topic}: there is no partition {partition}"));
    }
    if let Some(offset) = offset.filter(|offset| *offset < 0) {
        return Err(format!(
            "{topic} [{partition}]: there is no offset {offset}"
        ));
    }
    Ok((topic.to_owned(), partition, offset))
}

fn of_json(text: &str, deletes: bool) -> Result<Vec<Position>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let expected = || "an object with topic, partition and offset is expected".to_owned();
    let object = value.as_object().ok_or_else(expected)?;
    if object.get("topic").is_some_and(Value::is_string) && object.contains_key("partition") {
        let topic = object
            .get("topic")
            .and_then(Value::as_str)
            .unwrap_or_default();
        return of_row(topic, &value, deletes).map(|position| vec![position]);
    }
    // As -Q -J prints them: topics by name, in each its partitions by number.
    let mut positions = Vec::new();
    for (topic, partitions) in object {
        let partitions = partitions.as_object().ok_or_else(expected)?;
        for row in partitions
            .iter()
            .filter(|(key, _)| *key != "topic")
            .map(|(_, row)| row)
        {
            positions.push(of_row(topic, row, deletes)?);
        }
    }
    Ok(positions)
}

fn of_row(topic: &str, row: &Value, deletes: bool) -> Result<Position, String> {
    let partition = row.get("partition").and_then(Value::as_i64);
    let partition = partition.and_then(|partition| i32::try_from(partition).ok());
    let partition = partition.ok_or_else(|| format!("{topic}: partition: a number is expected"))?;
    if let Some(error) = row.get("error").and_then(Value::as_str) {
        return Err(format!("{topic} [{partition}]: {error}"));
    }
    let offset = match row.get("offset").or_else(|| row.get("committed")) {
        _ if deletes => None,
        None | Some(Value::Null) => return Err(no_offset(topic, partition)),
        Some(offset) => {
            let bad = || format!("{topic} [{partition}]: offset: a number is expected");
            Some(offset.as_i64().ok_or_else(bad)?)
        }
    };
    checked(topic, partition, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: [Column; 3] = [Column::Topic, Column::Partition, Column::Offset];

    fn tsv(columns: &[Column], text: &str, deletes: bool) -> Result<Vec<Position>, String> {
        let lines = parse(text.as_bytes(), &LineFormat::Tsv(columns.to_vec()), deletes);
        positions(lines)
    }

    fn positions(lines: Result<Vec<Line>, Vec<String>>) -> Result<Vec<Position>, String> {
        let position = |line: Line| (line.topic, line.partition, line.offset);
        let lines = lines.map(|lines| lines.into_iter().map(position).collect());
        lines.map_err(|wrong| wrong.join("; "))
    }

    fn at(topic: &str, partition: i32, offset: i64) -> Position {
        (topic.to_owned(), partition, Some(offset))
    }

    #[test]
    fn lines_are_positions_in_any_order_of_columns() {
        let two = Ok(vec![at("a", 0, 7), at("b", 12, 0)]);
        assert_eq!(tsv(&POSITION, "a\t0\t7\nb\t12\t0\n", false), two);
        let columns = [
            Column::Offset,
            Column::Timestamp,
            Column::Topic,
            Column::Partition,
        ];
        assert_eq!(tsv(&columns, "7\t-1\ta\t0\n0\tx\tb\t12", false), two);
        assert_eq!(tsv(&POSITION, "", false), Ok(vec![]));
    }

    #[test]
    fn to_delete_takes_no_offset() {
        let deleted = Ok(vec![("a".to_owned(), 0, None), ("b".to_owned(), 1, None)]);
        assert_eq!(tsv(&POSITION, "a\t0\nb\t1\t\\N\n", true), deleted);
    }

    #[test]
    fn what_is_no_position_is_named_with_its_line() {
        for (text, named) in [
            (
                "a\t0\n",
                "line 1: 2 columns where 3 are expected (topic,partition,offset)",
            ),
            ("a\t0\t1\t2\n", "--tsv=COLUMNS"),
            ("{\"topic\":\"a\"}\n", "-J reads JSON"),
            ("a 0 1\n", "a tab separates columns"),
            ("a\t0\t1\n\n", "line 2: 1 column where 3"),
            ("a\tx\t1\n", "partition: \"x\" is not a whole number"),
            ("a\t0\t1.5\n", "offset: \"1.5\""),
            ("a\t0\t\n", "offset: \"\""),
            ("a\t0\t\\N\n", "a [0] has no offset"),
            ("a\t\\N\t1\n", "partition: \"\\\\N\""),
            ("a\t-1\t1\n", "a: there is no partition -1"),
            ("a\t0\t-1\n", "a [0]: there is no offset -1"),
            ("\t0\t1\n", "it names no topic"),
            ("a\t0\t1\r\n", "offset: \"1\\r\""),
            ("a\t0\t9223372036854775808\n", "too large"),
            (
                "a\t0\t1\nb\t0\t1\na\t0\t1\n",
                "line 3: a [0] is in line 1 as well",
            ),
        ] {
            let reason = tsv(&POSITION, text, false).expect_err(text);
            assert!(reason.contains(named), "{text:?}: {reason}");
        }
        let lines = parse(b"\xff\t0\t1\n", &LineFormat::Tsv(POSITION.to_vec()), false);
        assert!(positions(lines).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn json_is_an_object_a_line_or_what_q_prints() {
        let json = |text: &str| positions(parse(text.as_bytes(), &LineFormat::Json, false));
        let two = Ok(vec![at("a", 0, 7), at("topic", 1, 0)]);
        assert_eq!(
            json(
                "{\"topic\":\"a\",\"partition\":0,\"offset\":7}\n{\"group\":\"g\",\"topic\":\"topic\",\"partition\":1,\"committed\":0}\n"
            ),
            two
        );
        assert_eq!(
            json(
                r#"{"a":{"topic":"a","0":{"partition":0,"offset":7}},"topic":{"topic":"topic","1":{"partition":1,"offset":0}}}"#
            ),
            two
        );
        for (text, named) in [
            ("{", "line 1: EOF"),
            ("[1]", "an object with"),
            ("{\"a\":1}", "an object with"),
            (
                "{\"topic\":\"a\",\"partition\":\"0\",\"offset\":1}",
                "a: partition",
            ),
            ("{\"topic\":\"a\",\"partition\":0}", "a [0] has no offset"),
            (
                "{\"topic\":\"a\",\"partition\":0,\"offset\":null}",
                "a [0] has no offset",
            ),
            (
                "{\"topic\":\"a\",\"partition\":0,\"offset\":\"1\"}",
                "offset: a number",
            ),
            (
                r#"{"a":{"topic":"a","0":{"partition":0,"offset":-1,"error":"Unknown"}}}"#,
                "a [0]: Unknown",
            ),
        ] {
            let reason = json(text).expect_err(text);
            assert!(reason.contains(named), "{text}: {reason}");
        }
    }
}
