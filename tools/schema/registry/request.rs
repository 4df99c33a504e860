//! Requests to a registry: each of its URLs in turn, with a pause when all have failed.

use std::time::{Duration, Instant};

use reqwest::{Certificate, Client, Identity, Method, Response, Url};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::RegistryError;
use super::settings::{Login, Settings, Tls};
use crate::http::{TIMEOUT, cause, token, while_wanted};

/// The pauses before a request is tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// The most of an answer that is read.
const MOST_BYTES: usize = 16 * 1024 * 1024;
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// A token of unknown lifetime is fetched again after this.
const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// Sends requests and reads answers.
pub(super) struct Http {
    settings: Settings,
    client: Client,
    runtime: Runtime,
    /// Whether nobody waits for an answer any more.
    is_unwanted: fn() -> bool,
    /// A token of a token endpoint, and until when it is used.
    token: Option<(String, Instant)>,
}

/// Why a URL gave no answer of the registry's.
enum Failure {
    /// The registry's last word.
    Final(RegistryError),
    /// Another URL, or another try, may do.
    Transient(String),
}

impl Http {
    pub(super) fn new(
        settings: Settings,
        is_unwanted: fn() -> bool,
    ) -> Result<Http, RegistryError> {
        let failed = |reason: String| RegistryError::Failed(reason);
        let client =
            client(&settings.tls).map_err(|why| failed(format!("schema registry: {why}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        Ok(Http {
            settings,
            client,
            runtime,
            is_unwanted,
            token: None,
        })
    }

    /// The JSON that the registry answers.
    pub(super) fn ask(
        &mut self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RegistryError> {
        self.refresh_token()?;
        let asked = while_wanted(self.ask_all(method, path, body), &self.is_unwanted);
        let asked = self.runtime.block_on(asked);
        asked.unwrap_or_else(|| {
            let url = &self.settings.urls[0];
            let text = format!("schema registry {url}: {path}: no answer before the signal");
            Err(RegistryError::Failed(text))
        })
    }

    async fn ask_all(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RegistryError> {
        let mut pauses = PAUSES.iter();
        loop {
            let mut reason = String::new();
            for url in &self.settings.urls {
                match self.ask_one(url, method, path, body).await {
                    Ok(value) => return Ok(value),
                    Err(Failure::Final(error)) => return Err(error),
                    Err(Failure::Transient(why)) => reason = format!("{url}: {why}"),
                }
            }
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(RegistryError::Failed(format!("schema registry {reason}"))),
            }
        }
    }

    async fn ask_one(
        &self,
        url: &Url,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let address = format!("{}{path}", url.as_str().trim_end_matches('/'));
        let mut request = self
            .client
            .request(method.clone(), address)
            .header("Accept", format!("{MEDIA_TYPE}, application/json"));
        for (name, value) in &self.settings.headers {
            request = request.header(*name, value);
        }
        request = match (&self.settings.login, &self.token) {
            (Login::None, _) | (Login::Endpoint(_), None) => request,
            (Login::Basic(user, password), _) => request.basic_auth(user, Some(password)),
            (Login::Token(token), _) | (Login::Endpoint(_), Some((token, _))) => {
                request.bearer_auth(token)
            }
        };
        if let Some(body) = body {
            let text = body.to_string();
            request = request.header("Content-Type", MEDIA_TYPE).body(text);
        }
        let sent = request.send().await;
        let response = sent.map_err(|why| Failure::Transient(cause(&why)))?;
        let status = response.status().as_u16();
        let answer = read(response, path).await;
        let answer = answer.and_then(|answer| of_answer(status, &answer, path));
        answer.map_err(|failure| match failure {
            Failure::Final(RegistryError::Failed(why)) => Failure::Final(RegistryError::Failed(
                format!("schema registry {url}: {why}"),
            )),
            other => other,
        })
    }

    fn refresh_token(&mut self) -> Result<(), RegistryError> {
        let Login::Endpoint(endpoint) = &self.settings.login else {
            return Ok(());
        };
        let now = Instant::now();
        if self.token.as_ref().is_some_and(|(_, until)| now < *until) {
            return Ok(());
        }
        let fetched = token::fetch(endpoint, &self.is_unwanted);
        let (token, lifetime_s) = fetched.map_err(RegistryError::Failed)?;
        // Renewed when most of its time is over.
        let lifetime =
            lifetime_s.and_then(|seconds| Duration::try_from_secs_f64(seconds * 0.8).ok());
        let until = now.checked_add(lifetime.unwrap_or(TOKEN_LIFETIME));
        self.token = Some((token, until.unwrap_or(now)));
        Ok(())
    }
}

fn client(tls: &Tls) -> Result<Client, String> {
    let mut builder = Client::builder()
        .timeout(TIMEOUT)
        .tls_danger_accept_invalid_hostnames(tls.takes_any_host);
    if let Some(pem) = &tls.ca {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|why| cause(&why))?;
        builder = builder.tls_certs_only(certificates);
    }
    if let Some((certificate, key, password)) = &tls.identity {
        let wrong =
            |why: openssl::error::ErrorStack| format!("the key of schema.registry.ssl.*: {why}");
        let key = openssl::pkey::PKey::private_key_from_pem_passphrase(key, password.as_bytes());
        let key = key
            .and_then(|key| key.private_key_to_pem_pkcs8())
            .map_err(wrong)?;
        let identity = Identity::from_pkcs8_pem(certificate, &key).map_err(|why| cause(&why))?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|why| cause(&why))
}

async fn read(mut response: Response, path: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await;
        match chunk.map_err(|why| Failure::Transient(cause(&why)))? {
            None => return Ok(bytes),
            Some(chunk) => bytes.extend_from_slice(&chunk),
        }
        if bytes.len() > MOST_BYTES {
            let text = format!("{path}: its answer is too long to be a schema");
            return Err(Failure::Final(RegistryError::Failed(text)));
        }
    }
}

/// The value of an answer, or what it means that there is none.
fn of_answer(status: u16, body: &[u8], path: &str) -> Result<Value, Failure> {
    let answer = serde_json::from_slice::<Value>(body);
    if status == 200 {
        let failed = |_| {
            let text = format!("{path}: its answer is not JSON: is this a schema registry?");
            Failure::Final(RegistryError::Failed(text))
        };
        return answer.map_err(failed);
    }
    let answer = answer.unwrap_or_default();
    let words = answer["message"].as_str().unwrap_or_default();
    let words: String = words.chars().take(500).collect();
    let text = format!("{path}: HTTP status {status} {words}");
    let text = text.trim_end().to_owned();
    Err(match status {
        // A path that no registry has is answered with 404 as well, but not in its words.
        404 if answer["error_code"].is_number() => Failure::Final(RegistryError::NotFound(words)),
        408 | 429 | 500..=599 => Failure::Transient(text),
        401 | 403 => Failure::Final(RegistryError::Failed(format!(
            "{text} (basic.auth.user.info or bearer.auth.token is what logs in)"
        ))),
        _ => Failure::Final(RegistryError::Failed(text)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<Value, String> {
        of_answer(status, body.as_bytes(), "/x").map_err(|failure| match failure {
            Failure::Final(RegistryError::NotFound(why)) => format!("not found {why}"),
            Failure::Final(RegistryError::Failed(why)) => format!("final {why}"),
            Failure::Transient(why) => format!("transient {why}"),
        })
    }

    #[test]
    fn an_answer_is_json_a_final_word_or_worth_another_try() {
        assert_eq!(answer(200, "[1]"), Ok(serde_json::json!([1])));
        let error = |status, body| answer(status, body).expect_err("no value");
        assert!(error(200, "<html>").starts_with("final /x: its answer is not JSON"));
        let missing = r#"{"error_code":40403,"message":"Schema not found"}"#;
        assert_eq!(error(404, missing), "not found Schema not found");
        assert_eq!(error(404, "<html>"), "final /x: HTTP status 404");
        assert_eq!(error(503, ""), "transient /x: HTTP status 503");
        assert!(error(401, "").starts_with("final /x: HTTP status 401"));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status in any::<u16>(), body in "\\PC{0,40}") {
            drop(answer(status, &body));
        }
    }
}
