//! A backup in a bucket of S3, Google Cloud Storage or Azure, under a prefix.
//!
//! A segment is one PUT that the store refuses if the name is taken (S3's
//! `If-None-Match: *`): it is there as a whole or not at all, with no upload
//! in parts that could stay behind. Until then it grows in a file without a
//! name in TMPDIR.

use std::io::{Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Attributes, Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, RetryConfig,
};
use tokio::runtime::Runtime;

use super::{Created, Entry, Store, TempSegment};
use crate::segment::Manifest;
use crate::segment::name::MANIFEST_SUFFIX;

/// How long a request that fails by the network or the server's own fault is tried again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// A bucket, seen from a prefix on.
pub(crate) struct Bucket {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The URL without what follows the bucket, for messages.
    root: String,
    runtime: Runtime,
}

impl Bucket {
    /// The bucket of `SCHEME://BUCKET/PREFIX`, with the credentials that the environment has for it.
    pub(crate) fn open(url: &str) -> Result<Bucket> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        anyhow::ensure!(!bucket.is_empty(), "{url}: the bucket's name is missing");
        let root = format!("{scheme}://{bucket}");
        let objects = connect(scheme, &root).with_context(|| url.to_owned())?;
        Ok(Bucket {
            objects,
            prefix: Path::parse(prefix.trim_matches('/')).with_context(|| url.to_owned())?,
            root,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        })
    }

    fn path(&self, path: &str) -> Result<Path> {
        Ok(Path::parse(
            format!("{}/{path}", self.prefix).trim_matches('/'),
        )?)
    }

    fn name(&self, path: &Path) -> String {
        format!("{}/{path}", self.root)
    }

    fn entry(&self, object: &ObjectMeta) -> Entry {
        let path = object.location.as_ref();
        let inner = path.strip_prefix(self.prefix.as_ref()).unwrap_or(path);
        Entry {
            path: inner.trim_start_matches('/').to_owned(),
            bytes: object.size,
        }
    }

    /// What the manifest says, beside the object itself. In Azure a name is one of C#: letters, digits and `_`.
    fn metadata(&self, manifest: &Manifest) -> Attributes {
        let joint = if self.root.starts_with("az:") {
            '_'
        } else {
            '-'
        };
        let mut facts = manifest.facts();
        facts.push(("sha256", manifest.sha256.clone()));
        let named = facts.into_iter().map(|(name, value)| {
            let name = Attribute::Metadata(format!("ktee{joint}{name}").into());
            (name, AttributeValue::from(value))
        });
        named.collect()
    }

    fn put(&self, path: &Path, content: Vec<u8>, options: PutOptions) -> object_store::Result<()> {
        let put = self
            .objects
            .put_opts(path, PutPayload::from(content), options);
        self.runtime.block_on(put).map(drop)
    }
}

fn connect(scheme: &str, root: &str) -> Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig {
        retry_timeout: RETRY_TIMEOUT,
        ..RetryConfig::default()
    };
    Ok(match scheme {
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(root)
                .with_retry(retry)
                .build()?,
        ),
        "az" => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_url(root)
                .with_retry(retry)
                .build()?,
        ),
        _ => {
            // Who names an endpoint without TLS wants none.
            let is_plain = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
                .iter()
                .any(|name| std::env::var(name).is_ok_and(|url| url.starts_with("http://")));
            Arc::new(
                AmazonS3Builder::from_env()
                    .with_url(root)
                    .with_allow_http(is_plain)
                    .with_retry(retry)
                    .build()?,
            )
        }
    })
}

impl Store for Bucket {
    fn list(&self, folder: &str) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut folders = vec![self.path(folder)?];
        while let Some(folder) = folders.pop() {
            let found = self
                .runtime
                .block_on(self.objects.list_with_delimiter(Some(&folder)))
                .map_err(|error| once(&error))
                .with_context(|| self.name(&folder))?;
            folders.extend(found.common_prefixes);
            entries.extend(found.objects.iter().map(|object| self.entry(object)));
        }
        Ok(entries)
    }

    fn list_behind(&self, folder: &str, file: &str) -> Result<Vec<Entry>> {
        let (folder, offset) = (self.path(folder)?, self.path(&format!("{folder}/{file}"))?);
        let listing = self.objects.list_with_offset(Some(&folder), &offset);
        let listed: object_store::Result<Vec<_>> = self.runtime.block_on(listing.try_collect());
        let listed = listed.map_err(|error| once(&error));
        let listed = listed.with_context(|| self.name(&folder))?;
        Ok(listed
            .into_iter()
            .map(|object| self.entry(&object))
            .collect())
    }

    fn read(&self, path: &str) -> Result<Option<Box<dyn Read + Send>>> {
        let path = self.path(path)?;
        let read = async { self.objects.get(&path).await?.bytes().await };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok(Some(Box::new(Cursor::new(bytes)))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(once(&error)).with_context(|| self.name(&path)),
        }
    }

    fn temp_segment(&self, _folder: &str) -> Result<TempSegment> {
        let folder = std::env::temp_dir();
        let file = unnamed_file(&folder).with_context(|| folder.display().to_string())?;
        Ok(TempSegment { file, path: None })
    }

    fn create(&self, path: &str, temp: &mut TempSegment, manifest: &Manifest) -> Result<Created> {
        let path = self.path(path)?;
        let mut create = || -> Result<Created> {
            let mut content = Vec::with_capacity(manifest.stored_bytes as usize);
            temp.file.seek(SeekFrom::Start(0))?;
            temp.file.read_to_end(&mut content)?;
            let options = PutOptions {
                mode: PutMode::Create,
                attributes: self.metadata(manifest),
                ..PutOptions::default()
            };
            match self.put(&path, content, options) {
                Ok(()) => {}
                Err(Error::AlreadyExists { .. }) => return Ok(Created::Exists),
                Err(error) => return Err(once(&error)),
            }
            let file = path.filename().unwrap_or_default();
            let beside = Path::parse(format!("{path}{MANIFEST_SUFFIX}"))?;
            let text = manifest.text(file).into_bytes();
            let put = self.put(&beside, text, PutOptions::default());
            put.map_err(|error| once(&error))?;
            Ok(Created::New)
        };
        create().with_context(|| self.name(&path))
    }

    fn replace(&self, path: &str, content: &[u8]) -> Result<()> {
        let path = self.path(path)?;
        self.put(&path, content.to_vec(), PutOptions::default())
            .map_err(|error| once(&error))
            .with_context(|| self.name(&path))
    }
}

/// What an error says, in one line: as it is shown it has its causes in it already, with pages of XML.
fn once(error: &Error) -> anyhow::Error {
    let text = error.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    anyhow::Error::msg(words.join(" "))
}

/// A file that nobody can open a second time and that is gone with this process, however it ends.
fn unnamed_file(folder: &std::path::Path) -> std::io::Result<std::fs::File> {
    for number in 0u32.. {
        let path = folder.join(format!("ktee-{}-{number}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}
