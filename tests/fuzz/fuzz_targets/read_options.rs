//! No file of properties makes the reader panic, every property has a line of the file, and a login comes through as it was written.
//!
//! Run it from the root of the repository: `.ci/fuzz read_options`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the library's own"
)]

// By their path, so that fuzzing needs no librdkafka; what they find in the module above them stands below.
#[path = "../../../tools/kafka/options/file.rs"]
mod file;
#[path = "../../../tools/kafka/options/java.rs"]
mod java;

#[path = "../../../tools/kafka/options/properties.rs"]
mod properties;

/// No property is a registry's here, and none has two names.
mod conf {
    pub(super) fn is_of_registry(_name: &str) -> bool {
        false
    }
}

fn canonical(name: &str) -> &str {
    name
}

use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;

#[derive(Clone, Debug)]
enum Source {
    File(PathBuf, usize),
}

#[derive(Debug)]
enum OptionsError {
    Property(Source, String),
    Read(String, std::io::Error),
    Several(Vec<OptionsError>),
}

/// Takes every property, where the real ones ask librdkafka.
#[derive(Default)]
struct Options(Vec<(String, String, usize)>);

impl Options {
    fn set(&mut self, name: &str, value: &str, source: &Source) -> Result<(), OptionsError> {
        let Source::File(_, line) = source;
        self.0.push((name.to_owned(), value.to_owned(), *line));
        Ok(())
    }

    fn ignore(&mut self, _name: &str, _source: &Source) {}

    fn trust_store(
        &mut self,
        _path: &str,
        _password: &str,
        _source: &Source,
    ) -> Result<(), OptionsError> {
        Ok(())
    }
}

fuzz_target!(|text: &str| {
    let lines = text.split(['\n', '\r']).count();
    for dialect in [properties::Dialect::Java, properties::Dialect::Kcat] {
        let mut options = Options::default();
        let in_the_file = |line: &usize| (1..=lines).contains(line);
        let holds = |error: &OptionsError| match error {
            OptionsError::Property(Source::File(_, line), _) => assert!(in_the_file(line)),
            other => panic!("nothing was read: {other:?}"),
        };
        match file::add(&mut options, Path::new("f"), text, dialect) {
            Ok(()) => {}
            Err(OptionsError::Several(errors)) => errors.iter().for_each(holds),
            Err(error) => holds(&error),
        }
        assert!(options.0.iter().all(|(_, _, line)| in_the_file(line)));
    }
    if let Some((name, password)) = text.split_once('\n') {
        log_in(name, password);
    }
});

/// A user name and password in quotes, as Kafka's documentation writes them, are what the broker is told.
fn log_in(name: &str, password: &str) {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let jaas = format!(
        "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{}\" password=\"{}\";",
        quoted(name),
        quoted(password)
    );
    let said = java::translate("sasl.jaas.config", &jaas, &|_| None);
    let expected = [("sasl.username", name), ("sasl.password", password)];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(said, Ok(java::Meaning::Is(expected.to_vec())));
}
