//! The options that say how a record looks in the pipe; the same wherever records are read or written.

use clap::{Args, ValueEnum};

use crate::record::Format;
use crate::record::json::Json;
use crate::record::raw::Raw;
use crate::record::template::Template;
use crate::record::tsv::{ByteStyle, Columns, Tsv, Utf8};
use crate::text::unescape_delimiter;

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Record format: see kafka-records(5)")]
pub struct FormatArgs {
    /// Delimiter at the end of each record [default: \n]
    ///
    /// Any bytes; escapes are \n \r \t \0 \\ \xHH.
    #[arg(short = 'D', long = "delimiter", value_name = "DELIM", value_parser = unescape_delimiter_arg, allow_hyphen_values = true)]
    pub delimiter: Option<Bytes>,

    /// Delimiter between key and value
    #[arg(short = 'K', long = "key-delimiter", value_name = "DELIM", value_parser = unescape_delimiter_arg, allow_hyphen_values = true)]
    pub key_delimiter: Option<Bytes>,

    /// Raw records: produce empty keys and values as NULL; print NULL as the text NULL
    #[arg(short = 'Z', long = "null")]
    pub null_empty: bool,

    /// Tab-separated columns, lossless: topic, partition, offset, timestamp, time, key, value, headers [default: key,value]
    ///
    /// "all" is every column except time. Tab, newline, carriage return, NUL
    /// and backslash are escaped; NULL is \N.
    #[arg(long = "tsv", value_name = "COLUMNS", num_args = 0..=1, require_equals = true,
          default_missing_value = "key,value", conflicts_with_all = ["delimiter", "key_delimiter", "null_empty", "json", "template"])]
    pub tsv: Option<Columns>,

    /// One JSON object per line, lossless
    #[arg(short = 'J', long = "json")]
    pub json: bool,

    /// Template: %s value, %k key, %t topic, %p partition, %o offset, %T timestamp, %h headers, ...
    ///
    /// %S and %K are the lengths of value and key (-1 for NULL), %R the value's
    /// length as 4 bytes, %{time} the timestamp as ISO 8601, %{delivery_count} the
    /// deliveries by a share group, %% a percent sign. Escapes as in -D. Write \n
    /// to end the line.
    #[arg(
        short = 'f',
        long = "format",
        value_name = "TEMPLATE",
        allow_hyphen_values = true
    )]
    pub template: Option<String>,

    /// With --tsv: how to write keys and values; PostgreSQL's bytea reads hex
    #[arg(long = "bytes", value_name = "STYLE")]
    pub bytes: Option<Bytestyle>,

    /// With --tsv: what to do with keys and values that are not UTF-8
    #[arg(long = "utf8", value_name = "RULE")]
    pub utf8: Option<Utf8Rule>,
}

/// A delimiter, unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// `--bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bytestyle {
    /// As they are, escaped where needed.
    Plain,
    /// \\x and hexadecimal digits.
    Hex,
}

/// `--utf8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Utf8Rule {
    /// Keep all bytes as they are.
    AsIs,
    /// Fail.
    Strict,
}

fn unescape_delimiter_arg(text: &str) -> Result<Bytes, String> {
    unescape_delimiter(text).map(Bytes)
}

impl FormatArgs {
    /// The option that says how a record looks, and those that say something else.
    fn overridden(&self) -> Option<(&'static str, Vec<&'static str>)> {
        let by_template: &[_] = &[
            ("-D", self.delimiter.is_some()),
            ("-K", self.key_delimiter.is_some()),
            ("-J", self.json),
        ];
        let by_json: &[_] = &[
            ("-K", self.key_delimiter.is_some()),
            ("-Z (--null)", self.null_empty),
        ];
        let (winner, others) = match (&self.template, self.json) {
            (Some(_), _) => ("-f", by_template),
            (None, true) => ("-J", by_json),
            (None, false) => return None,
        };
        let given = others.iter().filter(|(_, is_given)| *is_given);
        let losers: Vec<_> = given.map(|(option, _)| *option).collect();
        (!losers.is_empty()).then_some((winner, losers))
    }

    /// Takes off what kcat ignores beside `-f` or `-J` when it writes records; says which option wins, and over which.
    pub fn override_as_kcat(&mut self) -> Option<String> {
        let (winner, losers) = self.overridden()?;
        self.key_delimiter = None;
        if winner == "-f" {
            self.delimiter = None;
            self.json = false;
        } else {
            self.null_empty = false;
        }
        let is = if losers.len() == 1 { "is" } else { "are" };
        Some(format!(
            "{winner} says how records look: {} {is} ignored",
            losers.join(", ")
        ))
    }

    /// The format that these options name. An error is a sentence about the template.
    pub fn format(&self) -> Result<Format, String> {
        if let Some((winner, losers)) = self.overridden() {
            return Err(format!("{} does not go with {winner}", losers[0]));
        }
        let of_tsv = [
            ("--bytes", self.bytes.is_some()),
            ("--utf8", self.utf8.is_some()),
        ];
        if let (None, Some((option, _))) = (&self.tsv, of_tsv.iter().find(|(_, given)| *given)) {
            return Err(format!("{option} needs --tsv"));
        }
        let delimiter = self
            .delimiter
            .clone()
            .map_or_else(|| b"\n".to_vec(), |d| d.0);
        if let Some(template) = &self.template {
            let template = Template::parse(template).map_err(|error| format!("-f: {error}"))?;
            return Ok(Format::Template(template.with_null_text(self.null_empty)));
        }
        if self.json {
            return Ok(Format::Json(Json { delimiter }));
        }
        if let Some(columns) = &self.tsv {
            return Ok(Format::Tsv(Tsv {
                columns: columns.clone(),
                bytes: match self.bytes {
                    Some(Bytestyle::Hex) => ByteStyle::Hex,
                    Some(Bytestyle::Plain) | None => ByteStyle::Plain,
                },
                utf8: match self.utf8 {
                    Some(Utf8Rule::Strict) => Utf8::Strict,
                    Some(Utf8Rule::AsIs) | None => Utf8::AsIs,
                },
            }));
        }
        Ok(Format::Raw(Raw {
            delimiter,
            key_delimiter: self.key_delimiter.clone().map(|d| d.0),
            null_empty: self.null_empty,
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        format: FormatArgs,
    }

    fn typed(line: &str) -> FormatArgs {
        let words = std::iter::once("x").chain(line.split_whitespace());
        Cli::try_parse_from(words).expect(line).format
    }

    #[test]
    fn what_kcat_ignores_is_taken_off_and_named() {
        for (line, kept, ignored) in [
            ("-f %s -K: -D;", "-f %s", Some("-D, -K are")),
            ("-f %s -J", "-f %s", Some("-J is")),
            ("-J -K: -Z", "-J", Some("-K, -Z (--null) are")),
            ("-J -D;", "-J -D;", None),
            ("-f %s -Z", "-f %s -Z", None),
            ("-K: -D; -Z", "-K: -D; -Z", None),
        ] {
            let mut format = typed(line);
            let message = format.override_as_kcat();
            assert_eq!(format.format(), typed(kept).format(), "{line}");
            assert_eq!(message.is_some(), ignored.is_some(), "{line}");
            if let (Some(message), Some(ignored)) = (message, ignored) {
                assert!(message.contains(ignored), "{message}");
            }
        }
    }

    #[test]
    fn what_would_be_ignored_is_refused_where_records_are_read() {
        for (line, named) in [
            ("-f %s -K:", "-K does not go with -f"),
            ("-J -Z", "-Z (--null) does not go with -J"),
            ("-J --bytes hex", "--bytes needs --tsv"),
            ("--utf8 strict", "--utf8 needs --tsv"),
        ] {
            assert_eq!(typed(line).format(), Err(named.to_owned()), "{line}");
        }
    }
}
