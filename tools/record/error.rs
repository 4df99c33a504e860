//! What can be wrong with a format, with a record to be written, and with bytes to be read.

use std::borrow::Cow;
use std::fmt;

use super::template::TemplateError;

/// Why a format cannot be used to read records: a usage error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// An empty delimiter ends no record.
    #[error("an empty delimiter cannot end the records that are read")]
    EmptyDelimiter,
    /// An empty key delimiter separates no key.
    #[error("an empty key delimiter cannot separate a key from a value that is read")]
    EmptyKeyDelimiter,
    /// The template cannot be read back.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Why a record was not written. Nothing of it is in the output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// `--utf8=strict` met bytes that are not UTF-8.
    #[error("the {column} is not UTF-8 (at byte {byte})")]
    NotUtf8 {
        column: &'static str,
        /// The first byte that is wrong, counted from 1.
        byte: usize,
    },
    /// `%R` has four bytes for the length.
    #[error("the value of {bytes} bytes is too long for %R")]
    TooLong {
        /// The length of the value.
        bytes: usize,
    },
}

/// Why bytes are not a record. The caller adds the number of the line or record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    place: Cow<'static, str>,
    byte: Option<usize>,
    problem: String,
}

impl DecodeError {
    /// `place` names the part of the record, a column or a token; empty means the record as a whole.
    pub(super) fn new(
        place: impl Into<Cow<'static, str>>,
        problem: impl Into<String>,
    ) -> DecodeError {
        DecodeError {
            place: place.into(),
            byte: None,
            problem: problem.into(),
        }
    }

    /// A last line that has no newline, where a program that died may have left it.
    #[must_use]
    pub fn torn() -> DecodeError {
        DecodeError::new(
            "",
            "no newline at its end: a torn line, and no record (from a pipe a line of TSV counts when it is ended)",
        )
    }

    /// Adds the place within the record, given as an index from 0, shown counted from 1.
    pub(super) fn at(mut self, index: usize) -> DecodeError {
        self.byte = Some(index + 1);
        self
    }

    /// For an error within a part that starts at `index`.
    pub(super) fn moved_by(mut self, index: usize) -> DecodeError {
        self.byte = self.byte.map(|byte| byte + index);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.place.as_ref(), self.byte) {
            ("", None) => {}
            ("", Some(byte)) => write!(f, "byte {byte}: ")?,
            (place, None) => write!(f, "{place}: ")?,
            (place, Some(byte)) => write!(f, "{place}, byte {byte}: ")?,
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for DecodeError {}
