//! OAUTHBEARER tokens from a file, a command or a token endpoint, refreshed before they expire.
//!
//! librdkafka passes `sasl.oauthbearer.config` to its application (rdkafka.h,
//! `rd_kafka_conf_set_oauthbearer_token_refresh_cb`). Here it is `file:PATH` or
//! `command:COMMAND`, which [`callback_config`] wraps into JSON. A token's claim
//! `exp` is when it expires, `sub` its principal (RFC 7519); a token that is no
//! JWT is refreshed after five minutes, or when its endpoint says.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_void};
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::client::is_closing;
use super::ffi;
use super::options::{Conf, Options};
use super::process;

/// How long to use a token without an expiry.
const OPAQUE_TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// A token with its principal and expiry.
#[derive(Debug, PartialEq, Eq)]
struct Token {
    text: String,
    principal: String,
    expires_ms: i64,
}

const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// How often to check whether a command has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The configuration that librdkafka passes to [`refresh`], if these properties name a source of tokens; an error if
/// one is missing.
pub(super) fn callback_config(options: &Options) -> Option<Result<String, String>> {
    let mechanism = options.get("sasl.mechanisms").unwrap_or_default();
    if !mechanism.eq_ignore_ascii_case("OAUTHBEARER") {
        return None;
    }
    let config = options.get("sasl.oauthbearer.config").unwrap_or_default();
    let endpoint = endpoint(options);
    if endpoint.is_none() && TokenSource::parse(config).is_none() {
        return None;
    }
    let extensions = options.get("sasl.oauthbearer.extensions");
    Some(endpoint.transpose().map(|endpoint| {
        json!({ "source": config, "oidc": endpoint, "extensions": extensions }).to_string()
    }))
}

#[cfg(feature = "oidc")]
fn endpoint(options: &Options) -> Option<Result<Value, String>> {
    super::oidc::settings(options)
}

#[cfg(not(feature = "oidc"))]
fn endpoint(_options: &Options) -> Option<Result<Value, String>> {
    None
}

/// Registers [`refresh`] with `conf`.
pub(super) fn register_callback(conf: &Conf) {
    // SAFETY: the configuration is live; the callback has the type that librdkafka calls.
    unsafe {
        ffi::rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf.as_ptr(), Some(refresh));
        ffi::rd_kafka_conf_enable_sasl_queue(conf.as_ptr(), 1);
    }
}

/// Lets librdkafka call back on its own thread, so that nobody has to poll before there is a connection.
///
/// # Safety
/// `rk` is live, created from a configuration passed to [`register_callback`].
pub(super) unsafe fn enable_background_callbacks(rk: *mut ffi::rd_kafka_t) {
    // SAFETY: the caller's promise. It fails only without a SASL queue, which `register_callback` enabled.
    unsafe { ffi::take_error(ffi::rd_kafka_sasl_background_callbacks_enable(rk)) };
}

/// Where a token comes from.
#[derive(Debug, PartialEq, Eq)]
enum TokenSource<'a> {
    File(&'a str),
    Command(&'a str),
}

impl TokenSource<'_> {
    fn parse(config: &str) -> Option<TokenSource<'_>> {
        let file = config.strip_prefix("file:").map(TokenSource::File);
        file.or_else(|| config.strip_prefix("command:").map(TokenSource::Command))
    }

    fn read(&self, is_cancelled: &dyn Fn() -> bool) -> Result<String, String> {
        let text = match self {
            TokenSource::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?
            }
            TokenSource::Command(command) => run(command, is_cancelled)?,
        };
        match text.trim() {
            "" => Err("there is none".to_owned()),
            text => Ok(text.to_owned()),
        }
    }
}

/// A command's output; kills it if it runs too long or the client is closed.
fn run(command: &str, is_cancelled: &dyn Fn() -> bool) -> Result<String, String> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut child = process::spawn_isolated(&mut shell).map_err(|error| format!("sh: {error}"))?;
    let mut stdout = child.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    let deadline = Instant::now() + COMMAND_TIMEOUT;
    loop {
        // What the command leaves behind may hold its output open.
        match child.try_wait() {
            Ok(Some(status)) if !status.success() => {
                return Err(format!("the command for it ended with {status}"));
            }
            Ok(Some(_)) if reader.is_finished() => break,
            Ok(_) if Instant::now() < deadline && !is_cancelled() => {
                std::thread::sleep(POLL_INTERVAL);
            }
            Ok(status) => {
                let _ = process::kill_group(&mut child);
                let seconds = COMMAND_TIMEOUT.as_secs();
                let what = match status {
                    None => "the command for it did not end",
                    Some(_) => "what the command for it has started did not close its output",
                };
                return Err(format!("{what} within {seconds} s"));
            }
            Err(error) => return Err(format!("sh: {error}")),
        }
    }
    let printed = reader
        .join()
        .map_err(|_| "it could not be read".to_owned())?;
    let printed = printed.map_err(|error| error.to_string())?;
    String::from_utf8(printed).map_err(|_| "it is not text".to_owned())
}

impl Token {
    fn new(text: String, now_ms: i64, lifetime_s: Option<f64>) -> Token {
        let claims = text.split('.').nth(1).and_then(|part| {
            let part = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
            serde_json::from_slice::<serde_json::Value>(&part).ok()
        });
        let claim = |name: &str| claims.as_ref().and_then(|claims| claims.get(name));
        let expires_s = claim("exp").and_then(serde_json::Value::as_f64);
        let principal = claim("sub").and_then(serde_json::Value::as_str);
        Token {
            principal: principal.unwrap_or("unknown").to_owned(),
            expires_ms: match (expires_s, lifetime_s) {
                (Some(seconds), _) => (seconds * 1000.0) as i64,
                (None, Some(lifetime_s)) => now_ms.saturating_add((lifetime_s * 1000.0) as i64),
                (None, None) => now_ms + OPAQUE_TOKEN_LIFETIME.as_millis() as i64,
            },
            text,
        }
    }

    fn fetch(config: &Value, is_cancelled: &dyn Fn() -> bool) -> Result<Token, String> {
        let (text, lifetime_s) = match &config["oidc"] {
            Value::Null => {
                let source = TokenSource::parse(config["source"].as_str().unwrap_or_default());
                let source = source.ok_or("file:PATH or command:COMMAND is expected")?;
                (source.read(is_cancelled)?, None)
            }
            endpoint => ask(endpoint, is_cancelled)?,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |now| now.as_millis() as i64);
        let token = Token::new(text, now_ms, lifetime_s);
        if token.expires_ms <= now_ms {
            return Err("it has expired".to_owned());
        }
        Ok(token)
    }

    /// # Safety
    /// `rk` is live.
    unsafe fn set_token(&self, rk: *mut ffi::rd_kafka_t, extensions: &str) -> Result<(), String> {
        let nul = |_| "it holds a NUL".to_owned();
        let text = CString::new(self.text.as_str()).map_err(nul)?;
        let principal = CString::new(self.principal.as_str()).map_err(nul)?;
        // Names and values in turn.
        let pairs = extensions
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        let texts = pairs.flat_map(|(name, value)| [name.trim(), value.trim()]);
        let texts: Vec<CString> = texts
            .map(CString::new)
            .collect::<Result<_, _>>()
            .map_err(nul)?;
        let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        let mut reason = [0u8; 512];
        // SAFETY: the caller's promise; texts are copied; the buffer is as long as its size says.
        let failed = unsafe {
            ffi::oauthbearer_set_token(
                rk,
                text.as_ptr(),
                self.expires_ms,
                principal.as_ptr(),
                pointers.as_ptr(),
                pointers.len(),
                reason.as_mut_ptr().cast(),
                reason.len(),
            )
        };
        if failed == 0 {
            Ok(())
        } else {
            Err(ffi::buffer_text(&reason))
        }
    }
}

#[cfg(feature = "oidc")]
fn ask(endpoint: &Value, is_cancelled: &dyn Fn() -> bool) -> Result<(String, Option<f64>), String> {
    crate::http::token::fetch(endpoint, is_cancelled)
}

#[cfg(not(feature = "oidc"))]
fn ask(
    _endpoint: &Value,
    _is_unwanted: &dyn Fn() -> bool,
) -> Result<(String, Option<f64>), String> {
    Err("this build has no OIDC (cargo install --features oidc)".to_owned())
}

/// Called by librdkafka when it needs a token.
///
/// # Safety
/// `rk` is live, `config` NULL or NUL-terminated, `opaque` that of a live client.
unsafe extern "C" fn refresh(rk: *mut ffi::rd_kafka_t, config: *const c_char, opaque: *mut c_void) {
    // SAFETY: the caller's promise; the reason is copied.
    unsafe {
        let config = serde_json::from_str(&ffi::text(config)).unwrap_or(Value::Null);
        let extensions = config["extensions"].as_str().unwrap_or_default();
        let fetched = Token::fetch(&config, &|| is_closing(opaque));
        if let Err(why) = fetched.and_then(|token| token.set_token(rk, extensions)) {
            let reason = CString::new(format!("no token: {}", why.replace('\0', " ")));
            let reason = reason.expect("no NUL is left in it");
            ffi::oauthbearer_set_token_failure(rk, reason.as_ptr());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Token, TokenSource};

    #[test]
    fn a_token_comes_from_a_file_or_a_command() {
        assert_eq!(
            TokenSource::parse("file:/run/token"),
            Some(TokenSource::File("/run/token"))
        );
        assert_eq!(TokenSource::parse("principal=x"), None);
        let token = TokenSource::parse("command:echo ' abc '")
            .unwrap()
            .read(&|| false);
        assert_eq!(token, Ok("abc".to_owned()));
        let failed = TokenSource::Command("exit 3").read(&|| false).unwrap_err();
        assert!(failed.contains("exit status: 3"), "{failed}");
        assert!(
            TokenSource::File("/none/such")
                .read(&|| false)
                .unwrap_err()
                .contains("/none/such")
        );
        assert_eq!(
            TokenSource::Command("true").read(&|| false),
            Err("there is none".to_owned())
        );
    }

    #[test]
    fn life_and_principal_are_the_tokens_claims() {
        // {"alg":"none"} . {"sub":"alice","exp":2000000000.5}
        let text = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6MjAwMDAwMDAwMC41fQ.";
        let token = Token::new(text.to_owned(), 1000, None);
        assert_eq!(token.principal, "alice");
        assert_eq!(token.expires_ms, 2_000_000_000_500);
        let opaque = Token::new("abc".to_owned(), 1000, None);
        assert_eq!(
            (opaque.principal.as_str(), opaque.expires_ms),
            ("unknown", 301_000)
        );
    }

    #[test]
    fn a_token_that_has_expired_is_not_handed_over() {
        // {"sub":"alice","exp":1}
        let config =
            serde_json::json!({ "source": "command:echo e30.eyJzdWIiOiJhbGljZSIsImV4cCI6MX0." });
        let failed = Token::fetch(&config, &|| false);
        assert_eq!(failed, Err("it has expired".to_owned()));
    }

    #[test]
    fn a_command_that_does_not_end_is_killed_when_nobody_waits_any_more() {
        let failed = TokenSource::Command("sleep 1000").read(&|| true);
        assert!(failed.unwrap_err().contains("did not end"));
    }

    /// Regression: it was waited for without a limit.
    #[test]
    fn what_a_command_leaves_behind_is_not_waited_for_for_ever() {
        let start = std::time::Instant::now();
        let is_cancelled = || start.elapsed() > std::time::Duration::from_millis(500);
        let failed = TokenSource::Command("sleep 1000 & echo token").read(&is_cancelled);
        assert!(failed.unwrap_err().contains("did not close its output"));
    }
}
