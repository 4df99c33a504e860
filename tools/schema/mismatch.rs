//! Where and why a value does not fit its schema.

use std::fmt;

use serde_json::Value;

/// What is wrong with a part of a value, and the path to it: `.items[3].price: expected long, found "x"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The steps from the inside to the outside.
    steps: Vec<Step>,
    reason: String,
    /// The value fits more than one branch of a union.
    pub(super) is_ambiguous: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Item(usize),
}

impl Mismatch {
    pub(super) fn new(reason: impl Into<String>) -> Mismatch {
        Mismatch {
            steps: Vec::new(),
            reason: reason.into(),
            is_ambiguous: false,
        }
    }

    /// The value fits more than one branch of a union.
    pub(super) fn ambiguous(reason: String) -> Mismatch {
        Mismatch {
            is_ambiguous: true,
            ..Mismatch::new(reason)
        }
    }

    /// The way to the part, as jq writes it.
    pub(super) fn path(&self) -> String {
        let steps = self.steps.iter().rev().map(|step| match step {
            Step::Field(name) if is_identifier(name) => format!(".{name}"),
            Step::Field(name) => format!("[{}]", Value::from(name.as_str())),
            Step::Item(index) => format!("[{index}]"),
        });
        steps.collect()
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// In this field, or under this key.
    #[must_use]
    pub(super) fn in_field(mut self, name: &str) -> Mismatch {
        self.steps.push(Step::Field(name.to_owned()));
        self
    }

    /// In this item of an array, counted from 0.
    #[must_use]
    pub(super) fn in_item(mut self, index: usize) -> Mismatch {
        self.steps.push(Step::Item(index));
        self
    }
}

/// Whether jq takes the name without quotes; the full name of a union's branch has dots.
fn is_identifier(name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    !name.is_empty() && name.chars().all(is_word)
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Mismatch {}

#[cfg(test)]
mod tests {
    use super::Mismatch;

    #[test]
    fn a_path_stays_on_one_line_whatever_keys_a_map_has() {
        let wrong = Mismatch::new("no")
            .in_item(3)
            .in_field("a\n\"b")
            .in_field("shop.Card");
        assert_eq!(wrong.to_string(), ".shop.Card[\"a\\n\\\"b\"][3]: no");
    }
}
