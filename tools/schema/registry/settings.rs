//! Where the registry is and how to log in there, under the names that Java's clients have.

use reqwest::Url;

/// Where a registry is.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Each is asked if those before it do not answer.
    pub(super) urls: Vec<Url>,
    pub(super) login: Login,
    /// Further headers of every request.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) tls: Tls,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Login {
    #[default]
    None,
    Basic(String, String),
    Token(String),
    /// A token endpoint, for [`crate::http::token::fetch`].
    Endpoint(serde_json::Value),
}

/// PEM texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    pub(super) ca: Option<Vec<u8>>,
    /// Certificate, key and the key's password.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>, String)>,
    pub(super) takes_any_host: bool,
}

/// The value of a property, by its name without prefix.
type Get<'g> = &'g dyn Fn(&str) -> Option<String>;

impl Settings {
    /// Reads the properties that `get` returns, and the files that they name.
    ///
    /// # Errors
    /// The reason, which names the property.
    pub fn new(typed: Get<'_>) -> Result<Settings, String> {
        let get: Get<'_> = &|name: &str| typed(name).filter(|value| !value.is_empty());
        let urls = get("url").ok_or("no registry: say -r URL")?;
        let mut settings = Settings::default();
        let mut user = None;
        for url in urls.split(',').map(str::trim) {
            let (url, found) = parse_url(url)?;
            user = user.or(found);
            settings.urls.push(url);
        }
        settings.login = login(get, user)?;
        for (header, name) in [
            ("target-sr-cluster", "bearer.auth.logical.cluster"),
            ("Confluent-Identity-Pool-Id", "bearer.auth.identity.pool.id"),
        ] {
            settings
                .headers
                .extend(get(name).map(|value| (header, value)));
        }
        settings.tls = tls(get)?;
        // Java's empty value means the same.
        let algorithm = typed("ssl.endpoint.identification.algorithm");
        settings.tls.takes_any_host =
            algorithm.is_some_and(|name| name.is_empty() || name.eq_ignore_ascii_case("none"));
        Ok(settings)
    }
}

/// The user's name and password may stand in the URL; they are taken off it, so that no message has them.
fn parse_url(text: &str) -> Result<(Url, Option<(String, String)>), String> {
    let wrong = |why: &str| format!("schema.registry.url: {why}, https://HOST:PORT is expected");
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("no URL of HTTP"));
    }
    let decoded = |text: &str| percent_decoded(text).ok_or_else(|| wrong("a wrong % escape"));
    let user = match (url.username(), url.password()) {
        ("", None) => None,
        (name, password) => Some((decoded(name)?, decoded(password.unwrap_or_default())?)),
    };
    // They fail for URLs without a host only.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok((url, user))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, left)) = rest.split_first() {
        rest = left;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, left) = rest.split_at_checked(2)?;
        bytes.push(crate::text::hex_byte(digits)?);
        rest = left;
    }
    String::from_utf8(bytes).ok()
}

fn login(get: Get<'_>, of_url: Option<(String, String)>) -> Result<Login, String> {
    let needed = |name: &str| get(name).ok_or_else(|| format!("{name} is missing"));
    let basic = |name: &str, info: &str| match info.split_once(':') {
        Some((user, password)) => Ok(Login::Basic(user.to_owned(), password.to_owned())),
        None => Err(format!("{name}: USER:PASSWORD is expected")),
    };
    match get("bearer.auth.credentials.source").as_deref() {
        None if get("bearer.auth.token").is_some() => {
            return Ok(Login::Token(needed("bearer.auth.token")?));
        }
        None => {}
        Some("STATIC_TOKEN") => return Ok(Login::Token(needed("bearer.auth.token")?)),
        Some("OAUTHBEARER") => {
            return Ok(Login::Endpoint(serde_json::json!({
                "url": needed("bearer.auth.issuer.endpoint.url")?,
                "id": needed("bearer.auth.client.id")?,
                "secret": needed("bearer.auth.client.secret")?,
                "scope": get("bearer.auth.scope"),
            })));
        }
        Some(other) => {
            return Err(format!(
                "bearer.auth.credentials.source: STATIC_TOKEN or OAUTHBEARER is expected, not `{other}`"
            ));
        }
    }
    let name = "basic.auth.user.info";
    match get("basic.auth.credentials.source").as_deref() {
        // Java wants the source as well; whoever gives a password means it to be used.
        None => match (get(name), of_url) {
            (Some(info), _) => basic(name, &info),
            (None, Some((user, password))) => Ok(Login::Basic(user, password)),
            (None, None) => Ok(Login::None),
        },
        Some("USER_INFO") => basic(name, &needed(name)?),
        Some("URL") => {
            Ok(of_url.map_or(Login::None, |(user, password)| Login::Basic(user, password)))
        }
        Some("SASL_INHERIT") => Ok(Login::Basic(
            needed("sasl.username")?,
            needed("sasl.password")?,
        )),
        Some(other) => Err(format!(
            "basic.auth.credentials.source: USER_INFO, URL or SASL_INHERIT is expected, not `{other}`"
        )),
    }
}

fn tls(get: Get<'_>) -> Result<Tls, String> {
    // A text, or a file by one of two names; what it holds is checked, because OpenSSL takes a file without anything.
    let pem = |holds: &str, text: &str, files: [&str; 2]| {
        if let Some(text) = get(text) {
            return Ok(Some(text.into_bytes()));
        }
        let mut typed = files.iter().filter_map(|name| Some((name, get(name)?)));
        // `probe` is librdkafka's word for the system's certificates.
        let Some((name, path)) = typed.find(|(_, path)| path != "probe") else {
            return Ok(None);
        };
        let name = format!("schema.registry.{name}");
        refuse_store(&name, &path)?;
        let bytes = std::fs::read(&path).map_err(|why| format!("{name}: {path}: {why}"))?;
        let found = String::from_utf8_lossy(&bytes).contains(&format!("{holds}-----"));
        let missing = || format!("{name}: there is no {} in {path}", holds.to_lowercase());
        found.then_some(Some(bytes)).ok_or_else(missing)
    };
    let stores = ["ssl.truststore.location", "ssl.keystore.location"];
    let certificate = "CERTIFICATE";
    let ca = pem(
        certificate,
        "ssl.truststore.certificates",
        ["ssl.ca.location", stores[0]],
    )?;
    let certificate = pem(
        certificate,
        "ssl.keystore.certificate.chain",
        ["ssl.certificate.location", stores[1]],
    )?;
    let key = pem("KEY", "ssl.keystore.key", ["ssl.key.location", stores[1]])?;
    let password = get("ssl.key.password").unwrap_or_default();
    Ok(Tls {
        ca,
        identity: match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key, password)),
            (None, None) => None,
            (Some(_), None) => return Err("schema.registry.ssl.key.location is missing".to_owned()),
            (None, Some(_)) => {
                return Err("schema.registry.ssl.certificate.location is missing".to_owned());
            }
        },
        takes_any_host: false,
    })
}

/// Only PEM is read; a store of Java's would be an obscure error of TLS.
fn refuse_store(name: &str, path: &str) -> Result<(), String> {
    let lower = path.to_ascii_lowercase();
    let endings = [".jks", ".p12", ".pfx", ".keystore", ".truststore"];
    if endings.iter().any(|ending| lower.ends_with(ending)) {
        return Err(format!(
            "{name}: {path} is a store of Java's; a PEM file is expected"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rows: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::new(&|name| {
            let found = rows.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_password_in_a_url_is_used_and_not_shown() {
        let found =
            settings(&[("url", "http://me:a%3Ab@one:1/x/, https://two:2")]).expect("settings");
        let urls: Vec<&str> = found.urls.iter().map(Url::as_str).collect();
        assert_eq!(urls, ["http://one:1/x", "https://two:2/"]);
        assert!(
            matches!(found.login, Login::Basic(user, password) if user == "me" && password == "a:b")
        );
        for wrong in ["one:1", "ftp://x", "http://", ""] {
            assert!(settings(&[("url", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_properties_of_a_clouds_client_file_are_a_login() {
        let url = ("url", "https://x");
        let source = ("basic.auth.credentials.source", "USER_INFO");
        let found =
            settings(&[url, source, ("basic.auth.user.info", "key:secret:x")]).expect("settings");
        assert!(
            matches!(found.login, Login::Basic(user, password) if user == "key" && password == "secret:x")
        );
        let error = settings(&[url, source]).expect_err("nothing to log in with");
        assert_eq!(error, "basic.auth.user.info is missing");
        let token = settings(&[
            url,
            ("bearer.auth.credentials.source", "STATIC_TOKEN"),
            ("bearer.auth.token", "t"),
            ("bearer.auth.logical.cluster", "lsrc-1"),
        ])
        .expect("settings");
        assert!(matches!(token.login, Login::Token(token) if token == "t"));
        assert_eq!(token.headers, [("target-sr-cluster", "lsrc-1".to_owned())]);
        let inherited = settings(&[
            url,
            ("basic.auth.credentials.source", "SASL_INHERIT"),
            ("sasl.username", "u"),
            ("sasl.password", "p"),
        ])
        .expect("settings");
        assert!(
            matches!(inherited.login, Login::Basic(user, password) if user == "u" && password == "p")
        );
        assert!(
            settings(&[url, ("ssl.truststore.location", "/a/b.jks")])
                .is_err_and(|why| why.contains("PEM"))
        );
    }
}
