//! Avro: schemas as the specification has them, and values between Avro's binary form and JSON.
//!
//! The parser is ours: apache-avro brings 26 crates, and its values lose the branch of a union and make lists of bytes.

mod decimal;
mod decode;
mod encode;
mod input;
mod iso;
mod logical;
mod parse;
#[cfg(test)]
mod tests;
mod union;

use std::borrow::Borrow;

use serde_json::Value;

pub use parse::ParseError;

use logical::Logical;

/// How deep values may be nested: every level takes a part of the stack.
const MAX_DEPTH: u32 = 400;

/// A parsed schema. A named type is one node, so that a recursive schema is a graph.
#[derive(Clone, Debug)]
pub struct Schema {
    nodes: Vec<Node>,
    root: usize,
}

#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    logical: Option<Logical>,
    /// What names this type in a union: its full name, or that of the primitive type.
    tag: String,
}

/// A type; others are named by their index.
#[derive(Clone, Debug)]
enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<Field>),
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    /// The name as JSON has it, with the colon.
    json_name: Vec<u8>,
    node: usize,
    default: Option<Value>,
}

impl Schema {
    /// The full name of the record, enum or fixed that this schema is.
    pub fn name(&self) -> Option<&str> {
        let root = &self.nodes[self.root];
        let is_named = matches!(root.kind, Kind::Record(_) | Kind::Enum(_) | Kind::Fixed(_));
        is_named.then_some(root.tag.as_str())
    }

    /// A type as a message names it.
    fn describe(&self, node: usize) -> String {
        let node = &self.nodes[node];
        match &node.kind {
            Kind::Record(_) => format!("an object for the record {}", node.tag),
            Kind::Enum(symbols) => format!("a symbol of {}: {}", node.tag, some_of(symbols)),
            Kind::Fixed(size) => format!("{size} bytes for {}", node.tag),
            Kind::Union(branches) => {
                let tags: Vec<&str> = branches
                    .iter()
                    .map(|&branch| self.nodes[branch].tag.as_str())
                    .collect();
                format!("one of {}", some_of(&tags))
            }
            Kind::Map(_) => "an object for a map".to_owned(),
            _ => match node.logical {
                Some(logical) => format!("{} ({logical})", node.tag),
                None => node.tag.clone(),
            },
        }
    }
}

/// The first names of many.
fn some_of<S: Borrow<str>>(names: &[S]) -> String {
    const MOST: usize = 8;
    let shown = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST {
        format!("{shown}, ...")
    } else {
        shown
    }
}
