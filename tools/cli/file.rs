//! A file that is replaced as a whole: who reads it sees the old one or the new one, never a part.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Replaces the content of the file at `path`, of the file that a symbolic link there leads to; a device or pipe is written to.
///
/// The new file is written beside the old one under a name that begins with a dot, which node_exporter's textfile
/// collector does not read, and then renamed. It gets the old one's permissions.
///
/// # Errors
/// The file can't be written; it is as before.
pub fn replace(path: &Path, text: &[u8]) -> Result<()> {
    let written = match fs::metadata(path) {
        Ok(old) if old.is_file() => fs::canonicalize(path)
            .and_then(|target| write_and_rename(&target, text, Some(old.permissions()))),
        Ok(old) if !old.is_dir() => write_through(path, text),
        _ => write_and_rename(path, text, None),
    };
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn write_through(path: &Path, text: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text)
}

fn write_and_rename(path: &Path, text: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // The name is random: in a container each run has the same process id, and a killed one leaves its file.
    let mut beside = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        // As of any file: the umask says who may read it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    if let Some(permissions) = permissions {
        beside.as_file().set_permissions(permissions)?;
    }
    beside.write_all(text)?;
    // A rename that outlives a crash must not be of a file that does not.
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("klag.prom");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Regression: the name was that of the process id, which is the same in each container.
    #[test]
    fn what_a_killed_run_has_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let left = format!(".klag.prom.{}", std::process::id());
        fs::write(folder.path().join(&left), "half").unwrap();
        replace(&folder.path().join("klag.prom"), b"new").unwrap();
        assert_eq!(fs::read(folder.path().join(left)).unwrap(), b"half");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_is_followed_and_permissions_stay() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["klag.prom", "link"].map(|name| folder.path().join(name));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_pipe_is_written_to_and_stays() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read(path).unwrap()
        });
        replace(&path, b"new").unwrap();
        assert_eq!(reader.join().unwrap(), b"new");
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
        assert!(replace(Path::new("/dev/full"), b"new").is_err());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none/klag.prom");
        let error = replace(&path, b"new").expect_err("no such folder");
        assert!(format!("{error:#}").contains("none/klag.prom"));
        // A folder is in the way of the rename.
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
