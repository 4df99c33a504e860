//! Properties from `-b`, `-X`, `-F`, the environment and files, put together into one validated set.
//!
//! Whoever names a property first wins, in the order in which the sources are
//! asked: the command line, a typed `-F`, `KAFKA_BROKERS`, `KCAT_CONFIG`, the
//! file in the home folder. kcat reads its default file last and lets it
//! override `-X`; that is not repeated here.

mod conf;
mod file;
mod java;
mod properties;
mod registry;
pub mod table;
mod trust;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use conf::Conf;
use properties::Dialect;

/// Where a property was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Option(&'static str),
    Environment(&'static str),
    /// A line of a file, counted from 1.
    File(PathBuf, usize),
    /// Nobody: what this toolkit sets where the user says nothing.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Option(name) | Source::Environment(name) => f.write_str(name),
            Source::File(path, line) => write!(f, "{}:{line}", path.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

/// What is wrong with the properties.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// librdkafka does not know it, or not with this value.
    #[error("{0}: {1}")]
    Property(Source, String),
    /// Several lines of a file are wrong.
    #[error("{}", first_errors(.0))]
    Several(Vec<OptionsError>),
    /// `-X` without `=`.
    #[error("-X {}: NAME=VALUE is expected (or `list`, or `dump`)", first_word(.0))]
    NoEquals(String),
    /// A file that was asked for can't be read.
    #[error("{0}: {1}")]
    Read(String, std::io::Error),
    /// Nobody says where the cluster is.
    #[error(
        "where is the cluster? Say -b HOST:PORT, or set KAFKA_BROKERS, or put bootstrap.servers=HOST:PORT into ~/.config/kcat.conf"
    )]
    NoBrokers,
    /// librdkafka would take the port modulo 65536, and ask somebody else.
    #[error("bootstrap.servers: {0}: a port is a number from 1 to 65535")]
    Port(String),
    /// librdkafka would take it for the name of one host.
    #[error("bootstrap.servers: {0}: brokers are HOST:PORT, separated by commas")]
    Separator(String),
    /// librdkafka takes no such address.
    #[error("bootstrap.servers: {0}: HOST:PORT is expected, not a URL")]
    Url(String),
    /// librdkafka passes over an address of another protocol.
    #[error("bootstrap.servers: {0}: -X security.protocol={1} is needed for this, not {2}")]
    Scheme(String, String, String),
}

/// A file that is no file of properties is wrong in each line.
fn first_errors(errors: &[OptionsError]) -> String {
    const MOST: usize = 5;
    let mut shown: Vec<String> = errors.iter().take(MOST).map(ToString::to_string).collect();
    if let more @ 1.. = errors.len().saturating_sub(MOST) {
        shown.push(format!("and {more} more"));
    }
    shown.join("; ")
}

/// What stands behind a name may be a password.
fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| c.is_whitespace() || c == ':');
    &text[..end.unwrap_or(text.len())]
}
/// The values of `security.protocol`, which librdkafka also takes in front of an address.
const PROTOCOLS: &[&str] = &["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

/// A port may be left out; a colon without brackets around it is also part of an IPv6 address.
fn has_valid_port(broker: &str) -> bool {
    let address = broker.trim().rsplit('/').next().unwrap_or_default();
    match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            port.parse::<u16>().is_ok_and(|port| port > 0)
        }
        _ => true,
    }
}

#[derive(Clone, Debug)]
struct Property {
    value: String,
    source: Source,
}

/// One validated set of librdkafka properties, and how to deal with the cluster.
#[derive(Clone, Debug)]
pub struct Options {
    properties: BTreeMap<String, Property>,
    /// What concerns only Java's clients, and where it was said.
    ignored: Vec<(String, Source)>,
    /// -1 quiet, 0 normal, 1 verbose, 2 with librdkafka's log.
    pub verbosity: i32,
    /// How long the first contact with the cluster may take.
    pub first_contact: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            properties: BTreeMap::new(),
            ignored: Vec::new(),
            verbosity: 0,
            first_contact: Duration::from_secs(5),
        }
    }
}

/// Names that mean the same property; the second is the one kept (librdkafka's CONFIGURATION.md, "Alias for").
const ALIASES: &[(&str, &str)] = &[
    ("metadata.broker.list", "bootstrap.servers"),
    ("request.required.acks", "acks"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("compression.codec", "compression.type"),
    ("message.send.max.retries", "retries"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("sasl.mechanism", "sasl.mechanisms"),
    (
        "sasl.oauthbearer.client.credentials.client.id",
        "sasl.oauthbearer.client.id",
    ),
    (
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.client.secret",
    ),
];

/// What follows `topic.` in names of librdkafka's own.
const OWN_TOPIC_PROPERTIES: &[&str] = &["metadata.", "blacklist"];

/// The one name of a property: aliases and kcat's `topic.` prefix resolved.
fn canonical(name: &str) -> &str {
    let of_topic = name
        .strip_prefix("topic.")
        .filter(|rest| !OWN_TOPIC_PROPERTIES.iter().any(|own| rest.starts_with(own)));
    let name = of_topic.unwrap_or(name);
    if let Some(whole) = registry::canonical(name) {
        return whole;
    }
    ALIASES
        .iter()
        .find_map(|&(alias, kept)| (alias == name).then_some(kept))
        .unwrap_or(name)
}

impl Options {
    /// Sets a property unless an earlier source has set it.
    pub fn set(&mut self, name: &str, value: &str, source: &Source) -> Result<(), OptionsError> {
        let typed = name.trim();
        let name = canonical(typed);
        conf::check(name, value).map_err(|reason| {
            // librdkafka may know the property by another name than the user does.
            let reason = if reason.contains(typed) {
                reason
            } else {
                format!("{typed}: {reason}")
            };
            OptionsError::Property(source.clone(), reason)
        })?;
        self.properties
            .entry(name.to_owned())
            .or_insert_with(|| Property {
                value: value.to_owned(),
                source: source.clone(),
            });
        Ok(())
    }

    /// Notes a property that concerns only Java's clients.
    fn ignore(&mut self, name: &str, source: &Source) {
        self.ignored.push((name.to_owned(), source.clone()));
    }

    /// Properties that concern only Java's clients, and where they were said.
    pub fn ignored(&self) -> impl Iterator<Item = (&str, &Source)> {
        let rows = self.ignored.iter();
        rows.map(|(name, source)| (name.as_str(), source))
    }

    /// Trusts the certificates of a store of Java's.
    fn trust_store(
        &mut self,
        path: &str,
        password: &str,
        source: &Source,
    ) -> Result<(), OptionsError> {
        let pem = trust::read_store(path, password)
            .map_err(|reason| OptionsError::Property(source.clone(), reason))?;
        self.set("ssl.ca.pem", &pem, source)
    }

    /// Checks the configured files of certificates and keys.
    pub(crate) fn check_files(&self) -> Result<(), OptionsError> {
        const FILES: &[&str] = &[
            "ssl.ca.location",
            "ssl.certificate.location",
            "ssl.key.location",
            "ssl.keystore.location",
        ];
        let protocol = self.get("security.protocol").unwrap_or_default();
        if !protocol.to_ascii_lowercase().ends_with("ssl") {
            return Ok(());
        }
        let configured = FILES
            .iter()
            .filter_map(|name| Some((name, self.properties.get(*name)?)));
        for (name, property) in configured {
            trust::check(name, &property.value)
                .map_err(|reason| OptionsError::Property(property.source.clone(), reason))?;
        }
        Ok(())
    }

    /// Sets a default of ours, which must be valid.
    pub fn set_default(&mut self, name: &str, value: &str) {
        debug_assert_eq!(conf::check(name, value), Ok(()));
        self.properties
            .entry(canonical(name).to_owned())
            .or_insert_with(|| Property {
                value: value.to_owned(),
                source: Source::Default,
            });
    }

    /// Overrides the user's value, for what a mode can't do without.
    pub fn force(&mut self, name: &str, value: &str) {
        debug_assert_eq!(conf::check(name, value), Ok(()));
        let property = Property {
            value: value.to_owned(),
            source: Source::Default,
        };
        self.properties.insert(canonical(name).to_owned(), property);
    }

    /// Forgets a property that another part of the program honours.
    pub(crate) fn remove(&mut self, name: &str) {
        self.properties.remove(canonical(name));
    }

    /// The value of a property, under any of its names.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.properties
            .get(canonical(name))
            .map(|p| p.value.as_str())
    }

    /// Whether the user, and not a default of ours, has set this property.
    pub fn is_set(&self, name: &str) -> bool {
        self.properties
            .get(canonical(name))
            .is_some_and(|p| p.source != Source::Default)
    }

    /// The validated bootstrap list.
    pub fn brokers(&self) -> Result<&str, OptionsError> {
        let brokers = self
            .get("bootstrap.servers")
            .filter(|brokers| !brokers.trim().is_empty())
            .ok_or(OptionsError::NoBrokers)?;
        for broker in brokers.split(',').map(str::trim) {
            self.check_broker(broker)?;
        }
        Ok(brokers)
    }

    fn check_broker(&self, broker: &str) -> Result<(), OptionsError> {
        if broker.contains(|c: char| c.is_whitespace() || ";|\"'".contains(c)) {
            return Err(OptionsError::Separator(broker.to_owned()));
        }
        if let Some((scheme, address)) = broker.split_once("://") {
            let scheme = scheme.to_ascii_uppercase();
            let protocol = self.get("security.protocol").unwrap_or("plaintext");
            let protocol = protocol.to_ascii_uppercase();
            if !PROTOCOLS.contains(&scheme.as_str()) || address.contains('/') {
                return Err(OptionsError::Url(broker.to_owned()));
            }
            if scheme != protocol {
                return Err(OptionsError::Scheme(broker.to_owned(), scheme, protocol));
            }
        }
        if has_valid_port(broker) {
            return Ok(());
        }
        Err(OptionsError::Port(broker.to_owned()))
    }

    /// Adds properties typed with `-X`: the last of a name wins; `@FILE` is the file's content.
    pub fn add_typed<'a>(
        &mut self,
        typed: impl DoubleEndedIterator<Item = &'a String>,
    ) -> Result<(), OptionsError> {
        for property in typed.rev() {
            let (name, value) = property
                .split_once('=')
                .filter(|(name, _)| !name.trim().is_empty())
                .ok_or_else(|| OptionsError::NoEquals(property.clone()))?;
            let value = match value.strip_prefix('@') {
                Some(literal) if literal.starts_with('@') => literal.to_owned(),
                Some(path) => read_secret(name, path)?,
                None => value.to_owned(),
            };
            self.set(name, &value, &Source::Option("-X"))?;
        }
        Ok(())
    }

    /// Adds `-F` files, the environment, and the files that are read without being asked for.
    pub fn add_files_and_environment(&mut self, typed: &[PathBuf]) -> Result<(), OptionsError> {
        for path in typed.iter().rev().filter(|path| !means_no_file(path)) {
            file::read(self, path, Dialect::Java, true)?;
        }
        let brokers = std::env::var("KAFKA_BROKERS").unwrap_or_default();
        if !brokers.is_empty() {
            self.set(
                "bootstrap.servers",
                &brokers,
                &Source::Environment("KAFKA_BROKERS"),
            )?;
        }
        if typed.is_empty() {
            self.add_default_file()?;
        }
        Ok(())
    }

    fn add_default_file(&mut self) -> Result<(), OptionsError> {
        for variable in ["KCAT_CONFIG", "KAFKACAT_CONFIG"] {
            if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
                return file::read(self, Path::new(&path), Dialect::Kcat, true);
            }
        }
        let Some(home) = std::env::var_os("HOME") else {
            return Ok(());
        };
        let config = Path::new(&home).join(".config");
        for name in ["kcat.conf", "kafkacat.conf"] {
            let path = config.join(name);
            if path.exists() {
                return file::read(self, &path, Dialect::Kcat, false);
            }
        }
        Ok(())
    }

    /// Every property in force with its value and source, for `-X dump`; secrets are masked.
    pub fn dump(&self) -> Vec<(String, String, String)> {
        let conf = Conf::build(self);
        let said = |name: &str| {
            self.properties
                .get(canonical(name))
                .map(|p| p.source.to_string())
        };
        let mask = |name: &str, value: String| {
            if is_secret(name) && !value.is_empty() {
                "[secret]".to_owned()
            } else {
                value
            }
        };
        let mut rows = conf.map(|conf| conf.dump()).unwrap_or_default();
        for (name, value) in rows.iter_mut().filter(|(name, _)| conf::is_own(name)) {
            if let Some(property) = self.properties.get(canonical(name)) {
                value.clone_from(&property.value);
            }
        }
        for (name, property) in &self.properties {
            if registry::is_known(name) {
                rows.push((name.clone(), property.value.clone()));
            }
        }
        rows.into_iter()
            .map(|(name, value)| {
                let source = said(&name).unwrap_or_default();
                let value = mask(&name, value);
                (name, value, source)
            })
            .collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Source)> {
        self.properties
            .iter()
            .map(|(name, p)| (name.as_str(), p.value.as_str(), &p.source))
    }
}

/// Whether a property's value must not be shown.
fn is_secret(name: &str) -> bool {
    name.contains("password")
        || name.contains("secret")
        || name.contains(".pem")
        || name.ends_with("keystore.key")
        || name.ends_with("auth.user.info")
        || name.ends_with("auth.token")
        || name == "sasl.oauthbearer.config"
}

/// kcat's `-F none` and `-F -`: no file at all.
fn means_no_file(path: &Path) -> bool {
    path == Path::new("none") || path == Path::new("-")
}

fn read_secret(name: &str, path: &str) -> Result<String, OptionsError> {
    let mut text = std::fs::read_to_string(path)
        .map_err(|e| OptionsError::Read(format!("-X {name}=@{path}"), e))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
