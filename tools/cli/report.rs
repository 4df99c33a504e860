//! The options that say how a report is written; the same in every program that has one.

use std::io;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::report::{Column, Format, Report, Style, unknown_columns};

/// As typed, for a program whose `-J` means something else.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Report")]
pub struct OutputArgs {
    /// Report format: table, tsv, csv, json, prometheus, html [default: table on a terminal, else tsv]
    #[arg(short = 'o', long = "output", value_name = "FORMAT")]
    pub output: Option<Format>,

    /// Print column names as the first line of TSV
    #[arg(long)]
    pub header: bool,
}

impl OutputArgs {
    /// Whether any of these was typed.
    pub fn is_given(&self) -> bool {
        self.output.is_some() || self.header
    }

    /// How to write the report; `terminal` says whether stdout is one.
    pub fn style(&self, terminal: bool) -> Style {
        let format = self.output.unwrap_or_else(|| Format::default_for(terminal));
        Style::new(format, self.header)
    }
}

/// As typed, for a program that writes nothing but reports.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Report")]
pub struct ReportArgs {
    #[command(flatten)]
    output: OutputArgs,

    /// The same as -o json: one object per line
    #[arg(short = 'J', long, conflicts_with = "output")]
    json: bool,

    /// Print only these columns, in this order, in every format
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    columns: Vec<String>,

    /// Print all columns of a table at full width
    #[arg(long)]
    wide: bool,
}

impl ReportArgs {
    /// Checks that a report of `columns` has those that are chosen.
    pub fn check(&self, columns: &[Column]) -> Result<()> {
        unknown_columns(&self.columns, columns).map_err(|reason| anyhow!("--columns: {reason}"))
    }

    /// The columns that are chosen; none is all.
    pub fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }

    /// How to write the report; `terminal` says whether stdout is one.
    pub fn style(&self, terminal: bool) -> Style {
        let mut style = self.output.style(terminal);
        if self.json {
            style.format = Format::Json;
        }
        if !self.wide {
            style.width = width(terminal);
        }
        style.is_utf8 = is_utf8();
        style
    }
}

/// The columns of `report` that are chosen, if not all are.
pub fn chosen(report: Report, columns: &[String], style: Style) -> Report {
    if columns.is_empty() {
        return report;
    }
    report.only(columns, style.format == Format::Prometheus)
}

/// How wide a table may be: COLUMNS, or the terminal.
fn width(terminal: bool) -> Option<usize> {
    let said = std::env::var("COLUMNS").ok();
    let said = said.and_then(|text| text.parse().ok());
    said.filter(|width| *width > 0).or_else(|| {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (terminal && size.ws_col > 0).then_some(size.ws_col.into())
    })
}

/// Whether the terminal has UTF-8, as the environment says.
fn is_utf8() -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let mut said = said.filter_map(|name| std::env::var(name).ok());
    let said = said.find(|value| !value.is_empty()).unwrap_or_default();
    let said = said.to_uppercase();
    said.contains("UTF-8") || said.contains("UTF8")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        report: ReportArgs,
    }

    fn format(line: &str, terminal: bool) -> Result<Format, String> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(cli.report.style(terminal).format)
    }

    #[test]
    fn people_see_a_table_and_pipes_get_lines_unless_something_else_is_asked_for() {
        assert_eq!(format("", true), Ok(Format::Table));
        assert_eq!(format("", false), Ok(Format::Tsv));
        for terminal in [true, false] {
            assert_eq!(format("-J", terminal), Ok(Format::Json));
            assert_eq!(format("-o csv", terminal), Ok(Format::Csv));
            assert_eq!(format("--output=table", terminal), Ok(Format::Table));
        }
        assert!(format("-J -o csv", true).is_err_and(|error| error.contains("--json")));
        assert!(format("-o yaml", true).is_err_and(|error| error.contains("prometheus")));
    }
}
