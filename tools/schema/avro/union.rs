//! The branch of a union that a JSON value means.
//!
//! A tag says it. Without one, the branches that the value fits are found by trying; of whole numbers and fractions those
//! are the numbers of the same sort. Where more than one is left nothing is guessed.

use serde_json::Value;

use super::encode::{Walk, write_long};
use super::{Kind, Schema};
use crate::schema::{JsonStyle, Mismatch};

impl Walk<'_> {
    pub(super) fn union(
        &mut self,
        node: usize,
        branches: &[usize],
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        let tagged = tagged(self.schema, branches, value);
        if self.style == JsonStyle::Tagged
            && let Some((number, inner)) = tagged
        {
            let start = out.len();
            match self.branch(branches, number, inner, out) {
                Ok(()) => return Ok(()),
                // It may be a map or record whose only name is that of a branch.
                Err(wrong) => {
                    out.truncate(start);
                    let untagged = self.untagged(node, branches, value, out);
                    let tag = &self.schema.nodes[branches[number]].tag;
                    return untagged.map_err(|_| wrong.in_field(tag));
                }
            }
        }
        let start = out.len();
        let untagged = self.untagged(node, branches, value, out);
        match (untagged, tagged) {
            (Err(_), Some((number, inner))) => {
                out.truncate(start);
                self.branch(branches, number, inner, out)
            }
            (untagged, _) => untagged,
        }
    }

    fn branch(
        &mut self,
        branches: &[usize],
        number: usize,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        write_long(number as i64, out);
        self.value(branches[number], value, out)
    }

    /// Writes the value as the only branch that it fits.
    fn untagged(
        &mut self,
        node: usize,
        branches: &[usize],
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        let start = out.len();
        let mut fitting: Option<(usize, usize)> = None;
        let mut refused: Vec<Mismatch> = Vec::new();
        for (number, &branch) in branches.iter().enumerate() {
            if !self.is_of_sort(branches, branch, value) {
                continue;
            }
            self.spend_try()?;
            let end = out.len();
            match (self.branch(branches, number, value, out), fitting) {
                (Ok(()), None) => fitting = Some((branch, out.len())),
                (Ok(()), Some((other, _))) => {
                    out.truncate(start);
                    return Err(self.ambiguous(other, branch));
                }
                (Err(wrong), _) => {
                    out.truncate(end);
                    refused.push(wrong);
                }
            }
        }
        match (fitting, refused.len()) {
            (Some((_, end)), _) => {
                out.truncate(end);
                Ok(())
            }
            (None, count) => {
                // What fits but for a choice within it, or is the one branch of this sort, says more than the list of all.
                let best = refused.iter().position(|it| it.is_ambiguous);
                let best = best.or_else(|| (count == 1).then_some(0));
                Err(best.map_or_else(|| self.unexpected(node, value), |at| refused.remove(at)))
            }
        }
    }

    fn ambiguous(&self, one: usize, other: usize) -> Mismatch {
        let [one, other] = [one, other].map(|branch| &self.schema.nodes[branch].tag);
        Mismatch::ambiguous(format!(
            "fits {one} and {other} of the union: write {{\"{one}\": ...}} or {{\"{other}\": ...}}"
        ))
    }

    /// Whether a value may be meant as this branch: an int is no double where the union has an int or a long.
    fn is_of_sort(&self, branches: &[usize], branch: usize, value: &Value) -> bool {
        let kind = |branch: usize| &self.schema.nodes[branch].kind;
        let is_whole = |branch: &usize| matches!(kind(*branch), Kind::Int | Kind::Long);
        match (kind(branch), value) {
            (Kind::Null, _) => value.is_null(),
            (Kind::Float | Kind::Double, Value::Number(number)) => {
                number.is_f64() || !branches.iter().any(is_whole)
            }
            (Kind::Record(_) | Kind::Map(_), _) => value.is_object(),
            (Kind::Array(_), _) => value.is_array(),
            (Kind::String | Kind::Enum(_), _) => value.is_string(),
            (Kind::Boolean, _) => value.is_boolean(),
            _ => !(value.is_null() || value.is_array() || value.is_object()),
        }
    }
}

/// The branch that the only name of an object is the tag of, and the value under it.
fn tagged<'v>(schema: &Schema, branches: &[usize], value: &'v Value) -> Option<(usize, &'v Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (tag, inner) = object.iter().next()?;
    let has_tag = |&&branch: &&usize| schema.nodes[branch].tag == *tag;
    let branch = branches.iter().find(has_tag)?;
    let number = branches.iter().position(|one| one == branch)?;
    Some((number, inner))
}
