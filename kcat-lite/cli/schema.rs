//! The options of values that are serialized with a schema.

use clap::{Args, ValueEnum};

/// The options of schemas, as typed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Schemas: see kafka-records(5)")]
pub(crate) struct SchemaArgs {
    /// The schema registries; each is asked if the ones before it do not answer
    #[arg(short = 'r', long = "registry", value_name = "URL,...")]
    pub(crate) registry: Option<String>,

    /// With -s: how JSON shows unions, bytes and logical types [default: tagged]
    #[arg(long = "json-style", value_name = "STYLE")]
    pub(crate) json_style: Option<Style>,

    /// With -J -s: if a key or value can't be decoded, write it as base64 and continue
    #[arg(long = "undecodable", value_name = "FORM")]
    pub(crate) undecodable: Option<Undecodable>,

    /// With -P: the schema to write values with [default: the subject's latest]; with -Q: print schemas
    ///
    /// -P: the registry must know it under the subject, unless
    /// -X auto.register.schemas=true registers it. -Q takes no FILE, and prints
    /// the schemas that the newest records use (100, or --last N).
    #[arg(long = "schema", value_name = "[key=]FILE", num_args = 0..=1, default_missing_value = "")]
    pub(crate) schema: Vec<String>,

    /// With -P: the id of the schema; `record` takes it from each record's value_schema_id
    #[arg(long = "schema-id", value_name = "[key=]ID")]
    pub(crate) schema_id: Vec<String>,

    /// With -P -s protobuf: the message of the schema to write [default: the first]
    #[arg(long = "message", value_name = "[key=]NAME")]
    pub(crate) message: Vec<String>,
}

/// `--json-style`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// As Java's console consumer: {"string": "x"}
    Tagged,
    /// Unions without tags, base64, ISO times
    Plain,
}

/// `--undecodable`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Undecodable {
    /// key_base64 or payload_base64
    Base64,
}
