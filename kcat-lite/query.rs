//! `-Q`: the offset of a time, of the beginning or of the end of a partition.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use tools::cli::{Exit, messages};
use tools::kafka::admin::{Isolation, OffsetQuery as Lookup, OffsetSpec, Topic, metadata, offsets};
use tools::kafka::client::ContactError;
use tools::kafka::error::code;
use tools::kafka::{Client, KafkaError, Role};
use tools::record::tsv::Column;

use crate::admin_query::{AdminQuery, MAX_NAMED, push_line};
use crate::config::{OffsetQuery, OutputFormat, Query, usage};
use crate::list::{topics_of, topics_to_ask};

/// Stands for all partitions of a topic that does not exist.
const ALL: i32 = -1;
/// The time of the end, in kcat and in Kafka's protocol.
const END: i64 = -1;

/// The query and the result of one partition.
struct Row {
    topic: String,
    partition: i32,
    time_ms: i64,
    /// -1 if no record is at or after the time, as in kcat.
    offset: Result<i64, KafkaError>,
}

/// Prints the offsets; fails if a partition has an error, after printing the others.
pub(crate) fn run(config: &Query) -> anyhow::Result<Exit> {
    let admin = AdminQuery::new()?;
    let client = Client::new(&config.options, Role::Consumer)?;
    let mut names: Vec<String> = config.queries.iter().map(|q| q.topic.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let topics = topics_to_ask(&names);
    let found = admin.fetch(|interrupted| metadata(&client, topics, interrupted))?;
    let cluster = match found {
        Ok(cluster) => cluster,
        Err(exit) => return Ok(exit),
    };
    let mut rows: Vec<Row> = Vec::new();
    for query in &config.queries {
        for topic in topics_of(&cluster, &query.topic)? {
            rows.extend(new_rows(query, &topic));
        }
    }
    if config.format == OutputFormat::Json {
        refuse_duplicates(&rows)?;
    }
    // kcat's order; queries about the same partition stay as they were typed.
    rows.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    let isolation = Isolation::of(&config.options);
    let wants_end = config.format != OutputFormat::Text;
    let looked_up = admin
        .fetch(|interrupted| look_up(&client, &mut rows, isolation, wants_end, interrupted))?;
    if let Err(exit) = looked_up {
        return Ok(exit);
    }
    let text = match config.format {
        OutputFormat::Text => text(&rows),
        OutputFormat::Json => format!("{}\n", json(&rows)),
        OutputFormat::Tsv => tsv(&rows, &config.columns),
    };
    admin.print(&text)?;
    Ok(report_errors(&rows))
}

/// Looks up the offset of each row; `wants_end` gives the end where no record is at or after the time.
fn look_up(
    client: &Client,
    rows: &mut [Row],
    isolation: Isolation,
    wants_end: bool,
    interrupted: &dyn Fn() -> bool,
) -> Result<(), ContactError> {
    let mut open: Vec<&mut Row> = rows.iter_mut().filter(|row| row.offset.is_ok()).collect();
    let queries: Vec<Lookup> = open.iter().map(|row| lookup(row, row.time_ms)).collect();
    let answers = offsets(client, &queries, isolation, interrupted)?;
    for (row, answer) in open.iter_mut().zip(answers) {
        row.offset = answer.map(|found| found.offset.unwrap_or(-1));
    }
    open.retain(|row| row.offset == Ok(-1));
    if open.is_empty() || !wants_end {
        return Ok(());
    }
    let queries: Vec<Lookup> = open.iter().map(|row| lookup(row, END)).collect();
    let answers = offsets(client, &queries, isolation, interrupted)?;
    for (row, answer) in open.iter_mut().zip(answers) {
        row.offset = answer.map(|found| found.offset.unwrap_or(-1));
    }
    Ok(())
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
                "-Q -J has one answer for each partition, and {topic}:{partition} is requested twice; use --tsv"
            )));
        }
    }
    Ok(())
}

/// A row for each requested partition of a topic, with an error if it does not exist.
fn new_rows(query: &OffsetQuery, topic: &Topic) -> Vec<Row> {
    let row = |partition, failed: Option<KafkaError>| Row {
        topic: topic.name.clone(),
        partition,
        time_ms: query.time_ms,
        offset: failed.map_or(Ok(-1), Err),
    };
    if let Some(error) = &topic.error {
        return vec![row(query.partition.unwrap_or(ALL), Some(error.clone()))];
    }
    match query.partition {
        None => topic.partitions.iter().map(|p| row(p.id, None)).collect(),
        Some(partition) => {
            let is_missing = topic.partition(partition).is_none();
            let error = || KafkaError::of(code::UNKNOWN_PARTITION);
            vec![row(partition, is_missing.then(error))]
        }
    }
}

fn lookup(row: &Row, time_ms: i64) -> Lookup {
    Lookup {
        topic: row.topic.clone(),
        partition: row.partition,
        spec: match time_ms {
            END => OffsetSpec::Latest,
            -2 => OffsetSpec::Earliest,
            time_ms => OffsetSpec::Time(time_ms),
        },
    }
}

fn report_errors(rows: &[Row]) -> Exit {
    let failed = rows.iter().filter_map(|row| {
        let (topic, error) = (&row.topic, row.offset.as_ref().err()?);
        Some(match row.partition {
            ALL => format!("{topic}: {error}"),
            partition => format!("{topic}:{partition}: {error}"),
        })
    });
    messages(failed, MAX_NAMED);
    if rows.iter().all(|row| row.offset.is_ok()) {
        Exit::Done
    } else {
        Exit::Failed
    }
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

/// A line for each row; `\N` for what is not known, also for all partitions of a topic that does not exist.
fn tsv(rows: &[Row], columns: &[Column]) -> String {
    let mut text = String::new();
    for row in rows {
        let fields = columns.iter().map(|column| match column {
            Column::Topic => Some(row.topic.clone()),
            Column::Partition => (row.partition != ALL).then(|| row.partition.to_string()),
            Column::Offset => row.offset.as_ref().ok().map(i64::to_string),
            _ => Some(row.time_ms.to_string()),
        });
        let fields: Vec<Option<String>> = fields.collect();
        push_line(&mut text, fields.iter().map(Option::as_deref));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{ALL, Column, KafkaError, Row, json, refuse_duplicates, text, tsv};

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
    fn tsv_has_the_columns_that_are_asked_for_and_says_what_is_not_known() {
        assert_eq!(
            tsv(
                &rows(),
                &[
                    Column::Topic,
                    Column::Partition,
                    Column::Timestamp,
                    Column::Offset
                ]
            ),
            "a\t0\t-1\t12\na\t9\t1500\t\\N\nb\t1\t99\t-1\n"
        );
        let mut missing = rows();
        missing.truncate(1);
        missing[0].partition = ALL;
        missing[0].offset = Err(KafkaError::new(3, "Unknown topic"));
        assert_eq!(
            tsv(
                &missing,
                &[Column::Offset, Column::Topic, Column::Partition]
            ),
            "\\N\ta\t\\N\n"
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
