//! OpenID Connect: tokens from a token endpoint by client credentials (RFC 6749, section 4.4), under librdkafka's names.
//!
//! librdkafka's own client for this needs libcurl. Its properties are taken
//! here, and never reach it; what it is given is the token.

use serde_json::{Value, json};

use super::options::Options;

/// What `options` say of where tokens come from; `None` where that is not OIDC.
pub(super) fn settings(options: &Options) -> Option<Result<Value, String>> {
    let is_oidc = options
        .get("sasl.oauthbearer.method")
        .is_some_and(|method| method.eq_ignore_ascii_case("oidc"));
    if !is_oidc {
        return None;
    }
    let needed = |name: &str| {
        let value = options.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("sasl.oauthbearer.method=oidc needs {name}"))
    };
    let settings = || {
        Ok(json!({
            "url": needed("sasl.oauthbearer.token.endpoint.url")?,
            "id": needed("sasl.oauthbearer.client.id")?,
            "secret": needed("sasl.oauthbearer.client.secret")?,
            "scope": options.get("sasl.oauthbearer.scope"),
            "ca": options.get("https.ca.location").filter(|path| *path != "probe"),
            "pem": options.get("https.ca.pem"),
        }))
    };
    Some(settings())
}
