//! Where and why a value does not fit its schema.

use std::fmt;

/// What is wrong with a part of a value, and the path to it: `.items[3].price: expected long, found "x"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The steps from the inside to the outside.
    steps: Vec<Step>,
    reason: String,
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
        }
    }

    /// The way to the part, as jq writes it.
    pub(super) fn path(&self) -> String {
        let steps = self.steps.iter().rev().map(|step| match step {
            Step::Field(name) => format!(".{name}"),
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
