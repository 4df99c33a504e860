//! Columns and rows, and the six ways of writing them. Pure.
//!
//! A program fills a [`Report`] with typed cells and never formats one itself:
//! people see `2d12h` and `1.5G` in a table, machines see plain numbers in the
//! unit that the column's name ends with (`age_ms`, `size_bytes`). What is not
//! known is `-` in a table, `\N` in TSV, empty in CSV, `null` in JSON, and
//! left out of the metrics.

mod csv;
mod fit;
mod html;
mod json;
mod prometheus;
mod table;
#[cfg(test)]
mod tests;
mod tsv;

pub use html::failure_page;
pub use prometheus::push_label;

use std::fmt;
use std::io;
use std::str::FromStr;

/// One value, in the unit that its column's name says.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Any text.
    Text(String),
    /// A count, an offset, a number of messages.
    Integer(i64),
    /// A ratio.
    Float(f64),
    /// Something a second.
    Rate(f64),
    /// A part of all, 1 being all.
    Share(f64),
    /// A point in time, milliseconds since 1970-01-01 UTC.
    TimeMs(i64),
    /// A length of time in milliseconds.
    DurationMs(i64),
    /// A size.
    Bytes(u64),
    /// Bytes a second.
    ByteRate(f64),
    /// Not known; a column `note` of the row says why.
    Unknown,
}

impl Cell {
    /// A number as far as it goes: a float that is none (a ratio to nothing) is unknown.
    fn normal(&self) -> &Cell {
        match self {
            Cell::Float(value) | Cell::Rate(value) | Cell::Share(value) | Cell::ByteRate(value)
                if !value.is_finite() =>
            {
                &Cell::Unknown
            }
            cell => cell,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Cell {
        Cell::Integer(number)
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Cell {
        Cell::Integer(number.into())
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Cell {
        Cell::Float(number)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Unknown, Into::into)
    }
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Says what the row is about: a label of every metric of the row.
    Label,
    /// A measured number: one metric, with this help text.
    Value(&'static str),
    /// For readers only; no metric.
    Remark,
}

/// A column: its name in every format, with the unit last (`lag_messages`, `age_ms`), and its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Lower case, digits and underscores.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
    /// Whether a bar shows how its numbers compare.
    pub has_bar: bool,
}

impl Column {
    /// A column that says what a row is about.
    pub const fn label(name: &'static str) -> Column {
        let role = Role::Label;
        Column {
            name,
            role,
            has_bar: false,
        }
    }

    /// A column of numbers, with the help text of its metric.
    pub const fn value(name: &'static str, help: &'static str) -> Column {
        let role = Role::Value(help);
        Column {
            name,
            role,
            has_bar: false,
        }
    }

    /// The same with a bar, for who looks at a page.
    #[must_use]
    pub const fn with_bar(self) -> Column {
        Column {
            has_bar: true,
            ..self
        }
    }

    /// A column for readers, `note` among them.
    pub const fn remark(name: &'static str) -> Column {
        let role = Role::Remark;
        Column {
            name,
            role,
            has_bar: false,
        }
    }
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people, with a header.
    Table,
    /// Tab-separated lines as kafka-records(5) has them, without a header unless it is asked for.
    Tsv,
    /// RFC 4180 with a header.
    Csv,
    /// One JSON object a line.
    Json,
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// A page of its own, without a script.
    Html,
}

impl Format {
    /// Every format with its name.
    pub const NAMES: [(&'static str, Format); 6] = [
        ("table", Format::Table),
        ("tsv", Format::Tsv),
        ("csv", Format::Csv),
        ("json", Format::Json),
        ("prometheus", Format::Prometheus),
        ("html", Format::Html),
    ];

    /// What is written when nothing was asked for: a table for people, TSV into a pipe.
    pub fn default_for(terminal: bool) -> Format {
        if terminal { Format::Table } else { Format::Tsv }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Format, String> {
        let found = Format::NAMES.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, format)| *format)
            .ok_or_else(|| format!("{name:?} is none of table, tsv, csv, json, prometheus, html"))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Format::NAMES.iter().find(|(_, format)| format == self);
        out.write_str(found.map_or("", |(name, _)| name))
    }
}

/// How to write a report: the format, and what some formats leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The format.
    pub format: Format,
    /// Whether TSV has a header line; table and CSV always have one, JSON and Prometheus name every value anyway.
    pub header: bool,
    /// How wide a table may be; none is as wide as it is.
    pub width: Option<usize>,
    /// Whether more than ASCII may be drawn.
    pub is_utf8: bool,
    /// Whether a table has a bar beside its first column that can have one.
    pub has_bars: bool,
}

impl Style {
    /// A report as wide as it is, drawn in ASCII.
    pub fn new(format: Format, header: bool) -> Style {
        Style {
            format,
            header,
            width: None,
            is_utf8: false,
            has_bars: false,
        }
    }
}

/// Columns and rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What metrics are called after, the program's name usually: `klag` makes `klag_lag_messages`.
    prefix: &'static str,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    /// What a page says above the table.
    caption: Vec<String>,
}

impl Report {
    /// An empty report; `prefix` is in front of the names of its metrics.
    pub fn new(prefix: &'static str, columns: &[Column]) -> Report {
        Report {
            prefix,
            columns: columns.to_vec(),
            rows: Vec::new(),
            caption: Vec::new(),
        }
    }

    /// Appends a row, which has a cell for each column.
    pub fn push(&mut self, row: Vec<Cell>) {
        assert_eq!(row.len(), self.columns.len(), "a cell for each column");
        self.rows.push(row);
    }

    /// Whether there is nothing to show but the names of the columns.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its rows, a cell for each column.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Writes it all.
    ///
    /// # Errors
    /// Only what `out` refuses.
    pub fn write(&self, style: Style, out: &mut impl io::Write) -> io::Result<()> {
        match style.format {
            Format::Table => table::write(self, style, None, out),
            Format::Tsv => tsv::write(self, style.header, out),
            Format::Csv => csv::write(self, true, out),
            Format::Json => json::write(self, out),
            Format::Prometheus => prometheus::write(self, out),
            Format::Html => html::write(self, out),
        }
    }

    /// Goes on with what another report of the same columns has begun: no names of columns for machines.
    ///
    /// # Errors
    /// Only what `out` refuses.
    pub fn write_more(&self, style: Style, out: &mut impl io::Write) -> io::Result<()> {
        match style.format {
            Format::Tsv => tsv::write(self, false, out),
            Format::Csv => csv::write(self, false, out),
            Format::Table | Format::Json | Format::Prometheus | Format::Html => {
                self.write(style, out)
            }
        }
    }

    /// Writes a table that also says by how much counts and sizes have changed since `before`.
    ///
    /// Rows are the same if their labels are. Times and durations change by
    /// themselves and are left out.
    ///
    /// # Errors
    /// Only what `out` refuses.
    pub fn write_changes(
        &self,
        style: Style,
        before: Option<&Report>,
        out: &mut impl io::Write,
    ) -> io::Result<()> {
        table::write(self, style, before, out)
    }

    /// The same with these lines above the table of a page.
    #[must_use]
    pub fn captioned(mut self, caption: Vec<String>) -> Report {
        self.caption = caption;
        self
    }

    /// Only these columns, in this order; `keeps_labels` adds what metrics can't be without.
    ///
    /// Columns that there are not are left out: [`unknown_columns`] finds them.
    #[must_use]
    pub fn only(self, names: &[String], keeps_labels: bool) -> Report {
        let mut places: Vec<usize> = Vec::new();
        if keeps_labels {
            let labels = 0..self.columns.len();
            places.extend(labels.filter(|&at| self.columns[at].role == Role::Label));
        }
        for name in names {
            let found = self.columns.iter().position(|column| column.name == name);
            places.extend(found.filter(|at| !places.contains(at)));
        }
        let pick = |row: &Vec<Cell>| places.iter().map(|&at| row[at].clone()).collect();
        Report {
            columns: places.iter().map(|&at| self.columns[at]).collect(),
            rows: self.rows.iter().map(pick).collect(),
            ..self
        }
    }

    /// How much each number of a column is of the largest one.
    fn shares(&self, at: usize) -> impl Iterator<Item = f64> {
        let number = |cell: &Cell| match cell {
            Cell::Integer(number) | Cell::DurationMs(number) => (*number).max(0) as f64,
            Cell::Bytes(number) => *number as f64,
            _ => 0.0,
        };
        let largest = self
            .rows
            .iter()
            .map(|row| number(&row[at]))
            .fold(0.0, f64::max);
        let numbers = self.rows.iter().map(move |row| number(&row[at]));
        numbers.map(move |number| if largest > 0.0 { number / largest } else { 0.0 })
    }

    /// The same report with a first column `time`: when it was taken, milliseconds since 1970.
    #[must_use]
    pub fn stamped(&self, time_ms: i64) -> Report {
        let mut columns = self.columns.clone();
        columns.insert(0, Column::remark("time"));
        let stamp = |row: &Vec<Cell>| {
            let mut row = row.clone();
            row.insert(0, Cell::TimeMs(time_ms));
            row
        };
        Report {
            prefix: self.prefix,
            columns,
            rows: self.rows.iter().map(stamp).collect(),
            caption: self.caption.clone(),
        }
    }

    /// The labels of a row: what it is about.
    fn labels<'a>(&'a self, row: &'a [Cell]) -> Vec<&'a Cell> {
        let pairs = self.columns.iter().zip(row);
        let labels = pairs.filter(|(column, _)| column.role == Role::Label);
        labels.map(|(_, cell)| cell).collect()
    }
}

/// The first of `names` that none of `columns` has, in words.
///
/// # Errors
/// What is wrong with it.
pub fn unknown_columns(names: &[String], columns: &[Column]) -> Result<(), String> {
    let is_known = |name: &&String| columns.iter().any(|column| column.name == **name);
    match names.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = columns.iter().map(|column| column.name).collect();
            Err(format!(
                "there is no column {name} here; there are {}",
                known.join(", ")
            ))
        }
    }
}

/// A number without the digits that no measurement has: nine that count, or two behind the point.
fn rounded(number: f64) -> f64 {
    let decimals = if number.abs() >= 1000.0 {
        2
    } else {
        8 - number.abs().max(1e-9).log10().floor() as i32
    };
    let text = format!("{number:.*}", decimals.clamp(0, 15) as usize);
    text.parse().unwrap_or(number)
}

/// A cell as machines read it, where it is a number.
fn machine_number(cell: &Cell) -> Option<String> {
    Some(match cell.normal() {
        Cell::Integer(number) | Cell::TimeMs(number) | Cell::DurationMs(number) => {
            number.to_string()
        }
        Cell::Bytes(number) => number.to_string(),
        Cell::Float(number) | Cell::Rate(number) | Cell::Share(number) | Cell::ByteRate(number) => {
            rounded(*number).to_string()
        }
        Cell::Text(_) | Cell::Unknown => return None,
    })
}
