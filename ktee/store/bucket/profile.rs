//! `~/.aws/credentials` and `~/.aws/config`, as the AWS tools read them.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where no profile is named.
const DEFAULT: &str = "default";
/// What a profile may say instead of keys; none of it is read here.
const OTHER_WAYS: [&str; 5] = [
    "credential_process",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "login_session",
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    /// Key, secret, and the token of a session.
    pub(super) keys: Option<(String, String, Option<String>)>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// A way to credentials that is not taken here.
    pub(super) other_way: Option<&'static str>,
}

/// The name of the profile that the environment asks for, and whether it does.
pub(super) fn name(env: &dyn Fn(&str) -> Option<String>) -> (String, bool) {
    match env("AWS_PROFILE").or_else(|| env("AWS_DEFAULT_PROFILE")) {
        Some(name) => (name, true),
        None => (DEFAULT.to_owned(), false),
    }
}

/// Reads the profile that the environment asks for.
///
/// # Errors
/// A file can't be read, or the profile is in neither.
pub(super) fn load(env: &dyn Fn(&str) -> Option<String>) -> Result<Profile> {
    let path = |variable: &str, file: &str| {
        let given = env(variable).map(PathBuf::from);
        given.or_else(|| Some(std::env::home_dir()?.join(".aws").join(file)))
    };
    let credentials = read(path("AWS_SHARED_CREDENTIALS_FILE", "credentials").as_deref())?;
    let config = read(path("AWS_CONFIG_FILE", "config").as_deref())?;
    let (name, is_named) = name(env);
    match profile(&sections(&credentials), &sections(&config), &name) {
        Some(profile) => Ok(profile),
        None if is_named => {
            bail!("there is no profile {name} in ~/.aws/credentials or ~/.aws/config")
        }
        None => Ok(Profile::default()),
    }
}

fn read(path: Option<&Path>) -> Result<String> {
    let Some(path) = path else {
        return Ok(String::new());
    };
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| path.display().to_string()),
    }
}

/// Settings by the name of their section; an indented one by that of the setting above it, a dot, and its own.
type Sections = HashMap<String, HashMap<String, String>>;

fn sections(text: &str) -> Sections {
    let mut sections = Sections::new();
    let mut section = None;
    let mut outer = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            let words: Vec<&str> = name.0.split_whitespace().collect();
            section = Some(words.join(" "));
            sections.entry(words.join(" ")).or_default();
            continue;
        }
        let (Some(section), Some((name, value))) = (&section, trimmed.split_once('=')) else {
            continue;
        };
        let name = name.trim().to_ascii_lowercase();
        let name = if line.starts_with([' ', '\t']) {
            format!("{outer}.{name}")
        } else {
            outer.clone_from(&name);
            name
        };
        // A comment may follow a blank.
        let value = value.split(" #").next().unwrap_or_default();
        let value = value.split(" ;").next().unwrap_or_default().trim();
        let settings = sections.entry(section.clone()).or_default();
        settings.insert(name, value.to_owned());
    }
    sections
}

fn profile(credentials: &Sections, config: &Sections, name: &str) -> Option<Profile> {
    let own = credentials.get(name);
    // In the config file only the default profile may stand without the word.
    let prefixed = config.get(&format!("profile {name}"));
    let bare = config.get(name).filter(|_| name == DEFAULT);
    let places = [own, prefixed, bare];
    if places.iter().all(Option::is_none) {
        return None;
    }
    let setting = |name: &str| {
        let found = places
            .iter()
            .flatten()
            .find_map(|settings| settings.get(name));
        found.filter(|value| !value.is_empty()).cloned()
    };
    // Both halves of a key come from one place.
    let keys = places.iter().flatten().find_map(|settings| {
        let key = settings.get("aws_access_key_id")?.clone();
        let secret = settings.get("aws_secret_access_key")?.clone();
        Some((key, secret, settings.get("aws_session_token").cloned()))
    });
    let services = setting("services").and_then(|name| config.get(&format!("services {name}")));
    let of_s3 = services.and_then(|services| services.get("s3.endpoint_url").cloned());
    Some(Profile {
        other_way: OTHER_WAYS.into_iter().find(|name| setting(name).is_some()),
        region: setting("region"),
        endpoint: of_s3.or_else(|| setting("endpoint_url")),
        keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "\
# comment
[default]
aws_access_key_id = AKIA1
aws_secret_access_key=se/cr=et+ # comment

[ work ]
AWS_ACCESS_KEY_ID = AKIA2
aws_secret_access_key = two
aws_session_token = token
";
    const CONFIG: &str = "\
[default]
region = eu-west-1
s3 =
    max_concurrent_requests = 20
[profile work]
region=us-east-2
services = minio
[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = default
[services minio]
s3 =
  endpoint_url = http://minio:9000
";

    fn of(name: &str) -> Option<Profile> {
        profile(&sections(CREDENTIALS), &sections(CONFIG), name)
    }

    #[test]
    fn keys_come_from_one_file_and_the_region_from_the_other() {
        let text = |text: &str| text.to_owned();
        assert_eq!(
            of("default"),
            Some(Profile {
                keys: Some((text("AKIA1"), text("se/cr=et+"), None)),
                region: Some(text("eu-west-1")),
                endpoint: None,
                other_way: None,
            })
        );
        assert_eq!(
            of("work"),
            Some(Profile {
                keys: Some((text("AKIA2"), text("two"), Some(text("token")))),
                region: Some(text("us-east-2")),
                endpoint: Some(text("http://minio:9000")),
                other_way: None,
            })
        );
    }

    #[test]
    fn a_profile_that_is_not_there_is_none_and_other_ways_are_named() {
        assert_eq!(of("nobody"), None);
        assert_eq!(of("services minio"), None);
        assert_eq!(of("role").and_then(|role| role.other_way), Some("role_arn"));
        assert_eq!(sections("no section\nx=1\n[a\n"), Sections::new());
    }
}
