//! Positions as lines: `-Q` and `--commit`.

use tools::cli::format::FormatArgs;
use tools::record::tsv::{Column, Columns};

use super::value::{group_name, parse_offset_query};
use super::{Commit, OutputFormat, Query, usage};
use crate::cli::Cli;
use crate::commit::lines::LineFormat;

/// The columns of `-Q`; the timestamp is the requested time.
const QUERY_COLUMNS: [Column; 4] = [
    Column::Topic,
    Column::Partition,
    Column::Timestamp,
    Column::Offset,
];

pub(super) fn query(cli: &Cli, now_ms: i64) -> anyhow::Result<Query> {
    if cli.topics.is_empty() {
        return Err(usage(
            "-Q: the offsets of which topic and time? Say -t TOPIC:TIME, or -t TOPIC:PARTITION:TIME",
        ));
    }
    let of_schemas = [
        ("-r", cli.schema.registry.is_some()),
        ("--last", cli.last.is_some()),
    ];
    if let Some((option, _)) = of_schemas.iter().find(|(_, is_typed)| *is_typed) {
        return Err(usage(format_args!("-Q {option} needs --schema")));
    }
    let queries = cli.topics.iter();
    let queries = queries.map(|text| parse_offset_query(text, now_ms));
    let columns = columns(&cli.format).unwrap_or_else(|| QUERY_COLUMNS.to_vec());
    if let Some(other) = columns
        .iter()
        .find(|column| !QUERY_COLUMNS.contains(column))
    {
        return Err(usage(format_args!(
            "--tsv: -Q has the columns topic, partition, timestamp and offset, and no {}",
            other.name()
        )));
    }
    Ok(Query {
        queries: queries.collect::<Result<Vec<_>, String>>().map_err(usage)?,
        options: super::parse::options(cli)?,
        format: match &cli.format.tsv {
            Some(_) => OutputFormat::Tsv,
            None if cli.format.json => OutputFormat::Json,
            None => OutputFormat::Text,
        },
        columns,
    })
}

pub(super) fn commit(cli: Cli) -> anyhow::Result<Commit> {
    let group = group_name("--commit", cli.modes.commit.as_ref())?;
    let deletes = cli.positions.delete;
    let format = if cli.format.json {
        LineFormat::Json
    } else {
        let needed = [Column::Topic, Column::Partition, Column::Offset];
        let columns = columns(&cli.format).unwrap_or_else(|| needed.to_vec());
        let needed = &needed[..if deletes { 2 } else { 3 }];
        if let Some(missing) = needed.iter().find(|column| !columns.contains(column)) {
            return Err(usage(format_args!(
                "--tsv: a position needs the column {}",
                missing.name()
            )));
        }
        LineFormat::Tsv(columns)
    };
    Ok(Commit {
        options: super::parse::options(&cli)?,
        group,
        format,
        deletes,
        metadata: cli.positions.metadata,
        force: cli.positions.force,
        dry_run: cli.positions.dry_run,
    })
}

/// The columns of `--tsv=COLUMNS`.
fn columns(format: &FormatArgs) -> Option<Vec<Column>> {
    let columns = format.tsv.as_ref();
    let columns = columns.filter(|columns| **columns != Columns::default());
    columns.map(|columns| columns.as_slice().to_vec())
}
