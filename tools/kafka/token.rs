//! OAUTHBEARER tokens from a file or a command, fetched again before they run out.
//!
//! `sasl.oauthbearer.config` is handed by librdkafka to its application, which
//! says what it means (rdkafka.h, `rd_kafka_conf_set_oauthbearer_token_refresh_cb`).
//! Here it means `file:PATH` or `command:COMMAND`. The token's life is its
//! claim `exp`, its principal `sub` (RFC 7519); a token that is no JWT is
//! fetched again after five minutes.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_void};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::ffi;
use super::options::{Conf, Options};

/// For how long a token that does not say so is used.
const OPAQUE_LIFE: Duration = Duration::from_secs(300);

/// A token with what the broker is told besides it.
#[derive(Debug, PartialEq, Eq)]
struct Token {
    text: String,
    principal: String,
    expires_ms: i64,
}

/// Whether these properties name a place where a token is to be had.
pub(super) fn is_wanted(options: &Options) -> bool {
    let mechanism = options.get("sasl.mechanisms").unwrap_or_default();
    let config = options.get("sasl.oauthbearer.config").unwrap_or_default();
    mechanism.eq_ignore_ascii_case("OAUTHBEARER") && Place::parse(config).is_some()
}

/// Has `conf` ask here for tokens.
pub(super) fn provide(conf: &Conf) {
    // SAFETY: the configuration is live; the callback has the type that librdkafka calls.
    unsafe {
        ffi::rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf.as_ptr(), Some(refresh));
        ffi::rd_kafka_conf_enable_sasl_queue(conf.as_ptr(), 1);
    }
}

/// Lets librdkafka ask on a thread of its own, so that nobody has to poll before there is a connection.
///
/// # Safety
/// `rk` is live, made of a configuration that [`provide`] has seen.
pub(super) unsafe fn serve(rk: *mut ffi::rd_kafka_t) {
    // SAFETY: the caller's promise. It fails only without SASL queue, which `provide` has asked for.
    unsafe { ffi::take_error(ffi::rd_kafka_sasl_background_callbacks_enable(rk)) };
}

/// Where a token comes from.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    File(&'a str),
    Command(&'a str),
}

impl Place<'_> {
    fn parse(config: &str) -> Option<Place<'_>> {
        let file = config.strip_prefix("file:").map(Place::File);
        file.or_else(|| config.strip_prefix("command:").map(Place::Command))
    }

    /// What is there, without the newline at its end.
    fn read(&self) -> Result<String, String> {
        let text = match self {
            Place::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?
            }
            Place::Command(command) => {
                let output = Command::new("sh")
                    .args(["-c", command])
                    .stdin(Stdio::null())
                    .stderr(Stdio::inherit())
                    .output();
                let output = output.map_err(|error| format!("sh: {error}"))?;
                if !output.status.success() {
                    return Err(format!("the command for it ended with {}", output.status));
                }
                String::from_utf8(output.stdout).map_err(|_| "it is not text".to_owned())?
            }
        };
        match text.trim() {
            "" => Err("there is none".to_owned()),
            text => Ok(text.to_owned()),
        }
    }
}

impl Token {
    fn new(text: String, now_ms: i64) -> Token {
        let claims = text.split('.').nth(1).and_then(|part| {
            let part = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
            serde_json::from_slice::<serde_json::Value>(&part).ok()
        });
        let claim = |name: &str| claims.as_ref().and_then(|claims| claims.get(name));
        let expires_s = claim("exp").and_then(serde_json::Value::as_f64);
        let principal = claim("sub").and_then(serde_json::Value::as_str);
        Token {
            principal: principal.unwrap_or("unknown").to_owned(),
            expires_ms: expires_s.map_or(now_ms + OPAQUE_LIFE.as_millis() as i64, |seconds| {
                (seconds * 1000.0) as i64
            }),
            text,
        }
    }

    fn fetch(config: &str) -> Result<Token, String> {
        let place = Place::parse(config).ok_or("file:PATH or command:COMMAND is expected")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |now| now.as_millis() as i64);
        let token = Token::new(place.read()?, now_ms);
        if token.expires_ms <= now_ms {
            return Err("it has expired".to_owned());
        }
        Ok(token)
    }

    /// # Safety
    /// `rk` is live.
    unsafe fn hand_over(&self, rk: *mut ffi::rd_kafka_t) -> Result<(), String> {
        let nul = |_| "it holds a NUL".to_owned();
        let text = CString::new(self.text.as_str()).map_err(nul)?;
        let principal = CString::new(self.principal.as_str()).map_err(nul)?;
        let mut reason = [0u8; 512];
        // SAFETY: the caller's promise; texts are copied, the buffer's size is told.
        let failed = unsafe {
            ffi::oauthbearer_set_token(
                rk,
                text.as_ptr(),
                self.expires_ms,
                principal.as_ptr(),
                std::ptr::null(),
                0,
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

/// Called by librdkafka when it needs a token.
///
/// # Safety
/// `rk` is live, `config` NULL or NUL-terminated.
unsafe extern "C" fn refresh(
    rk: *mut ffi::rd_kafka_t,
    config: *const c_char,
    _opaque: *mut c_void,
) {
    // SAFETY: the caller's promise; the reason is copied.
    unsafe {
        let fetched = Token::fetch(&ffi::text(config));
        if let Err(why) = fetched.and_then(|token| token.hand_over(rk)) {
            let reason = CString::new(format!("no token: {}", why.replace('\0', " ")));
            let reason = reason.expect("no NUL is left in it");
            ffi::oauthbearer_set_token_failure(rk, reason.as_ptr());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Token};

    #[test]
    fn a_token_comes_from_a_file_or_a_command() {
        assert_eq!(
            Place::parse("file:/run/token"),
            Some(Place::File("/run/token"))
        );
        assert_eq!(Place::parse("principal=x"), None);
        let told = Place::parse("command:echo ' abc '").unwrap().read();
        assert_eq!(told, Ok("abc".to_owned()));
        let failed = Place::Command("exit 3").read().unwrap_err();
        assert!(failed.contains("exit status: 3"), "{failed}");
        assert!(
            Place::File("/none/such")
                .read()
                .unwrap_err()
                .contains("/none/such")
        );
        assert_eq!(
            Place::Command("true").read(),
            Err("there is none".to_owned())
        );
    }

    #[test]
    fn life_and_principal_are_the_tokens_claims() {
        // {"alg":"none"} . {"sub":"alice","exp":2000000000.5}
        let text = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6MjAwMDAwMDAwMC41fQ.";
        let token = Token::new(text.to_owned(), 1000);
        assert_eq!(token.principal, "alice");
        assert_eq!(token.expires_ms, 2_000_000_000_500);
        let opaque = Token::new("abc".to_owned(), 1000);
        assert_eq!(
            (opaque.principal.as_str(), opaque.expires_ms),
            ("unknown", 301_000)
        );
    }

    #[test]
    fn a_token_that_has_expired_is_not_handed_over() {
        // {"sub":"alice","exp":1}
        let failed = Token::fetch("command:echo e30.eyJzdWIiOiJhbGljZSIsImV4cCI6MX0.");
        assert_eq!(failed, Err("it has expired".to_owned()));
    }
}
