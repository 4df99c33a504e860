//! TSV: one line a record, one column a field, and every byte survives.
//!
//! `\`, tab, newline, carriage return and NUL are escaped, NULL is `\N`, an
//! empty field is the empty byte string. This is what `PostgreSQL`'s COPY,
//! `ClickHouse`'s `TabSeparated` and `MySQL`'s LOAD DATA read, and what `cut`,
//! `sort`, `awk` and `join` keep intact. Not carried: what set the timestamp,
//! and the broker.

mod decode;
mod encode;
mod headers;

pub(super) use decode::TsvDecoder;
pub(super) use encode::TsvEncoder;

use std::str::FromStr;

/// How records are laid out in lines of tab-separated columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tsv {
    /// Which columns a line has, in order.
    pub columns: Columns,
    /// How key and value are written.
    pub bytes: ByteStyle,
    pub utf8: Utf8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Topic,
    /// The partition; empty, `\N` or -1 when read leave it to the partitioner.
    Partition,
    Offset,
    /// Milliseconds since 1970-01-01 UTC.
    Timestamp,
    /// The timestamp as ISO 8601 in UTC.
    Time,
    Key,
    Value,
    /// All headers: `name=value` joined by `&`, percent-encoded.
    Headers,
    /// How often a share group has delivered the record; ignored when read.
    DeliveryCount,
}

impl Column {
    /// `all` is these without `time`, which duplicates `timestamp`, and what only a share group has.
    const NAMES: [(&'static str, Column); 9] = [
        ("topic", Column::Topic),
        ("partition", Column::Partition),
        ("offset", Column::Offset),
        ("timestamp", Column::Timestamp),
        ("key", Column::Key),
        ("value", Column::Value),
        ("headers", Column::Headers),
        ("time", Column::Time),
        ("delivery_count", Column::DeliveryCount),
    ];

    /// The name as the command line has it.
    pub fn name(self) -> &'static str {
        Column::NAMES
            .iter()
            .find(|(_, column)| *column == self)
            .map_or("", |(name, _)| name)
    }
}

/// The columns of a line, in order, each at most once, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Vec<Column>);

impl Columns {
    /// In the order of the line.
    pub fn as_slice(&self) -> &[Column] {
        &self.0
    }

    pub fn contains(&self, column: Column) -> bool {
        self.0.contains(&column)
    }

    /// The names joined by commas, as the command line takes them.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|column| column.name()).collect();
        names.join(",")
    }
}

impl Default for Columns {
    fn default() -> Columns {
        Columns(vec![Column::Key, Column::Value])
    }
}

/// Why a list of columns was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// No column has this name.
    #[error(
        "unknown column {0:?} (columns: topic, partition, offset, timestamp, key, value, headers, time, delivery_count; or all)"
    )]
    Unknown(String),
    /// The column is listed twice, so it is unclear which one would count.
    #[error("column {0} is listed twice")]
    Duplicate(&'static str),
}

impl FromStr for Columns {
    type Err = ColumnsError;

    fn from_str(text: &str) -> Result<Columns, ColumnsError> {
        if text == "all" {
            let all = Column::NAMES.iter().map(|(_, column)| *column);
            return Ok(Columns(
                all.filter(|column| !matches!(column, Column::Time | Column::DeliveryCount))
                    .collect(),
            ));
        }
        let mut columns = Vec::new();
        for wanted in text.split(',') {
            let (name, column) = Column::NAMES
                .iter()
                .find(|(name, _)| *name == wanted)
                .ok_or_else(|| ColumnsError::Unknown(wanted.to_owned()))?;
            if columns.contains(column) {
                return Err(ColumnsError::Duplicate(name));
            }
            columns.push(*column);
        }
        Ok(Columns(columns))
    }
}

/// How key and value are written in a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteStyle {
    /// As they are, escaped where needed.
    #[default]
    Plain,
    /// `\\x` and hexadecimal digits, which `PostgreSQL`'s COPY reads into a bytea column.
    Hex,
}

/// What to do with a key or value that is not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Utf8 {
    #[default]
    AsIs,
    /// It is an error, because a later tool in the pipe could damage it.
    Strict,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_the_first_seven_in_order() {
        let all: Columns = "all".parse().expect("`all` is a list of columns");
        assert_eq!(
            all.names(),
            "topic,partition,offset,timestamp,key,value,headers"
        );
        assert_eq!(all.names().parse(), Ok(all));
    }

    #[test]
    fn key_and_value_are_the_default() {
        assert_eq!("key,value".parse(), Ok(Columns::default()));
    }

    #[test]
    fn a_wrong_list_is_refused_with_its_reason() {
        let refused = |text: &str| text.parse::<Columns>().map_err(|error| error.to_string());
        assert_eq!(
            refused("key,payload"),
            Err(
                "unknown column \"payload\" (columns: topic, partition, offset, timestamp, key, \
                 value, headers, time, delivery_count; or all)"
                    .into()
            )
        );
        assert_eq!(
            refused("key,value,key"),
            Err("column key is listed twice".into())
        );
        assert!(refused("").is_err());
        assert!(refused("key,").is_err());
        assert!(refused("all,time").is_err());
    }
}
