//! Access: TLS and users, read again when their files change.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderName, HeaderValue};
use openssl::ssl::SslAcceptor;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::web_config::{self, WebConfigError};
use super::{Report, tls};

/// The hash of no password, so that an unknown name takes as long as a wrong password.
const DUMMY_HASH: &str = "$2b$10$PKmPmPmPmPmPmPmPmPmPmOe3YJ6r6s6k6s6k6s6k6s6k6s6k6s6k6";

/// What the file says at present; without one, anybody may read.
#[derive(Default)]
pub(super) struct LoadedConfig {
    pub(super) acceptor: Option<SslAcceptor>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    users: Vec<(String, String)>,
    /// Names and passwords that were right, hashed: bcrypt is slow, and a scrape comes every few seconds.
    verified: Mutex<HashSet<[u8; 32]>>,
}

/// The web configuration file.
pub(super) struct AccessControl {
    path: Option<PathBuf>,
    current: Mutex<Current>,
    report: Report,
    /// One password at a time: guessing them must not take the machine.
    password_checks: Semaphore,
}

struct Current {
    web: Arc<LoadedConfig>,
    stamps: Vec<(PathBuf, Stamp)>,
}

/// When a file was written, and how large it is.
type Stamp = Option<(SystemTime, u64)>;

impl AccessControl {
    /// Reads the file, where there is one.
    pub(super) fn new(
        path: Option<&Path>,
        report: Report,
    ) -> Result<AccessControl, WebConfigError> {
        let (web, stamps) = match path {
            Some(path) => load(path)?,
            None => (LoadedConfig::default(), Vec::new()),
        };
        Ok(AccessControl {
            path: path.map(Path::to_owned),
            current: Mutex::new(Current {
                web: Arc::new(web),
                stamps,
            }),
            report,
            password_checks: Semaphore::new(1),
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        lock(&self.current).web.acceptor.is_some()
    }

    /// What holds for a connection that begins now.
    pub(super) fn current(&self) -> Arc<LoadedConfig> {
        let mut current = lock(&self.current);
        let is_changed = current
            .stamps
            .iter()
            .any(|(path, known)| stamp(path) != *known);
        if let Some(path) = self.path.as_deref().filter(|_| is_changed) {
            let loaded = load(path).and_then(|(web, stamps)| {
                let taken_away = current.web.lost_in(&web);
                taken_away.map_or(Ok((web, stamps)), |what| {
                    Err(WebConfigError::Wrong(path.display().to_string(), what))
                })
            });
            match loaded {
                Ok((web, stamps)) => {
                    *current = Current {
                        web: Arc::new(web),
                        stamps,
                    };
                }
                Err(error) => {
                    // Said once for each change.
                    for (path, known) in &mut current.stamps {
                        *known = stamp(path);
                    }
                    (self.report)(&format!(
                        "{}: what was read before stays in force",
                        chain(&error)
                    ));
                }
            }
        }
        Arc::clone(&current.web)
    }

    /// Whether this `Authorization` header names a user.
    pub(super) async fn authorize(
        &self,
        web: &LoadedConfig,
        authorization: Option<&HeaderValue>,
    ) -> bool {
        if web.users.is_empty() {
            return true;
        }
        let Some((name, password)) = authorization.and_then(credentials) else {
            return false;
        };
        let user = web.users.iter().find(|(user, _)| *user == name);
        let hash = user.map_or(DUMMY_HASH, |(_, hash)| hash).to_owned();
        let digest = digest(&name, &password, &hash);
        if lock(&web.verified).contains(&digest) {
            return true;
        }
        let Ok(_turn) = self.password_checks.acquire().await else {
            return false;
        };
        let is_right = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash));
        let is_right = matches!(is_right.await, Ok(Ok(true))) && user.is_some();
        if is_right {
            lock(&web.verified).insert(digest);
        }
        is_right
    }
}

impl LoadedConfig {
    /// What protects this and not `other`: a file that is being written, or was emptied, must not remove it.
    fn lost_in(&self, other: &LoadedConfig) -> Option<String> {
        let lost = if self.acceptor.is_some() && other.acceptor.is_none() {
            "tls_server_config"
        } else if !self.users.is_empty() && other.users.is_empty() {
            "basic_auth_users"
        } else {
            return None;
        };
        Some(format!(
            "{lost} is not in it any more, which takes a restart"
        ))
    }
}

fn load(path: &Path) -> Result<(LoadedConfig, Vec<(PathBuf, Stamp)>), WebConfigError> {
    let config = web_config::read(path)?;
    let files = config.tls.iter().flat_map(web_config::TlsConfig::files);
    let files = std::iter::once(path).chain(files.map(PathBuf::as_path));
    // Noted before they are read: what is written meanwhile is read again.
    let stamps = files.map(|file| (file.to_owned(), stamp(file))).collect();
    let web = LoadedConfig {
        acceptor: config.tls.as_ref().map(tls::acceptor).transpose()?,
        headers: config.headers,
        users: config.users,
        verified: Mutex::default(),
    };
    Ok((web, stamps))
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// `Basic` with a name and a password.
fn credentials(header: &HeaderValue) -> Option<(String, String)> {
    let (scheme, rest) = header.to_str().ok()?.split_once(' ')?;
    let is_basic = scheme.eq_ignore_ascii_case("basic");
    let decoded = STANDARD.decode(rest.trim()).ok().filter(|_| is_basic)?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn digest(name: &str, password: &str, hash: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [name, password, hash] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

fn chain(error: &WebConfigError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_apart_at_the_first_colon() {
        let of = |text: &str| credentials(&HeaderValue::from_str(text).unwrap());
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(of("Basic YTpiOmM="), pair("a", "b:c"));
        assert_eq!(of("basic  YTo="), pair("a", ""));
        for wrong in ["Bearer YTpi", "Basic", "Basic !", "Basic YWI="] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_unknown_name_is_compared_with_a_hash_too() {
        assert!(matches!(bcrypt::verify("x", DUMMY_HASH), Ok(false)));
    }
}
