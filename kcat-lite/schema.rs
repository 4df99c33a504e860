//! `-s avro` and its like: keys and values that are JSON in the pipe and serialized in the topic.

mod list;
mod read;
mod write;

use tools::cli::signals::any_caught;
use tools::kafka::Options;
use tools::schema::JsonStyle;
use tools::schema::reader::Serialization;
use tools::schema::registry::{Registry, RegistryError};

pub(crate) use list::list;
pub(crate) use read::{ReadError, ReadSchemas, RecordReader, is_fatal, reading};
pub(crate) use write::{RecordWriter, WriteError, WriteSchemas, writing};

pub(crate) use tools::schema::registry::Settings as RegistrySettings;

use crate::cli::{SchemaArgs, Style};

impl From<Style> for JsonStyle {
    fn from(style: Style) -> JsonStyle {
        match style {
            Style::Tagged => JsonStyle::Tagged,
            Style::Plain => JsonStyle::Plain,
        }
    }
}

/// A name of `-s`.
fn serialization(name: Option<&str>) -> Result<Option<Serialization>, String> {
    name.map(|name| Serialization::parse(name).ok_or_else(|| format!("-s {name}: not supported")))
        .transpose()
}

/// Where the registry is, if one is needed.
fn registry(
    args: &SchemaArgs,
    used: [Option<Serialization>; 2],
    options: &Options,
) -> Result<Option<RegistrySettings>, String> {
    let mut used = used.into_iter().flatten();
    if used.all(|one| one == Serialization::Json) {
        return match &args.registry {
            Some(_) => Err("-r: -s json needs no registry".to_owned()),
            None => Ok(None),
        };
    }
    asking(args, options).map(Some)
}

/// Where the registry is.
pub(crate) fn asking(args: &SchemaArgs, options: &Options) -> Result<RegistrySettings, String> {
    let get = |name: &str| {
        let typed = args.registry.as_deref().filter(|_| name == "url");
        let whole = format!("schema.registry.{name}");
        let found = typed.or_else(|| options.get(&whole)).or_else(|| {
            // For credentials that are those of the cluster.
            name.starts_with("sasl.")
                .then(|| options.get(name))
                .flatten()
        });
        found.map(str::to_owned)
    };
    RegistrySettings::new(&get)
}

fn open(settings: Option<&RegistrySettings>) -> Result<Option<Registry>, RegistryError> {
    let open = |settings: &RegistrySettings| Registry::new(settings.clone(), any_caught);
    settings.map(open).transpose()
}
