//! `-Q`: the offset of a time, of the beginning or of the end of a partition.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use tools::cli::{Exit, message};
use tools::kafka::cluster::{
    Isolation, Metadata, OffsetQuery as Lookup, OffsetSpec, Topics, metadata, offsets,
};
use tools::kafka::error::code;
use tools::kafka::{Client, KafkaError, Role};

use crate::admin_query::{AdminQuery, push_line};
use crate::config::{OffsetQuery, OutputFormat, Query, usage};

/// Stands for all partitions of a topic that does not exist.
const ALL: i32 = -1;

/// The query and the result of one partition.
struct Row {
    topic: String,
    partition: i32,
    /// The requested time.
    time_ms: i64,
    /// -1 if no record is that late, as in kcat.
    offset: Result<i64, KafkaError>,
}

/// Prints the offsets; fails if a partition has an error, after printing the others.
pub(crate) fn run(config: &Query) -> anyhow::Result<Exit> {
    let admin = AdminQuery::new()?;
    let client = Client::new(&config.options, Role::Consumer)?;
    let names = topic_names(&config.queries);
    let found = admin.fetch(|interrupted| metadata(&client, Topics::Named(&names), interrupted))?;
    let cluster = match found {
        Ok(cluster) => cluster,
        Err(exit) => return Ok(exit),
    };
    let mut rows: Vec<Row> = config
        .queries
        .iter()
        .flat_map(|query| new_rows(query, &cluster))
        .collect();
    if config.format == OutputFormat::Json {
        refuse_duplicates(&rows)?;
    }
    // kcat's order; queries about the same partition stay as they were typed.
    rows.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    let isolation = Isolation::of(&config.options);
    let lookups: Vec<Lookup> = rows
        .iter()
        .filter(|r| r.offset.is_ok())
        .map(lookup)
        .collect();
    let answers =
        match admin.fetch(|interrupted| offsets(&client, &lookups, isolation, interrupted))? {
            Ok(answers) => answers,
            Err(exit) => return Ok(exit),
        };
    let answered = rows.iter_mut().filter(|row| row.offset.is_ok());
    for (row, answer) in answered.zip(answers) {
        row.offset = answer.map(|found| found.offset.unwrap_or(-1));
    }
    let text = match config.format {
        OutputFormat::Text => text(&rows),
        OutputFormat::Json => format!("{}\n", json(&rows)),
        OutputFormat::Tsv => tsv(&rows),
    };
    admin.print(&text)?;
    Ok(report_errors(&rows))
}

/// kcat's JSON has a place for one offset of a partition.
fn refuse_duplicates(rows: &[Row]) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for Row {
        topic, partition, ..
    } in rows
    {
        if !seen.insert((topic, partition)) {
            return Err(usage(format_args!(
                "-Q -J has one answer for each partition, and {topic}:{partition} is requested twice; --tsv has room"
            )));
        }
    }
    Ok(())
}

fn topic_names(queries: &[OffsetQuery]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for query in queries {
        if !names.contains(&query.topic) {
            names.push(query.topic.clone());
        }
    }
    names
}

/// A row for each requested partition, with an error if it does not exist.
fn new_rows(query: &OffsetQuery, cluster: &Metadata) -> Vec<Row> {
    let topic = cluster.topic(&query.topic);
    let row = |partition, failed: Option<KafkaError>| Row {
        topic: query.topic.clone(),
        partition,
        time_ms: query.time_ms,
        offset: failed.map_or(Ok(-1), Err),
    };
    let requested = query.partition;
    match topic.map(|topic| (topic, topic.error.as_ref())) {
        None => vec![row(
            requested.unwrap_or(ALL),
            Some(KafkaError::of(code::UNKNOWN_TOPIC)),
        )],
        Some((_, Some(error))) => vec![row(requested.unwrap_or(ALL), Some(error.clone()))],
        Some((topic, None)) => match requested {
            None => topic.partitions.iter().map(|p| row(p.id, None)).collect(),
            Some(partition) => {
                let is_missing = topic.partition(partition).is_none();
                let error = || KafkaError::of(code::UNKNOWN_PARTITION);
                vec![row(partition, is_missing.then(error))]
            }
        },
    }
}

fn lookup(row: &Row) -> Lookup {
    Lookup {
        topic: row.topic.clone(),
        partition: row.partition,
        spec: match row.time_ms {
            -1 => OffsetSpec::Latest,
            -2 => OffsetSpec::Earliest,
            time_ms => OffsetSpec::Time(time_ms),
        },
    }
}

fn report_errors(rows: &[Row]) -> Exit {
    let mut exit = Exit::Done;
    for row in rows {
        if let Err(error) = &row.offset {
            let topic = &row.topic;
            match row.partition {
                ALL => message(format_args!("{topic}: {error}")),
                partition => message(format_args!("{topic}:{partition}: {error}")),
            }
            exit = Exit::Failed;
        }
    }
    exit
}

/// The rows that are about a partition.
fn with_partition(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.partition != ALL)
}

/// As kcat's `partition_list_print` has it, to the byte.
fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in with_partition(rows) {
        let (topic, partition) = (&row.topic, row.partition);
        let _ = match &row.offset {
            Ok(offset) => writeln!(text, "{topic} [{partition}] offset {offset}"),
            Err(error) => writeln!(text, "{topic} [{partition}] offset -1: {}", error.reason),
        };
    }
    text
}

/// As kcat's `partition_list_print_json` has it: the same fields in the same order.
fn json(rows: &[Row]) -> Value {
    let mut all = Map::new();
    for row in with_partition(rows) {
        let name = &row.topic;
        let topic = all.entry(name.clone()).or_insert(json!({"topic": name}));
        let partition = row.partition;
        let mut answer = json!({"partition": partition, "offset": -1});
        match &row.offset {
            Ok(offset) => answer["offset"] = (*offset).into(),
            Err(error) => answer["error"] = error.reason.as_str().into(),
        }
        topic[partition.to_string()] = answer;
    }
    Value::Object(all)
}

/// A line for each query: topic, partition, time, offset (`\N` if unknown).
fn tsv(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in with_partition(rows) {
        let offset = row.offset.as_ref().ok().map(i64::to_string);
        push_line(
            &mut text,
            [
                Some(row.topic.as_str()),
                Some(row.partition.to_string().as_str()),
                Some(row.time_ms.to_string().as_str()),
                offset.as_deref(),
            ],
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{KafkaError, Row, json, refuse_duplicates, text, tsv};

    fn rows() -> Vec<Row> {
        let row = |topic: &str, partition, time_ms, offset| Row {
            topic: topic.to_owned(),
            partition,
            time_ms,
            offset,
        };
        let unknown = KafkaError::new(-190, "Local: Unknown partition");
        vec![
            row("a", 0, -1, Ok(12)),
            row("a", 9, 1500, Err(unknown)),
            row("b", 1, 99, Ok(-1)),
        ]
    }

    #[test]
    fn text_and_json_are_kcats() {
        assert_eq!(
            text(&rows()),
            "a [0] offset 12\na [9] offset -1: Local: Unknown partition\nb [1] offset -1\n"
        );
        assert_eq!(
            json(&rows()).to_string(),
            concat!(
                r#"{"a":{"topic":"a","0":{"partition":0,"offset":12},"#,
                r#""9":{"partition":9,"offset":-1,"error":"Local: Unknown partition"}},"#,
                r#""b":{"topic":"b","1":{"partition":1,"offset":-1}}}"#,
            )
        );
    }

    #[test]
    fn tsv_tells_nobody_knows_from_nothing_so_late() {
        assert_eq!(
            tsv(&rows()),
            "a\t0\t-1\t12\na\t9\t1500\t\\N\nb\t1\t99\t-1\n"
        );
    }

    #[test]
    fn a_partition_asked_for_twice_has_no_place_in_kcats_json() {
        let mut rows = rows();
        assert!(refuse_duplicates(&rows).is_ok());
        rows[1].partition = 0;
        assert!(refuse_duplicates(&rows).is_err());
    }
}
