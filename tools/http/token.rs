//! Tokens of OpenID Connect from a token endpoint, by client credentials (RFC 6749, section 4.4).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::{TIMEOUT, cause, percent_encoded, while_wanted};

/// The most of an answer that is read: tokens are a few kilobytes.
const MOST_BYTES: usize = 1024 * 1024;

/// A token, and for how many seconds it is good where the endpoint says so.
pub fn fetch(
    settings: &Value,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<(String, Option<f64>), String> {
    let url = settings["url"].as_str().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let answer = runtime.block_on(while_wanted(ask(settings, url), is_unwanted));
    let answer = answer.ok_or("nobody waits for it any more")?;
    answer.map_err(|why| format!("{url}: {why}"))
}

async fn ask(settings: &Value, url: &str) -> Result<(String, Option<f64>), String> {
    let text = |name: &str| settings[name].as_str();
    let mut builder = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    let file = text("ca")
        .map(|path| std::fs::read(path).map_err(|why| format!("https.ca.location: {path}: {why}")));
    let file = file.transpose()?;
    let pem = file.as_deref().or(text("pem").map(str::as_bytes));
    if let Some(pem) = pem {
        let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|why| cause(&why))?;
        builder = builder.tls_certs_merge(certificates);
    }
    let client = builder.build().map_err(|why| cause(&why))?;
    let credentials = format!(
        "{}:{}",
        text("id").unwrap_or_default(),
        text("secret").unwrap_or_default()
    );
    let mut body = "grant_type=client_credentials".to_owned();
    if let Some(scope) = text("scope") {
        body.push_str("&scope=");
        body.push_str(&percent_encoded(scope));
    }
    let request = client
        .post(url)
        .header(
            "Authorization",
            format!("Basic {}", BASE64_STANDARD.encode(credentials)),
        )
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Accept", "application/json")
        .body(body);
    let mut response = request.send().await.map_err(|why| cause(&why))?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|why| cause(&why))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_BYTES {
            return Err("its answer is too long to be a token".to_owned());
        }
    }
    of_answer(status.as_u16(), &bytes)
}

/// The token of an answer, or why there is none (RFC 6749, sections 5.1 and 5.2).
fn of_answer(status: u16, body: &[u8]) -> Result<(String, Option<f64>), String> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if status != 200 {
        let words = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let said = [words("error"), words("error_description")].join(" ");
        return Err(format!("HTTP status {status} {}", said.trim())
            .trim_end()
            .to_owned());
    }
    match answer["access_token"].as_str() {
        Some(token) if !token.is_empty() => Ok((token.to_owned(), answer["expires_in"].as_f64())),
        _ => Err("there is no access_token in its answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::of_answer;
    use proptest::prelude::*;

    #[test]
    fn an_answer_gives_the_token_or_the_reason() {
        let good = br#"{"access_token":"abc","expires_in":300,"token_type":"Bearer"}"#;
        assert_eq!(of_answer(200, good), Ok(("abc".to_owned(), Some(300.0))));
        let refused = br#"{"error":"invalid_client","error_description":"wrong secret"}"#;
        assert_eq!(
            of_answer(401, refused),
            Err("HTTP status 401 invalid_client wrong secret".to_owned())
        );
        assert_eq!(of_answer(502, b"<html>"), Err("HTTP status 502".to_owned()));
        assert!(of_answer(200, b"{}").is_err());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status in any::<u16>(), body in proptest::collection::vec(any::<u8>(), 0..60)) {
            drop(of_answer(status, &body));
        }
    }
}
