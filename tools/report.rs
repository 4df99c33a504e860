//! Columns and rows, and the six formats that they are written in. Pure.
//!
//! A program fills a [`Report`] with typed cells and never formats one itself:
//! a table has `2d12h` and `1.5G`, the other formats plain numbers in the unit
//! that ends the column's name (`age_ms`, `size_bytes`). An unknown value is `-`
//! in a table, `\N` in TSV, empty in CSV, `null` in JSON, and no metric.

mod csv;
mod html;
mod json;
mod layout;
mod prometheus;
mod table;
#[cfg(test)]
mod tests;
mod tsv;

pub use html::failure_page;
pub use prometheus::push_label;

use std::io;
use std::str::FromStr;

/// One value, in the unit of its column's name.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Text(String),
    /// A count, an offset, a number of messages.
    Integer(i64),
    /// A ratio.
    Float(f64),
    /// Per second.
    Rate(f64),
    /// A fraction of 1.
    Share(f64),
    /// A point in time, milliseconds since 1970-01-01 UTC.
    TimeMs(i64),
    DurationMs(i64),
    Bytes(u64),
    /// Bytes per second.
    ByteRate(f64),
    /// Unknown; the column `note` has the reason.
    Unknown,
}

impl Cell {
    /// A float that is not finite, as a ratio to 0, is unknown.
    fn normalized(&self) -> &Cell {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Identifies the row: a label of every metric of the row.
    Label,
    /// A measured number: one metric, with this help text.
    Value(&'static str),
    /// For people; no metric.
    Remark,
}

/// A column: its name in every format, with the unit last (`lag_messages`, `age_ms`), and its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Lower case, digits and underscores.
    pub name: &'static str,
    pub role: Role,
    /// Whether a bar shows how its numbers compare.
    pub has_bar: bool,
}

impl Column {
    const fn new(name: &'static str, role: Role) -> Column {
        Column {
            name,
            role,
            has_bar: false,
        }
    }

    /// A column that identifies the row.
    pub const fn label(name: &'static str) -> Column {
        Column::new(name, Role::Label)
    }

    /// A column of numbers, with the help text of its metric.
    pub const fn value(name: &'static str, help: &'static str) -> Column {
        Column::new(name, Role::Value(help))
    }

    /// A column for people, as `note`.
    pub const fn remark(name: &'static str) -> Column {
        Column::new(name, Role::Remark)
    }

    #[must_use]
    pub const fn with_bar(self) -> Column {
        Column {
            has_bar: true,
            ..self
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people, with a header.
    Table,
    /// Tab-separated lines as in kafka-records(5), with a header only under `--header`.
    Tsv,
    /// RFC 4180 with a header.
    Csv,
    /// One JSON object a line.
    Json,
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// A page without scripts.
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

    /// The default: a table on a terminal, TSV into a pipe.
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

/// A format and its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub format: Format,
    /// Whether TSV has a header line; table and CSV always have one, JSON and Prometheus name every value anyway.
    pub header: bool,
    /// The width of a table; `None` is unlimited.
    pub width: Option<usize>,
    /// Whether a table may have other characters than ASCII.
    pub is_utf8: bool,
    /// Whether a table has a bar next to the first column that can have one.
    pub has_bars: bool,
}

impl Style {
    /// Unlimited and in ASCII.
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

#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Of the names of metrics, usually the program: `klag` makes `klag_lag_messages`.
    prefix: &'static str,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    /// Lines above the table of a page.
    caption: Vec<String>,
}

impl Report {
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

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

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

    /// Writes it after another report with the same columns: TSV and CSV without a header.
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

    /// Writes a table with the changes of counts and sizes since `before`.
    ///
    /// Rows with equal labels are compared. Times and durations always change and
    /// are left out.
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

    #[must_use]
    pub fn captioned(mut self, caption: Vec<String>) -> Report {
        self.caption = caption;
        self
    }

    /// Only these columns, in this order; `keeps_labels` adds all labels, which metrics need.
    ///
    /// Unknown columns are ignored: [`unknown_columns`] finds them.
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

    /// Each number of a column as a fraction of the largest.
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

    /// With a first column `time`, when the report was made.
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

    fn labels<'a>(&'a self, row: &'a [Cell]) -> Vec<&'a Cell> {
        let pairs = self.columns.iter().zip(row);
        let labels = pairs.filter(|(column, _)| column.role == Role::Label);
        labels.map(|(_, cell)| cell).collect()
    }
}

/// # Errors
/// One of `names` is not a column.
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

/// A number without meaningless digits: nine significant ones, or two after the point.
fn rounded(number: f64) -> f64 {
    let decimals = if number.abs() >= 1000.0 {
        2
    } else {
        8 - number.abs().max(1e-9).log10().floor() as i32
    };
    let text = format!("{number:.*}", decimals.clamp(0, 15) as usize);
    text.parse().unwrap_or(number)
}

/// A cell for machines, if it is a number.
fn machine_number(cell: &Cell) -> Option<String> {
    Some(match cell.normalized() {
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
