//! The options that say how a record looks in the pipe; the same wherever records are read or written.

use clap::{Args, ValueEnum};

use crate::record::json::Json;
use crate::record::raw::Raw;
use crate::record::template::Template;
use crate::record::tsv::{ByteStyle, Columns, Tsv, Utf8};
use crate::record::{Format, unescape_delimiter};

/// As typed.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Record format: see kafka-records(5)")]
pub struct FormatArgs {
    /// What ends a record [default: \n]
    ///
    /// Escapes: \n \r \t \0 \\ \xHH; any bytes, any length.
    #[arg(short = 'D', long = "delimiter", value_name = "DELIM", value_parser = unescape_delimiter_arg, allow_hyphen_values = true)]
    pub delimiter: Option<Bytes>,

    /// Put the key and this delimiter before the value
    #[arg(short = 'K', long = "key-delimiter", value_name = "DELIM", value_parser = unescape_delimiter_arg, allow_hyphen_values = true)]
    pub key_delimiter: Option<Bytes>,

    /// Raw records: an empty key or value is NULL when produced; NULL shows as `NULL` when consumed
    #[arg(short = 'Z', long = "null")]
    pub null_empty: bool,

    /// Tab-separated columns, lossless: topic, partition, offset, timestamp, time, key, value, headers [default: key,value]
    ///
    /// `all` is the seven columns but `time`. Tab, newline, carriage return,
    /// NUL and backslash are escaped; NULL is \N.
    #[arg(long = "tsv", value_name = "COLUMNS", num_args = 0..=1, require_equals = true,
          default_missing_value = "key,value", conflicts_with_all = ["delimiter", "key_delimiter", "null_empty", "json", "template"])]
    pub tsv: Option<Columns>,

    /// One JSON object a line, lossless
    #[arg(short = 'J', long = "json", conflicts_with_all = ["key_delimiter", "null_empty", "template"])]
    pub json: bool,

    /// A template: %s value, %k key, %t topic, %p partition, %o offset, %T timestamp, %h headers, ...
    ///
    /// %S and %K are the lengths of value and key (-1 for NULL), %R the value's
    /// length as 4 bytes; %{time} is the timestamp as ISO 8601; %% is a percent
    /// sign. Escapes as in -D. Ends no line by itself.
    #[arg(short = 'f', long = "format", value_name = "TEMPLATE", allow_hyphen_values = true,
          conflicts_with_all = ["delimiter", "key_delimiter"])]
    pub template: Option<String>,

    /// With --tsv: how key and value are written; hex is what PostgreSQL reads into bytea
    #[arg(long = "bytes", value_name = "STYLE", requires = "tsv")]
    pub bytes: Option<Bytestyle>,

    /// With --tsv: stop at a key or value that is not UTF-8
    #[arg(long = "utf8", value_name = "RULE", requires = "tsv")]
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
    /// All bytes pass as they are.
    AsIs,
    /// Bytes that are not UTF-8 are an error.
    Strict,
}

fn unescape_delimiter_arg(text: &str) -> Result<Bytes, String> {
    unescape_delimiter(text).map(Bytes)
}

impl FormatArgs {
    /// The format that these options name. An error is a sentence about the template.
    pub fn format(&self) -> Result<Format, String> {
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
