//! The web configuration file of Prometheus' exporters (exporter-toolkit): TLS, users, headers.
//!
//! What of it is not honoured is an error that names it, never passed over.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use hyper::header::{HeaderName, HeaderValue};
use yaml_rust2::{Yaml, YamlLoader};

/// The file is not right.
#[derive(Debug, thiserror::Error)]
pub enum WebConfigError {
    /// A file can't be read.
    #[error("cannot read {0}")]
    Unread(String, #[source] std::io::Error),
    /// It says what can't be.
    #[error("{0}: {1}")]
    Wrong(String, String),
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct WebConfig {
    pub(super) tls: Option<TlsConfig>,
    /// Users with the bcrypt hashes of their passwords; none is that nobody is asked.
    pub(super) users: Vec<(String, String)>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// A certificate or a key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pem {
    File(PathBuf),
    Inline(String),
}

/// Whether a client shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    None,
    IfGiven,
    Required,
}

/// `tls_server_config`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TlsConfig {
    pub(super) cert: Pem,
    pub(super) key: Pem,
    pub(super) client_ca: Option<Pem>,
    pub(super) client_auth: ClientAuth,
    /// Whether TLS 1.2 is spoken, and whether 1.3 is.
    pub(super) versions: (bool, bool),
}

impl TlsConfig {
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|pem| match pem {
                Pem::File(path) => Some(path),
                Pem::Inline(_) => None,
            })
    }
}

/// Headers that the format knows.
const HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
];

/// Reads the file at `path`, in whose folder other files are looked for.
pub(super) fn read(path: &Path) -> Result<WebConfig, WebConfigError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| WebConfigError::Unread(name.clone(), error))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&text, folder).map_err(|reason| WebConfigError::Wrong(name, reason))
}

fn parse(text: &str, folder: &Path) -> Result<WebConfig, String> {
    let documents =
        YamlLoader::load_from_str(text).map_err(|error| format!("it is no YAML: {error}"))?;
    let mut config = WebConfig::default();
    let Some(document) = documents.first() else {
        return Ok(config);
    };
    for (name, value) in members(document, "the file")? {
        match name {
            "tls_server_config" => config.tls = tls(value, folder)?,
            "basic_auth_users" => config.users = users(value)?,
            "http_server_config" => config.headers = http(value)?,
            name => return Err(not_honoured(name)),
        }
    }
    Ok(config)
}

fn not_honoured(name: &str) -> String {
    format!("{name} is not honoured here")
}

fn members<'a>(value: &'a Yaml, what: &str) -> Result<Vec<(&'a str, &'a Yaml)>, String> {
    let wrong = || format!("{what} is no mapping of names to values");
    if value.is_null() {
        return Ok(Vec::new());
    }
    let hash = value.as_hash().ok_or_else(wrong)?;
    let pairs = hash
        .iter()
        .map(|(name, value)| Some((name.as_str()?, value)));
    pairs.collect::<Option<_>>().ok_or_else(wrong)
}

fn text<'a>(value: &'a Yaml, name: &str) -> Result<&'a str, String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("{name}: a text is expected"))
}

fn tls(value: &Yaml, folder: &Path) -> Result<Option<TlsConfig>, String> {
    let (mut cert, mut key, mut client_ca) = (None, None, None);
    let mut client_auth = ClientAuth::None;
    let (mut least, mut most) = ("TLS12", "TLS13");
    let members = members(value, "tls_server_config")?;
    if members.is_empty() {
        return Ok(None);
    }
    for (name, value) in members {
        let set = |place: &mut Option<Pem>, pem| match place.replace(pem) {
            None => Ok(()),
            Some(_) => Err(format!("{name}: it is given as a file and inline")),
        };
        match name {
            "cert_file" => set(&mut cert, Pem::File(folder.join(text(value, name)?)))?,
            "key_file" => set(&mut key, Pem::File(folder.join(text(value, name)?)))?,
            "client_ca_file" => {
                set(&mut client_ca, Pem::File(folder.join(text(value, name)?)))?;
            }
            "cert" => set(&mut cert, Pem::Inline(text(value, name)?.to_owned()))?,
            "key" => set(&mut key, Pem::Inline(text(value, name)?.to_owned()))?,
            "client_ca" => set(&mut client_ca, Pem::Inline(text(value, name)?.to_owned()))?,
            "client_auth_type" => client_auth = client_auth_of(text(value, name)?)?,
            "min_version" => least = version(text(value, name)?)?,
            "max_version" => most = version(text(value, name)?)?,
            name => return Err(not_honoured(name)),
        }
    }
    if client_auth != ClientAuth::None && client_ca.is_none() {
        return Err("client_auth_type: client_ca_file is missing".to_owned());
    }
    if client_auth == ClientAuth::None && client_ca.is_some() {
        return Err("client_ca_file: client_auth_type is missing".to_owned());
    }
    if least > most {
        return Err("min_version is above max_version".to_owned());
    }
    Ok(Some(TlsConfig {
        cert: cert.ok_or("cert_file is missing")?,
        key: key.ok_or("key_file is missing")?,
        client_ca,
        client_auth,
        versions: (least == "TLS12", most == "TLS13"),
    }))
}

fn client_auth_of(name: &str) -> Result<ClientAuth, String> {
    Ok(match name {
        "NoClientCert" => ClientAuth::None,
        "VerifyClientCertIfGiven" => ClientAuth::IfGiven,
        "RequireAndVerifyClientCert" => ClientAuth::Required,
        name => {
            return Err(format!(
                "client_auth_type: {name} is none of NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert"
            ));
        }
    })
}

fn version(name: &str) -> Result<&'static str, String> {
    match name {
        "TLS12" => Ok("TLS12"),
        "TLS13" => Ok("TLS13"),
        name => Err(format!("{name} is neither TLS12 nor TLS13")),
    }
}

fn users(value: &Yaml) -> Result<Vec<(String, String)>, String> {
    let mut users = Vec::new();
    for (name, hash) in members(value, "basic_auth_users")? {
        let hash = text(hash, name)?;
        if bcrypt::HashParts::from_str(hash).is_err() {
            return Err(format!(
                "basic_auth_users: what {name} has is no bcrypt hash"
            ));
        }
        users.push((name.to_owned(), hash.to_owned()));
    }
    Ok(users)
}

fn http(value: &Yaml) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut headers = Vec::new();
    for (name, value) in members(value, "http_server_config")? {
        match (name, value) {
            ("http2", Yaml::Boolean(false)) => {}
            ("http2", _) => return Err("http2: only HTTP/1.1 is spoken, so false".to_owned()),
            ("headers", value) => {
                for (name, value) in members(value, "headers")? {
                    let value = text(value, name)?;
                    let is_known = HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name));
                    let header = HeaderName::from_str(name).ok().filter(|_| is_known);
                    let header = header.ok_or_else(|| not_honoured(name))?;
                    let value = HeaderValue::from_str(value)
                        .map_err(|_| format!("{name}: its value can't be sent"))?;
                    headers.push((header, value));
                }
            }
            (name, _) => return Err(not_honoured(name)),
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<WebConfig, String> {
        parse(text, Path::new("/etc/klag"))
    }

    const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

    #[test]
    fn certificate_key_users_and_headers_are_read() {
        let config = parsed(&format!(
            "tls_server_config:\n  cert_file: server.crt\n  key_file: /keys/server.key\n  \
             client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  min_version: TLS13\n\
             basic_auth_users:\n  alice: {HASH}\n  bob: \"{HASH}\"\n\
             http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n"
        ))
        .unwrap();
        let file = |name: &str| Pem::File(name.into());
        assert_eq!(
            config.tls,
            Some(TlsConfig {
                cert: file("/etc/klag/server.crt"),
                key: file("/keys/server.key"),
                client_ca: Some(file("/etc/klag/ca.crt")),
                client_auth: ClientAuth::Required,
                versions: (false, true),
            })
        );
        let names: Vec<&str> = config.users.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["alice", "bob"]);
        assert_eq!(config.headers.len(), 1);
        let empty = parsed("").unwrap();
        assert!(empty.tls.is_none() && empty.users.is_empty());
    }

    #[test]
    fn what_is_not_honoured_is_named() {
        for (text, named) in [
            ("tls_sever_config: {}", "tls_sever_config"),
            ("rate_limit: {burst: 3}", "rate_limit"),
            ("tls_server_config: {cert_file: a}", "key_file"),
            (
                "tls_server_config: {cert_file: a, key_file: b, cipher_suites: [x]}",
                "cipher_suites",
            ),
            (
                "tls_server_config: {cert_file: a, cert: b, key_file: b}",
                "cert",
            ),
            (
                "tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}",
                "TLS10",
            ),
            (
                "tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, max_version: TLS12}",
                "min_version",
            ),
            (
                "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}",
                "client_auth_type",
            ),
            (
                "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequestClientCert}",
                "RequestClientCert",
            ),
            (
                "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}",
                "client_ca",
            ),
            ("basic_auth_users: {alice: secret}", "alice"),
            ("basic_auth_users: {alice: 12}", "alice"),
            ("http_server_config: {http2: true}", "http2"),
            ("http_server_config: {headers: {X-Other: a}}", "X-Other"),
            ("[1, 2]", "the file"),
            ("a: [", "YAML"),
        ] {
            let error = parsed(text).expect_err(text);
            assert!(error.contains(named), "{text}: {error}");
        }
        let error = read(Path::new("/nowhere/web.yml")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/web.yml"));
    }
}
