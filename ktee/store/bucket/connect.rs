//! The clients of a bucket: where it is, and with whose credentials.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};
use tokio::runtime::Runtime;

use super::cause::Cause;
use super::profile::{self, Profile};

/// Time limits of a client, by their names.
type Limits = [(ClientConfigKey, &'static str)];

/// What bounds a request as a whole is reckoned from its size. A connection that is not made in time is tried again.
const WRITES: &Limits = &[
    (ClientConfigKey::Timeout, "31536000 seconds"),
    (ClientConfigKey::ConnectTimeout, "5 seconds"),
];
/// An answer of which nothing has come for this long is asked for again.
const READS: &Limits = &[
    WRITES[0],
    WRITES[1],
    (ClientConfigKey::ReadTimeout, "30 seconds"),
];
/// The names of an endpoint in the environment, in their order.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

/// One bucket with two clients: while something is sent nothing is received, however well it goes.
pub(super) struct Clients {
    /// Reads and lists.
    pub(super) reader: Arc<dyn ObjectStore>,
    /// Stores; the time that it may take depends on the size.
    pub(super) writer: Arc<dyn ObjectStore>,
    /// The endpoint, where it is not the maker's own.
    pub(super) endpoint: Option<String>,
}

/// Connects to the bucket of `SCHEME://BUCKET` with the credentials that the environment has for it.
pub(super) fn connect(scheme: &str, root: &str, runtime: &Runtime) -> Result<Clients> {
    let both = |build: &dyn Fn(&Limits) -> Result<Arc<dyn ObjectStore>>| -> Result<Clients> {
        Ok(Clients {
            reader: build(READS)?,
            writer: build(WRITES)?,
            endpoint: None,
        })
    };
    match scheme {
        "gs" => both(&|limits| {
            let mut builder = GoogleCloudStorageBuilder::from_env()
                .with_url(root)
                .with_retry(no_retry());
            for &(key, limit) in limits {
                builder = builder.with_config(GoogleConfigKey::Client(key), limit);
            }
            Ok(Arc::new(builder.build().map_err(one_line)?))
        }),
        "az" => both(&|limits| {
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_url(root)
                .with_retry(no_retry());
            for &(key, limit) in limits {
                builder = builder.with_config(AzureConfigKey::Client(key), limit);
            }
            Ok(Arc::new(builder.build().map_err(one_line)?))
        }),
        _ => amazon(root, runtime),
    }
}

/// Trying again is the caller's, who knows for how long.
fn no_retry() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether the environment itself has credentials, or says where they are.
fn has_credentials() -> bool {
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ]
    .iter()
    .any(|name| env(name).is_some())
}

fn amazon(root: &str, runtime: &Runtime) -> Result<Clients> {
    let profile = profile::load(&env)?;
    let build = |limits: &Limits| -> Result<AmazonS3> {
        let mut builder = of_environment().with_url(root).with_retry(no_retry());
        for &(key, limit) in limits {
            builder = builder.with_config(AmazonS3ConfigKey::Client(key), limit);
        }
        if let Some(endpoint) = endpoint(&profile) {
            // Who names an endpoint without TLS wants none.
            let is_plain = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint).with_allow_http(is_plain);
        }
        with_profile(builder, &profile)?.build().map_err(one_line)
    };
    let (reader, writer) = (build(READS)?, build(WRITES)?);
    if env("AWS_SKIP_SIGNATURE").is_none_or(|skips| skips != "true" && skips != "1") {
        let credentials = reader.credentials();
        let mut found = runtime.block_on(credentials.get_credential());
        if found.is_err() {
            // The service that lends roles may be busy.
            found = runtime.block_on(credentials.get_credential());
        }
        found.map_err(|error| no_credentials(&error))?;
    }
    Ok(Clients {
        reader: Arc::new(reader),
        writer: Arc::new(writer),
        endpoint: endpoint(&profile),
    })
}

fn no_credentials(error: &object_store::Error) -> anyhow::Error {
    let cause = Cause::of(error).text;
    if has_credentials() {
        return anyhow!("no credentials: {cause}");
    }
    let (name, _) = profile::name(&env);
    anyhow!(
        "no credentials: AWS_ACCESS_KEY_ID is not set, ~/.aws/credentials has no keys for profile {name}, \
         and this machine has no role ({cause})"
    )
}

/// All that the environment says; what is empty is not set.
fn of_environment() -> AmazonS3Builder {
    let settings = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        let key = name
            .starts_with("AWS_")
            .then(|| name.to_ascii_lowercase())?;
        let key: AmazonS3ConfigKey = key.parse().ok()?;
        (!value.is_empty()).then_some((key, value))
    });
    settings.fold(AmazonS3Builder::new(), |builder, (key, value)| {
        builder.with_config(key, value)
    })
}

/// The endpoint that the environment or the profile names.
fn endpoint(profile: &Profile) -> Option<String> {
    let named = ENDPOINTS.iter().find_map(|name| env(name));
    named.or_else(|| profile.endpoint.clone())
}

/// What a profile adds to what the environment says.
fn with_profile(mut builder: AmazonS3Builder, profile: &Profile) -> Result<AmazonS3Builder> {
    if env("AWS_REGION").is_none()
        && env("AWS_DEFAULT_REGION").is_none()
        && let Some(region) = &profile.region
    {
        builder = builder.with_region(region);
    }
    if has_credentials() {
        return Ok(builder);
    }
    if let Some((key, secret, token)) = &profile.keys {
        builder = builder
            .with_access_key_id(key)
            .with_secret_access_key(secret);
        if let Some(token) = token {
            builder = builder.with_token(token);
        }
    } else if let Some(way) = profile.other_way {
        let (name, _) = profile::name(&env);
        bail!(
            "profile {name} gets its credentials by {way}, which ktee does not read: put the keys into the \
             environment, as aws configure export-credentials --format env prints them"
        );
    }
    Ok(builder)
}

/// An error of a configuration, without the lines that it may have.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn one_line(error: object_store::Error) -> anyhow::Error {
    anyhow!(Cause::of(&error).text)
}
