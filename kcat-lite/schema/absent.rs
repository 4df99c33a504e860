//! A build without schemas: every option that needs them is refused.
#![expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    reason = "the signatures are those of a build with schemas"
)]

pub(crate) use std::convert::Infallible as ReadError;
pub(crate) use std::convert::Infallible as WriteError;

use tools::cli::Exit;
use tools::kafka::Options;
use tools::record::{Embedded, Format, Record};

use crate::cli::SchemaArgs;
use crate::config::SchemaQuery;

pub(crate) use std::convert::Infallible as ReadSchemas;
pub(crate) use std::convert::Infallible as RegistrySettings;
pub(crate) use std::convert::Infallible as WriteSchemas;

const REFUSAL: &str = "this build has no schemas (cargo install --features schema-registry)";

pub(crate) fn reading(
    _args: &SchemaArgs,
    _key: Option<&str>,
    _value: Option<&str>,
    _options: &Options,
) -> Result<ReadSchemas, String> {
    Err(REFUSAL.to_owned())
}

pub(crate) fn writing(
    _args: &SchemaArgs,
    _key: Option<&str>,
    _value: Option<&str>,
    _options: &Options,
) -> Result<WriteSchemas, String> {
    Err(REFUSAL.to_owned())
}

pub(crate) fn asking(_args: &SchemaArgs, _options: &Options) -> Result<RegistrySettings, String> {
    Err(REFUSAL.to_owned())
}

pub(crate) fn list(config: &SchemaQuery) -> anyhow::Result<Exit> {
    match config.registry {}
}

pub(crate) fn is_fatal(error: &ReadError) -> bool {
    match *error {}
}

/// Nobody makes one.
pub(crate) struct RecordReader(ReadSchemas);

impl RecordReader {
    pub(crate) fn new(schemas: &ReadSchemas, _format: &Format) -> anyhow::Result<RecordReader> {
        match *schemas {}
    }

    pub(crate) fn apply<T>(
        &mut self,
        _record: &Record<'_>,
        _use_it: impl FnOnce(&Record<'_>) -> T,
    ) -> Result<T, ReadError> {
        match self.0 {}
    }
}

/// Nobody makes one.
pub(crate) struct RecordWriter(WriteSchemas);

impl RecordWriter {
    pub(crate) fn new(
        schemas: Option<&WriteSchemas>,
        _topic: Option<&str>,
    ) -> anyhow::Result<Option<RecordWriter>> {
        match schemas {
            None => Ok(None),
            Some(&schemas) => match schemas {},
        }
    }

    pub(crate) fn embedded(&self) -> Embedded {
        match self.0 {}
    }

    pub(crate) fn apply<T>(
        &mut self,
        _record: &Record<'_>,
        _use_it: impl FnOnce(&Record<'_>) -> T,
    ) -> Result<T, WriteError> {
        match self.0 {}
    }
}
