//! Files of properties: librdkafka's and kcat's (`name=value`), and Java's client.properties.

use std::path::Path;

use super::java::{self, Meaning};
use super::properties::{self, Dialect, Entry};
use super::{Options, OptionsError, Source};

/// Reads `path` into `options`. A file that was asked for must be there; later lines win over earlier ones.
pub(super) fn read(
    options: &mut Options,
    path: &Path,
    dialect: Dialect,
    asked_for: bool,
) -> Result<(), OptionsError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if !asked_for && error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OptionsError::Read(path.display().to_string(), error)),
    };
    add(options, path, &properties::text_of(&bytes), dialect)
}

/// Adds what the text of the file `path` says; all of its errors are reported together.
pub(super) fn add(
    options: &mut Options,
    path: &Path,
    text: &str,
    dialect: Dialect,
) -> Result<(), OptionsError> {
    let source = |line| Source::File(path.to_owned(), line);
    let entries = properties::parse(text, dialect)
        .map_err(|(line, reason)| OptionsError::Property(source(line), reason))?;
    let other = |name: &str| {
        let found = entries.iter().rev().find(|entry| entry.name == name);
        found.and_then(|entry| entry.value.clone())
    };
    let mut wrong = Vec::new();
    for entry in entries.iter().rev() {
        let source = source(entry.line);
        if let Err(error) = add_entry(options, entry, &source, &other) {
            wrong.push(error);
        }
    }
    wrong.reverse();
    match wrong.len() {
        0 => Ok(()),
        1 => Err(wrong.remove(0)),
        _ => Err(OptionsError::Several(wrong)),
    }
}

fn add_entry(
    options: &mut Options,
    entry: &Entry,
    source: &Source,
    other: &dyn Fn(&str) -> Option<String>,
) -> Result<(), OptionsError> {
    let name = &entry.name;
    let Some(value) = &entry.value else {
        // What is in the line may be a secret.
        return Err(OptionsError::Property(
            source.clone(),
            "NAME=VALUE is expected".to_owned(),
        ));
    };
    let fail = |reason| OptionsError::Property(source.clone(), reason);
    match java::translate(name, value, other).map_err(fail)? {
        Meaning::Is(rows) => {
            for (name, value) in rows {
                options.set(&name, &value, source)?;
            }
            Ok(())
        }
        Meaning::Ignored => {
            // Said of a store, and used with it.
            if !name.contains("store.") {
                options.ignore(name, source);
            }
            Ok(())
        }
        Meaning::TrustStore(path) => {
            let password = other("ssl.truststore.password").unwrap_or_default();
            options.trust_store(&path, &password, source)
        }
    }
}
