//! `-s avro` and its like, `-r`, `--schema`: which values have a schema, and where it is.

use tools::kafka::Options;

use super::usage;
use crate::cli::{Cli, SchemaArgs};
use crate::schema::{self, ReadSchemas, WriteSchemas};

/// What `-s` may name besides packs.
const NAMES: &[&str] = &["avro", "json", "json-schema", "protobuf", "registry"];

/// The values of `-s`: packs, and the serializations of key and value.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unpacked {
    pub(super) packs: Vec<String>,
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
}

impl Unpacked {
    /// `key=` and `value=` say which, and the last of a kind counts.
    pub(super) fn new(values: &[String]) -> Unpacked {
        let (mut key, mut value) = (None, None);
        for text in values {
            match text.split_once('=') {
                Some(("key", name)) => key = Some(name),
                Some(("value", name)) => value = Some(name),
                _ => (key, value) = (Some(text.as_str()), Some(text.as_str())),
            }
        }
        let mut packs = Vec::new();
        let mut serialization = |part: &str, name: Option<&str>| {
            let name = name?;
            if NAMES.contains(&name) {
                return Some(name.to_owned());
            }
            packs.push(format!("{part}={name}"));
            None
        };
        let key = serialization("key", key);
        let value = serialization("value", value);
        Unpacked { packs, key, value }
    }
}

/// How to read what has a schema; `None` where nothing has.
pub(super) fn reading(
    cli: &Cli,
    unpacked: &Unpacked,
    options: &Options,
) -> anyhow::Result<Option<ReadSchemas>> {
    if !has_schema(&cli.schema, unpacked)? {
        return Ok(None);
    }
    let (key, value) = (unpacked.key.as_deref(), unpacked.value.as_deref());
    let read = schema::reading(&cli.schema, key, value, options);
    read.map(Some).map_err(usage)
}

/// How to write what has a schema; `None` where nothing has.
pub(super) fn writing(cli: &Cli, options: &Options) -> anyhow::Result<Option<WriteSchemas>> {
    let unpacked = Unpacked::new(&cli.unpack);
    if !unpacked.packs.is_empty() {
        return Err(usage(format_args!(
            "-s: a PACK is for reading; -P takes {}",
            NAMES.join(", ")
        )));
    }
    if !has_schema(&cli.schema, &unpacked)? {
        return Ok(None);
    }
    let (key, value) = (unpacked.key.as_deref(), unpacked.value.as_deref());
    let written = schema::writing(&cli.schema, key, value, options);
    written.map(Some).map_err(usage)
}

/// Refuses options of schemas where `-s` names none.
fn has_schema(args: &SchemaArgs, unpacked: &Unpacked) -> anyhow::Result<bool> {
    let typed = [
        ("-r", args.registry.is_some()),
        ("--json-style", args.json_style.is_some()),
        ("--undecodable", args.undecodable.is_some()),
        ("--schema", !args.schema.is_empty()),
        ("--schema-id", !args.schema_id.is_empty()),
        ("--message", !args.message.is_empty()),
    ];
    if args.schema.iter().any(String::is_empty) {
        return Err(usage("--schema: -P needs a FILE; -Q prints schemas"));
    }
    let has_schema = unpacked.key.is_some() || unpacked.value.is_some();
    match typed.iter().find(|(_, is_typed)| *is_typed) {
        Some((option, _)) if !has_schema => Err(usage(format_args!(
            "{option} needs -s {}",
            NAMES.join(" or ")
        ))),
        _ => Ok(has_schema),
    }
}

#[cfg(test)]
mod tests {
    use super::Unpacked;

    #[test]
    fn packs_and_serializations_are_told_apart_and_the_last_of_a_kind_counts() {
        let unpacked = |values: &[&str]| {
            let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
            let Unpacked { packs, key, value } = Unpacked::new(&values);
            (
                packs.join(" "),
                key.unwrap_or_default(),
                value.unwrap_or_default(),
            )
        };
        let parts = |packs: &str, key: &str, value: &str| {
            (packs.to_owned(), key.to_owned(), value.to_owned())
        };
        assert_eq!(unpacked(&["avro"]), parts("", "avro", "avro"));
        assert_eq!(
            unpacked(&["key=c", "value=avro"]),
            parts("key=c", "", "avro")
        );
        assert_eq!(unpacked(&["avro", "key=c"]), parts("key=c", "", "avro"));
        assert_eq!(unpacked(&["i", "value=json"]), parts("key=i", "", "json"));
    }
}
