//! A backup in a folder: written under another name, synced, renamed, and the folder synced.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

use super::{Created, Store, TempSegment};
use crate::segment::Manifest;
use crate::segment::name::MANIFEST_SUFFIX;

/// A temp's name, which no file of anybody else has.
const TEMP_PREFIX: &str = ".ktee-";
const TEMP_SUFFIX: &str = ".tmp";

/// So many folders deep nothing of ktee's lies.
const DEEPEST: usize = 8;

/// What no path within a backup lacks.
const NO_NAME: ErrorKind = ErrorKind::InvalidInput;

/// A folder and what is in it.
pub(crate) struct Folder {
    root: PathBuf,
    /// What a killed run has left is removed wherever this one looks.
    for_writing: bool,
}

impl Folder {
    pub(crate) fn open(root: &Path, for_writing: bool) -> Result<Folder> {
        let name = || root.display().to_string();
        if for_writing {
            make_folder(root).with_context(name)?;
        } else {
            fs::read_dir(root).with_context(name)?;
        }
        Ok(Folder {
            root: root.to_owned(),
            for_writing,
        })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Writes `content` under another name, and synced.
    fn write_temp(folder: &Path, content: &[u8]) -> io::Result<TempSegment> {
        let mut temp = new_temp_segment(folder)?;
        temp.file.write_all(content)?;
        temp.file.sync_all()?;
        Ok(temp)
    }
}

impl Store for Folder {
    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let mut entries = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let path = self.path(&folder);
            let found = match fs::read_dir(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                found => found.with_context(|| path.display().to_string())?,
            };
            for file in found {
                let file = file.with_context(|| path.display().to_string())?;
                let Ok(name) = file.file_name().into_string() else {
                    continue;
                };
                if is_temp(&name) {
                    if self.for_writing {
                        remove_if_stale(&file.path());
                    }
                    continue;
                }
                let inner = if folder.is_empty() {
                    name
                } else {
                    format!("{folder}/{name}")
                };
                // A link to a folder is followed, as it is when segments are written, but not around in a circle.
                match fs::metadata(file.path()) {
                    Ok(about) if about.is_dir() && inner.matches('/').count() > DEEPEST => {}
                    Ok(about) if about.is_dir() => folders.push(inner),
                    Ok(_) => entries.push(inner),
                    // A temp that has just become a segment.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => {
                        return Err(error).with_context(|| self.path(&inner).display().to_string());
                    }
                }
            }
        }
        Ok(entries)
    }

    fn list_behind(&self, folder: &str, file: &str) -> Result<Vec<String>> {
        let start = format!("{folder}/{file}");
        let mut entries = self.list(folder)?;
        entries.retain(|path| *path > start);
        Ok(entries)
    }

    fn read(&self, path: &str) -> Result<Option<Box<dyn Read + Send>>> {
        match File::open(self.path(path)) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.path(path).display().to_string()),
        }
    }

    fn temp_segment(&self, folder: &str) -> Result<TempSegment> {
        let path = self.path(folder);
        let make = || {
            make_folder(&path)?;
            new_temp_segment(&path)
        };
        make().with_context(|| path.display().to_string())
    }

    fn lock(&self, folder: &str) -> Result<Option<File>> {
        let path = self.path(folder);
        let folder = File::open(&path).with_context(|| path.display().to_string())?;
        // A file system without locks leaves it to the names.
        let is_locked = flock(&folder, FlockOperation::LockExclusive).is_ok();
        Ok(is_locked.then_some(folder))
    }

    fn create(&self, path: &str, temp: &mut TempSegment, manifest: &Manifest) -> Result<Created> {
        let target = self.path(path);
        let mut create = || -> io::Result<Created> {
            let (folder, name) = target.parent().zip(target.file_name()).ok_or(NO_NAME)?;
            let file = name.to_string_lossy();
            temp.file.sync_all()?;
            let beside = Folder::write_temp(folder, manifest.text(&file).as_bytes())?;
            match temp.path.take().ok_or(NO_NAME)?.persist_noclobber(&target) {
                Ok(()) => {}
                Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => {
                    temp.path = Some(failed.path);
                    return Ok(Created::Exists);
                }
                Err(failed) => return Err(failed.error),
            }
            rename_over(beside, &folder.join(format!("{file}{MANIFEST_SUFFIX}")))?;
            sync_folder(folder)?;
            Ok(Created::New)
        };
        create().with_context(|| target.display().to_string())
    }

    fn replace(&self, path: &str, content: &[u8]) -> Result<()> {
        let target = self.path(path);
        let replace = || -> io::Result<()> {
            let folder = target.parent().ok_or(NO_NAME)?;
            make_folder(folder)?;
            for file in fs::read_dir(folder)? {
                let file = file?;
                if file.file_name().to_str().is_some_and(is_temp) {
                    remove_if_stale(&file.path());
                }
            }
            rename_over(Folder::write_temp(folder, content)?, &target)?;
            sync_folder(folder)
        };
        replace().with_context(|| target.display().to_string())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        let rename = || -> io::Result<()> {
            let (old, new) = from.parent().zip(to.parent()).ok_or(NO_NAME)?;
            make_folder(new)?;
            if to.exists() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(&from, &to)?;
            sync_folder(new)?;
            sync_folder(old)
        };
        rename().with_context(|| from.display().to_string())
    }

    fn remove(&self, path: &str) -> Result<()> {
        let path = self.path(path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.with_context(|| path.display().to_string()),
        }
    }
}

/// Makes a folder and those above it; each is synced into the one above it, or a crash could take it with all that is in it.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let above = path.parent().unwrap_or(Path::new(""));
    make_folder(above)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(above),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)?.sync_all()
}

/// A new file under a name that no segment has, locked for as long as it is open.
fn new_temp_segment(folder: &Path) -> io::Result<TempSegment> {
    loop {
        let (file, path) = tempfile::Builder::new()
            .prefix(TEMP_PREFIX)
            .suffix(TEMP_SUFFIX)
            // As of any file: the umask says who may read it.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?
            .into_parts();
        // A file system without locks keeps what a crash leaves.
        let _ = flock(&file, FlockOperation::LockExclusive);
        // Another run may have taken it for stale before it was locked.
        if file.metadata()?.nlink() > 0 {
            return Ok(TempSegment {
                file,
                path: Some(path),
            });
        }
    }
}

fn is_temp(name: &str) -> bool {
    name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX)
}

/// Removes a temporary file that nobody has locked: a run that was killed has left it.
fn remove_if_stale(path: &Path) {
    if let Ok(file) = File::open(path)
        && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
    {
        let _ = fs::remove_file(path);
    }
}

/// Gives a temporary file its name, in place of a file that may have it.
fn rename_over(temp: TempSegment, to: &Path) -> io::Result<()> {
    let renamed = temp.path.ok_or(NO_NAME)?.persist(to);
    renamed.map_err(|failed| failed.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(store: &Folder, content: &[u8]) -> TempSegment {
        let mut temp = store.temp_segment("a/b").expect("a temp");
        temp.file.write_all(content).expect("it is written");
        temp
    }

    #[test]
    fn a_segment_is_created_once_and_never_replaced() {
        let root = tempfile::tempdir().expect("a folder");
        let store = Folder::open(&root.path().join("new/one"), true).expect("it is made");
        let manifest = Manifest {
            sha256: "0".repeat(64),
            ..Manifest::default()
        };
        let create = |content: &[u8]| {
            let mut temp = written(&store, content);
            store
                .create("a/b/s.tsv", &mut temp, &manifest)
                .expect("an answer")
        };
        assert_eq!(create(b"first"), Created::New);
        assert_eq!(create(b"second"), Created::Exists);
        let read = store.read("a/b/s.tsv").expect("it is there");
        assert_eq!(
            io::read_to_string(read.expect("it is there"))
                .ok()
                .as_deref(),
            Some("first")
        );
        let mut paths = store.list("").expect("a list");
        paths.sort();
        assert_eq!(paths, ["a/b/s.tsv", "a/b/s.tsv.sha256"]);
        assert!(store.read("a/b/t").expect("an answer").is_none());
        assert!(store.list("c").expect("an answer").is_empty());
    }

    #[test]
    fn a_run_that_writes_removes_what_a_killed_one_has_left_and_no_file_of_a_living_one() {
        let root = tempfile::tempdir().expect("a folder");
        let reader = Folder::open(root.path(), false).expect("it is there");
        let writer = Folder::open(root.path(), true).expect("it is there");
        let living = written(&writer, b"living");
        let [segment, head] = ["a/b", "a"].map(|folder| {
            let path = root.path().join(folder).join(".ktee-1-999.tmp");
            fs::write(&path, "stale").expect("it is written");
            path
        });
        assert!(reader.list("a/b").expect("a list").is_empty());
        assert!(segment.exists());
        assert!(writer.list("a/b").expect("a list").is_empty());
        assert!(!segment.exists());
        writer.replace("a/head", b"head").expect("it is replaced");
        assert!(!head.exists());
        assert!(living.path.as_ref().is_some_and(|path| path.exists()));
        drop(living);
        assert_eq!(writer.list("").expect("a list"), ["a/head"]);
    }
}
