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
}

fuzz_target!(|text: &str| {
    let mut options = Options::default();
    let lines = text.lines().count();
    let in_the_file = |line: &usize| (1..=lines).contains(line);
    match file::add(&mut options, Path::new("f"), text) {
        Ok(()) => {}
        Err(OptionsError::Property(Source::File(_, line), _)) => assert!(in_the_file(&line)),
        Err(OptionsError::Read(_, error)) => panic!("nothing was read: {error}"),
    }
    assert!(options.0.iter().all(|(_, _, line)| in_the_file(line)));
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
    let said = java::translate("sasl.jaas.config".to_owned(), jaas);
    let expected = [("sasl.username", name), ("sasl.password", password)];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(said.as_deref(), Ok(&expected[..]));
}
