//! The options that say how a report is written; the same in every program that has one.

use clap::Args;

use crate::report::{Format, Style};

/// As typed, for a program whose `-J` means something else.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Report")]
pub struct OutputArgs {
    /// Format of the report: table, tsv, csv, json, prometheus [default: table on a terminal, else tsv]
    #[arg(short = 'o', long = "output", value_name = "FORMAT")]
    pub output: Option<Format>,

    /// Begin TSV with a line of column names
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
        Style {
            format: self.output.unwrap_or_else(|| Format::default_for(terminal)),
            header: self.header,
        }
    }
}

/// As typed, for a program that writes nothing but reports.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Report")]
pub struct ReportArgs {
    #[command(flatten)]
    output: OutputArgs,

    /// The same as -o json: one object a line
    #[arg(short = 'J', long, conflicts_with = "output")]
    json: bool,
}

impl ReportArgs {
    /// How to write the report; `terminal` says whether stdout is one.
    pub fn style(&self, terminal: bool) -> Style {
        let style = self.output.style(terminal);
        if self.json {
            let format = Format::Json;
            return Style { format, ..style };
        }
        style
    }
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
