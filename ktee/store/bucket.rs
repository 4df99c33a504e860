//! A backup in a bucket of S3, Google Cloud Storage or Azure, under a prefix.
//!
//! A segment is one PUT that the store refuses if the name is taken (S3's
//! `If-None-Match: *`): it is there as a whole or not at all, with no upload
//! in parts that could stay behind. Until then it grows in a file without a
//! name in TMPDIR.
//!
//! - [`connect`]: endpoints and credentials.
//! - [`profile`]: the files of the AWS tools.
//! - [`retry`]: for how long a request is tried.
//! - [`cause`]: why it failed, in one line.

mod cause;
mod connect;
mod profile;
mod retry;

use std::cell::Cell;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Attributes, Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload,
};
use tokio::runtime::Runtime;

use super::{Access, Created, Store, TempSegment};
use crate::segment::Manifest;
use crate::segment::name::MANIFEST_SUFFIX;
use cause::Cause;
use connect::Clients;
use retry::Retry;

/// An object by which a run finds out whether the store refuses to overwrite one.
const PROBE: &str = ".ktee-probe";
const PROBE_TEXT: &[u8] =
    b"ktee has looked whether this object is protected from being overwritten.\n";
/// What a PUT may take besides the time for its bytes.
const PUT_SECONDS: u64 = 30;
/// The slowest upload that is not given up.
const LEAST_BYTES_PER_SECOND: u64 = 32 * 1024;

/// A bucket, seen from a prefix on.
pub(crate) struct Bucket {
    clients: Clients,
    prefix: Path,
    /// The URL without what follows the bucket, for messages.
    root: String,
    runtime: Runtime,
    retry: Retry,
    /// Whether the store itself refuses to overwrite; else it is looked before.
    is_conditional: bool,
}

impl Bucket {
    /// The bucket of `SCHEME://BUCKET/PREFIX`, with the credentials that the environment has for it.
    pub(crate) fn open(url: &str, access: &Access) -> Result<Bucket> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        anyhow::ensure!(!bucket.is_empty(), "{url}: the bucket's name is missing");
        let root = format!("{scheme}://{bucket}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let bucket = Bucket {
            clients: connect::connect(scheme, &root, &runtime).with_context(|| url.to_owned())?,
            prefix: Path::parse(prefix.trim_matches('/')).with_context(|| url.to_owned())?,
            root,
            runtime,
            retry: Retry::new(access.retry_for),
            is_conditional: !access.single_writer,
        };
        if access.for_writing && bucket.is_conditional {
            bucket.probe()?;
        }
        Ok(bucket)
    }

    /// Finds out whether two writers could destroy each other's segments.
    fn probe(&self) -> Result<()> {
        let path = self.path(PROBE)?;
        // What is there from an earlier run was refused now, and all is well.
        for end in ["", "\n"] {
            // Another content, or a refusal of it whose answer was lost would pass for an object that it has stored.
            let put = self.put(
                &path,
                [PROBE_TEXT, end.as_bytes()].concat(),
                &Attributes::new(),
                &PutMode::Create,
            );
            if put? == Created::Exists {
                return Ok(());
            }
        }
        bail!(
            "{}: this store overwrites objects although it is asked not to (If-None-Match), so that two writers \
             could destroy each other's segments; if this ktee is the only one, say --single-writer",
            self.name(&self.prefix)
        );
    }

    fn path(&self, path: &str) -> Result<Path> {
        Ok(Path::parse(
            format!("{}/{path}", self.prefix).trim_matches('/'),
        )?)
    }

    fn name(&self, path: &Path) -> String {
        format!("{}/{path}", self.root)
    }

    /// The path of an object within the backup.
    fn inner(&self, object: &ObjectMeta) -> String {
        let path = object.location.as_ref();
        let inner = path.strip_prefix(self.prefix.as_ref()).unwrap_or(path);
        inner.trim_start_matches('/').to_owned()
    }

    /// What the manifest says, beside the object itself. In Azure a name is one of C#: letters, digits and `_`.
    fn metadata(&self, manifest: &Manifest) -> Attributes {
        let joint = if self.root.starts_with("az:") {
            '_'
        } else {
            '-'
        };
        let mut fields = manifest.fields();
        fields.push(("sha256", manifest.sha256.clone()));
        let named = fields.into_iter().map(|(name, value)| {
            let name = Attribute::Metadata(format!("ktee{joint}{name}").into());
            (name, AttributeValue::from(value))
        });
        named.collect()
    }

    /// Does what only reads.
    fn ask<T, F>(&self, path: &Path, act: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        self.retry.run(&|| self.name(path), || {
            self.runtime
                .block_on(act())
                .map_err(|error| self.cause(&error))
        })
    }

    fn put(
        &self,
        path: &Path,
        content: Vec<u8>,
        attributes: &Attributes,
        mode: &PutMode,
    ) -> Result<Created> {
        let seconds = put_seconds(content.len());
        let content = Bytes::from(content);
        let payload = PutPayload::from(content.clone());
        let is_create = *mode == PutMode::Create;
        let tries = Cell::new(0);
        let put = self.retry.run(&|| self.name(path), || {
            tries.set(tries.get() + 1);
            let options = PutOptions {
                mode: mode.clone(),
                attributes: attributes.clone(),
                ..PutOptions::default()
            };
            let put = self.clients.writer.put_opts(path, payload.clone(), options);
            let limit = Duration::from_secs(seconds);
            let put = async { tokio::time::timeout(limit, put).await };
            match self.runtime.block_on(put) {
                Err(_) => Err(Cause::timed_out(seconds)),
                Ok(Ok(_)) => Ok(Created::New),
                Ok(Err(error)) if is_create && self.is_taken(&error) => Ok(Created::Exists),
                Ok(Err(error)) => Err(self.cause(&error)),
            }
        })?;
        // A try whose answer was lost may have stored it.
        if put == Created::Exists && tries.get() > 1 && self.get(path)? == Some(content) {
            return Ok(Created::New);
        }
        Ok(put)
    }

    /// The content of an object, if it is there.
    fn get(&self, path: &Path) -> Result<Option<Bytes>> {
        self.ask(path, || async {
            match self.clients.reader.get(path).await {
                Ok(found) => found.bytes().await.map(Some),
                Err(error) if is_missing(&error) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn cause(&self, error: &Error) -> Cause {
        Cause::at(error, self.clients.endpoint.as_deref())
    }

    /// Whether the name is taken. S3 answers 409 where it can't say yet; others say by it what it says by 412.
    fn is_taken(&self, error: &Error) -> bool {
        let is_open = self.root.starts_with("s3") && Cause::of(error).status == Some(409);
        matches!(error, Error::AlreadyExists { .. }) && !is_open
    }

    /// Whether there is an object of this name.
    fn has(&self, path: &Path) -> Result<bool> {
        self.ask(path, || async {
            match self.clients.reader.head(path).await {
                Ok(_) => Ok(true),
                Err(Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }
}

impl Store for Bucket {
    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let folder = self.path(folder)?;
        let listed: Vec<ObjectMeta> = self.ask(&folder, || {
            self.clients.reader.list(Some(&folder)).try_collect()
        })?;
        Ok(listed.iter().map(|object| self.inner(object)).collect())
    }

    fn list_behind(&self, folder: &str, file: &str) -> Result<Vec<String>> {
        let (folder, offset) = (self.path(folder)?, self.path(&format!("{folder}/{file}"))?);
        let listed: Vec<ObjectMeta> = self.ask(&folder, || {
            let listing = self.clients.reader.list_with_offset(Some(&folder), &offset);
            listing.try_collect()
        })?;
        Ok(listed.iter().map(|object| self.inner(object)).collect())
    }

    fn read(&self, path: &str) -> Result<Option<Box<dyn Read + Send>>> {
        let read = self.get(&self.path(path)?)?;
        Ok(read.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>))
    }

    fn temp_segment(&self, _folder: &str) -> Result<TempSegment> {
        let file = tempfile::tempfile();
        let file = file.with_context(|| std::env::temp_dir().display().to_string())?;
        Ok(TempSegment { file, path: None })
    }

    fn lock(&self, _folder: &str) -> Result<Option<File>> {
        Ok(None)
    }

    fn create(&self, path: &str, temp: &mut TempSegment, manifest: &Manifest) -> Result<Created> {
        let path = self.path(path)?;
        if !self.is_conditional && self.has(&path)? {
            return Ok(Created::Exists);
        }
        let mode = if self.is_conditional {
            PutMode::Create
        } else {
            PutMode::Overwrite
        };
        let mut content = Vec::with_capacity(manifest.stored_bytes as usize);
        let read = temp
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| temp.file.read_to_end(&mut content));
        read.with_context(|| self.name(&path))?;
        if self.put(&path, content, &self.metadata(manifest), &mode)? == Created::Exists {
            return Ok(Created::Exists);
        }
        let file = path.filename().unwrap_or_default();
        let beside = Path::parse(format!("{path}{MANIFEST_SUFFIX}"))?;
        let text = manifest.text(file).into_bytes();
        self.put(&beside, text, &Attributes::new(), &PutMode::Overwrite)
    }

    fn replace(&self, path: &str, content: &[u8]) -> Result<()> {
        let path = self.path(path)?;
        let put = self.put(
            &path,
            content.to_vec(),
            &Attributes::new(),
            &PutMode::Overwrite,
        );
        put.map(drop)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (source, to) = (self.path(from)?, self.path(to)?);
        self.ask(&source, || self.clients.writer.copy(&source, &to))?;
        self.remove(from)
    }

    fn remove(&self, path: &str) -> Result<()> {
        let path = self.path(path)?;
        self.ask(&path, || async {
            match self.clients.writer.delete(&path).await {
                Err(error) if is_missing(&error) => Ok(()),
                removed => removed,
            }
        })
    }
}

/// How long a PUT of this size may take.
fn put_seconds(bytes: usize) -> u64 {
    PUT_SECONDS + bytes as u64 / LEAST_BYTES_PER_SECOND
}

/// Whether there is no object of this name, in a bucket that is there.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && !Cause::of(error).text.contains("NoSuchBucket")
}

#[cfg(test)]
mod tests {
    use super::put_seconds;

    #[test]
    fn an_upload_may_take_as_long_as_a_slow_line_needs() {
        assert_eq!(put_seconds(0), 30);
        // 21 MB at 500 kB a second.
        assert!(put_seconds(21_000_000) > 2 * 42);
    }
}
